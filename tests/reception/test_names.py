"""Whether the domain of a return path takes mail, and whether the name in HELO is there."""

from __future__ import annotations

import asyncio

import pytest

from posthouse.dns.lookups import Lookups
from posthouse.dns.resolver import Resolver
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve
from posthouse.reception.names import Existence, helo_host, sender_domain
from tests import idle_time

ZONE = """
    mx.example        MX   10 mail.mx.example.
    plain.example     A    192.0.2.1
    six.example       AAAA 2001:db8::1
    null.example      MX   0 .
    null.example      A    192.0.2.1
    odd.example       MX   0 .
    odd.example       MX   10 mail.mx.example.
    text.example      TXT  "nothing else"
    xn--fr-via.example MX  10 mail.mx.example.
"""


def asked(name: str, lookups: Lookups, helo: bool = False, seconds: float = 5.0) -> str:
    async def work() -> str:
        deadline = asyncio.get_running_loop().time() + seconds
        return await (helo_host if helo else sender_domain)(name, lookups, deadline)

    return idle_time.run(work())


@pytest.mark.parametrize(
    ("domain", "answer"),
    [
        ("mx.example", "exists"),
        ("MX.example", "exists"),
        ("plain.example", "exists"),  # RFC 5321 §5.1: the implicit MX
        ("six.example", "exists"),
        ("fär.example", "exists"),
        ("null.example", "missing"),  # RFC 7505 §3
        ("odd.example", "exists"),
        ("text.example", "missing"),
        ("nowhere.example", "missing"),
        ("[192.0.2.1]", "exists"),
        ("a..b", "missing"),
        ("-", "missing"),
        ("x" * 70 + ".example", "missing"),
    ],
)
def test_a_domain_takes_mail_when_it_has_an_mx_or_an_address_and_no_null_mx(domain: str, answer: str) -> None:
    assert asked(domain, FixedZone.from_text(ZONE)) == answer


@pytest.mark.parametrize(
    ("name", "answer"),
    [("mx.example", "exists"), ("plain.example", "exists"), ("null.example", "exists"), ("[IPv6:::1]", "exists"),
     ("text.example", "missing"), ("nowhere.example", "missing"), ("friend", "missing")],
)  # fmt: skip
def test_a_name_in_helo_is_there_when_it_has_an_address_or_an_mx(name: str, answer: str) -> None:
    assert asked(name, FixedZone.from_text(ZONE), helo=True) == answer


@pytest.mark.parametrize("fault", ["servfail", "refused", "timeout", "garbage"])
def test_a_nameserver_that_fails_makes_a_domain_unknown_never_missing(fault: str) -> None:
    async def work() -> tuple[str, str, float]:
        zone = FixedZone.from_text(ZONE)
        zone.behave("mx.example", fault)
        loop = asyncio.get_running_loop()
        async with serve(zone) as server:
            resolver, begun = Resolver([server], 30.0), loop.time()
            found = [await one("mx.example", resolver, loop.time() + 0.3) for one in (sender_domain, helo_host)]
            return found[0], found[1], loop.time() - begun

    domain, helo, seconds = idle_time.run(work())
    assert domain == helo == "unknown" and seconds <= 0.6


def test_that_a_name_exists_is_known_for_a_minute_within_its_ttl_and_nothing_else_is() -> None:
    async def work() -> None:
        now = [1_000.0]
        zone = FixedZone.from_text(ZONE)
        zone.behave("silent.example", "servfail")
        asked = Existence(sender_domain, zone, lambda: now[0])
        for domain, answer in (("mx.example", "exists"), ("null.example", "missing"), ("silent.example", "unknown")):
            assert asked.known(domain) == ""
            assert await asked.of(domain, asyncio.get_running_loop().time() + 5) == answer
            assert asked.known(domain) == (answer if answer == "exists" else "")
        now[0] += 59
        assert asked.known("mx.example") == "exists"
        now[0] += 2
        assert asked.known("mx.example") == ""
        zone.ttl = 10
        await asked.of("mx.example", asyncio.get_running_loop().time() + 5)
        now[0] += 11
        assert asked.known("mx.example") == ""

    asyncio.run(work())
