"""What every failure means, as a table."""

from __future__ import annotations

import ssl

import pytest

from posthouse.delivery import trouble
from posthouse.delivery.trouble import Scope, Stage
from posthouse.dns.lookups import NoSuchName, TemporaryFailure
from posthouse.queue.outcome import DEFERRED, FAILED
from posthouse.smtp.reply import MalformedReply, Reply, parse_reply

HOST, TRANSACTION, RECIPIENT, DESTINATION = Scope.HOST, Scope.TRANSACTION, Scope.RECIPIENT, Scope.DESTINATION


def reply(text: str) -> Reply:
    return parse_reply([text.encode()])


@pytest.mark.parametrize(
    ("stage", "text", "result", "scope", "status", "next_host"),
    [
        (Stage.GREETING, "421 4.3.2 closing", DEFERRED, HOST, "4.3.2", True),
        (Stage.GREETING, "554 go away", DEFERRED, HOST, "4.3.0", True),
        (Stage.GREETING, "521 5.3.2 no mail here", FAILED, HOST, "5.3.2", True),
        (Stage.GREETING, "450 4.7.1 wait", DEFERRED, HOST, "4.7.1", True),
        (Stage.HELLO, "550 5.7.1 bad name", DEFERRED, HOST, "4.7.1", True),
        (Stage.MAIL, "550 5.7.1 not from you", FAILED, TRANSACTION, "5.7.1", True),
        (Stage.MAIL, "553 5.1.8 no such sender domain", FAILED, TRANSACTION, "5.1.8", False),
        (Stage.MAIL, "552 5.3.4 too big", FAILED, TRANSACTION, "5.3.4", False),
        (Stage.MAIL, "552 too big", FAILED, TRANSACTION, "5.0.0", False),
        (Stage.MAIL, "451 4.3.0 later", DEFERRED, TRANSACTION, "4.3.0", True),
        (Stage.MAIL, "421 4.7.0 enough", DEFERRED, HOST, "4.7.0", True),
        (Stage.RCPT, "550 5.1.1 nobody", FAILED, RECIPIENT, "5.1.1", False),
        (Stage.RCPT, "550 nobody", FAILED, RECIPIENT, "5.1.0", False),
        (Stage.RCPT, "450 4.2.0 greylisted", DEFERRED, RECIPIENT, "4.2.0", False),
        (Stage.RCPT, "451 4.3.2 system trouble", DEFERRED, RECIPIENT, "4.3.2", True),
        (Stage.RCPT, "552 5.2.2 mailbox full", FAILED, RECIPIENT, "5.2.2", False),
        (Stage.RCPT, "552 too many recipients", DEFERRED, RECIPIENT, "4.1.0", False),  # RFC 5321 §4.5.3.1.10
        (Stage.RCPT, "421 4.2.1 closing", DEFERRED, HOST, "4.2.1", True),
        (Stage.DATA, "554 5.7.1 no", FAILED, TRANSACTION, "5.7.1", False),
        (Stage.DATA, "451 4.7.1 later", DEFERRED, TRANSACTION, "4.7.1", False),
        (Stage.FINAL, "550 5.7.1 spam", FAILED, TRANSACTION, "5.7.1", False),
        (Stage.FINAL, "451 4.7.1 greylisted", DEFERRED, TRANSACTION, "4.7.1", False),
        (Stage.FINAL, "452 4.3.1 disk full", DEFERRED, TRANSACTION, "4.3.1", True),
        (Stage.FINAL, "550 4.7.1 contradicts itself", FAILED, TRANSACTION, "5.0.0", False),
    ],
)
def test_a_reply_means(stage: Stage, text: str, result: str, scope: Scope, status: str, next_host: bool) -> None:
    meaning = trouble.of_reply(stage, reply(text))
    assert (meaning.result, meaning.scope, meaning.status, meaning.try_next_host) == (result, scope, status, next_host)
    assert meaning.reason.startswith(stage.value)
    assert not meaning.at_once


@pytest.mark.parametrize(
    "text", ["452 4.5.3 too many recipients", "452 too many", "552 too many", "552 5.5.3 too many"]
)
def test_too_many_recipients_means_another_transaction_at_once_when_some_were_taken(text: str) -> None:
    assert trouble.of_reply(Stage.RCPT, reply(text), others_accepted=True).at_once
    assert not trouble.of_reply(Stage.RCPT, reply(text)).at_once
    assert trouble.of_reply(Stage.RCPT, reply(text)).result == DEFERRED


def test_a_full_mailbox_is_not_taken_for_too_many_recipients() -> None:
    assert not trouble.of_reply(Stage.RCPT, reply("452 4.2.2 mailbox full"), others_accepted=True).at_once
    assert trouble.of_reply(Stage.RCPT, reply("552 5.2.2 mailbox full"), others_accepted=True).result == FAILED


@pytest.mark.parametrize(
    ("stage", "error", "status", "next_host", "at_once"),
    [
        (Stage.CONNECT, ConnectionRefusedError(111, "Connection refused"), "4.4.1", True, False),
        (Stage.GREETING, TimeoutError(), "4.4.2", True, False),
        (Stage.HELLO, MalformedReply("nonsense"), "4.5.0", True, False),
        (Stage.STARTTLS, ssl.SSLError(1, "handshake"), "4.7.5", True, True),
    ],
)
def test_an_exception_means(stage: Stage, error: Exception, status: str, next_host: bool, at_once: bool) -> None:
    meaning = trouble.of_exception(stage, error)
    assert (meaning.result, meaning.scope, meaning.status) == (DEFERRED, HOST, status)
    assert (meaning.try_next_host, meaning.at_once) == (next_host, at_once)


def test_a_connection_lost_after_the_end_of_data_says_that_the_message_may_arrive_twice() -> None:
    meaning = trouble.of_loss("connection lost", maybe_taken=True)
    assert (meaning.result, meaning.scope, meaning.try_next_host) == (DEFERRED, TRANSACTION, False)
    assert "may arrive twice" in meaning.reason
    before = trouble.of_loss("connection lost", maybe_taken=False)
    assert (before.result, before.scope, before.try_next_host) == (DEFERRED, HOST, True)


def test_a_name_that_does_not_exist_fails_and_one_that_cannot_be_asked_is_deferred() -> None:
    assert trouble.of_lookup(NoSuchName("x")).result == FAILED
    later = trouble.of_lookup(TemporaryFailure("x"))
    assert (later.result, later.scope, later.status) == (DEFERRED, DESTINATION, "4.4.3")


def test_giving_up_says_how_long_we_tried_and_why() -> None:
    later = trouble.of_reply(Stage.RCPT, reply("450 4.2.1 busy"))
    over = trouble.gave_up(later, 5 * 86400)
    assert (over.result, over.status) == (FAILED, "5.2.1")
    assert over.reason == "gave up after 5 days: RCPT TO: 450 4.2.1 busy"


def test_reasons_are_one_bounded_line() -> None:
    meaning = trouble.of_reply(Stage.FINAL, Reply(550, "5.7.1", "no\nno " * 2000))
    assert "\n" not in meaning.reason
    assert len(meaning.reason) <= trouble.MOST_REASON
