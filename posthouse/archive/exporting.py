"""Handing postings out as an mbox (mboxrd) of the very bytes that came; memory holds a few messages at a time."""

from __future__ import annotations

from typing import Any, BinaryIO

from django.db import connection

from posthouse.archive.counting import NUMBER_BITS
from posthouse.archive.errors import Gone, NoSuchArchive, NoSuchPosting
from posthouse.archive.obscuring import obscured
from posthouse.content import keeping
from posthouse.message.mbox import write_message

_ROWS = 100
_OCTETS = 4 * 1024 * 1024  # read at once, unless one message alone is larger


def export(
    address: str, out: BinaryIO, since: int | None = None, thread: str | None = None, *, obscure: bool = False
) -> int:
    """Write the postings of an archive in the order of their dates; how many they were.

    `obscure`: addresses are written for people (`archive.obscuring`); else the very bytes that came are written.

    `since`: only those sent at or after this second; `thread`: only those of the thread with this key, or an older key
    of it, or that of any message in it. Raises NoSuchArchive, NoSuchPosting, Gone.
    """
    with connection.cursor() as cursor:
        column, value = _what(cursor, address, thread)
        last = -1 if since is None else (since << NUMBER_BITS) - 1
        written = 0
        while True:
            cursor.execute(
                "SELECT p.id, p.content_id, p.author_address, p.sent_at, c.size FROM archive_posting p "
                f"JOIN content_content c ON c.id = p.content_id WHERE p.{column} = %s AND p.id > %s "
                "ORDER BY p.id LIMIT %s",
                [value, last, _ROWS],
            )
            rows = _fitting(cursor.fetchall())
            if not rows:
                return written
            bodies = keeping.read_many([row[1] for row in rows])
            for _, content, author, sent_at, _ in rows:
                if content in bodies:  # else it was deleted just now
                    octets = bodies[content].all()
                    if obscure:
                        octets, author = obscured(octets), author.replace("@", " at ")
                    write_message(out, octets, author, sent_at)
                    written += 1
            last = rows[-1][0]


def _what(cursor: Any, address: str, thread: str | None) -> tuple[str, int]:
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
