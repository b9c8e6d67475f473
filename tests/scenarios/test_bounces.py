"""A copy that cannot be delivered is recorded for its member, through the return path that only this copy has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.outside import Outside
from tests.people import ANA, BEN, GARDEN, OWEN
from tests.running_house import House

BENS_RETURN_PATH = "garden-bounces+ben=far.example@lists.example"


def member(house: House, address: str) -> dict[str, Any]:
    found = json.loads(house.runs("members", "list", GARDEN, "--json").stdout)
    [one] = [row for row in found if row["address"] == address]
    return dict(one)


def report(action: str, status: str, recipient: str = BEN, arrival: str = "Original-Recipient") -> bytes:
    """A delivery report as a far mail server writes it (RFC 3464)."""
    lines = [
        "From: Mail Delivery System <MAILER-DAEMON@mx.far.example>", f"To: {BENS_RETURN_PATH}",
        "Subject: Delivery Status Notification", "Message-ID: <report-1@mx.far.example>", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "Something about your message.", "",
        "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.far.example", "",
        f"Final-Recipient: rfc822; {recipient}", f"Action: {action}", f"Status: {status}",
        "Diagnostic-Code: smtp; 552 5.2.2 mailbox is full", "", "--b--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def test_a_copy_that_is_refused_counts_for_that_member_alone(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.refuses(BEN, "550 5.1.1 no such mailbox here")

    outside.posts(ANA, GARDEN)
    house.settles()

    ben = member(house, BEN)
    assert ben["bounces"] == 1 and "5.1.1" in ben["last_bounce"] and "no such mailbox here" in ben["last_bounce"]
    assert member(house, ANA)["bounces"] == 0 and len(outside.copies_for(ANA)) == 1
    assert outside.copies_for(OWEN) == []
    assert json.loads(house.runs("queue", "list", "--json").stdout)["messages"] == []
    told = house.runs("trace", BEN).stdout
    assert BENS_RETURN_PATH in told or "bounce" in told.lower()


def test_a_report_from_a_far_server_is_read_and_counted(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN)
    house.settles()
    [(return_path, _)] = outside.copies_for(BEN)

    # The far server took the copy, and says later that a forwarding address behind it failed: VERP names the member.
    assert outside.sends("", [return_path], report("failed", "5.2.2", "ben.other@third.example")).startswith("250")
    house.settles()

    ben = member(house, BEN)
    assert ben["bounces"] == 1 and "5.2.2" in ben["last_bounce"]
    assert member(house, ANA)["bounces"] == 0


@pytest.mark.parametrize(
    ("action", "status"), [("delayed", "4.4.1"), ("delayed", "5.0.0"), ("delivered", "2.0.0"), ("relayed", "2.0.0")]
)
def test_delay_warnings_and_successes_never_count(house: House, outside: Outside, action: str, status: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])

    outside.sends("", [BENS_RETURN_PATH], report(action, status))
    house.settles()

    assert member(house, BEN)["bounces"] == 0


def test_an_answer_of_a_machine_or_a_person_to_the_bounce_address_never_counts(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])

    outside.posts(BEN, BENS_RETURN_PATH, "Away until Monday", headers={"Auto-Submitted": "auto-replied"})
    outside.posts(BEN, BENS_RETURN_PATH, "Not here", return_path="")
    outside.posts(BEN, "garden-bounces@lists.example", "Why do I get this?")
    house.settles()

    assert member(house, BEN)["bounces"] == 0
    [(_, forwarded)] = outside.copies_for(OWEN)  # a person wrote the last: the owner reads it
    assert "Why do I get this?" in forwarded.as_string()
    assert len(outside.taken) == 1  # and nobody is answered


def test_a_copy_that_is_late_counts_only_when_it_is_given_up(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.refuses(BEN, "451 4.2.1 mailbox is busy")
    outside.posts(ANA, GARDEN)
    house.settles()

    for _ in range(8):
        house.passes(hours=5)
    assert member(house, BEN)["bounces"] == 0

    for _ in range(6):
        house.passes(days=1)
    assert member(house, BEN)["bounces"] == 1
    assert outside.copies_for(BEN) == [] and outside.copies_for("MAILER-DAEMON@mx.lists.example") == []
