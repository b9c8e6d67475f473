"""Copies that differ in more than their header: their bodies, pieced together as they leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from posthouse.delivery.contents import Loaded
from posthouse.lists.departure import Departure, Personal
from posthouse.smtp.outgoing import FileBody

MOST_PLANS = 100

Pieces = tuple[bytes | tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PiecedBody(FileBody):
    """Content that is partly in a file, partly not: `pieces` are bytes, or (start, end) of the file."""

    pieces: Pieces = ()

    def blocks(self) -> Iterator[bytes]:
        """The octets in blocks. Raises OSError as FileBody does."""
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from FileBody(self.path, piece[0], piece[1] - piece[0]).blocks()


class Plans:
    """How the copies of contents are made, remembered for the contents that are leaving."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Departure, Personal]] = {}

    def known(self, content_id: int, departure: Departure) -> Personal | None:
        """The plan for a content, None when there is none yet or the list changed."""
        entry = self._known.get(content_id)
        return entry[1] if entry is not None and entry[0] is departure else None

    def keep(self, content_id: int, departure: Departure, made: Personal) -> None:
        """Remember a plan."""
        if len(self._known) >= MOST_PLANS:
            self._known.clear()
        self._known[content_id] = (departure, made)


def make(loaded: Loaded, departure: Departure) -> Personal:
    """The plan for a content; reads a large one whole, so call it in a thread. Raises OSError."""
    body = loaded.body
    return departure.personal(Path(body.path).read_bytes() if isinstance(body, FileBody) else body)


def body_of(loaded: Loaded, pieces: Pieces) -> tuple[bytes | FileBody, bool]:
    """(body, whether it holds octets beyond ASCII) of one copy."""
    body = loaded.body
    if not isinstance(body, FileBody):
        octets = b"".join(piece if isinstance(piece, bytes) else body[piece[0] : piece[1]] for piece in pieces)
        return octets, not octets.isascii()
    size = sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
    ascii_only = body.ascii and all(piece.isascii() for piece in pieces if isinstance(piece, bytes))
    return PiecedBody(body.path, 0, size, ascii_only, pieces), not ascii_only
