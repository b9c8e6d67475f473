"""Lookups in real databases of others: known at once, stopped in turn; mail is deferred and then delivered."""

from __future__ import annotations

import dataclasses

import pytest

from posthouse import configuration
from posthouse.address import Address, parse
from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from posthouse.routing.lookups.answer import LookupTrouble
from posthouse.routing.lookups.desk import desk
from tests.interop.databases_of_others import KINDS, base
from tests.people import ANA, BEN, OWEN
from tests.running_house import running
from tests.serving import until

pytestmark = pytest.mark.interop
HELP = "help@parent.example"


def speaks_again() -> bool:
    """Whether the lookup answers."""
    try:
        return desk().ask_here("tickets", parse(HELP)).hit
    except LookupTrouble:
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_of_a_ticket_system_takes_mail_at_once_and_its_outage_only_defers(
    sqlite: Configuration, kind: str
) -> None:
    with base(kind) as other, running(dataclasses.replace(sqlite, lookups={"tickets": other.lookup()})) as house:
        domains.add("parent.example")
        accounts.create(OWEN, superuser=True)
        assert house.outside.posts(ANA, HELP, "Too early").startswith("550 5.1.1")
        other.knows(HELP, f"{BEN}, {OWEN}")
        assert house.outside.posts(ANA, HELP, "First").startswith("250"), "no step in between"
        house.settles()
        assert [copy["Subject"] for _, copy in house.outside.copies_for(BEN)] == ["First"]
        for name in ("x' OR '1'='1", "*", "help*", "%"):
            assert house.outside.posts(ANA, f'"{name}"@parent.example', "x").startswith("550 5.1.1")

        assert house.outside.posts(ANA, HELP, "Second").startswith("250")
        other.stop()
        house.settles()
        assert len(house.outside.copies_for(BEN)) == 1, "accepted, and waiting"
        assert house.outside.posts(ANA, HELP, "Third").startswith("451 4.3.0")
        assert house.outside.posts(ANA, "postmaster@parent.example", "x").startswith("250")
        other.start()
        until(speaks_again, 20, "it is asked again within seconds")
        assert house.outside.posts(ANA, HELP, "Fourth").startswith("250")
        house.passes(hours=1)
        subjects = sorted(copy["Subject"] for _, copy in house.outside.copies_for(BEN))
        assert subjects == ["First", "Fourth", "Second"]
        other.forgets(HELP)
        assert house.outside.posts(ANA, HELP, "Fifth").startswith("550 5.1.1"), "gone at once"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_hangs_costs_its_deadline_and_nobody_elses_time(sqlite: Configuration, kind: str) -> None:
    with base(kind) as other, running(dataclasses.replace(sqlite, lookups={"tickets": other.lookup()})) as house:
        domains.add("parent.example")
        accounts.create(OWEN, superuser=True)
        other.knows(HELP, BEN)
        assert house.outside.posts(ANA, HELP, "First").startswith("250"), "a connection is kept now"
        other.hang()
        assert house.outside.posts(ANA, HELP, "Second").startswith("451 4.3.0"), "within the client's minute"
        assert house.outside.posts(ANA, "postmaster@parent.example", "x").startswith("250"), "it is not asked for him"
        other.go_on()
        until(speaks_again, 20, "it is asked again within seconds")
        assert house.outside.posts(ANA, HELP, "Third").startswith("250")


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_the_account_of_a_lookup_needs_select_on_one_table_and_may_change_nothing(
    sqlite: Configuration, kind: str
) -> None:
    with base(kind) as other:
        other.knows(HELP, BEN)
        wrong = {"one": other.lookup(query="SELECT target FROM others WHERE address = :address"),
                 "two": other.lookup(password="wrong" if kind == "mysql" else "s3cret", user="nosuch"),
                 "three": other.lookup(domains=["parent.example"])}  # fmt: skip
        configuration.activate(dataclasses.replace(sqlite, lookups=wrong))
        for name in ("one", "two"):
            with pytest.raises(LookupTrouble) as trouble:
                desk().ask_here(name, Address("help", "parent.example"))
            assert "s3cret" not in str(trouble.value)
        answer = desk().ask_here("three", Address("help", "parent.example"))
        assert (answer.hit, answer.values, answer.server) == (True, (BEN,), f"127.0.0.1:{other.port}")
        desk().close()
