"""Signing in: right, wrong, too often, and while the database is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from posthouse import database as bridge_to
from posthouse import maillog
from posthouse.configuration import Configuration
from posthouse.database import Unavailable
from posthouse.directory import accounts
from posthouse.reception import login
from posthouse.reception.login import LONGEST_DELAY, Login, delay_after
from posthouse.reception.policy.facts import Visit
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply


async def signs_in(door: Login, peer: str, identity: str, password: str, authorization: str) -> Reply:
    """What a client hears."""
    return (await door.sign_in(Visit("submission", peer), identity, password, authorization))[0]


GOOD = ("cleo@near.example", "correct horse battery", "")


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
    door.close()  # what it writes in the background, events with it, is written then
    maillog.flush()
    kinds = [row[0] for row in bridge_to.fetch("SELECT kind FROM queue_event ORDER BY id")]
    assert kinds == ["signed-in", *["sign-in-refused"] * 3]


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


def test_a_clock_that_was_wrong_makes_nobody_wait_longer(door: Login, time: Time) -> None:
    async def scene() -> None:
        time.now += 300
        for _ in range(3):
            await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        time.now -= 200
        await signs_in(door, "192.0.2.1", "cleo@near.example", "wrong", "")
        assert max(time.slept) <= delay_after(3)

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
    monkeypatch.setattr(login, "MOST_REMEMBERED", 300)
    for number in range(2000):
        door._lane(f"192.0.2.{number}")
    assert len(door._lanes) <= 301


def test_many_addresses_that_guess_at_one_account_are_slow_and_its_usual_network_is_not(
    door: Login, time: Time
) -> None:
    async def scene() -> None:
        assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        for number in range(20):
            await signs_in(door, f"198.51.{number}.1", "cleo@near.example", "wrong", "")
        assert time.slept[-1] == LONGEST_DELAY, "each guesser has one guess of its own, and waits for all of them"
        slept = len(time.slept)
        assert await signs_in(door, "192.0.2.77", *GOOD) is catalogue.AUTH_SUCCEEDED
        assert len(time.slept) == slept, "the network where the account was used before"
        assert await signs_in(door, "203.0.113.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        assert time.slept[slept:] == [LONGEST_DELAY], "anywhere else it takes longer, and works"
        assert await signs_in(door, "203.0.113.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        assert len(time.slept) == slept + 1, "from then on that is a usual network too"

    asyncio.run(scene())


def test_who_shares_an_address_with_a_guesser_is_not_slowed_down(door: Login, time: Time) -> None:
    async def scene() -> None:
        assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        for number in range(8):
            await signs_in(door, "192.0.2.1", f"{number}@near.example", "wrong", "")
        slept = len(time.slept)
        assert slept > 4
        assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        assert len(time.slept) == slept

    asyncio.run(scene())


def test_strangers_that_pile_up_leave_the_threads_of_usual_networks_free(door: Login, time: Time) -> None:
    async def scene() -> None:
        assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        door._checking = login.MOST_WAITING
        assert await signs_in(door, "198.51.100.1", *GOOD) is catalogue.AUTH_TEMPORARY
        assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED

    asyncio.run(scene())


def test_hosts_count_failures_together_and_know_the_usual_networks(postgresql: Configuration) -> None:
    accounts.create("cleo@near.example", "Cleo", password="correct horse battery")
    time = Time()
    here, there = Login(time, time.sleep), Login(time, time.sleep)

    async def told(host: Login) -> None:
        if host._flushing is not None:
            await host._flushing

    async def scene() -> None:
        assert await signs_in(here, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED
        for number in range(6):
            await signs_in(here, f"198.51.{number}.1", "cleo@near.example", "wrong", "")
        await told(here)
        slept = len(time.slept)
        await signs_in(there, "198.51.100.1", "cleo@near.example", "wrong", "")
        await told(there)
        await signs_in(there, "198.51.101.1", "cleo@near.example", "wrong", "")
        assert time.slept[slept:] == [delay_after(7 - login.FREE_OF_AN_ACCOUNT)], "what the other host counted is known"
        slept = len(time.slept)
        for host in (here, there):
            await here._threads(True).write(int)  # behind what waits to be written
            assert await signs_in(host, "192.0.2.9", *GOOD) is catalogue.AUTH_SUCCEEDED
        assert len(time.slept) == slept
        await told(there)

    asyncio.run(scene())
    here.close()
    there.close()


def test_a_usual_network_that_could_not_be_written_down_is_written_with_the_next_sign_in(
    door: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        bridge = door._threads(True)

        async def gone(*_: object) -> None:
            raise Unavailable("no disk")

        with monkeypatch.context() as patched:
            patched.setattr(bridge, "write", gone)
            assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED
            await until_idle()
        assert await signs_in(door, "192.0.2.1", *GOOD) is catalogue.AUTH_SUCCEEDED

    asyncio.run(scene())
    door.close()
    assert bridge_to.fetch("SELECT network FROM encounters_familiar") == [("192.0.2.0/24",)]


async def until_idle() -> None:
    """What was begun in the background is done."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest)


def test_the_delay_doubles_from_the_second_failure_up_to_its_bound() -> None:
    assert [delay_after(count) for count in (0, 1, 2, 3, 4)] == [0.0, 0.0, 1.0, 2.0, 4.0]
    assert delay_after(1000) == LONGEST_DELAY
