"""The MTA's side of the milter protocol: what a filter hears, what it may change, and what happens when it fails."""

from __future__ import annotations

import asyncio
import dataclasses
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from posthouse import configuration, maillog
from posthouse.configuration import Configuration, Scanner
from posthouse.content.spool import spooled_from
from posthouse.queue.identity import name_of
from posthouse.reception.policy.facts import Facts, Scan, Visit
from posthouse.reception.scanners import Escort, Finished, Scanners, finished
from posthouse.reception.scanners.milter_wire import LineEnds, requested_macros
from posthouse.smtp.session import ForwardPath, ReturnPath
from tests import idle_time
from tests.ports import free_port
from tests.reception.scripted import Filter, Play, hangs_up, saying, serving, silent

LETTER = b"From: ana@far.example\r\nX-Fruit: apple\r\nSubject: Ripe\r\n\ttomatoes\r\n\r\n" + b"Ripe.\r\n" * 20_000
CLEO = "cleo@lists.example"


@pytest.fixture(autouse=True)
def no_events() -> Iterator[None]:
    """What is recorded here stays here."""
    maillog.take()
    yield
    maillog.take()


class Meeting:
    """One connection with one milter; `content` is what will be sent."""

    def __init__(self, folder: Path, server: str, visit: dict[str, Any], **settings: Any) -> None:
        scanner = Scanner(kind="milter", servers=[server], **({"deadline": 30.0} | settings))
        self.chosen = Configuration(data_directory=str(folder), hostname="mx.lists.example", scanners={"m": scanner})
        configuration.activate(self.chosen)
        self.scanners = Scanners(self.chosen.scanners, self.chosen, lambda: 1.8e9)
        seen = {"listener": "transfer", "address": "192.0.2.7", "port": 40000, "local_address": "192.0.2.1",
                "local_port": 25, "client_name": "mail.far.example"}  # fmt: skip
        self.visit = Visit(**(seen | visit))
        escort = self.scanners.opened(self.visit)
        assert escort is not None
        self.escort: Escort = escort
        self.escort.hello("EHLO", "mail.far.example")
        self.accepted: list[str] = []

    async def envelope(self, *recipients: str) -> list[str]:
        """MAIL and RCPT; the replies, "" where it says nothing."""
        self.escort.mail("ana@far.example", 1000, "8BITMIME")
        replies = []
        for one in recipients or (CLEO,):
            reply = await self.escort.recipient(one)
            replies.append("" if reply is None else str(reply))
            if reply is None:
                self.accepted.append(one)
        return replies

    async def content(self, letter: bytes = LETTER) -> Scan:
        """The content; what it says of it."""
        facts = Facts(self.visit, "ana@far.example", recipients=list(self.accepted), item=77)
        [scan] = await self.scanners.scan(facts, spooled_from(letter), b"Received: x\r\n", self.escort)
        self.accepted = []
        self.escort.reset()
        return scan

    async def done(self, scan: Scan, letter: bytes = LETTER) -> Finished:
        """The message as it is kept."""
        return await finished(spooled_from(letter), (scan,), self.chosen)


def met(
    play: Play, tmp_path: Path, act: Callable[[Meeting], Awaitable[Any]], visit: Any = None, **settings: Any
) -> Any:
    async def body() -> Any:
        async with serving(play) as server:
            meeting = Meeting(tmp_path, server, visit or {}, **settings)
            try:
                return await act(meeting)
            finally:
                meeting.escort.closed()
                await asyncio.sleep(0)

    return idle_time.run(body())


async def whole(meeting: Meeting) -> Scan:
    await meeting.envelope()
    return await meeting.content()


def header(name: str, value: str) -> bytes:
    return f"{name}\0{value}\0".encode()


def test_a_filter_hears_everything_in_order_with_macros_and_all_of_the_body(tmp_path):
    it = Filter()

    async def act(meeting: Meeting) -> Scan:
        assert await meeting.envelope(CLEO, "owen@lists.example") == ["", ""]
        return await meeting.content()

    assert met(it, tmp_path, act, {"account": "ana"}).result == "clean"
    assert it.order() == "OCHMRRTLLLNBBBE"
    assert it.words(b"O") == [struct.pack("!III", 6, 0x1FF, 0x1FFFFF)]
    assert it.words(b"C") == [b"mail.far.example\x004" + struct.pack("!H", 40000) + b"192.0.2.7\0"]
    assert it.words(b"H") == [b"mail.far.example\0"]
    assert it.words(b"M") == [b"<ana@far.example>\0SIZE=1000\0BODY=8BITMIME\0"]
    assert it.words(b"R") == [b"<cleo@lists.example>\0", b"<owen@lists.example>\0"]
    assert it.words(b"L")[1:] == [b"X-Fruit\0apple\0", b"Subject\0Ripe\n\ttomatoes\0"]
    assert b"".join(it.words(b"B")) == LETTER.partition(b"\r\n\r\n")[2]
    assert max(map(len, it.words(b"B"))) == 65_535
    macros = b"|".join(it.words(b"D"))
    for known in (
        b"Cj\0mx.lists.example\0",
        b"{daemon_name}\0transfer\0",
        b"{client_addr}\x00192.0.2.7\0",
        b"{mail_addr}\0ana@far.example\0",
        b"{auth_authen}\0ana\0",
        b"R{rcpt_addr}\0cleo@lists.example\0",
    ):
        assert known in macros


def test_the_whole_connection_is_one_conversation_and_an_abandoned_message_is_aborted(tmp_path):
    it = Filter()

    async def act(meeting: Meeting) -> None:
        for _ in range(2):
            await whole(meeting)
        await meeting.envelope()
        meeting.escort.reset()
        meeting.accepted = []
        await whole(meeting)

    met(it, tmp_path, act)
    assert it.connections == 1
    assert it.order().replace("LLLNBBB", "") == "OCHMRTEMRTEMRAMRTE"


def test_steps_it_wants_to_miss_are_left_out_and_those_it_is_silent_on_are_not_waited_for(tmp_path):
    it = Filter(steps=0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x200)
    assert met(it, tmp_path, whole).result == "clean"
    assert it.order() == "OE"
    it = Filter(steps=0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x80 | 0x40000 | 0x80000)
    assert met(it, tmp_path, whole).result == "clean"
    assert it.order() == "OCHMRTLLLNBBBE"


def test_leading_space_is_kept_where_it_asks_for_it_and_macros_are_those_it_names(tmp_path):
    symbols = struct.pack("!I", 5) + b"i {daemon_port}\0" + struct.pack("!I", 0) + b"j\0"
    it = Filter(steps=0x100000, symbols=symbols, answers={b"E": [b"h" + header("X-A", "b"), b"c"]})

    async def act(meeting: Meeting) -> Finished:
        return await meeting.done(await whole(meeting))

    done = met(it, tmp_path, act)
    assert b"\ttomatoes\r\nX-A:b\r\n\r\n" in (done.content.octets or b"")
    assert it.words(b"L")[0] == b"From\0 ana@far.example\0"
    assert it.words(b"D")[0] == b"Cj\0mx.lists.example\0"
    assert it.words(b"D")[-1] == b"Ei\0" + name_of(77).encode() + b"\0{daemon_port}\x0025\0"
    assert requested_macros(symbols) == {b"E": ["i", "{daemon_port}"], b"C": ["j"]}


def test_it_has_seen_enough_of_the_body_when_it_says_so(tmp_path):
    it = Filter(answers={b"B": [b"s"]})
    assert met(it, tmp_path, whole).result == "clean"
    assert it.order() == "OCHMRTLLLNBE"


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (b"r", "550 5.7.1 Refused by local policy"),
        (b"t", "451 4.7.1 Deferred by local policy; try again later"),
        (b"y554 5.7.5 Not from you\0", "554 5.7.5 Not from you"),
        (b"y421 4.7.0 Go away\0", "421 4.7.0 Go away"),
        (b"y550 no enhanced code\0", "550 5.7.1 no enhanced code"),
        (b"y250 2.0.0 nonsense\0", "451 4.7.1 Deferred by local policy; try again later"),
        (b"y550 5.7.1 100%% spam, 5% ham\0", "550 5.7.1 100% spam, 5 ham"),
        (b"f", "451 4.7.1 Deferred by local policy; try again later"),
        (b"yrubbish\0", "451 4.7.1 Deferred by local policy; try again later"),
        (b"4", "421 4.3.2 Shutting down; try again soon"),
    ],
)
@pytest.mark.parametrize("command", [b"C", b"H", b"M", b"R", b"T", b"L", b"N", b"B", b"E"])
def test_it_refuses_and_defers_at_every_step_in_its_own_words(tmp_path, command, answer, reply):
    async def act(meeting: Meeting) -> str:
        [said] = await meeting.envelope()
        if said:
            return said
        scan = await meeting.content()
        assert scan.result == ("refuse" if scan.reply and scan.reply.permanent else "defer")
        return str(scan.reply)

    assert met(Filter(answers={command: [answer]}), tmp_path, act) == reply


def test_one_recipient_is_refused_and_the_others_are_not(tmp_path):
    class Picky(Filter):
        async def __call__(self, reader: Any, writer: Any) -> None:
            self.answers = Answers(self)
            await super().__call__(reader, writer)

    class Answers(dict[bytes, list[bytes]]):
        def __init__(self, it: Filter) -> None:
            self.it = it

        def get(self, command: bytes, other: Any = None) -> Any:
            refused = command == b"R" and b"owen" in self.it.heard[-1][1]
            return [b"y550 5.1.1 No owen\0"] if refused else other

    async def act(meeting: Meeting) -> tuple[list[str], Scan]:
        return await meeting.envelope(CLEO, "owen@lists.example", "ben@lists.example"), await meeting.content()

    replies, scan = met(Picky(), tmp_path, act)
    assert replies == ["", "550 5.1.1 No owen", ""] and scan.result == "clean"


@pytest.mark.parametrize("command", [b"C", b"H", b"M", b"R", b"T", b"N", b"B", b"E"])
def test_what_it_accepts_early_it_hears_no_more_of(tmp_path, command):
    it = Filter(answers={command: [b"a"]})

    async def act(meeting: Meeting) -> list[str]:
        return [(await whole(meeting)).result, (await whole(meeting)).result]

    assert met(it, tmp_path, act) == ["clean", "clean"]
    assert it.order().count("M") == (0 if command in (b"C", b"H") else 2)
    assert it.order().count("E") == (2 if command == b"E" else 0)


@pytest.mark.parametrize("command", [b"M", b"R", b"N", b"E"])
def test_it_may_have_a_message_thrown_away(tmp_path, command):
    assert met(Filter(answers={command: [b"d"]}), tmp_path, whole).result == "discard"


def test_everything_it_may_change_is_changed(tmp_path):
    end = [
        b"h" + header("X-Added", "one\n\ttwo"),
        b"i" + struct.pack("!I", 0) + header("X-Top", "first"),
        b"i" + struct.pack("!I", 2) + header("X-Second", "in the middle"),
        b"m" + struct.pack("!I", 1) + header("Subject", "Unripe"),
        b"m" + struct.pack("!I", 1) + header("X-Fruit", ""),
        b"i" + struct.pack("!I", 4) + header("X-Third", "behind From"),
        b"p",
        b"b" + b"New\n body\r", b"b" + b"\nof two lines\r\n",
        b"+<new@lists.example>\0", b"2<other@lists.example>\0NOTIFY=NEVER X-ODD=1\0", b"-<cleo@lists.example>\0",
        b"e<bounces@lists.example>\0SIZE=9 RET=HDRS ENVID=e1\0", b"qsuspicious\0", b"c",
    ]  # fmt: skip

    async def act(meeting: Meeting) -> tuple[Scan, Finished]:
        scan = await whole(meeting)
        return scan, await meeting.done(scan)

    scan, done = met(Filter(answers={b"E": end}), tmp_path, act)
    assert (scan.result, scan.words) == ("quarantine", "suspicious")
    assert (done.prefix, done.below) == (b"X-Top: first\r\n", b"X-Second: in the middle\r\n"), "our Received is between"
    assert done.content.octets == (
        b"From: ana@far.example\r\nX-Third: behind From\r\nSubject: Unripe\r\nX-Added: one\r\n\ttwo\r\n\r\n"
        b"New\r\n body\r\nof two lines\r\n"
    )
    assert done.return_path == ReturnPath("bounces@lists.example", ret="HDRS", envid="e1")
    assert done.added == (ForwardPath("new@lists.example"), ForwardPath("other@lists.example", "NEVER"))
    assert done.removed == (CLEO,)


def test_a_large_new_body_lies_in_the_scan_spool_where_no_file_has_a_name(tmp_path):
    block = b"b" + b"z" * 65_000
    it = Filter(answers={b"E": [*[block] * 20, b"c"]})

    async def act(meeting: Meeting) -> Finished:
        scan = await whole(meeting)
        assert (tmp_path / "scan").is_dir() and list((tmp_path / "scan").iterdir()) == []
        return await meeting.done(scan)

    done = met(it, tmp_path, act)
    assert done.content.path is not None and done.content.size == done.content.path.stat().st_size
    assert done.content.path.read_bytes().endswith(b"\r\n\r\n" + b"z" * 1_300_000)


@pytest.mark.parametrize("pieces", [[b"a\r", b"\nb\n", b"\rc\r"], [b"a\r\n", b"b\r\n\r\n", b"c\r\n"]])
def test_bodies_of_filters_get_lawful_line_ends(pieces):
    ends = LineEnds()
    made = b"".join(piece for one in pieces for piece in ends.pieces(one)) + ends.end()
    assert made == b"a\r\nb\r\n\r\nc\r\n"


@pytest.mark.parametrize(
    "wish",
    [
        b"+<not an address>\0", b"e<a\r\nb@x.example>\0", b"m\0\0", b"Z", b"b" + b"z" * 900_000, b"",
        b"l" + struct.pack("!I", 1) + b"j\0",
    ],
)  # fmt: skip
def test_a_wish_that_makes_no_sense_is_a_failure_of_the_filter(tmp_path, wish):
    async def act(meeting: Meeting) -> Scan:
        limited = dataclasses.replace(
            meeting.chosen, limits=dataclasses.replace(meeting.chosen.limits, message_size=500_000)
        )
        meeting.scanners = Scanners(limited.scanners, limited, lambda: 1.8e9)
        escort = meeting.scanners.opened(meeting.visit)
        assert escort is not None
        meeting.escort = escort
        return await whole(meeting)

    assert met(Filter(answers={b"E": [wish, b"c"]}), tmp_path, act).result == "failed"


@pytest.mark.parametrize(
    "play", [silent, hangs_up, saying(b"HTTP/1.1 400 Bad\r\n\r\n"), Filter(version=7), Filter(steps=1 << 30)]
)
@pytest.mark.parametrize("when_down", ["accept", "defer"])
def test_a_filter_that_cannot_be_reached_is_passed_or_everything_is_deferred(tmp_path, play, when_down):
    async def act(meeting: Meeting) -> str:
        [said] = await meeting.envelope()
        return said or (await meeting.content()).result

    said = met(play, tmp_path, act, deadline=0.3, when_down=when_down)
    assert said == (
        "failed" if when_down == "accept" else "451 4.3.0 The message cannot be scanned at the moment; try again later"
    )
    if when_down == "accept":
        assert [event.kind for event in maillog.take()] == ["scanner-failed", "not-scanned"]


@pytest.mark.parametrize("command", [b"T", b"L", b"B", b"E"])
@pytest.mark.parametrize("answer", [[b"hang up"], []])
def test_a_filter_that_dies_in_the_middle_of_a_message_is_a_failure_and_the_next_message_tries_again(
    tmp_path, command, answer
):
    it = Filter(answers={command: answer})

    async def act(meeting: Meeting) -> tuple[str, str]:
        first = (await whole(meeting)).result
        it.answers = {}
        [(milter, _)] = meeting.escort._milters
        milter.settings = dataclasses.replace(milter.settings, deadline=30.0)
        return first, (await whole(meeting)).result

    assert met(it, tmp_path, act, deadline=0.3) == ("failed", "clean")
    assert it.connections == 2


def test_a_connection_that_died_between_two_messages_is_made_anew(tmp_path):
    it = Filter()

    async def act(meeting: Meeting) -> list[str]:
        first = (await whole(meeting)).result
        it.once = {b"M": [b"hang up"]}
        return [first, (await whole(meeting)).result]

    assert met(it, tmp_path, act) == ["clean", "clean"]
    assert it.connections == 2


def test_a_client_that_goes_away_before_its_message_is_judged_does_not_escape(tmp_path):
    it = Filter(answers={b"E": [b"r"]})

    async def act(meeting: Meeting) -> Scan:
        await meeting.envelope()
        meeting.escort.reset()
        meeting.escort.closed()
        return await meeting.content()

    assert met(it, tmp_path, act).result == "refuse"


def test_a_client_that_goes_away_while_a_recipient_is_asked_about_leaves_no_connection_behind(tmp_path):
    it = Filter()

    async def act(meeting: Meeting) -> None:
        asked = asyncio.create_task(meeting.envelope())
        await asyncio.sleep(0)
        meeting.escort.reset()
        meeting.escort.closed()
        await asked
        await it.left.wait()

    met(it, tmp_path, act)
    assert it.connections == 1


def test_progress_keeps_a_slow_filter_alive(tmp_path):
    it = Filter(answers={b"E": [b"p"] * 500 + [b"c"], b"N": [b"p", b"c"]})
    assert met(it, tmp_path, whole, deadline=30.0).result == "clean"
    it = Filter(answers={b"E": [b"p"] * 10_001})
    assert met(it, tmp_path, whole, deadline=30.0).words.endswith("it reports progress without end")


def test_recipients_of_domains_that_are_not_its_own_are_none_of_its_business(tmp_path):
    it = Filter()

    async def act(meeting: Meeting) -> int:
        assert await meeting.envelope("a@elsewhere.example") == [""]
        facts = Facts(meeting.visit, "ana@far.example", recipients=["a@elsewhere.example"])
        return len(await meeting.scanners.scan(facts, spooled_from(LETTER), b"", meeting.escort))

    assert met(it, tmp_path, act, domains=["lists.example"]) == 0
    assert it.connections == 0


def test_no_filter_no_escort_and_an_unreachable_server_is_followed_by_the_next(tmp_path):
    it = Filter()

    async def body() -> Scan:
        async with serving(it) as server:
            meeting = Meeting(tmp_path, server, {})
            servers = [f"127.0.0.1:{free_port()}", f"unix:{tmp_path}/nothing", server]
            scanner = dataclasses.replace(meeting.chosen.scanners["m"], servers=servers)
            chosen = dataclasses.replace(meeting.chosen, scanners={"m": scanner})
            meeting.scanners = Scanners(chosen.scanners, chosen, lambda: 1.8e9)
            assert meeting.scanners.opened(Visit("submission", "192.0.2.7")) is None
            escort = meeting.scanners.opened(meeting.visit)
            assert escort is not None
            meeting.escort = escort
            return await whole(meeting)

    assert asyncio.run(body()).result == "clean"
    assert [event.detail["reason"] for event in maillog.take()] == ["connection refused", "no such file or directory"]
