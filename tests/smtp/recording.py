"""A Session that answers by simple rules and records what it was asked; and listeners on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions, ForwardPath, Limits, Peer, ReturnPath, StorageError, TlsFacts

LIMITS = Limits(
    message_size=100_000,
    command_line=512,
    header_size=2_000,
    header_count=20,
    content_line=2_048,
    recipients=3,
    soft_errors=0,
    hard_errors=8,
    unknown_commands=4,
    error_delay=0.0,
    spool_above=8_192,
)


class RecordingSink:
    """Keeps the octets and how they came."""

    def __init__(self, *, full: bool) -> None:
        self.chunks: list[bytes] = []
        self.aborted = 0
        self.full = full

    def write(self, chunk: bytes | memoryview) -> None:
        if self.full:
            raise StorageError("disk full")
        self.chunks.append(bytes(chunk))

    def abort(self) -> None:
        self.aborted += 1

    @property
    def content(self) -> bytes:
        return b"".join(self.chunks)


class RecordingSession:
    """Local parts make the rules: ``nobody`` is unknown, ``later`` deferred, ``slow`` answered by an awaitable,
    ``broken`` raises; a message for ``full`` finds no room."""

    def __init__(
        self,
        *,
        lmtp: bool = False,
        limits: Limits = LIMITS,
        extensions: Extensions | None = None,
        greet_delay: float = 0.0,
        slow: bool = False,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.lmtp = lmtp
        self.limits = limits
        self.delay = greet_delay
        self.offered = extensions or Extensions()
        self.slow = slow
        self.gate = gate
        self.peers: list[Peer] = []
        self.hellos: list[tuple[str, str]] = []
        self.mails: list[ReturnPath] = []
        self.recipients: list[ForwardPath] = []
        self.messages: list[tuple[str, tuple[str, ...], bytes]] = []
        self.sinks: list[RecordingSink] = []
        self.refusals: list[tuple[str, Reply, str]] = []
        self.logins: list[tuple[str, str, str, str]] = []
        self.resets = 0
        self.facts: list[TlsFacts] = []
        self.closings: list[str] = []
        self.gone = asyncio.Event()

    def greet_delay(self, address: str) -> float:
        return self.delay

    def greeting(self, peer: Peer) -> Reply | Awaitable[Reply]:
        self.peers.append(peer)
        return self._answer(catalogue.TALKED_EARLY if peer.talked_early else catalogue.GREETING)

    def extensions(self) -> Extensions:
        return self.offered

    def hello(self, verb: str, name: str) -> Reply | Awaitable[Reply]:
        self.hellos.append((verb, name))
        return self._answer(catalogue.HELLO)

    def mail(self, path: ReturnPath) -> Reply | Awaitable[Reply]:
        self.mails.append(path)
        if path.address.startswith("nobody@"):
            return self._answer(catalogue.REFUSED_BY_POLICY)
        self.recipients = []
        return self._answer(catalogue.MAIL_OK)

    def recipient(self, path: ForwardPath) -> Reply | Awaitable[Reply]:
        local = path.address.partition("@")[0]
        if local == "nobody":
            return self._answer(catalogue.NO_SUCH_MAILBOX)
        if local == "later":
            return self._answer(catalogue.DEFERRED_BY_POLICY)
        if local == "broken":
            raise LookupError("the directory is broken")
        self.recipients.append(path)
        return self._later(catalogue.RCPT_OK) if local == "slow" else self._answer(catalogue.RCPT_OK)

    def begin_content(self) -> RecordingSink | Reply:
        if any(path.address.startswith("busy@") for path in self.recipients):
            return catalogue.TEMPORARILY_UNAVAILABLE
        sink = RecordingSink(full=any(path.address.startswith("full@") for path in self.recipients))
        self.sinks.append(sink)
        return sink

    def end_content(self, sink: object) -> Reply | list[Reply] | Awaitable[Reply]:
        assert isinstance(sink, RecordingSink)
        recipients = tuple(path.address for path in self.recipients)
        self.messages.append((self.mails[-1].address, recipients, sink.content))
        if self.lmtp:
            return [
                catalogue.STORAGE_FULL if recipient.startswith("filled@") else catalogue.ACCEPTED
                for recipient in recipients
            ]
        if self.gate is not None:
            return self._gated(self.gate)
        return self._answer(catalogue.ACCEPTED)

    def reset(self) -> None:
        self.resets += 1

    def unknown(self, line: str) -> Reply | Awaitable[Reply]:
        return self._answer(catalogue.UNKNOWN_COMMAND)

    def authenticate(self, mechanism: str, identity: str, password: str, authorization: str) -> Awaitable[Reply]:
        self.logins.append((mechanism, identity, password, authorization))
        return self._later(catalogue.AUTH_SUCCEEDED if password == "right" else catalogue.AUTH_FAILED)

    def tls_started(self, facts: TlsFacts) -> None:
        self.facts.append(facts)

    def closed(self, reason: str) -> None:
        self.closings.append(reason)
        self.gone.set()

    def refused(self, stage: str, reply: Reply, text: str) -> None:
        self.refusals.append((stage, reply, text))

    def _answer(self, reply: Reply) -> Reply | Awaitable[Reply]:
        return self._later(reply) if self.slow else reply

    async def _later(self, reply: Reply) -> Reply:
        await asyncio.sleep(0)
        return reply

    async def _gated(self, gate: asyncio.Event) -> Reply:
        await gate.wait()
        return catalogue.ACCEPTED


@contextlib.asynccontextmanager
async def listening(
    make: Callable[[], RecordingSession], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[RecordingSession], list[Server]]]:
    """A listener on a free loopback port; the sessions and servers it made, in order."""
    sessions: list[RecordingSession] = []
    servers: list[Server] = []

    def factory() -> Server:
        sessions.append(make())
        servers.append(Server(sessions[-1]))
        return servers[-1]

    listener = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[1], sessions, servers
    finally:
        listener.close()


@lru_cache(maxsize=1)
def certificate(directory: str) -> tuple[str, str]:
    """A self-signed certificate for localhost and its key, as two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = Path(directory, "certificate.pem"), Path(directory, "key.pem")
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    os.chmod(key_file, 0o600)
    return str(certificate_file), str(key_file)


def server_context(directory: str) -> ssl.SSLContext:
    """A TLS context for a listener."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(directory))
    return context


def client_context(directory: str) -> ssl.SSLContext:
    """A TLS context that trusts exactly that certificate."""
    return ssl.create_default_context(cafile=certificate(directory)[0])
