"""What was seen of networks and of domains that proved to have sent: counts that decay and that all hosts add to.

Each event is added with a weight that grows with time (doubling in HALF_LIFE), and a sum is divided by the weight of
now when it is read. So the count of what was seen halves in HALF_LIFE, and adding needs no reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from posthouse import database, wake
from posthouse.encounters.errors import EncounterError
from posthouse.encounters.keys import key, network_of

EPOCH = 1_767_225_600_000  # 2026-01-01, ms since 1970; the weights outgrow a float in 2065
HALF_LIFE = 14 * 86_400_000  # ms
KEPT = 13 * HALF_LIFE  # ms; by then a thousand are less than one
# ms; of whom only bad was seen, and only once: whoever has many addresses fills no table with it for half a year.
ONCE_KEPT = 2 * HALF_LIFE


class Sums(NamedTuple):
    """The sums of good and bad, to be divided by `weight_at(now)`; when the first good was seen (ms; 0: long ago)."""

    good: float = 0.0
    bad: float = 0.0
    since: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """How much was seen, as it counts now."""

    whose: str
    good: float
    bad: float


def weight_at(now: int) -> float:
    """What an event at `now` (ms since 1970) is added as."""
    return float(2.0 ** ((now - EPOCH) / HALF_LIFE))


def sums_of(whose: Sequence[str]) -> dict[str, Sums]:
    """What was seen of a few networks or domains; only those known."""
    ids = {key("standing", one): one for one in whose}
    condition, parameter = database.among("id", ids)
    rows = database.fetch(f"SELECT id, good, bad, since FROM encounters_standing WHERE {condition}", (parameter,))
    return {ids[row[0]]: Sums(*row[1:]) for row in rows}


def add(sums: Mapping[str, Sums], now: int) -> None:
    """Add to the sums. Must be called inside a transaction."""
    rows = sorted(
        (
            key("standing", whose),
            whose,
            one.good,
            one.bad,
            one.since,
            now + (KEPT if one.good else ONCE_KEPT),
            now + KEPT,
        )
        for whose, one in sums.items()
    )
    # In the order of their ids: two hosts that saw the same ones wait for each other, never in a circle.
    database.run_many(
        "INSERT INTO encounters_standing AS s (id, whose, good, bad, since, until) VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (id) DO UPDATE SET good = s.good + excluded.good, bad = s.bad + excluded.bad, "
        "since = CASE WHEN s.good > 0 THEN s.since ELSE excluded.since END, until = %s",
        rows,
    )


def worst(now: int, limit: int) -> list[Seen]:
    """Those of whom most bad was seen, worst first."""
    rows = database.fetch("SELECT whose, good, bad FROM encounters_standing ORDER BY bad DESC LIMIT %s", (limit,))
    return [_seen(row, now) for row in rows]


def seen(whose: str, now: int) -> Seen | None:
    """What was seen of one network or domain."""
    sums = sums_of([whose])
    return _seen((whose, *sums[whose][:2]), now) if sums else None


def forget(whose: str) -> str:
    """Forget what was seen of a network, of the network an address is in, or of a domain; returns which that was.

    Running processes forget it at once. Raises EncounterError when nothing was seen.
    """
    with database.transaction():
        for one in (whose, network_of(whose), whose.lower()):
            if database.run("DELETE FROM encounters_standing WHERE id = %s", (key("standing", one),)):
                database.announce(wake.DOOR)
                return one
    raise EncounterError(f"nothing was seen of {whose}")


def _seen(row: tuple[str, float, float], now: int) -> Seen:
    weight = weight_at(now)
    return Seen(row[0], row[1] / weight, row[2] / weight)
