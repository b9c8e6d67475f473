"""Messages the house writes itself: notices in text and HTML, with files and forwarded messages attached."""

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from posthouse.message.dates import format_date
from posthouse.message.headers import encode_field
from posthouse.message.mime import safe_filename
from posthouse.message.words import HARD_LINE

_LINE_END = re.compile(rb"\r\n|\r|\n")
_TOKEN = re.compile(r"[A-Za-z0-9._-]+\Z")


@dataclass(frozen=True, slots=True)
class Attached:
    """Something to attach; a `content_type` of message/rfc822 forwards the message in `content` as it is."""

    filename: str
    content_type: str
    content: bytes


def with_crlf(content: bytes) -> bytes:
    """The same lines, each ended by CRLF: bare CR and LF never leave here (RFC 5321 §2.3.8)."""
    return _LINE_END.sub(b"\r\n", content)


def quoted_printable(content: bytes, eol: bytes = b"\r\n") -> bytes:
    """Text bytes in quoted-printable (RFC 2045 §6.7) with these line ends."""
    encoded = binascii.b2a_qp(_LINE_END.sub(b"\n", content), istext=True)
    return encoded.replace(b"\n", eol)


def base64_lines(content: bytes, eol: bytes = b"\r\n") -> bytes:
    """Bytes in base64, 76 columns (RFC 2045 §6.8)."""
    return b"".join(
        binascii.b2a_base64(content[start : start + 57], newline=False) + eol for start in range(0, len(content), 57)
    )


def text_part(text: str, subtype: str = "plain", eol: bytes = b"\r\n", fields: Sequence[tuple[str, str]] = ()) -> bytes:
    """One text part with its Content fields, 7-bit on the wire whatever the text holds; ends its last line."""
    raw = _LINE_END.sub(eol, text.encode("utf-8", "replace").replace(b"\0", b""))
    if not raw.endswith(eol):
        raw += eol
    charset, encoding = "utf-8", "7bit"
    if raw.isascii() and all(len(line) <= HARD_LINE for line in raw.split(eol)):
        charset = "us-ascii"
    elif sum(octet > 126 for octet in raw) * 4 > len(raw):
        encoding, raw = "base64", base64_lines(raw, eol)
    else:
        encoding, raw = "quoted-printable", quoted_printable(raw, eol)
    head = encode_field("Content-Type", f'text/{subtype}; charset="{charset}"', eol)
    head += encode_field("Content-Transfer-Encoding", encoding, eol)
    head += b"".join(encode_field(name, value, eol) for name, value in fields)
    return head + eol + raw


def multipart(subtype: str, parts: Sequence[bytes], eol: bytes = b"\r\n", parameters: str = "") -> bytes:
    """A multipart with its Content-Type around parts that are whole (fields, empty line, body)."""
    boundary = boundary_for(parts)
    delimiter = b"--" + boundary.encode("ascii")
    head = encode_field("Content-Type", f'multipart/{subtype};{parameters} boundary="{boundary}"', eol)
    body = b"".join(delimiter + eol + part + (b"" if part.endswith(b"\n") else eol) + eol for part in parts)
    return head + eol + body + delimiter + b"--" + eol


def boundary_for(parts: Iterable[bytes]) -> str:
    """A boundary that occurs in none of the parts, the same for the same parts."""
    digest = hashlib.sha256()
    pieces = list(parts)
    for piece in pieces:
        digest.update(piece)
    boundary = f"=_{digest.hexdigest()[:32]}"
    while any(boundary.encode("ascii") in piece for piece in pieces):
        digest.update(b".")
        boundary = f"=_{digest.hexdigest()[:32]}"
    return boundary


def attached_part(attached: Attached) -> bytes:
    """One attachment as a part: base64, but a message as it is (RFC 2046 §5.2.1 forbids to encode it)."""
    name = safe_filename(attached.filename) or "attachment"
    fields = encode_field("Content-Disposition", f"attachment; {_parameter('filename', name)}")
    kind = attached.content_type if re.fullmatch(r"[\w.+-]+/[\w.+-]+", attached.content_type, re.ASCII) else ""
    if kind.lower() == "message/rfc822":
        raw = with_crlf(attached.content)
        encoding = "7bit" if raw.isascii() else "8bit"
        return (
            encode_field("Content-Type", "message/rfc822")
            + encode_field("Content-Transfer-Encoding", encoding)
            + fields
            + b"\r\n"
            + raw
        )
    return (
        encode_field("Content-Type", kind or "application/octet-stream")
        + encode_field("Content-Transfer-Encoding", "base64")
        + fields
        + b"\r\n"
        + base64_lines(attached.content)
    )


def _parameter(name: str, value: str) -> str:
    if _TOKEN.match(value):
        return f"{name}={value}"
    if value.isascii():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}="{escaped}"'
    # RFC 2231 §4
    coded = "".join(
        chr(octet) if octet < 128 and (chr(octet).isalnum() or octet in b"-._") else f"%{octet:02X}"
        for octet in value.encode("utf-8", "replace")
    )
    return f"{name}*=utf-8''{coded}"


def notice(
    *,
    author: str,
    to: str,
    subject: str,
    text: str,
    message_id: str,
    date: int | str,
    html: str | None = None,
    auto_submitted: str = "auto-generated",
    extra_headers: Iterable[tuple[str, str]] = (),
    attachments: Iterable[Attached] = (),
) -> bytes:
    """A whole message with CRLF line ends, 7-bit unless it forwards an 8-bit one.

    `author` and `to` are header values (`Name <address>`, names through `encode_phrase`); `date` is a Date value or
    seconds since 1970; `auto_submitted` is RFC 3834 §5's keyword, "" or "no" leaves the field out. Raises HeaderError
    for a line break in any header value.
    """
    fields = [("From", author), ("To", to), ("Subject", subject)]
    fields.append(("Date", date if isinstance(date, str) else format_date(date, 0)))
    fields.append(("Message-ID", message_id if message_id.startswith("<") else f"<{message_id}>"))
    if auto_submitted not in ("", "no"):
        fields.append(("Auto-Submitted", auto_submitted))
    fields.extend(extra_headers)
    fields.append(("MIME-Version", "1.0"))
    entity = text_part(text)
    if html is not None:
        entity = multipart("alternative", [entity, text_part(html, "html")])
    parts = [attached_part(attached) for attached in attachments]
    if parts:
        entity = multipart("mixed", [entity, *parts])
    return b"".join(encode_field(name, value) for name, value in fields) + entity
