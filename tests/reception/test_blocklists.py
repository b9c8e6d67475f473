"""DNS lists: what counts, what is added up, and that a list which is not well refuses nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from posthouse import maillog
from posthouse.configuration import DnsList
from posthouse.dns.resolver import Resolver
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve
from posthouse.reception.blocklists import Blocklists
from posthouse.reception.list_health import IPV6, TEST_ENTRIES
from posthouse.reception.policy.facts import Listing
from tests import idle_time

T = TypeVar("T")
EVE, ANA = "192.0.2.66", "192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    return idle_time.run(work)


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def a_zone(*zones: str) -> FixedZone:
    """Address lists that are well and know Eve."""
    zone = FixedZone()
    for name in zones:
        zone.put(f"2.0.0.127.{name}", "A", "127.0.0.2")
        zone.put(f"{TEST_ENTRIES[IPV6][0]}.{name}", "A", "127.0.0.2")
        zone.put(f"66.2.0.192.{name}", "A", "127.0.0.2")
        zone.put(f"66.2.0.192.{name}", "TXT", '"seen in a trap"')
    return zone


def lists(zone: FixedZone, clock: Clock, **settings: DnsList) -> Blocklists:
    return Blocklists(settings, zone, clock)


@pytest.fixture(autouse=True)
def _events() -> Iterator[None]:
    maillog.take()
    yield
    maillog.take()


def told() -> list[tuple[str, str]]:
    return [(event.kind, event.detail.get("reason", "")) for event in maillog.take()]


def test_a_client_is_known_to_a_list_by_its_reversed_address_with_code_and_words() -> None:
    async def work() -> Listing:
        zone = a_zone("bl.example")
        asked = lists(zone, Clock(), bl=DnsList(zone="bl.example", weight=2.5))
        assert (await asked.of_address(ANA, soon())) == Listing()
        assert (await asked.of_address(f"::ffff:{EVE}", soon())).weight == 2.5, "an IPv4 address in IPv6's clothes"
        return await asked.of_address(EVE, soon())

    listing = run(work())
    (hit,) = listing.hits
    assert (hit.zone, hit.code, hit.weight, hit.text) == ("bl.example", "127.0.0.2", 2.5, "seen in a trap")
    assert told() == []


def test_the_weights_of_several_lists_add_up_and_good_ones_speak_for_a_client() -> None:
    async def work() -> float:
        zone = a_zone("one.example", "two.example", "good.example")
        zone.put("66.2.0.192.good.example", "A", "127.0.10.3")
        asked = lists(
            zone, Clock(), one=DnsList(zone="one.example"), two=DnsList(zone="two.example", weight=0.5),
            good=DnsList(zone="good.example", good=True, codes={"127.0.*.1": 0.5, "127.0.*.2-3": 4}),
        )  # fmt: skip
        return (await asked.of_address(EVE, soon())).weight

    assert run(work()) == 1.0 + 0.5 - 4


def test_the_heaviest_code_counts_once_and_codes_that_are_not_named_weigh_nothing() -> None:
    async def work() -> None:
        zone = a_zone("bl.example")
        asked = lists(zone, Clock(), bl=DnsList(zone="bl.example", codes={"127.0.0.2": 1, "127.0.0.10": 3, "&64": 2}))
        zone.put("66.2.0.192.bl.example", "A", "127.0.0.2", "127.0.0.10", "127.0.0.4")
        assert (await asked.of_address(EVE, soon())).weight == 3
        zone.put("66.2.0.192.bl.example", "A", "127.0.0.4")
        assert (await asked.of_address(EVE, soon())).hits == ()
        zone.put("66.2.0.192.bl.example", "A", "127.0.0.72")
        assert (await asked.of_address(EVE, soon())).weight == 2

    run(work())


def test_domains_are_asked_for_by_their_name_and_clients_are_not() -> None:
    async def work() -> None:
        zone = FixedZone()
        zone.put("test.dbl.example", "A", "127.0.1.2")
        zone.put("xn--fr-via.example.dbl.example", "A", "127.0.1.4")
        asked = lists(zone, Clock(), dbl=DnsList(zone="dbl.example", kind="domain"))
        assert [hit.code for hit in (await asked.of_domain("Fär.example", soon())).hits] == ["127.0.1.4"]
        zone.put("eve.example.dbl.example", "A", "127.0.1.2")
        assert (await asked.of_domain("EVE.example", soon())).weight == 1.0
        zone.asked.clear()
        for other in ("[192.0.2.66]", "", "a..b", "x" * 300):
            assert (await asked.of_domain(other, soon())) == Listing()
        assert (await asked.of_address(EVE, soon())) == Listing()
        assert not zone.asked

    run(work())


def test_ipv6_clients_are_asked_for_by_nibbles_and_only_where_a_list_has_ipv6() -> None:
    async def work() -> None:
        zone = a_zone("six.example", "four.example")
        zone.put(f"{TEST_ENTRIES[IPV6][0]}.four.example", "A")
        nibbles = ".".join("1" + "0" * 23 + "8bd01002")
        zone.put(f"{nibbles}.six.example", "A", "127.0.0.2")
        asked = lists(zone, Clock(), six=DnsList(zone="six.example"), four=DnsList(zone="four.example"))
        listing = await asked.of_address("2001:db8::1", soon())
        assert [hit.zone for hit in listing.hits] == ["six.example"] and listing.silent == ("four.example",)
        assert len((await asked.of_address(EVE, soon())).hits) == 2, "IPv4 has its own health"
        assert not any(name.startswith(nibbles) and name.endswith("four.example") for name, _ in zone.asked)

    run(work())


@pytest.mark.parametrize(
    ("records", "word"),
    [
        ({"1.0.0.127.bl.example": "127.0.0.2"}, "lists everybody"),
        ({"2.0.0.127.bl.example": None}, "does not list 2.0.0.127"),
        ({"2.0.0.127.bl.example": "127.255.255.254"}, "does not want the questions"),
        ({"2.0.0.127.bl.example": "203.0.113.9", "1.0.0.127.bl.example": "203.0.113.9"}, "no code of a list"),
        ({"66.2.0.192.bl.example": "127.255.255.255"}, "does not want the questions"),
        ({"66.2.0.192.bl.example": "203.0.113.9"}, "no code of a list"),
    ],
)
def test_a_list_that_is_not_well_refuses_nobody_is_said_once_and_comes_back(
    records: dict[str, str | None], word: str
) -> None:
    async def work() -> None:
        zone, clock = a_zone("bl.example"), Clock()
        asked = lists(zone, clock, bl=DnsList(zone="bl.example"))
        well = {name: zone.find(_name(name), "A") for name in records}
        for name, code in records.items():
            zone.put(name, "A", *([code] if code else []))
        for _ in range(3):
            assert (await asked.of_address(EVE, soon())) == Listing((), ("bl.example",))
        ((kind, reason),) = told()
        assert kind == "dns-list-dead" and word in reason
        for name, found in well.items():
            zone.put(name, "A", *(str(one) for one in found or ()))
        assert (await asked.of_address(EVE, soon())).silent, "not before it was checked again"
        clock.now += 61
        assert (await asked.of_address(EVE, soon())).silent, "a dead list keeps nobody waiting for its check"
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await asked.of_address(EVE, soon())).weight == 1.0
        assert [kind for kind, _ in told()] == ["dns-list-alive"]

    run(work())


def _name(text: str) -> Any:
    from posthouse.dns.lookups import absolute

    return absolute(text)


def test_a_list_that_begins_to_list_everybody_is_found_out_before_it_refuses() -> None:
    async def work() -> None:
        zone, clock = a_zone("bl.example"), Clock()
        asked = lists(zone, clock, bl=DnsList(zone="bl.example"))
        assert (await asked.of_address(ANA, soon())) == Listing()
        for name in ("7.2.0.192.bl.example", "1.0.0.127.bl.example"):
            zone.put(name, "A", "127.0.0.2")
        clock.now += 61
        assert (await asked.of_address(ANA, soon())) == Listing((), ("bl.example",))

    run(work())


@pytest.mark.parametrize("fault", ["servfail", "refused", "timeout", "garbage"])
def test_a_list_whose_servers_fail_is_silent_within_the_deadline_and_left_alone_after_three_times(fault: str) -> None:
    async def work() -> None:
        zone, clock = a_zone("bl.example", "well.example"), Clock()
        async with serve(zone) as server:
            resolver = Resolver([server], 0.3, clock)
            asked = Blocklists({n: DnsList(zone=f"{n}.example") for n in ("bl", "well")}, resolver, clock)
            assert len((await asked.of_address(EVE, soon())).hits) == 2
            for last in (7, 8, 9):
                zone.behave(f"{last}.2.0.192.bl.example", fault)
                listing = await asked.of_address(f"192.0.2.{last}", soon(2))
                assert listing == Listing((), ("bl.example",))
            zone.asked.clear()
            assert (await asked.of_address("192.0.2.10", soon(2))).silent == ("bl.example",)
            assert not any(name.endswith("bl.example") for name, _ in zone.asked)
            ((kind, reason),) = told()
            assert kind == "dns-list-dead" and "does not answer" in reason

    run(work())


def test_answers_later_than_the_deadline_are_silence() -> None:
    async def work() -> None:
        zone = a_zone("bl.example")
        async with serve(zone) as server:
            asked = Blocklists({"bl": DnsList(zone="bl.example")}, Resolver([server], 5.0), Clock())
            await asked.of_address(ANA, soon())
            zone.behave("66.2.0.192.bl.example", "timeout")
            assert (await asked.of_address(EVE, soon(0.1))) == Listing((), ("bl.example",))

    run(work())


def test_the_test_points_themselves_are_never_asked_for() -> None:
    async def work() -> None:
        zone = a_zone("bl.example")
        asked = lists(zone, Clock(), bl=DnsList(zone="bl.example"))
        for address in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.2", "nonsense"):
            assert (await asked.of_address(address, soon())) == Listing()
        assert not zone.asked

    run(work())


def test_a_list_with_a_test_entry_of_its_own_is_checked_by_that() -> None:
    async def work() -> None:
        zone = FixedZone()
        zone.put("dbltest.com.dbl.example", "A", "127.0.1.2")
        asked = lists(zone, Clock(), dbl=DnsList(zone="dbl.example", kind="domain", test="dbltest.com"))
        (checked,) = await asked.check()
        assert checked.alive and checked.part == "domain"

    run(work())
