"""Commits that are shared: by those who come together, and by those who are known to be on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from posthouse.configuration import Configuration
from posthouse.database import Bridge, GroupCommit, Unavailable
from posthouse.reception.acceptance import reply_for
from posthouse.smtp import catalogue


class Ledger:
    """An act that remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        return [item * 10 for item in batch]


@pytest.fixture
def bridge(sqlite: Configuration) -> Iterator[Bridge]:
    """A bridge to a real database."""
    made = Bridge()
    yield made
    made.close()


def test_a_commit_waits_for_those_who_are_on_their_way(bridge: Bridge) -> None:
    ledger = Ledger()

    async def scene() -> list[int]:
        group = GroupCommit[int, int](bridge, ledger, expected=lambda: 3)
        group.PATIENCE = 60.0  # type: ignore[misc]
        first = group.add(1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert ledger.batches == []
        return await asyncio.gather(first, group.add(2), group.add(3))

    assert asyncio.run(asyncio.wait_for(scene(), 20)) == [10, 20, 30]
    assert ledger.batches == [[1, 2, 3]]


def test_a_commit_does_not_wait_when_nobody_else_is_expected(bridge: Bridge) -> None:
    ledger = Ledger()

    async def scene() -> None:
        group = GroupCommit[int, int](bridge, ledger, expected=lambda: 1)
        group.PATIENCE = 60.0  # type: ignore[misc]
        assert await group.add(1) == 10

    asyncio.run(asyncio.wait_for(scene(), 20))


def test_one_who_never_comes_holds_nobody_for_long_and_soon_not_at_all(bridge: Bridge) -> None:
    ledger = Ledger()
    waits = 0

    async def scene() -> None:
        group = GroupCommit[int, int](bridge, ledger, expected=lambda: 2)
        loop = asyncio.get_running_loop()
        plain = loop.call_later

        def counted(delay: float, *rest: object, **named: object) -> asyncio.TimerHandle:
            nonlocal waits
            waits += 1
            return plain(delay, *rest, **named)  # type: ignore[arg-type]

        loop.call_later = counted  # type: ignore[method-assign]
        for number in range(30):
            assert await group.add(number) == number * 10

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert len(ledger.batches) == 30 and waits <= 4


def test_trouble_with_room_is_told_as_such() -> None:
    assert reply_for(Unavailable("OperationalError: database or disk is full")) is catalogue.STORAGE_FULL
    assert reply_for(Unavailable("OSError: [Errno 28] No space left on device")) is catalogue.STORAGE_FULL
    assert reply_for(Unavailable("OperationalError: database is locked")) is catalogue.TEMPORARILY_UNAVAILABLE
