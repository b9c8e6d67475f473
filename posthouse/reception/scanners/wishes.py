"""What a milter asks for at the end of a message: other fields, another body, another envelope, quarantine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from posthouse.content.spool import LARGE
from posthouse.reception.policy.facts import Edits, FieldEdit
from posthouse.reception.scanners import milter_wire as say
from posthouse.reception.scanners.wire import ScannerError
from posthouse.smtp.command import BadCommand, parse_mail, parse_rcpt
from posthouse.smtp.path import BadPath, parse_mailbox
from posthouse.smtp.session import ForwardPath, ReturnPath

MOST_EDITS = 1000


class Wishes:
    """Gathered packet by packet. `folder`: where a large body lies, `most`: octets it may have; `spaced`: values come
    with the space behind the colon."""

    def __init__(self, folder: Path, most: int, spaced: bool) -> None:
        self._folder, self._most, self._space = folder, most, "" if spaced else " "
        self._fields: list[FieldEdit] = []
        self._body: IO[bytes] | None = None
        self._line_ends = say.LineEnds()
        self._return_path: ReturnPath | None = None
        self._recipients_added: list[ForwardPath] = []
        self._recipients_removed: list[str] = []
        self.quarantine: str | None = None
        self._count = 0

    def edits(self) -> Edits:
        """All of them."""
        if self._body is not None:
            self._body.write(self._line_ends.end())
        return Edits(
            tuple(self._fields), self._body, self._return_path, tuple(self._recipients_added),
            tuple(self._recipients_removed),
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
            self._fields.append(FieldEdit("append", name.decode("ascii", "replace"), self._space + text))
        elif command == say.INSERT_HEADER:
            index, header, text = say.numbered(data)
            self._fields.append(FieldEdit("insert", header, self._space + text, index))
        elif command == say.CHANGE_HEADER:
            index, header, text = say.numbered(data)
            self._fields.append(FieldEdit("change", header, self._space + text if text else None, max(index, 1)))
        else:
            self._envelope(command, say.words(data))

    def _envelope(self, command: bytes, words: list[str]) -> None:
        word, parameters = words[0], " ".join(words[1:])
        if command == say.ADD_RECIPIENT:
            self._recipients_added.append(_forward_path(word, ""))
        elif command == say.ADD_RECIPIENT_WITH:
            self._recipients_added.append(_forward_path(word, parameters))
        elif command == say.REMOVE_RECIPIENT:
            self._recipients_removed.append(_address(word))
        elif command == say.CHANGE_FROM:
            self._return_path = _return_path(word, parameters)
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


def _forward_path(text: str, parameters: str) -> ForwardPath:
    """A recipient with its DSN parameters (RFC 3461 §4); others, and those that are wrong, are passed over."""
    address = _address(text)
    kept = _known(parameters, ("NOTIFY", "ORCPT"))
    try:
        return parse_rcpt(f"RCPT TO:<{address}>{kept}".encode("utf-8", "replace"))
    except BadCommand:
        return ForwardPath(address)


def _return_path(text: str, parameters: str) -> ReturnPath:
    """Another return path with what it says of DSNs (RFC 3461 §4); other parameters are passed over."""
    address = _address(text, null=True)
    kept = _known(parameters, ("RET", "ENVID"))
    try:
        return parse_mail(f"MAIL FROM:<{address}>{kept}".encode("utf-8", "replace"))
    except BadCommand:
        return ReturnPath(address)


def _known(parameters: str, names: tuple[str, ...]) -> str:
    return "".join(f" {one}" for one in parameters.split() if one.partition("=")[0].upper() in names)


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
