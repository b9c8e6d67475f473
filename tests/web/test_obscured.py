"""Addresses on pages that everybody reads are written for people, unless the list wants it otherwise."""

from __future__ import annotations

import pytest

from posthouse.configuration import Configuration
from posthouse.lists import creation, roster
from posthouse.message.identity import message_id_hash
from tests.lists.scene import has_list, letter, posts
from tests.people import ANA, BEN, GARDEN
from tests.running_house import Browser

KEY = message_id_hash("tomatoes@far.example")
WORDS = f"Ben <{BEN}> wrote:\n> See https://far.example/@ben and user@localhost"


@pytest.mark.parametrize(("wanted", "shown"), [("yes", False), ("no", True)])
def test_addresses_on_public_pages_are_for_people(sqlite: Configuration, wanted: str, shown: bool) -> None:
    has_list(obscure_addresses=wanted, members=[ANA])
    posts(ANA, WORDS)

    browser = Browser()
    for page in ("message", "thread", "feed"):
        path = "feed.atom" if page == "feed" else f"{page}/{KEY}/"
        html = browser.visits(f"/archives/{GARDEN}/{path}").html
        assert (BEN in html) == shown, page
        assert ("ben at far.example" in html) != shown, page
        assert "https://far.example/@ben" in html and "user@localhost" in html
    header = browser.visits(f"/archives/{GARDEN}/message/{KEY}/headers").html
    assert (ANA in header) == shown
    raw = browser.visits(f"/archives/{GARDEN}/message/{KEY}/raw").content
    assert raw == letter(ANA, GARDEN, "Tomatoes", WORDS)


def test_members_of_a_private_list_see_them(sqlite: Configuration) -> None:
    has_list(style="private", members=[ANA])
    creation.set_settings(GARDEN, {"archive_policy": "private"})
    posts(ANA, WORDS)
    from posthouse.directory import accounts

    accounts.create(BEN)
    roster.add(GARDEN, BEN)
    browser = Browser()
    browser.signs_in(BEN)
    assert f"{BEN}" in browser.visits(f"/archives/{GARDEN}/message/{KEY}/").html
