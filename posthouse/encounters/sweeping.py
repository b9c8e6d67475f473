"""Removes what is remembered too long, in batches, so that nobody waits long for the writer. Safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence

from posthouse import database

_TABLES = tuple(f"encounters_{one}" for one in ("stranger", "count", "familiar", "standing", "verification"))
_BATCH = 2_000  # rows of one transaction
_BATCHES = 50  # of one sweep and table


def sweep(now: int) -> int:
    """Remove every row whose time is over; `now` in ms. Returns how many."""
    return sum(remove(table, "until <= %s", (now,), _BATCHES) for table in _TABLES)


def remove(table: str, condition: str, parameters: Sequence[object], batches: int = 0) -> int:
    """Remove the rows of a table for which a condition holds, at most so many batches of them (0: all)."""
    removed = done = 0
    while not batches or done < batches:
        if not database.fetch(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1", parameters):
            break
        with database.transaction():
            removed += database.run(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {condition} LIMIT {_BATCH})", parameters
            )
        done += 1
    return removed
