"""The office: domains, bans, templates and people of the whole site, for administrators; a domain's, for its owners."""

from __future__ import annotations

import pytest

from posthouse.directory import accounts, domains
from posthouse.lists import bans, creation, roster, subscription, texts, wording
from posthouse.lists.moderation import header_matches
from tests.people import ANA, BEN, DOMAIN, EVE, GARDEN, OWEN
from tests.web.neighbourhood import BOARD, Neighbourhood
from tests.web.test_desk import now

HERE = f"/site/domains/{DOMAIN}/"
WELCOME = "list:user:notice:welcome"
PAGES = (
    "/site/", "/site/people/", f"/site/people/?q={ANA}", "/site/bans/", "/site/templates/",
    "/site/templates/site:user:action:sign-in/", HERE, f"{HERE}templates/", f"{HERE}templates/{WELCOME}/",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_only_administrators_and_domain_owners_come_here(quick_site: Neighbourhood, path: str) -> None:
    domains.add_owner(DOMAIN, EVE)
    theirs = path == "/site/" or path.startswith(HERE)
    wanted = {"stranger": 302, "ana": 404, "mona": 404, "owen": 404, "eve": 200 if theirs else 404, "root": 200}
    for who, status in wanted.items():
        assert quick_site.as_(who).get(path).status_code == status, who


def test_a_domain_is_added_described_and_removed_when_nothing_needs_it(site: Neighbourhood) -> None:
    client = site.as_("root")
    assert client.post("/site/", {"act": "add", "name": "New.Example"}).headers["Location"].endswith("/new.example/")
    for wrong in ("new.example", "no domain", ""):
        assert client.post("/site/", {"act": "add", "name": wrong}).status_code == 422
    path = "/site/domains/new.example/"
    client.post(path, {"act": "describe", "description": "For a while"})
    assert domains.show("new.example").description == "For a while"
    assert client.post(path, {"act": "remove", "typed": "other.example"}).status_code == 422
    assert client.post(path, {"act": "remove", "typed": "new.example"}).headers["Location"] == "/site/"
    assert not domains.is_ours("new.example") and client.get(path).status_code == 404
    kept = client.post(HERE, {"act": "remove", "typed": DOMAIN})
    assert kept.status_code == 422 and "still needed: 3 lists" in kept.content.decode()


def test_owners_of_a_domain_are_named_by_administrators_alone(site: Neighbourhood) -> None:
    root = site.as_("root")
    root.post(HERE, {"act": "add-owner", "address": EVE})
    assert domains.show(DOMAIN).owners == (EVE,)
    eve = site.as_("eve")
    assert GARDEN in eve.get(HERE).content.decode()
    for act in ("add-owner", "remove-owner", "move", "remove"):
        assert eve.post(HERE, {"act": act, "address": EVE, "typed": DOMAIN, "new": "x.example"}).status_code == 403
    assert eve.post(HERE, {"act": "describe", "description": "Ours"}).status_code == 200
    assert root.post(HERE, {"act": "add-owner", "address": "nobody@far.example"}).status_code == 422
    root.post(HERE, {"act": "remove-owner", "address": EVE})
    assert domains.show(DOMAIN).owners == ()


def test_all_lists_of_a_domain_move_and_old_pages_lead_on(site: Neighbourhood) -> None:
    client = site.as_("root")
    site.letter(1)
    moved = client.post(HERE, {"act": "move", "new": "new.example"})
    assert moved.headers["Location"] == "/site/domains/new.example/"
    assert client.get(f"/lists/{GARDEN}/").headers["Location"] == "/lists/garden@new.example/"
    assert client.get(f"/archives/{GARDEN}/").headers["Location"] == "/archives/garden@new.example/"
    assert client.post(HERE, {"act": "move", "new": DOMAIN}).status_code == 422


def test_bans_and_rules_of_the_site_hold_for_every_list(site: Neighbourhood) -> None:
    client = site.as_("root")
    client.post("/site/bans/", {"act": "ban", "pattern": EVE, "why": "spam"})
    assert [(one.pattern, one.list_address, one.by) for one in bans.bans()] == [(EVE, "", "root@lists.example")]
    for address in (GARDEN, BOARD):
        assert bans.ban_of(creation.show(address).pk, [EVE]) == EVE
    client.post("/site/bans/", {"act": "add-rule", "header": "x-spam", "expression": "yes", "action": "discard"})
    assert [one.header for one in header_matches.matches(None)] == ["x-spam"]
    page = client.get("/site/bans/").content.decode()
    assert EVE in page and "x-spam" in page
    client.post("/site/bans/", {"act": "lift", "pattern": EVE})
    assert not bans.bans()


def test_templates_of_site_and_domain_are_previewed_checked_kept_and_inherited(site: Neighbourhood) -> None:
    client = site.as_("root")
    for place, path in (("site", "/site/"), (DOMAIN, HERE)):
        page = f"{path}templates/{WELCOME}/"
        words = {"language": "en", "subject": f"Hello from {place}", "text": "Nice, $address."}
        assert "Nice, ana@far.example." in client.post(page, {**words, "act": "preview"}).content.decode()
        wrong = client.post(page, {**words, "text": "$nonsense", "act": "keep"})
        assert wrong.status_code == 422 and "fills $nonsense" in wrong.content.decode()
        client.post(page, {**words, "act": "keep"})
        assert wording.show(GARDEN, WELCOME).subject == f"Hello from {place}"
    client.post(f"{HERE}templates/{WELCOME}/", {"language": "en", "act": "reset", "subject": "", "text": ""})
    assert wording.show(GARDEN, WELCOME).of == texts.SITE


def test_messages_of_the_site_are_worded_for_the_whole_site_alone(quick_site: Neighbourhood) -> None:
    client, name = quick_site.as_("root"), "site:user:action:sign-in"
    assert name in client.get("/site/templates/").content.decode()
    assert name not in client.get(f"{HERE}templates/").content.decode()
    assert client.get(f"{HERE}templates/{name}/").status_code == 404
    assert client.get(f"/lists/{GARDEN}/templates/{name}/").status_code == 404


def test_somebody_is_found_and_taken_off_every_list_with_all_their_addresses(site: Neighbourhood) -> None:
    roster.add(GARDEN, EVE, role="nonmember")
    creation.set_settings(BOARD, {"subscription_policy": "moderate"})
    subscription.request_join(BOARD, EVE, "", now(), verified=True)
    client = site.as_("root")
    page = client.get(f"/site/people/?q={OWEN}").content.decode()
    assert page.count("Owner</span>") == 3
    assert "on no list" in client.get("/site/people/?q=nobody@far.example").content.decode()
    assert client.get("/site/people/?q=nonsense").status_code == 422

    done = client.post("/site/people/", {"act": "remove", "address": OWEN, "ban": "1"}).content.decode()
    assert "Removed from 3 lists" in done and "Nobody owns these lists" in done and GARDEN in done
    assert not roster.find(OWEN) and [one.pattern for one in bans.bans()] == [OWEN]
    client.post("/site/people/", {"act": "remove", "address": EVE})
    assert not roster.find(EVE)
    assert client.post("/site/people/", {"act": "nonsense", "address": EVE}).status_code == 422
    assert accounts.find(OWEN) and roster.find(BEN)


def test_browsers_get_the_icon_they_ask_for_by_themselves(quick_site: Neighbourhood) -> None:
    answer = quick_site.as_("stranger").get("/favicon.ico")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "image/x-icon"
    assert answer.content[:6] == b"\0\0\1\0\3\0" and "max-age" in answer.headers["Cache-Control"]
