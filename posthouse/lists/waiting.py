"""Periodic work on what waits: held postings expire, and moderators are reminded once a day."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count

from posthouse import maillog
from posthouse.content import keeping
from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists import notices, roster
from posthouse.lists.models import HeldPosting, MailingList, Notified, Pending
from posthouse.lists.subscription import list_of

MOST_EXPIRED = 500  # in one call: a transaction stays short
RESTORABLE = timedelta(days=14)  # how long a discarded posting can be brought back
MOST_SHOWN = 50  # held postings named in a reminder
_KIND = "pending"
_BETWEEN = timedelta(hours=20)  # a daily job may come a little early


def expire(now: int) -> int:
    """Discard what waits longer than its list's max_days_to_hold, at most MOST_EXPIRED: how many. `now` in ms."""
    expired = 0
    for pk, days in MailingList.objects.filter(max_days_to_hold__gt=0).values_list("pk", "max_days_to_hold"):
        if expired >= MOST_EXPIRED:
            break
        with transaction():
            old = HeldPosting.objects.filter(mailing_list=pk, held_at__lt=moment(now) - timedelta(days=days))
            rows = list(old.select_related("mailing_list__domain").order_by("id")[: MOST_EXPIRED - expired])
            for row in rows:
                if not throw_away(row, "max_days_to_hold", now):
                    continue
                reason = f"it waited {days} days"
                maillog.moderated(now, row.item, row.mailing_list.address, "discarded", "max_days_to_hold", reason)
                expired += 1
    return expired


def throw_away(row: HeldPosting, by: str, now: int) -> bool:
    """Discard a held posting; of two that do, one wins. It stays for RESTORABLE. `now` in milliseconds."""
    changed = {"discarded_at": moment(now), "discarded_by": by[:320]}
    return bool(HeldPosting.objects.filter(pk=row.pk).update(**changed))


def forget_discarded(now: int) -> int:
    """Delete for good what was discarded longer ago than RESTORABLE, at most MOST_EXPIRED: how many. `now` in ms."""
    with transaction():
        old = HeldPosting.everything.filter(discarded_at__lt=moment(now) - RESTORABLE)
        rows = list(old.order_by("discarded_at").values_list("pk", "content_id")[:MOST_EXPIRED])
        HeldPosting.everything.filter(pk__in=[pk for pk, _ in rows]).delete()
        keeping.release([content for _, content in rows])
    return len(rows)


def summary(now: int) -> int:
    """Remind the moderators of every list where something waits, once a day: of how many lists. `now` in ms."""
    held = HeldPosting.objects.filter(mailing_list__removed_at=None)
    counted = dict(held.values_list("mailing_list_id").annotate(number=Count("id")))
    requests = Pending.objects.filter(
        waits_for="moderator", expires_at__gt=moment(now), mailing_list__removed_at=None
    )  # fmt: skip
    asked = dict(requests.values_list("mailing_list_id").annotate(number=Count("id")))
    reminded = 0
    for pk in sorted({*counted, *asked}):
        with transaction():
            reminded += _remind(list_of(pk), counted.get(pk, 0), asked.get(pk, 0), now)
    return reminded


def _remind(row: MailingList, held: int, asked: int, now: int) -> bool:
    at = moment(now)
    before = Notified.objects.filter(mailing_list=row, address="", kind=_KIND)
    if before.filter(at__gt=at - _BETWEEN).exists():
        return False
    before.delete()
    Notified.objects.create(mailing_list=row, address="", kind=_KIND, at=at)
    lines = []
    for one in HeldPosting.objects.filter(mailing_list=row).order_by("id")[:MOST_SHOWN]:
        days = max(0, (at - one.held_at).days)
        lines += [
            f"  {one.pk}: {one.subject or '(no subject)'}"[:76],
            f"      by {one.author}, since {one.held_at:%Y-%m-%d} ({days} days)",
            f"      {one.reason}"[:500],
        ]
    if held > MOST_SHOWN:
        lines.append(f"  and {held - MOST_SHOWN} more")
    if asked:
        lines.append(f"  {asked} request{'s' * (asked > 1)} to join or to leave")
    counts = [f"{held} posting{'s' * (held > 1)}"] if held else []
    counts += [f"{asked} request{'s' * (asked > 1)}"] if asked else []
    values = {"count": " and ".join(counts), "waiting": "\n".join(lines)}
    return bool(notices.send(row, _KIND, roster.staff(row.pk), values, now=now))
