"""Canonicalisation (RFC 6376 §3.4): header fields, and bodies as a stream of chunks that is never held."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Protocol

__all__ = ["BodyHashes", "relaxed_field", "relaxed_fields", "without_signature"]

_ENDINGS_REVERSED = re.compile(rb"(?:\n\r)*+")
_B_VALUE = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_EMPTY_LINES = b"\r\n" * 16_384
_TABS = bytes.maketrans(b"\t", b" ")


class Hash(Protocol):
    """What this module needs of a hashlib object."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def relaxed_field(raw: bytes) -> bytes:
    """One field in relaxed form (RFC 6376 §3.4.2), line end included."""
    return relaxed_fields((raw,))


def relaxed_fields(raws: Iterable[bytes]) -> bytes:
    """Fields in relaxed form (RFC 6376 §3.4.2), line ends included; all of them in the same few passes."""
    lines = []
    for raw in raws:
        name, _, value = raw.partition(b":")
        lines.append(name.rstrip(b" \t").lower() + b":" + value.strip(b" \t\r\n"))
    if not lines:
        return b""
    whole = b"\r\n".join(lines) + b"\r\n"
    # Only a fold is followed by a blank: no name begins with one, and no value does any more.
    if b"\r\n " in whole:
        whole = whole.replace(b"\r\n ", b" ")
    return _single_blanks(whole.replace(b"\r\n\t", b" ") if b"\t" in whole else whole)


def without_signature(raw: bytes) -> bytes:
    """A signature field with the value of b= removed, everything else untouched (RFC 6376 §3.7)."""
    begin = raw.find(b":") + 1
    at = raw.find(b"b=", begin)
    while at >= 0:  # nearly always the tag itself, written without blanks: several times faster than the expression
        before = at
        while before > begin and raw[before - 1] in b" \t\r\n":
            before -= 1
        if before == begin or raw[before - 1] == 0x3B:  # a semicolon
            end = raw.find(b";", at)
            return raw[: at + 2] + (raw[end:] if end >= 0 else b"")
        at = raw.find(b"b=", at + 2)
    return raw[:begin] + _B_VALUE.sub(rb"\1", raw[begin:], count=1)


def _single_blanks(data: bytes) -> bytes:
    """Runs of blanks as one space; a fixed number of passes in C however long the runs are."""
    if b"\t" in data:
        data = data.translate(_TABS)
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data


class BodyHashes:
    """The SHA-256 of one body in every form that was asked for, all in one pass with little memory.

    `want` before the first `feed`; `digest` after the last one. A limit is the number of octets that l= signs.
    """

    def __init__(self) -> None:
        self._bodies: dict[bool, _Body] = {}
        self._digests: dict[tuple[bool, int | None], _Limited] = {}

    def want(self, relaxed: bool, limit: int | None = None) -> None:
        """Ask for a form: relaxed or simple, whole or limited to so many canonical octets."""
        key = (relaxed, limit)
        if key in self._digests:
            return
        self._digests[key] = limited = _Limited(limit)
        if relaxed not in self._bodies:
            self._bodies[relaxed] = _Body(relaxed)
        self._bodies[relaxed].takers.append(limited)

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body as they are on the wire, lines ended by CRLF, cut anywhere."""
        for body in self._bodies.values():
            body.feed(chunk)

    def finish(self) -> None:
        """The body is complete; may be called more than once."""
        for body in self._bodies.values():
            body.finish()

    def digest(self, relaxed: bool, limit: int | None = None) -> bytes:
        """The SHA-256 of a form that was asked for."""
        return self._digests[relaxed, limit].hash.digest()

    def length(self, relaxed: bool) -> int:
        """How many octets the whole canonical body has."""
        return self._bodies[relaxed].length


class _Limited:
    def __init__(self, limit: int | None) -> None:
        self.hash: Hash = hashlib.sha256()
        self.left = limit

    def take(self, data: bytes) -> None:
        if self.left is None:
            self.hash.update(data)
        elif self.left:
            self.hash.update(data[: self.left])
            self.left -= min(self.left, len(data))


class _Body:
    """One canonicalisation. Held back between chunks: a few octets, and how many line ends may yet be the last."""

    def __init__(self, relaxed: bool) -> None:
        self._relaxed = relaxed
        self.takers: list[_Limited] = []
        self.length = 0
        self._carry = b""
        self._endings = 0
        self._done = False

    def feed(self, chunk: bytes) -> None:
        data = self._carry + chunk if self._carry else chunk
        cut = b""
        if data.endswith(b"\r"):
            data, cut = data[:-1], b"\r"
        if self._relaxed:
            data = _single_blanks(data).replace(b" \r\n", b"\r\n")
            if data.endswith(b" "):
                data, cut = data[:-1], b" " + cut  # a line may end here
        self._carry = cut
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Everything but the line ends at the end, which count only when something follows (RFC 6376 §3.4.3)."""
        kept = len(data)
        if data.endswith(b"\r\n"):
            kept -= 2
            if data.endswith(b"\r\n\r\n"):
                tail = data[len(data.rstrip(b"\r\n")) :]
                found = _ENDINGS_REVERSED.match(tail[::-1])
                kept = len(data) - (found.end() if found else 0)
        if kept:
            self._emit_endings(self._endings)
            self._endings = 0
            self._emit(data if kept == len(data) else data[:kept])
        self._endings += (len(data) - kept) // 2

    def _emit_endings(self, count: int) -> None:
        while count > 0:
            piece = min(count, len(_EMPTY_LINES) // 2)
            self._emit(_EMPTY_LINES[: piece * 2])
            count -= piece

    def _emit(self, data: bytes) -> None:
        self.length += len(data)
        for taker in self.takers:
            taker.take(data)

    def finish(self) -> None:
        if self._done:
            return
        self._done = True
        if self._carry == b" ":
            self._carry = b""  # the end of a line without its CRLF
        if self._carry:
            self._pass_on(self._carry)
        # RFC 6376 §3.4.3: simple ends in exactly one CRLF even when empty; §3.4.4: relaxed unless it is empty
        if self.length or not self._relaxed:
            self._emit(b"\r\n")
