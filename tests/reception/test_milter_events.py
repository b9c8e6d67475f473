"""What a milter hears besides messages: unknown commands, refused recipients, and only what it understands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from posthouse.reception.policy.facts import Scan
from posthouse.reception.scanners.milter import Manners
from posthouse.reception.scanners.milter_wire import masked
from posthouse.smtp import catalogue
from tests.reception.scripted import Filter, silent
from tests.reception.test_milter import CLEO, LETTER, Meeting, met, whole

RCPT_REJ, NO_UNKNOWN = 0x800, 0x100


def macros(it: Filter, stage: bytes) -> list[dict[str, str]]:
    """What it was told before each command of this kind."""
    found = []
    for data in it.words(b"D"):
        if data[:1] == stage:
            words = data[1:].decode().split("\0")[:-1]
            found.append(dict(zip(words[::2], words[1::2], strict=True)))
    return found


def test_a_command_that_nobody_knows_is_told_without_macros_and_answered_in_the_filters_words(tmp_path: Path) -> None:
    it = Filter(answers={b"U": [b"y550 5.5.1 Not this, %%!\0"]})

    async def act(meeting: Meeting) -> list[str]:
        first = str(await meeting.escort.unknown("XYZZY now"))
        it.answers = {}
        second = str(await meeting.escort.unknown("PLUGH"))
        return [first, second, (await whole(meeting)).result]

    assert met(it, tmp_path, act) == ["550 5.5.1 Not this, %!", "None", "clean"]
    assert it.words(b"U") == [b"XYZZY now\0", b"PLUGH\0"]
    assert it.order().replace("LLLNBBB", "") == "OCHUUMRTE"
    assert macros(it, b"U") == []


def test_within_a_transaction_an_unknown_command_comes_behind_mail(tmp_path: Path) -> None:
    it = Filter()

    async def act(meeting: Meeting) -> Scan:
        meeting.escort.mail("ana@far.example")
        assert await meeting.escort.unknown("XYZZY") is None
        meeting.accepted = [CLEO]
        assert await meeting.escort.recipient(CLEO) is None
        return await meeting.content()

    assert met(it, tmp_path, act).result == "clean"
    assert it.order().replace("LLLNBBB", "") == "OCHMURTE"


@pytest.mark.parametrize(("steps", "version"), [(NO_UNKNOWN, 6), (0, 2)])
def test_who_wants_no_unknown_commands_is_not_even_dialled_for_them_once_that_is_known(
    tmp_path: Path, steps: int, version: int
) -> None:
    it = Filter(steps=steps, version=version)

    async def act(meeting: Meeting) -> None:
        for _ in range(3):
            assert await meeting.escort.unknown("XYZZY") is None
            meeting.escort.closed()
            escort = meeting.scanners.opened(meeting.visit)
            assert escort is not None
            meeting.escort = escort

    met(it, tmp_path, act)
    assert "U" not in it.order() and it.connections == 1


def test_a_filter_that_gives_no_answer_to_unknown_commands_is_not_waited_for(tmp_path: Path) -> None:
    class Quiet(Filter):
        SILENT = Filter.SILENT | {b"U": 0x20000}

    it = Quiet(steps=0x20000)

    async def act(meeting: Meeting) -> str:
        assert await meeting.escort.unknown("XYZZY") is None
        return (await whole(meeting)).result

    assert met(it, tmp_path, act) == "clean"
    assert it.words(b"U") == [b"XYZZY\0"]


def test_a_dead_filter_says_nothing_to_unknown_commands_and_is_tried_anew_for_the_next_message(tmp_path: Path) -> None:
    async def act(meeting: Meeting) -> list[Any]:
        first = await meeting.escort.unknown("XYZZY")
        return [first, *await meeting.envelope()]

    down = "451 4.3.0 The message cannot be scanned at the moment; try again later"
    assert met(silent, tmp_path, act, deadline=0.3, when_down="defer") == [None, down]


def test_refused_recipients_are_told_to_who_asks_for_them_with_the_reply_in_macros(tmp_path: Path) -> None:
    it = Filter(steps=RCPT_REJ, answers={b"R": [b"y550 5.7.1 Mine as well\0"]})

    async def act(meeting: Meeting) -> Scan:
        meeting.escort.mail("ana@far.example")
        await meeting.escort.refused("nobody@lists.example", catalogue.NO_SUCH_MAILBOX)
        it.answers = {}
        assert await meeting.escort.recipient(CLEO, "local", "lists.example") is None
        meeting.accepted = [CLEO]
        return await meeting.content()

    assert met(it, tmp_path, act).result == "clean", "what it says to a refused recipient changes nothing"
    assert it.words(b"R") == [b"<nobody@lists.example>\0", b"<cleo@lists.example>\0"]
    refused, taken = macros(it, b"R")
    assert refused == {
        "{rcpt_mailer}": "error", "{rcpt_host}": catalogue.NO_SUCH_MAILBOX.enhanced,
        "{rcpt_addr}": catalogue.NO_SUCH_MAILBOX.text,
    }  # fmt: skip
    assert taken == {"{rcpt_mailer}": "local", "{rcpt_host}": "lists.example", "{rcpt_addr}": CLEO}


def test_refused_recipients_are_no_business_of_who_does_not_ask_and_cost_no_connection_then(tmp_path: Path) -> None:
    it = Filter()

    async def act(meeting: Meeting) -> None:
        for _ in range(3):
            meeting.escort.mail("ana@far.example")
            await meeting.escort.refused("nobody@lists.example", catalogue.NO_SUCH_MAILBOX)
            meeting.escort.closed()
            escort = meeting.scanners.opened(meeting.visit)
            assert escort is not None
            meeting.escort = escort

    met(it, tmp_path, act)
    assert it.order() == "OCH", "it was asked once what it wants"


def test_what_it_asks_for_is_learnt_anew_with_each_connection() -> None:
    manners = Manners()
    assert manners.may_want(RCPT_REJ) and manners.may_want(0, NO_UNKNOWN)
    manners.steps = RCPT_REJ | NO_UNKNOWN
    assert manners.may_want(RCPT_REJ) and not manners.may_want(0, NO_UNKNOWN)
    manners.steps = 0
    assert not manners.may_want(RCPT_REJ) and manners.may_want(0, NO_UNKNOWN)


@pytest.mark.parametrize(("version", "left"), [(2, "OCHMRLLLNBBBE"), (3, "OCHMRLLLNBBBE"), (4, "OCHMRTLLLNBBBE")])
def test_an_old_filter_hears_only_what_its_version_knows(tmp_path: Path, version: int, left: str) -> None:
    it = Filter(version=version)
    assert met(it, tmp_path, whole).result == "clean"
    assert it.order() == left
    assert masked(2, 0) == 0x300 and masked(3, 0) == 0x200 and masked(4, 1) == 1


@pytest.mark.parametrize(
    ("command", "order"),
    [(b"L", "OCHMRRTLNBBBE"), (b"R", "OCHMRTLLLNBBBE"), (b"B", "OCHMRRTLLLNBE"), (b"N", "OCHMRRTLLLNBBBE")],
)
def test_it_hears_no_more_of_what_it_has_heard_enough_of_but_of_everything_else(
    tmp_path: Path, command: bytes, order: str
) -> None:
    it = Filter(answers={command: [b"s"]})

    async def act(meeting: Meeting) -> list[Any]:
        replies = await meeting.envelope(CLEO, "owen@lists.example")
        return [*replies, (await meeting.content()).result, (await whole(meeting)).result]

    assert met(it, tmp_path, act) == ["", "", "clean", "clean"]
    assert it.order().startswith(order)


@pytest.mark.parametrize("command", [b"C", b"H", b"M", b"R", b"T", b"L", b"N", b"B"])
@pytest.mark.parametrize("answer", [b"Z", b"h" + b"X-A\0b\0", b"q\0"])
def test_an_answer_that_has_no_meaning_at_its_step_is_a_failure_and_not_a_yes(
    tmp_path: Path, command: bytes, answer: bytes
) -> None:
    assert met(Filter(answers={command: [answer]}), tmp_path, whole).result == "failed"


def test_to_the_client_it_cannot_say_throw_it_away(tmp_path: Path) -> None:
    assert met(Filter(answers={b"C": [b"d"], b"H": [b"d"]}), tmp_path, whole).result == "clean"


def test_what_was_known_earlier_can_be_asked_for_later(tmp_path: Path) -> None:
    wanted = b"\0\0\0\x05i {client_addr} {mail_addr} {auth_author} _ {nothing}\0"
    it = Filter(symbols=wanted)

    async def act(meeting: Meeting) -> None:
        meeting.escort.mail("ana@far.example", author="owen@far.example")
        await meeting.escort.recipient(CLEO)
        meeting.accepted = [CLEO]
        await meeting.content()
        await whole(meeting)

    met(it, tmp_path, act)
    first, second = macros(it, b"E")
    assert first.pop("i")
    assert first == {
        "{client_addr}": "192.0.2.7", "{mail_addr}": "ana@far.example", "{auth_author}": "owen@far.example",
        "_": "mail.far.example [192.0.2.7]",
    }  # fmt: skip
    assert "{auth_author}" not in second, "it belonged to the transaction before"


def test_a_message_in_parts_is_aborted_and_told_anew_with_each_parts_recipients(tmp_path: Path) -> None:
    it = Filter()

    async def act(meeting: Meeting) -> list[str]:
        await meeting.envelope(CLEO, "owen@lists.example")
        meeting.escort.again()
        scans = []
        for one in (CLEO, "owen@lists.example"):
            meeting.accepted = [one]
            scans.append((await meeting.content()).result)
            meeting.escort._open = True
        return scans

    assert met(it, tmp_path, act) == ["clean", "clean"]
    assert it.order().replace("LLLNBBB", "") == "OCHMRRAMRTEMRTE"
    assert it.words(b"R") == [f"<{one}>\0".encode() for one in (CLEO, "owen@lists.example") * 2]


def test_all_steps_of_a_command_together_end_before_the_clients_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.reception.scanners.escort.STEP_SECONDS", 0.3)

    async def act(meeting: Meeting) -> list[str]:
        return await meeting.envelope()

    [said] = met(silent, tmp_path, act, deadline=600.0, when_down="defer")
    assert said.startswith("451 4.3.0")


def test_the_patience_for_all_scanners_ends_a_filter_that_keeps_reporting_progress(tmp_path: Path) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        it = Filter(answers={b"E": [b"p"] * 3})
        await it(reader, writer)

    async def act(meeting: Meeting) -> Scan:
        meeting.scanners.patience = 0.3
        await meeting.envelope()
        return await meeting.content(LETTER[:200])

    scan = met(endless, tmp_path, act, deadline=600.0)
    assert (scan.result, scan.words) == ("failed", "the 0.3 seconds for all scanners were over")
