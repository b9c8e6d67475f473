"""A message whose addresses are written for people, not for programs that collect them: `ana at far.example`.

What threads and parts hang by stays: Message-ID, References, boundaries, Content-IDs. Encoded parts stay too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from posthouse.message.headers import split

_ADDRESS: Final = re.compile(rb"(?<![\w.+-])([\w.+-]{1,64}+)@((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])")
# Fields that hold an @ and no address of a person, or that programs must find as they are.
_KEPT: Final = re.compile(
    rb"(?:message-id|in-reply-to|references|resent-message-id|content-[a-z-]+|mime-version|message-id-hash|"
    rb"archived-at|list-[a-z-]+|dkim-signature|arc-[a-z-]+|autocrypt)\s*:",
    re.IGNORECASE,
)
_LINE: Final = re.compile(rb"[^\n]*\n?")


def obscured(message: bytes) -> bytes:
    """The message with ` at ` in every address that can be read in it; linear in its length."""
    if b"@" not in message:
        return message
    body = split(message)[1]
    return _lines(message[:body], header=True) + _lines(message[body:], header=False)


def obscured_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same for a message that comes in pieces of whole lines; its header is sought in the first."""
    for place, piece in enumerate(pieces):
        yield _lines(piece, header=False) if place else obscured(piece)


def _lines(part: bytes, header: bool) -> bytes:
    if b"@" not in part:
        return part
    out = []
    kept = False
    for found in _LINE.finditer(part):
        line = found[0]
        if header and line[:1] in b" \t" and line:
            pass  # the field goes on
        else:
            kept = bool(_KEPT.match(line)) or (not header and line.startswith(b"--"))
        out.append(line if kept or b"@" not in line else _ADDRESS.sub(rb"\1 at \2", line))
    return b"".join(out)
