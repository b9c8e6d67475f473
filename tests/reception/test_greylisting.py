"""Greylisting: who has to come again, who need not, and that nobody is kept out for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from posthouse import configuration
from posthouse import database as bridge_to
from posthouse.authenticity.arc import Arc
from posthouse.authenticity.dkim import Dkim, Signature
from posthouse.authenticity.dmarc import Dmarc
from posthouse.authenticity.spf import Spf
from posthouse.configuration import Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.encounters import strangers
from posthouse.queue import destinations
from posthouse.reception.evidence import Evidence
from posthouse.reception.greylisting import MOST_RECIPIENTS, Greylist
from posthouse.reception.policy.facts import Visit, Waiting

LIST, CLEO = "garden@lists.example", "cleo@lists.example"
ANA = "ana@far.example"


class Time:
    """A clock that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class CountingBridge(Bridge):
    """Counts how often the database is asked or written."""

    def __init__(self) -> None:
        super().__init__()
        self.used = 0

    async def read(self, act: Callable[..., Any], *arguments: Any) -> Any:
        self.used += 1
        return await super().read(act, *arguments)

    async def write(self, act: Callable[..., Any], *arguments: Any) -> Any:
        self.used += 1
        return await super().write(act, *arguments)


class Host:
    """One process of one host that greylists; `meets` brings a message and says what became of it."""

    def __init__(self, time: Time, **settings: Any) -> None:
        self.bridge, self.time = CountingBridge(), time
        self.list = Greylist(configuration.Greylist(**settings), self.bridge, time)

    async def judges(
        self, address: str, return_path: str = ANA, recipients: Sequence[str] = (LIST,),
        evidence: Evidence | None = None, **visit: Any,
    ) -> list[Waiting]:  # fmt: skip
        met = Visit(**{"listener": "transfer", "address": address, "helo": "mx.far.example"} | visit)
        found = await self.list.judge(met, return_path, recipients, evidence)
        assert list(found) == list(recipients)
        if all(one.state in ("passed", "exempt") for one in found.values()):
            self.list.passed(met, return_path, found.values(), evidence)
        return list(found.values())

    async def meets(self, *arguments: Any, **named: Any) -> str:
        return (await self.judges(*arguments, **named))[0].state


def proof(*, spf: str = "", dkim: Sequence[str] = ()) -> Evidence:
    """Evidence that these domains sent it."""
    sender = Spf("pass", "mailfrom", spf, f"x@{spf}") if spf else None
    signatures = tuple(Signature("pass", "", domain=name) for name in dkim)
    return Evidence("", Spf("none", "helo", "", ""), sender, Dkim(signatures), Arc("none"), Dmarc("none"))


def plays(*hosts: Host) -> Callable[[Awaitable[None]], None]:
    """Run a scene and close the hosts behind it."""

    def run(scene: Awaitable[None]) -> None:
        async def body() -> None:
            await scene
            for host in hosts:
                await host.list.close()

        asyncio.run(body())
        for host in hosts:
            host.bridge.close()

    return run


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_stranger_is_let_in_at_the_second_try_and_known_from_then_on(database: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        (first,) = await host.judges("192.0.2.1")
        assert (first.state, first.seconds) == ("new", 60)
        time.now += 20
        (early,) = await host.judges("192.0.2.1")
        assert (early.state, early.seconds, early.why) == ("early", 40, "in 40 seconds")
        time.now += 40
        assert await host.meets("192.0.2.1") == "passed", "trying too early does not begin the time anew"
        assert await host.meets("192.0.2.1", "other@far.example", [CLEO]) == "exempt"
        time.now += 35 * 86400
        assert await host.meets("192.0.2.1") == "exempt"
        await host.list.flush()
        time.now += 35 * 86400
        assert await host.meets("192.0.2.1") == "exempt", "whoever keeps writing stays known"
        await host.list.flush()
        host.list.forget()
        assert await host.meets("192.0.2.1") == "exempt", "and the database knows it"
        time.now += 37 * 86400
        assert await host.meets("192.0.2.1") == "new"

    plays(host)(scene())


def test_who_is_known_costs_no_question_and_a_stranger_one_write(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        await host.meets("192.0.2.1", recipients=[f"{number}@lists.example" for number in range(100)])
        assert host.bridge.used == 1
        time.now += 60
        assert await host.meets("192.0.2.1", recipients=["8@lists.example"]) == "passed"
        while host.list._writing:
            await asyncio.wait(list(host.list._writing))
        used = host.bridge.used
        for number in range(50):
            assert await host.meets("192.0.2.9", f"{number}@far.example") == "exempt"
        await host.list.flush()
        assert host.bridge.used == used

    plays(host)(scene())


def test_more_or_fewer_recipients_do_not_make_it_another_message(sqlite: Configuration, time: Time) -> None:
    host = Host(time)
    many = [f"{number:03}@lists.example" for number in range(500)]

    async def scene() -> None:
        assert await host.meets("192.0.2.1", "a@one.example", many) == "new"
        found = await asyncio.to_thread(strangers.listing, int(time.now * 1000), limit=1000)
        assert len(found) <= 2 * MOST_RECIPIENTS + 1, "few rows, however many they are"
        assert await host.meets("192.0.2.1", "a@two.example", many[:15]) == "new"
        assert await host.meets("192.0.2.1", "a@three.example", many) == "new"
        time.now += 61
        assert await host.meets("192.0.2.1", "a@one.example", many[480:]) == "passed"
        assert await host.meets("192.0.2.1", "a@two.example", many) == "passed"
        assert await host.meets("192.0.2.1", "a@three.example", many) == "passed"

    plays(host)(scene())


def test_a_flood_of_forged_senders_fills_no_table_and_who_comes_again_gets_in(
    sqlite: Configuration, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.reception.greylisting.MOST_OF_A_NETWORK", 100)
    monkeypatch.setattr("posthouse.reception.greylisting.MOST_OF_ALL", 300)
    host = Host(time)

    async def rows() -> int:
        return len(await asyncio.to_thread(strangers.listing, int(time.now * 1000), limit=10_000))

    async def scene() -> None:
        assert await host.meets("192.0.2.1", "honest@far.example") == "new"
        for number in range(300):
            assert await host.meets("192.0.2.66", f"x@forged{number}.example") in ("new", "early")
        assert await rows() <= 110
        for number in range(300):
            await host.meets(f"10.{number}.0.1", f"x@forged{number}.example")
        assert await rows() <= 310 + 300, "and then one for each network"
        assert await host.meets("203.0.113.1", "honest@other.example") == "new"
        time.now += 61
        assert await host.meets("192.0.2.1", "honest@far.example") == "passed"
        assert await host.meets("203.0.113.1", "honest@other.example") == "passed"
        time.now += 3600
        assert await host.meets("198.51.100.1", "quiet@far.example") == "new"

    plays(host)(scene())


def test_many_strangers_at_once_share_a_write(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        met = await asyncio.gather(*[host.meets(f"192.0.{number}.1") for number in range(200)])
        assert set(met) == {"new"}
        assert host.bridge.used <= 3

    plays(host)(scene())


def test_pools_get_through_from_their_network_or_with_a_proven_domain(database: Configuration, time: Time) -> None:
    host = Host(time)
    signed = proof(dkim=["pool.example"])

    async def scene() -> None:
        assert await host.meets("192.0.2.1") == "new"
        assert await host.meets("198.51.100.1", "b@pool.example", evidence=signed) == "new"
        assert await host.meets("2001:db8:1:2::1", "b@six.example") == "new"
        time.now += 61
        assert await host.meets("192.0.2.200") == "passed", "the same /24"
        assert await host.meets("2001:db8:1:2:ffff::1", "b@six.example") == "passed", "the same /64"
        assert await host.meets("203.0.113.9", "b@pool.example", evidence=signed) == "passed", (
            "signed by the same domain"
        )
        assert await host.meets("203.0.114.9", "news@other.example", evidence=signed) == "exempt", "it is known now"
        assert await host.meets("203.0.115.9", "b@pool.example") == "early", "without proof anybody could say so"

    plays(host)(scene())


def test_spf_proves_as_well_as_dkim(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        assert await host.meets("192.0.2.1", evidence=proof(spf="far.example")) == "new"
        time.now += 61
        assert await host.meets("198.51.100.1", evidence=proof(spf="far.example")) == "passed"

    plays(host)(scene())


def test_a_pool_without_any_proof_gets_through_within_the_hour(database: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        for number in range(6):
            assert await host.meets(f"10.0.{number}.1") == "new" if not number else "early"
            time.now += 600
        assert await host.meets("10.0.99.1") == "passed"

    plays(host)(scene())


def test_reports_are_told_apart_by_who_says_hello(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        assert await host.meets("192.0.2.1", "") == "new"
        time.now += 4000
        assert await host.meets("198.51.100.1", "", helo="eve.example") == "new", "else any report would open the door"
        assert await host.meets("192.0.2.1", "") == "passed"

    plays(host)(scene())


def test_nobody_who_keeps_trying_is_ever_kept_out(sqlite: Configuration, time: Time) -> None:
    """Whatever pace a host keeps, and whichever of its networks it uses: it gets in before its queue gives up."""

    async def scene(pace: int) -> None:
        host, begun = Host(time), time.now
        attempt = 0
        while await host.meets(f"10.{pace % 250}.{attempt % 200}.1", f"a@p{pace}.example") not in ("passed", "exempt"):
            attempt += 1
            time.now += pace
            assert time.now - begun < 5 * 86400
        await host.list.close()
        host.bridge.close()

    for pace in (1, 59, 60, 300, 1000, 4000, 6 * 3600, 25 * 3600, 90 * 3600):
        asyncio.run(scene(pace))


def test_a_clock_that_was_wrong_keeps_nobody_out(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        time.now += 3 * 86400
        assert await host.meets("192.0.2.1") == "new"
        time.now -= 3 * 86400
        assert await host.meets("192.0.2.1") == "early"
        time.now += 61
        assert await host.meets("192.0.2.1") == "passed"

    plays(host)(scene())


def test_a_network_whose_domains_came_again_is_known_as_a_whole(database: Configuration, time: Time) -> None:
    host = Host(time, network_after=3)

    async def scene() -> None:
        for number in range(3):
            assert await host.meets("192.0.2.1", f"a@d{number}.example") == "new"
            time.now += 60
            assert await host.meets("192.0.2.1", f"a@d{number}.example") == "passed"
        while host.list._writing:
            await asyncio.wait(list(host.list._writing))
        assert await host.meets("192.0.2.77", "a@never.example") == "exempt"
        assert await host.meets("192.0.3.77", "a@never.example") == "new"

    plays(host)(scene())


def test_domains_we_write_to_are_no_strangers_when_they_prove_themselves(database: Configuration, time: Time) -> None:
    host, strict = Host(time), Host(time, known_destinations=False)
    with bridge_to.transaction():
        destinations.numbers_of(["far.example"])

    async def scene() -> None:
        assert await strict.meets("192.0.2.1", evidence=proof(spf="far.example")) == "new"
        assert await host.meets("198.51.100.1") == "early", "unproven"
        (found,) = await host.judges("203.0.113.1", evidence=proof(dkim=["far.example"]))
        assert (found.state, found.why) == ("exempt", "mail of ours went to far.example")
        used = host.bridge.used
        assert await host.meets("203.0.113.1", evidence=proof(dkim=["far.example"])) == "exempt"
        assert host.bridge.used == used

    plays(host, strict)(scene())


def test_who_is_trusted_listed_or_no_stranger_never_waits(sqlite: Configuration, time: Time) -> None:
    host = Host(time, exempt_networks=["192.0.2.0/28"], exempt_domains=["bank.example", ".bank.example"])

    async def scene() -> None:
        assert await host.meets("192.0.2.15") == "exempt"
        assert await host.meets("198.51.100.1", trusted=True) == "exempt"
        assert await host.meets("198.51.100.1", listener="lmtp") == "exempt"
        assert await host.meets("198.51.100.1", evidence=proof(dkim=["code.bank.example"])) == "exempt"
        assert await host.meets("198.51.100.1", evidence=proof(spf="bank.example")) == "exempt"
        assert host.bridge.used == 0
        assert await host.meets("198.51.100.1", "x@bank.example") == "new"

    plays(host)(scene())


def test_what_was_refused_for_something_else_makes_nobody_known(sqlite: Configuration, time: Time) -> None:
    host = Host(time)
    visit = Visit("transfer", "192.0.2.1")

    async def scene() -> None:
        await host.list.judge(visit, ANA, [LIST], None)
        time.now += 61
        assert (await host.list.judge(visit, ANA, [LIST], None))[LIST].state == "passed"
        # The message was refused as spam: nobody says `passed`. Another one is accepted for another reason.
        trusted = Visit("transfer", "192.0.2.1", trusted=True)
        exempt = await host.list.judge(trusted, ANA, [LIST], None)
        assert exempt[LIST].state == "exempt"
        host.list.passed(trusted, ANA, exempt.values(), None)
        assert (await host.list.judge(visit, ANA, [CLEO], None))[CLEO].state == "new"

    plays(host)(scene())


def test_two_messages_of_one_stranger_on_their_way_at_once_do_not_spoil_each_other(
    sqlite: Configuration, time: Time
) -> None:
    host = Host(time)
    visit = Visit("transfer", "192.0.2.1")

    async def scene() -> None:
        await host.list.judge(visit, ANA, [LIST], None)
        time.now += 61
        first = await host.list.judge(visit, ANA, [LIST], None)
        second = await host.list.judge(visit, ANA, [CLEO], None)
        assert (first[LIST].state, second[CLEO].state) == ("passed", "new")
        host.list.passed(visit, ANA, first.values(), None)
        assert (await host.list.judge(visit, ANA, [CLEO], None))[CLEO].state == "exempt", "the first made it known"

    plays(host)(scene())


def test_two_hosts_share_what_they_remember(postgresql: Configuration, time: Time) -> None:
    here, there = Host(time), Host(time)

    async def scene() -> None:
        assert await here.meets("192.0.2.1") == "new"
        time.now += 61
        assert await there.meets("192.0.2.1") == "passed", "the second try met the other host"
        while there.list._writing:
            await asyncio.wait(list(there.list._writing))
        assert await here.meets("192.0.2.1", recipients=[CLEO]) == "exempt"
        both = [host.meets(f"10.0.{number}.1") for number in range(100) for host in (here, there)]
        assert set(await asyncio.gather(*both)) <= {"new", "early"}

    plays(here, there)(scene())


def test_a_restart_forgets_nothing(sqlite: Configuration, time: Time) -> None:
    host, after, last = Host(time), Host(time), Host(time)

    async def scene() -> None:
        assert await host.meets("192.0.2.1") == "new"
        time.now += 61
        assert await after.meets("192.0.2.1") == "passed"
        await after.list.close()
        assert await last.meets("192.0.2.1", recipients=[CLEO]) == "exempt"

    plays(host, after, last)(scene())


def test_without_its_memory_greylisting_lets_everybody_in(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def gone(*_: object) -> None:
        raise Unavailable("no disk")

    host.bridge.write = gone  # type: ignore[method-assign, assignment]

    async def scene() -> None:
        (found,) = await host.judges("192.0.2.1")
        assert (found.state, found.why) == ("exempt", "the memory of strangers cannot be asked")

    plays(host)(scene())


def test_what_an_operator_forgets_is_a_stranger_again(sqlite: Configuration, time: Time) -> None:
    host = Host(time)

    async def scene() -> None:
        await asyncio.to_thread(strangers.let_in, "192.0.2.1", int(time.now * 1000), int((time.now + 86400) * 1000))
        assert await host.meets("192.0.2.1") == "exempt"
        await asyncio.to_thread(strangers.forget, "192.0.2.1")
        assert await host.meets("192.0.2.1") == "exempt", "memory was not told yet"
        host.list.forget()
        assert await host.meets("192.0.2.1") == "new"

    plays(host)(scene())


def test_memory_is_bounded(sqlite: Configuration, time: Time) -> None:
    host = Host(time, remembered=10)
    for number in range(1000):
        host.list._know(number, 1 << 60)
    assert list(host.list._passed) == list(range(990, 1000))
    host.bridge.close()
