"""The modes over real SMTP: what each stage says, to whom, and what is written down of it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from posthouse.authenticity.arc_sealing import seal
from posthouse.authenticity.dkim_signing import body_hash
from posthouse.directory import accounts, domains, sending
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve as serve_zone
from posthouse.queue import trace, verdicts
from posthouse.reception.evidence import Evidence
from tests.authenticity.letters import RSA, record
from tests.reception.conftest import PASSWORD, Opener
from tests.reception.station import LETTER, Station, Talker, events, queued

GARDEN, SEEDS = "garden@lists.example", "seeds@lists.example"
EICAR = base64.b64decode(
    b"WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo="
)


@pytest.fixture
def dns() -> Iterator[dict[str, list[str]]]:
    """Settings of a nameserver that knows far.example (not for 127.0.0.1) and null.example (takes no mail)."""
    zone, loop, stack = FixedZone(), asyncio.new_event_loop(), AsyncExitStack()
    zone.put("far.example", "MX", "10 mx.far.example.")
    zone.put("far.example", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
    zone.put("mx.far.example", "A", "192.0.2.1")
    zone.put("null.example", "MX", "0 .")
    zone.put("_dmarc.strict.example", "TXT", '"v=DMARC1; p=reject"')
    zone.put("rsa._domainkey.relay.example", "TXT", record(RSA))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    host, port = asyncio.run_coroutine_threadsafe(stack.enter_async_context(serve_zone(zone)), loop).result(60)
    yield {"nameservers": [f"{host}:{port}"]}
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


def stranger(station: Station, helo: str = "mail.far.example", kind: str = "transfer") -> Talker:
    """Somebody who said hello."""
    talker = Talker(station.place(kind))
    talker.says(f"{'LHLO' if kind == 'lmtp' else 'EHLO'} {helo}", 250)
    return talker


def told(station: Station, kind: str = "refused") -> list[dict[str, object]]:
    """The events of a kind, once the station has stopped."""
    station.stop()
    return events(kind)


# -- at connect --------------------------------------------------------------------------------------------------


def test_a_blocked_network_hears_554_and_the_log_says_why(opens: Opener) -> None:
    station = opens(policy={"blocked_networks": ["127.0.0.0/8"]})
    assert "5.7.1" in Talker(station.place(), 554).greeting
    [event] = told(station, "connection-refused")
    assert event["reason"] == "the client is in blocked_networks" and event["peer"] == "127.0.0.1"
    assert verdicts.counted(0) == {"blocked refuse": 1}


def test_a_network_that_is_blocked_for_now_hears_421(opens: Opener) -> None:
    station = opens(policy={"blocked": "defer", "blocked_networks": ["127.0.0.0/8"]})
    Talker(station.place(), 421)


def test_a_blocked_network_is_refused_at_connect_also_where_it_might_relay(opens: Opener) -> None:
    for relay in ([], ["127.0.0.0/8"]):
        station = opens(policy={"blocked_networks": ["127.0.0.0/8"]}, reception={"relay_networks": relay})
        talker = Talker(station.place(), 554)
        assert talker.greeting.startswith("554 5.7.1 "), talker.greeting
        station.stop()
    talker = stranger(opens(policy={"blocked_networks": ["192.0.2.0/24"]}))
    talker.envelope(GARDEN)


def test_an_inside_address_is_for_our_own_hosts_whose_mail_is_known_as_such(opens: Opener) -> None:
    station = opens(policy={"inside_addresses": ["127.0.0.1"]})
    assert "our own hosts" in Talker(station.place(), 554).greeting
    station.stop()
    station = opens(policy={"inside_addresses": ["127.0.0.1"], "inside_networks": ["127.0.0.1/32"]})
    talker = stranger(station)
    talker.envelope(GARDEN)
    talker.content(LETTER)
    assert queued()[0]["origin"] == "inside"


def test_who_talks_before_the_greeting_is_sent_away_and_who_waits_is_not(opens: Opener) -> None:
    station = opens(policy={"early_talker": "refuse", "greet_delay": 0.3})
    Talker(station.place())
    with socket.create_connection(station.place(), 20) as hasty:
        hasty.sendall(b"EHLO mail.far.example\r\n")
        assert hasty.recv(1000).startswith(b"554 5.5.0 ")


# -- at RCPT -----------------------------------------------------------------------------------------------------


def test_refused_deferred_and_off_are_three_answers_to_the_same_fact(opens: Opener) -> None:
    for mode, reply in (("refuse", "550 5.7.1"), ("defer", "451 4.7.1"), ("tag", "250"), ("off", "250")):
        station = opens(policy={"helo_name": mode})
        talker = stranger(station, "mail")
        talker.says("MAIL FROM:<ana@far.example>", 250)
        said = talker.says(f"RCPT TO:<{GARDEN}>", reply)
        assert ("neither a full domain name" in said) == (mode in ("refuse", "defer"))
        station.stop(0.05)
    [no, later] = events("refused")
    assert (no["check"], no["stage"], no["address"]) == ("helo_name", "rcpt", GARDEN)
    assert later["reply"].startswith("451")
    [line] = [one.sentence for one in trace.trace(GARDEN) if "by the check" in one.sentence][:1]
    assert line.startswith("refused at rcpt by the check helo_name <garden@lists.example> from 127.0.0.1")


def test_a_return_path_that_takes_no_mail_is_refused(opens: Opener, dns: dict[str, list[str]]) -> None:
    talker = stranger(opens(policy={"sender_domain": "refuse"}, dns=dns))
    for path, reply in (("a@missing.example", "550 5.1.8"), ("a@null.example", "550 5.1.8"), ("ana@far.example", 250)):
        talker.says(f"MAIL FROM:<{path}>", 250)
        talker.says(f"RCPT TO:<{GARDEN}>", reply)
        talker.says("RSET", 250)
    talker.says("MAIL FROM:<>", 250)
    talker.says("RCPT TO:<garden-bounces@lists.example>", 250)


def test_spf_is_answered_at_rcpt_and_each_list_has_its_own_mind(opens: Opener, dns: dict[str, list[str]]) -> None:
    station = opens(
        dns=dns, evidence={"enabled": True, "reverse": False},
        policy={
            "spf": "refuse", "domain": {"lists.example": {"spf": "defer"}}, "mailing_list": {GARDEN: {"spf": "off"}},
        },
    )  # fmt: skip
    talker = stranger(station)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<postmaster@lists.example>", "451 4.7.23")
    talker.says("RCPT TO:<Garden-owner@lists.example>", 250)
    talker.says("RCPT TO:<postmaster@mx.lists.example>", "550 5.7.23")
    talker.content(LETTER)
    assert queued()[0]["recipients"] == ["Garden-owner@lists.example"]
    refused = told(station)
    assert [one["check"] for one in refused] == ["spf", "spf"] and "SPF fail for far.example" in str(
        refused[0]["found"]
    )


def test_relay_networks_meet_none_of_it(opens: Opener, dns: dict[str, list[str]]) -> None:
    strict = {
        "helo_name": "refuse",
        "spf": "refuse",
        "header": "refuse",
        "sender_domain": "refuse",
        "greylist": "defer",
    }
    station = opens(policy=strict, dns=dns, reception={"relay_networks": ["127.0.0.0/8"]}, evidence={"enabled": True})
    talker = stranger(station, "app")
    talker.envelope("ben@elsewhere.example", return_path="app@missing.example")
    talker.content(b"Subject: no From, no Date\r\n\r\nHello\r\n")
    assert b"X-Posthouse" not in queued()[0]["prefix"]


def test_forty_messages_of_one_connection_are_taken_one_after_the_other(opens: Opener) -> None:
    talker = stranger(opens(reception={"relay_networks": ["127.0.0.0/8"]}))
    for _ in range(40):
        talker.envelope(GARDEN)
        talker.content(LETTER)
    assert len(queued()) == 40


# -- at the end of the content -----------------------------------------------------------------------------------


def test_a_bad_header_is_tagged_deferred_or_refused(opens: Opener) -> None:
    for mode, reply in (("refuse", "550 5.6.0"), ("defer", "451 4.6.0"), ("tag", "250")):
        station = opens(policy={"header": mode})
        talker = stranger(station)
        talker.envelope(GARDEN)
        talker.content(b"Subject: two\r\nSubject: twice\r\n" + LETTER, reply)
        station.stop()
    [message] = queued()
    assert message["prefix"].startswith(b"X-Posthouse-Tag: header (") and b"\r\nReceived: " in message["prefix"]
    lines = [one.sentence for one in trace.trace(GARDEN)]
    assert any(line.startswith("refused at content by the check header") for line in lines)
    assert any(line.startswith("deferred at content by the check header") for line in lines)
    assert any("tag: header (" in one.sentence for one in trace.trace("ana@far.example"))
    assert verdicts.counted(0) == {"header refuse": 1, "header defer": 1, "header tag": 1, "accept": 1}


def test_eicar_is_refused_without_any_scanner_and_an_empty_body_is_not(opens: Opener) -> None:
    talker = stranger(opens())
    talker.envelope(GARDEN)
    talker.content(b"From: ana@far.example\r\n\r\n" + EICAR + b"\r\n", "550 5.7.1")
    talker.envelope("garden-join@lists.example")
    talker.content(b"From: ana@far.example\r\nSubject: join\r\n\r\n")
    assert len(queued()) == 1


def test_a_field_that_only_we_may_write_is_taken_out_of_a_strangers_mail(opens: Opener) -> None:
    talker = stranger(opens())
    talker.envelope(GARDEN)
    forged = b"X-Posthouse-Tag: none\r\nAuthentication-Results: mx.lists.example; spf=pass\r\n"
    talker.content(forged + LETTER)
    assert bytes(queued()[0]["octets"]) == LETTER


def test_recipients_with_other_modes_for_content_go_separately(opens: Opener) -> None:
    station = opens(policy={"mailing_list": {GARDEN: {"header": "refuse"}}})
    talker = stranger(station)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says(f"RCPT TO:<{GARDEN}>", 250)
    talker.says("RCPT TO:<postmaster@lists.example>", "452 4.5.3")
    talker.says("RCPT TO:<garden-owner@lists.example>", 250)
    talker.content(b"Subject: no author\r\n\r\nHello\r\n", "550 5.6.0")
    talker.envelope("postmaster@lists.example")
    talker.content(b"Subject: no author\r\n\r\nHello\r\n")


def test_lmtp_says_for_each_recipient_what_its_list_thinks(opens: Opener) -> None:
    station = opens(policy={"listener": {"lmtp": {"header": "tag"}}, "mailing_list": {GARDEN: {"header": "refuse"}}})
    talker = stranger(station, kind="lmtp")
    talker.envelope(GARDEN, "postmaster@lists.example", "garden-owner@lists.example", GARDEN)
    replies = [talker.content(b"Subject: no author\r\n\r\nHello\r\n", None), *(talker.reply() for _ in range(3))]
    assert [reply[:9] for reply in replies] == ["550 5.6.0", "250 2.0.0", "550 5.6.0", "550 5.6.0"]
    [message] = queued()
    assert message["recipients"] == ["postmaster@lists.example"]
    assert message["prefix"].startswith(b"X-Posthouse-Tag: header (")


def test_a_large_message_that_is_refused_leaves_nothing_on_the_disk(opens: Opener) -> None:
    station = opens(policy={"header": "refuse"})
    talker = stranger(station)
    talker.envelope(GARDEN)
    talker.content(b"Subject: no author\r\n\r\n" + b"All work and no play.\r\n" * 40_000, "550 5.6.0")
    folder = station.reception._configuration.data / "content"
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_evidence_that_cannot_be_put_into_words_loses_no_mail(
    opens: Opener, dns: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Evidence, "field", broken)
    monkeypatch.setattr(Evidence, "words", broken)
    talker = stranger(opens(evidence={"enabled": True, "reverse": False}, dns=dns))
    talker.envelope(GARDEN)
    talker.content(LETTER)
    assert queued()[0]["prefix"].startswith(b"X-Posthouse-Tag: spf (127.0.0.1 may not send for far.example)\r\n")


@pytest.mark.parametrize("trusted", [[], ["relay.example"]])
def test_mail_that_a_trusted_list_changed_is_judged_by_what_it_saw(
    opens: Opener, dns: dict[str, list[str]], trusted: list[str]
) -> None:
    station = opens(
        dns=dns, evidence={"enabled": True, "reverse": False},
        policy={"dmarc": "refuse", "spf": "off", "trusted_sealers": trusted},
    )  # fmt: skip
    letter = LETTER.replace(b"far.example", b"strict.example")
    header, _, body = letter.partition(b"\r\n\r\n")
    saw = "relay.example; dmarc=pass header.from=strict.example"
    sealed = seal(header + b"\r\n", body_hash([body]), saw, "none", "relay.example", "rsa", RSA, now=time.time())
    talker = stranger(station)
    talker.says("MAIL FROM:<club-bounces@relay.example>", 250)
    talker.says(f"RCPT TO:<{GARDEN}>", 250)
    talker.content(sealed + letter, 250 if trusted else "550 5.7.1")


# -- accounts ----------------------------------------------------------------------------------------------------


def signed_in(station: Station, trust: ssl.SSLContext, address: str = "cleo@near.example") -> Talker:
    talker = Talker(station.place("submission"))
    talker.says("EHLO laptop.near.example", 250)
    talker.starttls(trust)
    talker.says("EHLO laptop.near.example", 250)
    word = base64.b64encode(f"\0{address}\0{PASSWORD}".encode()).decode()
    talker.says(f"AUTH PLAIN {word}", 235)
    return talker


def written_by(author: str) -> bytes:
    return f"From: {author}\r\nSubject: Hello\r\n\r\nHello\r\n".encode()


def test_an_account_sends_as_itself_with_the_null_return_path_and_as_nobody_else(
    opens: Opener, trust: ssl.SSLContext
) -> None:
    cleo = signed_in(opens(), trust)
    for path in ("owen@far.example", "cleo@near.example.evil.example", "garden@lists.example"):
        cleo.says(f"MAIL FROM:<{path}>", 250)
        assert "is no address of cleo@near.example" in cleo.says("RCPT TO:<ben@far.example>", "550 5.7.1")
        cleo.says("RSET", 250)
    for path in ("", "cleo+shop@near.example"):
        cleo.envelope("ben@far.example", return_path=path)
        cleo.content(written_by("Cleo <Cleo@Near.example>"))
    cleo.envelope("ben@far.example", return_path="cleo@near.example")
    cleo.content(written_by("Cleo <cleo@near.example>, Owen <owen@far.example>"), "550 5.7.1")
    assert len(queued()) == 2


def test_an_account_speaks_for_what_it_owns_and_what_it_was_allowed(opens: Opener, trust: ssl.SSLContext) -> None:
    station = opens()
    accounts.set_password("owen@far.example", PASSWORD)
    sending.allow("owen@far.example", "info@near.example")
    sending.allow("owen@far.example", "@Allowed.example")
    domains.add("owned.example")
    domains.add_owner("owned.example", "owen@far.example")
    names = ["garden@lists.example", "garden-owner@lists.example", "info@near.example", "any@allowed.example"]
    names.append("any@owned.example")
    for name in names:
        owen = signed_in(station, trust, "owen@far.example")
        owen.envelope("ben@far.example", return_path=name)
        owen.content(written_by(name))
    sending.take_back("owen@far.example", "info@near.example")
    owen = signed_in(station, trust, "owen@far.example")
    owen.says("MAIL FROM:<info@near.example>", 250)
    owen.says("RCPT TO:<ben@far.example>", "550 5.7.1")
    assert len(queued()) == len(names)


def test_an_account_does_not_speak_in_our_name(opens: Opener, trust: ssl.SSLContext) -> None:
    cleo = signed_in(opens(), trust)
    cleo.envelope("ben@far.example", return_path="cleo@near.example")
    cleo.content(b"Authentication-Results: mx.lists.example; dmarc=pass\r\n" + written_by("cleo@near.example"))
    assert b"dmarc=pass" not in bytes(queued()[0]["octets"])


def test_sender_rights_can_be_off(opens: Opener, trust: ssl.SSLContext) -> None:
    cleo = signed_in(opens(policy={"listener": {"submission": {"sender_rights": "off"}}}), trust)
    cleo.envelope("ben@far.example", return_path="owen@far.example")
    cleo.content(written_by("owen@far.example"))


# -- soft refusals -----------------------------------------------------------------------------------------------


def test_while_refusals_are_soft_nobody_hears_a_5yz(
    opens: Opener, trust: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    station = opens(reception={"soft_refusals": True}, policy={"header": "refuse"})
    assert "Not for production" in caplog.text
    talker = stranger(station)
    talker.says("BLURB", "451 4.5.1")
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<nobody@lists.example>", "450 4.1.1")
    talker.says("RCPT TO:<ben@elsewhere.example>", "450 4.7.1")
    talker.says(f"RCPT TO:<{GARDEN}>", 250)
    talker.content(b"Subject: no author\r\n\r\nHello\r\n", "450 4.6.0")
    assert all(str(event["reply"]).startswith("4") for event in told(station))


def test_a_greeting_is_soft_too(opens: Opener) -> None:
    station = opens(reception={"soft_refusals": True}, policy={"blocked_networks": ["127.0.0.0/8"]})
    assert "4.7.1" in Talker(station.place(), 421).greeting
