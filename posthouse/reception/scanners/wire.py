"""How a scanner is reached: TCP or a unix socket, its servers tried in turn, every wait bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TypeVar

from posthouse.configuration import endpoint

T = TypeVar("T")
DOWN_SECONDS = 30.0  # a server that failed is tried last for so long
MOST_ANSWER = 1024 * 1024  # octets of any answer
_HIGH_WATER = 256 * 1024


class ScannerError(Exception):
    """A scanner's server could not be reached, fell silent, or answered what nobody understands; the text says it."""


class Nobody(ScannerError):
    """No server answered; `tries`: (server, why) of each."""

    def __init__(self, tries: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{server}: {why}" for server, why in tries))
        self.tries = tuple(tries)


class Wire:
    """One connection to a scanner's server; an asynchronous context."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        writer.transport.set_write_buffer_limits(high=_HIGH_WATER)

    @classmethod
    async def open(cls, server: str, seconds: float) -> Wire:
        """Connect to `ADDRESS:PORT` or `unix:/PATH`. Raises ScannerError."""
        try:
            async with asyncio.timeout(seconds):
                if server.startswith("unix:"):
                    return cls(*await asyncio.open_unix_connection(server[5:], limit=MOST_ANSWER))
                host, port = endpoint(server)
                return cls(*await asyncio.open_connection(host, port, limit=MOST_ANSWER))
        except TimeoutError:
            raise ScannerError(f"no connection in {seconds:g} seconds") from None
        except (OSError, ValueError) as error:
            raise ScannerError(reason_of(error)) from error

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, whatever is still on its way."""
        with contextlib.suppress(Exception):
            self._writer.transport.abort()

    async def send(self, octets: bytes) -> None:
        """Write and wait until most of it has gone. Raises OSError."""
        self._writer.write(octets)
        await self._writer.drain()

    def say(self, octets: bytes) -> None:
        """Write without waiting: a few octets, said at the end."""
        self._writer.write(octets)

    def end(self) -> None:
        """Hang up when what was said has gone."""
        with contextlib.suppress(Exception):
            self._writer.close()

    async def converse(self, blocks: Iterable[bytes], answer: Callable[[asyncio.StreamReader], Awaitable[T]]) -> T:
        """Send all blocks while listening: some servers answer, and hang up, before they have heard all."""
        sending = asyncio.get_running_loop().create_task(self._send_all(blocks))
        try:
            return await answer(self.reader)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError) as error:
            raise ScannerError(reason_of(error)) from error
        finally:
            sending.cancel()

    async def _send_all(self, blocks: Iterable[bytes]) -> None:
        with contextlib.suppress(OSError):  # the answer, or its absence, says more
            for block in blocks:
                await self.send(block)


async def to_the_end(reader: asyncio.StreamReader) -> bytes:
    """All there is until the other side closes. Raises ScannerError beyond MOST_ANSWER."""
    found = bytearray()
    while block := await reader.read(64 * 1024):
        found += block
        if len(found) > MOST_ANSWER:
            raise ScannerError("its answer is too long")
    return bytes(found)


def reason_of(error: BaseException) -> str:
    """Why it failed, in a few words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, asyncio.IncompleteReadError):
        return "it hung up"
    if isinstance(error, (asyncio.LimitOverrunError, ValueError)):  # ValueError: readline's word for the same
        return "its answer is too long"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split())[:200] or type(error).__name__


class Servers:
    """The servers of one scanner; those that failed lately are tried last. `clock`: seconds."""

    def __init__(self, servers: Sequence[str], connect_timeout: float, clock: Callable[[], float]) -> None:
        self._servers, self._connect_timeout, self._clock = tuple(servers), connect_timeout, clock
        self._failed: dict[str, float] = {}

    def order(self) -> list[str]:
        """All of them, the best to ask first."""
        if not self._failed:
            return list(self._servers)
        late = self._clock() - DOWN_SECONDS
        return sorted(self._servers, key=lambda server: self._failed.get(server, 0.0) > late)

    async def ask(self, seconds: float, question: Callable[[Wire], Awaitable[T]]) -> tuple[T, list[tuple[str, str]]]:
        """(the first answer there is, who failed before it). `seconds`: for one server. Raises Nobody."""
        tries: list[tuple[str, str]] = []
        for server in self.order():
            try:
                async with asyncio.timeout(seconds):
                    async with await Wire.open(server, min(seconds, self._connect_timeout)) as wire:
                        answer = await question(wire)
            except TimeoutError:
                self.failed(server, f"no answer in {seconds:g} seconds", tries)
            except (ScannerError, OSError) as error:
                self.failed(server, reason_of(error), tries)
            else:
                self._failed.pop(server, None)
                return answer, tries
        raise Nobody(tries)

    async def connect(
        self, seconds: float, prepare: Callable[[Wire], Awaitable[None]]
    ) -> tuple[Wire, str, list[tuple[str, str]]]:
        """(a connection that is prepared, its server, who failed before it). Raises Nobody."""
        tries: list[tuple[str, str]] = []
        for server in self.order():
            wire = None
            try:
                async with asyncio.timeout(seconds):
                    wire = await Wire.open(server, min(seconds, self._connect_timeout))
                    await prepare(wire)
            except (ScannerError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                if wire is not None:
                    wire.close()
                self.failed(server, reason_of(error), tries)
            except asyncio.CancelledError:
                if wire is not None:
                    wire.close()
                raise
            else:
                self._failed.pop(server, None)
                return wire, server, tries
        raise Nobody(tries)

    def failed(self, server: str, why: str, tries: list[tuple[str, str]]) -> None:
        """Note a failure."""
        self._failed[server] = self._clock()
        tries.append((server, why))
