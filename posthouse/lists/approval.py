"""Requests to join or leave that wait for a moderator: listed, approved, rejected with a reason, discarded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from posthouse import maillog
from posthouse.database import transaction
from posthouse.lists import inbox, notices, subscription
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import NoSuchRequest
from posthouse.lists.models import Pending

LONGEST_REASON = 4000


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """A request that waits; `act` is join or leave."""

    id: int
    list_address: str
    act: str
    address: str
    display_name: str
    made_at: datetime
    expires_at: datetime


def waiting(mailing_list: int | str | None = None, account: int | None = None) -> list[RequestFacts]:
    """What waits, oldest first: on one list, on all that an account decides about, or everywhere. Raises NoSuchList."""
    rows = Pending.objects.filter(waits_for=subscription.MODERATOR, mailing_list__removed_at=None)
    rows = rows.select_related("mailing_list__domain").order_by("id")
    if mailing_list is not None:
        rows = rows.filter(mailing_list_id=list_pk(mailing_list))
    return [_facts(row) for row in inbox.decided_by(rows, account)]


def show(number: int) -> RequestFacts:
    """One request. Raises NoSuchRequest."""
    return _facts(_row(number))


def approve(number: int, by: str, now: int) -> RequestFacts:
    """Do what was asked for; the person is told. `now` in milliseconds. Raises NoSuchRequest."""
    with transaction():
        row = _taken(number)
        subscription.decide(row, now, by)
        return _facts(row)


def reject(number: int, reason: str, by: str, now: int) -> RequestFacts:
    """Refuse what was asked for and tell the person why. `now` in milliseconds. Raises NoSuchRequest."""
    with transaction():
        row = _taken(number)
        mailing_list = row.mailing_list
        maillog.subscription(now, 0, mailing_list.address, row.original, f"not approved to {row.act}", by)
        said = reason.strip()[:LONGEST_REASON] or "No reason was given."
        notices.send(mailing_list, f"refused-{row.act}", [row.original], {"address": row.original, "reason": said},
                     now=now)  # fmt: skip
        return _facts(row)


def discard(number: int, by: str, now: int) -> RequestFacts:
    """Drop a request; nobody is told. `now` in milliseconds. Raises NoSuchRequest."""
    with transaction():
        row = _taken(number)
        maillog.subscription(now, 0, row.mailing_list.address, row.original, f"request to {row.act} discarded", by)
        return _facts(row)


def _row(number: int) -> Pending:
    rows = Pending.objects.filter(pk=number, waits_for=subscription.MODERATOR, mailing_list__removed_at=None)
    row = rows.select_related("mailing_list__domain").first()
    if row is None:
        raise NoSuchRequest(f"no request waits under the number {number}")
    return row


def _taken(number: int) -> Pending:
    """The row, deleted: of two moderators who decide at once, one decides."""
    row = _row(number)
    subscription.list_of(row.mailing_list_id, locked=True)
    if not Pending.objects.filter(pk=row.pk).delete()[0]:
        raise NoSuchRequest(f"no request waits under the number {number}")
    return row


def _facts(row: Pending) -> RequestFacts:
    return RequestFacts(
        row.pk or 0, row.mailing_list.address, row.act, row.original, row.display_name, row.made_at, row.expires_at
    )  # fmt: skip
