"""A header above and a footer below what a message says, as edits of its bytes; signed parts stay whole.

A `Plan` is made once for a message and filled in for as many copies as wanted, each with words of its own.
"""

import codecs
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from posthouse.message.compose import base64_lines, boundary_for, quoted_printable, text_part
from posthouse.message.headers import Fields, HeaderEditor
from posthouse.message.mime import Part, closing_delimiter, part_tree, transfer_decoded
from posthouse.message.text import codec_of
from posthouse.message.words import HARD_LINE

__all__ = ["Decoration", "Plan", "Unfit", "decorated", "plan"]

ABOVE, BELOW = 0, 1
QUOTED = "quoted-printable"
_SEPARATE = (("Content-Disposition", "inline"),)
_MOST_RECODED = 1024 * 1024  # octets of a text that are decoded to be continued; more is wrapped
# What only the whole message can be read as: mail programs decrypt none of it inside something else.
_SEALED = frozenset(("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"))
_CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_STUFFED = re.compile(r"^(?=[ >]|From )", re.MULTILINE)  # RFC 3676 §4.4

Decoration = tuple[str, str]  # what stands above and below; "" for nothing


class Unfit(ValueError):
    """A text that cannot be written in the charset and encoding of the message it shall be put into."""


@dataclass(frozen=True, slots=True)
class Line:
    """A place in a text: what is put there is written in the text's own charset and transfer encoding."""

    which: int
    codec: str
    encoding: str
    eol: bytes
    flowed: bool = False

    def render(self, decoration: Decoration) -> bytes:
        """The bytes of it. Raises Unfit."""
        raw = _encoded(decoration[self.which], self.codec, self.flowed)
        if self.encoding == QUOTED:
            raw = quoted_printable(raw, b"\n").rstrip(b"\n")
        elif self.encoding in ("", "7bit") and not raw.isascii():
            raise Unfit("a 7-bit text holds no other letters")
        elif len(raw) > HARD_LINE and max(map(len, raw.split(b"\n"))) > HARD_LINE:
            raise Unfit("a line is too long for a text that is not encoded")
        return raw.replace(b"\n", self.eol) + self.eol


@dataclass(frozen=True, slots=True)
class Recoded:
    """A whole text, decoded: its words stand between what is put above and below, in a new transfer encoding."""

    text: bytes
    codec: str
    inner: bytes  # line end within the text
    eol: bytes
    flowed: bool = False
    encoding: str = "base64"

    def render(self, decoration: Decoration) -> bytes:
        """The bytes of it. Raises Unfit."""
        above, below = (_encoded(words, self.codec, self.flowed).replace(b"\n", self.inner) for words in decoration)
        text = self.text
        if above:
            text = above + self.inner + text
        if below:
            text += _joint(text, self.inner) + below + self.inner
        return quoted_printable(text, self.eol) if self.encoding == QUOTED else base64_lines(text, self.eol)


@dataclass(frozen=True, slots=True)
class Apart:
    """A place for a text part of its own."""

    which: int
    before: bytes
    after: bytes
    eol: bytes

    def render(self, decoration: Decoration) -> bytes:
        """The bytes of it."""
        return self.before + text_part(decoration[self.which], eol=self.eol, fields=_SEPARATE) + self.after


Piece = bytes | tuple[int, int] | Line | Recoded | Apart


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decorated message is made of: bytes, (start, end) of the content, and places for the decoration."""

    pieces: tuple[Piece, ...]

    def parts(self, decoration: Decoration) -> Iterator[bytes | tuple[int, int]]:
        """The pieces in order, places filled in. Raises Unfit."""
        for piece in self.pieces:
            yield piece if isinstance(piece, bytes | tuple) else piece.render(decoration)

    def filled(self, content: bytes, decoration: Decoration) -> bytes:
        """The decorated message. Raises Unfit."""
        return b"".join(
            content[part[0] : part[1]] if isinstance(part, tuple) else part for part in self.parts(decoration)
        )


def tidy(words: str) -> str:
    """A text as it is put into messages: lines that end in no blank, no empty ones around it.

    `-- ` keeps its blank: mail programs leave out what stands below it when they quote (RFC 3676 §4.3).
    """
    return "\n".join(line if line == "-- " else line.rstrip() for line in words.strip("\r\n").splitlines())


def decorated(content: bytes, above: str, below: str) -> bytes:
    """The message with these texts; never raises, empty ones change nothing.

    One text is continued in its own charset and transfer encoding, or in UTF-8 where that cannot hold the words; a
    multipart/mixed gets more text parts; all else (HTML, alternatives, signed, an unknown charset) is wrapped,
    unchanged, into a multipart/mixed together with them. A signed part inside stays byte for byte the same; what is
    encrypted as a whole is left as it is.
    """
    decoration = tidy(above), tidy(below)
    if decoration == ("", ""):
        return content
    try:
        return plan(content, decoration).filled(content, decoration)
    except Unfit:
        return plan(content, decoration, wrap=True).filled(content, decoration)


def plan(content: bytes, sample: Decoration, *, wrap: bool = False) -> Plan:
    """How to decorate a message. `sample` tells which of the two there will be; with `wrap` any words fit later."""
    fields = Fields(content)
    editor = HeaderEditor.on(content)
    root, _ = part_tree(content, fields)
    if root.content_type in _SEALED:
        return Plan(((0, len(content)),))
    if root.content_type == "multipart/mixed" and root.children:
        return Plan(tuple(_between_parts(content, root, sample, editor.eol)))
    is_text = root.content_type == "text/plain" and not root.children and root.disposition != "attachment"
    if is_text and wrap:
        widened = _widened(content, root, editor)
        if widened is not None:
            return Plan(widened)
    elif is_text:
        continued = _continued(content, root, sample, editor.eol)
        if continued is not None:
            return Plan((*_head(content, fields, editor.eol), *continued))
    return Plan(tuple(_wrapped(content, fields, root, sample, editor.eol)))


def _head(content: bytes, fields: Fields, eol: bytes) -> Iterator[Piece]:
    yield fields.header_start, fields.header_end
    if fields.header_end > fields.header_start and content[fields.header_end - 1] != 10:
        yield eol
    yield content[fields.header_end : fields.body_offset] or eol


def _continued(content: bytes, part: Part, sample: Decoration, eol: bytes) -> list[Piece] | None:
    """The body with places in the same charset and encoding, None when there can be none."""
    codec, encoding = _codec(part.parameters.get("charset", "")), part.encoding
    flowed = _is_flowed(part)
    if not codec or encoding not in ("", "7bit", "8bit", "binary", "quoted-printable", "base64"):
        return None
    if encoding == "base64":
        if part.end - part.start > _MOST_RECODED:
            return None
        text = transfer_decoded(content[part.start : part.end], encoding)
        inner = b"\r\n" if b"\r\n" in text or b"\n" not in text else b"\n"
        return [Recoded(text, codec, inner, eol, flowed)]
    pieces: list[Piece] = [(part.start, part.end)]
    if sample[ABOVE]:
        pieces.insert(0, Line(ABOVE, codec, encoding, eol, flowed))
    if sample[BELOW]:
        # The joint depends on the end of the body alone.
        end = content[max(part.start, part.end - 4096) : part.end]
        joint = b""
        if encoding == QUOTED:
            if end and not end.endswith(b"\n"):
                joint += eol
            if end.rstrip(b"\r\n \t").endswith(b"="):  # a soft break at the very end would swallow our first line end
                joint += eol
        joint += _joint(end + joint, eol)
        pieces += [joint, Line(BELOW, codec, encoding, eol, flowed)]
    return pieces


def _is_flowed(part: Part) -> bool:
    return part.parameters.get("format", "").lower() == "flowed"


def _widened(content: bytes, part: Part, editor: HeaderEditor) -> tuple[Piece, ...] | None:
    """The text in UTF-8, into which any words fit; None where its charset is not sure, or a signature needs it."""
    charset = part.parameters.get("charset", "")
    codec = _codec(charset)
    if not codec or part.end - part.start > _MOST_RECODED:
        return None
    raw = transfer_decoded(content[part.start : part.end], part.encoding)
    if _CLEARSIGNED in raw and not raw.isascii():
        return None  # RFC 9580 §7: what is signed are octets, in the charset in which they were written
    try:
        text = raw.decode(codec if codec == "ascii" else codec_of(charset)).encode("utf-8")
    except (UnicodeError, LookupError):
        return None
    encoding = "base64" if sum(octet > 126 for octet in text) * 4 > len(text) else QUOTED
    kept = "".join(
        f"; {name}={value}" for name in ("format", "delsp") if (value := part.parameters.get(name, "")).isalnum()
    )
    editor.replace("Content-Type", f'text/plain; charset="utf-8"{kept}')
    editor.replace("Content-Transfer-Encoding", encoding)
    if editor.first("mime-version") is None:
        editor.append("MIME-Version", "1.0")
    inner = b"\r\n" if b"\r\n" in text or b"\n" not in text else b"\n"
    eol = editor.eol
    return editor.to_bytes() + eol, Recoded(text, "utf-8", inner, eol, _is_flowed(part), encoding)


def _joint(text: bytes, eol: bytes) -> bytes:
    """What must stand between a text and the words below it."""
    if not text:
        return b""
    joint = b"" if text.endswith(b"\n") else eol
    if text.rstrip(b"\r\n").endswith(b" ") and not (text + joint).endswith((b"\n\n", b"\n\r\n")):
        joint += eol  # a soft line of format=flowed would draw the footer into the paragraph (RFC 3676 §4.1)
    return joint


def _codec(charset: str) -> str:
    """The codec a text can be continued in; "" for an unknown one and for those that begin with a mark (UTF-16).

    The charset itself, not the larger one that mailers mean by its name: what we write every program shall read.
    """
    if not charset or charset.lower() in ("us-ascii", "ascii"):
        return "ascii"
    codec = codec_of(charset)
    if not codec:
        return ""
    with contextlib.suppress(LookupError, ValueError):
        codec = codecs.lookup(charset).name
    try:
        return codec if codecs.encode("a\n", codec) == b"a\n" else ""
    except (UnicodeError, LookupError, TypeError):
        return ""


def _encoded(words: str, codec: str, flowed: bool) -> bytes:
    try:
        return (_STUFFED.sub(" ", words) if flowed else words).encode(codec)
    except (UnicodeError, LookupError):
        raise Unfit(f"{codec} has no letters for it") from None


def _between_parts(content: bytes, root: Part, sample: Decoration, eol: bytes) -> Iterator[Piece]:
    """A multipart/mixed with more parts: one before its first, one after its last."""
    delimiter = b"--" + root.parameters["boundary"].rstrip().encode("utf-8", "replace")
    position = root.fields.header_start
    if sample[ABOVE]:
        opened = root.children[0].start - root.children[0].fields.body_offset
        first = max(root.start, content.rfind(b"\n", root.start, max(root.start, opened - 1)) + 1)
        yield position, first
        yield Apart(ABOVE, delimiter + eol, eol, eol)
        position = first
    if not sample[BELOW]:
        yield position, len(content)
        return
    closing = closing_delimiter(content, root)
    if closing >= 0:
        yield position, closing
        yield Apart(BELOW, delimiter + eol, eol, eol)
        yield closing, len(content)
        return
    yield position, len(content)
    yield Apart(BELOW, (b"" if content.endswith(b"\n") else eol) + delimiter + eol, eol + delimiter + b"--" + eol, eol)


def _wrapped(content: bytes, fields: Fields, root: Part, sample: Decoration, eol: bytes) -> Iterator[Piece]:
    """The body as a part of a multipart/mixed, under its own Content fields, between the texts."""
    outer: list[bytes] = []
    inner: list[bytes] = []
    for name, raw in fields:
        whole = raw if raw.endswith(b"\n") else raw + eol
        (inner if name.lower().startswith("content-") else outer).append(whole)
    editor = HeaderEditor(b"".join(outer))
    if "mime-version" not in fields:
        editor.append("MIME-Version", "1.0")
    head = b"".join(inner) + eol
    texts = [words.encode("utf-8", "replace") for words in sample]
    boundary = boundary_for((head, content[fields.body_offset :], *texts))
    delimiter = b"--" + boundary.encode("ascii")
    editor.append("Content-Type", f'multipart/mixed; boundary="{boundary}"')
    if root.encoding in ("8bit", "binary"):
        editor.append("Content-Transfer-Encoding", root.encoding)  # RFC 2045 §6.4: no less than its parts need
    yield editor.to_bytes() + eol
    if sample[ABOVE]:
        yield Apart(ABOVE, delimiter + eol, eol, eol)
    yield delimiter + eol + head
    yield fields.body_offset, len(content)
    yield eol
    if sample[BELOW]:
        yield Apart(BELOW, delimiter + eol, eol, eol)
    yield delimiter + b"--" + eol
