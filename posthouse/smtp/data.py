"""The CRLF law: where content ends, dots undone, and what content must not hold; in bulk, never line by line.

The end of DATA is CRLF . CRLF and nothing else (RFC 5321 §4.1.1.4, §2.3.8). A message with a bare CR, a bare LF or a
NUL is refused, but only at its true end: so no server behind us and none before us can be led to see another end.
"""

from __future__ import annotations

import re

from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import Limits

END = b"\r\n.\r\n"
_STRAY = re.compile(rb"\r\n|\r|\n")


class Inspector:
    """Looks at clean content as it passes and knows in the end whether it is lawful.

    The verdict does not depend on how the content was cut into pieces: every law is checked to the end, and the
    gravest violation is the one reported.
    """

    __slots__ = ("_bare", "_carry", "_column", "_header", "_limits", "_long", "_nul", "_too_many", "_wide", "size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bare = self._nul = self._long = self._wide = self._too_many = False
        self._carry = b""  # a CR at the end of a piece: whether it is bare shows in the next one
        self._column = 0  # octets since the last LF
        self._header: bytearray | None = bytearray()  # None once the header has ended or is too large
        self.size = 0

    @property
    def lawful(self) -> bool:
        """False as soon as something is wrong: nothing needs to be kept any more."""
        limit = self._limits.message_size
        return not (self._bare or self._nul or self._long or self._wide or self._too_many) and not 0 < limit < self.size

    def feed(self, piece: bytes) -> None:
        """Look at the next piece of content, dots already undone."""
        if not piece:
            return
        self.size += len(piece)
        if self._header is not None:
            self._feed_header(self._header, piece)
        if self._carry:
            piece = self._carry + piece
            self._carry = b""
        if piece.endswith(b"\r"):
            self._carry = b"\r"
            piece = piece[:-1]
        pairs = piece.count(b"\r\n")
        if pairs != piece.count(b"\n") or pairs != piece.count(b"\r"):
            self._bare = True
        if not self._nul and b"\0" in piece:
            self._nul = True
        if self._limits.content_line and not self._long:
            self._feed_lines(piece, self._limits.content_line)

    def verdict(self) -> Reply | None:
        """At the end of the content: None when it is lawful, else the refusal."""
        if self._carry or self._bare:
            return catalogue.BARE_NEWLINE
        if self._nul:
            return catalogue.NUL_OCTET
        if self._column > self._limits.content_line > 0 or self._long:
            return catalogue.CONTENT_LINE_TOO_LONG
        if self._header is not None:
            self._end_header(self._header)
        if self._wide:
            return catalogue.HEADER_TOO_LARGE
        if self._too_many:
            return catalogue.TOO_MANY_HEADERS
        if 0 < self._limits.message_size < self.size:
            return catalogue.MESSAGE_TOO_BIG
        return None

    def _feed_lines(self, piece: bytes, limit: int) -> None:
        # From each line start jump as far as a line may reach and look back for its end: a few steps per kilobyte.
        position = -self._column
        while len(piece) - position > limit:
            end = piece.rfind(b"\n", max(position, 0), position + limit)
            if end < 0:
                self._long = True
                return
            position = end + 1
        last = piece.rfind(b"\n", max(position, 0))
        self._column = len(piece) - (last + 1 if last >= 0 else position)

    def _feed_header(self, header: bytearray, piece: bytes) -> None:
        start = max(0, len(header) - 3)
        header += piece[: self._limits.header_size + 4] if self._limits.header_size else piece
        if header.startswith(b"\r\n"):
            self._header = None
        elif (end := header.find(b"\r\n\r\n", start)) >= 0:
            del header[end + 2 :]
            self._end_header(header)
            self._header = None
        elif 0 < self._limits.header_size < len(header) - 3:  # an end found later would lie beyond the limit
            self._wide = True
            self._header = None

    def _end_header(self, header: bytearray) -> None:
        if 0 < self._limits.header_size < len(header):
            self._wide = True
        elif self._limits.header_count and header.count(b"\r\n") > self._limits.header_count:
            folded = header.count(b"\r\n ") + header.count(b"\r\n\t")
            self._too_many = header.count(b"\r\n") - folded > self._limits.header_count


class DataScanner:
    """Finds the end of DATA in a stream of arbitrary pieces and undoes dot-stuffing (RFC 5321 §4.5.2)."""

    __slots__ = ("_held", "_started")

    def __init__(self) -> None:
        self._held = b"\r\n"  # what might be the beginning of the end; DATA begins at the start of a line
        self._started = False

    def feed(self, piece: bytes) -> tuple[bytes, bytes | None]:
        """Take the next piece; give the clean content in it, and what follows the end (None: not ended yet)."""
        block = self._held + piece
        end = block.find(END)
        if end >= 0:
            rest: bytes | None = block[end + 5 :]
            block = block[: end + 2]
            self._held = b""
        else:
            rest = None
            keep = _held_length(block)
            self._held = block[len(block) - keep :]
            block = block[: len(block) - keep]
        if not block:
            return b"", rest
        if b"\r\n." in block:
            block = block.replace(b"\r\n.", b"\r\n")
        if not self._started:
            self._started = True
            block = block[2:]  # the line end before the first line is DATA's own
        return block, rest


def _held_length(block: bytes) -> int:
    """How many of the last octets could be the beginning of CRLF . CRLF."""
    for length in (4, 3, 2, 1):
        if block.endswith(END[:length]):
            return length
    return 0


def whole(buffer: bytes, start: int, limits: Limits) -> tuple[bytes, int] | None:
    """The fast way: a complete, plain, lawful message lying in ``buffer`` from ``start``.

    Gives the content and the position behind its end, or None when the slow way must look at it.
    """
    if buffer.startswith(b".", start):
        return None
    end = buffer.find(END, start)
    if end < 0:
        return None
    content = buffer[start : end + 2]
    lines = content.count(b"\r\n")
    size = len(content)
    if (
        lines != content.count(b"\n")
        or lines != content.count(b"\r")
        or b"\r\n." in content
        or b"\0" in content
        or 0 < limits.header_size < size
        or 0 < limits.header_count < lines
        or 0 < limits.message_size < size
        or size > limits.spool_above
    ):
        return None
    if 0 < limits.content_line < size:
        inspector = Inspector(limits)
        inspector.feed(content)
        if inspector.verdict() is not None:
            return None
    return content, end + 5


def stuff(content: bytes) -> bytes:
    """Content as DATA sends it: dots doubled at line starts, ended by CRLF . CRLF (RFC 5321 §4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..") if b"\r\n." in content else content
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    if stuffed and not stuffed.endswith(b"\r\n"):
        stuffed += b"\r\n"
    return stuffed + b".\r\n"


def canonical(content: bytes) -> bytes:
    """Text of our own making with every CR, LF and CRLF as CRLF (RFC 5321 §2.3.8)."""
    pairs = content.count(b"\r\n")
    if pairs == content.count(b"\n") and pairs == content.count(b"\r"):
        return content
    return _STRAY.sub(b"\r\n", content)
