"""Joining and leaving: by mail with double opt-in, by reply, by one click; and reaching the people who run a list."""

from __future__ import annotations

import re
from email.message import EmailMessage

import pytest

from posthouse.lists import roster
from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import Browser, House


def members() -> list[str]:
    return sorted(one.address for one in roster.members(GARDEN))


def last(outside: Outside, address: str) -> EmailMessage:
    return outside.copies_for(address)[-1][1]


JOIN = "garden-join@lists.example"


@pytest.mark.parametrize(
    ("to", "subject", "text", "way"),
    [
        (JOIN, "", "", "reply"),
        ("garden-subscribe@lists.example", "whatever", "any text", "reply"),
        ("garden-request@lists.example", "join", "", "reply"),
        ("garden-request@lists.example", "", "Subscribe\n", "reply"),
        ("GARDEN-Join@Lists.Example", "", "", "reply"),
        (JOIN, "", "", "address"),
        (JOIN, "", "", "subject"),
        (JOIN, "", "", "page"),
    ],
)
def test_joining_takes_a_confirmation_that_only_the_address_can_give(
    house: House, outside: Outside, browser: Browser, to: str, subject: str, text: str, way: str
) -> None:
    house.has_list(GARDEN, members=[ANA])

    assert outside.posts(EVE, to, subject, text).startswith("250")
    house.settles()
    [(return_path, asked)] = outside.copies_for(EVE)
    assert return_path == "" and members() == [ANA]
    token = re.fullmatch(r"confirm (\w{26})", asked["Subject"])[1]
    assert asked["Reply-To"] == f"garden-confirm+{token}@lists.example"

    if way == "reply":
        outside.posts(EVE, f"garden-confirm+{token}@lists.example", f"Re: {asked['Subject']}", "")
    elif way == "address":
        outside.posts(EVE, f"garden-confirm+{token}@lists.example", "yes please")
    elif way == "subject":
        outside.posts(EVE, "garden-request@lists.example", f"AW: confirm {token}")
    else:
        [path] = re.findall(r"https://lists.example(/confirm/\w+/)", asked.get_body(("plain",)).get_content())
        page = browser.visits(path)
        assert members() == [ANA]  # looking at the page does nothing: mail scanners do
        assert browser.posts(path, page.form("")).status == 200
    house.settles()

    assert members() == sorted([ANA, EVE])
    assert "Welcome" in last(outside, EVE)["Subject"]
    outside.posts(ANA, GARDEN, "Hello Eve")
    house.settles()
    assert last(outside, EVE)["Subject"] == "[Garden] Hello Eve"


def test_a_confirmation_works_once_and_for_three_days(house: House, outside: Outside) -> None:
    house.has_list(GARDEN)
    outside.posts(EVE, "garden-join@lists.example")
    house.settles()
    token = last(outside, EVE)["Subject"].split()[1]
    house.passes(days=3, minutes=1)
    outside.posts(EVE, f"garden-confirm+{token}@lists.example")
    house.settles()
    assert members() == [] and "does not work any more" in last(outside, EVE)["Subject"]

    outside.posts(EVE, "garden-join@lists.example")
    house.settles()
    token = last(outside, EVE)["Subject"].split()[1]
    outside.posts(EVE, f"garden-confirm+{token}@lists.example")
    house.settles()
    assert members() == [EVE]
    roster.remove(GARDEN, EVE)
    outside.posts(EVE, f"garden-confirm+{token}@lists.example")
    house.settles()
    assert members() == []


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("garden-leave@lists.example", ""),
        ("garden-unsubscribe@lists.example", ""),
        ("garden-request@lists.example", "unsubscribe"),
    ],
)
def test_leaving_by_mail_is_confirmed_too(house: House, outside: Outside, to: str, subject: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])

    outside.posts(BEN, to, subject)
    house.settles()
    assert BEN in members()
    asked = last(outside, BEN)
    outside.posts(BEN, asked["Reply-To"].strip("<>"), f"Re: {asked['Subject']}")
    house.settles()

    assert members() == [ANA]
    assert "You have left" in last(outside, BEN)["Subject"]


def test_one_click_leaves_at_once_without_signing_in(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN)
    house.settles()
    copy = last(outside, BEN)
    assert copy["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    [link] = re.findall(r"<(https://[^>]+)>", copy["List-Unsubscribe"])

    looked = browser.visits(link)
    assert looked.status == 200 and BEN in members()  # RFC 8058 §3.1: GET must not unsubscribe
    answer = Browser().posts(link, {"List-Unsubscribe": "One-Click"})  # RFC 8058 §3.2: no cookies, no token of a form

    assert answer.status == 200 and members() == [ANA]
    assert Browser().posts(link, {"List-Unsubscribe": "One-Click"}).status == 200  # a mail client may try again
    house.settles()
    outside.posts(ANA, GARDEN, "Later")
    house.settles()
    assert "Later" not in str(last(outside, BEN)["Subject"])


def test_a_link_that_was_changed_takes_nobody_off(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN)
    house.settles()
    [link] = re.findall(r"<(https://[^>]+)>", last(outside, BEN)["List-Unsubscribe"])
    token = link.rstrip("/").rpartition("/")[2]
    for changed in (
        token[:-4] + "AAAA",
        "A" + token[1:] if token[0] != "A" else "B" + token[1:],
        token[:20],
        "x" * 900,
    ):
        assert browser.posts(f"/unsubscribe/{changed}/", {"List-Unsubscribe": "One-Click"}).status == 404
    assert members() == [ANA, BEN]


def test_mail_for_the_owner_address_reaches_the_people_who_run_the_list(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])

    assert outside.posts(EVE, "garden-owner@lists.example", "A question", "Who are you?").startswith("250")
    house.settles()

    [(return_path, message)] = outside.copies_for(OWEN)
    assert (message["From"], message["Subject"]) == (EVE, "A question")
    assert return_path == "garden-bounces@lists.example"
    assert outside.copies_for(ANA) == []


def test_nobody_can_be_flooded_with_confirmations(house: House, outside: Outside) -> None:
    house.has_list(GARDEN)

    for _ in range(30):
        outside.posts(EVE, "garden-join@lists.example")
        outside.posts(EVE, "garden-request@lists.example", "what is this")
    house.settles()

    subjects = [str(message["Subject"]) for _, message in outside.copies_for(EVE)]
    assert len([subject for subject in subjects if subject.startswith("confirm ")]) == 1
    assert len(subjects) <= 12  # the last says that there are no more today


@pytest.mark.parametrize("field", [("Auto-Submitted", "auto-replied"), ("Precedence", "bulk"), ("List-Id", "<x.y>")])
def test_a_vacation_note_confirms_nothing_and_gets_no_answer(
    house: House, outside: Outside, field: tuple[str, str]
) -> None:
    house.has_list(GARDEN)
    outside.posts(EVE, "garden-join@lists.example")
    house.settles()
    asked = last(outside, EVE)

    outside.posts(EVE, asked["Reply-To"].strip("<>"), f"Re: {asked['Subject']}", headers=dict([field]))
    outside.posts(EVE, "garden-request@lists.example", "help", headers=dict([field]))
    outside.sends("", [asked["Reply-To"].strip("<>")], b"From: eve@elsewhere.example\r\nSubject: away\r\n\r\nAway.\r\n")
    house.settles()

    assert members() == [] and len(outside.copies_for(EVE)) == 1


def test_someone_who_is_no_member_is_told_so_only_by_mail(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])

    outside.posts(EVE, "garden-leave@lists.example")
    outside.posts(ANA, "garden-join@lists.example")
    house.settles()

    assert "not a member" in last(outside, EVE)["Subject"]
    assert "already" in last(outside, ANA)["Subject"]
