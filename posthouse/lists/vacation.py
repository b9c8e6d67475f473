"""Vacations: a member stops delivery until a day, and the day begins it again."""

from __future__ import annotations

from datetime import datetime, timedelta

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import BadAddress, ListError
from posthouse.lists.models import BY_USER, ENABLED, MEMBER, Membership

LONGEST = timedelta(days=10 * 366)
_AT_ONCE = 500


def begin(mailing_list: int | str, address: str, until: datetime, by: str, now: int) -> bool:
    """Stop a member's delivery until then; False when there is no such member. `until` is aware, `now` in ms.

    Raises NoSuchList, BadAddress, ListError (the day is over or far away, or delivery was stopped by somebody else).
    """
    _check(until, now)
    with transaction():
        row = Membership.objects.filter(
            mailing_list_id=list_pk(mailing_list), role=MEMBER, address__key=_key(address)
        ).first()
        if row is None:
            return False
        if not _stop([row.pk], until, by, now):
            raise ListError(f"delivery to {address} was stopped by bounces or a moderator; a vacation changes nothing")
        return True


def end(mailing_list: int | str, address: str, by: str, now: int) -> bool:
    """Begin delivery again before the day; False when the member has no vacation. Raises NoSuchList, BadAddress."""
    with transaction():
        rows = Membership.objects.filter(
            mailing_list_id=list_pk(mailing_list),
            role=MEMBER,
            address__key=_key(address),
            delivery_resumes_at__isnull=False,
        )
        return _resume(list(rows.values_list("pk", flat=True)), by, now) > 0


def ends_at(mailing_list: int | str, address: str) -> datetime | None:
    """When a member's vacation ends; None when there is none. Raises NoSuchList, BadAddress."""
    rows = Membership.objects.filter(
        mailing_list_id=list_pk(mailing_list), role=MEMBER, address__key=_key(address), delivery_status=BY_USER
    )
    return rows.values_list("delivery_resumes_at", flat=True).first()


def resume_due(now: int) -> int:
    """Begin delivery again for everybody whose vacation is over; how many. `now` in milliseconds. Safe to repeat."""
    done = 0
    while True:
        with transaction():
            due = Membership.objects.filter(delivery_resumes_at__lte=moment(now)).order_by("pk")
            pks = list(due.values_list("pk", flat=True)[:_AT_ONCE])
            done += _resume(pks, "vacation", now)
        if len(pks) < _AT_ONCE:
            return done


def _stop(pks: list[int], until: datetime, by: str, now: int) -> int:
    done = 0
    for row in _rows(pks):
        if row.delivery_status not in (None, ENABLED, BY_USER):
            continue
        Membership.objects.filter(pk=row.pk).update(delivery_status=BY_USER, delivery_resumes_at=until)
        _tell(row, f"delivery stopped until {until:%Y-%m-%d %H:%M} UTC", by, now)
        done += 1
    return done


def _resume(pks: list[int], by: str, now: int) -> int:
    """What others stopped meanwhile stays stopped; only the date goes."""
    done = 0
    for row in _rows(pks):
        ended = Membership.objects.filter(pk=row.pk, delivery_resumes_at__isnull=False, delivery_status=BY_USER)
        if ended.update(delivery_status=None, delivery_resumes_at=None):
            _tell(row, "delivery begun again after a vacation", by, now)
            done += 1
    Membership.objects.filter(pk__in=pks).update(delivery_resumes_at=None)
    return done


def _rows(pks: list[int]) -> list[Membership]:
    return list(Membership.objects.select_related("address", "mailing_list__domain").filter(pk__in=pks))


def _tell(row: Membership, act: str, by: str, now: int) -> None:
    maillog.subscription(now, 0, row.mailing_list.address, row.address.original, act, by)


def _check(until: datetime, now: int) -> None:
    if until.tzinfo is None or not moment(now) < until <= moment(now) + LONGEST:
        raise ListError("a vacation ends on a day to come, within ten years")


def _key(address: str) -> str:
    try:
        return key_of(address.strip())
    except AddressError as error:
        raise BadAddress(f"{address!r} is no address: {error.rule}") from error
