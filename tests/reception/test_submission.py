"""Submission: TLS first, then who are you, then anywhere."""

from __future__ import annotations

import base64
import smtplib
import ssl

import pytest

from tests.reception.conftest import PASSWORD, Opener
from tests.reception.station import LETTER, Station, Talker, events, queued

CLEO = base64.b64encode(f"\0cleo@near.example\0{PASSWORD}".encode()).decode()
WRONG = base64.b64encode(b"\0cleo@near.example\0guess").decode()
HERS = LETTER.replace(b"Ana <ana@far.example>", b"Cleo <cleo@near.example>")


@pytest.fixture
def cleo(station: Station, trust: ssl.SSLContext) -> Talker:
    """cleo's mail program, TLS done, not signed in."""
    talker = Talker(station.place("submission"))
    talker.says("EHLO laptop.near.example", 250)
    talker.starttls(trust)
    talker.says("EHLO laptop.near.example", 250)
    return talker


def test_before_tls_there_is_no_auth_and_no_mail(station: Station) -> None:
    talker = Talker(station.place("submission"))
    assert "AUTH" not in talker.says("EHLO laptop", 250)
    assert "STARTTLS" in talker.says("EHLO laptop", 250)
    talker.says(f"AUTH PLAIN {CLEO}", "538 5.7.11")
    talker.says("MAIL FROM:<cleo@near.example>", "530 5.7.0")


def test_before_signing_in_there_is_no_mail_not_even_for_our_lists(cleo: Talker) -> None:
    assert "AUTH PLAIN LOGIN" in cleo.says("EHLO laptop", 250)
    cleo.says("MAIL FROM:<cleo@near.example>", "530 5.7.0")
    cleo.says("RCPT TO:<garden@lists.example>", 503)


def test_who_signed_in_may_send_anywhere_and_lacking_fields_are_added(cleo: Talker) -> None:
    cleo.says(f"AUTH PLAIN {CLEO}", "235 2.7.0")
    cleo.envelope("ben@far.example", "garden@lists.example", return_path="cleo@near.example")
    cleo.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    content = b"From: cleo@near.example\r\nSubject: no id\r\n\r\nHello.\r\n"
    cleo.content(content)
    [message] = queued()
    assert message["origin"] == "submission" and message["octets"] == content
    assert b" with ESMTPSA (TLSv1.3 " in message["prefix"]
    assert b"\r\nMessage-ID: <" in message["prefix"] and b"\r\nDate: " in message["prefix"]
    [accepted] = events("accepted")
    assert f"<{accepted['message_id']}>".encode() in message["prefix"]


def test_fields_that_are_there_are_not_added_again(cleo: Talker) -> None:
    cleo.says(f"AUTH PLAIN {CLEO}", 235)
    cleo.envelope("ben@far.example", return_path="cleo@near.example")
    cleo.content(b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n" + HERS)
    assert b"Message-ID" not in queued()[0]["prefix"] and b"Date:" not in queued()[0]["prefix"]


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(cleo: Talker) -> None:
    wrong = cleo.says(f"AUTH PLAIN {WRONG}", "535 5.7.8")
    unknown = cleo.says("AUTH PLAIN " + base64.b64encode(b"\0eve@far.example\0guess").decode())
    assert wrong == unknown
    cleo.says("MAIL FROM:<cleo@near.example>", "530 5.7.0")


def test_python_smtplib_signs_in_with_login_too(station: Station, trust: ssl.SSLContext) -> None:
    host, port = station.place("submission")
    with smtplib.SMTP(host, port, timeout=60) as client:
        client._host = "mx.lists.example"  # type: ignore[attr-defined]
        client.starttls(context=trust)
        client.ehlo()
        client.user, client.password = "cleo@near.example", PASSWORD
        assert client.auth("LOGIN", client.auth_login)[0] == 235
        assert client.sendmail("cleo@near.example", ["ben@far.example"], HERS) == {}
    assert queued()[0]["recipients"] == ["ben@far.example"]


def test_auth_is_not_offered_on_other_listeners_even_under_tls(station: Station, trust: ssl.SSLContext) -> None:
    for kind, verb in (("transfer", "EHLO"), ("lmtp", "LHLO")):
        talker = Talker(station.place(kind))
        talker.says(f"{verb} here", 250)
        talker.starttls(trust)
        assert "AUTH" not in talker.says(f"{verb} here", 250)
        talker.says(f"AUTH PLAIN {CLEO}", "502 5.5.1")


def test_submissions_speaks_tls_from_the_first_octet(opens: Opener, trust: ssl.SSLContext) -> None:
    station = opens(reception={"submissions": ["127.0.0.1:0"]})
    talker = Talker(station.place("submissions"), tls=trust)
    assert "STARTTLS" not in talker.says("EHLO laptop", 250)
    talker.says(f"AUTH PLAIN {CLEO}", 235)
    talker.envelope("ben@far.example", return_path="cleo@near.example")
    talker.content(HERS)
    assert b"with ESMTPSA" in queued()[0]["prefix"]


def test_people_behind_firewalls_find_an_open_port_of_either_style(opens: Opener, trust: ssl.SSLContext) -> None:
    places = {"submission": ["127.0.0.1:0"] * 2, "submissions": ["127.0.0.1:0"] * 2}
    station = opens(reception=places)
    for style in places:
        for number in range(2):
            first = style == "submissions"
            talker = Talker(station.place(style, number), tls=trust if first else None)
            talker.says("EHLO laptop", 250)
            if not first:
                talker.starttls(trust)
                talker.says("EHLO laptop", 250)
            talker.says(f"AUTH PLAIN {CLEO}", "235 2.7.0")
            talker.envelope("ben@far.example", return_path="cleo@near.example")
            talker.content(HERS)
    assert len(queued()) == 4


def test_a_trial_has_a_certificate_of_its_own_so_that_submission_works(opens: Opener, house: object) -> None:
    from posthouse.configuration import Configuration
    from tests.reception.station import changed

    assert isinstance(house, Configuration)
    import dataclasses

    chosen = dataclasses.replace(changed(house, tls={"certificate": "", "key": ""}), trial=True)
    talker = Talker(opens(chosen).place("submission"))
    talker.says("EHLO laptop", 250)
    talker.starttls(ssl.create_default_context(cafile=str(house.data / "tls" / "trial.pem")))
    talker.says("EHLO laptop", 250)
    talker.says(f"AUTH PLAIN {CLEO}", 235)


def test_without_a_certificate_submission_says_what_is_missing(opens: Opener) -> None:
    talker = Talker(opens(tls={"certificate": "", "key": ""}).place("submission"))
    assert "STARTTLS" not in talker.says("EHLO laptop", 250)
    talker.says("MAIL FROM:<cleo@near.example>", "530 5.7.0")
