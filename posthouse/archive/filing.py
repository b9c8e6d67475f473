"""Keeping postings: `file` (one, as a list distributes it) and `file_many` (the same for a whole batch).

A posting is named by its Message-ID-Hash, so its permalink can be told before it is filed and survives every move.
The same message twice is one posting. Other bytes under a Message-ID that is kept already (a list's second copy, a
broken mailer) are kept too, marked as a variant, under a key made of these bytes: so nothing is lost, no permalink
changes its meaning, and an import run twice adds nothing. A message without Message-ID gets one made of its bytes.

Everything an act writes, the search index included, is one transaction: a crash leaves all of it or nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db import connection

from posthouse.archive import search
from posthouse.archive.archives import SLOTS, lock, open_archive, remove_archive, rename_archive, update_archive
from posthouse.archive.counting import NUMBER_BITS, count, month_of
from posthouse.archive.deleting import delete_posting, delete_thread
from posthouse.archive.errors import NoSuchArchive
from posthouse.archive.folding import apart, topic
from posthouse.archive.rows import clean, select_in
from posthouse.archive.threads import Board, Thread, chain_of, hash_of
from posthouse.content import keeping
from posthouse.database import transaction
from posthouse.message.parsing import Reading

__all__ = [
    "Filed",
    "Item",
    "delete_posting",
    "delete_thread",
    "file",
    "file_many",
    "judge",
    "key_of",
    "open_archive",
    "permalink",
    "remove_archive",
    "rename_archive",
    "update_archive",
]

_IN_SLOT = 1 << (NUMBER_BITS - 10)
_TOMORROW = 86_400
_MAX_SUBJECT, _MAX_NAME, _MAX_ID = 1_000, 300, 998


@dataclass(frozen=True, slots=True)
class Item:
    """One message to file. `digest` is the SHA-256 of its bytes; `dated` stands in for a missing Date (seconds)."""

    content_id: int
    digest: bytes
    reading: Reading
    filed_at: int
    dated: int | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    """Where a message is kept. `new` is false when it was there before, and when `deleted`: it was removed for good."""

    key: str
    thread_key: str
    posting_id: int
    new: bool
    variant: bool = False
    deleted: bool = False


@dataclass(slots=True)
class _Row:
    """A posting on its way into the tables."""

    item: Item
    key: str
    message_id: str
    sent_at: int
    variant: bool
    beside: str = ""
    id: int = 0
    thread: Thread | None = None
    by_subject: bool = False
    parent_key: str = ""


def permalink(base_url: str, address: str, key: str) -> str:
    """The lasting address of a posting; `key` is its Message-ID-Hash."""
    return f"{base_url.rstrip('/')}/archives/{address}/message/{key}/"


def key_of(reading: Reading, digest: bytes) -> str:
    """The key under which a message is filed, as long as no other bytes came under its Message-ID before."""
    return hash_of(_message_id(reading, digest))


def file(archive_address: str, content_id: int, reading: Reading, filed_at: int) -> Filed:
    """Keep one message (its content takes one more use when it is new). Safe to repeat. Raises NoSuchArchive."""
    with transaction():
        with connection.cursor() as cursor:
            cursor.execute("SELECT digest FROM content_content WHERE id = %s", [content_id])
            (digest,) = cursor.fetchone()
        [filed] = file_many(archive_address, [Item(content_id, bytes(digest), reading, filed_at)])
        if filed.new:
            keeping.use(content_id)
    return filed


def file_many(archive_address: str, items: Sequence[Item]) -> list[Filed]:
    """Keep a batch, in order. The uses of contents are the caller's: every `new` one must have been given one.

    Raises NoSuchArchive. A few hundred items are the right size: memory and the length of the transaction grow with it.
    """
    with transaction(), connection.cursor() as cursor:
        archive = lock(cursor, archive_address)
        filed: list[Filed | None] = [None] * len(items)
        rows: list[_Row] = []
        places: list[int] = []
        for place, found in enumerate(_sorted_out(cursor, archive, items)):
            if isinstance(found, Filed):
                filed[place] = found
            else:
                rows.append(found)
                places.append(place)
        if rows:
            _keep(cursor, archive, rows)
        for place, row in zip(places, rows, strict=True):
            assert row.thread is not None
            filed[place] = Filed(row.key, row.thread.final.key, row.id, True, row.variant)
        return _with_threads(cursor, archive, filed)


def judge(archive_address: str, items: Sequence[tuple[Reading, bytes]], seen: dict[str, int]) -> list[Filed]:
    """What filing these (reading, SHA-256 of the bytes) would do; nothing is kept. Raises NoSuchArchive.

    `seen` remembers the batches judged before, so that a whole file can be.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM archive_archive WHERE address = %s", [archive_address])
        archive = cursor.fetchone()
        if archive is None:
            raise NoSuchArchive(archive_address)
        digests = {digest for _, digest in items}
        contents = {
            bytes(digest): number
            for digest, number in select_in(
                cursor, "SELECT digest, id FROM content_content WHERE digest IN", [], digests
            )
        }
        stand_ins = [
            Item(contents.get(digest, -int.from_bytes(digest[:7], "big")), digest, reading, 0)
            for reading, digest in items
        ]
        results = []
        for found in _sorted_out(cursor, archive[0], stand_ins, seen):
            if isinstance(found, Filed):
                results.append(found)
            else:
                results.append(Filed(found.key, "", 0, True, found.variant))
                seen[found.key] = found.item.content_id
        return results


def _message_id(reading: Reading, digest: bytes) -> str:
    return (reading.message_id or "")[:_MAX_ID] or made_up_id(digest)


def made_up_id(digest: bytes) -> str:
    """The Message-ID of a message that came without one (`message.identity.made_up_message_id`, from the digest)."""
    return f"{digest.hex()[:40]}@posthouse.invalid"


def _sorted_out(
    cursor: Any, archive: int, items: Sequence[Item], seen: Mapping[str, int] = MappingProxyType({})
) -> list[_Row | Filed]:
    """For each item: a row to write, or where it is kept already; `seen` are the contents of more keys."""
    ids = [_message_id(item.reading, item.digest) for item in items]
    keys = [hash_of(message_id) for message_id in ids]
    kept = _kept(cursor, archive, set(keys))
    kept.update((key, (seen[key], 0)) for key in set(keys) if key in seen)
    # Only where other bytes came under the same Message-ID does the key made of the bytes matter
    others: dict[int, str] = {}
    coming: dict[str, int] = {}
    for place, (item, key) in enumerate(zip(items, keys, strict=True)):
        before = kept[key][0] if key in kept else coming.setdefault(key, item.content_id)
        if before != item.content_id:
            others[place] = hash_of(made_up_id(item.digest))
    if others:
        kept.update(_kept(cursor, archive, set(others.values())))
        kept.update((key, (seen[key], 0)) for key in others.values() if key in seen)
    removed = _removed(cursor, archive, {*keys, *others.values()})
    results: list[_Row | Filed] = []
    for place, (item, message_id, key) in enumerate(zip(items, ids, keys, strict=True)):
        row: _Row | Filed
        other = others.get(place, "")
        if key in removed or other in removed:
            row = Filed(key, "", 0, new=False, deleted=True)
        elif key not in kept:
            row = _Row(item, key, message_id, _sent_at(item), variant=False)
            kept[key] = (item.content_id, 0)
        elif kept[key][0] == item.content_id:
            row = Filed(key, "", kept[key][1], new=False)
        elif other in kept:
            row = Filed(other, "", kept[other][1], new=False, variant=True)
        else:
            row = _Row(item, other, message_id, _sent_at(item), variant=True, beside=key)
            kept[other] = (item.content_id, 0)
        results.append(row)
    return results


def _kept(cursor: Any, archive: int, keys: set[str]) -> dict[str, tuple[int, int]]:
    """The kept ones of these keys: (content, posting)."""
    rows = select_in(
        cursor, "SELECT key, content_id, id FROM archive_posting WHERE archive_id = %s AND key IN", [archive], keys
    )
    return {key: (content, posting) for key, content, posting in rows}


def _removed(cursor: Any, archive: int, keys: set[str]) -> set[str]:
    rows = select_in(cursor, "SELECT key FROM archive_tombstone WHERE archive_id = %s AND key IN", [archive], keys)
    return {row[0] for row in rows}


def _sent_at(item: Item) -> int:
    """The date to show and sort by: what the author wrote, unless it is missing or lies in the future."""
    stated = item.reading.sent_at
    if stated is None or stated > item.filed_at + _TOMORROW:
        stated = item.dated if item.dated is not None and item.dated <= item.filed_at else item.filed_at
    return max(stated, 0)


def _keep(cursor: Any, archive: int, rows: list[_Row]) -> None:
    chains = [chain_of(row.key, row.item.reading.references, row.item.reading.in_reply_to) for row in rows]
    keys = {row.key for row in rows} | {row.beside for row in rows if row.beside}
    keys.update(key for chain in chains for key, _ in chain)
    loose = [topic(row.item.reading.subject) for row, chain in zip(rows, chains, strict=True) if not chain]
    board = Board(archive)
    board.load(cursor, keys, {name for name, answer in loose if answer}, min(row.sent_at for row in rows))
    for row, chain in zip(rows, chains, strict=True):
        subject = clean(row.item.reading.subject, _MAX_SUBJECT)
        row.thread, row.by_subject = board.place(row.key, subject, row.sent_at, chain, row.beside)
        row.parent_key = chain[-1][0] if chain else ""
    board.write(cursor)
    _number(cursor, archive, rows)
    ordered = sorted(rows, key=lambda row: row.id)  # the search index takes ascending ids many times faster
    cursor.executemany(_INSERT_POSTING, [_posting(archive, row) for row in ordered])
    search.add(cursor, [_text(archive, row) for row in ordered])
    count(cursor, archive, Counter(month_of(row.id >> NUMBER_BITS) for row in rows), max(row.sent_at for row in rows))


def _number(cursor: Any, archive: int, rows: list[_Row]) -> None:
    """Give each row its id: its second, the archive's slot, then the next free number; a full second spills over."""
    slot = (archive % SLOTS) * _IN_SLOT
    taken: set[int] = set()
    wanted: dict[int, int] = {}
    for row in rows:  # guess that no posting of these seconds is kept yet ...
        second = row.sent_at
        while wanted.get(second, 0) >= _IN_SLOT:
            second += 1
        wanted[second] = wanted.get(second, 0) + 1
        row.id = (second << NUMBER_BITS) + slot + wanted[second] - 1
    taken = {row.id for row in rows}  # ... and move those on whose guess was wrong
    clashes = {found[0] for found in select_in(cursor, "SELECT id FROM archive_posting WHERE id IN", [], taken)}
    for row in rows:
        if row.id in clashes:
            row.id = _next_free(cursor, row.id >> NUMBER_BITS, slot, taken)
            taken.add(row.id)


def _next_free(cursor: Any, second: int, slot: int, taken: set[int]) -> int:
    while True:
        low = (second << NUMBER_BITS) + slot
        cursor.execute("SELECT MAX(id) FROM archive_posting WHERE id BETWEEN %s AND %s", [low, low + _IN_SLOT - 1])
        (highest,) = cursor.fetchone()
        candidate = low if highest is None else highest + 1
        while candidate in taken:
            candidate += 1
        if candidate < low + _IN_SLOT:
            return int(candidate)
        second += 1


_INSERT_POSTING = (
    "INSERT INTO archive_posting (id, archive_id, thread_id, message_id, key, parent_key, by_subject, variant, "
    'content_id, sent_at, "offset", filed_at, author_name, author_address, subject, attachments) '
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def _posting(archive: int, row: _Row) -> tuple[Any, ...]:
    reading, item = row.item.reading, row.item
    assert row.thread is not None
    attachments = [[one.number, one.filename, one.content_type, one.size] for one in reading.attachments]
    return (
        row.id, archive, row.thread.final.id, clean(row.message_id, _MAX_ID), row.key, row.parent_key, row.by_subject,
        row.variant, item.content_id, row.sent_at, reading.sent_offset or 0 if row.sent_at == reading.sent_at else 0,
        item.filed_at, clean(reading.author_name, _MAX_NAME), clean(reading.author_address, _MAX_NAME),
        clean(reading.subject, _MAX_SUBJECT), clean(json.dumps(attachments)) if attachments else "",
    )  # fmt: skip


def _text(archive: int, row: _Row) -> search.Text:
    reading = row.item.reading
    name, more = apart(reading.author_name)
    recipients, addresses = apart(reading.recipients_text)
    return search.Text(
        row.id,
        clean(reading.subject, _MAX_SUBJECT),
        clean(name, _MAX_NAME),
        clean(recipients),
        clean(reading.text),
        clean(" ".join(one.filename for one in reading.attachments)),
        search.scope_of(archive, bool(reading.attachments)),
        clean(f"{reading.author_address} {more}".strip(), 2 * _MAX_NAME),
        clean(addresses),
    )


def _with_threads(cursor: Any, archive: int, filed: Sequence[Filed | None]) -> list[Filed]:
    """Fill in the thread keys (and ids within the batch) of those that were kept before."""
    missing = {one.key for one in filed if one and not one.new and not one.deleted}
    rows = select_in(
        cursor,
        "SELECT p.key, p.id, t.key FROM archive_posting p JOIN archive_thread t ON t.id = p.thread_id "
        "WHERE p.archive_id = %s AND p.key IN",
        [archive],
        missing,
    )
    known = {key: (posting, thread) for key, posting, thread in rows}
    complete = []
    for one in filed:
        assert one is not None
        if one.key in known and not one.new:
            posting, thread = known[one.key]
            one = Filed(one.key, thread, posting, False, one.variant)
        complete.append(one)
    return complete
