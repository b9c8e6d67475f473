"""What the archive's pages ask: every function costs a fixed, small number of statements, whatever it finds."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection

from posthouse.archive.counting import NUMBER_BITS, first_second
from posthouse.archive.errors import Gone, NoSuchArchive, NoSuchPosting
from posthouse.archive.render import blocks, obscure
from posthouse.archive.rows import marks, select_in
from posthouse.archive.tree import Leaf, Place, ordered
from posthouse.archive.views import (
    ArchiveFacts,
    AttachmentFacts,
    FeedView,
    MonthCount,
    MonthView,
    Neighbour,
    Posting,
    PostingView,
    ThreadEntry,
    ThreadLine,
    ThreadsView,
    ThreadView,
)
from posthouse.content import keeping
from posthouse.content.keeping import Body

THREADS_ON_PAGE = 50
ENTRIES_ON_PAGE = 100
MAX_PAGE = 100_000
MAX_TREE = 5_000  # postings; a thread with more is shown by date, one page of it read
MAX_ANSWERS = 100
_TEXT_IN_THREAD, _TEXT_ALONE = 64_000, 1_000_000  # characters of a text that are shown

_ARCHIVE = (
    "a.id, a.address, a.display_name, a.description, a.policy, a.postings, a.last_at, a.version, "
    "a.obscure_addresses, a.rendering"
)
_POSTING = (
    "p.key, p.message_id, p.parent_key, p.by_subject, p.variant, p.author_name, p.author_address, p.sent_at, "
    'p."offset", p.filed_at, p.subject, p.attachments, substr(x.body, 1, %s)'
)


def archives(allowed: Collection[str] | None = None) -> list[ArchiveFacts]:
    """The archives with these addresses (None: all of them), the most lately active first."""
    with connection.cursor() as cursor:
        if allowed is None:
            cursor.execute(f"SELECT {_ARCHIVE} FROM archive_archive a")
            rows = cursor.fetchall()
        else:
            rows = select_in(cursor, f"SELECT {_ARCHIVE} FROM archive_archive a WHERE a.address IN", [], set(allowed))
    return sorted((ArchiveFacts(*row) for row in rows), key=lambda facts: (-facts.last_at, facts.address))


def archive(address: str) -> ArchiveFacts:
    """The archive of a list. Raises NoSuchArchive."""
    with connection.cursor() as cursor:
        return _archive(cursor, address)


def _archive(cursor: Any, address: str) -> ArchiveFacts:
    cursor.execute(f"SELECT {_ARCHIVE} FROM archive_archive a WHERE a.address = %s", [address])
    row = cursor.fetchone()
    if row is None:
        raise NoSuchArchive(address)
    return ArchiveFacts(*row)


def months(address: str) -> list[MonthCount]:
    """The months that have postings, the newest first. Raises NoSuchArchive."""
    with connection.cursor() as cursor:
        facts = _archive(cursor, address)
        cursor.execute(
            "SELECT month, postings FROM archive_month WHERE archive_id = %s AND postings > 0 ORDER BY month DESC",
            [facts.id],
        )
        return [_month(row) for row in cursor.fetchall()]


def _month(row: tuple[int, int]) -> MonthCount:
    return MonthCount(row[0] // 12, row[0] % 12 + 1, row[1])


def latest_threads(address: str, page: int = 1, size: int = THREADS_ON_PAGE) -> ThreadsView:
    """Threads, the one with the latest posting first. Raises NoSuchArchive."""
    page = min(max(page, 1), MAX_PAGE)
    with connection.cursor() as cursor:
        facts = _archive(cursor, address)
        cursor.execute(
            "SELECT id, postings FROM archive_thread WHERE archive_id = %s "
            "ORDER BY last_at DESC, id DESC LIMIT %s OFFSET %s",
            [facts.id, size + 1, (page - 1) * size],
        )
        rows = cursor.fetchall()
        return ThreadsView(facts, _lines(cursor, facts, rows[:size]), page, len(rows) > size)


def month(address: str, year: int, month: int, page: int = 1, size: int = THREADS_ON_PAGE) -> MonthView:
    """Threads that were active in a month (UTC), the latest first. Raises NoSuchArchive, NoSuchPosting."""
    if not (1970 <= year <= 9999 and 1 <= month <= 12):
        raise NoSuchPosting("month")
    number = 12 * year + month - 1
    with connection.cursor() as cursor:
        facts = _archive(cursor, address)
        cursor.execute(
            "SELECT thread_id, COUNT(*) FROM archive_posting WHERE archive_id = %s AND id >= %s AND id < %s "
            "GROUP BY thread_id ORDER BY MAX(id) DESC",
            [facts.id, first_second(number) << NUMBER_BITS, first_second(number + 1) << NUMBER_BITS],
        )
        rows = cursor.fetchall()
        pages = max(1, -(-len(rows) // size))
        page = min(max(page, 1), pages)
        lines = _lines(cursor, facts, rows[(page - 1) * size : page * size])
        return MonthView(
            facts, year, month, sum(row[1] for row in rows), lines, len(rows), page, pages,
            _month_beside(cursor, facts.id, number, "<", "DESC"), _month_beside(cursor, facts.id, number, ">", "ASC"),
        )  # fmt: skip


def _month_beside(cursor: Any, archive: int, number: int, relation: str, order: str) -> MonthCount | None:
    cursor.execute(
        f"SELECT month, postings FROM archive_month WHERE archive_id = %s AND month {relation} %s AND postings > 0 "
        f"ORDER BY month {order} LIMIT 1",
        [archive, number],
    )
    row = cursor.fetchone()
    return _month(row) if row else None


def _lines(cursor: Any, archive: ArchiveFacts, rows: Sequence[tuple[int, int]]) -> tuple[ThreadLine, ...]:
    """The threads of these (id, count) rows, in this order, with their first and last authors."""
    if not rows:
        return ()
    ids = [row[0] for row in rows]
    cursor.execute(
        f"SELECT id, key, subject, started_at, last_at, postings FROM archive_thread WHERE id IN ({marks(ids)})", ids
    )
    threads = {row[0]: row[1:] for row in cursor.fetchall()}
    cursor.execute(
        "SELECT thread_id, author_name, author_address FROM archive_posting WHERE id IN ("
        f"SELECT MIN(id) FROM archive_posting WHERE thread_id IN ({marks(ids)}) GROUP BY thread_id UNION ALL "
        f"SELECT MAX(id) FROM archive_posting WHERE thread_id IN ({marks(ids)}) GROUP BY thread_id) ORDER BY id",
        ids + ids,
    )
    authors: dict[int, list[tuple[str, str]]] = {}
    for thread, name, address in cursor.fetchall():
        authors.setdefault(thread, []).append(_person(archive, name, address))
    lines = []
    for number, recent in rows:
        if number not in threads or number not in authors:
            continue  # it was deleted or merged since
        key, subject, started_at, last_at, postings = threads[number]
        (name, address), (last_name, last_address) = authors[number][0], authors[number][-1]
        lines.append(
            ThreadLine(
                key,
                _shown(archive, subject),
                name,
                address,
                last_name or last_address,
                started_at,
                last_at,
                postings,
                recent,
            )
        )
    return tuple(lines)


def thread(address: str, key: str, page: int = 1, size: int = ENTRIES_ON_PAGE) -> ThreadView:
    """A thread, found by its own key, an older one, or that of any message in it.

    Raises NoSuchArchive, NoSuchPosting, Gone.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_ARCHIVE}, t.id, t.key, t.subject, t.started_at, t.last_at, t.postings FROM archive_archive a "
            "JOIN archive_knownid k ON k.archive_id = a.id JOIN archive_thread t ON t.id = k.thread_id "
            "WHERE a.address = %s AND k.key = %s",
            [address, key],
        )
        row = cursor.fetchone()
        if row is None:
            raise _missing(cursor, address, key, "thread")
        facts = ArchiveFacts(*row[:10])
        number, own_key, subject, started_at, last_at, postings = row[10:]
        absent: dict[str, str] = {}
        authors = 0
        if postings > MAX_TREE:
            pages = -(-postings // size)
            page = min(max(page, 1), pages)
            places, heads = _by_date(cursor, facts, number, size, (page - 1) * size)
        else:
            places, heads, absent = _order(cursor, facts, number)
            pages = max(1, -(-len(places) // size))
            page = min(max(page, 1), pages)
            places = places[(page - 1) * size : page * size]
            authors = len({head.author_name for head in heads.values()})
        entries = _entries(cursor, facts, places, heads, absent)
        return ThreadView(
            facts, own_key, _shown(facts, subject), started_at, last_at, postings, authors, entries, page, pages,
            _thread_beside(cursor, facts, last_at, number, ">", "ASC"),
            _thread_beside(cursor, facts, last_at, number, "<", "DESC"),
        )  # fmt: skip


def _order(cursor: Any, archive: ArchiveFacts, thread: int) -> tuple[list[Place], dict[str, Neighbour], dict[str, str]]:
    """The thread's places, the heads of its postings, and the Message-IDs of what is missing."""
    cursor.execute(
        "SELECT id, key, parent_key, by_subject, subject, author_name, author_address FROM archive_posting "
        "WHERE thread_id = %s",
        [thread],
    )
    leaves, heads = [], {}
    for number, key, parent, by_subject, subject, name, author in cursor.fetchall():
        leaves.append(Leaf(number, key, parent, bool(by_subject)))
        heads[key] = _neighbour(archive, key, subject, name, author)
    cursor.execute("SELECT key, parent_key, message_id FROM archive_knownid WHERE thread_id = %s", [thread])
    rows = [row for row in cursor.fetchall() if row[0] not in heads]
    places = ordered(leaves, {key: parent for key, parent, _ in rows})
    return places, heads, {key: message_id for key, _, message_id in rows}


def _by_date(
    cursor: Any, archive: ArchiveFacts, thread: int, most: int, skip: int
) -> tuple[list[Place], dict[str, Neighbour]]:
    """A page of a very long thread."""
    cursor.execute(
        "SELECT key, subject, author_name, author_address FROM archive_posting WHERE thread_id = %s "
        "ORDER BY id LIMIT %s OFFSET %s",
        [thread, most, skip],
    )
    rows = cursor.fetchall()
    heads = {row[0]: _neighbour(archive, *row) for row in rows}
    return [Place(key, 0, "", False) for key in heads], heads


def _entries(
    cursor: Any, archive: ArchiveFacts, places: Sequence[Place], heads: dict[str, Neighbour], absent: dict[str, str]
) -> tuple[ThreadEntry, ...]:
    keys = [place.key for place in places if not place.missing]
    rows = select_in(
        cursor,
        f"SELECT {_POSTING} FROM archive_posting p JOIN archive_text x ON x.posting_id = p.id "
        "WHERE p.archive_id = %s AND p.key IN",
        [_TEXT_IN_THREAD + 1, archive.id],
        keys,
    )
    postings = {row[0]: _posting(row, _TEXT_IN_THREAD, archive) for row in rows}
    return tuple(
        ThreadEntry(
            place.key, place.depth, postings.get(place.key), heads.get(place.parent_key), absent.get(place.key, "")
        )
        for place in places
    )


def _posting(row: Sequence[Any], most: int, archive: ArchiveFacts) -> Posting:
    rows = json.loads(row[11]) if row[11] else ()
    files = tuple(AttachmentFacts(one[0], _shown(archive, one[1]), *one[2:]) for one in rows)
    body = row[12]
    cut = len(body) > most
    body = body[:most] if cut else body
    name, author, subject, body = (_shown(archive, text) for text in (row[5], row[6], row[10], body))
    return Posting(
        row[0], row[1], row[2], bool(row[3]), bool(row[4]), name, author, row[7], row[8], row[9], subject, files,
        blocks(body, archive.rendering), cut,
    )  # fmt: skip


def _shown(archive: ArchiveFacts, text: str) -> str:
    """A text as the pages of the archive show it."""
    return obscure(text) if archive.obscured else text


def _person(archive: ArchiveFacts, name: str, address: str) -> tuple[str, str]:
    """Who wrote, where one word must do: of a hidden address its first half."""
    return (obscure(name), address.partition("@")[0]) if archive.obscured else (name, address)


def _neighbour(archive: ArchiveFacts, key: str, subject: str, name: str, address: str) -> Neighbour:
    name, address = _person(archive, name, address)
    return Neighbour(key, _shown(archive, subject), name or address)


def _thread_beside(
    cursor: Any, archive: ArchiveFacts, at: int, number: int, relation: str, order: str
) -> Neighbour | None:
    cursor.execute(
        f"SELECT key, subject FROM archive_thread WHERE archive_id = %s AND (last_at, id) {relation} (%s, %s) "
        f"ORDER BY last_at {order}, id {order} LIMIT 1",
        [archive.id, at, number],
    )
    row = cursor.fetchone()
    return _neighbour(archive, row[0], row[1], "", "") if row else None


def _missing(cursor: Any, address: str, key: str, what: str) -> Gone | NoSuchPosting:
    facts = _archive(cursor, address)
    cursor.execute("SELECT 1 FROM archive_tombstone WHERE archive_id = %s AND key = %s", [facts.id, key])
    return Gone(what) if cursor.fetchone() else NoSuchPosting(what)


def posting(address: str, key: str) -> PostingView:
    """One posting with its neighbours. Raises NoSuchArchive, NoSuchPosting, Gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_POSTING}, {_ARCHIVE}, p.id, p.thread_id, t.key, t.subject, t.postings FROM archive_archive a "
            "JOIN archive_posting p ON p.archive_id = a.id JOIN archive_thread t ON t.id = p.thread_id "
            "JOIN archive_text x ON x.posting_id = p.id WHERE a.address = %s AND p.key = %s",
            [_TEXT_ALONE + 1, address, key],
        )
        row = cursor.fetchone()
        if row is None:
            raise _missing(cursor, address, key, "message")
        facts = ArchiveFacts(*row[13:23])
        found = _posting(row, _TEXT_ALONE, facts)
        number, thread, thread_key, thread_subject, postings = row[23:]
        cursor.execute(
            "SELECT key, subject, author_name, author_address, parent_key FROM archive_posting "
            "WHERE thread_id = %s AND (key = %s OR parent_key = %s) AND key <> %s ORDER BY id LIMIT %s",
            [thread, found.parent_key, key, key, MAX_ANSWERS],
        )
        around = [(_neighbour(facts, *one[:4]), one[4]) for one in cursor.fetchall()]
        return PostingView(
            facts, found, thread_key, _shown(facts, thread_subject), postings,
            next((one for one, _ in around if one.key == found.parent_key), None),
            tuple(one for one, parent in around if parent == key),
            _posting_beside(cursor, facts, number, ">", "ASC"),
            _posting_beside(cursor, facts, number, "<", "DESC"),
        )  # fmt: skip


def _posting_beside(cursor: Any, archive: ArchiveFacts, number: int, relation: str, order: str) -> Neighbour | None:
    cursor.execute(
        "SELECT key, subject, author_name, author_address FROM archive_posting "
        f"WHERE archive_id = %s AND id {relation} %s ORDER BY id {order} LIMIT 1",
        [archive.id, number],
    )
    row = cursor.fetchone()
    return _neighbour(archive, *row) if row else None


def content_of(address: str, key: str) -> Body:
    """The exact bytes of a posting. Raises NoSuchArchive, NoSuchPosting, Gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.content_id FROM archive_archive a JOIN archive_posting p ON p.archive_id = a.id "
            "WHERE a.address = %s AND p.key = %s",
            [address, key],
        )
        row = cursor.fetchone()
        if row is None:
            raise _missing(cursor, address, key, "message")
    return keeping.read(row[0])


def feed(address: str, number: int = 30, thread: str | None = None) -> FeedView:
    """The newest postings of an archive, or of one of its threads (named by any key). Raises as `thread`."""
    with connection.cursor() as cursor:
        facts = _archive(cursor, address)
        where, parameters, subject = "p.archive_id = %s", [facts.id], ""
        if thread is not None:
            cursor.execute(
                "SELECT t.id, t.subject FROM archive_knownid k JOIN archive_thread t ON t.id = k.thread_id "
                "WHERE k.archive_id = %s AND k.key = %s",
                [facts.id, thread],
            )
            row = cursor.fetchone()
            if row is None:
                raise _missing(cursor, address, thread, "thread")
            where, parameters, subject = "p.thread_id = %s", [row[0]], row[1]
        cursor.execute(
            f"SELECT {_POSTING}, t.key FROM archive_posting p JOIN archive_text x ON x.posting_id = p.id "
            f"JOIN archive_thread t ON t.id = p.thread_id WHERE {where} ORDER BY p.id DESC LIMIT %s",
            [_TEXT_IN_THREAD + 1, *parameters, min(max(number, 1), 100)],
        )
        entries = tuple((row[13], _posting(row, _TEXT_IN_THREAD, facts)) for row in cursor.fetchall())
        return FeedView(facts, _shown(facts, subject), entries)
