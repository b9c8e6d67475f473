"""Claims: a delivery process takes deliveries for a while, so that several processes and hosts work one queue.

A claimant renews its lease as long as it lives. When it dies its claims come back to the queue: at once when the next
process begins in the same place, else as soon as anybody claims after the lease has ended. The attempts it had begun
stay counted (where nobody knows which began: all it had claimed), and a message that takes its deliverer down again and
again is tried less and less often. Times in milliseconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from posthouse import database, maillog
from posthouse.queue.destinations import domain_of
from posthouse.queue.errors import ClaimantGone

LEASE = 30_000
_LOOK_AHEAD = 4  # due rows looked at, by time, for each row wanted
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """What all deliveries of a message share. What leaves is `prefix`, then the content."""

    item: int
    content_id: int
    prefix: bytes
    return_path: str
    received_at: int
    origin: str
    list_id: int | None
    body8: bool
    smtputf8: bool
    envelope_id: str
    ret: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery that is ours to attempt until the lease ends; `attempts` counts this one too."""

    id: int
    message: QueuedMessage
    recipient: str
    destination: int
    domain: str
    attempts: int
    warned: bool
    notify: str | None
    original_recipient: str | None
    claimant: int = 0


def register(name: str, now: int, lease: int = LEASE) -> int:
    """Begin to be a claimant (`name`: place:pid, see `release_gone`) for `lease` ms from now; returns its id."""
    with database.transaction():
        row = database.fetch(
            "INSERT INTO queue_claimant (name, alive_until) VALUES (%s, %s) RETURNING id", (name[:255], now + lease)
        )
    return int(row[0][0])


def renew(claimant: int, now: int, lease: int = LEASE) -> None:
    """Stay alive for another `lease` ms. Raises ClaimantGone when others have taken the claims meanwhile."""
    with database.transaction():
        if not database.run("UPDATE queue_claimant SET alive_until = %s WHERE id = %s", (now + lease, claimant)):
            raise ClaimantGone("This delivery process was silent for too long; its claims were given back.")


def retire(claimant: int) -> None:
    """Stop being a claimant: what it still holds goes back at once, as not tried."""
    with database.transaction():
        database.run(
            "UPDATE queue_delivery SET claimant = NULL, attempts = attempts - 1 WHERE claimant = %s", (claimant,)
        )
        database.run("DELETE FROM queue_claimant WHERE id = %s", (claimant,))


def release_unheard(claimant: int, held: Collection[int]) -> int:
    """Give back what this claimant has claimed without knowing it, as not tried; returns how many deliveries.

    The database can take a claim, or lose the end of one, and be gone before its answer is heard. `held`: the
    deliveries that the claimant does know of.
    """
    known = set(held)
    rows = database.fetch("SELECT id FROM queue_delivery WHERE claimant = %s", (claimant,))
    unheard = [number for (number,) in rows if number not in known]
    if not unheard:
        return 0
    condition, parameter = database.among("id", unheard)
    with database.transaction():
        return database.run(
            f"UPDATE queue_delivery SET claimant = NULL, attempts = attempts - 1 WHERE {condition} AND claimant = %s",
            (parameter, claimant),
        )


def release_gone(
    place: str,
    is_gone: Callable[[int], bool],
    now: int,
    begun: Callable[[int], Collection[int] | None] = lambda claimant: None,
) -> int:
    """Give back at once what processes of `place` (named place:pid) held that are gone: their lease need not end.

    `begun` tells which deliveries a claimant had begun, None where nobody knows: all others go back as not tried.
    Returns how many deliveries came back. An empty place knows nothing of processes.
    """
    gone = [
        number
        for number, name in (database.fetch("SELECT id, name FROM queue_claimant") if place else ())
        if (of := name.removeprefix(f"{place}:")) != name and of.isdecimal() and is_gone(int(of))
    ]
    if not gone:
        return 0
    with database.transaction():
        known = [(number, begun(number)) for number in gone]
        back = sum(release_unheard(number, held) for number, held in known if held is not None)
        condition, parameter = database.among("id", gone)
        database.run(f"UPDATE queue_claimant SET alive_until = 0 WHERE {condition}", (parameter,))
        return back + release_dead(now)


def release_dead(now: int) -> int:
    """Give back the claims of claimants whose lease has ended; returns how many deliveries came back.

    From its third attempt on a delivery that comes back so waits a minute for each attempt: it may be what kills.
    """
    if not database.fetch("SELECT 1 FROM queue_claimant WHERE alive_until < %s LIMIT 1", (now,)):
        return 0
    skip = "" if database.is_sqlite() else " FOR UPDATE SKIP LOCKED"
    with database.transaction():
        dead = [row[0] for row in database.fetch(
            "SELECT id FROM queue_claimant WHERE alive_until < %s ORDER BY id" + skip, (now,)
        )]  # fmt: skip
        count = 0
        for claimant in dead:
            count += database.run(
                "UPDATE queue_delivery SET claimant = NULL, "
                "next_attempt = CASE WHEN attempts < 3 THEN next_attempt ELSE %s + attempts * 60000 END "
                "WHERE claimant = %s",
                (now, claimant),
            )
            database.run("DELETE FROM queue_claimant WHERE id = %s", (claimant,))
    return count


def claim(claimant: int, now: int, most: int, per_destination: int, full: Collection[int] = ()) -> list[Claimed]:
    """Take at most `most` due deliveries, at most `per_destination` of one destination, none of those in `full`.

    Suspended destinations are left alone. The attempt is counted in the same transaction, before anything is dialled.
    Raises ClaimantGone.
    """
    with database.transaction():
        _prove_life(claimant, now)
        release_dead(now)
        barred = set(full) | _suspended(now).keys()
        taken: list[tuple[Any, ...]] = []
        for others_near in [False] + [not database.is_sqlite()] * (_ROUNDS - 1):
            counts = Counter(row[2] for row in taken)
            skip = " FOR UPDATE SKIP LOCKED" if others_near else ""
            chosen = _choose(now, most - len(taken), per_destination, barred, counts, skip)
            if not chosen:
                break
            rows = _take(claimant, chosen)
            taken += rows
            if len(rows) == len(chosen) or len(taken) >= most:
                break  # else another claimant had some of them first (PostgreSQL): look for others
        return _described(claimant, taken, now)


def _prove_life(claimant: int, now: int) -> None:
    """Whoever claims is alive: as long as nobody took its claims, a lease about to end is renewed here."""
    row = database.fetch("SELECT alive_until FROM queue_claimant WHERE id = %s", (claimant,))
    if not row:
        raise ClaimantGone("This delivery process is not registered, or was silent for too long.")
    if row[0][0] < now + LEASE // 2:
        renew(claimant, now)


def _suspended(now: int) -> dict[int, int]:
    """Destinations that must be left alone, and until when."""
    return dict(
        database.fetch(
            "SELECT id, suspended_until FROM queue_destination WHERE suspended_until <> 0 AND suspended_until > %s",
            (now,),
        )
    )


def _choose(now: int, most: int, per_destination: int, barred: set[int], counts: Counter[int], skip: str) -> list[int]:
    """The ids of due deliveries: the earliest first, and when more is due than we look at, fair over destinations."""
    for limit in (most, most * _LOOK_AHEAD + 50):  # mostly the first look is enough
        due = database.fetch(
            "SELECT id, destination_id FROM queue_delivery WHERE claimant IS NULL AND NOT given_up "
            "AND next_attempt <= %s ORDER BY next_attempt LIMIT %s" + skip,
            (now, limit),
        )
        chosen: list[int] = []
        here = counts.copy()
        for delivery, destination in due:
            if destination not in barred and here[destination] < per_destination:
                here[destination] += 1
                chosen.append(delivery)
                if len(chosen) == most:
                    return chosen
        if len(due) < limit:
            return chosen
    _choose_by_destination(now, most, per_destination, barred, here, skip, chosen)
    return chosen


def _choose_by_destination(
    now: int, most: int, per_destination: int, barred: set[int], counts: Counter[int], skip: str, chosen: list[int]
) -> None:
    """Fill up `chosen` with an even share of every destination that has something due."""
    seen = set(chosen)
    places = [place for place in _destinations_due(now) if place not in barred and counts[place] < per_destination]
    turn = now % len(places) if places else 0  # so that it is not always the same ones that come first
    for number, place in enumerate(places[turn:] + places[:turn]):
        share = max(1, (most - len(chosen)) // (len(places) - number))
        room = min(per_destination - counts[place], share)
        rows = database.fetch(
            "SELECT id FROM queue_delivery WHERE claimant IS NULL AND NOT given_up AND destination_id = %s "
            "AND next_attempt <= %s ORDER BY next_attempt LIMIT %s" + skip,
            (place, now, room + counts[place]),
        )
        fresh = [row[0] for row in rows if row[0] not in seen][:room]
        counts[place] += len(fresh)
        chosen += fresh
        if len(chosen) >= most:
            break


def _destinations_due(now: int) -> Iterable[int]:
    """The destinations that have something due, found by skipping through the index from one to the next."""
    following = (
        "SELECT destination_id FROM queue_delivery WHERE claimant IS NULL AND NOT given_up "
        "AND destination_id > {after} ORDER BY destination_id LIMIT 1"
    )
    rows = database.fetch(
        "WITH RECURSIVE place(id) AS ("
        f"SELECT ({following.format(after=-1)}) UNION ALL "
        f"SELECT ({following.format(after='place.id')}) FROM place WHERE place.id IS NOT NULL) "
        "SELECT place.id FROM place WHERE place.id IS NOT NULL AND EXISTS (SELECT 1 FROM queue_delivery d WHERE "
        "d.claimant IS NULL AND NOT d.given_up AND d.destination_id = place.id AND d.next_attempt <= %s)",
        (now,),
    )
    return [row[0] for row in rows]


def _take(claimant: int, ids: list[int]) -> list[tuple[Any, ...]]:
    if not database.is_sqlite():  # rows another claimant is taking at this moment are left to it
        # (by id alone: with more conditions the planner walks a partial index instead)
        rows = database.fetch(
            "SELECT id, claimant, given_up FROM queue_delivery WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED", (ids,)
        )
        ids = [row[0] for row in rows if row[1] is None and not row[2]]
    condition, parameter = database.among("id", ids)
    return database.fetch(
        f"UPDATE queue_delivery SET claimant = %s, attempts = attempts + 1 WHERE {condition} "
        "RETURNING id, message_id, destination_id, recipient, attempts, warned, notify, original_recipient",
        (claimant, parameter),
    )


def _described(claimant: int, rows: list[tuple[Any, ...]], now: int) -> list[Claimed]:
    """The claims with their messages, each message read once.

    A delivery whose message is gone (no act leaves one; a damaged database may) is dropped, with a word in the maillog:
    it must not stop the others.
    """
    if not rows:
        return []
    messages = messages_of({row[1] for row in rows})
    condition, parameter = database.among("id", {row[2] for row in rows})
    names = dict(database.fetch(f"SELECT id, name FROM queue_destination WHERE {condition}", (parameter,)))
    for row in rows:
        if row[1] not in messages:
            database.run("DELETE FROM queue_delivery WHERE id = %s", (row[0],))
            maillog.failed(now, row[1], row[3], "queue", "the message of this delivery is not in the database")
    rows.sort()
    return [
        Claimed(row[0], messages[row[1]], row[3], row[2], names.get(row[2]) or domain_of(row[3]), row[4], bool(row[5]),
                row[6], row[7], claimant)
        for row in rows if row[1] in messages
    ]  # fmt: skip


def messages_of(items: Iterable[int]) -> dict[int, QueuedMessage]:
    """The queued messages with these queue ids."""
    condition, parameter = database.among("id", items)
    rows = database.fetch(
        "SELECT id, content_id, prefix, return_path, received_at, origin, list_id, body8, smtputf8, envelope_id, ret "
        f"FROM queue_message WHERE {condition}",
        (parameter,),
    )
    return {
        row[0]: QueuedMessage(row[0], row[1], bytes(row[2]), row[3], row[4], row[5], row[6], bool(row[7]),
                              bool(row[8]), row[9], row[10])
        for row in rows
    }  # fmt: skip


def next_due(now: int, full: Collection[int] = ()) -> int | None:
    """When the next delivery is due (ms; at or before `now`: at once), leaving out `full` and suspended destinations
    until their suspension ends; None when nothing waits."""
    rows = database.fetch(
        "SELECT next_attempt, destination_id FROM queue_delivery WHERE claimant IS NULL AND NOT given_up "
        "ORDER BY next_attempt LIMIT 50"
    )
    suspended = _suspended(now)
    barred = set(full)
    times = [max(at, suspended.get(place, 0)) for at, place in rows if place not in barred]
    known = len(rows) < 50 or any(place not in barred and place not in suspended for _, place in rows)
    return min(times, default=None) if known else _next_due_by_destination(barred, suspended)


def _next_due_by_destination(barred: set[int], suspended: dict[int, int]) -> int | None:
    """The slow way, when the earliest all belong to destinations that must wait."""
    times: list[int] = []
    for (place,) in database.fetch(
        "SELECT id FROM queue_destination p WHERE EXISTS (SELECT 1 FROM queue_delivery d WHERE d.claimant IS NULL "
        "AND NOT d.given_up AND d.destination_id = p.id)"
    ):
        if place in barred:
            continue
        ((at,),) = database.fetch(
            "SELECT min(next_attempt) FROM queue_delivery WHERE claimant IS NULL AND NOT given_up "
            "AND destination_id = %s",
            (place,),
        )
        if at is not None:
            times.append(max(at, suspended.get(place, 0)))
    return min(times, default=None)
