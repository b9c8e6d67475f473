"""A message as scanners see and edit it: fields above and below ours, its own header, its body (large: in its file)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from posthouse.content.spool import Spool, Spooled
from posthouse.message.headers import MAX_HEADER, Fields
from posthouse.reception.policy.facts import Edits, FieldEdit

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


class _Gone(bytes):
    """A field that was removed: it is counted until all changes are done."""


def _left(fields: list[bytes]) -> list[bytes]:
    return [raw for raw in fields if raw and not isinstance(raw, _Gone)]


class Letter:
    """One message. `above`: fields that scanners put on top; `prefix`: ours, which they count as one; `below`: theirs
    between it and the message; then the message, edited field by field."""

    def __init__(self, content: Spooled, prefix: bytes = b"") -> None:
        self.content, self.prefix = content, prefix
        head = content.octets if content.octets is not None else content.head(MAX_HEADER)
        fields = Fields(head)
        self._lead = head[: fields.header_start]
        self.fields: list[bytes] = [raw for _, raw in fields]  # b"" where one was removed
        self._separator = head[fields.header_end : fields.body_offset]
        self._body_at = fields.body_offset
        self.above: list[bytes] = []
        self.below: list[bytes] = []
        self._edits = Edits()
        self.changed = False  # the message itself, not only what stands above it

    @property
    def size(self) -> int:
        """Octets of the content as it came."""
        return self.content.size

    def named(self) -> Iterator[tuple[str, bytes]]:
        """(name, raw value with its folding) of every field there is but ours, from the top."""
        for raw in chain(self.above, self.below, self.fields):
            name, colon, value = raw.partition(b":")
            if colon:
                yield name.decode("ascii", "replace").rstrip(), value.rstrip(b"\r\n")

    def apply(self, edits: Edits) -> None:
        """Do what a scanner wants, one change after the other. A removed field keeps its place until all is done, so
        that numbers of fields of one name stay what they were, as Sendmail has it."""
        for edit in edits.fields:
            if edit.what == "change":
                self._change(edit)
            elif edit.what == "append":
                self._append(edit)
            else:
                self._insert(edit)
        self.above, self.below, self.fields = map(_left, (self.above, self.below, self.fields))
        if edits.body is not None:
            self._edits, self.changed = edits, True

    def _insert(self, edit: FieldEdit) -> None:
        made, place = field(edit.name, edit.value or ""), edit.place
        if place <= len(self.above):
            self.above.insert(place, made)
            return
        place -= len(self.above) + 1  # ours
        if place <= len(self.below):
            self.below.insert(place, made)
        else:
            self.fields.insert(place - len(self.below), made)
            self.changed = True

    def _append(self, edit: FieldEdit) -> None:
        self.fields.append(field(edit.name, edit.value or ""))
        self.changed = True

    def _change(self, edit: FieldEdit) -> None:
        key, left = edit.name.lower().encode("utf-8", "replace"), edit.place
        for group in (self.above, self.below, self.fields):
            for place, raw in enumerate(group):
                if raw.partition(b":")[0].rstrip().lower() != key:
                    continue
                left -= 1
                if edit.place and left:
                    continue
                written = raw.partition(b":")[0].decode("ascii", "replace").rstrip()
                group[place] = _Gone(raw) if edit.value is None else field(written, edit.value)
                self.changed = self.changed or group is self.fields
                if edit.place:
                    return
        if edit.place and edit.value is not None:  # changing what is not there adds it
            self._append(edit)

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
        for block in chain((b"".join((*self.above, self.prefix, *self.below, self.header())),), self.body()):
            if len(block) > left:
                block = block[: int(left)]
            left -= len(block)
            if block:
                yield block
            if left <= 0:
                return

    def length(self, most: int = 0) -> int:
        """Octets that `blocks` gives."""
        head = sum(map(len, chain(self.above, self.below))) + len(self.prefix) + len(self.header())
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
