"""The links in notices about held mail: a page with a button for whoever has the link; following it does nothing."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from posthouse.content import keeping
from posthouse.lists import bans
from posthouse.lists.moderation import links
from posthouse.queue.models import Delivery
from tests.people import ANA, EVE, GARDEN
from tests.web.neighbourhood import Neighbourhood
from tests.web.test_held import hold, waiting


def path(number: int, act: str, ago: int = 0) -> str:
    """The link to do something to a held posting, made so many seconds ago."""
    return f"/held/act/{links.link_token(number, act, int(time.time() - ago) * 1000)}/"


@pytest.mark.parametrize("act", links.ACTS)
def test_following_a_link_shows_what_it_would_do_and_does_nothing(quick_site: Neighbourhood, act: str) -> None:
    number = hold("garden", 1)
    for _ in range(2):
        answer = Client().get(path(number, act))
        assert answer.status_code == 200 and "Plea 1" in answer.content.decode()
        assert not answer.cookies and "no-store" in answer.headers["Cache-Control"]
    assert Client().head(path(number, act)).status_code == 200
    assert waiting() == {number}


def test_the_button_does_it_without_signing_in_or_cookies_and_once(site: Neighbourhood) -> None:
    number = hold("garden", 1)
    client = Client(enforce_csrf_checks=True)
    answer = client.post(path(number, "release"))
    assert answer.status_code == 200 and "Released" in answer.content.decode()
    assert ANA in {row.recipient for row in Delivery.objects.all()}
    sent = Delivery.objects.count()
    assert client.post(path(number, "release")).status_code == 410
    assert client.get(path(number, "discard")).status_code == 410
    assert (waiting(), Delivery.objects.count()) == (set(), sent)


def test_a_rejection_asks_for_the_reason_and_tells_it(quick_site: Neighbourhood) -> None:
    number = hold("garden", 1)
    assert Client().post(path(number, "reject"), {"reason": " "}).status_code == 422
    assert waiting() == {number}
    assert Client().post(path(number, "reject"), {"reason": "Only about vegetables."}).status_code == 200
    [row] = Delivery.objects.select_related("message")
    assert row.recipient == EVE and b"Only about vegetables." in keeping.read(row.message.content_id).all()


def test_a_ban_and_an_acceptance_hold_from_then_on(quick_site: Neighbourhood) -> None:
    Client().post(path(hold("garden", 1), "ban"))
    assert [one.pattern for one in bans.bans(GARDEN)] == [EVE]
    assert waiting() == set()


def test_links_that_are_old_or_made_up_are_told_so(quick_site: Neighbourhood) -> None:
    number = hold("garden", 1)
    old = path(number, "release", ago=links.LIFE + 1)
    for wrong in (old, path(number, "release").replace("act/", "act/A"), "/held/act/nonsense/"):
        for answer in (Client().get(wrong), Client().post(wrong)):
            assert answer.status_code == 410
    assert waiting() == {number}


def test_the_inbox_bans_accepts_and_decides_about_all_of_an_author(quick_site: Neighbourhood) -> None:
    first, second, third = hold("garden", 1), hold("garden", 2), hold("board", 3)
    client = quick_site.as_("owen")
    assert "1 other message of this author" in client.get(f"/held/{first}/").content.decode()
    client.post(f"/held/{first}/", {"act": "ban", "all": "1"})
    assert waiting() == {third}
    assert [one.pattern for one in bans.bans(GARDEN)] == [EVE]
    client.post("/held/", {"act": "accept", "held": [str(third)]})
    assert waiting() == set() and second not in waiting()
    assert client.post(f"/held/{hold('garden', 4)}/", {"act": "burn"}).status_code == 422
