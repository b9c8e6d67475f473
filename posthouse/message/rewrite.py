"""What a list changes in a posting, as edits of its bytes: subject prefix and footer; signed parts stay whole."""

import codecs
import re

from posthouse.address import AddressError, key_of, mailboxes
from posthouse.message.compose import base64_lines, boundary_for, quoted_printable, text_part
from posthouse.message.headers import Fields, HeaderEditor
from posthouse.message.mime import Part, closing_delimiter, part_tree, transfer_decoded
from posthouse.message.text import codec_of
from posthouse.message.words import decode_words

_REPLY = re.compile(r"(?:\s*+(?:re|aw|sv|antw|vs|rif)(?:\[\d{1,3}\])?\s*+:)++\s*+", re.IGNORECASE)
_NO_SUBJECT = "(no subject)"
_SEPARATE = (("Content-Disposition", "inline"),)


def addressed_to(fields: Fields) -> set[str]:
    """The keys of the addresses in To and Cc; what is no address is left out."""
    keys: set[str] = set()
    for name in ("to", "cc"):
        for value in fields.all(name)[:20]:
            for _, address in mailboxes(value, decode_words):
                try:
                    keys.add(key_of(address))
                except AddressError:
                    continue
    return keys


def add_subject_prefix(editor: HeaderEditor, prefix: str) -> None:
    """Put the list's prefix before the subject, once: `Re: [garden] Beans` stays as it is, byte for byte.

    A prefix that stands there several times is kept once, before the Re:. Raises HeaderError for a line break in it.
    """
    prefix = prefix.strip()
    if not prefix:
        return
    raw = editor.first("subject") or ""
    subject = " ".join(decode_words(raw).split())
    pattern = re.compile(re.escape(prefix) + r"\s*", re.IGNORECASE)
    times = len(pattern.findall(subject))
    if times == 1 and pattern.match(_REPLY.sub("", subject, count=1)):
        return
    if times:
        rest = pattern.sub("", subject).strip()
        replies = _REPLY.match(rest)
        if replies:
            rest = f"{rest[: rest.index(':') + 1].strip()} {rest[replies.end() :]}"
        editor.replace("Subject", f"{prefix} {rest or _NO_SUBJECT}")
    elif prefix.isascii() and raw.isascii() and raw.strip():
        editor.replace("Subject", f"{prefix} {' '.join(raw.split())}")  # encoded words stay as their author wrote them
    else:
        editor.replace("Subject", f"{prefix} {subject or _NO_SUBJECT}")


def append_footer(content: bytes, footer_text: str) -> bytes:
    """The message with the footer at its end; never raises, an empty footer changes nothing.

    One text is continued in its own charset and transfer encoding; a multipart/mixed gets one more text part; all
    else (HTML, alternatives, signed or encrypted, a charset that cannot hold the footer) is wrapped, unchanged, into a
    multipart/mixed together with the footer. A signed part inside stays byte for byte the same.
    """
    footer_text = "\n".join(line.rstrip() for line in footer_text.strip("\r\n").splitlines())
    if not footer_text:
        return content
    fields = Fields(content)
    editor = HeaderEditor.on(content)
    root, _ = part_tree(content, fields)
    if root.content_type == "text/plain" and not root.children and root.disposition != "attachment":
        continued = _continued(content, root, footer_text, editor.eol)
        if continued is not None:
            return _with_body(content, fields, continued, editor.eol)
    if root.content_type == "multipart/mixed" and root.children:
        return _with_part(content, root, footer_text, editor.eol)
    return _wrapped(content, fields, footer_text, editor.eol)


def _with_body(content: bytes, fields: Fields, body: bytes, eol: bytes) -> bytes:
    head = content[fields.header_start : fields.header_end]
    if head and not head.endswith(b"\n"):
        head += eol
    separator = content[fields.header_end : fields.body_offset] or eol
    return head + separator + body


def _continued(content: bytes, part: Part, footer_text: str, eol: bytes) -> bytes | None:
    """The body with the footer in the same charset and encoding, None when they cannot hold it."""
    body = content[part.start : part.end]
    footer = _in_charset(footer_text, part.parameters.get("charset", ""))
    if footer is None or not fits_declared(part):
        return None
    encoding = part.encoding
    if encoding == "base64":
        text = transfer_decoded(body, encoding)
        inner = b"\r\n" if b"\r\n" in text or b"\n" not in text else b"\n"
        return base64_lines(_joined(text, footer, inner), eol)
    if encoding == "quoted-printable":
        if body and not body.endswith(b"\n"):
            body += eol
        if body.rstrip(b"\r\n \t").endswith(b"="):  # a soft break at the very end would swallow our first line end
            body += eol
        return _joined(body, quoted_printable(footer, b"\n").rstrip(b"\n"), eol)
    if encoding in ("8bit", "binary") or (footer.isascii() and encoding in ("", "7bit")):
        return _joined(body, footer, eol)
    return None


def fits_declared(part: Part) -> bool:
    """Whether the transfer encoding may stand on a text (RFC 2045 §6); an unknown one is never continued."""
    return part.encoding in ("", "7bit", "8bit", "binary", "quoted-printable", "base64")


def _in_charset(text: str, charset: str) -> bytes | None:
    codec = codec_of(charset) if charset else "ascii"
    if charset.lower() in ("us-ascii", "ascii"):
        codec = "ascii"
    try:
        if not codec or codecs.encode("a\n", codec) != b"a\n":  # UTF-16 and its like begin with a mark
            return None
        return text.encode(codec)
    except (UnicodeError, LookupError):
        return None


def _joined(body: bytes, footer: bytes, eol: bytes) -> bytes:
    if body and not body.endswith(b"\n"):
        body += eol
    if body.rstrip(b"\r\n").endswith(b" ") and not body.endswith((b"\n\n", b"\n\r\n")):
        body += eol  # a soft line of format=flowed would draw the footer into the paragraph (RFC 3676 §4.1)
    return body + footer.replace(b"\n", eol) + eol


def _with_part(content: bytes, root: Part, footer_text: str, eol: bytes) -> bytes:
    delimiter = b"--" + root.parameters["boundary"].rstrip().encode("utf-8", "replace")
    added = delimiter + eol + text_part(footer_text, eol=eol, fields=_SEPARATE)
    closing = closing_delimiter(content, root)
    start = root.fields.header_start
    if closing >= 0:
        return content[start:closing] + added + eol + content[closing:]
    before = content[start:] if content.endswith(b"\n") else content[start:] + eol
    return before + added + eol + delimiter + b"--" + eol


def _wrapped(content: bytes, fields: Fields, footer_text: str, eol: bytes) -> bytes:
    """The body as the first part of a multipart/mixed, under its own Content fields, the footer as the second."""
    outer: list[bytes] = []
    inner: list[bytes] = []
    for name, raw in fields:
        whole = raw if raw.endswith(b"\n") else raw + eol
        (inner if name.lower().startswith("content-") else outer).append(whole)
    editor = HeaderEditor(b"".join(outer))
    if "mime-version" not in fields:
        editor.append("MIME-Version", "1.0")
    first = b"".join(inner) + eol + content[fields.body_offset :]
    second = text_part(footer_text, eol=eol, fields=_SEPARATE)
    boundary = boundary_for((first, second))
    delimiter = b"--" + boundary.encode("ascii")
    editor.append("Content-Type", f'multipart/mixed; boundary="{boundary}"')
    body = delimiter + eol + first + eol + delimiter + eol + second + eol + delimiter + b"--" + eol
    return editor.to_bytes() + eol + body
