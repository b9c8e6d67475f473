"""One server connection as bytes, time and order: buffers, gathered replies, waiting for answers, TLS, closing."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import Peer, Session, TlsFacts

BUFFER_LIMIT = 64 * 1024  # octets kept while an answer is awaited; beyond it the client waits in its own buffers


class Connection(asyncio.Protocol, ABC):
    """The part of the server that knows no command. Subclasses set ``_mode`` to a function that consumes the buffer."""

    __slots__ = (
        "_at",
        "_buffer",
        "_closing",
        "_early",
        "_ended",
        "_gone",
        "_heard",
        "_held",
        "_keep_pending",
        "_limits",
        "_loop",
        "_mode",
        "_opened",
        "_out",
        "_paused",
        "_pending",
        "_reason",
        "_session",
        "_stalled",
        "_timer",
        "_transport",
        "_urgent",
        "_waiting",
        "tls",
    )

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._session = session
        self._limits = session.limits
        self._loop = loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._at = 0  # how much of the buffer is consumed
        self._out: list[bytes] = []
        self._waiting = True  # an answer is awaited: no command is looked at
        self._pending: asyncio.Future[Any] | None = None
        self._keep_pending = False  # what is awaited must not be cancelled when the client goes
        self._stalled = False  # the client does not read our replies
        self._paused = False  # we do not read from the client
        self._urgent = False  # a reply that must leave even if others are still awaited
        self._closing = self._gone = self._ended = self._early = False
        self._held = False  # the greeting was held back
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._opened = 0.0
        self._mode: Callable[[Any], bool] = _nothing  # a plain function, not a bound method: no reference cycle
        self.tls: TlsFacts | None = None

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here (on implicit TLS: after the handshake)."""
        self._transport = cast(asyncio.Transport, transport)
        self._heard = self._opened = self._loop.time()
        self.tls = _tls_facts(transport)
        self._timer = self._loop.call_later(self._tick_seconds(), self._tick)
        delay = self._session.greet_delay(_peer(transport, self.tls, False).address)
        if delay > 0:
            self._held = True
            self._loop.call_later(delay, self._greet)
        else:
            self._greet()

    def data_received(self, data: bytes) -> None:
        """Octets from the client, in any pieces."""
        self._heard = self._loop.time()
        if self._closing:
            return
        self._buffer = self._buffer[self._at :] + data if self._buffer else data
        self._at = 0
        if self._waiting:
            self._early = True
            if len(self._buffer) > BUFFER_LIMIT:
                self._pause()
            return
        self._advance()

    def eof_received(self) -> bool:
        """The client will say no more; what it said is still answered (not under TLS, which cannot half close)."""
        self._ended = True
        return (self._waiting or self._stalled) and self.tls is None and not self._closing

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        if self._gone:
            return
        self._gone = self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._pending is not None and not self._keep_pending:
            self._pending.cancel()
        self._buffer = b""
        self._mode = _nothing
        self._dropped()
        reason = self._reason or (f"connection lost: {exc}" if exc else "client closed the connection")
        try:
            self._session.closed(reason)
        except Exception as error:
            self._report(error)

    def pause_writing(self) -> None:
        """The client does not take our replies fast enough: no further command is looked at."""
        self._stalled = True

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stalled = False
        self._advance()

    def abort(self) -> None:
        """Cut the connection off, whatever is under way; what was handed over already still becomes durable."""
        self._closing = True
        self._reason = self._reason or "cut off"
        if self._transport is not None:
            self._transport.abort()

    # -- for subclasses -------------------------------------------------------------------------------------------

    @abstractmethod
    def _greeted(self, reply: Reply) -> None:
        """The session's greeting has come: say it and begin."""

    def _dropped(self) -> None:
        """The connection is gone: forget what is under way."""

    def _late(self, now: float) -> tuple[Reply | None, float]:
        """What to say when the client is too late, or None and the seconds until the next look."""
        if self._limits.idle_seconds <= 0:
            return None, self._tick_seconds()
        left = self._heard + self._limits.idle_seconds - now
        return (catalogue.IDLE if left <= 0 else None), left

    # -- order ----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Consume the buffer as far as possible, then send all replies of the group in one write (RFC 2920 §3.2)."""
        while not (self._waiting or self._stalled or self._closing) and self._mode(self):
            pass
        if self._at:
            self._buffer = self._buffer[self._at :]
            self._at = 0
        if self._out and (self._urgent or not self._waiting):
            self._flush()
        if self._waiting or self._stalled:
            if len(self._buffer) > BUFFER_LIMIT:
                self._pause()
        elif self._paused:
            self._paused = False
            if self._transport is not None and not self._closing:
                self._transport.resume_reading()
        if self._ended and not (self._waiting or self._stalled or self._closing):
            self._close("client closed the connection")

    def _say(self, reply: Reply) -> None:
        """Add a reply to the group; 421 also ends the connection (RFC 5321 §3.8)."""
        if reply.code >= 500 and self._limits.soft_refusals:
            reply = reply.softened()
        self._out.append(reply.octets)
        if reply.code == 421:
            self._close(str(reply))

    def _flush(self) -> None:
        self._urgent = False
        if self._transport is not None and not self._gone:
            out = self._out
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._out.clear()

    def _close(self, reason: str) -> None:
        """Send what is to be said and close; the timer stays to cut off a client that does not read it."""
        if self._closing:
            return
        self._closing = True
        self._reason = reason
        if self._out:
            self._flush()
        if self._transport is not None:
            self._transport.close()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._closing:
            self._paused = True
            self._transport.pause_reading()

    def _settle(self, answer: Any, then: Callable[[Any], None]) -> None:
        """Go on with an answer: at once when it is one, when it arrives when it is awaitable."""
        if isinstance(answer, Reply | list | tuple):
            then(answer)
        else:
            self._wait(answer, then)

    def _wait(self, answer: Awaitable[Any], then: Callable[[Any], None]) -> None:
        self._waiting = True
        try:
            self._pending = asyncio.ensure_future(answer)
        except TypeError as error:
            self._waiting = False
            then(self._fault(error))
            return
        self._pending.add_done_callback(partial(self._answered, then))

    def _answered(self, then: Callable[[Any], None], future: asyncio.Future[Any]) -> None:
        self._pending = None
        self._keep_pending = False
        if future.cancelled():
            answer: Any = catalogue.TEMPORARILY_UNAVAILABLE
        elif (error := future.exception()) is not None:
            answer = self._fault(error)
        else:
            answer = future.result()
        if self._gone:
            return
        self._waiting = False
        self._heard = self._loop.time()
        if not self._closing:
            then(answer)
            self._advance()

    def _rest(self, seconds: float) -> None:
        """Make the client wait for the replies of this group."""
        self._waiting = True
        self._loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        if not self._closing:
            self._waiting = False
            self._heard = self._loop.time()
            self._advance()

    def _fault(self, error: BaseException) -> Reply:
        """Policy failed: the operator gets the traceback, the client a 451."""
        self._report(error)
        return catalogue.TEMPORARILY_UNAVAILABLE

    def _report(self, error: BaseException) -> None:
        self._loop.call_exception_handler(
            {"message": "SMTP session failed", "exception": error, "protocol": self, "transport": self._transport}
        )

    # -- greeting, time, TLS --------------------------------------------------------------------------------------

    def _greet(self) -> None:
        if self._closing or self._transport is None:
            return
        peer = _peer(self._transport, self.tls, self._early and self._held)
        try:
            answer = self._session.greeting(peer)
        except Exception as error:
            answer = self._fault(error)
        self._waiting = False
        self._settle(answer, self._greeted)
        self._advance()

    def _tick_seconds(self) -> float:
        limits = self._limits
        shortest = limits.idle_seconds if limits.idle_seconds > 0 else 300.0
        if 0 < limits.data_seconds < shortest:
            shortest = limits.data_seconds
        if 0 < limits.total_seconds < shortest:
            shortest = limits.total_seconds
        return shortest

    def _tick(self) -> None:
        """The one timer of a connection: it looks at clocks that are only written on the way."""
        if self._gone or self._transport is None:
            return
        now = self._loop.time()
        if self._closing:
            self._transport.abort()  # our last words were not read
            return
        if self._waiting:
            self._heard = now  # the client waits for us
        late, left = self._late(now)
        if late is None:
            self._timer = self._loop.call_later(max(min(left, self._tick_seconds()), 0.001), self._tick)
            return
        self._timer = self._loop.call_later(self._tick_seconds(), self._tick)
        if self._stalled:
            self._closing, self._reason = True, str(late)
            self._transport.abort()
        else:
            self._say(late)

    def _encrypt(self, context: ssl.SSLContext, then: Callable[[Any], None]) -> None:
        """Start TLS; whatever came in clear text behind the command is thrown away (RFC 3207 §6)."""
        self._buffer, self._at = b"", 0
        self._flush()
        assert self._transport is not None
        # Nothing may be read between our 220 and the handshake: start_tls itself resumes reading.
        self._transport.pause_reading()
        self._paused = False
        self._wait(self._handshake(context, self._transport), then)

    async def _handshake(self, context: ssl.SSLContext, transport: asyncio.Transport) -> Reply:
        try:
            encrypted = await self._loop.start_tls(transport, self, context, server_side=True)
        except (OSError, ssl.SSLError, asyncio.CancelledError) as error:
            transport.abort()
            self._reason = f"TLS handshake failed: {error}"
            self.connection_lost(None)  # asyncio tells the protocol nothing about a handshake that failed
            return catalogue.TEMPORARILY_UNAVAILABLE
        if encrypted is None:  # the client left during the handshake
            self._reason = "client left during the TLS handshake"
            self.connection_lost(None)
            return catalogue.TEMPORARILY_UNAVAILABLE
        self._transport = encrypted
        self.tls = _tls_facts(encrypted)
        return catalogue.OK


def _nothing(_connection: Connection) -> bool:
    return False


def _tls_facts(transport: asyncio.BaseTransport) -> TlsFacts | None:
    secured = transport.get_extra_info("ssl_object")
    if secured is None:
        return None
    name, _, bits = secured.cipher() or ("", "", 0)
    return TlsFacts(secured.version() or "", name, bits)


def _peer(transport: asyncio.BaseTransport, tls: TlsFacts | None, early: bool) -> Peer:
    far = transport.get_extra_info("peername")
    near = transport.get_extra_info("sockname")
    # A UNIX socket (LMTP) has no address; its name is a string.
    address, port = (far[0], far[1]) if isinstance(far, tuple) else ("", 0)
    local, local_port = (near[0], near[1]) if isinstance(near, tuple) else (str(near or ""), 0)
    return Peer(address, port, local, local_port, tls, early)
