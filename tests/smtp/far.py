"""A far server written another way than ours: line by line, strict about nesting, and able to vanish at any reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


class Vanished(Exception):
    """The far server has cut the connection, as it was told to."""


@dataclass
class Far:
    """``vanish_after`` replies (the greeting is the first) it cuts the connection, before the reply or behind it."""

    keywords: tuple[str, ...] = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "DSN")
    vanish_after: int = 0
    lmtp: bool = False
    esmtp: bool = True
    overrides: dict[str, bytes] = field(default_factory=dict)  # a verb, and what is said instead of its reply
    commands: list[str] = field(default_factory=list)
    messages: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    said: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.reader, self.writer = reader, writer
        with contextlib.suppress(Vanished, ConnectionError, asyncio.IncompleteReadError):
            await self.say(self.overrides.get("GREETING", b"220 far.example"))
            return_path, recipients = None, []
            while True:
                line = (await reader.readuntil(b"\r\n"))[:-2].decode()
                self.commands.append(line)
                verb = line[:4].upper()
                if verb in self.overrides:
                    if verb == "BDAT":
                        await reader.readexactly(int(line.split()[1]))
                    await self.say(self.overrides[verb])
                elif verb in ("EHLO", "LHLO"):
                    await self.hello()
                elif verb == "RSET":
                    return_path, recipients = None, []
                    await self.say(b"250 reset")
                elif verb == "MAIL":
                    if return_path is not None:
                        await self.say(b"503 5.5.1 nested MAIL")
                    elif "nobody@" in line:
                        await self.say(b"550 5.7.1 not you")
                    else:
                        return_path = line[11 : line.index(">")]
                        await self.say(b"250 2.1.0 ok")
                elif verb == "RCPT":
                    address = line[9 : line.index(">")]
                    if return_path is None or address.startswith(("nobody", "later")):
                        code = b"450 4.2.0" if address.startswith("later") else b"550 5.1.1"
                        await self.say(code + b" no")
                    else:
                        recipients.append(address)
                        await self.say(b"250 2.1.5 ok")
                elif verb == "DATA":
                    if not recipients:
                        await self.say(b"503 5.5.1 no recipients")
                        continue
                    await self.say(b"354 go")
                    content = await self.dotted()
                    await self.keep(return_path or "", recipients, content)
                    return_path, recipients = None, []
                elif verb == "BDAT":
                    content = await reader.readexactly(int(line.split()[1]))
                    if recipients:
                        await self.keep(return_path or "", recipients, content)
                        return_path, recipients = None, []
                    else:
                        await self.say(b"503 5.5.1 no recipients")
                else:
                    await self.say(b"221 bye" if verb == "QUIT" else b"250 ok")
        writer.close()

    async def hello(self) -> None:
        """Keywords, or none."""
        if not self.esmtp:
            await self.say(b"502 5.5.1 what?")
            return
        await self.say(
            "\r\n".join(["250-far.example", *(f"250-{word}" for word in self.keywords), "250 HELP"]).encode()
        )

    async def dotted(self) -> bytes:
        """Content up to the dot, line by line."""
        content = b""
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            content += line[1:] if line.startswith(b".") else line
        return content

    async def keep(self, return_path: str, recipients: list[str], content: bytes) -> None:
        """Take responsibility, then say so."""
        refused = b"reject me" in content
        if not refused:
            self.messages.append((return_path, recipients, content))
        for number in range(len(recipients) if self.lmtp else 1):
            full = self.lmtp and recipients[number].startswith("full")
            await self.say(b"554 5.6.0 no" if refused else b"452 4.2.2 full" if full else b"250 2.0.0 kept")

    async def say(self, reply: bytes) -> None:
        """One reply, unless it is time to vanish."""
        self.said += 1
        if self.vanish_after and self.said > self.vanish_after:
            self.writer.transport.abort()
            raise Vanished
        if reply == b"silence":
            return
        self.writer.write(reply + b"\r\n")
        await self.writer.drain()
        if reply.startswith(b"421"):
            self.writer.close()
            raise Vanished


@contextlib.asynccontextmanager
async def listening_far(far: Far) -> AsyncIterator[int]:
    """The far server on a free loopback port."""
    listener = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
