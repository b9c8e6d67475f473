"""Scanners are asked in order, within their deadlines, server after server; what they say becomes scores and edits."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from posthouse import configuration, maillog
from posthouse.configuration import Configuration, Scanner
from posthouse.content.spool import Spool, Spooled, spooled_from
from posthouse.reception.policy.facts import Edits, Facts, FieldEdit, Scan, Visit
from posthouse.reception.scanners import Finished, Scanners, fields, finished
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.marking import bar, unforged
from tests import idle_time
from tests.ports import free_port
from tests.reception.scripted import Play, hangs_up, saying, serving, silent

LETTER = (
    b"From: Ana <ana@far.example>\r\nX-Fruit: apple\r\nSubject: Tomatoes\r\nX-Fruit: pear\r\n"
    b"Message-ID: <t1@far.example>\r\n\r\nRipe at last.\r\n"
)
SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 30\r\nSpam: True ; 15.0 / 5.0\r\n\r\n pts rule\n 15.0 TOMATOES ripe\n"


@pytest.fixture(autouse=True)
def no_events() -> Iterator[None]:
    """What is recorded here stays here."""
    maillog.take()
    yield
    maillog.take()


def house(tmp_path: Path, **scanners: Scanner) -> Configuration:
    chosen = Configuration(data_directory=str(tmp_path), hostname="mx.lists.example", scanners=scanners)
    configuration.activate(chosen)
    return chosen


def facts(recipients: tuple[str, ...] = ("garden@lists.example",), **visit: Any) -> Facts:
    seen = {"listener": "transfer", "address": "192.0.2.7", "local_address": "192.0.2.1", "local_port": 25,
            "helo": "mail.far.example", "client_name": "mail.far.example"} | visit  # fmt: skip
    header = LETTER.partition(b"\r\n\r\n")[0] + b"\r\n"
    return Facts(Visit(**seen), "ana@far.example", recipients=list(recipients), header=header, item=77)


def asked(chosen: Configuration, content: bytes | Spooled = LETTER, about: Facts | None = None) -> tuple[Scan, ...]:
    spooled = spooled_from(content) if isinstance(content, bytes) else content
    return idle_time.run(
        Scanners(chosen.scanners, chosen, lambda: 1.8e9).scan(about or facts(), spooled, b"Received: x\r\n")
    )


def scene(play: Play, act: Callable[[str], Awaitable[Any]]) -> Any:
    async def body() -> Any:
        async with serving(play) as server:
            return await act(server)

    return idle_time.run(body())


def through(play: Play, tmp_path: Path, content: bytes = LETTER, about: Facts | None = None, **settings: Any) -> Scan:
    async def act(server: str) -> Scan:
        chosen = house(tmp_path, it=Scanner(servers=[server], **settings))
        scans = await Scanners(chosen.scanners, chosen, lambda: 1.8e9).scan(
            about or facts(), spooled_from(content), b"Received: x\r\n"
        )
        return scans[0]

    return scene(play, act)


def heard_by(answer: bytes, heard: list[bytes]) -> Play:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(answer)

    return play


# -- spamd ------------------------------------------------------------------------------------------------------------


def test_spamd_hears_the_message_below_our_received_field_and_its_score_and_report_are_understood(tmp_path):
    heard: list[bytes] = []
    scan = through(heard_by(SPAMD, heard), tmp_path)
    assert (scan.result, scan.score, scan.required) == ("spam", 15.0, 5.0)
    assert scan.symbols == ("TOMATOES",) and "15.0 TOMATOES ripe" in scan.report
    assert str(scan.reply) == "550 5.7.1 This message scored 15.0 spam points"
    head, _, rest = heard[0].partition(b"\r\n\r\n")
    assert head == b"REPORT SPAMC/1.5\r\nContent-length: %d" % len(rest)
    assert rest == b"Received: x\r\n" + LETTER


@pytest.mark.parametrize(("report", "word"), [("full", b"REPORT"), ("symbols", b"SYMBOLS"), ("none", b"CHECK")])
def test_as_much_is_asked_of_spamd_as_is_wanted(tmp_path, report, word):
    heard: list[bytes] = []
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.4 / 5.0\r\n\r\n" + (
        b"A_RULE,B_RULE" if report == "symbols" else b""
    )
    scan = through(heard_by(answer, heard), tmp_path, report=report, user="site")
    assert heard[0].startswith(word + b" SPAMC/1.5\r\n") and b"\r\nUser: site\r\n" in heard[0]
    assert scan.result == "clean" and scan.symbols == (("A_RULE", "B_RULE") if report == "symbols" else ())


def test_with_per_user_the_recipient_is_the_user_and_other_recipients_go_apart(tmp_path):
    heard: list[bytes] = []
    through(heard_by(SPAMD, heard), tmp_path, per_user=True)
    assert b"\r\nUser: garden@lists.example\r\n" in heard[0]
    chosen = house(tmp_path, it=Scanner(servers=["127.0.0.1:1"], per_user=True))
    scanners = Scanners(chosen.scanners, chosen, lambda: 0.0)
    assert scanners.group("a@lists.example") != scanners.group("b@lists.example")


# -- rspamd -----------------------------------------------------------------------------------------------------------


def http(said: dict[str, Any], chunked: bool = False) -> bytes:
    body = json.dumps(said).encode()
    if chunked:
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (body[:10], body[10:])) + b"0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("chunked", [False, True])
def test_rspamd_hears_the_envelope_and_what_it_wants_added_and_removed_is_done(tmp_path, chunked):
    heard: list[bytes] = []
    said = {"score": 7.25, "required_score": 15, "action": "add header", "symbols": {"A": {"score": 7.25}, "B": {}},
            "milter": {"add_headers": {"X-A": "1", "X-B": {"value": "2", "order": 0}, "X-C": ["3", {"value": "4"}]},
                       "remove_headers": {"X-Fruit": 0}}}  # fmt: skip
    scan = through(heard_by(http(said, chunked), heard), tmp_path, kind="rspamd", password="secret")
    head, _, body = heard[0].partition(b"\r\n\r\n")
    for line in (b"POST /checkv2 HTTP/1.1", b"From: ana@far.example", b"Rcpt: garden@lists.example", b"IP: 192.0.2.7",
                 b"Helo: mail.far.example", b"Hostname: mail.far.example", b"Password: secret"):  # fmt: skip
        assert line in head.split(b"\r\n")
    assert body == b"Received: x\r\n" + LETTER
    assert (scan.result, scan.score, scan.required, scan.symbols) == ("clean", 7.25, 15.0, ("A", "B"))
    done = finish(LETTER, (scan,))
    assert (
        done.prefix
        == b"X-Spam-Score: 7.2 (+++++++)\r\nX-Spam-Report: it\r\n\t  7.25 A\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-C: 4\r\n"
    )
    assert b"X-Fruit" not in (done.content.octets or b"")


@pytest.mark.parametrize(
    ("action", "result", "code"),
    [
        ("reject", "spam", 550),
        ("soft reject", "defer", 451),
        ("discard", "discard", None),
        ("no action", "clean", None),
    ],
)
def test_rspamds_own_actions_are_heard(tmp_path, action, result, code):
    scan = through(saying(http({"score": 1.0, "action": action})), tmp_path, kind="rspamd")
    assert scan.result == result and (scan.reply.code if scan.reply else None) == code


# -- clamd ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "result", "words"),
    [
        (b"stream: OK\0", "clean", ""),
        (b"stream: Win.Test FOUND\0", "virus", "Win.Test"),
        (b"INSTREAM size limit exceeded. ERROR\0", "skipped", "larger than clamd takes (its StreamMaxLength)"),
        (b"stream: broken ERROR\0", "failed", "it says stream: broken ERROR"),
    ],
)
def test_clamd_is_understood(tmp_path, answer, result, words):
    scan = through(saying(answer), tmp_path, kind="clamav")
    assert scan.result == result and words in scan.words


def test_clamd_may_answer_and_hang_up_before_it_has_heard_all(tmp_path):
    scan = through(saying(b"INSTREAM size limit exceeded. ERROR\0"), tmp_path, LETTER + b"x" * 8_000_000, kind="clamav")
    assert scan.result == "skipped"


def test_a_large_message_streams_from_its_file_in_flat_memory(tmp_path):
    counted = [0]

    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        while length := int.from_bytes(await reader.readexactly(4), "big"):
            counted[0] += len(await reader.readexactly(length))
        writer.write(b"stream: OK\0")

    spool = Spool(tmp_path)
    for block in (LETTER, *[b"x" * 998 + b"\r\n"] * 40_000):
        spool.write(block)
    content = spool.finish()
    assert content.octets is None

    async def act(server: str) -> Scan:
        chosen = house(tmp_path, it=Scanner(kind="clamav", servers=[server]))
        scanners = Scanners(chosen.scanners, chosen, lambda: 1.8e9)
        tracemalloc.start()
        scans = await scanners.scan(facts(), content, b"Received: x\r\n")
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
        tracemalloc.stop()
        return scans[0]

    assert scene(clamd, act).result == "clean"
    assert counted[0] == content.size + len(b"Received: x\r\n")


# -- trouble ----------------------------------------------------------------------------------------------------------

TROUBLES = {
    "silent": silent,
    "hangs_up": hangs_up,
    "garbage": saying(b"\xff\x00garbage\r\n\r\n\0" * 20),
    "endless": saying(b"x" * 3_000_000),
    "half": saying(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15"),
    "http": saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"),
    "json": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]"),
    "scoreless": saying(b'HTTP/1.1 200 OK\r\n\r\n{"error": "no"}'),
    "chunks": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "milter": saying(b"\x7f\xff\xff\xffO"),
    "spamd_error": saying(b"SPAMD/1.0 76 Bad header line: x\r\n"),
}


@pytest.mark.parametrize("kind", ["spamd", "rspamd", "clamav"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_a_scanner_does_the_message_passes_unscanned_and_the_log_says_so(tmp_path, kind, trouble):
    scan = through(TROUBLES[trouble], tmp_path, kind=kind, deadline=0.2)
    assert (scan.result, scan.reply, scan.edits) == ("failed", None, Edits())
    kinds = [event.kind for event in maillog.take()]
    assert kinds == ["scanner-failed", "not-scanned"]


def test_the_log_says_which_servers_refused_that_all_failed_and_whose_message_it_was(tmp_path):
    ports = [free_port(), free_port()]
    chosen = house(tmp_path, sa=Scanner(servers=[f"127.0.0.1:{port}" for port in ports]))
    [scan] = asked(chosen)
    first, second, last = maillog.take()
    for event, port in ((first, ports[0]), (second, ports[1])):
        assert (event.kind, event.item) == ("scanner-failed", 77)
        assert event.detail == {"scanner": "sa", "server": f"127.0.0.1:{port}", "reason": "connection refused"}
    assert (last.kind, last.item, last.address) == ("not-scanned", 77, "ana@far.example")
    assert last.detail == {
        "scanner": "sa", "reason": "all 2 servers failed", "host": "mail.far.example", "peer": "192.0.2.7",
        "interface": "transfer 192.0.2.1:25", "message_id": "t1@far.example", "outcome": "accepted",
    }  # fmt: skip
    assert fields((scan,), chosen.scanners) == b""


def test_fail_closed_defers(tmp_path):
    chosen = house(tmp_path, sa=Scanner(servers=[f"127.0.0.1:{free_port()}"], when_down="defer"))
    [scan] = asked(chosen)
    assert scan.result == "defer" and scan.reply is not None and scan.reply.code == 451
    assert maillog.take()[-1].detail["outcome"] == "deferred"


def test_the_next_server_is_asked_and_the_failed_one_is_asked_last_from_then_on(tmp_path):
    async def act(server: str) -> None:
        dead = f"127.0.0.1:{free_port()}"
        chosen = house(tmp_path, sa=Scanner(servers=[dead, server]))
        now = [1.8e9]
        scanners = Scanners(chosen.scanners, chosen, lambda: now[0])
        for expected in ([dead], [], []):
            [scan] = await scanners.scan(facts(), spooled_from(LETTER), b"")
            assert scan.score == 15.0
            assert [event.detail["server"] for event in maillog.take()] == expected
            now[0] += 10
        now[0] += 60
        await scanners.scan(facts(), spooled_from(LETTER), b"")
        assert [event.detail["server"] for event in maillog.take()] == [dead]

    scene(saying(SPAMD, 65536), act)


# -- who is scanned, and how much --------------------------------------------------------------------------------------


def test_larger_messages_are_left_unscanned_or_their_first_part_is_scanned(tmp_path):
    heard: list[bytes] = []
    large = LETTER + b"y" * 41_000
    assert through(heard_by(SPAMD, heard), tmp_path, large).words == "larger than 40960 octets"
    assert heard == []
    through(heard_by(SPAMD, heard), tmp_path, large, scan_up_to=1000, larger="first_part")
    assert heard[0].startswith(b"REPORT SPAMC/1.5\r\nContent-length: 1000\r\n")


def test_domains_networks_and_listeners_choose_what_is_scanned(tmp_path):
    one = Scanner(
        servers=["127.0.0.1:1"], domains=["lists.example", ".sub.example"], exempt_networks=["198.51.100.0/24"]
    )
    chosen = house(tmp_path, sa=one)
    scanners = Scanners(chosen.scanners, chosen, lambda: 0.0)
    assert scanners.looks_at(facts().visit)
    assert not scanners.looks_at(facts(address="198.51.100.9").visit)
    assert not scanners.looks_at(facts(listener="submission").visit)
    assert not scanners.looks_at(facts(trusted=True).visit)
    assert asked(chosen, about=facts(("a@elsewhere.example",))) == ()
    assert asked(chosen, about=facts(("a@elsewhere.example", "b@deep.sub.example")))[0].result == "failed"
    assert scanners.group("a@LISTS.example") == scanners.group("b@x.sub.example") != scanners.group("a@sub.example")
    relay = house(tmp_path, sa=dataclasses.replace(one, relay_networks=True, listeners=["transfer", "submission"]))
    scanners = Scanners(relay.scanners, relay, lambda: 0.0)
    assert scanners.looks_at(facts(trusted=True).visit) and scanners.looks_at(facts(listener="submission").visit)


def test_without_scanners_nothing_is_asked(tmp_path):
    chosen = house(tmp_path)
    assert not Scanners(chosen.scanners, chosen, lambda: 0.0)
    assert asked(chosen) == ()


def test_each_sees_what_those_before_it_added_and_nobody_is_asked_behind_a_last_word(tmp_path):
    heard: list[bytes] = []

    async def body() -> tuple[Scan, ...]:
        said = {"score": 1.0, "action": "no action", "milter": {"add_headers": {"X-A": "1"}}}
        rejected = http({"score": 1.0, "action": "soft reject"})
        async with (
            serving(saying(http(said), 65536)) as first,
            serving(heard_by(SPAMD, heard)) as second,
            serving(saying(rejected, 65536)) as third,
        ):
            chosen = house(
                tmp_path, a=Scanner(kind="rspamd", servers=[first]), b=Scanner(servers=[second]),
                c=Scanner(kind="rspamd", servers=[third]), d=Scanner(servers=[second]),
            )  # fmt: skip
            scanners = Scanners(chosen.scanners, chosen, lambda: 0.0)
            return await scanners.scan(facts(), spooled_from(LETTER), b"Received: x\r\n")

    assert [(scan.scanner, scan.result) for scan in asyncio.run(body())] == [
        ("a", "clean"),
        ("b", "spam"),
        ("c", "defer"),
    ]
    assert b"\r\n\r\nX-A: 1\r\nReceived: x\r\nFrom:" in heard[0]


# -- marks and edits ---------------------------------------------------------------------------------------------------


def finish(content: bytes, scans: tuple[Scan, ...] = (), strangers: bool = True) -> Finished:
    return asyncio.run(finished(spooled_from(content), scans, configuration.active(), strangers))


@pytest.mark.parametrize(
    ("score", "field"),
    [
        (0.94, b""), (1.0, b""), (1.04, b""), (1.06, b"X-Spam-Score: 1.1 (+)\r\n"), (-3.0, b""),
        (15.34, b"X-Spam-Score: 15.3 (+++++++++++++++)\r\n"), (500.0, b"X-Spam-Score: 500.0 (%s)\r\n" % (b"+" * 50)),
    ],
)  # fmt: skip
def test_a_score_is_written_above_tag_at_in_tenths(score, field):
    assert fields((Scan("sa", "clean", score),), {"sa": Scanner()}) == field
    assert bar(-2.5) == "--"


def test_each_scanner_has_its_own_scores_above_which_it_marks_and_finds_spam(tmp_path):
    both = {"sa": Scanner(tag_at=4.0), "rs": Scanner(tag_at=-5.0)}
    assert fields((Scan("sa", "clean", 4.0),), both) == b""
    assert fields((Scan("sa", "clean", 4.1),), both) == b"X-Spam-Score: 4.1 (++++)\r\n"
    assert fields((Scan("rs", "clean", -2.0),), both) == b"X-Spam-Score: -2.0 (--)\r\n"
    said = saying(http({"score": 7.5, "action": "no action"}))
    for refuse_at, result in ((7.6, "clean"), (7.5, "clean"), (7.4, "spam")):
        assert through(said, tmp_path, kind="rspamd", refuse_at=refuse_at).result == result


def test_a_report_is_folded_and_can_say_nothing_that_is_a_field_of_its_own():
    scan = Scan("sa", "spam", 2.0, report="first\r\nBcc: x@y.example\n\n\x00 k\u00f6hl\n" + "z" * 20_000)
    made = fields((scan,), {"sa": Scanner()})
    assert made.startswith(
        b"X-Spam-Score: 2.0 (++)\r\nX-Spam-Report: sa\r\n\tfirst\r\n\tBcc: x@y.example\r\n\t? k?hl\r\n"
    )
    assert made.isascii() and len(made) < 10_000 and max(map(len, made.split(b"\r\n"))) < 998
    assert b"Report" not in fields((scan,), {"sa": Scanner(report="none")})


def test_fields_that_only_we_may_say_are_taken_from_strangers_and_nothing_else_is_touched(tmp_path):
    house(tmp_path, sa=Scanner())
    forged = (
        b"X-Spam-Score: -100 (-)\r\nAuthentication-Results: mx.lists.example; dkim=pass\r\n"
        b"x-posthouse-tag: nothing\r\nAuthentication-Results: mx.far.example;\r\n\tspf=pass\r\n"
        b"X-SPAM-Report: a\r\n\tb\r\n"
    )
    done = finish(forged + LETTER)
    assert done.content.octets == b"Authentication-Results: mx.far.example;\r\n\tspf=pass\r\n" + LETTER
    assert finish(forged + LETTER, strangers=False).content.octets == forged + LETTER
    plain = spooled_from(LETTER)
    assert asyncio.run(finished(plain, (), configuration.active())).content is plain
    house(tmp_path)  # where no scanner of ours writes such fields they are somebody else's opinion
    kept = finish(forged + LETTER).content.octets
    assert kept is not None and kept.startswith(b"X-Spam-Score: -100 (-)\r\nAuthentication-Results: mx.far.example")
    assert unforged(LETTER) and not unforged(b"X-Spam-Foo: x\r\n")


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"no header", b"X-Spam-A: b", b"X-Spam-A: b\r\n\r\nbody", b"\r\nX-Spam-A: b"]
)
def test_messages_of_odd_shapes_survive(tmp_path, content):
    house(tmp_path, sa=Scanner())
    octets = finish(content).content.octets
    assert octets == {b"X-Spam-A: b": b"\r\n", b"X-Spam-A: b\r\n\r\nbody": b"\r\nbody"}.get(content, content)


def test_edits_are_done_in_place_and_other_fields_keep_their_octets(tmp_path):
    house(tmp_path)
    edits = Edits(
        (
            FieldEdit("change", "x-fruit", " plum", 2), FieldEdit("change", "Subject", None, 1),
            FieldEdit("change", "X-Fruit", None, 3), FieldEdit("insert", "X-Evil", " c\r\nBcc: x@y.example\n\n"),
            FieldEdit("insert", "X-New", " a\n\tb"), FieldEdit("insert", "bad name", " x"),
            FieldEdit("insert", "X-Below", " ours", 4), FieldEdit("insert", "X-Third", "t", 6),
            FieldEdit("append", "X-Last", " z"), FieldEdit("change", "X-Missing", " m", 1),
        )
    )  # fmt: skip
    done = finish(LETTER, (Scan("m", "clean", edits=edits),))
    assert done.prefix == b"X-New: a\r\n\tb\r\nX-Evil: c\r\n\tBcc: x@y.example\r\n"
    assert done.below == b"X-Below: ours\r\n"
    assert done.content.octets == (
        b"From: Ana <ana@far.example>\r\nX-Third:t\r\nX-Fruit: apple\r\nX-Fruit: plum\r\n"
        b"Message-ID: <t1@far.example>\r\nX-Last: z\r\nX-Missing: m\r\n\r\nRipe at last.\r\n"
    )


def test_fields_of_one_name_keep_their_numbers_until_all_changes_are_done(tmp_path):
    house(tmp_path)
    three = b"X-A: 1\r\nX-A: 2\r\nX-A: 3\r\n" + LETTER
    for order in ((1, 2), (2, 1)):
        edits = Edits(tuple(FieldEdit("change", "X-A", None, number) for number in order))
        done = finish(three, (Scan("m", "clean", edits=edits),))
        assert done.content.octets == b"X-A: 3\r\n" + LETTER


def test_a_large_message_is_edited_from_file_to_file_and_the_old_file_goes(tmp_path):
    chosen = house(tmp_path, sa=Scanner())
    spool = Spool(tmp_path / "content" / "incoming", 100)
    for block in (b"X-Spam-Score: 0\r\n" + LETTER, b"z" * 700_000):
        spool.write(block)
    old = spool.finish()
    done = asyncio.run(finished(old, (), chosen))
    assert done.content.octets is None and done.content.path is not None and old.path is not None
    assert not old.path.exists()
    assert done.content.path.read_bytes() == LETTER + b"z" * 700_000
    assert done.content.digest == spooled_from(LETTER + b"z" * 700_000).digest


def test_letters_measure_what_they_give():
    letter = Letter(spooled_from(LETTER), b"Received: x\r\n")
    letter.apply(Edits((FieldEdit("insert", "X-A", " 1"), FieldEdit("change", "X-Fruit", None))))
    for most in (0, 10, 60, 10_000):
        assert letter.length(most) == len(b"".join(letter.blocks(most)))


def test_a_fault_of_ours_is_not_the_senders_loss(tmp_path, monkeypatch):
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("posthouse.reception.scanners.spamd.ask", broken)
    scan = through(saying(SPAMD, 65536), tmp_path)
    assert scan.result == "failed"
    assert maillog.take()[-1].detail["reason"] == "a fault of ours, see standard error"
