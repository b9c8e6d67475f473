"""Who counts as one client, who is in a network, and who is let in."""

from __future__ import annotations

import dataclasses
import resource
import time
from pathlib import Path

import pytest

from posthouse import configuration
from posthouse.dns.networks import Networks
from posthouse.reception.crowd import Crowd
from posthouse.reception.limits import OTHER_FILES, PARAMETERS, Doorkeeper, client_key, engine_limits, make_room
from posthouse.smtp import catalogue


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_a_64_of_ipv6(address: str, key: str) -> None:
    assert client_key(address) == key


def test_networks_hold_both_families_and_mapped_addresses() -> None:
    networks = Networks(["192.0.2.0/24", "2001:db8::/32", "::1/128"])
    for inside in ("192.0.2.200", "::ffff:192.0.2.200", "2001:db8::5", "::1"):
        assert inside in networks, inside
    for outside in ("192.0.3.1", "2001:db9::1", "127.0.0.1", "", "nonsense"):
        assert outside not in networks, outside
    assert "127.0.0.1" not in Networks([])


def test_the_doorkeeper_bounds_each_client_and_all_together_and_forgets_who_left() -> None:
    keeper = Doorkeeper(3, 2)
    assert keeper.enter("a") is None and keeper.enter("a") is None
    assert keeper.enter("a") is catalogue.TOO_MANY_CONNECTIONS
    assert keeper.enter("b") is None
    assert keeper.enter("c") is catalogue.SERVER_BUSY
    keeper.leave("a")
    assert keeper.enter("c") is None
    for key in ("a", "b", "c"):
        keeper.leave(key)
    assert keeper.count == 0 and keeper._inside == {}


def test_strangers_leave_room_for_people_who_sign_in_and_for_our_own_hosts(tmp_path: Path) -> None:
    crowd, other = Crowd(tmp_path, 2), Crowd(tmp_path, 2)
    keeper, beside = Doorkeeper(3, 2, crowd), Doorkeeper(3, 2, other)
    for number in range(3):
        assert (keeper, beside)[number % 2].enter(f"bot {number}") is None
    for one in (keeper, beside):
        assert one.enter("bot 4") is catalogue.SERVER_BUSY
        assert one.enter("cleo", "account") is None
        assert one.enter("exim", "relay") is None
    assert beside.enter("owen", "account") is None
    assert keeper.enter("owen", "account") is catalogue.SERVER_BUSY
    keeper.leave("cleo", "account")
    assert keeper.enter("owen", "account") is None
    keeper.leave("bot 0")
    assert beside.enter("bot 4") is None
    assert (keeper.count, beside.count) == (3, 5)
    for one_ in (crowd, other):
        one_.close()


def test_a_process_may_have_as_many_files_open_as_it_takes_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        most = min(2000, (hard - OTHER_FILES) // 3) if hard != resource.RLIM_INFINITY else 2000
        assert make_room(most) == 3 * most + OTHER_FILES
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (3 * most + OTHER_FILES, hard)
        assert make_room(10) == 3 * most + OTHER_FILES, "never fewer than there were"
        assert hard == resource.RLIM_INFINITY or make_room(hard) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_processes_of_a_host_count_each_others_clients_and_the_dead_do_not_count(tmp_path: Path) -> None:
    one, two = Crowd(tmp_path, 3), Crowd(tmp_path, 3)
    first, second = Doorkeeper(3, 2, one), Doorkeeper(3, 2, two)
    assert first.enter("a") is None and second.enter("a") is None
    assert first.enter("a") is catalogue.TOO_MANY_CONNECTIONS
    assert second.enter("a") is catalogue.TOO_MANY_CONNECTIONS
    assert first.enter("b") is None
    assert second.enter("c") is catalogue.SERVER_BUSY
    first.leave("a")
    assert second.enter("a") is None, "who left one process may come to another"
    second.leave("a")
    second.leave("a")
    assert [crowd.elsewhere(crowd.slot("a")) for crowd in (one, two)] == [(0, 0), (0, 1)]
    three, late = Crowd(tmp_path, 3), Crowd(tmp_path, 3)  # one more than there are rows
    assert Doorkeeper(3, 2, late).enter("c") is None
    assert three.elsewhere(three.slot("b")) == (1, 1)
    one._own = None
    one.close()  # killed: nobody took leave
    heir = Crowd(tmp_path, 3)
    assert heir.elsewhere(heir.slot("b")) == (0, 0) and heir._own == 0
    for crowd in (two, three, late, heir):
        crowd.close()


def test_no_row_of_a_killed_process_counts_whichever_row_its_heir_takes(tmp_path: Path) -> None:
    one, two = Crowd(tmp_path, 3), Crowd(tmp_path, 3)
    Doorkeeper(3, 2, two).enter("a")
    one.close()  # at a restart the old ones go later
    two._own = None
    two.close()  # killed
    heir = Crowd(tmp_path, 3)
    assert heir._own == 0 and heir.elsewhere(heir.slot("a")) == (0, 0)
    other = Crowd(tmp_path, 3)
    assert other._own == 1, "the rows that were looked through are free"
    for crowd in (heir, other):
        crowd.close()


def test_a_connection_to_several_processes_costs_microseconds(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, 8)
    keeper = Doorkeeper(2000, 50, crowd)
    begun = time.process_time()
    for number in range(2000):
        assert keeper.enter(f"192.0.2.{number % 256}") is None
    assert time.process_time() - begun < 0.5
    crowd.close()


def test_nought_means_no_bound() -> None:
    keeper = Doorkeeper(0, 0)
    assert all(keeper.enter("a") is None for _ in range(1000))


def test_every_configured_bound_reaches_the_engine() -> None:
    names = {item.name for item in dataclasses.fields(configuration.Limits)}
    elsewhere = {"hops", "connections", "connections_per_address", "minimum_free_disk", "command_line"}
    values = {name: number for number, name in enumerate(sorted(names), 1000)}
    chosen = engine_limits(configuration.Limits(**values))
    for name in names - elsewhere:
        assert getattr(chosen, name) == values[name], name
    assert chosen.command_line == values["command_line"] + PARAMETERS


def test_a_flood_from_one_client_is_logged_now_and_then_only() -> None:
    keeper = Doorkeeper(1, 1)
    told = [keeper.worth_telling("a", 100.0 + number / 10) for number in range(250)]
    assert told.count(True) == 3 and told[0]
    assert keeper.worth_telling("b", 100.0)
