"""Many people at once: added, invited, removed, made the same as a file; with a report, and without doing it first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from posthouse import maillog
from posthouse.address import Address, AddressError, parse
from posthouse.database import transaction
from posthouse.lists import addresses, joining, roster, subscription
from posthouse.lists.errors import JoiningClosed, ListError
from posthouse.lists.models import MEMBER, Membership
from posthouse.lists.roster import Refused
from posthouse.lists.subscription import list_of

Result = TypeVar("Result")
_BATCH = 400
MOST_SHOWN = 1000  # addresses that a report names


@dataclass(frozen=True, slots=True)
class MassReport:
    """What was done, or would be: addresses that were added, invited or removed, how many it left as they were.

    The lists of addresses name the first MOST_SHOWN; the numbers count all.
    """

    added: int = 0
    removed: int = 0
    invited: int = 0
    unchanged: int = 0
    added_addresses: tuple[str, ...] = ()
    removed_addresses: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    dry_run: bool = False


class _Undo(Exception):
    """Ends a dry run: what was done in the savepoint is undone."""


def add(
    mailing_list: int | str, lines: Iterable[str], now: int, *, by: str, welcome: bool = False, dry_run: bool = False
) -> MassReport:
    """Add members from lines of text (see `roster.add_lines`). `welcome`: greet each as the list's setting says.

    `now` in milliseconds. Raises NoSuchList.
    """
    people, refused = _read(lines)
    pk = addresses.list_pk(mailing_list)
    before = _keys_on(pk)
    new = [(name, address) for key, (name, address) in people.items() if key not in before]

    def act() -> int:
        row = list_of(pk, locked=True)
        if welcome:
            return sum(joining.join(row, str(address), name, now, by) for name, address in new)
        added = roster.add_many(pk, [(name, str(address)) for name, address in new]).added
        maillog.subscription(now, 0, row.address, f"{added} addresses", "were added", by)
        return added

    added = _done(act, dry_run)
    return MassReport(
        added=added,
        unchanged=len(people) - added,
        added_addresses=tuple(str(address) for _, address in new[:MOST_SHOWN]),
        refused=refused,
        dry_run=dry_run,
    )


def invite(
    mailing_list: int | str, lines: Iterable[str], now: int, *, by: str, words: str = "", dry_run: bool = False
) -> MassReport:
    """Invite people from lines of text: who answers joins. `now` in milliseconds. Raises NoSuchList."""
    people, refused = _read(lines)
    pk = addresses.list_pk(mailing_list)
    closed: list[Refused] = []
    asked: list[str] = []

    def act() -> int:
        for number, (name, address) in enumerate(people.values(), 1):
            try:
                if subscription.invite(pk, str(address), name, now, by=by, words=words) == subscription.ASKED:
                    asked.append(str(address))
            except JoiningClosed as error:
                closed.append(Refused(number, str(address), str(error)))
        return len(asked)

    invited = _done(act, dry_run)
    return MassReport(
        invited=invited,
        unchanged=len(people) - invited - len(closed),
        added_addresses=tuple(asked[:MOST_SHOWN]),
        refused=(*refused, *closed),
        dry_run=dry_run,
    )


def remove(
    mailing_list: int | str, lines: Iterable[str], now: int, *, by: str, goodbye: bool = False, dry_run: bool = False
) -> MassReport:
    """Remove members from lines of text; who is none counts as unchanged. `goodbye`: say it as the setting says.

    `now` in milliseconds. Raises NoSuchList.
    """
    people, refused = _read(lines)
    pk = addresses.list_pk(mailing_list)
    before = _keys_on(pk)
    gone = {key: str(address) for key, (_, address) in people.items() if key in before}
    removed = _done(lambda: _remove(pk, gone, now, by, goodbye), dry_run)
    return MassReport(
        removed=removed,
        unchanged=len(people) - removed,
        removed_addresses=tuple(list(gone.values())[:MOST_SHOWN]),
        refused=refused,
        dry_run=dry_run,
    )


def sync(mailing_list: int | str, lines: Iterable[str], now: int, *, by: str, dry_run: bool = False) -> MassReport:
    """Make the members the same as the lines of text: who is missing is added, who is not in them removed.

    Nothing is done when a line cannot be read, or when there is none at all: half a file must not empty a list.
    `now` in milliseconds. Raises NoSuchList, ListError.
    """
    people, refused = _read(lines)
    if refused:
        raise ListError(f"line {refused[0].line}: {refused[0].text}: {refused[0].rule}; nothing was changed")
    if not people:
        raise ListError("there is no address in it; nothing was changed")
    pk = addresses.list_pk(mailing_list)
    before = _keys_on(pk)
    new = [(name, address) for key, (name, address) in people.items() if key not in before]
    gone = {key: shown for key, shown in before.items() if key not in people}

    def act() -> tuple[int, int]:
        removed = _remove(pk, gone, now, by, False)
        added = roster.add_many(pk, [(name, str(address)) for name, address in new]).added
        maillog.subscription(now, 0, list_of(pk).address, f"{added} addresses", "were added", by)
        return added, removed

    added, removed = _done(act, dry_run)
    return MassReport(
        added=added,
        removed=removed,
        unchanged=len(before) - removed,
        added_addresses=tuple(str(address) for _, address in new[:MOST_SHOWN]),
        removed_addresses=tuple(list(gone.values())[:MOST_SHOWN]),
        dry_run=dry_run,
    )


def _done(act: Callable[[], Result], dry_run: bool) -> Result:
    """What the act gives; on a dry run everything it did is undone."""
    found: list[Result] = []
    with transaction():
        try:
            with transaction():
                found.append(act())
                if dry_run:
                    raise _Undo
        except _Undo:
            pass
    return found[0]


def _read(lines: Iterable[str]) -> tuple[dict[str, tuple[str, Address]], tuple[Refused, ...]]:
    """(name, address) by key, each once, and the lines that hold no address."""
    people: dict[str, tuple[str, Address]] = {}
    refused: list[Refused] = []
    for line, name, text in roster.people_in(lines):
        try:
            address = parse(text.strip())
        except AddressError as error:
            refused.append(Refused(line, text[:320], error.rule))
            continue
        people.setdefault(address.key, (name, address))
    return people, tuple(refused)


def _keys_on(pk: int) -> dict[str, str]:
    rows = Membership.objects.filter(mailing_list_id=pk, role=MEMBER)
    return dict(rows.values_list("address__key", "address__original"))


def _remove(pk: int, gone: dict[str, str], now: int, by: str, goodbye: bool) -> int:
    row = list_of(pk, locked=True)
    if goodbye:
        return sum(joining.leave(row, key, shown, now, by) for key, shown in gone.items())
    keys, removed = list(gone), 0
    for start in range(0, len(keys), _BATCH):
        rows = Membership.objects.filter(
            mailing_list_id=pk, role=MEMBER, address__key__in=keys[start : start + _BATCH]
        ).values_list("pk", flat=True)
        removed += Membership.objects.filter(pk__in=list(rows)).delete()[1].get("lists.Membership", 0)
    maillog.subscription(now, 0, row.address, f"{removed} addresses", "were removed", by)
    return removed
