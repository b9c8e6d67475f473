"""Held postings: released (back into the story behind its judge), rejected, discarded; once. A discard can be undone.

How they are listed is in `inbox`; what happens to them by itself (they expire, moderators are reminded) in `waiting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.content import keeping
from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists import bans, notices, waiting
from posthouse.lists.arrived import Arrived
from posthouse.lists.errors import BadAddress, ListError, NoSuchHeld, TokenSpent
from posthouse.lists.inbox import HeldFacts, count, discarded, from_author, held, show_held
from posthouse.lists.models import HeldPosting
from posthouse.lists.moderation import links
from posthouse.lists.moderation.actions import set_action
from posthouse.lists.moderation.links import ACCEPT, ACTS, BAN, DISCARD, REJECT, RELEASE
from posthouse.lists.moderation.verdict import DEFER
from posthouse.lists.posting import publish, tell_rejected
from posthouse.lists.waiting import expire, summary
from posthouse.message.compose import Attached
from posthouse.message.envelope import NULL_RETURN_PATH

LONGEST_REASON = 4000


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
    """Throw a posting away; nobody is told. For some days `restore` brings it back. `now` in ms. Raises NoSuchHeld."""
    with transaction():
        row = _row(number)
        if not waiting.throw_away(row, by, now):
            raise NoSuchHeld(f"no posting is held under number {number}; it was decided a moment ago")
        maillog.moderated(now, row.item, row.mailing_list.address, "discarded", by)


def restore(number: int, by: str, now: int) -> HeldFacts:
    """Let a discarded posting wait again, as if it had been held now. `now` in milliseconds.

    Raises NoSuchHeld when it was not discarded, or longer ago than `waiting.RESTORABLE`.
    """
    with transaction():
        rows = HeldPosting.everything.filter(pk=number, mailing_list__removed_at=None)
        row = rows.exclude(discarded_at=None).select_related("mailing_list__domain").first()
        changed = {"discarded_at": None, "discarded_by": "", "held_at": moment(now)}
        if row is None or not HeldPosting.everything.filter(pk=number, discarded_at=row.discarded_at).update(**changed):
            raise NoSuchHeld(
                f"no posting was discarded under number {number} in the last {waiting.RESTORABLE.days} days"
            )
        maillog.moderated(now, row.item, row.mailing_list.address, "restored", by)
        return show_held(number)


def ban_author(number: int, by: str, now: int) -> None:
    """Throw a posting away and ban its author from the list. `now` in milliseconds. Raises NoSuchHeld."""
    with transaction():
        row = _row(number)
        if row.author:
            bans.ban(row.author, row.mailing_list_id, by=by, now=now, why=f"held posting: {row.subject}")
        discard(number, by, now)


def accept_author(number: int, by: str, now: int) -> int:
    """Release a posting and let its author's postings pass from now on, like those of members: how many get it.

    The other rules still look at them. `now` in milliseconds. Raises NoSuchHeld.
    """
    with transaction():
        row = _row(number)
        if row.author:
            set_action(row.mailing_list_id, row.author, DEFER)
        return release(number, by, now)


def forward(number: int, to: str, by: str, now: int) -> None:
    """Send a held posting to somebody to look at; it goes on waiting. `now` in ms. Raises NoSuchHeld, BadAddress."""
    try:
        key_of(to)
    except AddressError as error:
        raise BadAddress(f"{to!r} is no address: {error.rule}") from error
    with transaction():
        row = _row(number)
        arrived = _arrived(row)
        values = {"author": row.author, "subject": row.subject or "(no subject)", "reason": row.reason, "by": by}
        attached = [Attached("posting.eml", "message/rfc822", arrived.content)]
        maillog.moderated(now, row.item, row.mailing_list.address, "forwarded", by, to)
        notices.send(row.mailing_list, "forwarded", [to], values, now=now, because=row.item, attachments=attached)


def decide(number: int, act: str, by: str, now: int, reason: str = "") -> None:
    """Do one of `ACTS` to a held posting; `reason` is what a rejected author is told. `now` in milliseconds.

    Raises NoSuchHeld, ListError.
    """
    if act == REJECT:
        reject(number, reason, by, now)
    elif act in _BY_NAME:
        _BY_NAME[act](number, by, now)
    else:
        raise ListError(f"{act!r} is not known; one can {', '.join(ACTS)}")


@dataclass(frozen=True, slots=True)
class Decided:
    """What a batch did: numbers decided, numbers somebody decided before."""

    done: tuple[int, ...]
    gone: tuple[int, ...]


def decide_many(numbers: Iterable[int], act: str, by: str, now: int, reason: str = "") -> Decided:
    """Do the same to several held postings, each by itself. `now` in milliseconds. Raises ListError."""
    done, gone = [], []
    for number in dict.fromkeys(numbers):
        try:
            decide(number, act, by, now, reason)
            done.append(number)
        except NoSuchHeld:
            gone.append(number)
    return Decided(tuple(done), tuple(gone))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a signed link would do: `act` is one of `ACTS`."""

    held: HeldFacts
    act: str


def look_at_token(token: str, now: int) -> Asked:
    """What the link of a notice would do, without doing it. `now` in ms. Raises TokenSpent, NoSuchHeld."""
    link = links.read_link(token)
    if link is None or link.expires_at * 1000 <= now:
        raise TokenSpent("this link is not complete, or it is older than thirty days")
    return Asked(show_held(link.held), link.act)


def act_by_token(token: str, now: int, reason: str = "", by: str = "link in the notice") -> Asked:
    """Do what the link says, once. `now` in ms. Raises TokenSpent, NoSuchHeld, ListError (a reject needs a reason)."""
    with transaction():
        asked = look_at_token(token, now)
        decide(asked.held.id, asked.act, by, now, reason)
        return asked


def _row(number: int) -> HeldPosting:
    rows = HeldPosting.objects.select_related("mailing_list__domain")
    row = rows.filter(pk=number, mailing_list__removed_at=None).first()
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
    return Arrived(
        item=row.item,
        content_id=row.content_id,
        prefix=bytes(row.prefix),
        return_path=row.return_path,
        author_policy=row.author_policy,
    )


_BY_NAME: Mapping[str, Callable[[int, str, int], object]] = {
    RELEASE: release,
    DISCARD: discard,
    BAN: ban_author,
    ACCEPT: accept_author,
}
__all__ = [
    "ACTS", "Asked", "Decided", "HeldFacts", "accept_author", "act_by_token", "ban_author", "count", "decide",
    "decide_many", "discard", "discarded", "expire", "forward", "from_author", "held", "look_at_token", "reject",
    "release", "restore", "show_held", "summary",
]  # fmt: skip
