"""Taking postings out: gone from pages, search, feeds and exports with the commit; no import brings them back."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from posthouse.archive.archives import lock
from posthouse.archive.counting import NUMBER_BITS, count, month_of
from posthouse.archive.errors import Gone, NoSuchPosting
from posthouse.archive.rows import marks
from posthouse.content import keeping
from posthouse.database import transaction


def delete_posting(archive: str, key: str, now: int) -> None:
    """Delete one posting at `now` (seconds since 1970); its thread goes with its last one.

    Raises NoSuchArchive, NoSuchPosting, Gone.
    """
    with transaction(), connection.cursor() as cursor:
        number = lock(cursor, archive)
        cursor.execute(
            "SELECT id, key, thread_id, content_id FROM archive_posting WHERE archive_id = %s AND key = %s",
            [number, key],
        )
        row = cursor.fetchone()
        if row is None:
            raise _missing(cursor, number, key, "message")
        _delete(cursor, number, row[2], [row], now)


def delete_thread(archive: str, key: str, now: int) -> int:
    """Delete a whole thread, named by any of its keys; how many postings went. Raises as `delete_posting`."""
    with transaction(), connection.cursor() as cursor:
        number = lock(cursor, archive)
        cursor.execute("SELECT thread_id FROM archive_knownid WHERE archive_id = %s AND key = %s", [number, key])
        found = cursor.fetchone()
        if found is None:
            raise _missing(cursor, number, key, "thread")
        cursor.execute("SELECT id, key, thread_id, content_id FROM archive_posting WHERE thread_id = %s", [found[0]])
        rows = cursor.fetchall()
        _delete(cursor, number, found[0], rows, now)
        return len(rows)


def _missing(cursor: Any, archive: int, key: str, what: str) -> Gone | NoSuchPosting:
    cursor.execute("SELECT 1 FROM archive_tombstone WHERE archive_id = %s AND key = %s", [archive, key])
    return Gone(what) if cursor.fetchone() else NoSuchPosting(what)


def _delete(cursor: Any, archive: int, thread: int, rows: list[tuple[int, str, int, int]], now: int) -> None:
    ids = [row[0] for row in rows]
    for start in range(0, len(ids), 1_000):
        some = ids[start : start + 1_000]
        cursor.execute(f"DELETE FROM archive_text WHERE posting_id IN ({marks(some)})", some)
        cursor.execute(f"DELETE FROM archive_posting WHERE id IN ({marks(some)})", some)
    cursor.executemany(
        "INSERT INTO archive_tombstone (archive_id, key, deleted_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [(archive, row[1], now) for row in rows],
    )
    _shrink(cursor, thread)
    months = Counter(month_of(number >> NUMBER_BITS) for number in ids)
    count(cursor, archive, Counter({month: -many for month, many in months.items()}), None)
    keeping.release([row[3] for row in rows])


def _shrink(cursor: Any, thread: int) -> None:
    """Count the thread anew, or remove it when it is empty: its key was a posting's, so it answers "gone"."""
    cursor.execute("SELECT COUNT(*), MIN(sent_at), MAX(sent_at) FROM archive_posting WHERE thread_id = %s", [thread])
    left, first, last = cursor.fetchone()
    if left:
        cursor.execute(
            "UPDATE archive_thread SET postings = %s, started_at = %s, last_at = %s WHERE id = %s",
            [left, first, last, thread],
        )
        return
    cursor.execute("DELETE FROM archive_knownid WHERE thread_id = %s", [thread])
    cursor.execute("DELETE FROM archive_thread WHERE id = %s", [thread])
