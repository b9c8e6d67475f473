"""Signing in by a mailed link: nobody learns who has an account, and a link works once."""

from __future__ import annotations

import re
import time

import pytest
from django.test import Client

from posthouse.content import keeping
from posthouse.directory import accounts
from posthouse.queue.models import Delivery
from tests.people import ANA, GARDEN, OWEN
from tests.web.neighbourhood import BOARD, Neighbourhood


def mailed() -> list[tuple[str, str]]:
    """(recipient, text) of what waits in the queue, oldest first."""
    rows = Delivery.objects.select_related("message").order_by("message_id")
    return [(row.recipient, keeping.read(row.message.content_id).all().decode()) for row in rows]


def link_in(text: str) -> str:
    found = re.search(r"http://localhost:8000(/sign-in/\S+)", text.replace("=\r\n", "").replace("=3D", "="))
    assert found
    return found[1]


def test_a_mailed_link_signs_in_by_a_button_and_leads_on(site: Neighbourhood) -> None:
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/sign-in/", {"next": f"/archives/{BOARD}/"})
    token = token_of(page.content.decode())
    fields = {"address": ANA, "next": f"/archives/{BOARD}/", "csrfmiddlewaretoken": token}
    assert browser.post("/sign-in/", fields).status_code == 200
    [(recipient, text)] = mailed()
    assert recipient == ANA

    link = link_in(text)
    button = browser.get(link)
    assert "sessionid" not in browser.cookies  # a scanner that opens the link changes nothing
    arrived = browser.post(link, {"csrfmiddlewaretoken": token_of(button.content.decode())})

    assert (arrived.status_code, arrived.headers["Location"]) == (302, f"/archives/{BOARD}/")
    assert browser.get(f"/archives/{BOARD}/").status_code == 200
    again = Client().post(link)
    assert again.status_code == 410


def token_of(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


def test_known_and_unknown_addresses_get_the_same_answer(site: Neighbourhood) -> None:
    pages = {}
    for address in (OWEN, "nobody@far.example"):
        answer = site.as_("stranger").post("/sign-in/", {"address": address})
        assert answer.status_code == 200
        pages[address] = answer.content.decode().replace(address, "…")
    assert len(set(pages.values())) == 1
    assert [recipient for recipient, _ in mailed()] == [OWEN]


def test_nobody_is_flooded_with_links(quick_site: Neighbourhood) -> None:
    for _ in range(7):
        assert quick_site.as_("stranger").post("/sign-in/", {"address": ANA.upper()}).status_code == 200
    assert len(mailed()) == 3


@pytest.mark.parametrize("address", ["", "ana", "ana@far.example\r\nBcc: eve@elsewhere.example", "a b@far.example"])
def test_what_is_no_address_is_said_to_be_none(quick_site: Neighbourhood, address: str) -> None:
    answer = quick_site.as_("stranger").post("/sign-in/", {"address": address})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert mailed() == []


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_way_on_never_leads_off_the_site(quick_site: Neighbourhood, onward: str) -> None:
    link = f"/sign-in/{accounts.sign_in_link(ANA, time.time_ns() // 1_000_000)}/"
    answer = Client().post(f"{link}?{'next=' + onward}")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_signing_out_takes_a_button_and_ends_it(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("ana")
    assert ANA in client.get("/sign-out/").content.decode()
    assert client.get(f"/archives/{BOARD}/").status_code == 200
    client.post("/sign-out/")
    assert client.get(f"/archives/{BOARD}/").status_code == 404


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-out/", "/held/"])
def test_a_form_from_elsewhere_is_refused(quick_site: Neighbourhood, path: str) -> None:
    client = quick_site.as_("owen", enforce_csrf_checks=True)
    answer = client.post(path, {"address": ANA, "act": "discard", "held": "1"})
    assert answer.status_code == 403
    assert "Please send it again" in answer.content.decode()


def test_a_deactivated_account_is_a_stranger(quick_site: Neighbourhood) -> None:
    from posthouse.directory.models import Account

    client = quick_site.as_("ana")
    facts = accounts.find(ANA)
    assert facts
    Account.objects.filter(pk=facts.id).update(is_active=False)
    assert client.get(f"/archives/{BOARD}/").status_code == 404
    assert client.get(f"/archives/{GARDEN}/").status_code == 200
