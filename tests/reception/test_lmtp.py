"""LMTP from an MTA in front of us: our own addresses only, one reply for each recipient."""

from __future__ import annotations

import smtplib

from tests.reception.conftest import Opener
from tests.reception.station import LETTER, Station, Talker, queued


def test_each_accepted_recipient_gets_its_own_reply(station: Station) -> None:
    talker = Talker(station.place("lmtp"))
    assert "LMTP" in talker.greeting
    talker.says("LHLO front.lists.example", 250)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<garden@lists.example>", 250)
    talker.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    talker.says("RCPT TO:<garden-owner@lists.example>", 250)
    talker.says("RCPT TO:<garden@lists.example>", 250)
    first = talker.content(LETTER)
    assert talker.reply() == first and talker.reply() == first
    talker.says("NOOP", 250)
    [message] = queued()
    assert message["recipients"] == ["garden@lists.example", "garden-owner@lists.example"]
    assert message["origin"] == "lmtp" and b"with LMTP id" in message["prefix"]


def test_nothing_is_relayed_by_lmtp_whatever_may_be_relayed_elsewhere(opens: Opener) -> None:
    station = opens(reception={"relay_networks": ["127.0.0.0/8"], "relay_domains": ["backup.example"]})
    talker = Talker(station.place("lmtp"))
    talker.says("LHLO front", 250)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<ben@far.example>", "550 5.7.1")
    talker.says("RCPT TO:<ben@backup.example>", "550 5.7.1")


def test_ehlo_is_smtp_and_lhlo_is_lmtp(station: Station) -> None:
    talker = Talker(station.place("lmtp"))
    talker.says("EHLO here", 500)
    other = Talker(station.place())
    other.says("LHLO here", 500)


def test_python_smtplib_delivers_by_lmtp(station: Station) -> None:
    host, port = station.place("lmtp")
    with smtplib.LMTP(host, port, timeout=60) as client:
        refused = client.sendmail("ana@far.example", ["garden@lists.example", "nobody@lists.example"], LETTER)
    assert refused["nobody@lists.example"][0] == 550
    assert queued()[0]["octets"] == LETTER


def test_a_refusal_of_the_content_is_said_for_each_recipient(opens: Opener) -> None:
    station = opens(limits={"hops": 2})
    talker = Talker(station.place("lmtp"))
    talker.says("LHLO front", 250)
    talker.envelope("garden@lists.example", "garden-owner@lists.example")
    talker.content(b"Received: x\r\n" * 3 + LETTER, "554 5.4.6")
    assert talker.reply().startswith("554 5.4.6")
    talker.says("NOOP", 250)
