"""One HTTP/1.1 POST and its answer (RFC 9112), as much as a scanner on a near host needs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from itertools import chain

from posthouse.reception.scanners.wire import MOST_ANSWER, ScannerError, Wire, to_the_end

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]{0,100}))?")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


async def post(
    wire: Wire, path: str, host: str, fields: Sequence[tuple[str, str]], length: int, blocks: Iterable[bytes]
) -> tuple[int, bytes]:
    """(status, body). Values of `fields` lose what could begin another line. Raises ScannerError."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {length}"]
    lines += [f"{name}: {_UNSAFE.sub('', value)}" for name, value in fields]
    head = "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")
    return await wire.converse(chain((head,), blocks), _answer)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None:
        raise ScannerError("its answer is not HTTP")
    fields = {
        name.strip().lower(): value.strip().lower()
        for name, colon, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        if colon
    }
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return int(status[1]), await _chunked(reader)
    length = fields.get(b"content-length", b"")
    if not length.isdigit():
        return int(status[1]), await to_the_end(reader)
    if int(length) > MOST_ANSWER:
        raise ScannerError("its answer is too long")
    return int(status[1]), await reader.readexactly(int(length))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    """RFC 9112 §7.1, trailers ignored."""
    found = bytearray()
    while True:
        line = (await reader.readline()).partition(b";")[0].strip()
        try:
            length = int(line, 16)
        except ValueError:
            raise ScannerError("its answer is cut wrongly") from None
        if length == 0:
            return bytes(found)
        if length < 0 or len(found) + length > MOST_ANSWER:
            raise ScannerError("its answer is too long")
        found += (await reader.readexactly(length + 2))[:-2]
