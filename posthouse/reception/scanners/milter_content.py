"""The end of a milter's transaction: the message in the parts it is told in, and what its last word means."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from posthouse.reception.policy.facts import Scan
from posthouse.reception.scanners import milter_wire as say
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.wire import ScannerError
from posthouse.reception.scanners.wishes import Wishes

REFUSALS = (say.REJECT, say.TEMPFAIL, say.REPLY, say.SHUTDOWN, say.CONNECTION_FAILS)
LAST_WORDS = (say.ACCEPT, say.DISCARD, *REFUSALS)


def parts(letter: Letter, steps: int) -> Iterator[tuple[bytes, bytes, int, int]]:
    """(command, data, the step that leaves it out, the step that gives no answer to it) of DATA, header and body."""
    yield say.DATA, b"", say.NO_DATA, say.SILENT_DATA
    if not steps & say.NO_HEADERS:
        spaced = steps & say.LEADING_SPACE
        for name, value in letter.named():
            value = value.replace(b"\r\n", b"\n")
            if not spaced and value[:1] == b" ":  # one space, and never a tab, goes with the colon
                value = value[1:]
            yield say.HEADER, name.encode() + b"\0" + value + b"\0", say.NO_HEADERS, say.SILENT_HEADER
    yield say.END_OF_HEADER, b"", say.NO_END_OF_HEADER, say.SILENT_END_OF_HEADER
    if not steps & say.NO_BODY:
        for block in letter.body(say.CHUNK):
            yield say.BODY, block, say.NO_BODY, say.SILENT_BODY


async def told_to_the_end(reader: asyncio.StreamReader, deadline: float, wishes: Wishes) -> tuple[bytes, bytes]:
    """What it says behind the body, up to its last word; each packet may take `deadline` seconds, so that progress
    keeps it alive. Raises ScannerError, TimeoutError, asyncio.IncompleteReadError."""
    progress = 0
    while True:
        async with asyncio.timeout(deadline):
            command, data = await say.receive(reader)
        if command == say.CONTINUE or command in LAST_WORDS:
            return command, data
        if command != say.PROGRESS:
            wishes.take(command, data)
        elif (progress := progress + 1) > say.MOST_PROGRESS:
            raise ScannerError("it reports progress without end")


def scan_of(name: str, answer: bytes, extra: bytes, wishes: Wishes) -> Scan:
    """What the last word of the filter of this name means, with its wishes where it has any."""
    if answer in REFUSALS:
        reply = say.reply_of(answer, extra)
        return Scan(name, "refuse" if reply.permanent else "defer", words=str(reply)[:200], reply=reply)
    if answer == say.DISCARD:
        return Scan(name, "discard")
    if wishes.quarantine is not None:
        return Scan(name, "quarantine", words=wishes.quarantine, edits=wishes.edits())
    return Scan(name, "clean", edits=wishes.edits())
