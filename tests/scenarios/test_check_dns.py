"""What the DNS says of this host is told with what to do: families, names of addresses, MX records, the way out."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from typing import Any

import pytest

from posthouse.configuration import Configuration
from posthouse.dns.zone import FixedZone
from posthouse.operations.doctor import names, reach
from posthouse.operations.doctor.finding import Finding
from tests.delivery.far_host import FarHost
from tests.outside import Outside
from tests.people import DOMAIN
from tests.running_house import House

HOST = "mx.lists.example"
BOTH = ["0.0.0.0:25", "[::]:25"]
REVERSE = """
    2.0.0.8.in-addr.arpa PTR mx.lists.example.
    1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.a.2.ip6.arpa PTR mx.lists.example.
"""


def found(zone: FixedZone, listeners: list[str], domains: tuple[str, ...] = ()) -> dict[str, Finding]:
    chosen = Configuration(hostname=HOST)
    chosen = dataclasses.replace(chosen, reception=dataclasses.replace(chosen.reception, transfer=listeners))
    said = asyncio.run(names.ask(HOST, domains, zone))
    return {one.id: one for one in names.judge(chosen, said) if one.id != "address-elsewhere"}


def test_addresses_of_both_families_that_listeners_take_and_that_have_our_name_are_good() -> None:
    zone = FixedZone.from_text(f"{HOST} A 8.0.0.2\n{HOST} AAAA 2ac0::1\nlists.example MX 10 {HOST}.\n{REVERSE}")
    said = found(zone, BOTH, ("lists.example",))
    assert {one.id: one.state for one in said.values()} == {
        "host-ipv4": "good", "host-ipv6": "good", "reverse-name": "good", "domain-mx": "good",
    }, said  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "listeners", "which", "state", "words"),
    [
        ("{h} A 8.0.0.2", BOTH, "host-ipv6", "wrong", "a listener waits for IPv6"),
        ("{h} A 8.0.0.2", ["0.0.0.0:25"], "host-ipv6", "note", "no listener waits for it"),
        ("{h} A 8.0.0.2\n{h} AAAA 2ac0::1", ["0.0.0.0:25"], "host-ipv6", "wrong", "no listener for mail"),
        ("{h} A 8.0.0.2\n{h} AAAA 2ac0::1", ["0.0.0.0:25", "[::1]:25"], "host-ipv6", "wrong", "no listener for mail"),
        ("{h} A 8.0.0.2\n{h} AAAA 2ac0::1", [], "host-ipv6", "good", "2ac0::1"),  # another mail server in front
        ("{h} AAAA 2ac0::1", ["[::]:25"], "host-ipv4", "wrong", "has no IPv4 address"),
        ("other.example A 8.0.0.2", BOTH, "host-ipv4", "wrong", "a listener waits for IPv4"),
        ("{h} A 8.0.0.3", BOTH, "reverse-name", "wrong", "is not published"),
        ("{h} A 8.0.0.3\n3.0.0.8.in-addr.arpa PTR pool3.isp.example.", BOTH, "reverse-name", "wrong", "pool3.isp"),
        ("{h} A 10.0.0.2", BOTH, "reverse-name", "note", "not reached from the Internet"),
        ("{h} A 8.0.0.2", BOTH, "domain-mx", "wrong", "has no MX record"),
        ("{h} A 8.0.0.2\nlists.example MX 5 front.example.", BOTH, "domain-mx", "note", "front.example"),
    ],
)
def test_what_is_not_as_it_should_be_is_told_with_what_to_do(
    zone: str, listeners: list[str], which: str, state: str, words: str
) -> None:
    one = found(FixedZone.from_text(zone.replace("{h}", HOST)), listeners, ("lists.example",))[which]
    assert one.state == state and words in one.sentence, one
    assert one.hint or state in ("good", "note")


def test_a_nameserver_that_does_not_answer_says_nothing_about_us() -> None:
    zone = FixedZone.from_text(f"{HOST} A 8.0.0.2")
    for name in (HOST, "2.0.0.8.in-addr.arpa", "lists.example"):
        zone.behave(name, "servfail")
    assert {one.state for one in found(zone, BOTH, ("lists.example",)).values()} == {"unknown"}


def test_the_command_says_it_for_people_and_programs_and_ends_with_one_where_something_is_wrong(
    house: House, outside: Outside
) -> None:
    house.has_list(f"garden@{DOMAIN}")
    house.zone.put(HOST, "A", "127.0.0.1")
    house.zone.put(DOMAIN, "MX", f"10 {HOST}.")
    told = house.runs("check-dns")
    assert told.exit_code == 0, told.output
    assert f"good    Mail for {DOMAIN} is led to {HOST}." in told.stdout
    house.zone.put(DOMAIN, "MX")
    told = house.runs("check-dns", "--json")
    assert told.exit_code == 1
    [wrong] = [one for one in json.loads(told.stdout) if one["state"] == "wrong"]
    assert wrong["id"] == "domain-mx" and HOST in wrong["hint"]
    for name in (HOST, DOMAIN):
        house.zone.behave(name, "refused")
    told = house.runs("check-dns")
    assert told.exit_code == 4 and "wrong" not in told.stdout, "who is offline is not told that anything is wrong"
    assert told.stdout.endswith("Nothing could be asked: the nameservers do not answer.\n")


def test_a_probe_tells_which_family_gets_out_and_leaves_no_mail() -> None:
    async def work() -> dict[str, Finding]:
        host = await FarHost().start("::1")
        zone = FixedZone.from_text("mx.far.example A 127.0.0.1\nmx.far.example AAAA ::1")
        chosen = Configuration(hostname=HOST)
        chosen = dataclasses.replace(chosen, delivery=dataclasses.replace(chosen.delivery, port=host.port))
        told: list[Any] = await reach.probe(chosen, "mx.far.example", zone)
        told += await reach.probe(chosen, "nowhere.example", zone)
        await host.stop()
        assert host.taken == [] and all("MAIL" not in line.upper() for line in host.said)
        return {one.id: one for one in told}

    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    said = asyncio.run(work())
    assert said["outward-ipv6"].state == "good" and "220" in said["outward-ipv6"].sentence
    assert said["outward-ipv4"].state == "wrong" and "smarthost" in said["outward-ipv4"].hint
    assert said["outward"].state == "unknown"
