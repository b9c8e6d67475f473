"""A far host that answers as it is told and notes what it was asked: for questions about addresses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Answering:
    """`replies` by the beginning of a command line ("RCPT TO:<ana@", "MAIL"), "" for the greeting; the longest fits.

    A reply "-" is silence, "!" ends the connection.
    """

    def __init__(self, replies: dict[str, str] | None = None, keywords: tuple[str, ...] = ()) -> None:
        self.replies = replies or {}
        self.keywords = keywords
        self.commands: list[str] = []
        self.connections = 0
        self.clients: set[str] = set()  # addresses that questions came from
        self.port = 0
        self._said = asyncio.Event()

    def asked(self, verb: str) -> list[str]:
        """The command lines that begin so."""
        return [line for line in self.commands if line.startswith(verb)]

    async def reached(self, verb: str) -> None:
        """Wait until somebody has said that."""
        while not self.asked(verb):
            self._said.clear()
            await self._said.wait()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        name = writer.get_extra_info("peername")
        self.clients.add(name[0] if name else "")
        with contextlib.suppress(OSError):
            if await self._say(writer, self.replies.get("", "220 mx.far.example ESMTP")):
                while line := (await reader.readline()).decode().rstrip("\r\n"):
                    self.commands.append(line)
                    self._said.set()
                    if not await self._say(writer, self._reply(line)):
                        break
        writer.close()

    def _reply(self, line: str) -> str:
        fits = [known for known in self.replies if known and line.startswith(known)]
        if fits:
            return self.replies[max(fits, key=len)]
        if line.startswith(("EHLO", "LHLO")):
            return "\r\n".join(f"250-{word}" for word in ("mx.far.example", *self.keywords)) + "\r\n250 HELP"
        return "221 2.0.0 bye" if line == "QUIT" else "250 2.0.0 OK"

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, reply: str) -> bool:
        if reply == "!":
            return False
        if reply != "-":
            writer.write(f"{reply}\r\n".encode())
            await writer.drain()
        return True


@contextlib.asynccontextmanager
async def answering(replies: dict[str, str] | None = None, *keywords: str, host: str = "127.0.0.1", port: int = 0,
                    path: str = "") -> AsyncIterator[Answering]:  # fmt: skip
    """Such a host, listening while the block runs."""
    far = Answering(replies, keywords)
    if path:
        server: asyncio.Server = await asyncio.start_unix_server(far.talk, path)
    else:
        server = await asyncio.start_server(far.talk, host, port)
        far.port = server.sockets[0].getsockname()[1]
    try:
        yield far
    finally:
        server.close()
