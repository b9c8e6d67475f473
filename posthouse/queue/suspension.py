"""A destination as a whole: left alone for a while when none of its hosts answers, or until an operator resumes it.

`now` is in milliseconds since 1970 everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import database, maillog, wake
from posthouse.queue.destinations import numbers_of

SUSPENDED_FOR_GOOD = 1 << 62  # `suspended_until` of what only an operator resumes
SHORTEST, LONGEST = 60_000, 3_600_000  # ms; each failure in a row doubles the time
JITTER = 0.25


@dataclass(frozen=True, slots=True)
class SuspendedDestination:
    """A destination that is left alone; `until` in ms, SUSPENDED_FOR_GOOD: resumed by hand; `waiting` deliveries."""

    name: str
    until: int
    reason: str
    failures: int
    waiting: int


def suspend(destination: int, until: int, reason: str, now: int) -> None:
    """Leave a destination (its number) alone until `until` (ms). An operator's suspension is not shortened."""
    with database.transaction():
        rows = database.fetch(
            "UPDATE queue_destination SET suspended_until = %s, reason = %s WHERE id = %s AND suspended_until < %s "
            "RETURNING name",
            (until, reason[:1000], destination, SUSPENDED_FOR_GOOD),
        )
        for (name,) in rows:
            maillog.suspended(now, name, until, reason)


def suspend_by_name(name: str, reason: str, now: int) -> None:
    """Leave a destination alone until it is resumed, also one that no mail went to yet."""
    name = name.strip().lower()
    with database.transaction():
        number = numbers_of([name])[name]
        database.run(
            "UPDATE queue_destination SET suspended_until = %s, reason = %s WHERE id = %s",
            (SUSPENDED_FOR_GOOD, reason[:1000], number),
        )
        maillog.suspended(now, name, 0, reason)


def resume(name: str, now: int) -> bool:
    """Deliver to a destination again, at once; False when it was not suspended."""
    with database.transaction():
        count = database.run(
            "UPDATE queue_destination SET suspended_until = 0, failures = 0, reason = '' "
            "WHERE name = %s AND suspended_until <> 0",
            (name.strip().lower(),),
        )
        if count:
            maillog.resumed(now, name.strip().lower())
            database.announce(wake.QUEUE)
    return count > 0


def suspended(now: int) -> list[SuspendedDestination]:
    """The destinations that are left alone, those that waits longest last."""
    rows = database.fetch(
        "SELECT p.name, p.suspended_until, p.reason, p.failures, (SELECT count(*) FROM queue_delivery d "
        "WHERE d.destination_id = p.id AND d.claimant IS NULL AND NOT d.given_up) FROM queue_destination p "
        "WHERE p.suspended_until <> 0 AND p.suspended_until > %s ORDER BY p.suspended_until, p.name",
        (now,),
    )
    return [SuspendedDestination(*row) for row in rows]


def destination_failed(destination: int, now: int, reason: str, random: float) -> int:
    """None of a destination's hosts took mail: leave it alone, longer each time (a minute to an hour). `random` from
    0 to 1. Returns until when (ms)."""
    with database.transaction():
        rows = database.fetch(
            "UPDATE queue_destination SET failures = failures + 1 WHERE id = %s RETURNING failures", (destination,)
        )
        failures = rows[0][0] if rows else 1
        wait = min(SHORTEST << min(failures - 1, 10), LONGEST) * (1 - JITTER + 2 * JITTER * random)
        until = now + int(wait)
        suspend(destination, until, reason, now)
    return until


def destination_worked(destination: int, now: int) -> None:
    """A destination took mail: forget its failures. An operator's suspension stays."""
    if not database.fetch("SELECT 1 FROM queue_destination WHERE id = %s AND failures <> 0", (destination,)):
        return  # nearly always: nothing to write
    with database.transaction():
        rows = database.fetch(
            "UPDATE queue_destination SET failures = 0, reason = '', suspended_until = 0 "
            "WHERE id = %s AND failures <> 0 AND suspended_until < %s RETURNING name",
            (destination, SUSPENDED_FOR_GOOD),
        )
        for (name,) in rows:
            maillog.resumed(now, name)
            database.announce(wake.QUEUE)
