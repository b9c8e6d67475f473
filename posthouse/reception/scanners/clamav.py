"""ClamAV: clamd's INSTREAM, the message in chunks, never by a path that clamd would have to be let into."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator

from posthouse.configuration import Scanner
from posthouse.reception.policy.facts import Scan
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.wire import ScannerError, Wire

_LENGTH = struct.Struct("!I")
MOST_LINE = 4096


async def ask(wire: Wire, name: str, settings: Scanner, letter: Letter, user: str) -> Scan:
    """Look for viruses. Raises ScannerError."""
    said = await wire.converse(_chunks(letter, settings.most), _answer)
    text = said.decode("utf-8", "replace").strip("\0\r\n ")
    if text == "stream: OK":
        return Scan(name, "clean")
    if text.startswith("stream: ") and text.endswith(" FOUND"):
        return Scan(name, "virus", words=text[8:-6][:200])
    if "size limit exceeded" in text:  # StreamMaxLength of clamd.conf: nothing is wrong with anybody
        return Scan(name, "skipped", words="larger than clamd takes (its StreamMaxLength)")
    raise ScannerError(f"it says {' '.join(text.split())[:200] or 'nothing'}")


def _chunks(letter: Letter, most: int) -> Iterator[bytes]:
    yield b"zINSTREAM\0"
    for block in letter.blocks(most):
        yield _LENGTH.pack(len(block)) + block
    yield _LENGTH.pack(0)


async def _answer(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while b"\0" not in found and len(found) < MOST_LINE:
        block = await reader.read(MOST_LINE)
        if not block:
            break
        found += block
    if not found:
        raise ScannerError("it hung up")
    return bytes(found)
