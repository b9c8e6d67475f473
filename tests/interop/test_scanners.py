"""The door with real scanners behind it: SpamAssassin, rspamd, ClamAV, and opendkim and spamass-milter as milters."""

from __future__ import annotations

import asyncio
import dataclasses
import pwd
import re
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from posthouse import maillog
from posthouse.authenticity.dkim import Dkim
from posthouse.authenticity.dkim_signing import sign
from posthouse.configuration import Configuration, Scanner
from posthouse.content.spool import spooled_from
from posthouse.dns.zone import FixedZone
from posthouse.lists.moderation import header_matches
from posthouse.reception.content_checks.looking import EICAR, GTUBE
from posthouse.reception.proof import Proof
from tests.authenticity.letters import RSA, record
from tests.interop.scanners import Clamd, Opendkim, Rspamd, SpamassMilter, Spamd
from tests.interop.scanners import running as runs
from tests.people import ANA, BEN, GARDEN
from tests.reception.station import events, queued
from tests.running_house import House, running
from tests.serving import until

pytestmark = pytest.mark.interop


def letter(subject: str = "Roses", text: bytes = b"Ripe at last.\r\n", more: bytes = b"") -> bytes:
    return (
        f"From: Ana Lima <{ANA}>\r\nTo: {GARDEN}\r\nSubject: {subject}\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{subject}@far.example>\r\n"
    ).encode() + more + b"\r\n" + text  # fmt: skip


@contextmanager
def guarded(chosen: Configuration, policy: dict[str, Any] | None = None, **scanners: Scanner) -> Iterator[House]:
    """A house with these scanners; BEN reads the list GARDEN."""
    with running(dataclasses.replace(chosen, scanners=scanners), policy=policy) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        house.holds()
        yield house


def bens(house: House) -> list[EmailMessage]:
    house.settles()
    return [copy for _, copy in house.outside.copies_for(BEN)]


def sends(house: House, content: bytes) -> str:
    """The reply to the content; scanners need longer than a client of the far host waits on a busy machine."""
    with smtplib.SMTP("127.0.0.1", house.port, timeout=120) as client:
        client.ehlo("mail.far.example")
        client.mail(ANA)
        client.rcpt(GARDEN)
        code, words = client.data(content)
    return f"{code} {words.decode()}"


def test_spamassassin_scores_list_mail_which_is_held_above_a_score_and_refused_above_another(
    sqlite: Configuration,
) -> None:
    with runs(Spamd()) as spamd, guarded(sqlite, sa=Scanner(servers=[spamd.server], deadline=90.0)) as house:
        header_matches.add(GARDEN, "X-Spam-Score", r"\+{9}", "hold")
        assert sends(house, letter()).startswith("250")
        assert sends(house, letter("Tomatoes")).startswith("250")
        plain, scored = sorted(bens(house), key=lambda copy: "Tomatoes" in copy["Subject"])
        assert "X-Spam-Score" not in plain
        # D3, D13: the score is there for members' rules, the report stayed at the door
        assert scored["X-Spam-Score"].startswith("7.") and "(+++++++)" in scored["X-Spam-Score"]
        assert "X-Spam-Report" not in scored
        # D14: the short score is enough for the list to hold a posting
        assert sends(house, letter("Carrots")).startswith("250")
        assert len(bens(house)) == 2
        assert [one["rule"] for one in events("judged") if one["disposition"] == "hold"] == ["header-match"]
        # D4: the score is in the reply
        assert sends(house, letter("Turnips")) == "550 5.7.1 This looks like spam: score 20.0 of 5.0 (sa)"
        maillog.flush()
        assert any("TURNIPS" in str(one) for one in events())
        assert sends(house, letter("Offer", GTUBE + b"\r\n")).startswith("550 5.7.1")


def test_spamassassin_runs_as_our_page_says_on_loopback_without_rights_in_few_nice_children() -> None:
    with runs(Spamd()) as spamd:
        nobody = pwd.getpwnam("nobody").pw_uid
        until(lambda: any(user == nobody for _, user, _ in spamd.processes()), 60, "it has a child")
        processes = spamd.processes()
        assert {niceness for _, _, niceness in processes} == {10}
        assert 1 <= sum(user == nobody for _, user, _ in processes) <= 5
        words = [str(one) for one in spamd.words()]
        page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
        options = re.findall(r'OPTIONS="([^"]+)".*?NICE="--nicelevel\s+(\d+)"', page, re.DOTALL)
        assert options == [
            ("--max-children 5 --nouser-config --listen-ip=127.0.0.1 -u debian-spamd -g debian-spamd", "10")
        ]
        assert "--max-children=5" in words and "--nouser-config" in words and "--listen-ip=127.0.0.1" in words
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", spamd.port), 60)


def test_by_lmtp_spamassassin_asks_each_recipients_own_preferences(sqlite: Configuration) -> None:
    roses = "roses@lists.example"
    wishes = {roses: "score TURNIPS 0.5\n", GARDEN: "score TURNIPS 5\n"}
    with runs(Spamd(wishes=wishes)) as spamd:
        scanner = Scanner(servers=[spamd.server], deadline=90.0, per_user=True, listeners=["lmtp"])
        with guarded(sqlite, sa=scanner) as house:
            house.has_list(roses, members=[BEN])
            people = [GARDEN, roses, "garden-owner@lists.example"]
            with smtplib.LMTP("127.0.0.1", house.lmtp_port, timeout=120) as front:
                front.ehlo("front.lists.example")
                front.mail(ANA)
                assert {front.rcpt(one)[0] for one in people} == {250}
                replies = [front.data(letter("Turnips")), front.getreply(), front.getreply()]
            kept = {message["recipients"][0]: message["prefix"] for message in queued()}
        assert [code for code, _ in replies] == [250, 250, 550], "the site's score is 20"
        assert b"X-Spam-Score: 5.0 (+++++)" in kept[GARDEN] and b"X-Spam-Score" not in kept[roses]


def test_a_dead_spamassassin_is_said_in_the_log_and_holds_up_no_mail(sqlite: Configuration) -> None:
    daemon = Spamd()
    with runs(daemon) as spamd, guarded(sqlite, sa=Scanner(servers=[spamd.server], deadline=90.0)) as house:
        assert sends(house, letter("Tomatoes")).startswith("250")
        daemon.stop()
        assert sends(house, letter("Tomatoes-again")).startswith("250")
        copies = bens(house)
        assert ["X-Spam-Score" in copy for copy in copies] in ([True, False], [False, True])
        [failed] = events("scanner-failed")
        assert failed["server"] == spamd.server and failed["reason"] == "connection refused"
        [skipped] = events("not-scanned")
        assert skipped["reason"] == "all 1 servers failed" and skipped["peer"] == "127.0.0.1"
        assert skipped["interface"] == f"transfer 127.0.0.1:{house.port}"
        assert skipped["message_id"] == "Tomatoes-again@far.example"
        daemon.start()
        assert sends(house, letter("Tomatoes, a third time")).startswith("250")
        assert len([copy for copy in bens(house) if "X-Spam-Score" in copy]) == 2


def test_rspamd_hears_the_envelope_scores_and_edits(sqlite: Configuration) -> None:
    scanner: dict[str, Any] = {"kind": "rspamd", "when_down": "defer", "deadline": 90.0}
    daemon = Rspamd()
    with runs(daemon) as rspamd, guarded(sqlite, rs=Scanner(servers=[rspamd.server], **scanner)) as house:
        assert sends(house, letter("Tomatoes", more=b"X-Fruit: apple\r\nX-Spam-Score: -99\r\n")).startswith("250")
        [copy] = bens(house)
        assert copy["X-Vegetable"] == "tomato" and copy["X-Fruit"] is None
        assert copy.get_all("X-Spam-Score") == ["7.5 (+++++++)"]
        assert sends(house, letter("Offer", GTUBE + b"\r\n")).startswith("550 5.7.1")
        daemon.stop()
        assert sends(house, letter("Later")).startswith("451 4.3.0 The message cannot be scanned")
        daemon.start()
        assert sends(house, letter("Later")).startswith("250")


def test_clamav_finds_a_virus_by_our_own_signature_and_says_when_a_message_is_too_large_for_it(
    sqlite: Configuration,
) -> None:
    daemon = Clamd()
    with runs(daemon) as clamd, guarded(sqlite, av=Scanner(kind="clamav", servers=[clamd.server])) as house:
        hidden = b"Some words before it.\r\n" + EICAR + b"\r\n"  # our own check wants it at the beginning
        said = sends(house, letter("Gift", hidden))
        assert said.startswith("550 5.7.1") and "virus" in said
        assert sends(house, letter("Plain")).startswith("250")
        large = letter("Large", b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 30_000)
        assert len(large) > 2_000_000  # clamd's StreamMaxLength is 1 MB
        assert sends(house, large).startswith("250")
        assert any("larger than clamd takes" in str(one) for one in events("evidence"))
        daemon.stop()
        assert sends(house, letter("Down")).startswith("250")


def test_clamav_by_its_socket_with_a_mode_that_tags_alone(sqlite: Configuration) -> None:
    with runs(Clamd()) as clamd:
        by_socket = Scanner(kind="clamav", servers=[f"unix:{clamd.folder}/socket"])
        with guarded(sqlite, policy={"virus": "tag"}, av=by_socket) as house:
            assert sends(house, letter("Gift", b"Words.\r\n" + EICAR + b"\r\n")).startswith("250")
            [message] = queued()
            assert b"X-Posthouse-Tag: virus (av found Ours.Eicar-Test" in message["prefix"]
            [copy] = bens(house)
            assert copy["X-Posthouse-Tag"] is None


def test_opendkim_signs_what_a_listener_takes_and_our_own_verifier_believes_it(sqlite: Configuration) -> None:
    daemon = Opendkim("s", "far.example")
    with runs(daemon) as opendkim, guarded(
        sqlite, dkim=Scanner(kind="milter", servers=[opendkim.server], listeners=["lmtp"])
    ) as house:  # fmt: skip
        content = letter("Signed", b".A dot, and trailing space \r\n\r\n\r\n", b"X-Fold: a\r\n\t b\r\n  c\r\n")
        with smtplib.LMTP("127.0.0.1", house.lmtp_port, timeout=120) as front:
            front.sendmail(ANA, [GARDEN], content)
        [message] = queued()
    [(name, key)] = daemon.known.items()
    zone = FixedZone({name: {"TXT": [f'"{key[:200]}" "{key[200:]}"']}})

    async def verified() -> Dkim:
        proof = Proof(spooled_from(message["prefix"] + message["octets"]), 1.8e9)
        return (await proof.weigh(zone, asyncio.get_running_loop().time() + 10))[0]

    assert message["octets"] == content
    assert list(asyncio.run(verified()).domains) == ["far.example"]


def test_opendkim_verifies_what_we_hand_it_as_it_came(sqlite: Configuration) -> None:
    daemon = Opendkim("v", "far.example")
    daemon.known["rsa._domainkey.far.example"] = record(RSA).replace('" "', "").strip('"')
    header = letter("Signed", b"").removesuffix(b"\r\n")
    body = b"Folded  words \r\n.\r\n" * 3000 + b"\r\n\r\n"
    signed = sign(header, [body], "far.example", "rsa", RSA, now=1_795_000_000.0)
    milter = Scanner(kind="milter", servers=[daemon.server], scan_up_to=10_000_000)
    with runs(daemon), guarded(sqlite, dkim=milter) as house:
        assert sends(house, signed + header + b"\r\n" + body).startswith("250")
        assert sends(house, signed + header.replace(b"Signed", b"Changed") + b"\r\n" + body).startswith("250")
        good, bad = sorted(bens(house), key=lambda copy: "Changed" in copy["Subject"])
    assert "dkim=pass" in " ".join(_from_opendkim(good))
    assert "dkim=fail" in " ".join(_from_opendkim(bad))


def _from_opendkim(copy: EmailMessage) -> list[str]:
    return [value for value in copy.get_all("Authentication-Results") or [] if value.startswith("dkim.far.example")]


def test_spamass_milter_changes_fields_and_refuses_and_its_death_is_survived(sqlite: Configuration) -> None:
    with runs(Spamd()) as spamd:
        assert isinstance(spamd, Spamd)
        daemon = SpamassMilter(spamd)
        with runs(daemon) as milter:
            scanner = Scanner(kind="milter", servers=[milter.server], deadline=90.0)
            with guarded(sqlite, sm=scanner) as house:
                assert sends(house, letter("Tomatoes", more=b"X-Spam-Flag: NO\r\n")).startswith("250")
                [copy] = bens(house)
                assert copy.get_all("X-Spam-Flag") == ["YES"]
                said = sends(house, letter("Offer", GTUBE + b"\r\n"))
                assert said.startswith("550 5.7.1")
                with smtplib.SMTP("127.0.0.1", house.port, timeout=120) as client:
                    client.sendmail(ANA, GARDEN, letter("One"))
                    daemon.stop()
                    client.sendmail(ANA, GARDEN, letter("Two"))
                    daemon.start()
                    client.sendmail(ANA, GARDEN, letter("Three"))
                flagged = {str(copy["Subject"]).split()[-1]: "X-Spam-Checker-Version" for copy in bens(house)}
                assert {"One", "Two", "Three"} <= set(flagged)
                assert [one["outcome"] for one in events("not-scanned")] == ["accepted"]


def test_all_of_them_in_a_chain_and_each_stopped_in_turn_while_mail_flows(sqlite: Configuration) -> None:
    spamd, rspamd, clamd, opendkim = Spamd(), Rspamd(), Clamd(), Opendkim("v", "far.example")
    with runs(spamd), runs(rspamd), runs(clamd), runs(opendkim), guarded(
        sqlite,
        av=Scanner(kind="clamav", servers=[clamd.server]),
        sa=Scanner(servers=[spamd.server], deadline=90.0),
        rs=Scanner(kind="rspamd", servers=[rspamd.server], deadline=90.0),
        dkim=Scanner(kind="milter", servers=[opendkim.server], scan_up_to=1_000_000),
    ) as house:  # fmt: skip
        for number, daemon in enumerate((clamd, spamd, rspamd, opendkim)):
            daemon.stop()
            assert sends(house, letter(f"Tomatoes {number}")).startswith("250")
            daemon.start()
        assert [one["scanner"] for one in events("not-scanned")] == ["av", "sa", "rs", "dkim"]
        assert sends(house, letter("Tomatoes at last")).startswith("250")
        assert len(events("not-scanned")) == 4
        last = next(copy for copy in bens(house) if "at last" in copy["Subject"])
        assert len(last.get_all("X-Spam-Score") or []) == 2 and last["X-Vegetable"] == "tomato"


def test_a_client_that_hangs_up_behind_its_last_dot_is_scanned_all_the_same(sqlite: Configuration) -> None:
    with runs(Clamd()) as clamd, guarded(sqlite, av=Scanner(kind="clamav", servers=[clamd.server])) as house:
        with socket.create_connection(("127.0.0.1", house.port), 10) as client:
            lines = (
                b"EHLO x.example\r\nMAIL FROM:<" + ANA.encode() + b">\r\nRCPT TO:<" + GARDEN.encode() + b">\r\nDATA\r\n"
            )
            client.recv(4096)
            client.sendall(lines)
            seen = b""
            while b"354" not in seen:
                seen += client.recv(4096)
            client.sendall(letter("Gift", b"Words.\r\n" + EICAR + b"\r\n") + b".\r\n")
        assert sends(house, letter("Plain")).startswith("250")
        assert [str(copy["Subject"]).split()[-1] for copy in bens(house)] == ["Plain"]
