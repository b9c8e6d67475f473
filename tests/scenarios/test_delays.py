"""What cannot be delivered now is tried again, told of when late, given up in the end; a dead host waits as a whole."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN
from tests.running_house import BACKED_UP, House

DAN = f"dan@{BACKED_UP}"


@pytest.fixture
def elsewhere(house: House, outside: Outside) -> Iterator[Outside]:
    """A second far host, for elsewhere.example, at another address."""
    other = Outside(host="127.0.0.2")
    other.port = outside.port
    other.house = house
    other.start()
    house.zone.put("elsewhere.example", "MX", "10 mx2.elsewhere.example.")
    house.zone.put("mx2.elsewhere.example", "A", "127.0.0.2")
    yield other
    other.stop()


def attempts(house: House) -> list[int]:
    found = []
    for line in json.loads(house.runs("queue", "list", "--json").stdout)["messages"]:
        shown = json.loads(house.runs("queue", "show", line["name"], "--json").stdout)
        found += [one["attempts"] for one in shown["deliveries"]]
    return found


def reports(outside: Outside, address: str) -> list[tuple[str, EmailMessage]]:
    """(action, report) of every delivery report that came for an address."""
    found = []
    for return_path, message in outside.copies_for(address):
        assert return_path == "" and message.get_content_type() == "multipart/report"
        [status] = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
        _, recipient = status.get_payload()
        found.append((str(recipient["Action"]), message))
    return found


def test_a_deferred_message_is_tried_again_by_the_schedule(house: House, outside: Outside) -> None:
    outside.refuses(DAN, "451 4.7.1 come back later")
    assert outside.posts(ANA, DAN, "Patience").startswith("250")
    house.settles()
    assert attempts(house) == [1]

    seen = []
    for minutes in (0.5, 0.8, 2.6, 6.3, 12.6):
        house.passes(minutes=minutes)
        seen += attempts(house)
    assert seen == [1, 2, 3, 4, 5]

    outside.accepts(DAN)
    house.passes(minutes=19)
    [(return_path, message)] = outside.copies_for(DAN)
    assert (return_path, message["Subject"]) == (ANA, "Patience")
    assert attempts(house) == [] and outside.copies_for(ANA) == []


def test_the_sender_is_told_once_of_a_delay_and_then_of_the_end(house: House, outside: Outside) -> None:
    outside.refuses(DAN, "451 4.2.2 mailbox is full at the moment")
    outside.posts(ANA, DAN, "Patience", "A long letter.")
    house.settles()

    for _ in range(7):
        house.passes(minutes=30)
    assert reports(outside, ANA) == []
    house.passes(minutes=31)
    assert [action for action, _ in reports(outside, ANA)] == ["delayed"]
    for _ in range(4):
        house.passes(hours=7)
    assert [action for action, _ in reports(outside, ANA)] == ["delayed"]
    for _ in range(20):
        house.passes(hours=7)

    [_, (action, report)] = reports(outside, ANA)
    assert action == "failed" and DAN in report.as_string()
    assert "451 4.2.2 mailbox is full at the moment" in report.as_string()
    assert "A long letter." in report.as_string()  # RFC 3464: with what could not be delivered
    assert attempts(house) == [] and outside.copies_for(DAN) == []


def test_a_refusal_for_good_is_reported_at_once(house: House, outside: Outside) -> None:
    outside.refuses(DAN, "550 5.1.1 no such person")
    outside.posts(ANA, DAN, "Hello?")
    house.settles()

    [(action, report)] = reports(outside, ANA)
    assert action == "failed" and "no such person" in report.as_string()
    assert report["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize("reply", ["550 5.1.1 no such person", "451 4.2.1 busy"])
def test_nobody_is_told_when_the_return_path_is_null(house: House, outside: Outside, reply: str) -> None:
    outside.refuses(DAN, reply)
    assert outside.posts(ANA, DAN, return_path="").startswith("250")
    house.settles()
    for _ in range(24):
        house.passes(hours=6)

    assert outside.taken == [] and attempts(house) == []
    assert "failed" in house.runs("trace", DAN, "--json").stdout


def test_a_host_that_is_down_waits_as_a_whole_and_stops_nobody_else(
    house: House, outside: Outside, elsewhere: Outside
) -> None:
    house.has_list(GARDEN, members=[ANA, BEN, EVE])
    outside.stop()

    for number in range(3):
        elsewhere.posts(ANA, GARDEN, f"Number {number}")
    house.settles()

    assert len(elsewhere.copies_for(EVE)) == 3
    listed = json.loads(house.runs("queue", "list", "--json").stdout)
    assert [one["name"] for one in listed["suspended"]] == ["far.example"]
    assert listed["suspended"][0]["waiting"] == 6
    before = attempts(house)
    elsewhere.posts(ANA, GARDEN, "Number 3")
    house.settles()
    assert sum(attempts(house)) == sum(before), "a suspended destination is not dialled for every new message"

    outside.start()
    for _ in range(12):
        house.passes(minutes=15)
    assert [str(m["Subject"]) for _, m in outside.copies_for(BEN)].count("[Garden] Number 0") == 1
    assert len(outside.copies_for(BEN)) == len(outside.copies_for(ANA)) == 4
    assert json.loads(house.runs("queue", "list", "--json").stdout)["suspended"] == []


def test_a_host_that_is_down_for_five_days_returns_its_mail(house: House, outside: Outside, elsewhere: Outside) -> None:
    outside.stop()
    elsewhere.posts(EVE, DAN, "Anybody there?")
    house.settles()
    for _ in range(21):
        house.passes(hours=6)

    assert [action for action, _ in reports(elsewhere, EVE)] == ["delayed", "failed"]
    assert attempts(house) == []


def test_reports_are_worded_by_the_site_in_the_senders_language(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[BEN], default_nonmember_action="accept")
    name = "domain:user:report:failed"
    said = "Subject: Chez nous : $subject\n\nNon remis :\n$recipients\n"
    assert house.runs("templates", "set", name, "-", "--language", "fr", given=said).exit_code == 0
    assert house.runs("accounts", "create", ANA).exit_code == 0
    assert house.runs("accounts", "preferences", ANA, "preferred_language=fr").exit_code == 0
    outside.refuses(DAN, "550 5.1.1 no such mailbox here")
    with smtplib.SMTP("127.0.0.1", house.port) as ana:
        ana.sendmail(ANA, [GARDEN], b"From: ana@far.example\r\nSubject: Oui\r\n\r\nx\r\n", (), ["NOTIFY=SUCCESS"])
    assert outside.posts(ANA, DAN, "Patience").startswith("250")
    house.settles()

    found = dict(reports(outside, ANA))
    assert found["delivered"]["subject"] == "Remis : votre message est arrivé"
    assert found["failed"]["subject"] == "Chez nous : Patience"
    text = found["failed"].get_payload(0).get_content()
    assert "Cette boîte aux lettres n'existe pas." in text and "550 5.1.1 no such mailbox here" in text
