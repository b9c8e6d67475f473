"""DMARC beyond the cases: several authors, records of all kinds, bounds, and a DNS that is silent."""

from __future__ import annotations

import asyncio

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.authenticity.dmarc import Dmarc, author_domains, evaluate, evaluate_authors
from posthouse.authenticity.dmarc_record import parse
from posthouse.authenticity.dmarc_walk import names_of_walk
from posthouse.dns.lookups import Answer, Lookups
from posthouse.dns.zone import FixedZone
from tests.authenticity.letters import run


def zone(**records: str) -> FixedZone:
    """Records by domain, dots written as underscores."""
    return FixedZone({f"_dmarc.{name.replace('_', '.')}": {"TXT": [f'"{text}"']} for name, text in records.items()})


def judged(author: str, lookups: Lookups, dkim: tuple[str, ...] = (), spf: tuple[str, ...] = ()) -> Dmarc:
    return run(lambda deadline: evaluate(author, dkim, spf, lookups, deadline=deadline), seconds=0.5)


def test_of_several_authors_the_strictest_that_fails_counts() -> None:
    lookups = zone(good_example="v=DMARC1; p=none", bank_example="v=DMARC1; p=reject")

    def ask(deadline: float):  # type: ignore[no-untyped-def]
        authors = author_domains(["Ana <ana@good.example>, Bank <info@bank.example>"])
        return evaluate_authors(authors, ["good.example"], [], lookups, deadline=deadline)

    found = run(ask)
    assert (found.result, found.domain, found.policy) == ("fail", "bank.example", "reject")


def test_a_message_without_an_author_has_no_result() -> None:
    assert author_domains(["undisclosed"]) == ()
    assert run(lambda deadline: evaluate_authors((), [], [], FixedZone(), deadline=deadline)).result == "none"
    assert judged("[192.0.2.1]", FixedZone()).result == "none"


def test_hundreds_of_authors_and_identifiers_cost_a_bounded_number_of_questions() -> None:
    lookups = zone(example="v=DMARC1; p=reject; psd=n")
    authors = tuple(f"a{number}.b.c.d.example" for number in range(500))
    identifiers = tuple(f"i{number}.b.c.d.example" for number in range(500))
    run(lambda deadline: evaluate_authors(authors, identifiers, identifiers, lookups, deadline=deadline))
    assert sum(lookups.asked.values()) <= 5 * (2 * 10 * 2 + 8)


class Silent(Lookups):
    """Nameservers that never answer."""

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_dns_that_is_silent_is_a_temperror_at_the_deadline() -> None:
    found = run(lambda deadline: evaluate("far.example", [], [], Silent(), deadline=deadline), seconds=0.02)
    assert (found.result, found.policy) == ("temperror", None)


@pytest.mark.parametrize(
    ("domain", "count"), [("example", 1), ("far.example", 2), ("a.b.c.d.e.f.g", 7), ("a.b.c.d.e.f.g.h", 8),
                          (".".join("x" * 120), 8)],
)  # fmt: skip
def test_no_walk_asks_more_than_eight_questions(domain: str, count: int) -> None:
    names = names_of_walk(domain)
    assert len(names) == count
    assert (names[0], names[-1]) == (domain, domain.rpartition(".")[2])


def test_an_old_record_is_understood() -> None:
    record = parse(
        b"v=DMARC1; p=quarantine; sp=reject; pct=20; rf=afrf; ri=86400; fo=1:d;"
        b" rua=mailto:a@far.example!10m,mailto:b@far.example; ruf=mailto:c@far.example; adkim=s"
    )
    assert record is not None
    assert (record.policy, record.subdomains, record.missing) == ("quarantine", "reject", "reject")
    assert record.rua == ("mailto:a@far.example", "mailto:b@far.example")
    assert record.ruf == ("mailto:c@far.example",)
    assert record.failure_options == ("1", "d")
    assert record.ignored == ("pct", "rf", "ri")
    assert (record.dkim_mode, record.spf_mode, record.testing) == ("strict", "relaxed", False)


@pytest.mark.parametrize(
    "text",
    [b"v=spf1 -all", b"v=DMARC1x; p=none", b"", b"p=none", b"v=DMARC1; p=none; p=reject", b"\xff\xfe", b"v=dmarc1"],
)
def test_what_is_no_record_is_none(text: bytes) -> None:
    assert parse(text) is None


@given(st.binary(max_size=120))
def test_any_octets_as_a_record_are_survived(octets: bytes) -> None:
    parse(octets)
    record = parse(b"v=DMARC1;" + octets)
    assert record is None or record.policy in ("none", "quarantine", "reject")


def test_a_suffix_of_a_name_that_is_no_parent_does_not_align() -> None:
    lookups = zone(bank_example="v=DMARC1; p=reject")
    assert judged("bank.example", lookups, ("evilbank.example",), ("xbank.example",)).result == "fail"
    assert judged("bank.example", lookups, ("mail.bank.example",)).result == "pass"


def test_an_identifier_of_another_organization_costs_no_question() -> None:
    lookups = zone(far_example="v=DMARC1; p=reject")
    assert judged("far.example", lookups, ("other.example", "esp.net"), ("other.example",)).result == "fail"
    assert {name for name, _ in lookups.asked} == {"_dmarc.far.example", "_dmarc.example"}


def test_only_an_identifier_that_could_align_makes_a_failing_dns_matter() -> None:
    lookups = zone(far_example="v=DMARC1; p=reject")
    lookups.behave("_dmarc.example", "servfail")
    assert judged("far.example", lookups, ("esp.net",)).result == "fail"
    found = judged("far.example", lookups, ("other.example",))
    assert (found.result, found.policy, found.published_policy) == ("temperror", None, "reject")
