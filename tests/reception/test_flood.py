"""Rates: a burst is held back, others go on as ever, everything is forgotten in two windows, hosts count together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from posthouse import configuration
from posthouse import database as bridge_to
from posthouse.configuration import Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.reception.flood import CONNECTIONS, MESSAGES, RECIPIENTS, REFUSED, Flood, counted_as
from posthouse.reception.policy.facts import Visit
from posthouse.routing import ToAddresses, ToList, ToRelay

LIST, CLEO = "garden@lists.example", "cleo@lists.example"


class Time:
    """A clock that the test moves; it begins with a window."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


class Process:
    """One process that counts. `sends` a message and says whether it was let through."""

    def __init__(self, time: Time, **settings: Any) -> None:
        nothing = {name: 0 for name in vars(configuration.Flood()) if name.endswith(_BOUNDS)}
        self.bridge = Bridge()
        self.flood = Flood(configuration.Flood(**nothing | settings), self.bridge, time)

    def sends(
        self, address: str, *, path: str = "ana@far.example", to: str = LIST, a_list: bool = False, **more: Any
    ) -> bool:
        known_as = more.pop("known_as", "")
        visit = Visit(**{"listener": "transfer", "address": address} | more)
        name = to if a_list else ""
        if self.flood.excess(visit, path, to, name, known_as):
            return False
        self.flood.count(RECIPIENTS, visit, path, to, name, known_as)
        self.flood.count(MESSAGES, visit, path, known_as=known_as)
        return True

    def burst(self, count: int, address: str, **more: Any) -> int:
        """How many of so many messages got through."""
        return sum(self.sends(address, **more) for _ in range(count))


_BOUNDS = ("_client", "_network", "_domain", "_recipient", "_list", "_account")
ACCOUNT = {"listener": "submission", "role": "account", "account": "cleo@near.example", "trusted": True}


def test_a_burst_is_held_back_and_another_client_notices_nothing(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=10)
    assert house.burst(50, "192.0.2.1") == 10
    assert house.burst(10, "192.0.2.2") == 10, "the neighbour has a rate of its own"
    assert house.burst(50, "2001:db8:0:1::1") == 10
    assert house.burst(50, "2001:db8:0:1:ffff::9") == 0, "an IPv6 /64 is one client"
    house.bridge.close()


def test_who_waits_as_long_as_it_is_told_gets_on_and_nobody_waits_longer_than_two_windows(
    sqlite: Configuration, time: Time
) -> None:
    house = Process(time, messages_per_client=10)
    visit = Visit("transfer", "192.0.2.1")
    for _ in range(30):
        house.burst(15, "192.0.2.1")
        (excess,) = house.flood.excess(visit, "ana@far.example", LIST)
        assert (excess.of, excess.what, excess.limit, excess.window) == ("client 192.0.2.1", MESSAGES, 10, 60)
        assert 0 < excess.retry <= 120
        time.now += excess.retry
        assert house.sends("192.0.2.1")
    time.now += 120
    assert house.burst(50, "192.0.2.1") == 10, "two windows later nothing is left of it"
    house.bridge.close()


def test_a_clock_that_was_wrong_holds_nobody_back(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=10)
    time.now += 86400
    assert house.burst(50, "192.0.2.1") == 10
    time.now -= 86400
    assert house.burst(50, "192.0.2.1") == 10
    house.bridge.close()


def test_a_steady_stream_below_the_rate_is_never_held_back(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=60)
    for _ in range(600):
        assert house.sends("192.0.2.1")
        time.now += 1.02
    house.bridge.close()


def test_networks_recipients_connections_and_refused_recipients_are_counted(sqlite: Configuration, time: Time) -> None:
    house = Process(
        time, messages_per_network=20, recipients_per_client=7, connections_per_client=3, refused_per_client=4
    )
    assert house.burst(50, "192.0.2.1") == 7
    assert sum(house.burst(7, f"192.0.2.{number}") for number in range(2, 9)) == 13, "the /24 together"
    other = Visit("transfer", "198.51.100.1")
    for _ in range(3):
        assert not house.flood.excess(other)
        house.flood.count(CONNECTIONS, other)
    assert [one.what for one in house.flood.excess(other)] == [CONNECTIONS]
    assert not house.flood.excess(other, "a@b.example", LIST), "what is open may go on"
    for _ in range(4):
        house.flood.count(REFUSED, other)
    assert [one.what for one in house.flood.excess(other, "a@b.example", LIST)] == [REFUSED]
    assert [one.what for one in house.flood.excess(other)] == [CONNECTIONS, REFUSED]
    house.bridge.close()


@pytest.mark.parametrize("bound", ["messages_per_sender_domain", "messages_per_recipient", "messages_per_list"])
def test_a_flood_for_one_object_does_not_hold_back_those_who_send_it_little(
    sqlite: Configuration, time: Time, bound: str
) -> None:
    house = Process(time, **{bound: 20})
    a_list = bound == "messages_per_list"
    assert house.burst(100, "192.0.2.1", a_list=a_list) == 20
    assert house.burst(1, "198.51.100.1", a_list=a_list) == 1, "somebody else writes to the same list"
    assert house.burst(5, "198.51.100.1", a_list=a_list) == 1, "but adds no second flood"
    assert house.burst(5, "192.0.2.1", path="a@other.example", to=CLEO) == 5, "to others the first may write"
    house.bridge.close()


def test_a_flood_from_everywhere_is_held_back_too(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_recipient=20)
    assert sum(house.sends(f"10.{number}.1.1", to=CLEO) for number in range(200)) == 80
    assert house.sends("10.200.1.1", to=LIST)
    house.bridge.close()


@pytest.mark.parametrize("known_as", ["network 192.0.2.0/24", "domain far.example", "account cleo@near.example"])
@pytest.mark.parametrize("bound", ["messages_per_sender_domain", "messages_per_recipient", "messages_per_list"])
def test_who_was_here_before_a_flood_from_everywhere_is_not_held_back_for_it(
    sqlite: Configuration, time: Time, bound: str, known_as: str
) -> None:
    house = Process(time, **{bound: 20})
    a_list = bound == "messages_per_list"
    flood = [house.sends(f"10.{number}.1.1", a_list=a_list) for number in range(200)]
    assert sum(flood) == 80 and not any(flood[80:])
    assert not house.sends("192.0.2.1", a_list=a_list), "a stranger comes later, even with his first message"
    for _ in range(5):
        assert house.burst(2, "192.0.2.1", a_list=a_list, known_as=known_as) == 2
        assert not house.sends("10.250.1.1", a_list=a_list), "and holds the door open for nobody else"
    assert not house.sends("192.0.2.1", a_list=a_list, known_as=known_as), "half of the rate is enough in a window"
    assert house.sends("198.51.100.1", a_list=a_list, known_as="network 198.51.100.0/24"), "each by itself"
    time.now += 120
    assert house.sends("10.250.1.1", a_list=a_list)
    house.bridge.close()


def test_it_matters_who_sends_where_a_rate_of_others_is_reached_and_nowhere_else(
    sqlite: Configuration, time: Time
) -> None:
    house = Process(time, messages_per_list=20)
    visit = Visit("transfer", "192.0.2.1")
    assert house.burst(19, "192.0.2.1", a_list=True) == 19
    assert not house.flood.crowded(visit, "ana@far.example", LIST, LIST)
    assert house.sends("192.0.2.1", a_list=True)
    assert house.flood.crowded(visit, "ana@far.example", LIST, LIST)
    assert not house.flood.crowded(visit, "ana@far.example", CLEO)
    relay = Visit("transfer", "192.0.2.1", role="relay")
    assert not house.flood.crowded(relay, "ana@far.example", LIST, LIST)
    house.bridge.close()


def test_who_has_a_whole_ipv6_network_has_one_share_of_what_others_get(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_list=20)
    assert house.burst(20, "192.0.2.1", a_list=True) == 20
    assert sum(house.sends(f"2001:db8:1:{number:x}::1", a_list=True) for number in range(50)) == 2
    assert house.sends("2001:db8:2::1", a_list=True)
    house.bridge.close()


def test_reports_to_a_list_are_no_postings_and_a_detail_makes_no_other_recipient() -> None:
    bounces = ToList(1, LIST, "bounces", "ana=far.example")
    assert counted_as(ToList(1, LIST, "posting"), "Garden@lists.example") == ("Garden@lists.example", LIST)
    assert counted_as(bounces, "garden-bounces+x@lists.example")[1] == "garden-bounces@lists.example"
    people = ToAddresses(("cleo@near.example",), "an alias")
    assert counted_as(people, "cleo+news@lists.example") == ("cleo@lists.example", "")
    assert counted_as(people, "+@lists.example") == ("+@lists.example", "")
    assert counted_as(ToRelay("near.example"), "b+x=y@near.example") == ("b+x=y@near.example", "")


def test_accounts_are_counted_by_themselves_wherever_they_are(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_account=10, messages_per_client=3)
    assert house.burst(20, "192.0.2.1", **ACCOUNT) == 10
    assert house.burst(20, "198.51.100.1", **ACCOUNT) == 0
    assert house.burst(20, "192.0.2.1", **ACCOUNT | {"account": "owen@far.example"}) == 10
    time.now += 1800
    assert house.burst(20, "192.0.2.1", **ACCOUNT) == 0, "its window is an hour"
    time.now += 5400
    assert house.burst(20, "192.0.2.1", **ACCOUNT) == 10
    house.bridge.close()


def test_our_own_hosts_and_those_listed_are_not_counted(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=2, messages_per_list=2, exempt_networks=["198.51.100.0/24"])
    assert house.burst(9, "192.0.2.1", role="relay", trusted=True, a_list=True) == 9
    assert house.burst(9, "192.0.2.1", listener="lmtp", role="relay", a_list=True) == 9
    assert house.burst(9, "198.51.100.7", a_list=True) == 9
    assert house.burst(9, "203.0.113.1", a_list=True) == 2
    house.bridge.close()


def test_hosts_count_together(postgresql: Configuration, time: Time) -> None:
    here, there = Process(time, messages_per_client=100), Process(time, messages_per_client=100)

    async def scene() -> int:
        through = 0
        for _ in range(40):
            through += here.burst(10, "192.0.2.1") + there.burst(10, "192.0.2.1")
            await here.flood.flush()
            await there.flood.flush()
        return through

    assert 100 <= asyncio.run(scene()) <= 120, "over by no more than what comes between two looks at the database"
    ((total,),) = bridge_to.fetch("SELECT fresh FROM encounters_count WHERE whose = 'client 192.0.2.1'")
    assert 100 <= total <= 120
    here.bridge.close()
    there.bridge.close()


def test_a_new_process_takes_over_what_was_counted(sqlite: Configuration, time: Time) -> None:
    here, after = Process(time, messages_per_client=100), Process(time, messages_per_client=100)

    async def scene() -> None:
        assert here.burst(100, "192.0.2.1") == 100
        await here.flood.flush()
        assert after.burst(10, "192.0.2.1") == 10
        await after.flood.flush()
        assert after.burst(10, "192.0.2.1") == 0

    asyncio.run(scene())
    here.bridge.close()
    after.bridge.close()


def test_who_sends_little_is_never_written_down(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=100, messages_per_network=1000)
    for number in range(200):
        assert house.burst(9, f"10.0.{number}.1") == 9
    asyncio.run(house.flood.flush())
    assert bridge_to.fetch("SELECT count(*) FROM encounters_count") == [(0,)]
    house.bridge.close()


def test_while_the_database_is_gone_memory_counts_and_nothing_is_lost(
    sqlite: Configuration, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Process(time, messages_per_client=10)

    async def gone(*_: object) -> None:
        raise Unavailable("no disk")

    with monkeypatch.context() as patched:
        patched.setattr(house.bridge, "write", gone)
        assert house.burst(50, "192.0.2.1") == 10
        asyncio.run(house.flood.flush())
        time.now += 60
        assert house.burst(3, "192.0.2.1") == 0
        asyncio.run(house.flood.flush())
    asyncio.run(house.flood.flush())
    assert bridge_to.fetch("SELECT fresh, earlier FROM encounters_count") == [(10, 0)]
    house.bridge.close()


def test_memory_is_bounded_and_an_operator_may_empty_it(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=1, remembered=50)
    for number in range(1000):
        house.sends(f"10.{number // 250}.{number % 250}.1")
    assert len(house.flood._counters) == 50
    assert len(house.flood._counters._grown) <= 50
    assert not house.sends("10.3.249.1")
    house.flood.forget()
    assert house.sends("10.3.249.1")
    house.bridge.close()


def test_what_leaves_memory_before_it_was_shared_is_shared(sqlite: Configuration, time: Time) -> None:
    house = Process(time, messages_per_client=10, remembered=5)
    assert house.burst(7, "192.0.2.1") == 7
    for number in range(5):
        house.sends(f"10.0.{number}.1")
    assert not any(rate.whose == "client 192.0.2.1" for rate in house.flood._counters._counters)
    asyncio.run(house.flood.flush())
    assert bridge_to.fetch("SELECT fresh FROM encounters_count WHERE whose = 'client 192.0.2.1'") == [(7,)]
    house.bridge.close()


def test_a_long_outage_fills_no_memory_and_only_what_still_counts_is_told(
    sqlite: Configuration, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Process(time, messages_per_client=1000)

    async def gone(*_: object) -> None:
        raise Unavailable("no disk")

    with monkeypatch.context() as patched:
        patched.setattr(house.bridge, "write", gone)
        for _ in range(300):
            house.burst(110, "192.0.2.1")
            asyncio.run(house.flood.flush())
            time.now += 1
        assert len(house.flood._counters._over) <= 3
    sent: list[object] = []

    async def told(act: object, additions: list[object]) -> dict[int, object]:
        sent.extend(additions)
        return {}

    monkeypatch.setattr(house.bridge, "write", told)
    asyncio.run(house.flood.flush())
    assert 1 <= len(sent) <= 2
    house.bridge.close()


def test_nothing_that_a_stranger_writes_keeps_what_others_count_from_the_database(
    database: Configuration, time: Time
) -> None:
    house = Process(time, messages_per_recipient=10)
    house.burst(3, "192.0.2.1", to="a\0b\ud800@near.example")
    house.burst(3, "192.0.2.1", to=CLEO)
    asyncio.run(house.flood.flush())
    found = {whose for (whose,) in bridge_to.fetch("SELECT whose FROM encounters_count")}
    assert {"recipient ab?@near.example", f"recipient {CLEO}"} <= found
    house.bridge.close()
