"""What a failure counts for a member: once a day, more for a dead address than for a full one, forgotten when old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import F, Sum

from posthouse import maillog
from posthouse.directory.moments import moment
from posthouse.lists.arrived import Arrived
from posthouse.lists.bounces import probing, stopping, telling
from posthouse.lists.bounces.recognition import Failure
from posthouse.lists.models import ENABLED, MEMBER, Bounce, MailingList, Membership

MOST_KEPT = 100  # bounces of one address on one list that are remembered
KEPT_FOR = timedelta(days=90)
_SHORT = 500


def record(row: MailingList, key: str, failure: Failure, arrived: Arrived, own: bool, now: int) -> int:
    """Remember a failure of the member with this address, count it, and do what the score asks for.

    `own`: our own delivery of a copy saw it. `now` in milliseconds. Returns 1, 0 when nobody on the list has it.
    """
    at = moment(now)
    diagnostic = failure.diagnostic[:_SHORT]
    maillog.bounced(now, arrived.item, row.address, key, failure.status, diagnostic)
    members = Membership.objects.select_for_update(of=("self",), no_key=True).select_related("address")
    member = members.filter(mailing_list=row, role=MEMBER, address__key=key).first()
    if member is None:
        return 0
    weight = _counts(row, member, failure, at)
    _keep(row, member, failure, diagnostic, weight, own, at)
    said = f"{failure.status} {diagnostic}".strip()
    stale = member.last_bounce_at is None or at - member.last_bounce_at > timedelta(seconds=row.bounce_info_stale_after)
    if weight:
        member.bounce_score = weight if stale else member.bounce_score + weight
    Membership.objects.filter(pk=member.pk).update(
        bounces=F("bounces") + 1, last_bounce_at=at, last_bounce=said, bounce_score=member.bounce_score
    )
    member.last_bounce_at, member.last_bounce = at, said
    if weight:
        _act(row, member, arrived, now)
    return 1


def _counts(row: MailingList, member: Membership, failure: Failure, at: datetime) -> float:
    """What this failure adds to the score: at most one a day (UTC), nothing while delivery is stopped."""
    if member.delivery_status not in (None, ENABLED):
        return 0.0
    today = datetime(at.year, at.month, at.day, tzinfo=UTC)
    counted = Bounce.objects.filter(mailing_list=row, address=member.address.key, at__gte=today, weight__gt=0)
    return max(0.0, failure.weight - (counted.aggregate(sum=Sum("weight"))["sum"] or 0.0))


def _keep(
    row: MailingList, member: Membership, failure: Failure, diagnostic: str, weight: float, own: bool, at: datetime
) -> None:
    key = member.address.key
    kept = Bounce.objects.filter(mailing_list=row, address=key)
    surplus = list(kept.order_by("-id").values_list("pk", flat=True)[MOST_KEPT - 1 :])
    if surplus:
        Bounce.objects.filter(pk__in=surplus).delete()
    Bounce.objects.create(
        membership=member,
        mailing_list=row,
        address=key,
        at=at,
        status=failure.status[:16],
        diagnostic=diagnostic,
        weight=weight,
        own=own,
    )


def _act(row: MailingList, member: Membership, arrived: Arrived, now: int) -> None:
    if row.bounce_notify_owner_on_bounce_increment:
        telling.counted(row, member, arrived, now)
    if member.bounce_score < row.bounce_score_threshold:
        return
    if row.verp_probes or not _seen_by_us(member):
        probing.send(row, member, arrived.item, now)
    else:
        stopping.stop(row, member, arrived, now)


def _seen_by_us(member: Membership) -> bool:
    """Whether everything that the score counts was seen by our own delivery: others' reports can be made up."""
    counted = Bounce.objects.filter(mailing_list_id=member.mailing_list_id, address=member.address.key, weight__gt=0)
    left = member.bounce_score
    for weight, own in counted.order_by("-id").values_list("weight", "own"):
        if left <= 0:
            break
        if not own:
            return False
        left -= weight
    return left <= 0
