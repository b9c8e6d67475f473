"""Bytes on their way in: small ones gather in memory, large ones go to disk as they come."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from posthouse import belonging
from posthouse.content.errors import StorageFull

__all__ = ["LARGE", "Spool", "Spooled", "StorageFull", "spooled_from"]

LARGE = 256 * 1024  # bytes; content above lives in a file


@dataclass(frozen=True, slots=True)
class Spooled:
    """The bytes of a message that has come whole: in memory (`octets`) or in a file that is fsynced (`path`)."""

    size: int
    digest: bytes  # SHA-256
    octets: bytes | None
    path: Path | None = None

    def head(self, count: int) -> bytes:
        """The first `count` bytes."""
        if self.octets is not None:
            return self.octets[:count]
        assert self.path is not None
        with open(self.path, "rb") as file:
            return file.read(count)

    def twin(self) -> Spooled:
        """The same bytes to be kept or forgotten for themselves: a file gets a second name. Raises StorageFull."""
        if self.path is None:
            return self
        path = self.path.with_name(secrets.token_hex(16))
        try:
            os.link(self.path, path)
        except OSError as error:
            raise StorageFull(f"the message cannot be kept: {error.strerror}") from error
        return Spooled(self.size, self.digest, None, path)

    def discard(self) -> None:
        """Forget it: nobody kept it."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def spooled_from(octets: bytes) -> Spooled:
    """Content that is in memory already, whatever its size."""
    return Spooled(len(octets), hashlib.sha256(octets).digest(), octets)


class Spool:
    """Takes the content of one message as it comes (the SMTP engine's Sink); memory stays below `above` bytes.

    A crash leaves at most a file in `folder`, which the sweep removes: nothing was promised yet.
    """

    __slots__ = ("_above", "_chunks", "_digest", "_folder", "_handle", "_path", "_size")

    def __init__(self, folder: Path, above: int = LARGE) -> None:
        self._folder, self._above = folder, above
        self._chunks: list[bytes] = []
        self._size = 0
        self._handle = -1
        self._path: Path | None = None
        self._digest = None if above else hashlib.sha256()

    def write(self, chunk: bytes | memoryview, /) -> None:
        """Keep a chunk. Raises StorageFull when the disk does not take it; what was written is forgotten then."""
        self._size += len(chunk)
        if self._handle < 0:
            self._chunks.append(bytes(chunk))
            if self._size > self._above:
                self._to_disk()
            return
        try:
            self._put(chunk)
        except OSError as error:
            self.abort()
            raise StorageFull(f"the message cannot be kept: {error.strerror}") from error

    def abort(self) -> None:
        """Forget everything. Safe to repeat."""
        self._chunks.clear()
        self._close()
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError:
                pass  # a read-only disk: the sweep takes it
            self._path = None

    def finish(self) -> Spooled:
        """The whole content. A file is fsynced first: call this in a thread when `on_disk`. Raises StorageFull."""
        if self._handle < 0:
            octets = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = []
            return spooled_from(octets)
        assert self._digest is not None
        try:
            os.fsync(self._handle)
        except OSError as error:
            self.abort()
            raise StorageFull(f"the message cannot be kept: {error.strerror}") from error
        self._close()
        return Spooled(self._size, self._digest.digest(), None, self._path)

    @property
    def on_disk(self) -> bool:
        """Whether the content has outgrown memory, so that `finish` waits for the disk."""
        return self._handle >= 0

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def _to_disk(self) -> None:
        self._digest = hashlib.sha256()
        try:
            belonging.make_folder(self._folder)
            self._path = self._folder / secrets.token_hex(16)
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            belonging.hand_over(self._path)
            for chunk in self._chunks:
                self._put(chunk)
        except OSError as error:
            self.abort()
            raise StorageFull(f"the message cannot be kept: {error.strerror}") from error
        self._chunks = []

    def _put(self, chunk: bytes | memoryview) -> None:
        assert self._digest is not None
        self._digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
