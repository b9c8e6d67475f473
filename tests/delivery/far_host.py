"""A scripted far host on loopback: it says what a test tells it to, and remembers what it took and how."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

ALL = ("PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES")


@dataclass
class Taken:
    """A transaction the far host answered with 250."""

    return_path: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    connection: int
    mail: str = ""
    rcpts: list[str] = field(default_factory=list)
    client: str = ""  # the address it came from
    hello: str = ""


class Lost(Exception):
    """The script says: the connection is lost here."""


class FarHost:
    """`replies` maps a stage (greeting ehlo helo starttls mail rcpt data final) or a recipient to the reply to say.

    `lose_at` names a stage at which the connection is lost instead, `losses` how often. `silent_at` a stage at which
    nothing is said. `gate`, when set, holds back every final reply until it is opened.
    """

    def __init__(self, *offers: str, tls: ssl.SSLContext | None = None) -> None:
        self.offers = list(offers or ALL)
        self.tls = tls
        self.replies: dict[str, str] = {}
        self.lose_at, self.losses = "", 1 << 30
        self.silent_at = ""
        self.gate: asyncio.Event | None = None
        self.blocked: set[str] = set()  # clients that are greeted with 554
        self.most_messages = 0  # of one connection; then 421
        self.most_connections = 0  # at the same time; then 421
        self.taken: list[Taken] = []
        self.said: list[str] = []  # every command line that came
        self.connections = self.open = self.most_open = self.final_waiting = self.turned_away = 0
        self.per_connection: Counter[int] = Counter()
        self.arrived = asyncio.Condition()
        self.on_taken: Callable[[Taken], None] = lambda taken: None
        self.address, self.port = "127.0.0.1", 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> FarHost:
        if address.startswith("/"):
            self._server = await asyncio.start_unix_server(self._accept, address, limit=1 << 24)
            return self
        self._server = await asyncio.start_server(self._accept, address, port or free_port(), limit=1 << 24)
        self.address = address
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def took(self, count: int, seconds: float = 60) -> list[Taken]:
        """Wait until so many transactions were taken."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.taken) >= count)
        return self.taken

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something holds; looked at whenever something happens here."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(condition)

    async def _happened(self) -> None:
        async with self.arrived:
            self.arrived.notify_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        number = self.connections
        try:
            await self._happened()
            if self.most_connections and self.open > self.most_connections:
                self.turned_away += 1
                self._say(writer, "421 4.7.0 too many connections")
                return
            await _Conversation(self, reader, writer, number).run()
        except (Lost, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            with contextlib.suppress(Exception):
                writer.close()
            with contextlib.suppress(Exception):
                await self._happened()

    @staticmethod
    def _say(writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{text}\r\n".encode())


class _Conversation:
    def __init__(self, host: FarHost, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.host, self.reader, self.writer, self.number = host, reader, writer, number
        self.encrypted = writer.get_extra_info("ssl_object") is not None
        self.client = str((writer.get_extra_info("peername") or ("",))[0])
        self.hello = ""
        self.lmtp = False
        self.messages = 0
        self.forget()

    def forget(self) -> None:
        self.mail = ""
        self.rcpts: list[str] = []
        self.chunks = b""

    async def say(self, stage: str, default: str, key: str = "") -> bool:
        """Answer as scripted; True when the answer is positive."""
        host = self.host
        if host.lose_at == stage and host.losses > 0:
            host.losses -= 1
            await self.writer.drain()
            raise Lost
        if host.silent_at == stage:
            await asyncio.Event().wait()
        text = host.replies.get(key) or host.replies.get(stage) or default
        self.writer.write(f"{text}\r\n".encode())
        if text.startswith("421"):
            await self.writer.drain()
            raise Lost
        return text[0] in "23"

    async def run(self) -> None:
        if self.client in self.host.blocked:
            self.writer.write(b"554 5.7.1 we do not like you\r\n")
            return
        if not await self.say("greeting", "220 far.example"):
            return
        while line := (await self.reader.readline()).decode():
            self.host.said.append(line.rstrip("\r\n"))
            if not await self.command(line.strip()):
                return
            await self.writer.drain()

    async def command(self, line: str) -> bool:
        verb, host = line[:4].upper(), self.host
        if verb in ("EHLO", "LHLO"):
            self.hello, self.lmtp = line[5:], verb == "LHLO"
            offers = [*host.offers, *(["STARTTLS"] if host.tls and not self.encrypted else [])]
            lines = ["far.example", *offers]
            text = "\r\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{word}" for n, word in enumerate(lines))
            await self.say("ehlo", text)
        elif verb == "STAR":
            if await self.say("starttls", "220 go"):
                await self.writer.start_tls(host.tls)  # type: ignore[arg-type]
                self.encrypted = True
        elif verb == "MAIL":
            if host.most_messages and self.messages >= host.most_messages:
                self.writer.write(b"421 4.7.0 enough\r\n")
                raise Lost
            if await self.say("mail", "250 2.1.0 ok"):
                self.mail = line
        elif verb == "RCPT":
            if not self.mail:
                self.writer.write(b"503 5.5.1 MAIL first\r\n")
            elif await self.say("rcpt", "250 2.1.5 ok", line[9 : line.index(">")]):
                self.rcpts.append(line)
        elif verb == "DATA":
            if not self.rcpts:
                self.writer.write(b"503 5.5.1 nobody\r\n")
            elif await self.say("data", "354 go"):
                content = await self.reader.readuntil(b"\r\n.\r\n")
                await self.take(content[:-3].replace(b"\r\n..", b"\r\n."))
        elif verb == "BDAT":
            words = line.split()
            self.chunks += await self.reader.readexactly(int(words[1]))
            if not self.rcpts:
                self.writer.write(b"503 5.5.1 nobody\r\n")
                self.chunks = b""
            elif words[-1].upper() == "LAST":
                await self.take(self.chunks)
            else:
                self.writer.write(b"250 2.0.0 chunk\r\n")
        elif verb == "QUIT":
            self.writer.write(b"221 2.0.0 bye\r\n")
            return False
        else:
            self.forget()
            await self.say(verb.lower(), "250 2.0.0 ok")
        return True

    async def take(self, content: bytes) -> None:
        host = self.host
        if host.gate is not None:
            host.final_waiting += 1
            await host._happened()
            await host.gate.wait()
            host.final_waiting -= 1
        if self.lmtp:  # RFC 2033 §4.2: an answer for each
            self.rcpts = [one for one in self.rcpts if await self.say("final", "250 2.1.5 here", f"final {_path(one)}")]
        if self.rcpts if self.lmtp else await self.say("final", "250 2.0.0 taken"):
            self.messages += 1
            host.per_connection[self.number] += 1
            taken = Taken(
                self.mail[11 : self.mail.index(">")], [line[9 : line.index(">")] for line in self.rcpts], content,
                self.encrypted, self.number, self.mail, self.rcpts, self.client, self.hello,
            )  # fmt: skip
            host.taken.append(taken)
            host.on_taken(taken)
            await host._happened()
        self.forget()


def _path(line: str) -> str:
    return line[line.index("<") + 1 : line.index(">")]


def certificate(folder: Path) -> ssl.SSLContext:
    """A server context with a self-signed certificate for mx.far.example and 127.0.0.1; it is in `folder`/far.pem."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.far.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("mx.far.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "far.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
