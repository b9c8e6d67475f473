"""Scanners that hang, break off, talk without end or come too late: bounded in time and memory, and said in the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import configuration, maillog
from posthouse.configuration import Configuration, Scanner, Scanning
from posthouse.configuration.scanning import misused_scanning
from posthouse.content.spool import spooled_from
from posthouse.reception.policy.facts import Facts, Scan, Visit
from posthouse.reception.scanners import Scanners
from posthouse.reception.scanners.scanning import MOST_PARTS
from posthouse.smtp.reply import Reply
from tests.reception.scripted import Play, saying, serving, silent

LETTER = b"From: ana@far.example\r\nMessage-ID: <t1@far.example>\r\n\r\nRipe at last.\r\n"
SPAMD = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 2.0 / 5.0\r\n\r\n"


@pytest.fixture(autouse=True)
def no_events() -> Iterator[None]:
    """What is recorded here stays here."""
    maillog.take()
    yield
    maillog.take()


def asked(
    folder: Path,
    plays: dict[str, Play],
    patience: float = 300.0,
    content: bytes = LETTER,
    **settings: dict[str, object],
) -> tuple[Scan, ...]:
    """What scanners of these names say, in this order."""

    async def body() -> tuple[Scan, ...]:
        async with contextlib.AsyncExitStack() as stack:
            scanners = {
                name: Scanner(
                    **({"servers": [await stack.enter_async_context(serving(play))]} | settings.get(name, {}))
                )  # type: ignore[arg-type]
                for name, play in plays.items()
            }
            chosen = Configuration(
                data_directory=str(folder), hostname="mx.lists.example", scanners=scanners,
                scanning=Scanning(patience=patience),
            )  # fmt: skip
            configuration.activate(chosen)
            facts = Facts(Visit("transfer", "192.0.2.7"), "ana@far.example", recipients=["garden@lists.example"])
            return await Scanners(chosen.scanners, chosen, lambda: 1.8e9).scan(facts, spooled_from(content), b"")

    return asyncio.run(body())


def test_a_chain_of_scanners_that_hang_ends_with_the_patience_for_all_and_nobody_is_dialled_behind_it(
    tmp_path: Path,
) -> None:
    dialled: list[str] = []

    def hanging(name: str) -> Play:
        async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            dialled.append(name)
            await silent(reader, writer)

        return play

    patient = {"deadline": 600.0}
    scans = asked(
        tmp_path, {name: hanging(name) for name in ("a", "b", "c")}, patience=0.5,
        a=patient, b={"kind": "rspamd", **patient}, c={"kind": "clamav", **patient},
    )  # fmt: skip
    why = "the 0.5 seconds for all scanners were over"
    assert [(scan.scanner, scan.result, scan.words) for scan in scans] == [(one, "failed", why) for one in "abc"]
    assert dialled == ["a"]
    told = maillog.take()
    assert [event.kind for event in told] == ["not-scanned"] * 3
    assert {event.detail["reason"] for event in told} == {why}


def test_who_must_not_be_left_out_defers_when_the_patience_is_over(tmp_path: Path) -> None:
    scans = asked(
        tmp_path,
        {"a": silent, "b": saying(SPAMD, 65536)},
        patience=0.5,
        a={"deadline": 600.0},
        b={"when_down": "defer"},
    )
    assert [scan.result for scan in scans] == ["failed", "defer"]
    assert scans[1].reply is not None and scans[1].reply.code == 451


def test_one_that_hangs_takes_no_time_from_the_others_beyond_its_deadline(tmp_path: Path) -> None:
    scans = asked(tmp_path, {"a": silent, "b": saying(SPAMD, 65536)}, a={"deadline": 0.3}, b={"deadline": 60.0})
    assert [(scan.result, scan.score) for scan in scans] == [("failed", None), ("clean", 2.0)]
    assert "no answer in 0.3 seconds" in scans[0].words


@pytest.mark.parametrize("kind", ["spamd", "rspamd", "clamav", "milter"])
def test_one_that_breaks_off_while_it_is_being_told_is_a_failure(tmp_path: Path, kind: str) -> None:
    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.transport.abort()

    large = LETTER + b"x" * 8_000_000
    settings = {"kind": kind, "deadline": 60.0, "scan_up_to": 10_000_000}
    if kind != "milter":
        [scan] = asked(tmp_path, {"it": breaks_off}, content=large, it=settings)
        assert scan.result == "failed"
        assert [event.kind for event in maillog.take()] == ["scanner-failed", "not-scanned"]


@pytest.mark.parametrize("kind", ["spamd", "rspamd", "clamav"])
@pytest.mark.parametrize(
    "beginning", [b"", b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"stream: "]
)
def test_an_answer_of_a_hundred_megabytes_is_cut_off_and_never_held(
    tmp_path: Path, kind: str, beginning: bytes
) -> None:
    said = [0]

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        block = b"y" * 65_536
        while said[0] < 100_000_000:
            writer.write(block)
            said[0] += len(block)
            await writer.drain()

    tracemalloc.start()
    try:
        [scan] = asked(tmp_path, {"it": endless}, it={"kind": kind, "deadline": 60.0})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scan.result == "failed" and peak < 12_000_000
    assert said[0] < 50_000_000, "it is hung up on as soon as it is too long"


def test_numbers_that_are_none_are_no_fault_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def http(text: str) -> Play:
        return saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text.encode()), 65536)

    odd = {
        "a": http('{"score": 1e999, "action": "no action", "milter": {"remove_headers": {"X": 1e999}}}'),
        "b": http('{"score": 1e999, "action": "no action"}'),
        "c": http(json.dumps({"score": 1, "action": "reject", "messages": {"smtp_message": "a\r\n250 b\r\x00c"}})),
        "d": saying(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; " + b"9" * 5_000 + b" / 5\r\n\r\n", 65536),
    }
    scans = asked(tmp_path, odd, b={"kind": "rspamd"}, a={"kind": "rspamd"}, c={"kind": "rspamd"})
    assert [scan.result for scan in scans] == ["failed", "spam", "spam", "failed"]
    assert "fault of ours" not in caplog.text
    reply = scans[2].reply
    assert isinstance(reply, Reply)
    assert reply.octets.count(b"\r") == reply.octets.count(b"\n") == reply.octets.count(b"\r\n")
    assert all(line.startswith(b"550") for line in reply.octets.split(b"\r\n")[:-1])


def test_recipients_with_different_wishes_are_scanned_for_in_a_bounded_number_of_parts(tmp_path: Path) -> None:
    chosen = Configuration(
        data_directory=str(tmp_path), scanners={"a": Scanner(servers=["127.0.0.1:1"], per_user=True)}
    )
    scanners = Scanners(chosen.scanners, chosen, lambda: 0.0)
    people = [f"p{number}@lists.example" for number in range(MOST_PARTS + 5)]
    assert scanners.parts(people[:MOST_PARTS]) == [[one] for one in people[:MOST_PARTS]]
    parts = scanners.parts(people)
    assert len(parts) == MOST_PARTS and parts[-1] == people[MOST_PARTS - 1 :]
    plain = Configuration(data_directory=str(tmp_path), scanners={"a": Scanner(servers=["127.0.0.1:1"])})
    assert Scanners(plain.scanners, plain, lambda: 0.0).parts(people) == [people]


@pytest.mark.parametrize(("seconds", "wrong"), [(300.0, 0), (540.0, 0), (541.0, 1), (0.0, 1), (-1.0, 1)])
def test_the_patience_ends_before_that_of_clients(seconds: float, wrong: int) -> None:
    assert len(list(misused_scanning(Scanning(patience=seconds)))) == wrong
