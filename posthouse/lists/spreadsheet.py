"""Members as a table (CSV, RFC 4180): the roster with everybody's choices is written out, and read in with a report.

The columns hold what a membership says itself; an empty cell leaves it to the address, the account and the site.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from posthouse import maillog
from posthouse.address import AddressError, parse
from posthouse.database import transaction
from posthouse.directory import preferences
from posthouse.directory.errors import DirectoryError
from posthouse.directory.moments import moment
from posthouse.lists import addresses, roster, topics
from posthouse.lists.errors import ListError
from posthouse.lists.models import BY_BOUNCES, BY_MODERATOR, MEMBER, MailingList, Membership
from posthouse.lists.roster import ROLES, Refused
from posthouse.lists.subscription import list_of
from posthouse.message.words import encode_phrase

SWITCHES: Final = ("receive_own_postings", "receive_list_copy", "acknowledge_posts", "hide_address")
CHOICES: Final = ("delivery_status", "delivery_mode", *SWITCHES, "preferred_language")
COLUMNS: Final = (
    "address", "display_name", "role", *CHOICES, "moderation_action", "topics", "receive_nonmatching_topics",
    "joined_at",
)  # fmt: skip
MOST_ROWS: Final = 1_000_000
_ALSO: Final[Mapping[str, str]] = {
    "email": "address", "e-mail": "address", "email address": "address", "name": "display_name",
    "nickname": "display_name",
}  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t")  # with which a cell would begin to calculate in a spreadsheet
_OWN: Final = ("address__original", "address__display_name", "role", *CHOICES, "moderation_action")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What reading a table in did, or would do. `ignored`: columns that say nothing here."""

    added: int
    changed: int
    unchanged: int
    refused: tuple[Refused, ...]
    ignored: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    address: str
    name: str
    role: str
    values: Mapping[str, Any]
    topics: tuple[str, ...] | None
    nonmatching: bool

    @property
    def kept(self) -> tuple[tuple[str, Any], ...]:
        """What its membership is set to."""
        if self.topics is None:
            return tuple(self.values.items())
        topics = (("topics", "\n".join(["", *self.topics, ""])), ("receive_nonmatching_topics", self.nonmatching))
        return (*self.values.items(), *topics)


class _Undo(Exception):
    """Ends a dry run: what was done in the savepoint is undone."""


class _Line:
    """A file for the csv module that holds one line at a time."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Keep the line."""
        self.text = text
        return len(text)


def written(mailing_list: int | str, role: str = MEMBER) -> Iterator[str]:
    """The lines of the table of a role ("": of all), the headings first, by address. Raises NoSuchList, ListError."""
    if role and role not in ROLES:
        raise ListError(f"{role!r} is not a role; known are {', '.join(ROLES)}")
    rows = Membership.objects.filter(mailing_list_id=addresses.list_pk(mailing_list))
    if role:
        rows = rows.filter(role=role)
    return _lines(rows.order_by("address__key", "role"))


def plain(mailing_list: int | str, role: str = MEMBER) -> Iterator[str]:
    """One line for each address of a role ("": of all), with the name before it, as `roster.add_lines` reads it."""
    rows = Membership.objects.filter(mailing_list_id=addresses.list_pk(mailing_list))
    if role:
        rows = rows.filter(role=role)
    found = rows.order_by("address__key").values_list("address__original", "address__display_name").distinct()
    for address, name in found.iterator(chunk_size=2000):
        yield f"{encode_phrase(name)} <{address}>\n" if name.isascii() and name else f"{address}\n"


def _lines(rows: Any) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(COLUMNS)
    yield line.text
    wanted = (*_OWN, "topics", "receive_nonmatching_topics", "joined_at")
    for *own, chosen, nonmatching, joined in rows.values_list(*wanted).iterator(chunk_size=2000):
        cells = [_cell(value) for value in own]
        named = "; ".join(name for name in chosen.split("\n") if name)
        writer.writerow([*cells, _safe(named), "yes" if nonmatching else "", f"{joined:%Y-%m-%d}"])
        yield line.text


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _safe("" if value is None else str(value))


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula; reading it in takes the apostrophe off."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_in(
    mailing_list: int | str,
    lines: Iterable[str],
    now: int,
    *,
    by: str,
    update: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Add everybody in a table whose first line names its columns (at least `address`), with their choices.

    Who is on the list already stays as they are, or with `update` gets the choices of the table too. Rows that are
    not right are reported and left out. `now` in milliseconds. Raises NoSuchList, ListError (no such heading).
    """
    reader = csv.reader((line.removeprefix("\ufeff") for line in lines), skipinitialspace=True)
    headings = [_heading(text) for text in next(reader, [])]
    if "address" not in headings:
        raise ListError("the first line of the table must name its columns, and one of them is `address`")
    found: list[tuple[int, int, int, tuple[Refused, ...]]] = []
    with transaction():
        pk = addresses.list_pk(mailing_list)
        row = list_of(pk, locked=True)
        try:
            with transaction():
                found.append(_taken(row, reader, headings, now, update, progress))
                if dry_run:
                    raise _Undo
        except _Undo:
            pass
        added, changed, unchanged, refused = found[0]
        if not dry_run:
            maillog.subscription(now, 0, row.address, f"{added} addresses", "were added from a table", by)
    ignored = tuple(dict.fromkeys(name for name in headings if name and name not in COLUMNS))
    return ImportReport(added, changed, unchanged, refused, ignored, dry_run)


def _heading(text: str) -> str:
    name = text.strip().lower()
    return _ALSO.get(name, name)


def _taken(
    row: MailingList, reader: Any, headings: Sequence[str], now: int, update: bool,
    progress: Callable[[int], None] | None,
) -> tuple[int, int, int, tuple[Refused, ...]]:  # fmt: skip
    """(added, changed, unchanged, refused)."""
    refused: list[Refused] = []
    known = {name.casefold(): name for name in topics.names(row)}
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    waiting: list[_Row] = []

    def file() -> None:
        for name, number in _filed(row.pk, waiting, now, update).items():
            counts[name] += number
        waiting.clear()

    try:
        for number, cells in enumerate(reader, 1):
            if number > MOST_ROWS:
                raise ListError(f"a table has at most {MOST_ROWS} rows")
            if not any(cell.strip() for cell in cells):
                continue
            given = {name: _plain(cell) for name, cell in zip(headings, cells, strict=False)}
            try:
                waiting.append(_read(reader.line_num, given, known, now))
            except (AddressError, ListError, DirectoryError) as error:
                rule = error.rule if isinstance(error, AddressError) else str(error)
                refused.append(Refused(reader.line_num, ",".join(cells)[:320], rule))
            if len(waiting) >= 500:
                file()
                if progress:
                    progress(number)
    except csv.Error as error:
        raise ListError(f"line {reader.line_num} is no CSV: {error}") from error
    file()
    return counts["added"], counts["changed"], counts["unchanged"], tuple(refused)


def _plain(cell: str) -> str:
    text = cell.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _read(line: int, given: Mapping[str, str], known: Mapping[str, str], now: int) -> _Row:
    address = parse(given.get("address", ""))
    role = given.get("role", "") or MEMBER
    if role not in ROLES:
        raise ListError(f"{role!r} is not a role; known are {', '.join(ROLES)}")
    values: dict[str, Any] = {}
    for name in CHOICES:
        text = given.get(name, "")
        if name == "delivery_status" and text in (BY_BOUNCES, BY_MODERATOR):
            values[name] = text
            if text == BY_BOUNCES:  # the warnings of this list begin
                values |= {"bounce_stopped_at": moment(now), "bounce_due_at": moment(now)}
        elif text:
            values[name] = preferences.parsed(name, text)
    action = given.get("moderation_action", "")
    roster.refuse_unknown_action(action)
    if action:
        values["moderation_action"] = action
    chosen = None
    if given.get("topics"):
        chosen = tuple(dict.fromkeys(one.strip().casefold() for one in given["topics"].split(";") if one.strip()))
        strange = [name for name in chosen if name not in known]
        if strange:
            raise ListError(f"the list has no topic {strange[0]!r}; it has {', '.join(known.values()) or 'none'}")
    nonmatching = given.get("receive_nonmatching_topics", "").lower() in ("yes", "true", "on", "1")
    return _Row(line, str(address), given.get("display_name", ""), role, values, chosen, nonmatching)


def _filed(pk: int, rows: Sequence[_Row], now: int, update: bool) -> dict[str, int]:
    """How many of these rows were added, changed and left as they were."""
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    for role in dict.fromkeys(one.role for one in rows):
        people = {parse(one.address).key: one for one in rows if one.role == role}
        before = set(
            Membership.objects.filter(mailing_list_id=pk, role=role, address__key__in=list(people)).values_list(
                "address__key", flat=True
            )
        )
        new = [one for key, one in people.items() if key not in before]
        counts["added"] += roster.add_many(pk, [(one.name, one.address) for one in new], role=role).added
        kept = [key for key in people if key in before]
        counts["changed" if update else "unchanged"] += len(kept)
        alike: dict[tuple[tuple[str, Any], ...], list[str]] = {}  # most rows of a table choose the same
        for key, one in people.items():
            if one.kept and (update or key not in before):
                alike.setdefault(one.kept, []).append(key)
        for values, keys in alike.items():
            rows_of = Membership.objects.filter(mailing_list_id=pk, role=role, address__key__in=keys)
            rows_of.update(**dict(values))
    return counts
