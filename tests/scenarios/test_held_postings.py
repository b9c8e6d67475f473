"""A posting that a person must decide about: who is told, and what release, rejection and discarding do."""

from __future__ import annotations

import json
import re

import pytest

from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import Browser, House


def eve_posts(house: House, outside: Outside, subject: str = "May I?") -> str:
    """A stranger posts; the number under which it is held."""
    assert outside.posts(EVE, GARDEN, subject, "Let me in, said Eve.").startswith("250")
    house.settles()
    [held] = json.loads(house.runs("held", "list", GARDEN, "--json").stdout)
    assert held["subject"] == subject
    return str(held["id"])


def subjects_for(outside: Outside, address: str) -> list[str]:
    return [str(message["Subject"]) for _, message in outside.copies_for(address)]


def test_a_strangers_posting_is_held_and_its_owner_and_author_are_told(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])

    number = eve_posts(house, outside)

    assert outside.copies_for(ANA) == outside.copies_for(BEN) == []
    [(path_to_owner, told)] = outside.copies_for(OWEN)
    assert EVE in told["Subject"] and path_to_owner == ""
    assert f"https://lists.example/held/{number}/" in told.get_body(("plain",)).get_content()
    assert "Let me in, said Eve." in told.as_string()  # the posting is with it
    [(path_to_author, answer)] = outside.copies_for(EVE)
    assert path_to_author == "" and answer["Auto-Submitted"] == "auto-replied"
    said = answer.get_body(("plain",)).get_content()
    assert "not a member" in said and "May I?" in said


def test_automatic_mail_that_is_held_is_not_answered(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])

    outside.posts(EVE, GARDEN, "Newsletter", headers={"Precedence": "bulk"})
    outside.posts(EVE, GARDEN, "Build failed", headers={"Auto-Submitted": "auto-generated"})
    house.settles()

    assert outside.copies_for(EVE) == []


def test_a_posting_released_from_the_command_line_reaches_the_members_and_the_archive(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    number = eve_posts(house, outside)

    done = house.runs("held", "release", number)
    house.settles()

    assert (done.exit_code, done.stdout) == (0, f"{number}: released\n")
    for member in (ANA, BEN):
        [(return_path, copy)] = outside.copies_for(member)
        assert return_path == f"garden-bounces+{member.replace('@', '=')}@lists.example"
        assert copy["From"] == EVE and "Let me in, said Eve." in copy.get_content()
    assert "May I?" in browser.visits(f"/archives/{GARDEN}/").text
    assert json.loads(house.runs("held", "list", "--json").stdout) == []
    again = house.runs("held", "release", number)
    assert again.exit_code == 3 and "may have been decided already" in again.stderr
    house.settles()
    assert len(outside.copies_for(BEN)) == 1


def test_a_rejected_posting_goes_back_with_the_reason_and_nowhere_else(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    number = eve_posts(house, outside)

    assert house.runs("held", "reject", number, "--reason", "Only about vegetables.").exit_code == 0
    house.settles()

    assert outside.copies_for(BEN) == []
    _, rejection = outside.copies_for(EVE)[-1]
    assert "not accepted" in rejection["Subject"]
    assert "Only about vegetables." in rejection.get_body(("plain",)).get_content()


def test_a_discarded_posting_is_gone_and_nobody_is_told(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    number = eve_posts(house, outside)
    before = len(outside.taken)

    assert house.runs("held", "discard", number).exit_code == 0
    house.settles()

    assert len(outside.taken) == before
    assert json.loads(house.runs("held", "list", "--json").stdout) == []


def test_an_owner_decides_on_the_web(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    wanted, spam = eve_posts(house, outside, "A question"), ""
    outside.posts(EVE, GARDEN, "Cheap pills", "Buy.")
    house.settles()
    browser.signs_in(OWEN)
    inbox = browser.visits("/held/")
    assert "A question" in inbox.text and "Cheap pills" in inbox.text
    [spam] = set(re.findall(r"/held/(\d+)/", inbox.html)) - {wanted}

    shown = browser.visits(f"/held/{wanted}/")
    assert "Let me in, said Eve." in shown.text
    assert browser.posts(f"/held/{wanted}/", shown.form("") | {"act": "release"}).status == 302
    inbox = browser.visits("/held/")
    unsaid = browser.posts(f"/held/{spam}/", inbox.form("/held/") | {"act": "reject", "reason": ""})
    assert unsaid.status == 422
    rejected = inbox.form("/held/") | {"act": "reject", "reason": "No trade here."}
    assert browser.posts(f"/held/{spam}/", rejected).status == 302
    house.settles()

    assert subjects_for(outside, BEN) == ["[Garden] A question"]
    assert "No trade here." in outside.copies_for(EVE)[-1][1].get_body(("plain",)).get_content()
    assert "Nothing waits" in browser.visits("/held/").text


def test_a_stranger_on_the_web_sees_and_decides_nothing(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    number = eve_posts(house, outside)

    assert "May I?" not in browser.visits("/held/").text
    assert "May I?" not in browser.visits(f"/held/{number}/").text
    browser.signs_in(BEN)
    page = browser.visits("/held/")
    assert "May I?" not in page.text
    assert browser.visits(f"/held/{number}/").status == 404
    values = browser.visits("/sign-out/").form("") | {"act": "release"}
    assert browser.posts(f"/held/{number}/", values).status == 404
    house.settles()
    assert outside.copies_for(ANA) == []


def test_to_an_announce_list_only_its_owners_post(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN], style="announce")

    outside.posts(ANA, GARDEN, "Me too")
    outside.posts(OWEN, GARDEN, "Harvest on Sunday")
    house.settles()

    assert subjects_for(outside, BEN) == ["[Garden] Harvest on Sunday"]
    [rejection] = [message for _, message in outside.copies_for(ANA) if "not accepted" in message["Subject"]]
    assert "Only the owners and moderators post" in rejection.get_body(("plain",)).get_content()
    [(_, copy), *_] = outside.copies_for(BEN)
    assert copy["List-Post"].startswith("NO")  # RFC 2369 §3.4


@pytest.mark.parametrize("poster", [ANA, EVE])
def test_a_private_list_lets_members_post_and_holds_strangers(house: House, outside: Outside, poster: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN], style="private")

    outside.posts(poster, GARDEN, "Quietly")
    house.settles()

    assert subjects_for(outside, BEN) == (["[Garden] Quietly"] if poster == ANA else [])
