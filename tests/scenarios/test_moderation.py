"""Moderation over real SMTP: a link in the notice, an answer to it, a ban, a password, header matches."""

from __future__ import annotations

import json
import re

import pytest

from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import Browser, House


def notice_for(outside: Outside, address: str) -> tuple[str, str]:
    """(text, address to answer to) of the last notice somebody got."""
    _, told = outside.copies_for(address)[-1]
    return told.get_body(("plain",)).get_content(), str(told["Reply-To"]).strip("<>")


def test_the_owner_releases_with_the_link_of_the_notice(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(EVE, GARDEN, "May I?", "Let me in, said Eve.")
    house.settles()
    text, _ = notice_for(outside, OWEN)
    link = re.findall(r"https://lists\.example(/held/act/\S+/)", text)[0]

    page = browser.visits(link)
    assert "May I?" in page.text and outside.copies_for(ANA) == []
    assert "Released" in browser.posts(link, {"act": "do"}).text
    house.settles()

    for member in (ANA, BEN):
        assert [str(copy["Subject"]) for _, copy in outside.copies_for(member)] == ["[Garden] May I?"]


def test_the_owner_answers_the_notice_with_the_password(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])
    assert house.runs("lists", "set", GARDEN, "moderator_password=open sesame").exit_code == 0
    for subject in ("First", "Second"):
        outside.posts(EVE, GARDEN, subject, "Let me in, said Eve.")
        house.settles()
        _, answer_to = notice_for(outside, OWEN)
        words = "Approved: open sesame" if subject == "First" else "Nonsense, away with it."
        assert outside.posts(OWEN, answer_to, f"Re: {subject}", words).startswith("250")
        house.settles()

    assert [str(copy["Subject"]) for _, copy in outside.copies_for(ANA)] == ["[Garden] First"]
    assert json.loads(house.runs("held", "list", "--json").stdout) == []


def test_a_posting_with_the_password_goes_out_without_it(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=[ANA])
    house.runs("lists", "set", GARDEN, "moderator_password=open sesame")
    outside.posts(EVE, GARDEN, "Approved one", "Approved: open sesame\n\nLet me in, said Eve.")
    house.settles()

    [(_, copy)] = outside.copies_for(ANA)
    assert "Let me in" in copy.as_string() and "sesame" not in copy.as_string()
    assert "sesame" not in house.runs("lists", "show", GARDEN, "--json").stdout
    assert "Approved one" in browser.visits(f"/archives/{GARDEN}/").text


@pytest.mark.parametrize("where", [[GARDEN], ["--site"]])
def test_bans_and_header_matches_from_the_command_line(house: House, outside: Outside, where: list[str]) -> None:
    house.has_list(GARDEN, members=[ANA])
    assert "banned" in house.runs("bans", "add", *where, EVE, "@spam.example", "--why", "spam").stdout
    added = house.runs("lists", "header-matches", "add", *where, "X-Spam-Flag", "^yes", "--action", "discard")
    assert added.stdout == "0: x-spam-flag ^yes discard\n"
    refused = house.runs("bans", "add", *where, "^(a|aa)+$")
    assert refused.exit_code == 1 and "takes too long" in refused.stderr
    assert house.runs("bans", "add", EVE).exit_code == 2

    outside.posts(EVE, GARDEN, "From Eve")
    outside.posts(ANA, GARDEN, "Spam", headers={"X-Spam-Flag": "YES"})
    outside.posts(ANA, GARDEN, "Beans")
    house.settles()

    assert [str(copy["Subject"]) for _, copy in outside.copies_for(ANA)] == ["[Garden] Beans"]
    assert outside.copies_for(EVE) == []
    assert "banned" in house.runs("trace", EVE).stdout
    bans = json.loads(house.runs("bans", "list", *where, "--json").stdout)
    assert [one["pattern"] for one in bans] == ["@spam.example", EVE]
    assert "no longer" in house.runs("bans", "remove", *where, EVE).stdout
    assert house.runs("lists", "header-matches", "remove", *where, "0").exit_code == 0
    assert "No header matches" in house.runs("lists", "header-matches", "list", *where).stdout


def test_a_person_is_moderated_and_a_held_posting_shown_from_the_command_line(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])
    assert "as a member" in house.runs("members", "moderate", GARDEN, ANA, "--action", "hold").stdout
    outside.posts(ANA, GARDEN, "Beans")
    house.settles()
    [held] = json.loads(house.runs("held", "list", "--json").stdout)
    shown = house.runs("held", "show", str(held["id"])).stdout
    for line in (f"list: {GARDEN}", f"author: {held['author']}", f"subject: {held['subject']}"):
        assert line in shown.splitlines()
    assert held["reason"] in shown
    told = json.loads(house.runs("held", "show", str(held["id"]), "--json").stdout)
    assert told["text"].strip() and told["text"].strip() in shown and told["id"] == held["id"]
    assert house.runs("held", "show", "99").exit_code == 3
    assert "forwarded" in house.runs("held", "forward", str(held["id"]), "--to", BEN).stdout
    assert "accepted" in house.runs("held", "accept", str(held["id"])).stdout
    outside.posts(ANA, GARDEN, "Peas")
    house.settles()

    assert [str(copy["Subject"]) for _, copy in outside.copies_for(ANA)][-2:] == ["[Garden] Beans", "[Garden] Peas"]
    [(_, shown)] = outside.copies_for(BEN)
    assert "for you to look at" in shown["Subject"]
