"""Domains whose best MX is this host: found by name or address, never by loopback (C2, C3)."""

from __future__ import annotations

import asyncio

import pytest

from posthouse.configuration import Configuration
from posthouse.dns.networks import has_address
from posthouse.dns.zone import FixedZone
from posthouse.routing.primary import PrimaryHere, primary_here

ZONE = """
    named.example    MX 10 mx.lists.example.
    named.example    MX 20 other.example.
    second.example   MX 10 other.example.
    second.example   MX 20 mx.lists.example.
    numbered.example MX 10 alias.example.
    alias.example    A  198.51.100.4
    sixth.example    MX 10 six.example.
    six.example      AAAA 2001:db8:4::1
    other.example    A  192.0.2.9
    near.example     MX 10 loop.example.
    loop.example     A  127.0.0.1
    loop.example     AAAA ::1
    loop.example     AAAA ::ffff:127.0.0.1
    loop.example     A  0.0.0.0
    null.example     MX 0 .
    plain.example    A  198.51.100.4
"""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def own(address: str) -> bool:
    return address in ("198.51.100.4", "2001:db8:4::1", "127.0.0.1", "::1", "0.0.0.0")  # as the system would say


def party() -> tuple[FixedZone, Clock, PrimaryHere]:
    zone, clock = FixedZone.from_text(ZONE), Clock()
    return zone, clock, PrimaryHere(zone, {"mx.lists.example"}, clock, own)


@pytest.mark.parametrize(
    ("domain", "here"),
    [("named.example", True), ("numbered.example", True), ("sixth.example", True), ("second.example", False),
     ("near.example", False), ("null.example", False), ("plain.example", False), ("nowhere.example", False),
     ("[198.51.100.4]", False)],
)  # fmt: skip
def test_the_best_mx_decides_by_name_or_address_and_loopback_is_ignored(domain: str, here: bool) -> None:
    _, _, primary = party()
    assert asyncio.run(primary.holds(domain)) is here
    assert primary.known(domain) is here


def test_while_nameservers_fail_nothing_is_decided_and_what_was_ours_stays_ours() -> None:
    async def work() -> None:
        zone, clock, primary = party()
        assert await primary.holds("named.example")
        for name in ("named.example", "other.example"):
            zone.behave(name, "servfail")
        assert await primary.holds("second.example") is None, "its best host could be us"
        clock.now += 61
        assert primary.known("named.example") is None
        assert await primary.holds("named.example") is True
        clock.now += 86_400
        assert await primary.holds("named.example") is None

    asyncio.run(work())


def test_those_who_ask_together_share_the_questions_and_the_answer_is_remembered() -> None:
    async def work() -> None:
        zone, _, primary = party()
        assert await asyncio.gather(*(primary.holds("numbered.example") for _ in range(20))) == [True] * 20
        assert zone.asked["numbered.example", "MX"] == 1

    asyncio.run(work())


def test_only_addresses_of_this_machine_are_its_own() -> None:
    assert has_address("127.0.0.1")
    assert not has_address("192.0.2.1") and not has_address("2001:db8::1") and not has_address("203.0.113.77")


def test_it_is_off_by_default() -> None:
    assert primary_here(Configuration(), Clock()) is None
