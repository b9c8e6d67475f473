"""Held postings: listed, shown, released (back into the story behind its judge), rejected, discarded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from posthouse import maillog
from posthouse.content import keeping
from posthouse.database import transaction
from posthouse.directory.models import Account
from posthouse.lists.addresses import list_pk
from posthouse.lists.arrived import Arrived
from posthouse.lists.errors import ListError, NoSuchHeld
from posthouse.lists.models import MODERATOR, OWNER, HeldPosting, Membership
from posthouse.lists.posting import publish, tell_rejected
from posthouse.message.envelope import NULL_RETURN_PATH

LONGEST_REASON = 4000


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """A posting that waits. `content_id`: its exact bytes, in `content.keeping`."""

    id: int
    list_address: str
    author: str
    subject: str
    message_id: str
    size: int
    rule: str
    reason: str
    held_at: datetime
    item: int
    return_path: str
    content_id: int


def held(mailing_list: int | str | None = None, account: int | None = None) -> list[HeldFacts]:
    """What waits, oldest first: on one list, or on all that an account decides about, or everywhere.

    Raises NoSuchList.
    """
    rows = HeldPosting.objects.select_related("mailing_list__domain").order_by("id")
    if mailing_list is not None:
        rows = rows.filter(mailing_list_id=list_pk(mailing_list))
    if account is not None and not Account.objects.filter(pk=account, is_superuser=True).exists():
        theirs = Membership.objects.filter(
            role__in=(OWNER, MODERATOR), address__account_id=account, address__verified_at__isnull=False
        )
        rows = rows.filter(mailing_list_id__in=theirs.values("mailing_list_id"))
    return [_facts(row) for row in rows]


def show_held(number: int) -> HeldFacts:
    """One held posting. Raises NoSuchHeld."""
    return _facts(_row(number))


def release(number: int, by: str, now: int) -> int:
    """Let a posting go on as if it had been accepted when it came: how many members get it. `now` in milliseconds.

    Raises NoSuchHeld when somebody decided before: then nothing happens twice.
    """
    with transaction():
        row = _take(number)
        arrived = _arrived(row)
        maillog.moderated(now, row.item, row.mailing_list.address, "released", by)
        copies = publish(row.mailing_list, arrived, now)
        keeping.release([row.content_id])
        return copies


def reject(number: int, reason: str, by: str, now: int) -> None:
    """Refuse a posting and tell its author why, unless a machine sent it. `now` in ms. Raises NoSuchHeld, ListError."""
    reason = reason.strip()
    if not reason:
        raise ListError("say why: the author is told")
    with transaction():
        row = _take(number)
        maillog.moderated(now, row.item, row.mailing_list.address, "rejected", by, reason)
        if row.return_path != NULL_RETURN_PATH:
            tell_rejected(row.mailing_list, _arrived(row), reason[:LONGEST_REASON], now, bounded=False)
        keeping.release([row.content_id])


def discard(number: int, by: str, now: int) -> None:
    """Throw a posting away; nobody is told. `now` in milliseconds. Raises NoSuchHeld."""
    with transaction():
        row = _take(number)
        maillog.moderated(now, row.item, row.mailing_list.address, "discarded", by)
        keeping.release([row.content_id])


def _row(number: int) -> HeldPosting:
    row = HeldPosting.objects.select_related("mailing_list__domain").filter(pk=number).first()
    if row is None:
        raise NoSuchHeld(f"no posting is held under number {number}; it may have been decided already")
    return row


def _take(number: int) -> HeldPosting:
    """The row, no longer held: of two people who decide at the same time, one does."""
    row = _row(number)
    if not HeldPosting.objects.filter(pk=number).delete()[0]:
        raise NoSuchHeld(f"no posting is held under number {number}; it was decided a moment ago")
    return row


def _arrived(row: HeldPosting) -> Arrived:
    return Arrived(item=row.item, content_id=row.content_id, prefix=bytes(row.prefix), return_path=row.return_path)


def _facts(row: HeldPosting) -> HeldFacts:
    return HeldFacts(
        id=row.pk,
        list_address=row.mailing_list.address,
        author=row.author,
        subject=row.subject,
        message_id=row.message_id,
        size=row.size,
        rule=row.rule,
        reason=row.reason,
        held_at=row.held_at,
        item=row.item,
        return_path=row.return_path,
        content_id=row.content_id,
    )
