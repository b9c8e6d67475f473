"""Who tried for the first time when, and who came again: shared by all processes and hosts, kept through restarts.

`now` and every time is in milliseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from posthouse import database
from posthouse.encounters.keys import key, storable

ANYWHERE = "*"  # an origin
ANYBODY = "*"  # a recipient: of a message to many
PROVEN = "="  # before a domain that SPF or DKIM proves
_MOST_IN_A_STATEMENT = 5_000


class Trait(NamedTuple):
    """What a stranger is known by again: where from, for which sending domain, to whom. `id` is its key."""

    origin: str
    sender: str = ""
    recipient: str = ""

    @property
    def id(self) -> int:
        """The number of its row. Who was let in and who waits have different ones."""
        return key("try", *self) if self.recipient else _pass(self.origin, self.sender)


@lru_cache(maxsize=10_000)  # who was let in sends again
def _pass(origin: str, sender: str) -> int:
    return key("pass", origin, sender)


@dataclass(frozen=True, slots=True)
class Meeting:
    """Somebody brings a message: `passes` would let it in at once; `tries` are remembered where none of them does.

    A try counts as waited when it is at least as old as the wait beside it. `until`: when tries are forgotten.
    `looked`: the same as tries, but only looked for.
    """

    now: int
    passes: tuple[Trait, ...]
    tries: tuple[tuple[Trait, int], ...]
    until: int
    looked: tuple[tuple[Trait, int], ...] = ()
    learn: bool = True  # False: nothing is written


@dataclass(frozen=True, slots=True)
class Met:
    """What was known: the passes that hold and until when; else the ages of the tries and of those looked for (-1: none
    before)."""

    passes: tuple[tuple[Trait, int], ...]
    ages: tuple[int, ...]


def meet_many(meetings: Sequence[Meeting]) -> list[Met]:
    """Look everybody up and remember first tries; must be called inside a transaction."""
    ids = {trait.id for one in meetings for trait in one.passes}
    ids |= {trait.id for one in meetings for trait, _ in (*one.tries, *one.looked)}
    rows: dict[int, tuple[int, int, int]] = {}
    for part in _parts(sorted(ids)):
        condition, parameter = database.among("id", part)
        for number, first, passed, until in database.fetch(
            f"SELECT id, first_try, passed_at, until FROM encounters_stranger WHERE {condition}", (parameter,)
        ):
            rows[number] = (first, passed, until)
    answers = [_met(one, rows) for one in meetings]
    written: dict[int, tuple[object, ...]] = {}
    for one, met in zip(meetings, answers, strict=True):
        waited = any(age >= wait for age, (_, wait) in zip(met.ages, (*one.tries, *one.looked), strict=False))
        if one.learn and not met.passes and not waited:
            for trait, _ in one.tries:
                written[trait.id] = (trait.id, storable(trait.origin), storable(trait.sender),
                                     storable(trait.recipient), one.now, one.now, one.until)  # fmt: skip
    if written:
        # In the order of their ids: processes that meet the same strangers then wait for each other, never in a circle.
        # A row that is old enough to be forgotten begins anew, and so does one from a time to come: a clock was wrong.
        database.run_many(
            "INSERT INTO encounters_stranger AS s "
            "(id, origin, sender, recipient, first_try, last_try, tries, passed_at, until) "
            "VALUES (%s, %s, %s, %s, %s, %s, 1, 0, %s) ON CONFLICT (id) DO UPDATE SET "
            "tries = CASE WHEN s.until <= excluded.first_try THEN 1 ELSE s.tries + 1 END, "
            "first_try = CASE WHEN s.until <= excluded.first_try OR s.first_try > excluded.first_try "
            "THEN excluded.first_try ELSE s.first_try END, "
            "until = CASE WHEN s.until <= excluded.first_try THEN excluded.until ELSE s.until END, "
            "last_try = excluded.last_try",
            [written[number] for number in sorted(written)],
        )
    return answers


def _met(one: Meeting, rows: dict[int, tuple[int, int, int]]) -> Met:
    passes = []
    for trait in one.passes:
        _, passed, until = rows.get(trait.id, (0, 0, 0))
        if passed and until > one.now:
            passes.append((trait, until))
    ages = []
    for trait, _ in (*one.tries, *one.looked):
        first, _, until = rows.get(trait.id, (0, 0, 0))
        ages.append(max(0, one.now - first) if until > one.now else -1)
    return Met(tuple(passes), tuple(ages) if not passes else ())


@dataclass(frozen=True, slots=True)
class Welcome:
    """Somebody came again and was let in: `pairs` (an origin with a sending domain) and `proven` domains are welcome
    from now on; a `network` is when `after` different sending domains came again from it (0: never)."""

    now: int
    until: int
    pairs: tuple[Trait, ...]
    proven: tuple[Trait, ...] = ()
    network: Trait | None = None
    after: int = 0


def welcome_many(batch: Sequence[Welcome]) -> list[None]:
    """Remember who was let in; must be called inside a transaction. Safe to repeat."""
    rows: dict[int, tuple[object, ...]] = {}
    networks: dict[int, tuple[Trait, Welcome, int]] = {}
    fresh = _unknown(trait for one in batch for trait in one.pairs)
    for one in batch:
        for trait in (*one.pairs, *one.proven):
            rows[trait.id] = _row(trait, one, one.now)
        if one.network is not None and one.after:
            new = {trait.id for trait in one.pairs if trait.origin == one.network.origin and trait.id in fresh}
            fresh -= new
            _, _, already = networks.get(one.network.id, (one.network, one, 0))
            networks[one.network.id] = (one.network, one, already + len(new))
    _write(rows, "excluded.passed_at", "1")
    for trait, one, count in sorted(networks.values(), key=lambda each: each[0].id):
        if count:
            _count(trait, one, count)
    return [None] * len(batch)


def _count(trait: Trait, one: Welcome, new: int) -> None:
    """So many more sending domains came again from a network."""
    passed = one.now if new >= one.after else 0
    values = (*_row(trait, one, passed)[:6], new, passed, one.until, one.after, one.now)
    database.run(
        "INSERT INTO encounters_stranger AS s "
        "(id, origin, sender, recipient, first_try, last_try, tries, passed_at, until) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET "
        "tries = s.tries + excluded.tries, last_try = excluded.last_try, until = excluded.until, "
        "passed_at = CASE WHEN s.passed_at > 0 THEN s.passed_at WHEN s.tries + excluded.tries >= %s THEN %s ELSE 0 END",
        values,
    )


def _unknown(traits: Iterable[Trait]) -> set[int]:
    """Which of these have not been let in before."""
    ids = {trait.id for trait in traits}
    for part in _parts(sorted(ids)):
        condition, parameter = database.among("id", part)
        ids -= {row[0] for row in database.fetch(f"SELECT id FROM encounters_stranger WHERE {condition}", (parameter,))}
    return ids


def _row(trait: Trait, one: Welcome, passed: int) -> tuple[object, ...]:
    return (trait.id, storable(trait.origin), storable(trait.sender), "", one.now, one.now, passed, one.until)


def _write(rows: dict[int, tuple[object, ...]], passed: str, tries: str) -> None:
    if rows:
        database.run_many(
            "INSERT INTO encounters_stranger AS s "
            "(id, origin, sender, recipient, first_try, last_try, tries, passed_at, until) "
            f"VALUES (%s, %s, %s, %s, %s, %s, {tries}, %s, %s) ON CONFLICT (id) DO UPDATE SET "
            f"last_try = excluded.last_try, passed_at = {passed}, "
            "until = CASE WHEN s.until > excluded.until THEN s.until ELSE excluded.until END",
            [rows[number] for number in sorted(rows)],
        )


def seen_again(ids: Iterable[int], now: int, until: int) -> None:
    """Mail of these came again: they are remembered until then. Must be called inside a transaction."""
    for part in _parts(sorted(set(ids))):
        condition, parameter = database.among("id", part)
        database.run(
            f"UPDATE encounters_stranger SET last_try = %s, until = %s WHERE until < %s AND passed_at > 0 "
            f"AND {condition}",
            (now, until, until, parameter),
        )


def _parts(ids: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(ids), _MOST_IN_A_STATEMENT):
        yield ids[start : start + _MOST_IN_A_STATEMENT]
