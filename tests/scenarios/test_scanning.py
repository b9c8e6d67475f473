"""What scanners say becomes replies, scores, other recipients and other bytes, at the door over real SMTP and LMTP."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from posthouse import maillog
from posthouse.configuration import Configuration, Scanner
from posthouse.content import files
from posthouse.database import Unavailable
from posthouse.reception.content_checks.looking import EICAR, GTUBE
from tests.people import ANA, BEN, GARDEN
from tests.ports import free_port
from tests.reception.scripted import Filter, Play, in_a_thread
from tests.reception.station import events, queued
from tests.running_house import House, running

ROSES = "roses@lists.example"


def letter(text: bytes = b"Ripe at last.\r\n", more: bytes = b"", to: str = GARDEN) -> bytes:
    return (
        f"From: Ana Lima <{ANA}>\r\nTo: {to}\r\nSubject: Tomatoes\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
        "Message-ID: <t1@far.example>\r\n"
    ).encode() + more + b"\r\n" + text  # fmt: skip


def spamd(scores: dict[bytes, float], heard: list[bytes]) -> Play:
    """Scores a message by the first of these words that is in it."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-length: (\d+)", head)
        assert length is not None
        heard.append(head + await reader.readexactly(int(length[1])))
        score = next((score for word, score in scores.items() if word in heard[-1]), 0.0)
        writer.write(b"SPAMD/1.1 0 EX_OK\r\nSpam: %s ; %.1f / 5.0\r\n\r\nreport\n" % (b"True", score))

    return play


@contextmanager
def guarded(chosen: Configuration, policy: dict[str, Any] | None = None, relay: bool = False,
            **scanners: Scanner) -> Iterator[House]:  # fmt: skip
    """A house with these scanners and two lists that BEN reads."""
    if relay:
        chosen = dataclasses.replace(
            chosen, reception=dataclasses.replace(chosen.reception, relay_networks=["127.0.0.0/8"])
        )
    with running(dataclasses.replace(chosen, scanners=scanners), policy=policy) as house:
        for name in (GARDEN, ROSES):
            house.has_list(name, members=[ANA, BEN])
        house.holds()
        yield house


def to_several(house: House, recipients: list[str], content: bytes, lmtp: bool = False) -> list[str]:
    """Every reply to RCPT, then to the content."""
    kind, port = (smtplib.LMTP, house.lmtp_port) if lmtp else (smtplib.SMTP, house.port)
    with kind("127.0.0.1", port, timeout=30) as client:
        client.ehlo("mail.far.example")
        client.mail(ANA)
        replies = [client.rcpt(one) for one in recipients]
        replies.append(client.data(content))
        if lmtp:
            replies += [client.getreply() for _ in [one for one in replies[:-1] if one[0] == 250][1:]]
        return [f"{code} {words.decode()}" for code, words in replies]


def test_a_scores_mark_goes_with_the_message_and_strangers_cannot_forge_it(sqlite: Configuration) -> None:
    heard: list[bytes] = []
    with in_a_thread(spamd({b"Ripe": 3.5}, heard)) as server, guarded(sqlite, sa=Scanner(servers=[server])) as house:
        forged = b"X-Spam-Score: -50.0 (-----)\r\nX-Posthouse-Tag: nothing (-)\r\n"
        assert house.outside.sends(ANA, [GARDEN], letter(more=forged)).startswith("250")
        [message] = queued()
        assert b"X-Spam-Score: 3.5 (+++)\r\nX-Spam-Report: sa\r\n\treport\r\n" in message["prefix"]
        assert b"-50.0" not in message["octets"] and b"Tag" not in message["octets"]
        house.settles()
        [(_, copy)] = house.outside.copies_for(BEN)
        assert copy.get_all("X-Spam-Score") == ["3.5 (+++)"] and copy["X-Spam-Report"] is None
    assert len(heard) == 1, "the list's copies are scanned no more"
    assert b"-50.0" not in heard[0] and b"\r\n\r\nAuthentication-Results" not in heard[0]


def test_mail_of_relay_networks_is_scanned_only_where_that_is_asked_for_and_holds_for_them_then(
    sqlite: Configuration,
) -> None:
    heard: list[bytes] = []
    with in_a_thread(spamd({b"Ripe": 20.0}, heard)) as server:
        one = Scanner(servers=[server])
        with guarded(sqlite, relay=True, sa=one) as house:
            assert house.outside.sends(ANA, [GARDEN], letter()).startswith("250")
            assert heard == []
            two = dataclasses.replace(one, relay_networks=True)
            with running(dataclasses.replace(house.configuration, scanners={"sa": two})) as other:
                assert other.outside.sends(ANA, [GARDEN], letter()).startswith("550 5.7.1")
    assert len(heard) == 1


def test_with_preferences_of_users_the_second_recipient_is_told_to_come_separately(sqlite: Configuration) -> None:
    heard: list[bytes] = []
    play = spamd({b"User: roses": 20.0}, heard)
    with in_a_thread(play) as server, guarded(sqlite, sa=Scanner(servers=[server], per_user=True)) as house:
        first, second, end = to_several(house, [GARDEN, ROSES], letter())
        assert first.startswith("250") and second.startswith("452 4.5.3") and end.startswith("250")
        [only, end] = to_several(house, [ROSES], letter())
        assert only.startswith("250") and end.startswith("550 5.7.1") and "20.0" in end
    assert [re.findall(rb"User: (\S+)", one) for one in heard] == [[GARDEN.encode()], [ROSES.encode()]]


def by_recipient() -> dict[str, Any]:
    """What is queued, by the recipients of each message."""
    return {", ".join(message["recipients"]): message for message in queued()}


BY_LMTP: dict[str, Any] = {"listeners": ["lmtp"], "deadline": 30.0}


def test_by_lmtp_each_recipient_has_a_scan_a_reply_and_a_message_by_its_own_preferences(sqlite: Configuration) -> None:
    heard: list[bytes] = []
    play = spamd({b"User: roses@": 20.0, b"User: tulips@": 3.0}, heard)
    tulips = "tulips@lists.example"
    with in_a_thread(play) as server, guarded(sqlite, sa=Scanner(servers=[server], per_user=True, **BY_LMTP)) as house:
        house.has_list(tulips, members=[BEN])
        replies = to_several(house, [GARDEN, ROSES, tulips, GARDEN], letter(), lmtp=True)
        assert [one[:3] for one in replies] == ["250"] * 4 + ["250", "550", "250", "250"]
        assert "score 20.0" in replies[5] and replies[4] == replies[7] != replies[6]
        kept = by_recipient()
        assert set(kept) == {GARDEN, tulips}
        assert b"X-Spam-Score: 3.0" in kept[tulips]["prefix"] and b"X-Spam-Score" not in kept[GARDEN]["prefix"]
        assert b"for <tulips@lists.example>" in kept[tulips]["prefix"]
        names = re.findall(r"queued as (\S+)", f"{replies[4]} {replies[6]}")
        assert len(set(names)) == 2
        maillog.flush()
        assert [one["address"] for one in events("refused")] == [ROSES]
    users = [re.findall(rb"User: (\S+)", one)[0].decode() for one in heard]
    assert users == [GARDEN, ROSES, tulips]


def test_by_lmtp_recipients_beyond_a_bound_share_the_preferences_of_the_site(sqlite: Configuration) -> None:
    heard: list[bytes] = []
    with in_a_thread(spamd({b"User: site": 3.0}, heard)) as server:
        scanner = Scanner(servers=[server], per_user=True, user="site", **BY_LMTP)
        with guarded(sqlite, sa=scanner) as house:
            people = [f"garden{suffix}@lists.example" for suffix in
                      ("", "-owner", "-join", "-leave", "-bounces", "-request", "-confirm")]  # fmt: skip
            people += [one.replace("garden", "roses") for one in people]
            replies = to_several(house, people, letter(), lmtp=True)
            assert {one[:3] for one in replies} == {"250"}
            kept = queued()
            assert len(kept) == 10 and max(len(one["recipients"]) for one in kept) == len(people) - 9
            scored = [one["recipients"] for one in kept if b"X-Spam-Score: 3.0" in one["prefix"]]
            assert scored == [people[9:]]
    assert len(heard) == 10


def test_by_lmtp_a_large_message_in_parts_is_kept_for_each_and_leaves_no_file(sqlite: Configuration) -> None:
    large = letter(b"z" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000)
    with in_a_thread(spamd({b"User: roses@": 20.0}, [])) as server:
        scanner = Scanner(servers=[server], per_user=True, scan_up_to=5_000_000, **BY_LMTP)
        with guarded(sqlite, sa=scanner) as house:
            people = [GARDEN, ROSES, "garden-owner@lists.example"]
            replies = to_several(house, people, large, lmtp=True)
            assert [one[:3] for one in replies[3:]] == ["250", "550", "250"]
            kept = by_recipient()
            assert set(kept) == {GARDEN, people[2]}
            assert kept[GARDEN]["size"] == kept[people[2]]["size"] == len(large)
            assert list(files.incoming(house.configuration.data).iterdir()) == []
            house.settles()
            assert len(house.outside.copies_for(BEN)) == 1


def test_by_lmtp_a_milter_hears_each_part_for_itself_and_its_changes_are_that_parts_alone(
    sqlite: Configuration,
) -> None:
    it = Filter(answers={b"E": [b"hX-Seen\0yes\0", b"c"]})
    with in_a_thread(spamd({b"User: roses@": 3.0}, [])) as server, in_a_thread(it) as milter:
        scanners = {
            "sa": Scanner(servers=[server], per_user=True, **BY_LMTP),
            "m": Scanner(kind="milter", servers=[milter], **BY_LMTP),
        }
        with guarded(sqlite, **scanners) as house:
            assert {one[:3] for one in to_several(house, [GARDEN, ROSES], letter(), lmtp=True)} == {"250"}
            kept = by_recipient()
            assert set(kept) == {GARDEN, ROSES}
            assert all(b"\r\nX-Seen: yes\r\n" in one["octets"] for one in kept.values())
    assert re.sub("L+NB+", "", it.order()) == "OCHMRRAMRTEMRTE"


def test_by_lmtp_what_is_written_down_for_one_list_is_not_for_the_others(sqlite: Configuration) -> None:
    modes = {"spam": "off", "mailing_list": {ROSES: {"spam": "tag"}}}
    heard: list[bytes] = []
    with (
        in_a_thread(spamd({b"Ripe": 20.0}, heard)) as server,
        guarded(sqlite, modes, sa=Scanner(servers=[server], **BY_LMTP)) as house,
    ):
        assert {one[:3] for one in to_several(house, [GARDEN, ROSES], letter(), lmtp=True)} == {"250"}
        kept = by_recipient()
        assert b"X-Posthouse-Tag: spam (" in kept[ROSES]["prefix"]
        assert b"X-Posthouse-Tag" not in kept[GARDEN]["prefix"]
    assert len(heard) == 1, "their modes differ, their scan does not"


def test_by_lmtp_a_part_that_goes_to_nobody_takes_nothing_from_the_others(sqlite: Configuration) -> None:
    large = letter(b"z" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000)
    it = Filter(answers={b"E": [b"-<" + GARDEN.encode() + b">\0", b"c"]})
    with in_a_thread(spamd({}, [])) as server, in_a_thread(it) as milter:
        scanners = {
            "sa": Scanner(servers=[server], per_user=True, **BY_LMTP),
            "m": Scanner(kind="milter", servers=[milter], **BY_LMTP),
        }
        with guarded(sqlite, **scanners) as house:
            assert {one[:3] for one in to_several(house, [GARDEN, ROSES], large, lmtp=True)} == {"250"}
            [message] = queued()
            assert message["recipients"] == [ROSES] and message["size"] == len(large)


def test_by_lmtp_a_recipient_that_a_milter_adds_gets_one_message(sqlite: Configuration) -> None:
    modes = {"spam": "off", "mailing_list": {ROSES: {"spam": "tag"}}}
    it = Filter(answers={b"E": [b"+<garden-owner@lists.example>\0", b"c"]})
    with in_a_thread(spamd({b"Ripe": 20.0}, [])) as server, in_a_thread(it) as milter:
        scanners = {
            "sa": Scanner(servers=[server], **BY_LMTP),
            "m": Scanner(kind="milter", servers=[milter], **BY_LMTP),
        }
        with guarded(sqlite, modes, **scanners) as house:
            assert {one[:3] for one in to_several(house, [GARDEN, ROSES], letter(), lmtp=True)} == {"250"}
            people = [one for message in queued() for one in message["recipients"]]
            assert sorted(people) == ["garden-owner@lists.example", GARDEN, ROSES]
    assert it.order().count("E") == 1, "their modes differ, their scan does not"


def test_only_recipients_whose_domains_are_scanned_get_its_marks_by_lmtp(sqlite: Configuration) -> None:
    other = "roses@other.example"
    with (
        in_a_thread(spamd({b"Ripe": 3.5}, [])) as server,
        guarded(sqlite, sa=Scanner(servers=[server], domains=["lists.example"], **BY_LMTP)) as house,
    ):
        house.has_list(other, members=[BEN])
        assert {one[:3] for one in to_several(house, [GARDEN, other], letter(), lmtp=True)} == {"250"}
        kept = by_recipient()
        assert b"X-Spam-Score" in kept[GARDEN]["prefix"] and b"X-Spam-Score" not in kept[other]["prefix"]


def test_a_milter_hears_of_unknown_commands_and_refused_recipients_at_the_door(sqlite: Configuration) -> None:
    it = Filter(steps=0x800, answers={b"U": [b"y502 5.5.1 We do not play here\0"]})
    with in_a_thread(it) as server, guarded(sqlite, m=Scanner(kind="milter", servers=[server], deadline=30.0)) as house:
        with smtplib.SMTP("127.0.0.1", house.port, timeout=60) as client:
            client.ehlo("mail.far.example")
            assert client.docmd("XYZZY", "now") == (502, b"5.5.1 We do not play here")
            client.mail(ANA)
            assert client.rcpt("nobody@lists.example")[0] == 550
            assert client.rcpt("stranger@elsewhere.example")[0] == 550
            assert client.rcpt(GARDEN)[0] == 250
            assert client.data(letter())[0] == 250
        [message] = queued()
        assert message["recipients"] == [GARDEN]
        maillog.flush()
        assert any(one["reply"].startswith("502 5.5.1") for one in events("refused"))
    assert it.words(b"U") == [b"XYZZY now\0"]
    assert it.words(b"R") == [f"<{one}>\0".encode() for one in
                              ("nobody@lists.example", "stranger@elsewhere.example", GARDEN)]  # fmt: skip
    told = [data for data in it.words(b"D") if data.startswith(b"R")]
    assert b"{rcpt_mailer}\0error\0" in told[0] and b"{rcpt_host}\x005.1.1\0" in told[0]
    assert b"{rcpt_host}\x005.7.1\0" in told[1] and b"{rcpt_mailer}\0local\0" in told[2]


def test_a_list_may_take_what_others_refuse(sqlite: Configuration) -> None:
    modes = {"mailing_list": {ROSES: {"spam": "tag"}}}
    with (
        in_a_thread(spamd({b"Ripe": 20.0}, [])) as server,
        guarded(sqlite, modes, sa=Scanner(servers=[server], listeners=["transfer", "lmtp"])) as house,
    ):
        assert to_several(house, [GARDEN], letter())[-1].startswith("550 5.7.1")
        assert to_several(house, [ROSES], letter(to=ROSES))[-1].startswith("250")
        [message] = queued()
        assert b"X-Posthouse-Tag: spam (" in message["prefix"]
        replies = to_several(house, [GARDEN, ROSES], letter(), lmtp=True)
        assert [one[:3] for one in replies] == ["250", "250", "550", "250"]


def test_gtube_and_eicar_are_refused_without_any_scanner_and_a_list_command_without_a_body_is_not(
    sqlite: Configuration,
) -> None:
    with guarded(sqlite) as house:
        assert house.outside.sends(ANA, [GARDEN], letter(GTUBE + b"\r\n")).startswith("550 5.7.1")
        assert "GTUBE" in house.outside.sends(ANA, [GARDEN], letter(GTUBE + b"\r\n"))
        assert "EICAR" in house.outside.sends(ANA, [GARDEN], letter(EICAR + b"\r\n"))
        assert house.outside.sends(ANA, ["garden-join@lists.example"], letter(b"")).startswith("250")
        attached = b'Content-Type: application/x; name="a.exe"\r\n'
        assert house.outside.sends(ANA, [GARDEN], letter(b"MZ\r\n", attached)).startswith("250")
        assert b"X-Posthouse-Tag: attachment (its name is a.exe)" in queued()[-1]["prefix"]


def test_a_milter_refuses_one_recipient_changes_bytes_and_recipients(sqlite: Configuration) -> None:
    end = [
        b"hX-Seen\0yes\0", b"m\0\0\0\1Subject\0Turnips\0", b"bNew body.\r\n",
        b"+<" + ROSES.encode() + b">\0", b"+<nobody@lists.example>\0", b"-<" + GARDEN.encode() + b">\0", b"c",
    ]  # fmt: skip
    it = Filter(answers={b"E": end})
    with in_a_thread(it) as server, guarded(sqlite, m=Scanner(kind="milter", servers=[server], deadline=30.0)) as house:
        assert to_several(house, [GARDEN], letter())[-1].startswith("250")
        [message] = queued()
        assert message["recipients"] == [ROSES]
        assert b"Subject: Turnips\r\n" in message["octets"]
        assert message["octets"].endswith(b"\r\nX-Seen: yes\r\n\r\nNew body.\r\n")
        it.once = {b"R": [b"y550 5.1.1 Not him\0"]}
        first, second, end_ = to_several(house, [GARDEN, ROSES], letter())
        assert (first, second[:3], end_[:3]) == ("550 5.1.1 Not him", "250", "250")


def test_what_a_milter_throws_away_is_accepted_kept_by_nobody_and_in_the_log(sqlite: Configuration) -> None:
    it = Filter(answers={b"E": [b"d"]})
    with in_a_thread(it) as server, guarded(sqlite, m=Scanner(kind="milter", servers=[server], deadline=30.0)) as house:
        assert to_several(house, [GARDEN], letter())[-1].startswith("250")
        assert queued() == []
        maillog.flush()
        [event] = events("discarded")
        assert event["by"] == "m"


def test_a_message_from_which_a_milter_takes_every_recipient_goes_to_nobody(sqlite: Configuration) -> None:
    it = Filter(answers={b"E": [b"-<" + GARDEN.encode() + b">\0", b"c"]})
    with in_a_thread(it) as server, guarded(sqlite, m=Scanner(kind="milter", servers=[server], deadline=30.0)) as house:
        assert to_several(house, [GARDEN], letter())[-1].startswith("250")
        assert queued() == []
        maillog.flush()
        [event] = events("discarded")
        assert event["by"] == "a milter, which took every recipient away"
        it.answers = {b"E": [b"+<nobody@lists.example>\0", b"-<" + GARDEN.encode() + b">\0", b"c"]}
        assert to_several(house, [GARDEN], letter())[-1].startswith("250")
        assert [message["recipients"] for message in queued()] == [[GARDEN]], "for a wrong address nothing is lost"


def test_what_a_milter_made_large_and_the_database_does_not_keep_leaves_no_file(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = Filter(answers={b"E": [*[b"b" + b"All is new. Read it.\r\n" * 2_500] * 8, b"c"]})
    with in_a_thread(it) as server, guarded(sqlite, m=Scanner(kind="milter", servers=[server], deadline=20.0)) as house:
        assert to_several(house, [GARDEN], letter())[-1].startswith("250")
        assert queued()[0]["size"] > 256 * 1024, "a file now"

        async def gone(*_: object) -> None:
            raise Unavailable("no disk")

        incoming = files.incoming(house.configuration.data)
        for lmtp in (False, True):
            with monkeypatch.context() as patched:
                patched.setattr(house.reception._acceptance._commits, "add", gone)
                assert to_several(house, [GARDEN], letter(), lmtp)[-1].startswith("451")
            assert list(incoming.iterdir()) == [], "at once, not when it is swept"


def test_a_milter_that_is_away_defers_at_rcpt_where_that_is_wished(sqlite: Configuration) -> None:
    away = Scanner(kind="milter", servers=[f"127.0.0.1:{free_port()}"], when_down="defer")
    with guarded(sqlite, m=away) as house:
        with smtplib.SMTP("127.0.0.1", house.port, timeout=60) as client:
            client.ehlo("mail.far.example")
            client.mail(ANA)
            replies = [client.rcpt(one) for one in (GARDEN, ROSES)]
        assert [(code, words[:5]) for code, words in replies] == [(451, b"4.3.0")] * 2
        maillog.flush()
        [failed] = events("scanner-failed")  # once for the transaction
        assert (failed["server"], failed["reason"]) == (away.servers[0], "connection refused")
        [skipped] = events("not-scanned")
        assert (skipped["outcome"], skipped["peer"]) == ("deferred", "127.0.0.1")
        assert skipped["interface"] == f"transfer 127.0.0.1:{house.port}"


def test_the_trace_of_a_message_tells_what_scanners_said(sqlite: Configuration) -> None:
    with in_a_thread(spamd({b"Ripe": 3.5}, [])) as server, guarded(sqlite, sa=Scanner(servers=[server])) as house:
        assert to_several(house, [GARDEN], letter())[-1].startswith("250")
        house.settles()
        assert "sa clean 3.5" in house.runs("trace", ANA).stdout


def test_the_operator_asks_each_server_whether_it_answers_and_knows_the_test_string(sqlite: Configuration) -> None:
    it, ignorant = Filter(), spamd({}, [])
    with (
        in_a_thread(spamd({b"GTUBE": 1000.0}, [])) as knows,
        in_a_thread(ignorant) as does_not,
        in_a_thread(it) as milter,
        guarded(sqlite, m=Scanner(kind="milter", servers=[milter]), sa=Scanner(servers=[knows])) as house,
    ):
        done = house.runs("scanners", "check")
        assert done.exit_code == 0, done.stdout
        assert "clean 0.0" in done.stdout and "spam 1000.0" in done.stdout
        dead = f"127.0.0.1:{free_port()}"
        more = {"sa": Scanner(servers=[knows, does_not, dead])}
        with running(dataclasses.replace(house.configuration, scanners=more)) as other:
            done = other.runs("scanners", "check", "--json")
            assert done.exit_code == 4
            said = [(one["server"], one["answers"], one["known"]) for one in json.loads(done.stdout)]
            assert said == [(knows, True, True), (does_not, True, False), (dead, False, None)]
    assert it.connections == 2
