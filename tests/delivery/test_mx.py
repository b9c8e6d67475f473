"""Which hosts take the mail of a domain, in which order (RFC 5321 §5.1)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from posthouse.configuration import Delivery
from posthouse.delivery.mx import Finder, NoTargets, Target
from posthouse.dns.mail_hosts import MailHosts
from posthouse.dns.networks import Networks, OwnAddresses
from posthouse.dns.zone import FixedZone
from posthouse.queue.outcome import DEFERRED, FAILED

ADDRESSES = """
    a.example A 198.51.100.1
    b.example A 198.51.100.2
    c.example A 198.51.100.3
    c.example AAAA 2001:db8::3
"""


def finder(zone: str, **facts: object) -> Finder:
    settings = {"random": random.Random(1).random, "ignored": Networks(Delivery().ignore_targets), **facts}
    return Finder(MailHosts(FixedZone.from_text(ADDRESSES + zone), **settings))  # type: ignore[arg-type]


def among(zone: FixedZone, draw: Callable[[], float] = lambda: 0.5, **facts: Any) -> Finder:
    return Finder(MailHosts(zone, draw, **facts))


def hosts(found: Finder, domain: str) -> list[str]:
    return [target.host for target in asyncio.run(found.targets(domain))]


def refused(found: Finder, domain: str) -> tuple[str, str, str]:
    with pytest.raises(NoTargets) as caught:
        asyncio.run(found.targets(domain))
    return caught.value.trouble.result, caught.value.trouble.status, caught.value.trouble.reason


def test_lower_preference_first_and_ipv6_before_ipv4_of_one_host() -> None:
    found = finder("far.example MX 20 a.example.\n").targets("far.example")
    assert asyncio.run(found) == [Target("a.example", "198.51.100.1", 25)]
    both = FixedZone({"far.example": {"MX": ["20 a.example.", "10 c.example."]}, "a.example": {"A": ["198.51.100.1"]},
                      "c.example": {"A": ["198.51.100.3"], "AAAA": ["2001:db8::3"]}})  # fmt: skip
    assert asyncio.run(among(both).targets("far.example")) == [
        Target("c.example", "2001:db8::3", 25), Target("c.example", "198.51.100.3", 25),
        Target("a.example", "198.51.100.1", 25),
    ]  # fmt: skip


def test_hosts_of_one_preference_are_drawn_in_random_order() -> None:
    zone = FixedZone({"far.example": {"MX": ["10 a.example.", "10 b.example."]}, "a.example": {"A": ["198.51.100.1"]},
                      "b.example": {"A": ["198.51.100.2"]}})  # fmt: skip
    draw = random.Random(7).random
    first = [hosts(among(zone, draw), "far.example")[0] for _ in range(200)]
    assert 60 < first.count("a.example") < 140


def test_without_mx_the_domains_own_address_is_used_and_with_mx_never() -> None:
    assert hosts(finder(""), "a.example") == ["a.example"]
    assert refused(finder("a.example MX 10 gone.example.\n"), "a.example")[:2] == (FAILED, "5.4.4")


def test_a_null_mx_means_that_the_domain_takes_no_mail() -> None:
    assert refused(finder("a.example MX 0 .\n"), "a.example")[:2] == (FAILED, "5.1.10")


def test_a_domain_that_does_not_exist_fails_and_one_that_cannot_be_asked_is_deferred() -> None:
    found = finder("far.example MX 10 a.example.\n")
    assert refused(found, "nowhere.example")[:2] == (FAILED, "5.1.2")
    found.hosts.lookups.behave("far.example", "servfail")  # type: ignore[attr-defined]
    assert refused(found, "far.example")[:2] == (DEFERRED, "4.4.3")


def test_one_host_without_an_address_does_not_hide_the_others() -> None:
    zone = FixedZone({"far.example": {"MX": ["10 gone.example.", "20 dead.example.", "30 a.example."]},
                      "a.example": {"A": ["198.51.100.1"]}}, {"dead.example": "timeout"})  # fmt: skip
    assert hosts(among(zone), "far.example") == ["a.example"]
    zone.put("a.example", "A")
    assert refused(among(zone), "far.example")[0] == DEFERRED  # one of them may have an address later


def test_our_own_name_in_the_list_cuts_it_and_everything_not_better() -> None:
    zone = {
        "far.example": {"MX": ["10 a.example.", "20 mx.lists.example.", "20 b.example.", "30 c.example."]},
        "a.example": {"A": ["198.51.100.1"]}, "b.example": {"A": ["198.51.100.2"]},
        "c.example": {"A": ["198.51.100.3"]}, "mx.lists.example": {"A": ["198.51.100.9"]},
    }  # fmt: skip
    ours = among(FixedZone(zone), own_names={"mx.lists.example"})
    assert hosts(ours, "far.example") == ["a.example"]
    by_address = among(FixedZone(zone), own_addresses={"198.51.100.9"})
    assert hosts(by_address, "far.example") == ["a.example"]


def test_a_host_by_another_name_that_leads_here_is_us_where_we_listen_on_every_address() -> None:
    zone = {"far.example": {"MX": ["10 a.example.", "20 other.example."]}, "a.example": {"A": ["198.51.100.1"]},
            "other.example": {"A": ["198.51.100.9"]}}  # fmt: skip
    elsewhere = [Target("a.example", "198.51.100.1", 25), Target("other.example", "198.51.100.9", 25)]
    for listeners, expected in (
        ([("0.0.0.0", 25)], elsewhere[:1]),
        ([("0.0.0.0", 2525)], elsewhere),  # there is another mail server on port 25
        ([("::", 25)], elsewhere),
        ([("198.51.100.7", 25)], elsewhere),
        ([("198.51.100.9", 25)], elsewhere[:1]),
    ):
        own = OwnAddresses(listeners, 25, has=lambda address: address == "198.51.100.9")
        assert asyncio.run(among(FixedZone(zone), own_addresses=own).targets("far.example")) == expected, listeners


def test_a_host_with_many_addresses_is_dialled_by_both_families_in_turns_and_leaves_room_for_the_next() -> None:
    zone = FixedZone({"far.example": {"MX": ["10 big.example.", "20 a.example."]}, "a.example": {"A": ["198.51.100.1"]},
                      "big.example": {"AAAA": [f"2001:db8::{n}" for n in range(1, 9)],
                                      "A": ["198.51.100.11", "198.51.100.12", "198.51.100.13"]}})  # fmt: skip
    assert [one.address for one in asyncio.run(among(zone).targets("far.example"))] == [
        "2001:db8::1", "198.51.100.11", "2001:db8::2", "198.51.100.12", "198.51.100.1",
    ]  # fmt: skip
    without = among(zone, ignored=Networks(["2000::/3"]))
    assert [one.address for one in asyncio.run(without.targets("far.example"))] == [
        "198.51.100.11", "198.51.100.12", "198.51.100.13", "198.51.100.1",
    ]  # fmt: skip


def test_when_we_are_the_best_host_of_a_foreign_domain_it_is_a_loop() -> None:
    result, status, reason = refused(finder("far.example MX 10 mx.lists.example.\n", own_names={"mx.lists.example"}),
                                     "far.example")  # fmt: skip
    assert (result, status) == (FAILED, "5.4.6")
    assert "loops back" in reason


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "::1", "::ffff:127.0.0.1",
     "fe80::1", "fc00::1", "2002:7f00:1::", "64:ff9b::7f00:1"],
)  # fmt: skip
def test_an_mx_that_leads_into_our_own_network_is_refused_with_the_reason(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    result, status, reason = refused(finder(f"evil.example MX 10 in.example.\nin.example {kind} {address}\n"),
                                     "evil.example")  # fmt: skip
    assert (result, status) == (FAILED, "5.4.4")
    assert "ignore_targets" in reason


def test_a_forbidden_target_is_left_out_and_the_rest_is_tried() -> None:
    zone = "far.example MX 10 in.example.\nin.example A 10.0.0.1\n"
    found = finder(zone)
    found.hosts.lookups.put("far.example", "MX", "10 in.example.", "20 a.example.")  # type: ignore[attr-defined]
    assert hosts(found, "far.example") == ["a.example"]


def test_ipv6_can_be_left_out_whole() -> None:
    found = finder("far.example MX 10 c.example.\n", ignored=Networks(["2000::/3"]))
    assert [target.address for target in asyncio.run(found.targets("far.example"))] == ["198.51.100.3"]


def test_an_address_literal_is_dialled_itself_unless_it_is_forbidden() -> None:
    found = finder("")
    assert asyncio.run(found.targets("[192.0.2.7]")) == [Target("192.0.2.7", "192.0.2.7", 25)]
    assert asyncio.run(found.targets("[IPv6:2001:DB8::7]")) == [Target("2001:db8::7", "2001:db8::7", 25)]
    assert refused(found, "[127.0.0.1]")[0] == FAILED
    assert refused(found, "[x400:what]")[0] == FAILED
