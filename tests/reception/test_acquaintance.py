"""Who was here before a flood: an account, a network, a domain by its own hosts; who says so, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from posthouse.authenticity.spf import Spf
from posthouse.configuration import Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.reception.acquaintance import Acquaintances
from posthouse.reception.policy.facts import Visit
from posthouse.reception.reputation import Reputation

HERE, ELSEWHERE, BOT = "192.0.2.7", "198.51.100.7", "203.0.113.66"
ANA = "ana@far.example"
DAY = 86400.0


class Party:
    """Those who were here yesterday: mail of far.example came from HERE. `asked` counts what SPF was asked."""

    def __init__(self) -> None:
        self.now, self.asked = 1_800_000_000.0, 0
        self.bridge = Bridge()
        self.memory = Reputation(self.bridge, lambda: self.now)
        self.known = Acquaintances(self.memory)

    async def yesterday(self) -> None:
        self.memory.learn(HERE, "far.example", good=True)
        self.memory.learn(BOT, "bad.example", good=False)
        await self.memory.close()
        self.now += DAY

    async def who(self, address: str, return_path: str = ANA, spf: str = "none", **visit: Any) -> str:
        async def says() -> Spf:
            self.asked += 1
            return Spf(spf, "mailfrom", return_path.rpartition("@")[2], return_path)

        return await self.known.of(Visit("transfer", address, **visit), return_path, says)


def plays(scene: Callable[[Party], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        party = Party()
        try:
            await party.yesterday()
            await scene(party)
        finally:
            await asyncio.to_thread(party.bridge.close)

    asyncio.run(body())


def test_an_account_a_network_and_a_domain_by_its_own_hosts_were_here_before(database: Configuration) -> None:
    async def scene(party: Party) -> None:
        account = {"role": "account", "account": "Cleo@near.example"}
        assert await party.who(ELSEWHERE, **account) == "account cleo@near.example"
        assert party.known.at_once(Visit("transfer", HERE)) == "", "memory does not know yet"
        assert await party.who(HERE, "eve@bad.example") == "network 192.0.2.0/24"
        assert party.known.at_once(Visit("transfer", HERE)) == "network 192.0.2.0/24"
        assert party.asked == 0
        assert await party.who(ELSEWHERE, "ana@Far.Example", spf="pass") == "domain far.example"
        assert party.asked == 1

    plays(scene)


@pytest.mark.parametrize("spf", ["fail", "softfail", "neutral", "none", "temperror", "permerror"])
def test_whoever_only_says_that_he_is_of_a_domain_is_a_stranger(sqlite: Configuration, spf: str) -> None:
    async def scene(party: Party) -> None:
        assert await party.who(BOT, spf=spf) == ""

    plays(scene)


def test_made_up_domains_and_those_of_bad_standing_cost_no_dns(sqlite: Configuration) -> None:
    async def scene(party: Party) -> None:
        for path in ("", "x@bad.example", *(f"x@n{number}.example" for number in range(20))):
            assert await party.who(BOT, path, spf="pass") == ""
        assert party.asked == 0

    plays(scene)


def test_without_a_database_there_are_strangers_only(sqlite: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(party: Party) -> None:
        async def gone(*_: object) -> None:
            raise Unavailable("gone")

        with monkeypatch.context() as broken:
            broken.setattr(party.bridge, "read", gone)
            assert await party.who(HERE) == ""
        assert await party.who(HERE) == "network 192.0.2.0/24"

    plays(scene)
