"""What a server says: a code, an enhanced code and a text (RFC 5321 §4.2, RFC 2034)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

LINE_LIMIT = 512  # RFC 5321 §4.5.3.1.5: a reply line, with its code and CRLF
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")  # RFC 3463 §2
_SOFTER = {530: 454, 534: 454, 535: 454, 538: 454, 550: 450, 552: 452}  # 451 for all others
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class MalformedReply(ValueError):
    """What came is not a reply: no three digits, a bad separator, or codes that change between its lines."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; ``text`` may hold several lines separated by LF. ``enhanced`` is empty where RFC 2034 has none."""

    code: int
    enhanced: str
    text: str
    _octets: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def octets(self) -> bytes:
        """The reply as it travels: every line with its codes and CRLF; built once."""
        if self._octets is None:
            object.__setattr__(self, "_octets", self._build())
        octets = self._octets
        assert octets is not None
        return octets

    @property
    def positive(self) -> bool:
        """True for 2yz and 3yz."""
        return self.code < 400

    @property
    def temporary(self) -> bool:
        """True for 4yz: the client may try again."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """True for 5yz (and for anything beyond it): trying the same again is pointless."""
        return self.code >= 500

    def with_text(self, text: str) -> Reply:
        """The same codes with another text."""
        return Reply(self.code, self.enhanced, text)

    def softened(self) -> Reply:
        """The same as something temporary, for 5yz (RFC 5321 §4.2.1); anything else as it is."""
        if self.code < 500:
            return self
        enhanced = f"4{self.enhanced[1:]}" if self.enhanced else ""
        return Reply(_SOFTER.get(self.code, 451), enhanced, self.text)

    def __str__(self) -> str:
        codes = f"{self.code} {self.enhanced}" if self.enhanced else str(self.code)
        return f"{codes} {self.text}" if self.text else codes

    def _build(self) -> bytes:
        # A reply travels in ASCII (RFC 6531 §3.7.4 needs consent for more) and can hold no line end of its own.
        prefix = f"{self.enhanced} " if self.enhanced else ""
        room = LINE_LIMIT - 6 - len(prefix)
        lines: list[str] = []
        for line in self.text.split("\n"):
            clean = _UNPRINTABLE.sub("?", line)
            lines += textwrap.wrap(clean, room) if len(clean) > room else [clean]
        last = len(lines) - 1
        return "".join(
            f"{self.code}{' ' if number == last else '-'}{prefix}{line}\r\n" for number, line in enumerate(lines)
        ).encode("ascii")


def parse_reply(lines: Sequence[bytes]) -> Reply:
    """Build a Reply from its lines (without CRLF), as RFC 5321 §4.2.1 writes them.

    Raises MalformedReply. Bytes that are not UTF-8 become U+FFFD; the enhanced code is taken from the first line and
    removed from every line that repeats it.
    """
    if len(lines) == 1:
        return _parse_single(lines[0])
    code = _code(lines[0])
    texts: list[str] = []
    enhanced = ""
    for number, line in enumerate(lines):
        separator = line[3:4]
        if _code(line) != code or (separator != b"-" if number < len(lines) - 1 else separator not in (b" ", b"")):
            raise MalformedReply(f"reply lines do not belong together: {line[:40]!r}")
        text = line[4:].decode("utf-8", "replace")
        if number == 0 and (match := _ENHANCED.match(text)):
            enhanced = match[1]
        if enhanced and (text == enhanced or text.startswith(enhanced + " ")):
            text = text[len(enhanced) + 1 :]
        texts.append(text)
    return Reply(code, enhanced, "\n".join(texts))


@lru_cache(maxsize=1024)
def _parse_single(line: bytes) -> Reply:
    """One-line replies repeat thousands of times on a connection: remember them."""
    if line[3:4] not in (b" ", b""):
        raise MalformedReply(f"no space after the code: {line[:40]!r}")
    code = _code(line)
    text = line[4:].decode("utf-8", "replace")
    if match := _ENHANCED.match(text):
        return Reply(code, match[1], text[match.end() :])
    return Reply(code, "", text)


def _code(line: bytes) -> int:
    digits = line[:3]
    # RFC 5321 §4.2: the first digit is 2 to 5, the second 0 to 5; some servers use other second digits.
    if len(digits) != 3 or not digits.isdigit() or not b"2" <= digits[:1] <= b"5":
        raise MalformedReply(f"no reply code: {line[:40]!r}")
    return int(digits)
