"""Signing in: right, wrong, too often, and while the database is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from posthouse import maillog
from posthouse.configuration import Configuration
from posthouse.directory import accounts
from posthouse.reception import login
from posthouse.reception.login import LONGEST_DELAY, Login, delay_after
from posthouse.reception.policy.facts import Visit
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply


async def signs_in(door: Login, peer: str, identity: str, password: str, authorization: str) -> Reply:
    """What a client hears."""
    return (await door.sign_in(Visit("submission", peer), identity, password, authorization))[0]


class Time:
    """A clock that sleeping moves."""

    now = 1_000_000.0

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Pass the time."""
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time(sqlite: Configuration) -> Time:
    """cleo has an account with a password."""
    accounts.create("cleo@near.example", "Cleo", password="correct horse battery")
    maillog.take()
    return Time()


@pytest.fixture
def door(time: Time) -> Iterator[Login]:
    """A login on that clock."""
    made = Login(time, time.sleep)
    yield made
    made.close()


def test_the_right_password_signs_in_and_the_wrong_one_and_the_unknown_sound_the_same(door: Login) -> None:
    async def scene() -> None:
        right = await signs_in(door, "192.0.2.1", "Cleo@near.example", "correct horse battery", "")
        assert right is catalogue.AUTH_SUCCEEDED
        wrong = await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        unknown = await signs_in(door, "192.0.2.1", "eve@far.example", "wrong", "")
        assert wrong is unknown is catalogue.AUTH_FAILED
        assert await signs_in(door, "192.0.2.1", "no address", "", "") is catalogue.AUTH_FAILED

    asyncio.run(scene())
    assert [event.kind for event in maillog.take()] == ["signed-in", *["sign-in-refused"] * 3]


def test_nobody_acts_for_somebody_else(door: Login) -> None:
    async def scene() -> None:
        good = ("192.0.2.1", "cleo@near.example", "correct horse battery")
        assert await signs_in(door, *good, "CLEO@near.example") is catalogue.AUTH_SUCCEEDED
        assert await signs_in(door, *good, "owen@far.example") is catalogue.AUTH_FAILED

    asyncio.run(scene())


def test_each_failure_makes_the_same_client_wait_longer_and_no_other(door: Login, time: Time) -> None:
    async def scene() -> None:
        for _ in range(4):
            await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        assert time.slept == [delay_after(2), delay_after(3)]
        assert await signs_in(door, "192.0.2.9", "cleo@near.example", "correct horse battery", "") is (
            catalogue.AUTH_SUCCEEDED
        )
        assert len(time.slept) == 2
        time.now += login.FORGOTTEN_AFTER + 1
        await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        assert len(time.slept) == 2, "old failures are forgiven"

    asyncio.run(scene())


def test_a_success_does_not_buy_new_guesses(door: Login, time: Time) -> None:
    async def scene() -> None:
        for _ in range(3):
            await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        await signs_in(door, "192.0.2.1", "cleo@near.example", "correct horse battery", "")
        slept = len(time.slept)
        time.now = time.now  # no time passes
        await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        assert len(time.slept) > slept

    asyncio.run(scene())


def test_attempts_that_pile_up_are_turned_away_at_once(door: Login) -> None:
    async def scene() -> None:
        tries = [signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "") for _ in range(15)]
        replies = await asyncio.gather(*tries)
        assert replies.count(catalogue.AUTH_TEMPORARY) == 15 - login.MOST_WAITING_PER_CLIENT
        assert replies.count(catalogue.AUTH_FAILED) == login.MOST_WAITING_PER_CLIENT

    asyncio.run(scene())


def test_a_database_that_is_gone_is_told_as_temporary(door: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(login.rights, "admit", gone)

    async def scene() -> None:
        assert await signs_in(door, "192.0.2.1", "cleo@near.example", "x", "") is catalogue.AUTH_TEMPORARY

    asyncio.run(scene())


def test_the_memory_of_clients_is_bounded(door: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "MOST_CLIENTS", 300)
    for number in range(2000):
        door._client(f"192.0.2.{number}")
    assert len(door._clients) <= 301


def test_the_delay_doubles_from_the_second_failure_up_to_its_bound() -> None:
    assert [delay_after(count) for count in (0, 1, 2, 3, 4)] == [0.0, 0.0, 1.0, 2.0, 4.0]
    assert delay_after(1000) == LONGEST_DELAY
