"""A message as scanners see it and edit it: fields above, its own header, its body; a large body stays in its file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from posthouse.content.spool import Spool, Spooled
from posthouse.message.headers import MAX_HEADER, Fields
from posthouse.reception.policy.facts import Edits

BLOCK = 64 * 1024
MOST_VALUE = 64 * 1024  # octets of a field that a scanner adds
_NAME = re.compile(r"[!-9;-~]{1,998}\Z")
_LINE_END = re.compile(r"(?:\r\n|\r|\n)([ \t]*)")
_BLANK = re.compile(r"\r\n[ \t]*(?=\r\n|\Z)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def field(name: str, value: str) -> bytes:
    """A field that a scanner wants; `value` as it stands behind the colon, its leading space included.

    Folding stays as it is (a signature may depend on it); b"" when that is no name of a field.
    """
    if not _NAME.match(name):
        return b""
    value = _CONTROL.sub("", value[:MOST_VALUE]).rstrip("\r\n")
    # RFC 5322 §2.2.3: a line end within a field is followed by white space, and no line is white space alone
    folded = _LINE_END.sub(lambda found: f"\r\n{found[1] or chr(9)}", value)
    return f"{name}:{_BLANK.sub('', folded)}\r\n".encode("utf-8", "surrogateescape")


class Letter:
    """One message. `above`: fields added by scanners; `prefix`: ours; then the message, edited field by field."""

    def __init__(self, content: Spooled, prefix: bytes = b"") -> None:
        self.content, self.prefix = content, prefix
        head = content.octets if content.octets is not None else content.head(MAX_HEADER)
        fields = Fields(head)
        self._lead = head[: fields.header_start]
        self.fields: list[bytes] = [raw for _, raw in fields]  # b"" where one was removed
        self._separator = head[fields.header_end : fields.body_offset]
        self._body_at = fields.body_offset
        self.above: list[bytes] = []
        self._edits = Edits()
        self.changed = False  # the message itself, not only what stands above it

    @property
    def size(self) -> int:
        """Octets of the content as it came."""
        return self.content.size

    def named(self) -> Iterator[tuple[str, bytes]]:
        """(name, raw value with its folding) of every field there is, those added above first."""
        for raw in chain(self.above, self.fields):
            name, colon, value = raw.partition(b":")
            if colon:
                yield name.decode("ascii", "replace").rstrip(), value.rstrip(b"\r\n")

    def apply(self, edits: Edits) -> None:
        """Do what a scanner wants. Indexes count what was there before."""
        if not edits:
            return
        count = len(self.above)
        for name, index, value in edits.changed:
            self._change(name.lower().encode("utf-8", "replace"), name, index, value, count)
        top: list[bytes] = [field(name, value) for name, value in edits.added]
        for position, name, value in edits.inserted:
            if position <= count + 1:
                top.insert(0, field(name, value))
            else:
                self.fields.insert(position - count - 1, field(name, value))
                self.changed = True
        self.above = [raw for raw in chain(top, self.above) if raw]
        self.fields = [raw for raw in self.fields if raw]
        if edits.body is not None:
            self._edits, self.changed = edits, True

    def _change(self, key: bytes, name: str, index: int, value: str | None, count: int) -> None:
        """Field number `index` of a name, 0: all of them; b"" keeps the place of a removed one."""
        left = index
        for place, raw in enumerate(chain(self.above[:count], self.fields)):
            if raw.partition(b":")[0].rstrip().lower() != key:
                continue
            left -= 1
            if index and left:
                continue
            written = raw.partition(b":")[0].decode("ascii", "replace").rstrip()
            made = b"" if value is None else field(written, value)
            if place < count:
                self.above[place] = made
            else:
                self.fields[place - count], self.changed = made, True
            if index:
                return
        if index and value is not None:  # changing what is not there adds it
            self.above.insert(0, field(name, value))

    def remove(self, doomed: Iterable[int]) -> None:
        """Remove fields of the message by their places."""
        for place in doomed:
            self.fields[place], self.changed = b"", True
        self.fields = [raw for raw in self.fields if raw]

    def header(self) -> bytes:
        """The message's header with what separates it from the body."""
        head = b"".join(raw if raw.endswith(b"\n") else raw + b"\r\n" for raw in self.fields[:-1] if raw)
        head += self.fields[-1] if self.fields else b""
        if self.fields and not self._separator and not head.endswith(b"\n"):
            head += b"\r\n"
        return self._lead + head + (self._separator or (b"\r\n" if self.changed else b""))

    def body(self, size: int = BLOCK) -> Iterator[bytes]:
        """The body in blocks of `size` octets."""
        replaced = self._edits.body
        if replaced is not None:
            replaced.seek(0)
            while block := replaced.read(size):
                yield block
        elif self.content.octets is not None:
            octets = self.content.octets
            for start in range(self._body_at, len(octets), size):
                yield octets[start : start + size]
        else:
            assert self.content.path is not None
            with open(self.content.path, "rb") as file:
                file.seek(self._body_at)
                while block := file.read(size):
                    yield block

    def blocks(self, most: int = 0) -> Iterator[bytes]:
        """The whole, as a scanner that wants one file sees it; `most` octets of it, 0: all."""
        left = most or float("inf")
        for block in chain((b"".join(self.above) + self.prefix + self.header(),), self.body()):
            if len(block) > left:
                block = block[: int(left)]
            left -= len(block)
            if block:
                yield block
            if left <= 0:
                return

    def length(self, most: int = 0) -> int:
        """Octets that `blocks` gives."""
        head = sum(map(len, self.above)) + len(self.prefix) + len(self.header())
        replaced = self._edits.body
        if replaced is None:
            whole = head + self.content.size - self._body_at
        else:
            whole = head + replaced.seek(0, 2)
        return min(whole, most) if most else whole

    def kept(self, folder: Path, above: int) -> Spooled:
        """The edited message, durable when it is a file; the old content is forgotten. Raises StorageFull.

        Call it in a thread when the content is in a file.
        """
        if not self.changed:
            return self.content
        if self.content.octets is not None and self._edits.body is None:
            octets = self.header() + self.content.octets[self._body_at :]
            return Spooled(len(octets), hashlib.sha256(octets).digest(), octets)
        spool = Spool(folder, above)
        try:
            for block in chain((self.header(),), self.body()):
                spool.write(block)
            made = spool.finish()
        except BaseException:
            spool.abort()
            raise
        self.content.discard()
        return made
