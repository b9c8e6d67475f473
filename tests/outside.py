"""The far host: receives what leaves the house over real SMTP, and sends to it. Not built from the product's parts."""

from __future__ import annotations

import asyncio
import email
import email.policy
import email.utils
import smtplib
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.ports import free_port


@dataclass(frozen=True)
class Received:
    """One transaction that the far host took."""

    return_path: str
    recipients: tuple[str, ...]
    content: bytes
    tls: bool
    client: str = ""  # the address it came from
    hello: str = ""

    @property
    def subject(self) -> str:
        """Its subject, read without parsing all of it."""
        header = self.content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        return next((line[9:] for line in header.split("\r\n") if line.lower().startswith("subject: ")), "")

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)  # type: ignore[return-value]


class _Handler:
    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.outside.replies.get(address) or self.outside.replies.get(address.rpartition("@")[2])
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.outside.final_reply:
            return self.outside.final_reply
        if not self.outside.answers.is_set():
            self.outside.asked.set()
            await asyncio.to_thread(self.outside.answers.wait, 600)
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        took = Received(
            (envelope.mail_from or "").removeprefix("<>"), tuple(envelope.rcpt_tos), content, session.ssl is not None,
            session.peer[0] if session.peer else "", session.host_name or "",
        )  # fmt: skip
        with self.outside.lock:
            self.outside.taken.append(took)
            self.outside.lock.notify_all()
        return "250 2.0.0 taken"


class Outside:
    """A host far away: `copies_for` what it got, `posts` what it sends."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.host = host
        self.lock = threading.Condition()
        self.taken: list[Received] = []
        self.replies: dict[str, str] = {}  # address or domain -> the reply to RCPT
        self.final_reply = ""
        self.answers = threading.Event()  # cleared: whole messages are read, and the reply keeps us waiting
        self.answers.set()
        self.asked = threading.Event()  # set once somebody waits for it
        self.house: Any = None
        self.connections = 0  # that were ever opened
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._talks: set[asyncio.BaseTransport] = set()
        self.port = free_port()

    def start(self) -> None:
        """Begin to listen, on the same port as before where there was one."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="outside")
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(60)

    async def _listen(self) -> None:
        made = await asyncio.get_running_loop().create_server(self._speaker, self.host, self.port)
        self._server = made
        self.port = made.sockets[0].getsockname()[1]

    def _speaker(self) -> SMTP:
        outside = self

        class Speaker(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                outside.connections += 1
                outside._talks.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                outside._talks.discard(self.transport)
                super().connection_lost(error)

        return Speaker(
            _Handler(self), hostname="mx.far.example", data_size_limit=0, tls_context=self._tls, enable_SMTPUTF8=True
        )

    def stop(self) -> None:
        """Be unreachable; connections end."""
        if self._loop is None or self._thread is None:
            return
        self.answers.set()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
        self._loop = self._thread = None

    async def _end(self) -> None:
        self._server.close()
        for talk in list(self._talks):
            talk.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    def copies_for(self, address: str) -> list[tuple[str, EmailMessage]]:
        """(return path, message) of everything that came for an address, in order."""
        with self.lock:
            return [(one.return_path, one.message) for one in self.taken if address in one.recipients]

    def waits_for(self, count: int, seconds: float = 60) -> bool:
        """Wait until so many transactions were taken; False when that did not happen in time."""
        with self.lock:
            return self.lock.wait_for(lambda: len(self.taken) >= count, seconds)

    def refuses(self, who: str, reply: str = "550 5.1.1 no such mailbox") -> None:
        """Answer RCPT for an address or a domain so from now on."""
        self.replies[who] = reply

    def accepts(self, who: str) -> None:
        """Take mail for an address or a domain again."""
        self.replies.pop(who, None)

    def posts(
        self, author: str, to: str, subject: str = "Hello", text: str = "Hello.", *, return_path: str | None = None,
        headers: Mapping[str, str] | None = None, message_id: str | None = None,
    ) -> str:  # fmt: skip
        """Send a message into the house over SMTP; returns its final reply, also where it was refused."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = author, to, subject
        message["Date"] = email.utils.formatdate(self.house.clock())
        message["Message-ID"] = message_id or email.utils.make_msgid(domain=author.rpartition("@")[2])
        for name, value in (headers or {}).items():
            del message[name]
            message[name] = value
        message.set_content(text + "\n")
        return self.sends(
            author if return_path is None else return_path, [to], message.as_bytes(policy=email.policy.SMTP)
        )

    def sends(self, return_path: str, recipients: list[str], content: bytes, port: int | None = None) -> str:
        """Send bytes into the house; returns the reply that decided."""
        with smtplib.SMTP("127.0.0.1", port or self.house.port, timeout=60) as server:
            server.ehlo("client.far.example")
            code, reply = server.mail(return_path)
            for recipient in recipients if code // 100 == 2 else []:
                code, reply = server.rcpt(recipient)
                if code // 100 != 2:
                    break
            if code // 100 == 2:
                code, reply = server.data(content)
        return f"{code} {reply.decode()}"
