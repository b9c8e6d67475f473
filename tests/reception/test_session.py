"""Mail from other hosts: what is taken, what is refused with which words, and what is written down."""

from __future__ import annotations

import hashlib
import re

import pytest

from posthouse.directory import domains
from posthouse.lists import creation
from posthouse.queue.identity import id_of
from tests.reception.conftest import Opener
from tests.reception.station import LETTER, Station, Talker, events, queued, until

GARDEN = "garden@lists.example"


@pytest.fixture
def ana(station: Station) -> Talker:
    """A far host that has said EHLO to the transfer listener."""
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    return talker


def test_the_greeting_and_ehlo_name_us_and_tell_what_we_speak(station: Station) -> None:
    talker = Talker(station.place())
    assert talker.greeting == "220 mx.lists.example ESMTP Posthouse"
    offered = talker.says("EHLO mail.far.example", 250).split("\n")
    assert offered[0] == "250-mx.lists.example"
    keywords = {line[4:] for line in offered[1:]}
    assert {"PIPELINING", "SIZE 209715200", "8BITMIME", "SMTPUTF8", "CHUNKING", "STARTTLS", "DSN",
            "ENHANCEDSTATUSCODES"} <= keywords  # fmt: skip
    assert not any(word.startswith("AUTH") for word in keywords)
    assert any(word.startswith("LIMITS") and "RCPTMAX=1000" in word for word in keywords)


def test_a_posting_is_ours_when_the_reply_says_so_and_its_bytes_are_as_they_came(ana: Talker) -> None:
    ana.envelope(GARDEN)
    reply = ana.content(LETTER + b".a line with a dot\r\n..two\r\n")
    name = re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w{13})", reply)
    assert name, reply
    [message] = queued()
    assert message["id"] == id_of(name[1])
    sent = LETTER + b".a line with a dot\r\n..two\r\n"
    assert message["octets"] == sent and bytes(message["digest"]) == hashlib.sha256(sent).digest()
    assert (message["return_path"], message["recipients"], message["origin"]) == (
        "ana@far.example", [GARDEN], "transfer",
    )  # fmt: skip
    assert re.fullmatch(
        rb"Received: from mail\.far\.example \(\[127\.0\.0\.1\]\)\r\n"
        rb"\tby mx\.lists\.example \(Posthouse\) with ESMTP id "
        + name[1].encode()
        + rb"\r\n\tfor <garden@lists\.example>; \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n",
        message["prefix"],
    )
    [accepted] = events("accepted")
    assert accepted["peer"] == "127.0.0.1" and accepted["message_id"] == "t1@far.example"


def test_received_names_no_recipient_when_there_are_several(ana: Talker) -> None:
    ana.envelope(GARDEN, "garden-request@lists.example")
    ana.content(LETTER)
    [message] = queued()
    assert b"for <" not in message["prefix"]
    assert message["recipients"] == [GARDEN, "garden-request@lists.example"]


def test_one_recipient_named_twice_gets_one_copy(ana: Talker) -> None:
    ana.envelope(GARDEN, "Garden@Lists.Example", GARDEN)
    ana.content(LETTER)
    [message] = queued()
    assert message["recipients"] == [GARDEN]


def test_transfer_gets_nothing_added_but_received(ana: Talker) -> None:
    ana.envelope(GARDEN)
    ana.content(b"Subject: bare\r\n\r\nNo date, no id.\r\n")
    assert b"Message-ID" not in queued()[0]["prefix"] and b"Date:" not in queued()[0]["prefix"]


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("nobody@lists.example", "550 5.1.1"),
        ("garden-nosuch@lists.example", "550 5.1.1"),
        ("ben@far.example", "550 5.7.1"),
        ("garden@127.0.0.1.example", "550 5.7.1"),
        ("ben@[192.0.2.1]", "550 5.7.1"),
        ("garden%lists.example@far.example", "550 5.7.1"),
    ],
)
def test_a_recipient_that_is_not_ours_to_take_is_refused_at_rcpt(ana: Talker, recipient: str, reply: str) -> None:
    ana.says("MAIL FROM:<ana@far.example>", 250)
    ana.says(f"RCPT TO:<{recipient}>", reply)
    ana.says("DATA", "503 5.5.1")
    ana.says("RCPT TO:<garden@lists.example>", 250)
    ana.content(LETTER)
    assert queued()[0]["recipients"] == [GARDEN]
    refused = events()
    assert refused[0]["address"] == recipient and refused[0]["stage"] == "rcpt"
    assert refused[0]["return_path"] == "ana@far.example" and refused[0]["reply"].startswith(reply)


def test_loopback_may_not_relay_unless_the_operator_says_so(opens: Opener) -> None:
    talker = Talker(opens().place())
    talker.says("EHLO here", 250)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<ben@far.example>", "550 5.7.1")
    trusted = Talker(opens(reception={"relay_networks": ["127.0.0.0/8"]}).place())
    trusted.says("EHLO here", 250)
    trusted.envelope("ben@far.example")
    trusted.content(LETTER)
    assert queued()[-1]["recipients"] == ["ben@far.example"]
    trusted.says("MAIL FROM:<ana@far.example>", 250)
    trusted.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")


def test_a_relay_domain_takes_mail_from_strangers(opens: Opener) -> None:
    talker = Talker(opens(reception={"relay_domains": ["backup.example"]}).place())
    talker.says("EHLO here", 250)
    talker.envelope("ben@backup.example")
    talker.content(LETTER)
    assert queued()[0]["recipients"] == ["ben@backup.example"]


def test_the_null_sender_is_refused_with_an_explanation_where_nothing_sends(ana: Talker) -> None:
    ana.says("MAIL FROM:<>", 250)
    for local in ("garden", "garden-owner", "garden-join", "garden-leave", "garden-request"):
        reply = ana.says(f"RCPT TO:<{local}@lists.example>", "550 5.7.1")
        assert "never sends" in reply
    ana.says("RCPT TO:<nosuch@lists.example>", "550 5.1.1")
    for local in ("garden-bounces", "garden-bounces+ben=far.example", "garden-confirm", "garden-confirm+t0ken"):
        ana.says(f"RCPT TO:<{local}@lists.example>", 250)
    ana.content(LETTER)
    assert queued()[0]["return_path"] == "" and len(queued()[0]["recipients"]) == 4


def test_the_postmaster_is_always_reached(ana: Talker) -> None:
    ana.envelope("Postmaster", "postmaster@lists.example", return_path="")
    ana.content(LETTER)
    assert queued()[0]["recipients"] == ["Postmaster@mx.lists.example", "postmaster@lists.example"]


@pytest.fixture
def nothing_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a word of a change makes reception look again."""
    monkeypatch.setattr("posthouse.routing.router.FRESH_SECONDS", 1e9)


def test_a_list_made_while_we_run_takes_mail_at_once_and_one_removed_no_more(
    nothing_expires: None, ana: Talker
) -> None:
    ana.says("MAIL FROM:<ana@far.example>", 250)
    ana.says("RCPT TO:<seeds@lists.example>", "550 5.1.1")
    creation.create("seeds@lists.example", ["owen@far.example"])
    ana.says("RCPT TO:<seeds@lists.example>", 250)
    creation.remove("seeds@lists.example")
    until(lambda: ana.says("RCPT TO:<seeds@lists.example>").startswith("550 5.1.1"))


def test_a_domain_added_while_we_run_is_ours_at_once(nothing_expires: None, ana: Talker) -> None:
    ana.says("MAIL FROM:<ana@far.example>", 250)
    ana.says("RCPT TO:<garden@new.example>", "550 5.7.1")
    domains.add("new.example")
    until(lambda: ana.says("RCPT TO:<garden@new.example>").startswith("550 5.1.1"))


def test_dsn_wishes_and_eight_bits_are_kept_with_the_envelope(opens: Opener) -> None:
    talker = Talker(opens(reception={"relay_networks": ["127.0.0.1/32"]}).place())
    talker.says("EHLO here", 250)
    talker.says("MAIL FROM:<ana@far.example> RET=HDRS ENVID=a+2Bb SMTPUTF8 BODY=8BITMIME", 250)
    talker.says("RCPT TO:<bén@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old@far.example", 250)
    talker.content("Subject: Grün\r\n\r\nÜ\r\n".encode())
    [message] = queued()
    assert (message["ret"], message["envelope_id"], message["smtputf8"], message["body8"]) == ("HDRS", "a+b", 1, 1)
    assert b"with UTF8SMTP id" in message["prefix"] and "for <bén@far.example>".encode() in message["prefix"]
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT notify, original_recipient FROM queue_delivery")
        assert cursor.fetchall() == [("SUCCESS,DELAY", "rfc822;old@far.example")]


def test_eight_bits_are_noticed_even_when_the_client_did_not_say_so(ana: Talker) -> None:
    ana.envelope(GARDEN, parameters=" BODY=8BITMIME")
    ana.content(LETTER)
    ana.envelope(GARDEN)
    ana.content("Subject: x\r\n\r\nÜ\r\n".encode())
    assert [bool(message["body8"]) for message in queued()] == [False, True]


def test_pipelined_and_chunked_mail_arrives(ana: Talker) -> None:
    ana.send(
        b"MAIL FROM:<ana@far.example>\r\nRCPT TO:<nobody@lists.example>\r\nRCPT TO:<garden@lists.example>\r\n"
        b"BDAT %d\r\n%bBDAT 5 LAST\r\nend\r\nMAIL FROM:<ben@far.example>\r\nRSET\r\n" % (len(LETTER), LETTER)
    )
    codes = [ana.reply()[:3] for _ in range(7)]
    assert codes == ["250", "550", "250", "250", "250", "250", "250"]
    assert queued()[0]["octets"] == LETTER + b"end\r\n"


def test_helo_is_traced_as_plain_smtp(station: Station) -> None:
    talker = Talker(station.place())
    talker.says("HELO old.far.example", 250)
    talker.envelope(GARDEN)
    talker.content(LETTER)
    assert b"with SMTP id" in queued()[0]["prefix"]


def test_a_client_that_leaves_in_the_middle_leaves_nothing(ana: Talker, station: Station) -> None:
    ana.envelope(GARDEN)
    ana.says("DATA", 354)
    ana.send(LETTER)
    ana.close()
    until(lambda: not station.guests)
    assert queued() == []
