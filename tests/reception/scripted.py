"""A server on a free port that does with each connection what the test says, and a milter's side of its protocol."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(play: Play) -> AsyncIterator[str]:
    """ADDRESS:PORT of a server that plays `play` with each connection."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await play(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def saying(answer: bytes, read: int = 1) -> Play:
    """Reads a little, says `answer`, hangs up."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(read)
        writer.write(answer)
        await writer.drain()

    return play


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads all there is and never answers."""
    while await reader.read(65536):
        pass


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Goes at once."""


@dataclass
class Filter:
    """A milter's side. `answers`: command -> packets to answer with (else "c"); `steps`: what it asks for."""

    answers: Mapping[bytes, list[bytes]] = field(default_factory=dict)
    actions: int = 0x1FF
    steps: int = 0
    symbols: bytes = b""
    version: int = 6
    once: dict[bytes, list[bytes]] = field(default_factory=dict)  # answers that are given one time
    heard: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)  # it was told QUIT

    # commands that it does not answer when it said so: the bits of steps
    SILENT = {b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000, b"L": 0x80, b"N": 0x40000,
              b"B": 0x80000}  # fmt: skip

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play it."""
        self.connections += 1
        while True:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            packet = await reader.readexactly(length)
            command, data = packet[:1], packet[1:]
            self.heard.append((command, data))
            if command in b"DA":
                continue
            if command == b"Q":
                self.left.set()
                return
            if command == b"O":
                replies = [b"O" + struct.pack("!III", self.version, self.actions, self.steps) + self.symbols]
            elif self.steps & self.SILENT.get(command, 0):
                continue
            else:
                replies = self.once.pop(command, None) or self.answers.get(command, [b"c"])
            for reply in replies:
                if reply == b"hang up":
                    return
                writer.write(struct.pack("!I", len(reply)) + reply)
            await writer.drain()

    def words(self, command: bytes) -> list[bytes]:
        """What it heard with this command."""
        return [data for known, data in self.heard if known == command]

    def order(self) -> str:
        """The commands it heard up to its end, macros left out."""
        return b"".join(command for command, _ in self.heard if command not in b"DQ").decode()


@contextlib.contextmanager
def in_a_thread(play: Play) -> Iterator[str]:
    """The same for tests that have no event loop of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack = contextlib.AsyncExitStack()
    try:
        yield asyncio.run_coroutine_threadsafe(stack.enter_async_context(serving(play)), loop).result(60)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
