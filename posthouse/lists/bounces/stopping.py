"""Delivery to a member stops after bounces; they are warned, and removed when nothing changes."""

from __future__ import annotations

from datetime import datetime, timedelta

from posthouse import maillog
from posthouse.database import fetch, transaction
from posthouse.directory.moments import moment
from posthouse.lists import roster
from posthouse.lists.arrived import Arrived
from posthouse.lists.bounce_models import Probe
from posthouse.lists.bounces import telling
from posthouse.lists.models import BY_BOUNCES, ENABLED, MEMBER, Bounce, MailingList, Membership

MOST_AT_ONCE = 500  # members of one call of `periodic`; the rest is due a minute later
KEPT_FOR = timedelta(days=90)  # bounces that are remembered
SHORTEST = timedelta(hours=1)  # between two warnings, whatever a list says


def stop(row: MailingList, member: Membership, arrived: Arrived, now: int) -> None:
    """Stop delivery to a member; without warnings to come, remove them. `now` in milliseconds.

    The first warning is due an interval later. Somebody who stopped delivery by other means stays as they are.
    """
    if member.delivery_status not in (None, ENABLED):
        return
    at = moment(now)
    shown = member.address.original
    if row.bounce_you_are_disabled_warnings == 0:
        _remove(row, member, now, arrived)
        return
    Membership.objects.filter(pk=member.pk).update(
        delivery_status=BY_BOUNCES,
        bounce_score=0.0,
        bounce_warnings=0,
        bounce_stopped_at=at,
        bounce_due_at=at + interval(row),
    )
    maillog.subscription(now, arrived.item, row.address, shown, "delivery stopped after bounces", "bounces")
    if row.bounce_notify_owner_on_disable:
        telling.stopped(row, member, arrived, now)


def interval(row: MailingList) -> timedelta:
    """The time between two warnings of a list."""
    return max(timedelta(seconds=row.bounce_you_are_disabled_warnings_interval), SHORTEST)


def removal_at(row: MailingList, member: Membership) -> datetime | None:
    """When a member is removed if nothing changes; None before the first warning has its time."""
    left = max(row.bounce_you_are_disabled_warnings - member.bounce_warnings, 0)
    return member.bounce_due_at + left * interval(row) if member.bounce_due_at else None


def periodic(now: int) -> int:
    """Send the warnings and do the removals that are due, and forget what is old; how many of the first two.

    Call it as often as wanted, from any number of processes: each is done once. `now` in milliseconds.
    """
    at = moment(now)
    done = 0
    for pk in _due(at):
        with transaction():
            done += _go_on(pk, at, now)
    with transaction():
        Probe.objects.filter(expires_at__lte=at).delete()
        old = Bounce.objects.filter(at__lt=at - KEPT_FOR).order_by("at").values_list("pk", flat=True)[:1000]
        Bounce.objects.filter(pk__in=list(old)).delete()
    return done


def _due(at: datetime) -> list[int]:
    """Memberships whose next step is due, or was never set (a list that moved in). The literal lets the index help."""
    found = fetch(
        "SELECT m.id FROM lists_membership m JOIN lists_mailinglist l ON l.id = m.mailing_list_id "
        "WHERE m.delivery_status = 'by_bounces' AND (m.bounce_due_at IS NULL OR m.bounce_due_at <= %s) "
        f"AND m.role = %s AND l.process_bounces AND l.removed_at IS NULL ORDER BY m.bounce_due_at LIMIT {MOST_AT_ONCE}",
        (_adapted(at), MEMBER),
    )
    return [int(row[0]) for row in found]


def _adapted(at: datetime) -> object:
    from django.db import connection

    return connection.ops.adapt_datetimefield_value(at)


def _go_on(pk: int, at: datetime, now: int) -> int:
    """The next step for one member: 1 when there was one."""
    rows = Membership.objects.select_for_update(of=("self",), no_key=True)
    member = rows.select_related("address", "mailing_list__domain").filter(pk=pk, delivery_status=BY_BOUNCES).first()
    if member is None or (member.bounce_due_at is not None and member.bounce_due_at > at):
        return 0  # another process was here
    row = member.mailing_list
    if member.bounce_due_at is None:
        member.bounce_stopped_at = member.bounce_stopped_at or at
        member.bounce_due_at = at + interval(row)
        member.save(update_fields=["bounce_stopped_at", "bounce_due_at"])
        return 0
    if member.bounce_warnings >= row.bounce_you_are_disabled_warnings:
        _remove(row, member, now, None)
        return 1
    member.bounce_warnings += 1
    member.bounce_due_at = at + interval(row)
    member.save(update_fields=["bounce_warnings", "bounce_due_at"])
    maillog.subscription(now, 0, row.address, member.address.original, "warned after bounces", "bounces")
    telling.warning(row, member, member.bounce_stopped_at or at, removal_at(row, member) or at, now)
    return 1


def _remove(row: MailingList, member: Membership, now: int, arrived: Arrived | None) -> None:
    roster.remove(row.pk, member.address.original)
    item = arrived.item if arrived else 0
    maillog.subscription(now, item, row.address, member.address.original, "removed after bounces", "bounces")
    if row.bounce_notify_owner_on_removal:
        telling.removed(row, member, arrived, now)
