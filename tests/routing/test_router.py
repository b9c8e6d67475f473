"""The router's memory: fast for the many, never wrong about a change."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from posthouse.configuration import Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.directory import accounts, domains
from posthouse.lists import creation
from posthouse.routing import Destination, Refused, Router, ToAddresses, ToList, ToRemote, router
from posthouse.routing.inquiry import Inquiry

GARDEN = "garden@lists.example"


class Clock:
    """A clock that stands until it is told to go on."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The test's own clock."""
    return Clock()


@pytest.fixture
def bridge(sqlite: Configuration) -> Iterator[Bridge]:
    """A bridge to a house with the list garden."""
    domains.add("lists.example")
    accounts.create("owen@far.example", superuser=True)
    creation.create(GARDEN, ["owen@far.example"])
    made = Bridge()
    yield made
    made.close()


def test_what_is_not_ours_is_answered_from_memory_in_microseconds(bridge: Bridge, clock: Clock) -> None:
    async def scene() -> None:
        roads = Router(bridge, clock)
        assert roads.known("ana@far.example", True) is None
        assert await roads.route("ana@far.example", True) == ToRemote("far.example")
        denied = roads.known("ben@elsewhere.example")
        assert isinstance(denied, Refused) and denied.reply.code == 550
        started = time.thread_time()
        for number in range(20_000):
            assert roads.known(f"ana{number}@far.example", True)
        assert (time.thread_time() - started) / 20_000 < 50e-6

    asyncio.run(scene())


def test_a_list_address_is_remembered_and_an_unknown_one_is_not(bridge: Bridge, clock: Clock) -> None:
    async def scene() -> None:
        roads = Router(bridge, clock)
        assert isinstance(await roads.route(GARDEN), ToList)
        assert isinstance(roads.known(GARDEN), ToList)
        assert isinstance(await roads.route("seeds@lists.example"), Refused)
        assert roads.known("seeds@lists.example") is None
        await bridge.write(creation.create, "seeds@lists.example", ["owen@far.example"])
        assert isinstance(await roads.route("seeds@lists.example"), ToList), "routable without a word or a wait"

    asyncio.run(scene())


def test_after_a_word_of_a_change_a_removed_list_is_refused(bridge: Bridge, clock: Clock) -> None:
    async def scene() -> None:
        roads = Router(bridge, clock)
        await roads.route(GARDEN)
        await bridge.write(creation.remove, GARDEN)
        roads.forget()
        assert isinstance(await roads.route(GARDEN), Refused)

    asyncio.run(scene())


def test_without_any_word_a_change_is_seen_within_seconds(bridge: Bridge, clock: Clock) -> None:
    async def scene() -> None:
        roads = Router(bridge, clock)
        await roads.route(GARDEN)
        assert isinstance(await roads.route("ana@new.example"), Refused)
        await bridge.write(creation.remove, GARDEN)
        await bridge.write(domains.add, "new.example")
        clock.now += router.FRESH_SECONDS
        assert isinstance(await roads.route(GARDEN), Refused)
        answer = await roads.route("ana@new.example")
        assert isinstance(answer, Refused) and answer.reply.enhanced == "5.1.1", "ours now: no such address"

    asyncio.run(scene())


def test_a_late_answer_from_before_a_change_is_not_remembered(
    bridge: Bridge, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, may_answer = threading.Event(), threading.Event()
    plain = router.precedence.route

    def slow(address: str, may_relay: bool, inquiry: Inquiry) -> Destination:
        found = plain(address, may_relay, inquiry)
        looked.set()
        may_answer.wait(20)
        return found

    async def scene() -> None:
        roads = Router(bridge, clock)
        await roads.route("ana@far.example")
        with monkeypatch.context() as patch:
            patch.setattr(router.precedence, "route", slow)
            look = asyncio.ensure_future(roads.route(GARDEN))
            await asyncio.to_thread(looked.wait, 20)
        await bridge.write(creation.remove, GARDEN)
        roads.forget()
        await roads.route("ana@far.example")
        may_answer.set()
        await look
        assert isinstance(await roads.route(GARDEN), Refused)

    asyncio.run(scene())


def test_the_postmaster_of_the_host_itself_is_found(bridge: Bridge, clock: Clock) -> None:
    async def scene() -> None:
        roads = Router(bridge, clock)
        assert isinstance(await roads.route("postmaster@mx.lists.example"), ToAddresses)

    asyncio.run(scene())


def test_a_database_that_is_gone_defers_and_is_asked_again(
    bridge: Bridge, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        roads = Router(bridge, clock)

        def gone() -> object:
            raise OSError("no such disk")

        with monkeypatch.context() as broken:
            broken.setattr(router.domains, "all_domains", gone)
            with pytest.raises(Unavailable):
                await roads.route("ana@far.example", True)
        assert await roads.route("ana@far.example", True) == ToRemote("far.example")

    asyncio.run(scene())


def test_the_memory_is_bounded(bridge: Bridge, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "MOST_DOMAINS", 100)

    async def scene() -> None:
        roads = Router(bridge, clock)
        await roads.route("ana@far.example")
        for number in range(1000):
            roads.known(f"ana@d{number}.example")
        assert len(roads._elsewhere) <= 100 and len(roads._denied) <= 100

    asyncio.run(scene())
