"""Handing postings out as an mbox (mboxrd) of the very bytes that came; memory holds a few messages at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from django.db import connection

from posthouse.archive.counting import NUMBER_BITS
from posthouse.archive.errors import Gone, NoSuchArchive, NoSuchPosting
from posthouse.archive.obscuring import obscured, obscured_pieces
from posthouse.content import keeping
from posthouse.content.keeping import Body
from posthouse.message.mbox import written

PIECE = 256 * 1024  # bytes that are handed out at once, about
_ROWS = 100
_OCTETS = 1024 * 1024  # read at once, unless one message alone is larger; a larger one is read in pieces of this size


def export(
    address: str, out: BinaryIO, since: int | None = None, thread: str | None = None, *, obscure: bool = False
) -> int:
    """Write the postings of an archive in the order of their dates; how many they were.

    `obscure`: addresses are written for people (`archive.obscuring`); else the very bytes that came are written.

    `since`: only those sent at or after this second; `thread`: only those of the thread with this key, or an older key
    of it, or that of any message in it. Raises NoSuchArchive, NoSuchPosting, Gone.
    """
    count = 0
    for message in _messages(_what(address, thread), since, obscure):
        out.writelines(message)
        count += 1
    return count


def pieces(
    address: str, since: int | None = None, thread: str | None = None, *, obscure: bool = False
) -> Iterator[bytes]:
    """What `export` writes, in pieces of about PIECE; raises as `export` does, before the first piece.

    No transaction is open between two pieces. What is filed meanwhile may be among the later ones.
    """
    return _gathered(_messages(_what(address, thread), since, obscure))


def _gathered(messages: Iterator[Iterator[bytes]]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for message in messages:
        for piece in message:
            gathered.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(gathered)
                gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _messages(what: tuple[str, int], since: int | None, obscure: bool) -> Iterator[Iterator[bytes]]:
    """Each message in its pieces; to be read before the next one is asked for."""
    column, value = what
    last = -1 if since is None else (since << NUMBER_BITS) - 1
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT p.id, p.content_id, p.author_address, p.sent_at, c.size FROM archive_posting p "
                f"JOIN content_content c ON c.id = p.content_id WHERE p.{column} = %s AND p.id > %s "
                "ORDER BY p.id LIMIT %s",
                [value, last, _ROWS],
            )
            rows = _fitting(cursor.fetchall())
        if not rows:
            return
        bodies = keeping.read_many([row[1] for row in rows])
        for _, content, author, sent_at, _ in rows:
            if content in bodies:  # else it was deleted just now
                author = author.replace("@", " at ") if obscure else author
                yield written(_octets(bodies[content], obscure), author, sent_at)
        last = rows[-1][0]


def _octets(body: Body, obscure: bool) -> Iterator[bytes]:
    if body.size <= _OCTETS:
        octets = body.all()
        yield obscured(octets) if obscure else octets
    else:
        yield from obscured_pieces(_lines(body)) if obscure else _lines(body)


def _lines(body: Body) -> Iterator[bytes]:
    """A large message in pieces that end with a line, unless one alone is larger."""
    with body.open() as file:
        rest = b""
        while octets := file.read(_OCTETS):
            octets = rest + octets
            end = octets.rfind(b"\n") + 1 or len(octets)
            yield octets[:end]
            rest = octets[end:]
        if rest:
            yield rest


def _what(address: str, thread: str | None) -> tuple[str, int]:
    with connection.cursor() as cursor:
        return _found(cursor, address, thread)


def _found(cursor: Any, address: str, thread: str | None) -> tuple[str, int]:
    cursor.execute("SELECT id FROM archive_archive WHERE address = %s", [address])
    row = cursor.fetchone()
    if row is None:
        raise NoSuchArchive(address)
    if thread is None:
        return "archive_id", row[0]
    cursor.execute("SELECT thread_id FROM archive_knownid WHERE archive_id = %s AND key = %s", [row[0], thread])
    found = cursor.fetchone()
    if found is None:
        cursor.execute("SELECT 1 FROM archive_tombstone WHERE archive_id = %s AND key = %s", [row[0], thread])
        raise Gone("thread") if cursor.fetchone() else NoSuchPosting("thread")
    return "thread_id", found[0]


def _fitting(rows: list[tuple[int, int, str, int, int]]) -> list[tuple[int, int, str, int, int]]:
    """The first of these rows whose contents together are no more than fits; at least one."""
    octets = 0
    for place, row in enumerate(rows):
        octets += row[4]
        if octets > _OCTETS and place:
            return rows[:place]
    return rows
