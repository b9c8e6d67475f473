"""What is found out is begun early, awaited only where a reply depends on it, and a fault of ours counts for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from posthouse.authenticity.arc import Arc
from posthouse.authenticity.dkim import Dkim, Signature
from posthouse.authenticity.dmarc import Dmarc
from posthouse.authenticity.spf import Spf
from posthouse.content.spool import spooled_from
from posthouse.reception.evidence import Evidence
from posthouse.reception.gathering import Gathering
from posthouse.reception.informants import Sources
from posthouse.reception.policy.facts import Facts, Listed, Listing, Verified, Visit, Waiting

BAD = Listing((Listed("bl.example", "127.0.0.2", 1.0),))


class Others:
    """DNS lists and other hosts that answer when they are let; all that they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()

    async def of_address(self, address: str, deadline: float) -> Listing:
        self.asked.append(address)
        await self.may_answer.wait()
        return BAD

    def known_domain(self, domain: str) -> Listing | None:
        return None

    async def of_domain(self, domain: str, deadline: float) -> Listing:
        self.asked.append(domain)
        raise RuntimeError("a fault of ours")

    async def sender(self, address: str, recipient: str) -> Verified:
        self.asked.append(address)
        return Verified(address, "no", "550 unknown")

    async def recipient(self, address: str, next_hop: str) -> Verified:
        self.asked.append(f"{address} at {next_hop}")
        return Verified(address, "yes")


class Memory:
    """Remembers what it is told, whatever that is."""

    def __init__(self) -> None:
        self.called: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.called.append((name, given))


def plays(scene: Callable[[Others], Coroutine[Any, Any, None]]) -> None:
    async def begin() -> None:
        await asyncio.wait_for(scene(Others()), 60)

    asyncio.run(begin())


def visitor(others: Others, **more: Any) -> tuple[Gathering, Visit]:
    visit = Visit("transfer", "192.0.2.7", helo="mail.far.example")
    sources = Sources(blocklists=others, callouts=others, **more)  # type: ignore[arg-type]
    return Gathering(sources, visit), visit


async def settled(asked: Awaitable[None]) -> bool:
    """Whether something is over at once."""
    task = asyncio.ensure_future(asked)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task.done()


def test_a_question_is_asked_once_and_waited_for_only_by_who_needs_it() -> None:
    async def scene(others: Others) -> None:
        gathering, visit = visitor(others)
        gathering.connected({"listing", "callout"})
        gathering.begin({"listing"})
        assert await settled(gathering.settle({"callout", "spf", "client_name"})), "nobody else waits"
        waits = asyncio.ensure_future(gathering.settle({"listing"}))
        await asyncio.sleep(0)
        assert others.asked == ["192.0.2.7"] and not gathering.known({"listing"}) and not waits.done()
        others.may_answer.set()
        await waits
        assert visit.listing is BAD and gathering.known({"listing"})

    plays(scene)


def test_a_fault_of_ours_and_an_answer_that_is_late_stay_unknown(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(others: Others) -> None:
        gathering, visit = visitor(others, seconds=0.05)
        facts = Facts(visit, "ana@far.example")
        gathering.connected({"listing"})
        gathering.opened(facts, "", {"domain_listing"})
        await gathering.settle({"listing", "domain_listing"})
        assert visit.listing is None and facts.domain_listing is None
        assert "for a fault of ours" in caplog.text

    plays(scene)


def test_each_transaction_is_asked_about_anew_and_the_client_once() -> None:
    async def scene(others: Others) -> None:
        others.may_answer.set()
        gathering, visit = visitor(others)
        gathering.connected({"listing"})
        for path in ("ana@far.example", "ben@near.example"):
            facts = Facts(visit, path)
            gathering.opened(facts, "", ())
            gathering.begin({"listing", "callout", "verified"}, "cleo@backup.example", "backup.example")
            gathering.begin({"verified"}, "owen@lists.example")  # no next hop: nobody to ask
            await gathering.settle({"callout", "verified", "listing"}, "cleo@backup.example")
            assert facts.callout is not None and facts.callout.address == path
            assert list(facts.verified) == ["cleo@backup.example"]
            gathering.ended()
        assert others.asked.count("192.0.2.7") == 1 and others.asked.count("ben@near.example") == 1
        null = Facts(visit, "")
        gathering.opened(null, "", {"callout", "sender_domain", "domain_listing"})
        gathering.begin({"callout"}, "cleo@backup.example")
        await gathering.settle({"callout"})
        assert null.callout is None, "the null return path is nobody's"
        gathering.closed()

    plays(scene)


def test_who_tries_the_policy_teaches_nobody() -> None:
    for learns, taught in ((False, []), (True, ["count", "learn", "passed", "learn"])):
        memory = Memory()

        async def scene(others: Others, memory: Memory = memory, learns: bool = learns) -> None:
            gathering, visit = visitor(others, flood=memory, reputation=memory, greylist=memory, learns=learns)
            facts = Facts(visit, "ana@far.example")
            facts.waiting = {"cleo@near.example": Waiting("cleo@near.example", "passed")}
            gathering.count("messages", facts)
            gathering.welcome(facts, ())
            gathering.unwelcome(facts, "spam")

        plays(scene)
        assert [name for name, _ in memory.called] == taught


def test_a_domain_answers_for_what_its_own_hosts_bring_and_for_nothing_that_others_do_in_its_name() -> None:
    signed = Dkim((Signature("pass", "", domain="far.example"),))
    aligned = Dmarc("pass", domain="far.example")

    async def scene(others: Others) -> None:
        for spf, found_as in (("fail", ""), ("pass", "far.example")):
            memory = Memory()
            gathering, visit = visitor(others, flood=memory, reputation=memory)
            path = Spf(spf, "mailfrom", "far.example", "ana@far.example")
            found = Evidence("", Spf("none", "helo", "", ""), path, signed, Arc("none"), aligned)
            facts = Facts(visit, "ana@far.example", evidence=found)
            gathering.count("messages", facts)
            gathering.unwelcome(facts, "spam")
            gathering.welcome(facts, ())
            assert [given[2] for name, given in memory.called if name == "count"] == [
                "ana@far.example"[: 15 if found_as else 0]
            ]
            assert [given[1:] for name, given in memory.called if name == "learn"] == [
                (found_as, False),
                (found_as, True),
            ]
            memory.called.clear()
            gathering.count("messages", Facts(visit, "ana@far.example"))
            assert memory.called[0][1][2] == "", "where nobody looked nothing is proven"

    plays(scene)


def test_what_a_stranger_brings_into_a_flood_earns_no_standing() -> None:
    async def scene(others: Others) -> None:
        for crowded, known_as, taught in ((True, "", []), (True, "domain far.example", [True]), (False, "", [True])):
            memory = Memory()
            gathering, visit = visitor(others, reputation=memory)
            facts = Facts(visit, "ana@far.example", crowded=crowded, known_as=known_as)
            gathering.welcome(facts, ())
            assert [given[2] for _, given in memory.called] == taught
            gathering.unwelcome(facts, "spam")
            assert memory.called[-1][1][2] is False, "what is bad is always learnt"

    plays(scene)


def test_faults_of_greylisting_and_scanners_let_mail_pass(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("a fault of ours")

        def __bool__(self) -> bool:
            return True

    async def scene(others: Others) -> None:
        gathering, visit = visitor(others, flood=Broken(), greylist=Broken(), scanners=None)
        facts = Facts(visit, "ana@far.example")
        gathering.excess(facts, "cleo@near.example")
        await gathering.wait(facts, ["cleo@near.example"])
        await gathering.scan(facts, spooled_from(b"\r\n"), b"")
        gathering.welcome(facts, ())
        assert facts.excess == () and facts.waiting == {} and facts.scans == ()

    plays(scene)
    assert caplog.text.count("for a fault of ours") >= 2


class Known:
    """Knows some names without asking."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked = names, list[str]()

    def known(self, name: str) -> str:
        return "exists" if name in self.names else ""

    async def of(self, name: str, deadline: float) -> str:
        self.asked.append(name)
        return "missing"


def test_what_is_known_already_is_found_out_at_once_and_the_rest_is_asked() -> None:
    async def scene(others: Others) -> None:
        known = Known("far.example")
        gathering, visit = visitor(others, sender_domain=known, helo_host=known)
        for domain, answer in (("far.example", "exists"), ("near.example", "missing")):
            facts = Facts(visit, f"ana@{domain}")
            gathering.hello({"helo_domain"})
            gathering.opened(facts, "", {"sender_domain"})
            assert gathering.known({"sender_domain"}) is (answer == "exists")
            assert facts.sender_domain == ("exists" if answer == "exists" else "")
            await gathering.settle({"sender_domain", "helo_domain"})
            assert facts.sender_domain == answer
        assert (
            known.asked == ["mail.far.example", "mail.far.example", "near.example"] and visit.helo_domain == "missing"
        )

    plays(scene)
