"""The sender is told what failed, what is late and, when asked for, what arrived; once, and never in a circle."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.message.envelope import Envelope, Recipient
from posthouse.message.report import DsnFacts, read_dsn
from posthouse.queue.claim import Claimed, claim, register
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome, record_outcomes
from posthouse.queue.returning import warn_delayed, write_reports
from tests.queue.arrivals import NOW, arrival, count

HOST = "mx.lists.example"
REFUSED = ("mx.far.example [192.0.2.9]:25", "550 5.1.1 no such mailbox", "5.1.1")


def attempt(result: str, *told: Any, **given: Any) -> list[Claimed]:
    """Claim all that is due and tell the same outcome for each."""
    claimed = claim(register("here:1", NOW), NOW, 10_000, 10_000)
    record_outcomes([Outcome(one, result, *told, **given) for one in claimed], NOW)
    return claimed


def reports() -> list[tuple[Claimed, bytes, DsnFacts]]:
    found = []
    for one in claim(register("here:2", NOW), NOW, 10_000, 10_000):
        to_a_list = "-bounces+" in one.recipient  # of a copy: marked, so that the list believes it
        assert (one.message.return_path, one.message.origin) == ("", "bounce" if to_a_list else "report")
        content = keeping.read(one.message.content_id).all()
        facts = read_dsn(content)
        assert facts is not None
        found.append((one, content, facts))
    return found


def test_all_failed_recipients_of_a_message_are_in_one_report(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@far.example", content=b"Subject: Tomatoes\r\n\r\nRipe at last.\r\n"))
    attempt(FAILED, *REFUSED)
    assert write_reports(NOW, HOST) == 1
    [(one, content, facts)] = reports()
    assert one.recipient == "owen@lists.example"
    assert [(each.address, each.action, each.status) for each in facts.recipients] == [
        ("ana@far.example", "failed", "5.1.1"),
        ("ben@far.example", "failed", "5.1.1"),
    ]
    assert facts.recipients[0].remote_mta == "mx.far.example"
    assert facts.recipients[0].diagnostic == "550 5.1.1 no such mailbox"
    assert b"Received: x\r\nSubject: Tomatoes" in content and b"Ripe at last." in content
    assert count("queue_message") == 1


def test_each_failed_copy_of_a_list_is_reported_to_its_own_return_path(database: Configuration) -> None:
    envelope = Envelope("garden-bounces@lists.example", (Recipient("ana@far.example"), Recipient("ben@far.example")))
    content = spooled_from(b"Subject: x\r\n\r\nSecret harvest.\r\n")
    enqueue(Arrival(new_queue_id(NOW * 1000), content, b"", envelope, "list", NOW, list_id=7))
    attempt(FAILED, *REFUSED)
    assert write_reports(NOW, HOST) == 2
    found = reports()
    assert sorted(one.recipient for one, _, _ in found) == [
        "garden-bounces+ana=far.example@lists.example",
        "garden-bounces+ben=far.example@lists.example",
    ]
    assert all(b"Secret harvest." not in content for _, content, _ in found)


@pytest.mark.parametrize(
    ("ret", "size", "returned"),
    [("FULL", 10, True), ("HDRS", 10, False), ("", 10, True), ("FULL", 60_000, False), ("FULL", 400_000, False)],
)
def test_the_report_returns_as_much_as_was_asked_for(
    database: Configuration, ret: str, size: int, returned: bool
) -> None:
    content = spooled_from(b"Subject: Tomatoes\r\n\r\nRipe at last." + b"\r\nx" * (size // 3) + b"\r\n")
    envelope = Envelope("owen@lists.example", (Recipient("ana@far.example"),), envelope_id="QQ314159", ret=ret)
    enqueue(Arrival(new_queue_id(NOW * 1000), content, b"", envelope, "transfer", NOW))
    attempt(FAILED, *REFUSED)
    write_reports(NOW, HOST)
    [(_, report, facts)] = reports()
    assert (b"Ripe at last." in report) is returned
    assert b"Tomatoes" in report
    assert len(report) < 60_000
    assert facts.envelope_id == "QQ314159"


def test_the_original_recipient_is_named(database: Configuration) -> None:
    recipient = Recipient("ana@far.example", "FAILURE", "rfc822;tomato@old.example")
    envelope = Envelope("owen@lists.example", (recipient,))
    enqueue(Arrival(new_queue_id(NOW * 1000), spooled_from(b"Subject: x\r\n\r\n"), b"", envelope, "transfer", NOW))
    attempt(FAILED, *REFUSED)
    write_reports(NOW, HOST)
    [(_, _, facts)] = reports()
    assert facts.recipients[0].original_address == "tomato@old.example"


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY"])
def test_whoever_does_not_want_to_know_is_not_told(database: Configuration, notify: str) -> None:
    enqueue(arrival("ana@far.example", notify=notify))
    attempt(FAILED, *REFUSED)
    assert write_reports(NOW, HOST) == 0
    assert count("queue_delivery") == count("queue_message") == count("content_content") == 0


def test_a_null_return_path_is_never_written_to(database: Configuration) -> None:
    envelope = Envelope("", (Recipient("ana@far.example", "SUCCESS,FAILURE,DELAY"),))
    for result in (DELIVERED, FAILED):
        content = spooled_from(b"Subject: x\r\n\r\n")
        enqueue(Arrival(new_queue_id(NOW * 1000), content, b"", envelope, "report", NOW))
        attempt(result, *REFUSED)
    assert write_reports(NOW, HOST) == warn_delayed(NOW + 10**9, HOST, 1) == 0
    assert count("queue_message") == 0


@pytest.mark.parametrize(
    ("given", "action"), [({}, "relayed"), ({"local": True}, "delivered"), ({"relayed": False}, None)]
)
def test_success_is_reported_to_whoever_asked(
    database: Configuration, given: dict[str, bool], action: str | None
) -> None:
    enqueue(arrival("ana@far.example", notify="SUCCESS"))
    attempt(DELIVERED, "mx.far.example", "250 2.0.0 Ok", "2.0.0", **given)
    assert [facts.recipients[0].action for _, _, facts in reports()] == ([action] if action else [])


def test_a_delay_is_told_once_and_not_for_copies_of_a_list(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@far.example"))
    envelope = Envelope("garden-bounces@lists.example", (Recipient("ana@far.example"),))
    content = spooled_from(b"Subject: x\r\n\r\n")
    enqueue(Arrival(new_queue_id(NOW * 1000), content, b"", envelope, "list", NOW, list_id=7))
    enqueue(arrival("cleo@far.example", notify="FAILURE"))
    later = NOW + 4 * 3_600_000
    assert warn_delayed(later, HOST, 4 * 3600) == 0, "not yet tried: nothing to tell"
    attempt(DEFERRED, "mx.far.example", "451 4.7.1 greylisted", "4.7.1", next_attempt=later * 2)
    assert warn_delayed(later - 1, HOST, 4 * 3600) == 0
    assert warn_delayed(later, HOST, 0) == 0
    assert warn_delayed(later, HOST, 4 * 3600) == 1
    assert warn_delayed(later, HOST, 4 * 3600) == 0
    [report] = claim(register("here:3", later), later, 10, 10)
    content_of_report = keeping.read(report.message.content_id).all()
    facts = read_dsn(content_of_report)
    assert facts is not None
    assert [(one.address, one.action, one.status) for one in facts.recipients] == [
        ("ana@far.example", "delayed", "4.7.1"),
        ("ben@far.example", "delayed", "4.7.1"),
    ]
    assert b"Will-Retry-Until: " in content_of_report


def test_many_failures_are_all_reported(database: Configuration) -> None:
    for number in range(230):
        enqueue(arrival(f"member{number}@far.example"))
    attempt(FAILED, *REFUSED)
    assert write_reports(NOW, HOST) == 230
    assert bridge.fetch("SELECT count(*) FROM queue_delivery WHERE given_up") == [(0,)]


def test_one_message_that_failed_for_thousands_is_reported_in_bounded_parts(sqlite: Configuration) -> None:
    enqueue(arrival(*[f"member{number}@far.example" for number in range(2500)]))
    attempt(FAILED, *REFUSED)
    assert write_reports(NOW, HOST) == 3
    assert sum(len(facts.recipients) for _, _, facts in reports()) >= 2500 - 3
