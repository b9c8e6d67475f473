"""One connection of a mail server that asks: three protocols, told apart by the first octets of each question.

Postfix's socketmap (`12:recipients a@b,` a netstring), Postfix's policy delegation (`name=value` lines and an empty
one), and a plain one for Exim's ${readsocket}: `recipients a@b` and a line end. Questions are answered in order.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

from posthouse.reception.front.answers import Answers

MOST_OCTETS = 16 * 1024  # of one question
MOST_WAITING = 64 * 1024  # octets of questions read before they are answered
_NETSTRING = re.compile(rb"(\d{1,5}):")
_LINE_END = re.compile(rb"\r?\n")


class Conversation(asyncio.Protocol):
    """`comes` says whether an address may ask, `gone` is called at the end; `idle_seconds` of silence end it."""

    def __init__(
        self,
        answers: Answers,
        idle_seconds: float,
        comes: Callable[[Conversation, str], bool],
        gone: Callable[[Conversation], None],
    ) -> None:
        self._answers, self._idle, self._comes, self._gone = answers, idle_seconds, comes, gone
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._ended = False  # they will ask no more
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody came."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if self._comes(self, str(peer[0]) if isinstance(peer, tuple) else ""):
            self._wait()
        else:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._transport = None
        self._writable.set()
        if self._timer is not None:
            self._timer.cancel()
        self._gone(self)

    def data_received(self, data: bytes) -> None:
        """Questions, or pieces of them."""
        self._buffer += data
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())
        elif len(self._buffer) > MOST_WAITING and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Exim says its question and that it has no more; it still wants the answer."""
        self._ended = True
        if self._task is None and self._buffer:  # a last line without an end
            self._task = asyncio.get_running_loop().create_task(self._answer())
        return self._task is not None

    def pause_writing(self) -> None:
        """They ask and do not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """They do."""
        self._writable.set()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    # -- answering ------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle, self.close)

    async def _answer(self) -> None:
        try:
            while self._transport is not None:
                try:
                    question, self._buffer = split(self._buffer, self._ended)
                except ValueError:  # no protocol we know: there is no way to say so in it
                    self.close()
                    return
                if len(self._buffer) <= MOST_WAITING:
                    self._transport.resume_reading()
                if question is None:
                    break
                octets = await self._said(question)
                await self._writable.wait()
                if self._transport is not None:
                    self._transport.write(octets)
                    self._wait()
        finally:
            self._task = None
        if self._ended and self._transport is not None:
            self._transport.close()

    async def _said(self, question: tuple[str, str]) -> bytes:
        kind, text = question
        if kind == "policy":
            attributes = dict(line.partition("=")[::2] for line in text.split("\n"))
            if attributes.get("request") != "smtpd_access_policy":
                return b"action=DUNNO\n\n"
            return f"action={await self._answers.policy(attributes)}\n\n".encode("ascii", "replace")
        table, _, key = text.partition(" ")
        said = str(await self._answers.look_up(table, key)).encode("utf-8", "replace")
        return b"%d:%b," % (len(said), said) if kind == "netstring" else said.rstrip() + b"\n"


def split(buffer: bytes, ended: bool) -> tuple[tuple[str, str] | None, bytes]:
    """The first whole question as (protocol, text), or None, and what follows it. Raises ValueError for what is none.

    `ended`: nothing follows, so that a last line needs no line end.
    """
    buffer = buffer.lstrip(b"\r\n")  # empty lines ask nothing
    if buffer[:1].isdigit():
        return _netstring(buffer)
    end = _LINE_END.search(buffer)
    first = buffer[: end.start()] if end is not None else buffer
    equals, space = first.find(b"="), first.find(b" ")
    if equals > 0 and (space < 0 or equals < space):
        return _policy(buffer)
    if end is None and not (ended and buffer):
        if len(buffer) > MOST_OCTETS:
            raise ValueError("an endless line")
        return None, buffer
    rest = buffer[end.end() :] if end is not None else b""
    return ("plain", _text(first)), rest


def _netstring(buffer: bytes) -> tuple[tuple[str, str] | None, bytes]:
    match = _NETSTRING.match(buffer)
    if match is None:
        if len(buffer) > 5 or not buffer.isdigit():
            raise ValueError("not a netstring")
        return None, buffer
    start, length = match.end(), int(match[1])
    if length > MOST_OCTETS:
        raise ValueError("too long")
    if len(buffer) <= start + length:
        return None, buffer
    if buffer[start + length : start + length + 1] != b",":
        raise ValueError("not a netstring")
    return ("netstring", _text(buffer[start : start + length])), buffer[start + length + 1 :]


def _policy(buffer: bytes) -> tuple[tuple[str, str] | None, bytes]:
    end = buffer.find(b"\n\n")
    if end < 0:
        if len(buffer) > MOST_OCTETS:
            raise ValueError("too long")
        return None, buffer
    if end > MOST_OCTETS:
        raise ValueError("too long")
    return ("policy", _text(buffer[:end])), buffer[end + 2 :]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
