"""The page about a list, and the links in its mails."""

from __future__ import annotations

import re
import time

import pytest
from django.test import Client

from posthouse.content import keeping
from posthouse.lists import creation, roster, subscription, tokens
from posthouse.queue.models import Delivery
from tests.people import ANA, BEN, EVE, GARDEN
from tests.web.neighbourhood import Neighbourhood


def members() -> list[str]:
    return [one.address for one in roster.members(GARDEN)]


def link_to_leave(address: str) -> str:
    return f"/unsubscribe/{tokens.signed(tokens.unsubscribe_key(), creation.show(GARDEN).pk, address)}/"


def test_the_page_of_a_list_says_how_to_take_part(quick_site: Neighbourhood) -> None:
    page = quick_site.as_("stranger").get(f"/lists/{GARDEN.upper()}/").content.decode()
    for address in ("garden-join@", "garden-leave@", "garden-owner@", "garden@"):
        assert f"mailto:{address}lists.example" in page
    assert "Growing food together" in page
    assert f"/archives/{GARDEN}/" in page


def test_one_click_leaves_without_cookie_or_form(site: Neighbourhood) -> None:
    client = Client(enforce_csrf_checks=True)
    for _ in range(2):  # a mail client may send it twice
        answer = client.post(link_to_leave(ANA), {"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert len(answer.content) < 200
    assert ANA not in members() and BEN in members()
    assert not client.cookies


def test_looking_at_the_link_changes_nothing_and_the_button_leaves(quick_site: Neighbourhood) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get(link_to_leave(ANA)).content.decode()
    assert ANA in page and GARDEN in page and "<button" in page
    assert ANA in members()
    done = client.post(link_to_leave(ANA), {"leave": "1"})
    assert "You have left" in done.content.decode()
    assert ANA not in members()


def test_a_post_that_asks_for_nothing_does_nothing(quick_site: Neighbourhood) -> None:
    assert Client().post(link_to_leave(ANA), {"x": "y"}).status_code == 400
    assert ANA in members()


@pytest.mark.parametrize("end", [1, 5, 20])
def test_a_cut_or_changed_link_leaves_nobody_out(quick_site: Neighbourhood, end: int) -> None:
    link = link_to_leave(ANA).rstrip("/")
    assert Client().post(link[:-end] + "/", {"List-Unsubscribe": "One-Click"}).status_code == 404
    assert ANA in members()


def confirmation() -> str:
    row = Delivery.objects.select_related("message").order_by("-message_id")[0]
    text = keeping.read(row.message.content_id).all().decode()
    found = re.search(r"/confirm/([a-z2-7]{26})/", text)
    assert found
    return f"/confirm/{found[1]}/"


def test_joining_is_confirmed_by_a_button(site: Neighbourhood) -> None:
    subscription.request_join(GARDEN, EVE, "", time.time_ns() // 1_000_000)
    link = confirmation()
    client = site.as_("stranger")
    page = client.get(link).content.decode()
    assert EVE in page and "<button" in page
    assert EVE not in members()
    assert "Welcome" in client.post(link).content.decode()
    assert EVE in members()
    assert client.post(link).status_code == client.get(link).status_code == 410


def test_leaving_is_confirmed_by_a_button(quick_site: Neighbourhood) -> None:
    subscription.request_leave(GARDEN, ANA, time.time_ns() // 1_000_000)
    client = quick_site.as_("stranger")
    assert ANA in client.get(confirmation()).content.decode()
    client.post(confirmation())
    assert ANA not in members()


def test_the_page_of_a_disabled_list_says_so_and_why(quick_site: Neighbourhood) -> None:
    creation.set_state(GARDEN, "disabled", "It was abused.", time.time_ns() // 1_000_000)
    page = quick_site.as_("stranger").get(f"/lists/{GARDEN}/").content.decode()
    assert "This list is disabled" in page and "It was abused." in page
    assert f'action="/lists/{GARDEN}/join/"' not in page
    creation.set_state(GARDEN, "active", "", time.time_ns() // 1_000_000)
    assert "disabled" not in quick_site.as_("stranger").get(f"/lists/{GARDEN}/").content.decode()
