"""Whom a program runs as, what its exit means, and how the message reaches it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import uvloop

from posthouse import configuration
from posthouse.configuration import Configuration, Pipes
from posthouse.delivery.couriers.pipe import NotPossible, Programs, _feed, identity, of_exit, unix_lines
from posthouse.directory import domains
from posthouse.queue.outcome import DEFERRED, FAILED
from posthouse.smtp.outgoing import OutgoingTransaction
from tests.delivery.leaving import far, leaving, run

NOBODY = pwd.getpwnam("nobody")


def test_a_house_that_may_not_become_the_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(NotPossible, match="runs as uid 54321 and may not become nobody"):
        identity(Pipes(user="nobody"))
    helped = identity(Pipes(user="nobody", become=["/usr/bin/sudo", "--"]))
    assert (helped.change, helped.become) == (False, ("/usr/bin/sudo", "--"))
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    own = identity(Pipes(user="nobody", become=["/usr/bin/sudo", "--"]))
    assert (own.change, own.become, own.uid) == (False, (), NOBODY.pw_uid), "as itself it needs no help"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    changed = identity(Pipes(user="nobody"))
    assert changed.change and 0 not in (changed.uid, changed.gid, *changed.groups)
    for wrong in (Pipes(), Pipes(user="root"), Pipes(user="nosuch"), Pipes(user="nobody", group="root")):
        with pytest.raises(NotPossible):
            identity(wrong)


@pytest.mark.parametrize(
    ("code", "result", "status"),
    [(75, DEFERRED, "4.3.0"), (78, DEFERRED, "4.3.5"), (127, DEFERRED, "4.3.5"), (-9, DEFERRED, "4.3.0"),
     (-200, DEFERRED, "4.3.0"), (67, FAILED, "5.1.1"), (77, FAILED, "5.7.0"), (1, FAILED, "5.3.0"),
     (255, FAILED, "5.3.0")],
)  # fmt: skip
def test_an_exit_means_what_sysexits_says(code: int, result: str, status: str) -> None:
    meaning = of_exit(code, "no room")
    assert meaning is not None and (meaning.result, meaning.status) == (result, status)
    assert "no room" in meaning.reason
    assert of_exit(0, "") is None


def test_lines_end_with_lf_wherever_the_blocks_are_cut() -> None:
    text = b"a\r\nb\r\n\r\nlone\rcr\r"
    for size in range(1, len(text)):
        blocks = [text[at : at + size] for at in range(0, len(text), size)]
        assert b"".join(unix_lines(blocks)) == b"a\nb\n\nlone\rcr\r"


def test_a_program_that_is_gone_before_it_got_its_message_is_no_trouble() -> None:
    class Message:
        def plain(self) -> Iterator[bytes]:
            yield b"Subject: Short\r\n\r\n"

    async def gone() -> None:
        program = await asyncio.create_subprocess_exec("/bin/true", stdin=asyncio.subprocess.PIPE)
        assert program.stdin is not None
        await program.wait()
        program.stdin.close()
        await _feed(program.stdin, b"Return-Path: <>\n", cast(OutgoingTransaction, Message()))

    for loop in (uvloop.new_event_loop, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(gone())


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_large_message_reaches_a_program_whole_and_one_that_reads_nothing_is_no_trouble(
    sqlite: Configuration, tmp_path: Path
) -> None:
    (tmp_path / "a.example").write_text('count: "|/usr/bin/wc -c"\nignore: |/bin/true\n')
    chosen = dataclasses.replace(
        sqlite, routing=configuration.Routing(aliases=str(tmp_path)), pipes=Pipes(user="nobody", at_once=2)
    )
    content = b"Subject: Much\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 78 + b"\r\n") * 40_000

    async def work() -> None:
        host = await far()
        async with leaving(chosen, host.port) as house:
            await house.bridge.write(domains.add, "a.example")
            await house.sends("count@a.example", "ignore@a.example", content=content)
            await house.runner.settle()
            assert await house.waiting() == []
            said = {address: detail["reply"] for address, detail in await house.events("delivered")}
            head = b"Return-Path: <ana@near.example>\nDelivered-To: count@a.example\n"
            size = len(head) + len(content.replace(b"\r\n", b"\n"))
            assert said["count@a.example"].endswith(f"said: {size}")
            assert said["ignore@a.example"] == "it took the message"
        await host.stop()

    run(work)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_fault_of_ours_is_logged_with_its_place_and_the_mail_waits(
    sqlite: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise ValueError("never thought of")

    monkeypatch.setattr(Programs, "_run", fails)
    (tmp_path / "a.example").write_text("ignore: |/bin/true\n")
    chosen = dataclasses.replace(
        sqlite, routing=configuration.Routing(aliases=str(tmp_path)), pipes=Pipes(user="nobody")
    )

    async def work() -> None:
        host = await far()
        async with leaving(chosen, host.port) as house:
            await house.bridge.write(domains.add, "a.example")
            await house.sends("ignore@a.example")
            await house.runner.settle()
            [(_, detail)] = await house.events("deferred")
            assert detail["reply"] == "internal error, logged: ValueError: never thought of"
        await host.stop()

    run(work)
    [record] = [one for one in caplog.records if "the program of ignore@a.example" in one.message]
    assert record.exc_info is not None
