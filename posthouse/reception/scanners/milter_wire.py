"""The milter protocol's packets and words, version 6, as Postfix and Sendmail speak it to their filters."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Iterable, Iterator

from posthouse.reception.scanners.wire import ScannerError
from posthouse.smtp import catalogue
from posthouse.smtp.reply import MalformedReply, Reply, parse_reply

VERSION = 6
OLDEST = 2
KNOWS_UNKNOWN, KNOWS_DATA = 3, 4  # the versions that brought these events: older filters hang up when they hear them
CHUNK = 65_535  # octets of a body in one packet
MOST_PACKET = 1024 * 1024 + 1
MOST_PROGRESS = 10_000  # reports of progress before an answer
HEAD = struct.Struct("!Ic")  # length of what follows it, command
NUMBER = struct.Struct("!I")
OPTIONS = struct.Struct("!III")  # version, actions, steps

# What we say
NEGOTIATE, MACRO, CONNECT, HELO, MAIL, RCPT, DATA, UNKNOWN = b"O", b"D", b"C", b"H", b"M", b"R", b"T", b"U"
HEADER, END_OF_HEADER, BODY, END_OF_BODY, ABORT, QUIT = b"L", b"N", b"B", b"E", b"A", b"Q"

# What a filter answers
CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, REPLY = b"c", b"a", b"r", b"t", b"d", b"y"
SKIP, PROGRESS, CONNECTION_FAILS, SHUTDOWN = b"s", b"p", b"f", b"4"
ADD_HEADER, INSERT_HEADER, CHANGE_HEADER, REPLACE_BODY = b"h", b"i", b"m", b"b"
ADD_RECIPIENT, ADD_RECIPIENT_WITH, REMOVE_RECIPIENT, CHANGE_FROM, QUARANTINE = b"+", b"2", b"-", b"e", b"q"

# What a filter may do: all of it (add and change fields, body, recipients, return path; quarantine; name macros)
ACTIONS = 0x1FF
# Steps a filter may leave out (NO_), steps it does not answer (SILENT_), and what it understands or wants besides
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HEADERS, NO_END_OF_HEADER, NO_UNKNOWN, NO_DATA = (
    0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x100, 0x200,
)  # fmt: skip
SILENT_HEADER, SILENT_CONNECT, SILENT_HELO, SILENT_MAIL, SILENT_RCPT, SILENT_DATA, SILENT_END_OF_HEADER, SILENT_BODY = (
    0x80, 0x1000, 0x2000, 0x4000, 0x8000, 0x10000, 0x40000, 0x80000,
)  # fmt: skip
SILENT_UNKNOWN = 0x20000
UNDERSTANDS_SKIP, REFUSED_RECIPIENTS, LEADING_SPACE = 0x400, 0x800, 0x100000
STEPS = 0x1FFFFF  # all of them are offered

_PERCENT = re.compile(rb"%(%?)")
_STAGES = {0: CONNECT, 1: HELO, 2: MAIL, 3: RCPT, 4: DATA, 5: END_OF_BODY, 6: END_OF_HEADER}


def packet(command: bytes, data: bytes = b"") -> bytes:
    """One packet."""
    return HEAD.pack(len(data) + 1, command) + data


def text(*words: str) -> bytes:
    """Words as they travel, each ended by NUL."""
    return b"".join(word.replace("\0", "").encode("utf-8", "surrogateescape") + b"\0" for word in words)


def macros(stage: bytes, values: Iterable[tuple[str, str]]) -> bytes:
    """The packet that goes before a command and says what is known by then; nothing where nothing is."""
    data = b"".join(text(name, value) for name, value in values if value)
    return packet(MACRO, stage + data) if data else b""


def requested_macros(data: bytes) -> dict[bytes, list[str]]:
    """Which macros a filter wants at which stage, from the end of its answer to the negotiation."""
    wanted: dict[bytes, list[str]] = {}
    position = 0
    while len(data) - position > NUMBER.size:
        (stage,) = NUMBER.unpack_from(data, position)
        end = data.find(b"\0", position + NUMBER.size)
        if end < 0:
            break
        if stage in _STAGES:
            wanted[_STAGES[stage]] = data[position + NUMBER.size : end].decode("ascii", "replace").split()
        position = end + 1
    return wanted


def words(data: bytes) -> list[str]:
    """The NUL-ended words of an answer."""
    return [one.decode("utf-8", "surrogateescape") for one in data.rstrip(b"\0").split(b"\0")]


def numbered(data: bytes) -> tuple[int, str, str]:
    """(index, name, value) of a field to insert or to change. Raises ScannerError."""
    if len(data) < NUMBER.size:
        raise ScannerError("its packet is too short")
    (index,) = NUMBER.unpack_from(data)
    name, _, value = data[NUMBER.size :].partition(b"\0")
    return index, name.decode("ascii", "replace"), value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def masked(version: int, steps: int) -> int:
    """The steps as a filter of this version means them: what it cannot know it wants to hear nothing of."""
    if version < KNOWS_UNKNOWN:
        steps |= NO_UNKNOWN
    return steps | NO_DATA if version < KNOWS_DATA else steps


async def receive(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """(command, data) of the next packet. Raises ScannerError, asyncio.IncompleteReadError."""
    length, command = HEAD.unpack(await reader.readexactly(HEAD.size))
    if not 1 <= length <= MOST_PACKET:
        raise ScannerError(f"its packet has {length} octets: that is not the milter protocol")
    return command, await reader.readexactly(length - 1)


async def decision(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next packet that is no report of progress. Raises ScannerError, asyncio.IncompleteReadError."""
    for _ in range(MOST_PROGRESS):
        command, data = await receive(reader)
        if command != PROGRESS:
            return command, data
    raise ScannerError("it reports progress without end")


def reply_of(command: bytes, data: bytes) -> Reply:
    """What a filter wants said when it refuses or defers."""
    if command == REJECT:
        return catalogue.REFUSED_BY_POLICY
    if command == SHUTDOWN:
        return catalogue.SHUTTING_DOWN
    if command == REPLY:
        # Sendmail takes these words for a format, so filters double each %; one alone means nothing
        plain = _PERCENT.sub(rb"\1", data.rstrip(b"\0").replace(b"\r\n", b"\n"))
        lines = [line for line in plain.split(b"\n") if line]
        try:
            said = parse_reply(lines) if lines else catalogue.DEFERRED_BY_POLICY
        except MalformedReply:
            return catalogue.DEFERRED_BY_POLICY
        if not said.positive:
            # RFC 2034 §4: the enhanced code's class is the reply's
            fits = said.enhanced[:1] == str(said.code)[0]
            return said if fits else Reply(said.code, "4.7.1" if said.temporary else "5.7.1", said.text)
    return catalogue.DEFERRED_BY_POLICY


class LineEnds:
    """Makes every line end of a body that comes in pieces CRLF, and leaves NUL out (RFC 5321 §2.3.8)."""

    def __init__(self) -> None:
        self._open = False  # the last piece ended in a CR

    def pieces(self, piece: bytes) -> Iterator[bytes]:
        """The piece as lawful content."""
        if self._open:
            piece = b"\r" + piece
        self._open = piece.endswith(b"\r")
        if self._open:
            piece = piece[:-1]
        pairs = piece.count(b"\r\n")
        if pairs != piece.count(b"\n") or pairs != piece.count(b"\r"):
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        yield piece.replace(b"\0", b"")

    def end(self) -> bytes:
        """What is left."""
        return b"\r\n" if self._open else b""
