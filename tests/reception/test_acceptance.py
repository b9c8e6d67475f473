"""Commits that are shared by those who come together, and what is said when there is none."""

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


def test_those_who_come_during_a_commit_share_the_next_one(bridge: Bridge) -> None:
    ledger = Ledger()

    async def scene() -> list[int]:
        group = GroupCommit[int, int](bridge, ledger)
        first = group.add(1)
        while not ledger.batches:  # noqa: ASYNC110 - the act runs in another thread, which tells nobody
            await asyncio.sleep(0)
        return await asyncio.gather(first, group.add(2), group.add(3))

    assert asyncio.run(asyncio.wait_for(scene(), 60)) == [10, 20, 30]
    assert ledger.batches == [[1], [2, 3]]


def test_trouble_with_room_is_told_as_such() -> None:
    assert reply_for(Unavailable("OperationalError: database or disk is full")) is catalogue.STORAGE_FULL
    assert reply_for(Unavailable("OSError: [Errno 28] No space left on device")) is catalogue.STORAGE_FULL
    assert reply_for(Unavailable("OperationalError: database is locked")) is catalogue.TEMPORARILY_UNAVAILABLE
