"""Where an address leads, line by line of the switch."""

from __future__ import annotations

import dataclasses

import pytest

from posthouse import configuration
from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from posthouse.lists import addresses, creation
from posthouse.routing import Refused, ToAddresses, ToList, ToRelay, ToRemote, explain, return_path_refusal, route

GARDEN = "garden@lists.example"


@pytest.fixture
def house(database: Configuration) -> Configuration:
    """lists.example with the list garden, owned by owen, who is also the superuser."""
    chosen = dataclasses.replace(
        database, reception=dataclasses.replace(database.reception, relay_domains=["Backup.Example"])
    )
    configuration.activate(chosen)
    domains.add("lists.example")
    domains.add("other.example")
    accounts.create("owen@far.example", "Owen", superuser=True)
    creation.create(GARDEN, ["owen@far.example"])
    return chosen


def reply_code(address: str, may_relay: bool = False) -> tuple[int, str]:
    """Code and enhanced code of the refusal of an address."""
    destination = route(address, may_relay)
    assert isinstance(destination, Refused), destination
    return destination.reply.code, destination.reply.enhanced


@pytest.mark.parametrize(
    ("local", "role"),
    [
        ("garden", "posting"), ("GARDEN", "posting"), ("garden-owner", "owner"), ("garden-admin", "owner"),
        ("garden-bounces", "bounces"), ("garden-bounces+ana=far.example", "bounces"), ("garden-join", "join"),
        ("garden-subscribe", "join"), ("garden-leave", "leave"), ("garden-unsubscribe", "leave"),
        ("garden-confirm", "confirm"), ("garden-confirm+t0ken", "confirm"), ("garden-request", "request"),
    ],
)  # fmt: skip
def test_every_suffix_leads_to_its_role_at_the_list(house: Configuration, local: str, role: str) -> None:
    destination = route(f"{local}@lists.example")
    assert isinstance(destination, ToList)
    assert (destination.role, destination.list_address) == (role, GARDEN)
    assert destination.detail == local.partition("+")[2]


def test_an_unknown_local_part_or_suffix_is_a_permanent_550_even_for_those_who_may_relay(house: Configuration) -> None:
    for address in ("nobody@lists.example", "garden-nosuch@lists.example", "garden@other.example"):
        assert reply_code(address) == (550, "5.1.1")
        assert reply_code(address, may_relay=True) == (550, "5.1.1")


def test_a_list_is_routable_at_once_and_gone_at_once(house: Configuration) -> None:
    assert reply_code("seeds@lists.example") == (550, "5.1.1")
    creation.create("seeds@lists.example", ["owen@far.example"])
    assert isinstance(route("seeds@lists.example"), ToList)
    creation.remove("seeds@lists.example")
    assert reply_code("seeds@lists.example") == (550, "5.1.1")


def test_the_same_name_in_two_domains_is_two_lists(house: Configuration) -> None:
    creation.create("garden@other.example", ["owen@far.example"])
    one, two = route(GARDEN), route("garden@other.example")
    assert isinstance(one, ToList) and isinstance(two, ToList)
    assert one.list_pk != two.list_pk


def test_strangers_may_not_relay_and_trusted_ones_may(house: Configuration) -> None:
    assert reply_code("ana@far.example") == (550, "5.7.1")
    assert route("ana@Far.Example", may_relay=True) == ToRemote("far.example")
    assert route("ana@büro.example", may_relay=True) == ToRemote("xn--bro-hoa.example")


def test_a_relay_domain_takes_mail_from_anybody(house: Configuration) -> None:
    assert route("ana@backup.example") == ToRelay("backup.example")
    assert route("ana@BACKUP.example", may_relay=True) == ToRelay("backup.example")
    assert reply_code("ana@sub.backup.example") == (550, "5.7.1")


@pytest.mark.parametrize("spelling", ["postmaster", "Postmaster", "POSTMASTER@lists.example",
                                      "postmaster@other.example", "postmaster@mx.lists.example"])  # fmt: skip
def test_the_postmaster_is_always_a_person(house: Configuration, spelling: str) -> None:
    destination = route(spelling)
    assert isinstance(destination, ToAddresses)
    assert destination.addresses == ("owen@far.example",)


def test_the_postmaster_of_another_domain_is_not_ours(house: Configuration) -> None:
    assert reply_code("postmaster@far.example") == (550, "5.7.1")


def test_without_a_superuser_the_postmasters_mail_waits_outside(database: Configuration) -> None:
    domains.add("lists.example")
    assert reply_code("postmaster@lists.example") == (451, "4.3.0")


def test_a_superuser_called_postmaster_here_makes_no_loop(database: Configuration) -> None:
    domains.add("lists.example")
    accounts.create("postmaster@lists.example", superuser=True)
    assert reply_code("postmaster@lists.example") == (451, "4.3.0")
    accounts.create("owen@far.example", superuser=True)
    assert route("postmaster@lists.example") == ToAddresses(
        ("owen@far.example",), "the postmaster's mail goes to every superuser"
    )


@pytest.mark.parametrize("spelling", ["", "ana", "@lists.example", "ana@", "a b@lists.example", "ana@-x.example"])
def test_what_is_no_address_is_refused_with_the_rule(house: Configuration, spelling: str) -> None:
    destination = route(spelling)
    assert isinstance(destination, Refused)
    assert destination.reply.permanent and destination.why


@pytest.mark.parametrize("local", ["garden", "garden-owner", "garden-admin", "garden-join", "garden-subscribe",
                                   "garden-leave", "garden-unsubscribe", "garden-request"])  # fmt: skip
def test_the_null_sender_is_refused_where_nothing_is_ever_sent_from(house: Configuration, local: str) -> None:
    refusal = return_path_refusal(route(f"{local}@lists.example"), "")
    assert refusal is not None
    assert (refusal.code, refusal.enhanced) == (550, "5.7.1")
    assert "never sends" in refusal.text and "garden-bounces@lists.example" in refusal.text
    assert return_path_refusal(route(f"{local}@lists.example"), "ana@far.example") is None


@pytest.mark.parametrize("local", ["garden-bounces", "garden-bounces+ana=far.example", "garden-confirm",
                                   "garden-confirm+t0ken", "postmaster"])  # fmt: skip
def test_the_null_sender_may_report_to_addresses_that_send(house: Configuration, local: str) -> None:
    assert return_path_refusal(route(f"{local}@lists.example"), "") is None


def test_explain_tells_every_kind_of_way_in_sentences(house: Configuration) -> None:
    posting = " ".join(explain(GARDEN))
    assert "posting address of the mailing list garden@lists.example" in posting
    assert "550 5.7.1" in posting and "mailing_list" in posting
    verp = " ".join(explain("garden-bounces+ana=far.example@lists.example"))
    assert "bounces address" in verp and "'ana=far.example'" in verp and "550" not in verp
    assert "owen@far.example" in " ".join(explain("postmaster"))
    assert "550 5.1.1" in " ".join(explain("nobody@lists.example"))
    assert "relay_domains" in " ".join(explain("ana@backup.example"))
    elsewhere = " ".join(explain("ana@far.example"))
    assert "550 5.7.1" in elsewhere and "the MX hosts of far.example" in elsewhere
    assert "refused" in " ".join(explain("no address"))


def test_explain_knows_every_role_that_lists_have() -> None:
    from posthouse.routing.explanation import _ROLES

    assert set(_ROLES) == set(addresses.SUFFIXES.values()) | {addresses.POSTING}


def test_explain_names_the_next_hop_of_what_leaves(house: Configuration) -> None:
    hop = configuration.NextHop(hosts=["[192.0.2.9]"], lmtp=True)
    configuration.activate(dataclasses.replace(house, next_hops={".far.example": hop}))
    told = " ".join(explain("ana@deep.far.example"))
    assert 'Next hop: [192.0.2.9] by LMTP, by [next_hops.".far.example"].' in told
