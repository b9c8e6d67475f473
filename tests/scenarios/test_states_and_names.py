"""What an administrator does to a list, over real SMTP, the command line and the web: renamed, paused, removed."""

from __future__ import annotations

import smtplib

from posthouse.lists import roster
from tests.outside import Outside
from tests.running_house import Browser, House

GARDEN, PARK = "garden@lists.example", "park@lists.example"


def tries(house: House, recipient: str) -> str:
    """What a far host hears when it wants to send to this address."""
    with smtplib.SMTP("127.0.0.1", house.port, "mx.far.example") as client:
        client.ehlo()
        client.mail("ana@far.example")
        code, text = client.rcpt(recipient)
        return f"{code} {text.decode()}"


def test_a_renamed_list_is_reached_by_its_old_address_and_its_old_pages(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, members=["ana@far.example", "ben@far.example"])
    outside.posts(author="ana@far.example", to=GARDEN, subject="Tomatoes", text="Ripe at last.")
    house.settles()
    [(_, before)] = outside.copies_for("ben@far.example")
    assert house.runs("lists", "rename", GARDEN, PARK).exit_code == 0

    outside.posts(author="ana@far.example", to=GARDEN, subject="Again", text="More of them.")
    house.settles()

    return_path, copy = outside.copies_for("ben@far.example")[-1]
    assert return_path == "park-bounces+ben=far.example@lists.example"
    assert copy["List-Id"] == before["List-Id"]
    assert PARK in copy["List-Post"]
    old = browser.visits(f"/archives/{GARDEN}/?page=1")
    assert (old.status, old.headers["Location"]) == (301, f"/archives/{PARK}/?page=1")
    permalink = browser.visits(before["Archived-At"].strip("<>"))
    assert permalink.status == 301
    assert "Ripe at last." in browser.visits(permalink.headers["Location"]).text
    assert browser.visits(f"/lists/{GARDEN}/").headers["Location"] == f"/lists/{PARK}/"


def test_the_old_page_of_a_private_list_tells_strangers_nothing(house: House, browser: Browser) -> None:
    house.has_list(GARDEN, style="private")
    house.runs("lists", "rename", GARDEN, PARK)
    for path in (f"/archives/{GARDEN}/", f"/lists/{GARDEN}/"):
        page = browser.visits(path)
        assert (page.status, "park" in page.html) == (404, False)


def test_a_paused_list_answers_at_rcpt_and_on_its_page(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=["ana@far.example"])
    assert house.runs("lists", "pause", GARDEN, "--reason", "Winter.").exit_code == 0
    refused = tries(house, GARDEN)
    assert refused.startswith("550 5.2.1") and "paused" in refused
    assert "Winter." in browser.visits(f"/lists/{GARDEN}/").text
    assert house.runs("lists", "resume", GARDEN).exit_code == 0
    assert tries(house, GARDEN).startswith("250")


def test_removing_asks_twice_and_can_be_taken_back(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=["ana@far.example"])
    assert house.runs("lists", "remove", GARDEN, given="n\n").exit_code == 1
    assert house.runs("lists", "remove", GARDEN, given="y\nother@lists.example\n").exit_code == 1
    assert tries(house, GARDEN).startswith("250")
    assert house.runs("lists", "remove", GARDEN, given=f"y\n{GARDEN}\n").exit_code == 0
    assert tries(house, GARDEN).startswith("550 5.1.1")
    assert GARDEN in house.runs("lists", "removed").stdout
    assert house.runs("lists", "restore", GARDEN).exit_code == 0
    assert tries(house, GARDEN).startswith("250")


def test_operators_decide_about_requests_and_keep_members_the_same_as_a_file(house: House) -> None:
    house.has_list(GARDEN, members=["ana@far.example"], subscription_policy="moderate")
    house.runs("accounts", "create", "ben@far.example")
    from posthouse.lists import approval, subscription

    subscription.request_join(GARDEN, "ben@far.example", "Ben", int(house.clock() * 1000))
    [request] = approval.waiting()
    assert "ben@far.example" in house.runs("requests", "list").stdout
    assert house.runs("requests", "approve", str(request.id)).exit_code == 0
    assert house.runs("requests", "approve", str(request.id)).exit_code == 3
    path = house.configuration.data / "members.txt"
    path.write_text("ben@far.example\ncleo@near.example\n", encoding="utf-8")
    shown = house.runs("members", "sync", GARDEN, str(path), "--dry-run").stdout
    assert "1 would be added, 1 would be removed; 1 unchanged" in shown and "- ana@far.example" in shown
    assert house.runs("members", "sync", GARDEN, str(path)).exit_code == 0
    assert [one.address for one in roster.members(GARDEN)] == ["ben@far.example", "cleo@near.example"]
    assert house.runs("domains", "add", "old.example").exit_code == 0
    assert house.runs("domains", "stand-for", "old.example", "lists.example").exit_code == 0
    assert "old.example" in house.runs("route", "garden@old.example").stdout
    assert house.runs("lists", "alias", GARDEN, "plants@old.example").exit_code == 0
    assert house.runs("accounts", "trust", "ben@far.example").exit_code == 0
    added = house.runs("accounts", "add-address", "ben@far.example", "cleo@near.example")
    assert "ben@far.example, cleo@near.example" in added.stdout
    assert [one.address for one in roster.members(GARDEN)] == ["ben@far.example"]  # one subscription per person


def test_operators_read_and_change_what_people_want(house: House) -> None:
    house.has_list(GARDEN, members=["ana@far.example"])
    house.runs("accounts", "create", "ana@far.example")
    assert "hide_address = (not said)" in house.runs("accounts", "preferences", "ana@far.example").stdout
    shown = house.runs("accounts", "preferences", "ana@far.example", "hide_address=yes", "delivery_mode=mime_digests")
    assert "hide_address = yes" in shown.stdout
    house.runs("accounts", "preferences", "--site", "acknowledge_posts=yes")
    house.runs("accounts", "preferences", "ana@far.example", "--address-only", "receive_list_copy=no")
    assert house.runs("members", "set", GARDEN, "ana@far.example", "delivery_status=by_moderator").exit_code == 0
    [facts] = roster.members(GARDEN)
    assert (facts.hide_address, facts.acknowledge_posts, facts.receive_list_copy) == (True, True, False)
    assert (facts.delivery_mode, facts.delivery_status) == ("mime_digests", "by_moderator")
    assert house.runs("members", "set", GARDEN, "ana@far.example", "moderation_action=shout").exit_code == 1
    assert house.runs("members", "set", GARDEN, "eve@far.example", "hide_address=yes").exit_code == 3
    assert house.runs("accounts", "preferences", "--site", "colour=red").exit_code == 1
    assert house.runs("accounts", "preferences", "hide_address=yes").exit_code == 2
