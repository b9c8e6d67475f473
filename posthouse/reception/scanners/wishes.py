"""What a milter asks for at the end of a message: other fields, another body, another envelope, quarantine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from posthouse.content.spool import LARGE
from posthouse.reception.policy.facts import Edits
from posthouse.reception.scanners import milter_wire as say
from posthouse.reception.scanners.wire import ScannerError
from posthouse.smtp.path import BadPath, parse_mailbox

MOST_EDITS = 1000


class Wishes:
    """Gathered packet by packet. `folder`: where a large body lies, `most`: octets it may have; `spaced`: values come
    with the space behind the colon."""

    def __init__(self, folder: Path, most: int, spaced: bool) -> None:
        self._folder, self._most, self._space = folder, most, "" if spaced else " "
        self._added: list[tuple[str, str]] = []
        self._inserted: list[tuple[int, str, str]] = []
        self._changed: list[tuple[str, int, str | None]] = []
        self._body: IO[bytes] | None = None
        self._line_ends = say.LineEnds()
        self._return_path: str | None = None
        self._recipients_added: list[str] = []
        self._recipients_removed: list[str] = []
        self.quarantine: str | None = None
        self._count = 0

    def edits(self) -> Edits:
        """All of them."""
        if self._body is not None:
            self._body.write(self._line_ends.end())
        return Edits(
            tuple(self._added), tuple(self._changed), self._body, self._return_path, tuple(self._recipients_added),
            tuple(self._recipients_removed), tuple(self._inserted),
        )  # fmt: skip

    def take(self, command: bytes, data: bytes) -> None:
        """One packet. Raises ScannerError where it makes no sense or goes beyond a bound."""
        if command == say.REPLACE_BODY:
            self._replace(data)
            return
        self._count += 1
        if self._count > MOST_EDITS:
            raise ScannerError(f"it wants more than {MOST_EDITS} changes")
        if command == say.ADD_HEADER:
            name, _, value = data.partition(b"\0")
            text = value.rstrip(b"\0").decode("utf-8", "surrogateescape")
            self._added.append((name.decode("ascii", "replace"), self._space + text))
        elif command == say.INSERT_HEADER:
            index, header, text = say.numbered(data)
            self._inserted.append((index, header, self._space + text))
        elif command == say.CHANGE_HEADER:
            index, header, text = say.numbered(data)
            self._changed.append((header, max(index, 1), self._space + text if text else None))
        else:
            self._envelope(command, say.words(data)[0])

    def _envelope(self, command: bytes, word: str) -> None:
        if command in (say.ADD_RECIPIENT, say.ADD_RECIPIENT_WITH):
            self._recipients_added.append(_address(word))
        elif command == say.REMOVE_RECIPIENT:
            self._recipients_removed.append(_address(word))
        elif command == say.CHANGE_FROM:
            self._return_path = _address(word, null=True)
        elif command == say.QUARANTINE:
            self.quarantine = " ".join(word.split())[:200]
        else:
            raise ScannerError(f"it says {command!r}, which has no meaning here")

    def _replace(self, data: bytes) -> None:
        if self._body is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Unlinked as soon as it is open, so that no crash can leave it behind (D7).
            self._body = tempfile.SpooledTemporaryFile(LARGE, dir=str(self._folder))  # noqa: SIM115
        for piece in self._line_ends.pieces(data):
            self._body.write(piece)
        if self._body.tell() > self._most:
            raise ScannerError("the body it wants is larger than messages may be")


def _address(text: str, null: bool = False) -> str:
    """An address in or without angle brackets. Raises ScannerError."""
    bare = text.strip()
    if bare.startswith("<") and bare.endswith(">"):
        bare = bare[1:-1]
    if null and not bare:
        return ""
    try:
        return parse_mailbox(bare)
    except BadPath as error:
        raise ScannerError(f"it names the address {text[:80]!r}: {error}") from None
