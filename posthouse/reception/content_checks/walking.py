"""Walks through the parts of a message as its octets pass: one pass, linear in time, bounded in memory."""

from __future__ import annotations

import re

from posthouse.message.headers import Fields
from posthouse.message.mime import content_type_of
from posthouse.reception.content_checks.looking import Decoder, Look, decoder
from posthouse.reception.content_checks.names import Endings, names_of

MOST_HEADER = 64 * 1024  # octets of a header that are read
MOST_DEPTH = 100
MOST_PARTS = 1000
MOST_FOUND = 20
MOST_INSIDE = 3  # messages in messages that are encoded
_LINE = 2200  # octets in which a delimiter line ends: a boundary has at most 70 (RFC 2046 §5.1.1), some have more
_ZIPS = re.compile(r"application/(?:zip|x-zip.*|java-archive)|.*\+zip")


class Walker:
    """Feed it a message in pieces of any size; `found` is (check, reason) of everything sought."""

    def __init__(self, endings: Endings, inside: int = 0, found: list[tuple[str, str]] | None = None) -> None:
        self._endings, self._inside = endings, inside
        self.found: list[tuple[str, str]] = [] if found is None else found
        self._buffer = b""
        self._in_header = True
        self._parts = 0
        self._boundaries: list[bytes] = []
        self._delimiter: re.Pattern[bytes] | None = None
        self._look: Look | None = None
        self._decode: Decoder | None = None
        self._nested: Walker | None = None
        self._begun = True  # False: a line end stands before the part that is not its own

    def feed(self, octets: bytes) -> None:
        """The next octets."""
        self._buffer = self._buffer + octets if self._buffer else octets
        while self._step(last=False):
            pass

    def close(self) -> None:
        """That was all."""
        while self._step(last=True):
            pass
        self._end_part()

    def _step(self, last: bool) -> bool:
        """Work off the buffer as far as it can be; whether there may be more to do."""
        return self._header(last) if self._in_header else self._body(last)

    def _header(self, last: bool) -> bool:
        cut = _header_end(self._buffer)
        if cut < 0 and not last and len(self._buffer) < MOST_HEADER:
            return False
        if cut < 0:
            cut = min(len(self._buffer), MOST_HEADER)
        header, rest = self._buffer[:cut], self._buffer[cut:]
        # The next part may begin where this one's header should have ended.
        early = None if self._delimiter is None else self._delimiter.search(b"\n" + header)
        if early is not None:
            header, rest = header[: max(0, early.start() - 1)], header[max(0, early.start() - 1) :] + rest
        # Without its empty line a header is the same octets for whoever else looks at it, and read once for all.
        bare = header[:-2] if early is None and header.endswith(b"\n\r\n") else header
        fields = Fields(bare)
        if fields.body_offset < len(bare):
            self._buffer = header[fields.body_offset :] + rest
        else:
            self._buffer = rest
        self._in_header = False
        self._begin_part(fields)
        if self._delimiter is not None and not self._in_header and (early is None or early.start() == 0):
            self._buffer = b"\n" + self._buffer  # a delimiter may follow at once, and needs a line end before it
            self._begun = False
        return bool(self._buffer)

    def _body(self, last: bool) -> bool:
        if self._delimiter is None:
            self._give(self._buffer)
            self._buffer = b""
            return False
        # Most blocks hold no such line: looking for its beginning first is many times faster than the expression.
        dashes = self._buffer.find(b"\n--")
        found = None if dashes < 0 else self._delimiter.search(self._buffer, dashes)
        if found is not None and (found.end() < len(self._buffer) or last):
            self._give(self._buffer[: found.start()].removesuffix(b"\r"))
            closing = self._closes(found[1], bool(found[2]))
            self._buffer = self._buffer[found.end() - 1 :] if closing else self._buffer[found.end() :]
            self._end_part()
            self._in_header = not closing
            return True
        if last:
            self._give(self._buffer)
            self._buffer = b""
            return False
        # What may be the beginning of a delimiter waits for its end.
        at = found.start() if found is not None else self._buffer.rfind(b"\n", max(0, len(self._buffer) - _LINE))
        if at > 0 and self._buffer[at - 1] == 13:
            at -= 1
        if at < 0:
            at = len(self._buffer)
        self._give(self._buffer[:at])
        self._buffer = self._buffer[at:]
        return False

    def _closes(self, boundary: bytes, hyphens: bool) -> bool:
        """Whether a delimiter line ends its multipart. One of an outer multipart ends those within it (RFC 2046
        §5.1.2)."""
        depth = self._boundaries.index(boundary) + (not hyphens)
        if depth < len(self._boundaries):
            self._boundaries = self._boundaries[:depth]
            self._compile()
        return hyphens

    def _begin_part(self, fields: Fields) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            self._tell("header", f"it has more than {MOST_PARTS} parts")
            self._boundaries, self._delimiter = [], None  # the rest is looked at as one text
            self._look = Look(True, False, self._endings, self._tell)
            return
        value = fields.first("content-type")
        kind, parameters = content_type_of(value)
        disposition = fields.first("content-disposition") or ""
        names = list(names_of(value or "", disposition))
        for name in names:
            if self._endings.bad(name):
                self._tell("attachment", f"its name is {ascii(name[-80:])[1:-1]}")
        boundary = parameters.get("boundary", "").rstrip().encode("utf-8", "replace")[:1000]
        if kind.startswith("multipart/") and boundary:
            self._add(boundary)
            return
        encoding = (fields.first("content-transfer-encoding") or "").partition(";")[0].strip().lower()
        self._decode = decoder(encoding)
        if kind in ("message/rfc822", "message/global"):
            if self._decode is None:
                self._in_header = True  # its header follows; its parts are parts of this one
                return
            if self._inside < MOST_INSIDE:
                self._nested = Walker(self._endings, self._inside + 1, self.found)
                return
        archive = bool(_ZIPS.match(kind)) or any(name.lower().endswith((".zip", ".jar")) for name in names)
        self._look = Look(kind.startswith("text/"), archive, self._endings, self._tell)

    def _add(self, boundary: bytes) -> None:
        """One multipart more; what is nested too deeply stays unsplit."""
        if len(self._boundaries) >= MOST_DEPTH:
            self._tell("header", f"its parts are nested more than {MOST_DEPTH} deep")
        elif boundary not in self._boundaries:
            self._boundaries = [*self._boundaries, boundary]
            self._compile()

    def _compile(self) -> None:
        known = b"|".join(re.escape(one) for one in sorted(self._boundaries, key=len, reverse=True))
        # RFC 2046 §5.1.1: CRLF "--" boundary, "--" more for the last one, white space
        pattern = rb"\n--(" + known + rb")(--)?[ \t]{0,1000}(?:\r?\n|\Z)"
        self._delimiter = re.compile(pattern) if self._boundaries else None

    def _give(self, octets: bytes, last: bool = False) -> None:
        if not octets and not last:
            return
        if not self._begun:  # the line end that was put before the body
            self._begun = True
            octets = octets[1:]
        if self._nested is None and (self._look is None or self._look.satisfied):
            return
        if self._decode is not None:
            octets = self._decode(octets, last)
        if self._nested is not None:
            self._nested.feed(octets)
        elif self._look is not None and octets:
            self._look.feed(octets)

    def _end_part(self) -> None:
        self._give(b"", last=True)
        if self._nested is not None:
            self._nested.close()
        if self._look is not None:
            self._look.close()
        self._look = self._nested = None
        self._decode = None
        self._begun = True

    def _tell(self, check: str, reason: str) -> None:
        if len(self.found) < MOST_FOUND and (check, reason) not in self.found:
            self.found.append((check, reason))


def _header_end(buffer: bytes) -> int:
    """Where the empty line that ends a header ends, -1: it has not come."""
    if buffer[:1] == b"\n":
        return 1
    if buffer[:2] == b"\r\n":
        return 2
    lawful = buffer.find(b"\n\r\n", 0, MOST_HEADER)
    bare = buffer.find(b"\n\n", 0, lawful if lawful >= 0 else MOST_HEADER)
    return bare + 2 if bare >= 0 else lawful + 3 if lawful >= 0 else -1
