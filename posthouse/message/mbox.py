"""Mailbox files (mbox): read as a stream with offsets to resume from, written so that the same bytes come back."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from posthouse.message.dates import parse_date

MAX_MESSAGE = 256 * 1024 * 1024  # a file without separators is cut here, so that memory stays bounded
_MAX_SEPARATOR = 2_000  # octets needed to judge a separator and the line behind it
_READ_SIZE = 1024 * 1024

# `From ana@far.example Thu Dec 11 05:57:05 2003`, also `From ana at far.example  Thu ...` (Pipermail), a zone before
# or after the year (RFC 4155 has none, files have)
_SEPARATOR = re.compile(
    rb"From [^\n]{0,500}?[A-Z][a-z]{2},?[ \t]+(?:[A-Z][a-z]{2}[ \t]+\d{1,2}|\d{1,2}[ \t]+[A-Z][a-z]{2}[ \t]+\d{4})"
    rb"[ \t]+\d{1,2}:\d{2}(?::\d{2})?[^\n]{0,200}\r?\n?\Z"
)
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}:[ \t]")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_DATE_IN_LINE = re.compile(r"[A-Z][a-z]{2},?\s+(?:[A-Z][a-z]{2}\s+\d{1,2}|\d{1,2}\s+[A-Z][a-z]{2})\s.*\Z")


class MboxError(ValueError):
    """The file is no mbox, or holds a message beyond the bound; the text says so in a sentence."""


@dataclass(frozen=True, slots=True)
class MboxMessage:
    """One message of an mbox: where its separator begins, where the next one does, and its bytes, unquoted."""

    offset: int
    end: int
    envelope_line: str
    content: bytes

    @property
    def received_at(self) -> tuple[int, int] | None:
        """The date of the separator as (seconds since 1970, minutes east of Greenwich), or None."""
        found = _DATE_IN_LINE.search(self.envelope_line)
        return parse_date(found[0]) if found else None


def messages(file: BinaryIO, start: int = 0) -> Iterator[MboxMessage]:
    """The messages of an mbox from the offset `start` on (an `end` seen before); memory holds one message at a time.

    A line begins a message only when it looks like `From address date` and an empty line (or the start) precedes it,
    or a header field follows it.
    Line ends stay as the file has them; `>From ` loses one `>` (mboxrd). What stands before the first separator is
    passed over, unless the file has none in its first megabyte: then MboxError says that it is no mbox.
    `file` may be a gzip.GzipFile: offsets count decompressed bytes.
    """
    if start:
        file.seek(start)
    reader = _Reader(file, start)
    line = reader.first_separator()
    if line is None:
        if start == 0 and reader.saw_text:
            raise MboxError("this is no mbox: no line like `From address date` was found where messages begin")
        return
    while line is not None:
        offset, envelope = line
        content, end, line = reader.message()
        yield MboxMessage(offset, end, envelope, _unquoted(content))


def _unquoted(content: bytes) -> bytes:
    return _QUOTED.sub(rb"\1", content) if b"\n>" in content or content.startswith(b">") else content


class _Reader:
    """A window over the file: `_buffer[_done:]` is unread, `_buffer` begins at file offset `_at`."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._at = start
        self._buffer = b""
        self._done = 0
        self._ended = False
        self.saw_text = False

    def _more(self) -> bool:
        """Read on, forgetting what was taken (so positions shift to begin at 0); False when the file has ended."""
        if self._ended:
            return False
        piece = self._file.read(max(_READ_SIZE, min(len(self._buffer) - self._done, 16 * _READ_SIZE)))
        if not piece:
            self._ended = True
            return False
        self._buffer = self._buffer[self._done :] + piece
        self._at += self._done
        self._done = 0
        return True

    def first_separator(self) -> tuple[int, str] | None:
        """Pass over blank lines and whatever precedes the first separator, within the first megabyte."""
        while len(self._buffer) < _READ_SIZE and self._more():
            pass
        self.saw_text = bool(self._buffer.strip())
        self._done = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
        if self._buffer[:3] == b"\xef\xbb\xbf":  # a mark some editors put before the first line
            self._done = 3
        position = self._next()
        return None if position is None else self._take_line(position)

    def _take_line(self, position: int) -> tuple[int, str]:
        end = self._buffer.find(b"\n", position) + 1 or len(self._buffer)
        line = self._buffer[position:end].decode("utf-8", "replace").rstrip("\r\n")
        self._done = end
        return self._at + position, line

    def message(self) -> tuple[bytes, int, tuple[int, str] | None]:
        """(content, offset of its end, the next separator or None) of the message the window stands on."""
        position = self._next()
        if position is None:
            content = self._buffer[self._done :]
            end = self._at + len(self._buffer)
            if not self._ended:
                raise MboxError(f"the message before offset {end} is longer than {MAX_MESSAGE} octets")
            self._buffer, self._done = b"", 0
            return _without_last_blank(content), end, None
        content = _without_last_blank(self._buffer[self._done : position])
        line = self._take_line(position)
        return content, line[0], line

    def _next(self) -> int | None:
        """The place of the next separator in the window, reading on as needed; None at the end of the file."""
        searched = 0  # octets behind `_done` where no separator begins
        while True:
            found = self._find(searched)
            if found is None:
                searched = max(searched, len(self._buffer) - self._done - len(b"\nFrom "))
            elif found + _MAX_SEPARATOR > len(self._buffer) and not self._ended:
                searched = found - self._done  # the rest of its line and the next line are not read yet
            elif self._is_separator(found):
                return found
            else:
                searched = found - self._done + 1
                continue
            too_long = len(self._buffer) - self._done > MAX_MESSAGE and not self._ended
            if too_long or (not self._more() and found is None):
                return None

    def _find(self, searched: int) -> int | None:
        """Where the next line with `From ` begins, `searched` octets or more behind what was taken."""
        if searched == 0 and self._buffer.startswith(b"From ", self._done):
            return self._done
        found = self._buffer.find(b"\nFrom ", self._done + max(searched - 1, 0))
        return None if found < 0 else found + 1

    def _is_separator(self, position: int) -> bool:
        """Whether the line at this place begins a message."""
        buffer = self._buffer
        end = buffer.find(b"\n", position, position + 1_000) + 1 or min(len(buffer), position + 1_000)
        if not _SEPARATOR.match(buffer, position, end):
            return False
        before = buffer[max(self._done, position - 3) : position]
        if before.endswith((b"\n\n", b"\n\r\n")) or before in (b"", b"\n", b"\r\n"):
            return True
        # Pipermail leaves the empty line out behind the note on a scrubbed attachment; then a header must follow
        return _FIELD.match(buffer, end) is not None


def _without_last_blank(content: bytes) -> bytes:
    """Every mbox writer adds one empty line behind a message; it is not the message's."""
    if content.endswith(b"\n\r\n") or content == b"\r\n":
        return content[:-2]
    if content.endswith(b"\n\n") or content == b"\n":
        return content[:-1]
    return content


def write_message(out: BinaryIO, content: bytes, author: str, at: int) -> int:
    """Append one message (mboxrd quoting) under `From author date`; `at` in seconds since 1970; bytes written.

    Reading the file gives the same bytes back, except that a message that does not end its last line gets a line end.
    """
    return out.write(b"".join(written((content,), author, at)))


def written(content: Iterable[bytes], author: str, at: int) -> Iterator[bytes]:
    """A message as `write_message` writes it, piece by piece; `content` comes in pieces of whole lines, or of parts of
    a very long one."""
    sender = "".join(author.split()) or "MAILER-DAEMON"
    date = time.asctime(time.gmtime(at))
    yield f"From {sender} {date}\n".encode("utf-8", "replace")
    eol, last = b"", b"\n"
    for piece in content:
        eol = eol or (b"\r\n" if b"\r\n" in piece[:2_000] else b"\n")
        if b"From " in piece:
            yield _TO_QUOTE.sub(rb">\1", piece) if last == b"\n" else _quoted_behind(piece)
        else:
            yield piece
        last = piece[-1:] or last
    eol = eol or b"\n"
    yield eol if last == b"\n" else eol + eol


def _quoted_behind(piece: bytes) -> bytes:
    """A piece that begins inside a line."""
    first = piece.find(b"\n") + 1
    return piece[:first] + _TO_QUOTE.sub(rb">\1", piece[first:]) if first else piece
