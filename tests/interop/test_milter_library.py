"""Every event and every request of the milter protocol, version 6, with Sendmail's library on the other side."""

from __future__ import annotations

import smtplib

import pytest

from posthouse import maillog
from posthouse.configuration import Configuration, Scanner
from posthouse.smtp import catalogue
from tests.interop.python_milter import Noting
from tests.interop.scanners import running as runs
from tests.interop.test_scanners import guarded, letter
from tests.people import ANA, BEN, GARDEN
from tests.reception.station import events, queued
from tests.serving import until

pytestmark = pytest.mark.interop
SKIP, RCPT_REJ, LEADING_SPACE, NO_UNKNOWN, NO_BODY = 0x400, 0x800, 0x100000, 0x100, 0x10
SILENT = 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x40000 | 0x80000
ROSES, NOBODY = "roses@lists.example", "nobody@lists.example"
FRUITS = b"X-Fruit: apple\r\nX-Fruit: pear\r\nX-Fruit: quince\r\nX-Fold: a\r\n\t b\r\n"


def test_the_library_hears_every_event_and_every_request_of_it_is_done(sqlite: Configuration) -> None:
    with runs(Noting(SKIP | RCPT_REJ | LEADING_SPACE)) as milter:
        assert isinstance(milter, Noting)
        scanner = Scanner(kind="milter", servers=[milter.server], deadline=30.0)
        with guarded(sqlite, m=scanner) as house:
            house.has_list(ROSES, members=[BEN])
            with smtplib.SMTP("127.0.0.1", house.port, timeout=60) as client:
                client.ehlo("mail.far.example")
                assert client.docmd("XYZZY", "now") == (502, b"5.5.1 100% unheard of")
                client.mail(ANA, ["SIZE=1000", "BODY=8BITMIME"])
                assert client.rcpt(NOBODY)[0] == 550
                client.rset()
                client.mail(ANA)
                assert client.rcpt("garden-owner@lists.example") == (450, b"4.7.1 Later\n4.7.1 and in two lines")
                assert client.rcpt(GARDEN)[0] == client.rcpt(ROSES)[0] == 250
                code, words = client.data(letter("Tomatoes", b"Ripe at last.\r\n" * 20_000, FRUITS))
                assert code == 250, words
            [message] = queued()
            maillog.flush()
            [evidence] = events("evidence")
        until(lambda: milter.heard()[-1][0] == "close", 60, "it hears of the end")
        heard = [one for one in milter.heard() if one[0] not in ("negotiate", "header")]
        headers = [words for what, words, _ in milter.heard() if what == "header"]
        negotiated = next(words for what, words, _ in milter.heard() if what == "negotiate")
    assert negotiated == [0x1FF, 0x1FFFFF]
    assert [what for what, _, _ in heard] == [
        "connect", "hello", "unknown", "envfrom", "envrcpt", "abort", "envfrom", "envrcpt", "envrcpt", "envrcpt",
        "data", "eoh", "body", "eom", "close",
    ]  # fmt: skip
    told = {what: (words, macros) for what, words, macros in heard}
    assert told["hello"][0] == ["mail.far.example"] and told["unknown"][0] == ["XYZZY now"]
    assert told["eom"][1]["{client_addr}"] == "127.0.0.1"
    assert told["eom"][1]["i"] and told["eom"][1]["j"] == house.configuration.host
    refused, later, taken, _ = [macros for what, _, macros in heard if what == "envrcpt"]
    assert refused["{rcpt_mailer}"] == "error"
    assert refused["{rcpt_host}"] == catalogue.NO_SUCH_MAILBOX.enhanced and refused["{rcpt_addr}"]
    assert later["{rcpt_mailer}"] == taken["{rcpt_mailer}"] == "local" and taken["{rcpt_addr}"] == GARDEN
    assert ["X-Fold", "b' a\\n\\t b'"] in headers, "its leading space and its fold are kept"
    assert message["recipients"] == [GARDEN, "garden-owner@lists.example"]
    assert (message["return_path"], message["ret"], message["envelope_id"]) == ("owen@far.example", "HDRS", "e1")
    prefix, octets = message["prefix"], message["octets"]
    assert prefix.startswith(b"X-Top: above all\r\n") and prefix.endswith(b"X-Second: below Received\r\n")
    assert b"X-Posthouse-Tag: quarantine (m: looks odd)" in prefix
    header, _, body = octets.partition(b"\r\n\r\n")
    assert b"\r\nSubject: Unripe\r\n" in header
    assert b"X-Fruit: apple\r\nX-Fruit: plum\r\nX-Fold: a\r\n\t b" in header, "numbers are those of what came"
    assert header.endswith(b"\r\nX-Added: at the end\r\n\tand folded") and body == b"New body.\r\n" * 10_000
    assert "m quarantine (looks odd)" in str(evidence)


def test_the_library_may_give_no_answers_and_miss_steps(sqlite: Configuration) -> None:
    with runs(Noting(SILENT | SKIP | NO_BODY, symbols=False)) as milter:
        assert isinstance(milter, Noting)
        with guarded(sqlite, m=Scanner(kind="milter", servers=[milter.server], deadline=30.0)) as house:
            with smtplib.SMTP("127.0.0.1", house.port, timeout=60) as client:
                client.ehlo("mail.far.example")
                assert client.docmd("XYZZY")[0] == 500, "its answers are not awaited"
                for _ in range(2):
                    client.mail(ANA)
                    assert client.rcpt(NOBODY)[0] == 550
                    assert client.rcpt(GARDEN)[0] == 250
                    assert client.data(letter("Tomatoes"))[0] == 250
            assert len(queued()) == 2
        until(lambda: milter.heard()[-1][0] == "close", 60, "it hears of the end")
        heard = [what for what, _, _ in milter.heard() if what not in ("negotiate", "header")]
        macros = [macros for what, _, macros in milter.heard() if what == "envrcpt"]
    once = ["envfrom", "envrcpt", "data", "eoh", "eom"]
    assert heard == ["connect", "hello", "unknown", *once, *once, "close"]
    assert macros[0]["{mail_addr}"] == ANA and macros[0]["{rcpt_addr}"] == GARDEN, "the usual macros, unasked"


def test_the_library_that_leaves_out_unknown_commands_hears_none(sqlite: Configuration) -> None:
    with runs(Noting(NO_UNKNOWN)) as milter:
        assert isinstance(milter, Noting)
        with guarded(sqlite, m=Scanner(kind="milter", servers=[milter.server], deadline=30.0)) as house:
            for _ in range(2):
                with smtplib.SMTP("127.0.0.1", house.port, timeout=60) as client:
                    client.ehlo("mail.far.example")
                    assert client.docmd("XYZZY")[0] == 500
        assert "unknown" not in [what for what, _, _ in milter.heard()]
