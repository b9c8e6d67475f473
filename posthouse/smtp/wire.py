"""The client's end of a connection: replies as they come, writing without filling memory, and one timer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from posthouse.smtp.reply import MalformedReply, Reply, parse_reply

REPLY_LINE_LIMIT = 4096  # octets; RFC 5321 §4.5.3.1.5 says 512, some servers say more
REPLY_LINES = 200
WRITE_HIGH = 512 * 1024  # octets the transport may hold before we wait for the far side


class ClientError(Exception):
    """Something between us and the far server that is not a reply; the argument says what, for people."""


class ConnectFailed(ClientError):
    """No connection could be made."""


class ConnectionBroken(ClientError):
    """The connection ended, went silent, or what came was not SMTP."""


class TlsFailed(ClientError):
    """The TLS handshake failed; the connection is of no further use."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for each answer (RFC 5321 §4.5.3.2)."""

    connect: float = 30.0
    greeting: float = 300.0
    helo: float = 300.0
    mail: float = 300.0
    rcpt: float = 300.0
    data_init: float = 120.0
    data_block: float = 180.0
    data_done: float = 600.0
    quit: float = 5.0


class Wire(asyncio.Protocol, ABC):
    """Bytes and time; subclasses give ``_replied`` and ``_lost``, and call ``_send``, ``_stream``, ``_await_until``."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = t = timeouts
        # The timer is not set anew for each command, so it looks as often as the most impatient of them needs.
        self._glance = min(t.connect, t.greeting, t.helo, t.mail, t.rcpt, t.data_init, t.data_block, t.data_done)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._behind = False  # octets follow the line that is being looked at
        self._lines: list[bytes] = []  # of a reply whose last line is still to come
        self._outbox: deque[bytes | Iterator[bytes] | Callable[[], None]] = deque()
        self._stalled = False
        self._deadline = 0.0  # of the loop's clock; 0: nothing is awaited
        self._patience = 0.0  # seconds the current answer may take
        self._stalled_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.broken = ""  # why the connection is of no use any more

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)

    def connection_lost(self, exc: Exception | None) -> None:
        """The far side, the network or we ended it."""
        self._break(f"connection lost: {exc}" if exc else "the far server closed the connection")

    def eof_received(self) -> bool:
        """The far server will say no more."""
        return False

    def data_received(self, data: bytes) -> None:
        """Replies, or pieces of them."""
        if self.broken:
            return
        buffer = self._buffer + data if self._buffer else data
        self._buffer = b""
        start = 0
        try:
            while (end := buffer.find(b"\n", start)) >= 0:
                line = buffer[start : end - 1] if buffer[end - 1 : end] == b"\r" and end > start else buffer[start:end]
                start = end + 1
                self._behind = start < len(buffer)
                if not self._take_line(line):
                    return
        except MalformedReply as malformed:
            self._break(f"not a reply: {malformed}")
            return
        self._buffer = buffer[start:] if start else buffer
        if len(self._buffer) > REPLY_LINE_LIMIT:
            self._break("the far server sent an endless line")

    def pause_writing(self) -> None:
        """The far side takes no more for now."""
        self._stalled = True
        self._stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        """It does again; what is being sent gets its time anew (RFC 5321 §4.5.3.2.5)."""
        self._stalled = False
        if self._deadline:
            self._deadline = self._loop.time() + self._patience
        self._pump()

    # -- for subclasses -------------------------------------------------------------------------------------------

    @abstractmethod
    def _replied(self, reply: Reply) -> None:
        """A whole reply has come."""

    @abstractmethod
    def _lost(self, reason: str) -> None:
        """The connection is of no further use; called once."""

    # -- reading --------------------------------------------------------------------------------------------------

    def _take_line(self, line: bytes) -> bool:
        """One line; False when the connection is broken by it."""
        if len(line) > REPLY_LINE_LIMIT:
            raise MalformedReply("line too long")
        if line[3:4] == b"-":
            self._lines.append(line)
            if len(self._lines) > REPLY_LINES:
                raise MalformedReply("too many lines")
            return True
        if self._lines:
            lines, self._lines = [*self._lines, line], []
        else:
            lines = [line]
        self._replied(parse_reply(lines))
        return not self.broken

    # -- writing --------------------------------------------------------------------------------------------------

    def _send(self, *chunks: bytes) -> None:
        """Write in order, at once when the far side keeps up."""
        if self._outbox or self._stalled:
            self._outbox.extend(chunks)
        elif self._transport is not None:
            if len(chunks) == 1:
                self._transport.write(chunks[0])
            else:
                self._transport.writelines(chunks)

    def _stream(self, blocks: Iterator[bytes], handed: Callable[[], None]) -> None:
        """Write blocks as the far side takes them, then call ``handed``; an OSError of theirs breaks the connection."""
        self._outbox.append(blocks)
        self._outbox.append(handed)
        self._pump()

    def _pump(self) -> None:
        outbox = self._outbox
        while outbox and not self._stalled and not self.broken and self._transport is not None:
            item = outbox[0]
            if isinstance(item, bytes):
                self._transport.write(item)
                outbox.popleft()
            elif isinstance(item, Iterator):
                try:
                    block = next(item, None)
                except OSError as error:
                    self._break(f"content cannot be read: {error}")
                    return
                if block is None:
                    outbox.popleft()
                else:
                    self._transport.write(block)
            else:
                outbox.popleft()
                item()

    # -- time and endings -----------------------------------------------------------------------------------------

    def _await_until(self, seconds: float) -> None:
        """From now on something is awaited for so long (0: nothing is)."""
        self._patience = seconds
        self._deadline = self._loop.time() + seconds if seconds else 0.0
        if self._timer is None and seconds:
            self._timer = self._loop.call_later(min(seconds, self._glance), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.broken or not self._deadline:
            return  # armed again by the next thing awaited
        now = self._loop.time()
        if self._stalled:
            left = self._stalled_since + self._timeouts.data_block - now
        else:
            left = self._deadline - now
        if left <= 0:
            self._break("timed out waiting for the far server")
        else:
            self._timer = self._loop.call_later(min(left, self._glance), self._tick)

    def _break(self, reason: str) -> None:
        """The connection is of no further use; safe to repeat, the first reason stays."""
        if self.broken:
            return
        self.broken = reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for item in self._outbox:
            if isinstance(item, Iterator) and hasattr(item, "close"):
                item.close()  # a generator holds its file open
        self._outbox.clear()
        self._buffer = b""
        if self._transport is not None:
            self._transport.abort()
        self._lost(reason)
