"""The resolver against a real server of a fixed zone, over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import dns.name
import pytest

from posthouse.dns.cache import Cache
from posthouse.dns.codes import codes
from posthouse.dns.lookups import MxHost, NoAnswer, NoSuchName, TemporaryFailure, absolute
from posthouse.dns.noting import Noting
from posthouse.dns.resolver import Resolver
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve
from tests import idle_time

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return idle_time.run(work)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_zone() -> FixedZone:
    return FixedZone.from_text("""
        far.example      MX    10 mx1.far.example.   ; the first
        far.example      TXT   "v=spf1 " "-all"
        mx1.far.example  A     192.0.2.1
        mx1.far.example  AAAA  2001:db8::1
        alias.example    CNAME mx1.far.example.
        1.2.0.192.in-addr.arpa PTR mx1.far.example.
    """)


@contextlib.asynccontextmanager
async def resolving(zone: FixedZone, timeout: float = 5.0) -> AsyncIterator[tuple[Resolver, Clock]]:
    clock = Clock()
    async with serve(zone) as server:
        yield Resolver([server], timeout, clock), clock


def test_records_of_every_kind_come_back() -> None:
    async def work() -> None:
        async with resolving(a_zone()) as (resolver, _):
            assert await resolver.mx("far.example") == [MxHost(10, "mx1.far.example")]
            assert await resolver.addresses("MX1.far.example.") == ["2001:db8::1", "192.0.2.1"]
            assert await resolver.addresses("alias.example") == ["2001:db8::1", "192.0.2.1"]
            assert await resolver.txt("far.example") == [b"v=spf1 -all"]
            assert await resolver.ptr("192.0.2.1") == ["mx1.far.example"]

    run(work())


def test_an_answer_is_asked_for_once_until_its_ttl_is_over() -> None:
    async def work() -> None:
        zone = a_zone()
        async with resolving(zone) as (resolver, clock):
            await asyncio.gather(*(resolver.mx("far.example") for _ in range(20)))
            await resolver.mx("far.example")
            assert zone.asked["far.example", "MX"] == 1
            clock.now += zone.ttl + 1
            await resolver.mx("far.example")
            assert zone.asked["far.example", "MX"] == 2

    run(work())


def test_what_is_known_is_given_without_asking_and_what_is_not_is_left_to_be_asked() -> None:
    async def work() -> None:
        zone = a_zone()
        async with resolving(zone) as (resolver, clock):
            far, nowhere = absolute("FAR.example"), absolute("nowhere.example")
            assert resolver.known(far, "MX") is None and resolver.known(nowhere, "MX") is None
            answer = await resolver.ask(absolute("far.example"), "MX")
            with pytest.raises(NoSuchName):
                await resolver.ask(nowhere, "MX")
            asked = dict(zone.asked)
            noting = Noting(resolver)
            assert resolver.known(far, "MX") is answer and resolver.known(far, "TXT") is None
            assert noting.known(far, "MX") is answer and noting.ttl == answer.ttl
            with pytest.raises(NoSuchName):
                resolver.known(nowhere, "MX")
            clock.now += zone.ttl + 1
            assert resolver.known(far, "MX") is None
            assert zone.asked == asked

    run(work())


def test_that_there_is_nothing_is_remembered_as_long_as_the_soa_says() -> None:
    async def work() -> None:
        zone = a_zone()
        async with resolving(zone) as (resolver, clock):
            for _ in range(2):
                with pytest.raises(NoSuchName):
                    await resolver.mx("nowhere.example")
                with pytest.raises(NoAnswer):
                    await resolver.mx("mx1.far.example")
            assert zone.asked["nowhere.example", "MX"] == zone.asked["mx1.far.example", "MX"] == 1
            clock.now += zone.ttl + 1
            with pytest.raises(NoSuchName):
                await resolver.mx("nowhere.example")
            assert zone.asked["nowhere.example", "MX"] == 2

    run(work())


@pytest.mark.parametrize("behaviour", ["servfail", "refused", "timeout", "garbage"])
def test_a_broken_nameserver_is_a_temporary_failure_and_heals(behaviour: str) -> None:
    async def work() -> None:
        zone = a_zone()
        zone.behave("far.example", behaviour)
        async with resolving(zone, timeout=0.3) as (resolver, clock):
            with pytest.raises(TemporaryFailure, match="MX of far"):
                await resolver.mx("far.example")
            zone.behave("far.example")
            with pytest.raises(TemporaryFailure):  # remembered for a moment, so that a storm asks once
                await resolver.mx("far.example")
            clock.now += 6
            assert await resolver.mx("far.example") == [MxHost(10, "mx1.far.example")]

    run(work())


def test_a_truncated_answer_is_asked_again_over_tcp() -> None:
    async def work() -> None:
        zone = a_zone()
        zone.behave("far.example", "truncate")
        zone.put("many.example", "A", *(f"192.0.2.{n}" for n in range(1, 255)))
        async with resolving(zone) as (resolver, _):
            assert await resolver.mx("far.example") == [MxHost(10, "mx1.far.example")]
            assert len(await resolver.addresses("many.example")) == 100  # bounded

    run(work())


def test_one_family_is_enough_when_the_other_cannot_be_asked() -> None:
    class HalfBroken(FixedZone):
        async def ask(self, name: Any, kind: str) -> Any:
            if kind == "AAAA":
                raise TemporaryFailure("servfail")
            return await super().ask(name, kind)

    zone = HalfBroken({"four.example": {"A": ["192.0.2.4"]}, "none.example": {"TXT": ["x"]}})
    assert run(zone.addresses("four.example")) == ["192.0.2.4"]
    with pytest.raises(TemporaryFailure):
        run(zone.addresses("none.example"))


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example", ".".join(["abcdefgh"] * 40), "\udcff.example"])
def test_what_cannot_be_a_name_does_not_exist_and_is_not_asked(name: str) -> None:
    with pytest.raises(NoSuchName):
        run(a_zone().mx(name))


def test_a_zone_text_that_cannot_be_read_names_the_line() -> None:
    with pytest.raises(ValueError, match="line 2"):
        FixedZone.from_text("a.example A 192.0.2.1\nb.example A nonsense")


def test_the_cache_is_bounded_and_drops_what_was_used_least() -> None:
    clock = Clock()
    cache: Cache[int, str] = Cache(3, clock)
    for number in range(3):
        cache.keep(number, str(number), 10)
    assert cache.get(0) == "0"
    cache.keep(3, "3", 10)
    assert (cache.get(0), cache.get(1), len(cache)) == ("0", None, 3)
    clock.now += 10
    assert cache.get(0) is None


def test_a_zone_text_may_give_several_records_of_one_kind() -> None:
    zone = FixedZone.from_text("far.example MX 10 a.example.\nfar.example MX 20 b.example.")
    assert [host.name for host in run(zone.mx("far.example"))] == ["a.example", "b.example"]


def test_an_answer_is_authentic_only_when_a_resolver_we_trust_proved_it() -> None:
    async def work() -> None:
        zone = a_zone()
        zone.sign("far.example")
        name = dns.name.from_text("far.example.")
        async with serve(zone) as server:
            trusting, wary = Resolver([server], trusted=True), Resolver([server])
            assert (await trusting.ask(name, "MX")).authentic
            assert (await trusting.ask(name, "MX")).authentic, "from memory too"
            assert not (await trusting.ask(dns.name.from_text("1.2.0.192.in-addr.arpa."), "PTR")).authentic
            assert not (await wary.ask(name, "MX")).authentic, "anybody on the way could have set the bit"

    run(work())


def test_codes_of_dns_lists_are_ranges_stars_and_bits() -> None:
    four = ipaddress.IPv4Address
    assert four("127.0.0.5") in codes("127.0.0.4-7") and four("127.0.0.8") not in codes("127.0.0.4-7")
    assert four("127.0.9.3") in codes("127.0.*.3") and four("127.0.9.2") not in codes("127.0.*.3")
    assert four("127.0.0.12") in codes("&8") and four("127.0.0.5") not in codes("&8")
    for wrong in (
        "",
        "127.0.0",
        "128.0.0.1",
        "127.0.0.256",
        "127.0.0.7-4",
        "127.0.0.x",
        "&0",
        "&256",
        "&",
        "127.0.0.²",
    ):
        with pytest.raises(ValueError, match=r"must be like 127\.0\.0\.2"):
            codes(wrong)
