"""Finding postings: what `query` read is asked of the database's own index, and the hits are made ready to show.

What is found is what is filed: the index is written and cleared in the same transactions as the postings. One module
per database speaks its index's language; both search the same words (see `folding`).

By date the newest come first and the index is read only as far as the page needs; totals are counted up to MOST_COUNTED
("1,000+"). By rank, the newest RANKED matches are weighed against each other (bm25, subjects count most), so that a
common word in a large archive stays cheap.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import connection

from posthouse.archive import across, search_postgresql, search_sqlite
from posthouse.archive.counting import NUMBER_BITS
from posthouse.archive.models import PUBLIC
from posthouse.archive.query import Query, parse
from posthouse.archive.render import obscure
from posthouse.archive.rows import marks, select_in
from posthouse.archive.snippets import LOOKED_THROUGH, Segments, snippet
from posthouse.database import transaction

MOST_COUNTED = 1_000
RANKED = 2_000
MOST_PAGES = 400
MOST_SIZE = 100
MOST_SCOPES = 40  # archives named to the index; among more, hits are looked up in the table


@dataclass(frozen=True, slots=True)
class Text:
    """What is searched of a posting."""

    posting: int
    subject: str
    author: str
    recipients: str
    body: str
    files: str
    scope: str
    author_address: str = ""
    recipient_addresses: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One posting that was found. Times in seconds, `offset` in minutes east of UTC, as the author wrote."""

    archive: str
    key: str
    thread_key: str
    subject: str
    author_name: str
    author_address: str
    sent_at: int
    offset: int
    attachments: int
    snippet: Segments


@dataclass(frozen=True, slots=True)
class Results:
    """A page of hits; `total` is exact unless `more`, then there are at least so many."""

    hits: tuple[Hit, ...]
    total: int
    more: bool
    page: int
    size: int
    complaints: tuple[str, ...]
    query: Query

    @property
    def pages(self) -> int:
        """How many pages of hits can be turned to."""
        return min(MOST_PAGES, max(1, -(-self.total // self.size)))


class Engine(Protocol):
    """What each database's module offers."""

    def add(self, cursor: Any, texts: Sequence[Text]) -> None:
        """Write texts with their index; ids ascend."""

    def settle(self, cursor: Any) -> None:
        """Put the index in order after much was written."""

    def newest(self, cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
        """Ids of postings, newest first."""

    def best(self, cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
        """Ids of postings, the best match first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query for a database: `scopes` are words of the index, `archives` numbers (None: all), ids from and below.

    `seen` are the scopes of the archives in which addresses are searched, too; None: in all of them.
    """

    query: Query
    scopes: tuple[str, ...]
    archives: tuple[int, ...] | None
    low: int | None
    high: int | None
    seen: tuple[str, ...] | None = None
    hidden: tuple[int, ...] = ()  # the archives in which they are not


def scope_of(archive: int, attachment: bool) -> str:
    """The words by which the index knows a posting's archive and whether it has attachments."""
    return f"{archive_word(archive)} {WITH_FILE}" if attachment else archive_word(archive)


def archive_word(archive: int) -> str:
    """The index's word for an archive; no person's word can mean it, since it stands in a column of its own."""
    return f"a{archive}"


WITH_FILE = "withfile"


def engine() -> Engine:
    """The module for the database that is in use now."""
    return search_sqlite if connection.vendor == "sqlite" else search_postgresql


def add(cursor: Any, texts: Sequence[Text]) -> None:
    """Write the texts of new postings; they are found from the commit on. Ids should ascend."""
    engine().add(cursor, texts)


def settle() -> None:
    """After much was filed: let the database put its index in order and learn how its words are spread."""
    with transaction(), connection.cursor() as cursor:
        engine().settle(cursor)


def search(
    text: str,
    archives: Sequence[str] | None,
    sort: str = "date",
    page: int = 1,
    size: int = 25,
    *,
    sees: Callable[[str], bool] | None = None,
) -> Results:
    """Search the archives with these addresses (None: every one there is); `sort` is "date" or "rank".

    `sees` says of an archive's address whether addresses that its pages hide may be found there; None: everywhere.
    Never fails for what was typed: `complaints` says what was not understood. Five statements, whatever is found.
    """
    query = parse(text)
    size = min(max(size, 1), MOST_SIZE)
    page = min(max(page, 1), MOST_PAGES)
    with connection.cursor() as cursor:
        wanted = None if query.empty else _wanted(cursor, query, archives, sees)
        if wanted is None:
            return Results((), 0, False, 1, size, query.complaints, query)
        by_rank = sort == "rank"
        if wanted.hidden and across.needed(query):
            return _looked_at(cursor, wanted, by_rank, page, size)
        found = engine().newest(cursor, wanted, max(RANKED, MOST_COUNTED + 1) if by_rank else MOST_COUNTED + 1, 0)
        total, more = min(len(found), MOST_COUNTED), len(found) > MOST_COUNTED
        start = (page - 1) * size
        if by_rank:
            if len(found) >= RANKED:
                wanted = replace(wanted, low=found[RANKED - 1])
            ids = engine().best(cursor, wanted, size, start) if start < len(found) else []
        elif start + size <= len(found) or not more:
            ids = found[start : start + size]
        else:
            ids = engine().newest(cursor, wanted, size, start)
            total = max(total, start + len(ids))
        return Results(_hits(cursor, ids, query), total, more, page, size, query.complaints, query)


def _looked_at(cursor: Any, wanted: Wanted, by_rank: bool, page: int, size: int) -> Results:
    """The results of words in a row where addresses are hidden: the first few, each of them looked at."""
    query = wanted.query
    ids = (engine().best if by_rank else engine().newest)(cursor, wanted, across.LOOKED_AT + 1, 0)
    left = across.left(cursor, ids[: across.LOOKED_AT], query, wanted.hidden)
    more = len(ids) > across.LOOKED_AT and bool(left)
    start = (page - 1) * size
    return Results(
        _hits(cursor, left[start : start + size], query), len(left), more, page, size, query.complaints, query
    )


def _wanted(
    cursor: Any, query: Query, archives: Sequence[str] | None, sees: Callable[[str], bool] | None
) -> Wanted | None:
    """The query with the archives it may look into, or None when there are none."""
    facts = "SELECT id, address, policy, obscure_addresses FROM archive_archive"
    some: list[int] | None = None
    rows: list[tuple[Any, ...]] = []
    if archives is not None:
        rows = select_in(cursor, f"{facts} WHERE address IN", [], set(archives))
    elif query.lists or query.without_lists or sees is not None:
        cursor.execute(facts)
        rows = cursor.fetchall()
    rows = [row for row in rows if _named(row[1], query)]
    if archives is not None or query.lists or query.without_lists:
        some = [row[0] for row in rows]
        if not some:
            return None
    hidden = tuple(row[0] for row in rows if row[2] == PUBLIC and row[3] and sees is not None and not sees(row[1]))
    unseen = set(hidden)
    seen = tuple(archive_word(row[0]) for row in rows if row[0] not in unseen) if hidden else None
    low = None if query.after is None else query.after << NUMBER_BITS
    high = None if query.before is None else query.before << NUMBER_BITS
    if some is not None and len(some) <= MOST_SCOPES:
        return Wanted(query, tuple(archive_word(number) for number in some), None, low, high, seen, hidden)
    return Wanted(query, (), tuple(some) if some is not None else None, low, high, seen, hidden)


def _named(address: str, query: Query) -> bool:
    if any(part in address for part in query.without_lists):
        return False
    return not query.lists or any(part in address for part in query.lists)


def _hits(cursor: Any, ids: Sequence[int], query: Query) -> tuple[Hit, ...]:
    if not ids:
        return ()
    cursor.execute(
        "SELECT p.id, a.address, p.key, t.key, p.subject, p.author_name, p.author_address, p.sent_at, "
        'p."offset", p.attachments, substr(x.body, 1, %s), a.policy, a.obscure_addresses FROM archive_posting p '
        "JOIN archive_archive a ON a.id = p.archive_id "
        "JOIN archive_thread t ON t.id = p.thread_id JOIN archive_text x ON x.posting_id = p.id "
        f"WHERE p.id IN ({marks(ids)})",
        [LOOKED_THROUGH, *ids],
    )
    terms = [term for group in query.wanted for term in group]
    hits: dict[int, Hit] = {}
    for number, address, key, thread, subject, name, author, sent_at, offset, files, text, *who in cursor.fetchall():
        attached = len(json.loads(files)) if files else 0
        if who[0] == PUBLIC and who[1]:  # as on the pages of the archive: see ArchiveFacts.obscured
            text, subject, name, author = obscure(text), obscure(subject), obscure(name), author.partition("@")[0]
        hits[number] = Hit(address, key, thread, subject, name, author, sent_at, offset, attached, snippet(text, terms))
    return tuple(hits[number] for number in ids if number in hits)
