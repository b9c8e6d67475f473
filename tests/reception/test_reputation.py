"""What was seen of networks and domains: it counts, fades, is shared between hosts and survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from posthouse.configuration import Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.encounters import standing
from posthouse.encounters.errors import EncounterError
from posthouse.encounters.sweeping import sweep
from posthouse.reception import reputation
from posthouse.reception.reputation import MOST_PENDING, Reputation

EVE, NEIGHBOUR, ANA = "192.0.2.66", "192.0.2.7", "198.51.100.7"
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def run(work: Callable[[Bridge, Clock], Coroutine[Any, Any, None]]) -> None:
    async def inside() -> None:
        bridge = Bridge()
        try:
            await asyncio.wait_for(work(bridge, Clock()), 30)
        finally:
            await asyncio.to_thread(bridge.close)

    asyncio.run(inside())


async def was_welcome(here: Reputation, whose: str) -> bool:
    await here.look(whose)
    return bool(here.was_welcome(whose))


def test_what_one_host_learns_of_a_network_and_a_domain_the_other_knows(database: Configuration) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here, there = Reputation(bridge, clock), Reputation(bridge, clock)
        assert (await there.of(EVE)).badness == 0.0
        for _ in range(30):
            here.learn(EVE, "", good=False)
        for _ in range(4):
            here.learn(ANA, "Far.example", good=True)
        assert (await here.of(NEIGHBOUR)).network_bad == pytest.approx(30), "at once where it was learnt"
        await here.flush()
        assert (await there.of(EVE)).network_bad == 0, "written in batches, read anew each minute"
        clock.now += 61
        await here.flush()
        seen = await there.of(NEIGHBOUR)
        assert seen.network_bad == pytest.approx(30, rel=1e-3) and seen.badness > 0.8
        seen = await there.of(EVE, "far.example")
        assert seen.domain_good == pytest.approx(4, rel=1e-3) and seen.badness < 0.8
        assert (await here.of(EVE)).network_bad == pytest.approx(30, rel=1e-3), "not counted twice"

    run(work)


def test_a_busy_host_hears_what_the_others_learnt_all_the_same(database: Configuration) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here, there = Reputation(bridge, clock), Reputation(bridge, clock)
        for _ in range(30):
            there.learn(EVE, "", good=False)
        await here.of(EVE)
        await there.close()
        for _ in range(9):
            here.learn(EVE, "", good=True)
            assert (await here.of(EVE)).network_good > 0
            clock.now += 10
            await here.flush()
        seen = await here.of(EVE)
        assert seen.network_bad == pytest.approx(30, rel=1e-3) and seen.network_good == pytest.approx(9, rel=1e-3)

    run(work)


def test_who_was_let_in_before_today_was_here_before_and_who_is_bad_or_new_was_not(database: Configuration) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here = Reputation(bridge, clock)
        here.learn(ANA, "far.example", good=True)
        here.learn(EVE, "", good=False)
        await here.close()
        assert here.was_welcome("198.51.100.0/24") is None, "memory does not know yet"
        assert not await was_welcome(here, "198.51.100.0/24"), "since today only"
        clock.now += DAY
        for whose in ("198.51.100.0/24", "Far.example"):
            assert await was_welcome(here, whose) and here.was_welcome(whose)
        assert not await was_welcome(here, "192.0.2.0/24")
        here.learn(EVE, "", good=True)
        await here.close()
        assert not await was_welcome(here, "192.0.2.0/24"), "good since today"
        for _ in range(3):
            here.learn(ANA, "", good=False)
        assert here.was_welcome("198.51.100.0/24"), "a few bad ones prove nothing"
        for _ in range(30):
            here.learn(ANA, "", good=False)
        assert here.was_welcome("198.51.100.0/24") is False

    run(work)


def test_who_has_many_addresses_fills_neither_the_memory_nor_the_table_with_what_is_bad_of_them(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reputation, "MOST_BLAMED", 50)

    async def work(bridge: Bridge, clock: Clock) -> None:
        here = Reputation(bridge, clock)
        here.learn(ANA, "", good=True)
        await here.close()
        assert (await here.of(ANA)).network_good
        for number in range(200):
            here.learn(f"10.0.{number}.1", "", good=False)
        here.learn(ANA, "", good=False)
        assert len(here._pending) == 51, "of whom good is known all is learnt"
        clock.now += 3600
        here.learn("10.1.0.1", "", good=False)
        await here.close()
        assert len(await bridge.read(standing.worst, int(clock.now * 1000), 1000)) == 52
        clock.now += 29 * DAY
        assert await bridge.read(sweep, int(clock.now * 1000)) == 51, "of whom only bad was seen, and only once"

        monkeypatch.setattr(reputation, "MOST_KEPT", 10)
        for number in range(200):
            here.learn(f"10.0.{number}.1", "", good=True)
        assert len(here._pending) == 10

    run(work)


def test_what_was_seen_counts_half_after_two_weeks_and_is_removed_after_half_a_year(sqlite: Configuration) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here = Reputation(bridge, clock)
        for _ in range(8):
            here.learn(EVE, "eve.example", good=False)
        await here.close()
        clock.now += 14 * DAY
        assert (await Reputation(bridge, clock).of(EVE)).network_bad == pytest.approx(4)
        here.learn(EVE, "", good=False)
        await here.close()
        assert (await Reputation(bridge, clock).of(EVE)).network_bad == pytest.approx(5)
        clock.now += 169 * DAY
        assert await bridge.read(sweep, int(clock.now * 1000)) == 1, "the domain was seen longer ago than the network"

    run(work)


def test_the_memory_answers_alone_once_a_network_is_known(sqlite: Configuration) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here = Reputation(bridge, clock)
        assert here.known(ANA, "far.example") is None
        await here.of(ANA, "far.example")
        assert here.known(ANA, "far.example") is not None and here.known(ANA, "other.example") is None
        assert here.known("2001:db8::1") is None
        await here.of("2001:db8::1")
        assert here.known("2001:db8::ffff") is not None, "one /64 is one client"

    run(work)


def test_without_a_database_nobody_is_blamed_and_nothing_learnt_is_lost(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here = Reputation(bridge, clock)

        async def gone(*_: object) -> None:
            raise Unavailable("gone")

        with monkeypatch.context() as broken:
            broken.setattr(bridge, "read", gone)
            broken.setattr(bridge, "write", gone)
            here.learn(EVE, "", good=False)
            assert (await here.of(EVE)).badness == 0.0
            await here.close()
        await here.close()
        assert (await Reputation(bridge, clock).of(EVE)).network_bad == pytest.approx(1)

    run(work)


def test_many_that_were_learnt_are_written_at_once_not_kept(sqlite: Configuration) -> None:
    async def work(bridge: Bridge, clock: Clock) -> None:
        here = Reputation(bridge, clock)
        here.learn(EVE, "", good=False)
        await here.flush()
        assert not await bridge.read(standing.worst, 0, 10), "one can wait"
        for number in range(MOST_PENDING):
            here.learn(f"10.{number >> 8}.{number & 255}.1", "", good=True)
        await here.flush()
        (worst, *rest) = await bridge.read(standing.worst, int(clock.now * 1000), 10)
        assert worst.whose == "192.0.2.0/24" and worst.bad == pytest.approx(1) and len(rest) == 9
        assert await bridge.read(standing.forget, EVE) == "192.0.2.0/24"
        with pytest.raises(EncounterError, match="nothing was seen"):
            await bridge.read(standing.forget, EVE)
        assert await bridge.read(standing.seen, "192.0.2.0/24", 0) is None

    run(work)
