"""What we write above a message: Received (RFC 5321 §4.4), and for submissions a missing Message-ID and Date."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

from posthouse.address import AddressError, normal_domain
from posthouse.message.dates import format_date
from posthouse.message.headers import Fields
from posthouse.message.identity import bare, message_id_of, new_message_id
from posthouse.smtp.session import TlsFacts

HEADER_READ = 1024 * 1024  # octets of a message that are looked at for its header
_MESSAGE_ID = re.compile(rb"[ \t]*:((?:[^\r\n]|\r\n[ \t]){0,2000})")


def protocol(verb: str, *, lmtp: bool, tls: bool, signed_in: bool, smtputf8: bool) -> str:
    """The word behind "with": RFC 3848 (ESMTP, S for TLS, A for AUTH), RFC 6531 §4.3 (UTF8)."""
    if lmtp:
        word = "UTF8LMTP" if smtputf8 else "LMTP"
    elif smtputf8:
        word = "UTF8SMTP"
    elif verb == "HELO":
        return "SMTP"
    else:
        word = "ESMTP"
    return f"{word}{'S' if tls else ''}{'A' if signed_in else ''}"


def client_literal(address: str) -> str:
    """The client's address as RFC 5321 §4.1.3 writes it; "" where a client has none (a local socket)."""
    address = address.partition("%")[0]
    if not address:
        return ""
    if address.startswith("::ffff:") and "." in address:
        return f"[{address[7:]}]"
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def received_from(
    name: str, address: str, host: str, tls: TlsFacts | None, client_name: str | None = None
) -> tuple[bytes, bytes]:
    """The parts of Received that stay the same for a whole session: before and behind the word for the protocol.

    `name` is what the client called itself; beyond ASCII it is written in A-labels (RFC 5321 §4.1.1.1). `client_name`:
    what the DNS calls it, "" where it has no confirmed name, None where nobody asked.
    """
    if not name.isascii():
        try:
            name = normal_domain(name)
        except AddressError:
            name = "unknown"
    literal = client_literal(address)
    if literal and client_name is not None:
        literal = f"{client_name or 'unknown'} {literal}"  # RFC 5321 §4.4: TCP-info = Domain FWS address-literal
    # RFC 5321 §4.4: From-domain = "FROM" FWS Extended-Domain, where the address stands as TCP-info in a comment.
    before = f"Received: from {name or 'unknown'}{f' ({literal})' if literal else ''}\r\n\tby {host} (Posthouse) with "
    encrypted = f" ({tls.version} {tls.cipher})" if tls else ""
    return before.encode("ascii", "replace"), f"{encrypted} id ".encode("ascii", "replace")


def received(parts: tuple[bytes, bytes], word: str, queue_name: str, recipient: str, at: float) -> bytes:
    """The Received field; `recipient` only when there is exactly one (more would tell each of the others)."""
    for_one = f"\r\n\tfor <{recipient}>" if recipient else ""
    return b"".join(
        (parts[0], word.encode(), parts[1], f"{queue_name}{for_one}; {_date(int(at))}\r\n".encode("utf-8", "replace"))
    )


@lru_cache(maxsize=4)
def _date(at: int) -> str:
    return format_date(at)


def header_of(content: bytes) -> bytes:
    """The header of a message (its beginning is enough), without the empty line."""
    end = content.find(b"\r\n\r\n", 0, HEADER_READ)
    return content[: end + 2] if end >= 0 else content[:HEADER_READ]


def hops_and_id(header: bytes) -> tuple[int, str]:
    """How many Received fields a header has (RFC 5321 §6.3), and its bare Message-ID ("" for none).

    Costs a few scans at the speed of C: every message passes here.
    """
    lowered = b"\n" + header.lower()
    at = lowered.find(b"\nmessage-id")
    value = _MESSAGE_ID.match(header, at + 10) if at >= 0 else None
    return lowered.count(b"\nreceived:"), bare(value[1].decode("utf-8", "replace")) if value else ""


def added_to_submission(header: bytes, host: str, at: float, random: Random) -> tuple[bytes, str]:
    """The fields a submission lacks (RFC 6409 §8.2, §8.3), and the bare Message-ID it has then."""
    fields = Fields(header)
    added = b""
    message_id = message_id_of(fields)
    if message_id is None:
        made = new_message_id(host, int(at), random)
        added = f"Message-ID: {made}\r\n".encode("ascii", "replace")
        message_id = bare(made)
    if "date" not in fields:
        added += f"Date: {format_date(int(at))}\r\n".encode()
    return added, message_id
