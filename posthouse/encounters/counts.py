"""Counters that decay and that all processes and hosts add to: how much came in this window and in the one before.

A rate is what is in the window that slides: all of the present one, and of the one before the part that the sliding
window still covers. So a counter is forgotten within two windows, whatever it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from posthouse import database, wake
from posthouse.encounters.keys import key, storable
from posthouse.encounters.sweeping import remove


class Rate(NamedTuple):
    """What is counted: how many (`most`) of `what` by or for `whose`, in a window of so many `seconds`."""

    whose: str
    what: str
    most: int
    seconds: int

    @property
    def id(self) -> int:
        """The number of its row."""
        return key("count", self.whose, self.what, str(self.seconds))


@dataclass(frozen=True, slots=True)
class Addition:
    """So many more (`count`) of a rate, in the window with the number `slot`."""

    rate: Rate
    slot: int
    count: int


@dataclass(frozen=True, slots=True)
class Total:
    """What all processes counted together: in the window `slot` and in the one before."""

    slot: int
    fresh: int
    earlier: int


def add_many(additions: Sequence[Addition]) -> dict[int, Total]:
    """Add to the counters; the totals by the rates' ids. Must be called inside a transaction.

    Rows are written in the order of their ids, so that hosts which count the same never wait for each other in a
    circle. An addition to a window that is over goes where that window is by now.
    """
    ordered = sorted(additions, key=lambda one: (one.rate.id, one.slot))
    database.run_many(
        "INSERT INTO encounters_count AS c (id, whose, what, seconds, slot, fresh, earlier, until) "
        "VALUES (%s, %s, %s, %s, %s, %s, 0, %s) ON CONFLICT (id) DO UPDATE SET "
        "earlier = CASE WHEN excluded.slot = c.slot + 1 THEN c.fresh WHEN excluded.slot > c.slot THEN 0 "
        "WHEN excluded.slot = c.slot - 1 THEN c.earlier + excluded.fresh ELSE c.earlier END, "
        "fresh = CASE WHEN excluded.slot = c.slot THEN c.fresh + excluded.fresh "
        "WHEN excluded.slot > c.slot THEN excluded.fresh ELSE c.fresh END, "
        "slot = CASE WHEN excluded.slot > c.slot THEN excluded.slot ELSE c.slot END, "
        "until = CASE WHEN excluded.until > c.until THEN excluded.until ELSE c.until END",
        [
            (one.rate.id, storable(one.rate.whose), one.rate.what, one.rate.seconds, one.slot, one.count,
             (one.slot + 2) * one.rate.seconds * 1000)
            for one in ordered
        ],
    )  # fmt: skip
    return totals(one.rate.id for one in ordered)


def totals(ids: Iterable[int]) -> dict[int, Total]:
    """What is counted under these ids."""
    wanted = sorted(set(ids))
    found: dict[int, Total] = {}
    for start in range(0, len(wanted), 5_000):
        condition, parameter = database.among("id", wanted[start : start + 5_000])
        for number, slot, fresh, earlier in database.fetch(
            f"SELECT id, slot, fresh, earlier FROM encounters_count WHERE {condition}", (parameter,)
        ):
            found[number] = Total(slot, fresh, earlier)
    return found


def rate_at(now: float, seconds: int, total: Total) -> float:
    """How many are in the window that ends `now` (seconds since 1970)."""
    slot = int(now // seconds)
    part = now / seconds - slot
    if total.slot == slot:
        return total.fresh + total.earlier * (1.0 - part)
    if total.slot == slot - 1:
        return total.fresh * (1.0 - part)
    return float(total.fresh) if total.slot > slot else 0.0


def below_in(now: float, seconds: int, total: Total, most: int) -> int:
    """Seconds until fewer than `most` are in the window, if no more come; 0 when that is so."""
    if rate_at(now, seconds, total) < most:
        return 0
    slot = int(now // seconds)
    fresh, earlier = (total.fresh, total.earlier) if total.slot >= slot else (0, total.fresh)
    if fresh < most:  # within this window: earlier * (1 - part) < most - fresh
        at = (slot + 1.0 - (most - fresh) / max(earlier, 1)) * seconds
    else:  # within the next: fresh * (1 - part) < most
        at = (slot + 2.0 - most / fresh) * seconds
    return max(1, int(at - now) + 1)


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter as an operator sees it: `now` in the window that slides."""

    whose: str
    what: str
    seconds: int
    now: int


def listing(now: float, limit: int = 100) -> list[Counted]:
    """The counters that are shared, the highest first. `now`: seconds since 1970."""
    rows = database.fetch(
        "SELECT whose, what, seconds, slot, fresh, earlier FROM encounters_count WHERE until > %s "
        "ORDER BY fresh + earlier DESC LIMIT %s",
        (int(now * 1000), max(limit, 1_000)),
    )
    found = [
        Counted(whose, what, seconds, round(rate_at(now, seconds, Total(slot, fresh, earlier))))
        for whose, what, seconds, slot, fresh, earlier in rows
    ]
    return sorted((one for one in found if one.now), key=lambda one: (-one.now, one.whose, one.what))[:limit]


def forget(whose: str) -> int:
    """Begin at nothing for somebody ("client 192.0.2.1", or the name alone; "": everybody); how many counters."""
    if whose:
        like = "% " + whose.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        count = remove("encounters_count", "(whose = %s OR whose LIKE %s ESCAPE '!')", (whose, like))
    else:
        count = remove("encounters_count", "1 = 1", ())
    with database.transaction():
        database.announce(wake.DOOR)
    return count
