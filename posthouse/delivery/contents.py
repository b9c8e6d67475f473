"""The bytes that are sent: read once for all copies, dot-stuffed once, kept while they fit; large ones stay files."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posthouse.content import keeping
from posthouse.database import Bridge
from posthouse.smtp.data import canonical, stuff
from posthouse.smtp.outgoing import FileBody

MOST_BYTES = 16 * 1024 * 1024  # of contents that are remembered, plain and dot-stuffed
MOST_CONTENTS = 10_000
MOST_AT_ONCE = 64  # contents read in one question
BLOCK = 1024 * 1024


@dataclass(slots=True)
class Loaded:
    """One content, ready to be sent."""

    body: bytes | FileBody
    eight_bit: bool
    unlawful: bool = False  # a bare CR or LF is in it, so that another host could read it as two messages
    _stuffed: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Octets in memory."""
        return len(self.body) if isinstance(self.body, bytes) else 0

    @property
    def stuffed(self) -> bytes | None:
        """As DATA sends it (RFC 5321 §4.5.2), made once; None for a file, which is stuffed as it streams."""
        if self._stuffed is None and isinstance(self.body, bytes):
            self._stuffed = stuff(self.body)
        return self._stuffed


class Contents:
    """Contents by id. What is asked for in one turn of the loop is read together."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._loaded: OrderedDict[int, Loaded] = OrderedDict()
        self._bytes = 0
        self._wanted: dict[int, asyncio.Future[Loaded]] = {}
        self._asked: list[tuple[int, asyncio.Future[Loaded]]] = []
        self._readings: set[asyncio.Task[None]] = set()

    def known(self, content_id: int) -> Loaded | None:
        """A content that is in memory."""
        loaded = self._loaded.get(content_id)
        if loaded is not None:
            self._loaded.move_to_end(content_id)
        return loaded

    async def load(self, content_id: int) -> Loaded:
        """A content. Raises database.Unavailable, or LookupError when it does not exist."""
        known = self.known(content_id)
        if known is not None:
            return known
        return await asyncio.shield(self._want(content_id))

    def prefetch(self, content_ids: Sequence[int]) -> None:
        """Begin to read contents that will be asked for soon."""
        for content_id in content_ids:
            if content_id not in self._loaded:
                self._want(content_id)

    def _want(self, content_id: int) -> asyncio.Future[Loaded]:
        future = self._wanted.get(content_id)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._wanted[content_id] = loop.create_future()
            self._asked.append((content_id, future))
            if len(self._asked) == 1:
                loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        asked, self._asked = self._asked, []
        loop = asyncio.get_running_loop()
        for start in range(0, len(asked), MOST_AT_ONCE):
            reading = loop.create_task(self._read(asked[start : start + MOST_AT_ONCE]))
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    async def _read(self, wanted: Sequence[tuple[int, asyncio.Future[Loaded]]]) -> None:
        failure: Exception | None = None
        found: dict[int, Loaded] = {}
        try:
            found = await self._bridge.read(_read, [key for key, _ in wanted])
        except Exception as error:
            failure = error
        for key, future in wanted:
            self._wanted.pop(key, None)
            loaded = found.get(key)
            if future.done():
                continue
            if loaded is not None:
                self._keep(key, loaded)
                future.set_result(loaded)
            else:
                future.set_exception(failure or LookupError(f"content {key} does not exist"))
                future.exception()  # seen, also when whoever asked is gone

    def _keep(self, key: int, loaded: Loaded) -> None:
        self._loaded[key] = loaded
        self._bytes += 2 * loaded.size
        while self._bytes > MOST_BYTES or len(self._loaded) > MOST_CONTENTS:
            _, dropped = self._loaded.popitem(last=False)
            self._bytes -= 2 * dropped.size


def _read(content_ids: list[int]) -> dict[int, Loaded]:
    """Runs in a reading thread: contents from the database; of large ones only where their file is."""
    loaded: dict[int, Loaded] = {}
    for key, body in keeping.read_many(content_ids).items():
        if body.octets is not None:
            octets = canonical(bytes(body.octets))  # nearly always the same bytes: reception takes no others
            loaded[key] = Loaded(octets, not octets.isascii())
        elif body.path is not None:
            ascii_only, lawful = _look_through(body.path)
            loaded[key] = Loaded(FileBody(str(body.path), 0, body.size, ascii_only), not ascii_only, not lawful)
    return loaded


def _look_through(path: Path) -> tuple[bool, bool]:
    """Whether a file is ASCII, and whether each CR and LF in it is half of a line end (RFC 5321 §2.3.8)."""
    ascii_only, pairs, returns, feeds, tail = True, 0, 0, 0, b""
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            ascii_only = ascii_only and block.isascii()
            pairs += block.count(b"\r\n") + (tail == b"\r" and block.startswith(b"\n"))
            returns += block.count(b"\r")
            feeds += block.count(b"\n")
            tail = block[-1:]
    return ascii_only, pairs == returns == feeds
