"""The addresses of an account: added by the link mailed to them, preferred, given up; a subscription moves along."""

from __future__ import annotations

import re

from posthouse.content import keeping
from posthouse.directory import accounts, belonging, preferences
from posthouse.lists import roster, wording
from posthouse.queue.models import Delivery
from tests.people import ANA, BEN, EVE, GARDEN
from tests.web.neighbourhood import BOARD, Neighbourhood
from tests.web.test_desk import now
from tests.web.test_options import mine

PAGE = "/options/addresses/"
WORK = "ana@work.example"


def letters(address: str) -> list[str]:
    """The texts that wait for an address, with soft line ends taken out."""
    rows = Delivery.objects.filter(recipient=address).select_related("message").order_by("message_id")
    texts = [keeping.read(row.message.content_id).all().decode() for row in rows]
    return [text.replace("=\r\n", "").replace("=3D", "=") for text in texts]


def link_in(text: str) -> str:
    found = re.search(rf"http://localhost:8000({PAGE}[\w-]+/)", text)
    assert found, text
    return found[1]


def test_an_address_is_added_by_the_link_that_is_mailed_to_it(site: Neighbourhood) -> None:
    client = site.as_("ana")
    asked = client.post(PAGE, {"act": "add", "address": WORK}).content.decode()
    assert f"on its way to {WORK}" in asked and "waits for the link" in asked
    [letter] = letters(WORK)
    link = link_in(letter)
    assert ANA in letter and "Content-Type: text/html" in letter

    assert "Add the address" in client.get(link).content.decode()
    assert accounts.find(WORK) is None  # a scanner that opens the link changes nothing
    assert "2 addresses" in client.post(link).content.decode()
    assert accounts.find(WORK) == accounts.find(ANA)
    assert client.post(link).status_code == 410


def test_the_link_is_of_no_use_to_others(quick_site: Neighbourhood) -> None:
    quick_site.as_("ana").post(PAGE, {"act": "add", "address": WORK})
    link = link_in(letters(WORK)[0])
    assert quick_site.as_("stranger").get(link).status_code == 302
    for act in ("get", "post"):
        assert getattr(quick_site.as_("eve"), act)(link).status_code == 410
    assert accounts.find(WORK) is None


def test_another_account_of_the_same_person_becomes_part_of_this_one(site: Neighbourhood) -> None:
    client = site.as_("ana")
    client.post(PAGE, {"act": "add", "address": EVE})
    link = link_in(letters(EVE)[0])
    assert "another account" in client.get(link).content.decode()
    client.post(link)
    facts = accounts.find(EVE)
    assert facts and set(facts.addresses) == {ANA, EVE}


def test_wrong_and_impatient_requests_are_told_so_and_no_mail_goes_out(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("ana")
    for address, told in (("ana", "no address"), (ANA, "yours already"), ("", "no address")):
        answer = client.post(PAGE, {"act": "add", "address": address})
        assert answer.status_code == 422 and told in answer.content.decode(), address
    client.post(PAGE, {"act": "add", "address": WORK})
    again = client.post(PAGE, {"act": "add", "address": WORK})
    assert again.status_code == 422 and "within the last hour" in again.content.decode()
    assert len(letters(WORK)) == 1
    assert client.post(PAGE, {"act": "nonsense"}).status_code == 422


def test_the_primary_address_is_chosen_and_addresses_are_given_up_but_the_last(site: Neighbourhood) -> None:
    account = accounts.find(ANA)
    assert account
    belonging.give(account.id, WORK, now())
    client = site.as_("ana")
    client.post(PAGE, {"act": "prefer", "address": WORK})
    assert accounts.show(account.id).address == WORK
    page = client.get(PAGE).content.decode()
    assert page.index(WORK) < page.index(f">{ANA}") and "Garden" in page
    client.post(PAGE, {"act": "remove", "address": WORK})
    assert accounts.show(account.id).addresses == (ANA,)
    last = client.post(PAGE, {"act": "remove", "address": ANA})
    assert last.status_code == 422 and accounts.find(ANA)
    assert client.post(PAGE, {"act": "remove", "address": BEN}).status_code == 422


def test_a_subscription_moves_to_another_address_of_the_same_person_with_its_choices(site: Neighbourhood) -> None:
    account = accounts.find(ANA)
    assert account
    belonging.give(account.id, WORK, now())
    roster.set_preferences(GARDEN, ANA, acknowledge_posts=True)
    client, number = site.as_("ana"), mine().pk
    given = {"act": "save", "subscription": number, "delivery": "on", "acknowledge_posts": "yes"}
    assert 'name="address"' in client.get("/options/").content.decode()
    client.post("/options/", {**given, "address": WORK})
    [now_at] = [one for one in roster.find(WORK) if one.list_address == GARDEN]
    assert now_at.acknowledge_posts and ANA not in [one.address for one in roster.members(GARDEN)]
    assert [one.list_address for one in roster.find(ANA)] == [BOARD]
    answer = client.post("/options/", {**given, "address": BEN})
    assert answer.status_code == 422 and "not an address of your account" in answer.content.decode()


def test_the_messages_of_the_site_are_templates_in_the_language_of_their_reader(site: Neighbourhood) -> None:
    wording.put("site", "site:user:action:sign-in", "fr", "Subject: Bienvenue\n\nIci : $link_url\n", by="x", now=now())
    preferences.set_address(ANA, {"preferred_language": "fr"})
    site.as_("stranger").post("/sign-in/", {"address": ANA})
    [letter] = letters(ANA)
    assert "Subject: Bienvenue" in letter and "Ici : http://localhost:8000/sign-in/" in letter
    site.as_("stranger").post("/sign-in/", {"address": BEN}, headers={"accept-language": "fr"})
    assert "Subject: Bienvenue" in letters(BEN)[0]
    site.as_("ana").post(PAGE, {"act": "add", "address": WORK}, headers={"accept-language": "fr"})
    assert "Content-Language: fr" in letters(WORK)[0]
