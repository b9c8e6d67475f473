"""What the engine asks of the policy behind it: Session, Sink and the plain facts that pass between them."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from posthouse.smtp.reply import Reply

MaybeReply = Reply | Awaitable[Reply]
FinalReply = Reply | Sequence[Reply]


class StorageError(Exception):
    """A Sink could not keep what it was given; the client hears 452 4.3.1 when the content has ended, in step."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of one connection, in octets, seconds or counts. 0 means: no such bound (where that is allowed)."""

    message_size: int = 200 * 1024 * 1024  # octets of content; also what EHLO announces (RFC 1870)
    command_line: int = 2048  # octets with CRLF; RFC 5321 §4.5.3.1.4 asks for 512 and more for each extension
    auth_line: int = 12288  # RFC 4954 §4
    content_line: int = 0  # octets with CRLF
    header_size: int = 100 * 1024  # octets before the first empty line
    header_count: int = 1000  # header fields
    recipients: int = 1000  # per transaction; announced as RCPTMAX (RFC 9422)
    transactions: int = 0  # per connection; announced as MAILMAX (RFC 9422)
    soft_errors: int = 10  # from here on every refusal is delayed by error_delay seconds
    hard_errors: int = 20  # here the connection is closed
    unknown_commands: int = 10
    error_delay: float = 1.0
    idle_seconds: float = 300.0  # RFC 5321 §4.5.3.2.7
    data_seconds: float = 180.0  # between two blocks of content
    data_rate: int = 500  # octets per second a message must reach once data_seconds have passed
    total_seconds: float = 0.0  # of the connection; a transaction under way is allowed to finish
    soft_refusals: bool = False  # say 4yz instead of every 5yz
    spool_above: int = 64 * 1024  # content up to here reaches the sink in a single write


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """How a connection is encrypted, for trace fields and policy."""

    version: str  # "TLSv1.3"
    cipher: str  # "TLS_AES_256_GCM_SHA384"
    bits: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Both ends of a connection as the sockets name them."""

    address: str
    port: int
    local_address: str
    local_port: int
    tls: TlsFacts | None = None
    talked_early: bool = False  # bytes came before the greeting although it was held back for greet_delay


@dataclass(frozen=True, slots=True)
class Extensions:
    """What EHLO offers beyond what is always there; SIZE and LIMITS come from Limits."""

    starttls: ssl.SSLContext | None = None
    auth: bool = False  # AUTH PLAIN LOGIN, and only when the connection is encrypted
    chunking: bool = True  # RFC 3030
    smtputf8: bool = True  # RFC 6531
    dsn: bool = True  # RFC 3461


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """What MAIL said. ``address`` is empty for the null return path; ``envid`` and ``auth`` are decoded xtext."""

    address: str
    size: int | None = None
    body: str = ""  # "", "7BIT" or "8BITMIME"
    smtputf8: bool = False
    ret: str = ""  # "", "FULL" or "HDRS" (RFC 3461 §4.3)
    envid: str = ""  # RFC 3461 §4.4
    auth: str = ""  # RFC 4954 §5


@dataclass(frozen=True, slots=True)
class ForwardPath:
    """What RCPT said. ``notify`` is upper case ("NEVER" or "SUCCESS,DELAY"); ``original_recipient`` "rfc822;a@b"."""

    address: str
    notify: str = ""  # RFC 3461 §4.1
    original_recipient: str = ""  # RFC 3461 §4.2, decoded


class Sink(Protocol):
    """Where the content of one message goes: clean octets, CRLF line ends, dots unstuffed."""

    def write(self, chunk: bytes | memoryview, /) -> None:
        """Keep a chunk. Raises StorageError when it cannot; the engine then aborts and answers 452 at the end."""

    def abort(self) -> None:
        """The content is refused or the client has gone: forget it."""


class Session(Protocol):
    """Policy for one connection. Methods answer at once with a Reply, or with an awaitable of one.

    The engine keeps the order of commands, so a method is never called while an awaitable of another one is pending
    (except ``closed``). An exception from a method is reported to the loop's exception handler and answered with 451.
    """

    lmtp: bool
    limits: Limits

    def greet_delay(self, address: str, /) -> float:
        """Seconds the greeting of this client is held back to see who talks first; 0 for none."""

    def greeting(self, peer: Peer, /) -> MaybeReply:
        """220 to go on; any other reply is said and the connection closed."""

    def extensions(self) -> Extensions:
        """What to offer now (asked at each EHLO, STARTTLS and AUTH)."""

    def hello(self, verb: str, name: str, /) -> MaybeReply:
        """HELO, EHLO or LHLO; the engine appends the keywords to a positive reply."""

    def mail(self, path: ReturnPath, /) -> MaybeReply:
        """MAIL; syntax, SIZE against the limit and order have been checked."""

    def recipient(self, path: ForwardPath, /) -> MaybeReply:
        """RCPT; syntax, order and the number of recipients have been checked."""

    def begin_content(self) -> Sink | Reply:
        """DATA or the first BDAT, when at least one recipient was accepted. A Reply refuses."""

    def end_content(self, sink: Sink, /) -> FinalReply | Awaitable[FinalReply]:
        """The content is complete and lawful. LMTP: one reply per accepted recipient, in order (RFC 2033 §4.2).

        A positive reply means: it is ours, durably. It is not cancelled when the client goes away meanwhile.
        """

    def reset(self) -> None:
        """The transaction is over: RSET, EHLO, STARTTLS, or after its final reply."""

    def unknown(self, line: str, /) -> MaybeReply:
        """A command that the engine does not know: a negative reply, UNKNOWN_COMMAND where there is no other."""

    def authenticate(self, mechanism: str, identity: str, password: str, authorization: str, /) -> MaybeReply:
        """AUTH, under TLS; 235 accepts."""

    def tls_started(self, facts: TlsFacts, /) -> None:
        """STARTTLS succeeded; forget what was said before (RFC 3207 §4.2)."""

    def closed(self, reason: str, /) -> None:
        """The connection is gone; called exactly once."""

    def refused(self, stage: str, reply: Reply, text: str, /) -> None:
        """The engine itself said no, at ``stage`` ("command", "mail", "content"...); ``text`` is what provoked it."""
