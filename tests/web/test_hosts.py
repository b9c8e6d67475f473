"""The pages live on one host, the addresses of lists on another; each stands where it belongs."""

from __future__ import annotations

import re

import pytest
from django.test import Client, override_settings

from posthouse.configuration import Configuration
from posthouse.lists import creation, departure
from posthouse.queue.models import Delivery
from tests.lists.scene import posts, waiting
from tests.people import ANA, BEN, EVE, GARDEN
from tests.web.neighbourhood import Neighbourhood
from tests.web.test_addresses import letters
from tests.web.test_signing_in import token_of

WEB = "https://www.club.example"
HOST = {"host": "www.club.example"}


@pytest.fixture
def apart(sqlite: Configuration) -> Neighbourhood:
    """The neighbourhood with its pages on another host than its mail."""
    site = Neighbourhood(sqlite)
    site.changes(web_base_url=WEB)
    return site


def links_in(text: str) -> set[str]:
    """The hosts of all web links in a text."""
    return set(re.findall(r"https?://([^/\s\"'<>]+)", text))


def test_pages_name_addresses_of_the_mail_host_and_link_to_the_web_host(apart: Neighbourhood) -> None:
    key = apart.letter(1)
    client = apart.as_("stranger")
    about = client.get(f"/lists/{GARDEN}/", headers=HOST).content.decode()
    assert "mailto:garden-join@lists.example" in about and "club.example" not in about.replace(WEB, "")
    for path in (f"/archives/{GARDEN}/", f"/archives/{GARDEN}/message/{key}/", f"/archives/{GARDEN}/feed.atom"):
        page = client.get(path, headers=HOST).content.decode()
        assert f"{WEB}/archives/garden@lists.example/" in page
        assert links_in(page) <= {"www.club.example", "www.w3.org"}


def test_copies_and_notices_lead_to_the_web_host_and_are_answered_to_the_mail_host(apart: Neighbourhood) -> None:
    posts(ANA)
    posts(EVE, subject="Offer")
    [(_, content, _)] = waiting("list")
    header = content.partition(b"\r\n\r\n")[0].decode()
    assert f"List-Archive: <{WEB}/archives/{GARDEN}/>" in header
    assert f"Archived-At: <{WEB}/archives/{GARDEN}/message/" in header.replace("\r\n ", "")
    assert "List-Post: <mailto:garden@lists.example>" in header
    assert links_in(header) == {"www.club.example"} and "http://" not in header
    return_path, fields = departure.for_list(creation.show(GARDEN).pk).copy(BEN)
    assert return_path == "garden-bounces+ben=far.example@lists.example"
    assert fields.startswith(f"List-Unsubscribe: <{WEB}/unsubscribe/".encode())
    assert b"<mailto:garden-leave@lists.example>" in fields and b"List-Unsubscribe=One-Click" in fields
    notices = [text for row in Delivery.objects.all() for text in letters(row.recipient) if "held/act" in text]
    assert notices and all(f"{WEB}/held/act/" in text and "garden-owner@lists.example" in text for text in notices)


def test_a_form_of_the_web_host_is_taken_and_one_from_the_mail_host_is_not(apart: Neighbourhood) -> None:
    with override_settings(CSRF_TRUSTED_ORIGINS=[WEB]):  # as settings make it from base_url
        browser = Client(enforce_csrf_checks=True, headers={**HOST, "x-forwarded-proto": "https"})
        token = token_of(browser.get("/sign-in/").content.decode())
        fields = {"address": ANA, "csrfmiddlewaretoken": token}
        strange = browser.post("/sign-in/", fields, headers={"origin": "https://lists.example"})
        assert strange.status_code == 403 and not letters(ANA)
        assert browser.post("/sign-in/", fields, headers={"origin": WEB}).status_code == 200
    assert f"{WEB}/sign-in/" in letters(ANA)[0]
