"""What members do on their page: choices per list and for all, vacation, leaving, beginning again; and joining."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from django.utils import timezone

from posthouse.lists import creation, join_form, looking, roster
from posthouse.lists.models import Membership
from posthouse.queue.models import Delivery
from posthouse.web.views import joining
from tests.people import ANA, EVE, GARDEN
from tests.web.neighbourhood import BOARD, Neighbourhood
from tests.web.test_held import hold

JOIN = f"/lists/{GARDEN}/join/"


def mine(address: str = ANA, mailing_list: str = "garden") -> Membership:
    return Membership.objects.get(address__key=address, mailing_list__list_name=mailing_list, role="member")


def test_all_lists_of_a_person_are_on_one_page(site: Neighbourhood) -> None:
    page = site.as_("ana").get("/options/").content.decode()
    assert GARDEN in page and BOARD in page
    assert GARDEN not in site.as_("eve").get("/options/").content.decode()
    assert site.as_("stranger").get("/options/").status_code == 302


def test_choices_are_kept_and_what_is_left_alone_stays(site: Neighbourhood) -> None:
    client = site.as_("ana")
    given = {"act": "save", "subscription": mine().pk, "delivery": "off", "delivery_mode": "mime_digests",
             "receive_own_postings": "no", "receive_list_copy": "no", "preferred_language": "fr"}  # fmt: skip
    assert "are kept" in client.post("/options/", given).content.decode()
    row = mine()
    assert (row.delivery_status, row.delivery_mode, row.receive_own_postings) == ("by_user", "mime_digests", False)
    assert (row.preferred_language, row.acknowledge_posts) == ("fr", None)
    client.post("/options/", {**given, "delivery": "on", "receive_own_postings": ""})
    assert (mine().delivery_status, mine().receive_own_postings) == (None, None)


def test_a_vacation_has_an_end(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("ana")
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 10 * 86400))
    client.post("/options/", {"act": "save", "subscription": mine().pk, "delivery": "until", "until": day})
    row = mine()
    assert row.delivery_status == "by_user" and row.delivery_resumes_at
    assert f"{row.delivery_resumes_at:%Y-%m-%d}" == day
    for wrong in ("2001-01-01", "tomorrow", "2099-01-01"):
        answer = client.post(
            "/options/", {"act": "save", "subscription": mine().pk, "delivery": "until", "until": wrong}
        )
        assert answer.status_code == 422
    assert f"{mine().delivery_resumes_at:%Y-%m-%d}" == day


def test_topics_are_chosen(quick_site: Neighbourhood) -> None:
    creation.set_settings(GARDEN, {"topics_enabled": "yes", "topics": "Seeds: seeds\nTools: tools"})
    client = quick_site.as_("ana")
    client.post(
        "/options/", {"act": "save", "subscription": mine().pk, f"topic-{mine().pk}": ["Seeds"], "nonmatching": "1"}
    )
    [one] = [one for one in looking.subscriptions(mine().address.account_id or 0) if one.list_address == GARDEN]
    assert (one.chosen, one.nonmatching) == (("seeds",), True)


def test_what_bounces_stopped_begins_again_with_one_click_and_a_moderators_stop_stays(site: Neighbourhood) -> None:
    client = site.as_("ana")
    Membership.objects.filter(pk=mine().pk).update(
        delivery_status="by_bounces", bounce_stopped_at=timezone.now(), last_bounce="550 no such mailbox", bounces=3
    )
    page = client.get("/options/").content.decode()
    assert "550 no such mailbox" in page and 'value="restart"' in page
    client.post("/options/", {"act": "restart", "subscription": mine().pk})
    assert mine().delivery_status is None
    Membership.objects.filter(pk=mine().pk).update(delivery_status="by_moderator")
    client.post("/options/", {"act": "save", "subscription": mine().pk, "delivery": "on"})
    assert mine().delivery_status == "by_moderator"


def test_nobody_changes_the_choices_of_somebody_else(site: Neighbourhood) -> None:
    client = site.as_("eve")
    for act in ("save", "leave", "restart"):
        given = {"act": act, "subscription": mine().pk, "delivery": "off"}
        assert client.post("/options/", given).status_code == 422
    assert mine().delivery_status is None


def test_leaving_takes_one_button(site: Neighbourhood) -> None:
    site.as_("ana").post("/options/", {"act": "leave", "subscription": mine().pk})
    assert ANA not in [one.address for one in roster.members(GARDEN)]


def test_what_holds_for_all_lists_is_chosen_once(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("ana")
    client.post("/options/", {"act": "account", "receive_own_postings": "no", "delivery_mode": "", "hide_address": ""})
    assert all(not one.receive_own_postings for one in roster.find(ANA))


def filled(client: Client, address: str, monkeypatch: pytest.MonkeyPatch, later: int = 10_000, **extra: str) -> int:
    """The status after a form was opened, filled in `later` milliseconds, and sent."""
    page = client.get(JOIN).content.decode()
    token = page.partition('name="form" value="')[2].partition('"')[0]
    clock = joining.now_ms()
    monkeypatch.setattr(joining, "now_ms", lambda: clock + later)
    status = client.post(JOIN, {"address": address, "form": token, **extra}).status_code
    monkeypatch.undo()
    return status


def test_a_stranger_joins_by_a_form_without_cookie_or_script(
    site: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(enforce_csrf_checks=True)
    assert filled(client, EVE, monkeypatch) == 200
    assert not client.cookies
    assert Delivery.objects.filter(recipient=EVE).count() == 1
    assert EVE not in [one.address for one in roster.members(GARDEN)]


def test_a_form_that_no_person_could_have_filled_in_is_refused(
    quick_site: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    assert filled(client, EVE, monkeypatch, later=join_form.FASTEST - 1000) == 429
    assert client.post(JOIN, {"address": EVE, "form": "made up"}).status_code == 429
    assert filled(client, "nonsense", monkeypatch) == 422
    assert not Delivery.objects.filter(recipient=EVE).exists()


def test_who_is_signed_in_joins_with_one_button_but_not_by_another_sites_form(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("eve", enforce_csrf_checks=True)
    assert client.post(JOIN, {"address": EVE}).status_code == 403
    client.get(JOIN)
    token = client.cookies["csrftoken"].value
    done = client.post(JOIN, {"address": EVE, "csrfmiddlewaretoken": token})
    assert "is on the list now" in done.content.decode()
    assert EVE in [one.address for one in roster.members(GARDEN)]


def test_a_hidden_list_has_no_form_for_strangers(quick_site: Neighbourhood) -> None:
    assert quick_site.as_("stranger").get(f"/lists/{BOARD}/join/").status_code == 404
    creation.set_settings(GARDEN, {"subscription_policy": "closed"})
    assert 'name="form"' not in quick_site.as_("stranger").get(JOIN).content.decode()


def test_who_runs_lists_finds_them_on_their_own_page_with_what_waits(site: Neighbourhood) -> None:
    hold("garden", 1)
    page = site.as_("owen").get("/options/").content.decode()
    assert "Lists that I run" in page and f'href="/lists/{GARDEN}/settings/"' in page
    assert "1 held message" in page and "0 requests" in page
    assert "Lists that I run" not in site.as_("ana").get("/options/").content.decode()
