"""Postings whose author's domain forbids what lists do reach the members, and answers to them reach the author."""

from __future__ import annotations

import pytest

from posthouse.lists import holding
from tests.outside import Outside
from tests.people import ANA, BEN, CLEO, EVE, GARDEN
from tests.running_house import House


def forbids(house: House, policy: str = "reject", domain: str = "far.example") -> None:
    """A domain publishes a policy."""
    house.zone.put(f"_dmarc.{domain}", "TXT", f'"v=DMARC1; p={policy}"')


@pytest.mark.parametrize("policy", ["reject", "quarantine"])
def test_the_list_is_the_author_and_answers_go_to_who_wrote_it(house: House, outside: Outside, policy: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    forbids(house, policy)

    outside.posts(f"Ana Apple <{ANA}>", GARDEN)
    house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy["From"] == f"Ana Apple via Garden <{GARDEN}>"
    assert copy["Reply-To"] == f"Ana Apple <{ANA}>"


@pytest.mark.parametrize("policy", ["none", ""])
def test_without_such_a_policy_nothing_is_changed(house: House, outside: Outside, policy: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    if policy:
        forbids(house, policy)

    outside.posts(f"Ana Apple <{ANA}>", GARDEN)
    house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy["From"] == f"Ana Apple <{ANA}>"
    assert "Reply-To" not in copy


def test_a_rejected_author_is_told_the_lists_own_words(house: House, outside: Outside) -> None:
    house.has_list(
        GARDEN, members=[ANA, BEN], dmarc_mitigate_action="reject", dmarc_moderation_notice="Use another address."
    )
    forbids(house)

    outside.posts(ANA, GARDEN)
    house.settles()

    assert outside.copies_for(BEN) == []
    [(_, notice)] = outside.copies_for(ANA)
    assert "Use another address." in notice.as_string()


def test_the_policy_is_remembered_while_a_posting_waits(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[BEN], default_nonmember_action="hold", respond_to_post_requests="no")
    forbids(house, domain="elsewhere.example")

    outside.posts(EVE, GARDEN)
    house.settles()
    [held] = holding.held(GARDEN)
    assert held.author == EVE
    holding.release(held.id, "owen", int(house.clock() * 1000))
    house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy["From"] == f"eve via Garden <{GARDEN}>"


def test_a_nameserver_without_an_answer_stops_nobody(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN, CLEO], dmarc_mitigate_action="reject")
    house.zone.behave("_dmarc.far.example", "servfail")

    outside.posts(ANA, GARDEN)
    outside.posts(CLEO, GARDEN)
    house.settles()

    assert {copy["From"] for _, copy in outside.copies_for(BEN)} == {f"ana via Garden <{GARDEN}>", CLEO}
