"""One transaction on its way out, and what became of it: exactly who has it, who has not, and who is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from posthouse.smtp.data import stuff
from posthouse.smtp.path import encode_xtext
from posthouse.smtp.reply import Reply

BLOCK = 256 * 1024  # octets of a file in memory at a time
_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")


class UnsafeAddress(ValueError):
    """An address with CR, LF, NUL, a space or angle brackets: it could become a command of its own."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """Content in a file from ``offset`` on, ``size`` octets of it, with CRLF line ends; ``ascii`` when 7-bit."""

    path: str
    offset: int
    size: int
    ascii: bool = False

    def blocks(self) -> Iterator[bytes]:
        """The octets in blocks. Raises OSError, also when the file is shorter than it should be."""
        left = self.size
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            while left:
                block = file.read(min(BLOCK, left))
                if not block:
                    raise OSError(f"{self.path} is {left} octets shorter than expected")
                left -= len(block)
                yield block


@dataclass(frozen=True, slots=True)
class OutgoingRecipient:
    """One recipient, with what RFC 3461 says about it (sent only when the far side offers DSN)."""

    address: str
    notify: str = ""
    original_recipient: str = ""  # "rfc822;ana@far.example", decoded


@dataclass(slots=True)
class OutgoingTransaction:
    """What to send. The content is ``prefix`` + ``body``; the prefix is empty or ends with CRLF.

    ``stuffed`` may hold ``stuff(body)``, made once for thousands of copies that share a body. Raises UnsafeAddress on
    addresses that could inject a command, ValueError on a prefix with bare CR or LF.
    """

    return_path: str
    recipients: tuple[OutgoingRecipient, ...]
    prefix: bytes = b""
    body: bytes | FileBody = b""
    stuffed: bytes | None = None
    eight_bit: bool = True  # ask for BODY=8BITMIME where offered
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""

    def __post_init__(self) -> None:
        check_address(self.return_path)
        if not self.recipients:
            raise ValueError("a transaction needs recipients")
        for recipient in self.recipients:
            check_address(recipient.address)
            if not recipient.address:
                raise UnsafeAddress("a recipient cannot be empty")
            if recipient.notify and not recipient.notify.replace(",", "").isalpha():
                raise UnsafeAddress(f"unsafe NOTIFY: {recipient.notify!r}")
        if self.ret not in ("", "FULL", "HDRS"):
            raise ValueError("RET is FULL or HDRS")
        prefix = self.prefix
        if prefix:
            pairs = prefix.count(b"\r\n")
            if pairs != prefix.count(b"\r") or pairs != prefix.count(b"\n") or not prefix.endswith(b"\r\n"):
                raise ValueError("the prefix must consist of whole lines that end with CRLF")

    @property
    def size(self) -> int:
        """Octets of content, dots not doubled."""
        return len(self.prefix) + (self.body.size if isinstance(self.body, FileBody) else len(self.body))

    def has_eight_bit(self) -> bool:
        """Does the content hold octets beyond ASCII?"""
        body_ascii = self.body.ascii if isinstance(self.body, FileBody) else self.body.isascii()
        return not (body_ascii and self.prefix.isascii())

    def needs_smtputf8(self) -> bool:
        """Is an address beyond ASCII, or the header declared so?"""
        return (
            self.smtputf8
            or not self.return_path.isascii()
            or not all(recipient.address.isascii() for recipient in self.recipients)
        )

    def dotted(self) -> Iterator[bytes]:
        """The content as DATA sends it, with its end: one piece or, from a file, blocks."""
        if not isinstance(self.body, FileBody):
            body = self.stuffed if self.stuffed is not None else stuff(self.body)
            yield _dotted_prefix(self.prefix) + body if self.prefix else body
            return
        if self.prefix:
            yield _dotted_prefix(self.prefix)
        tail = b"\r\n"  # the last two octets before this block decide whether its first dot begins a line
        for block in self.body.blocks():
            joined = (tail + block).replace(b"\r\n.", b"\r\n..")
            yield joined[2:]
            tail = (tail + block)[-2:]
        yield b".\r\n" if tail == b"\r\n" else b"\r\n.\r\n"

    def plain(self) -> Iterator[bytes]:
        """The content as BDAT sends it: octet by octet as it is."""
        if self.prefix:
            yield self.prefix
        if isinstance(self.body, FileBody):
            yield from self.body.blocks()
        else:
            yield self.body

    def mail_line(self, offers: dict[str, str]) -> str:
        """MAIL with the parameters the far side offers (RFC 5321 §4.1.1.2)."""
        line = f"MAIL FROM:<{self.return_path}>"
        if "SIZE" in offers:
            line += f" SIZE={self.size}"  # RFC 1870 §3
        if self.eight_bit and "8BITMIME" in offers:
            line += " BODY=8BITMIME"  # RFC 6152 §2
        if self.needs_smtputf8():
            line += " SMTPUTF8"  # RFC 6531 §3.4
        if "DSN" in offers:
            line += f" RET={self.ret}" if self.ret else ""
            line += f" ENVID={encode_xtext(self.envid)}" if self.envid else ""
        return line + "\r\n"

    def rcpt_line(self, recipient: OutgoingRecipient, offers: dict[str, str]) -> str:
        """RCPT with the parameters the far side offers (RFC 5321 §4.1.1.3)."""
        line = f"RCPT TO:<{recipient.address}>"
        if "DSN" in offers:
            line += f" NOTIFY={recipient.notify}" if recipient.notify else ""
            if recipient.original_recipient:
                kind, _, address = recipient.original_recipient.partition(";")
                line += f" ORCPT={encode_xtext(kind)};{encode_xtext(address)}"
        return line + "\r\n"


class Outcome(Enum):
    """What is known about one recipient."""

    ACCEPTED = "accepted"  # the far side took responsibility
    REFUSED = "refused"  # it said no, for now or for good: see the reply
    UNSENT = "unsent"  # the connection ended first, and it surely has no copy
    UNKNOWN = "unknown"  # the whole content was handed over, and the connection ended before the answer


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """One recipient's fate; ``stage`` is the command whose reply decided it ("mail", "rcpt", "data", "content")."""

    address: str
    outcome: Outcome
    reply: Reply | None
    stage: str


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """The fates of all recipients, in order. ``lost`` tells whether the connection ended before the last word."""

    recipients: tuple[RecipientResult, ...]
    lost: Literal["", "before", "maybe"] = ""
    trouble: str = ""  # why it was lost

    @property
    def accepted(self) -> tuple[RecipientResult, ...]:
        """Those who surely have it."""
        return tuple(result for result in self.recipients if result.outcome is Outcome.ACCEPTED)


def check_address(address: str) -> None:
    """Raise UnsafeAddress when an address could break out of its angle brackets."""
    if _UNSAFE.search(address):
        raise UnsafeAddress(f"unsafe address: {address[:100]!r}")


def _dotted_prefix(prefix: bytes) -> bytes:
    return stuff(prefix)[:-3]
