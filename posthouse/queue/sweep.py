"""After a crash and with time: give back what the dead held, remove what nobody needs. Every part is safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import database
from posthouse.content import files
from posthouse.queue.claim import release_dead
from posthouse.queue.outcome import drop_finished

DAY = 86_400_000  # ms
_BATCH = 2_000  # rows of one transaction, so that nobody waits long for the writer
_BATCHES = 50  # of one sweep


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    released: int = 0  # deliveries that came back from dead claimants
    finished: int = 0  # messages without deliveries
    events: int = 0
    files: int = 0
    captured: int = 0


def sweep(now: int, retention_days: int) -> Swept:
    """Sweep; `now` in ms, `retention_days` for events and captured mail."""
    before = now - retention_days * DAY
    return Swept(
        released=release_dead(now) + _release_orphans(),
        finished=_finish(),
        events=_remove_old("queue_event", before),
        files=files.sweep(now / 1000),
        captured=_remove_old("queue_captured", before),
    )


def _release_orphans() -> int:
    """Claims of claimants that are not even registered (a restored backup may hold some)."""
    orphaned = "claimant IS NOT NULL AND NOT EXISTS (SELECT 1 FROM queue_claimant c WHERE c.id = claimant)"
    if not database.fetch(f"SELECT 1 FROM queue_delivery WHERE {orphaned} LIMIT 1"):
        return 0
    with database.transaction():
        return database.run(f"UPDATE queue_delivery SET claimant = NULL WHERE {orphaned}")


def _finish() -> int:
    rows = database.fetch(
        "SELECT id FROM queue_message WHERE NOT EXISTS "
        "(SELECT 1 FROM queue_delivery d WHERE d.message_id = queue_message.id) LIMIT %s",
        (_BATCH,),
    )
    if rows:
        with database.transaction():
            drop_finished(row[0] for row in rows)
    return len(rows)


def _remove_old(table: str, before: int) -> int:
    """Remove rows older than `before` in batches. Ids grow with time, so the oldest are at the beginning."""
    removed = 0
    for _ in range(_BATCHES):
        if not database.fetch(f"SELECT 1 FROM (SELECT at FROM {table} ORDER BY id LIMIT 1) x WHERE at < %s", (before,)):
            break
        with database.transaction():
            count = database.run(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT {_BATCH}) AND at < %s",
                (before,),
            )
        removed += count
        if not count:
            break
    return removed
