"""Which deliveries have begun, in memory that outlives a killed process: only those count an attempt for it.

A claim counts its attempt beforehand, in the database (queue.claim). When the process is killed the next one of this
place takes that back for all that had only been claimed. What had begun, and may be what killed, stays counted. The
memory is a file mapped into it, one for each claimant; a machine that stopped leaves none that is believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
from array import array
from pathlib import Path

SLOTS = 8192  # more than a process holds (claims.MOST_HELD)
_SIZE = SLOTS * 8

log = logging.getLogger(__name__)


class Begun:
    """The notes of this process in `folder`. Writing one costs an assignment; nothing waits for a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "0"
        self._handle = -1
        self._map: mmap.mmap | None = None
        self._slots: memoryview | None = None
        self._free: list[int] = []
        self._of: dict[int, int] = {}

    def open(self, claimant: int) -> None:
        """Begin anew as this claimant. Where there is no room for notes, none are taken and every claim counts."""
        self.close()
        self._path = self._folder / str(claimant)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held as long as this process lives
            os.posix_fallocate(self._handle, 0, _SIZE)  # or a full disk would end us at the first note
            self._map = mmap.mmap(self._handle, _SIZE)
        except OSError as error:
            log.warning("no notes are taken of what has begun (%s): %s", self._path, error.strerror)
            self.close()
            return
        whole = memoryview(self._map)
        self._slots = whole.cast("Q")
        whole.release()
        self._free = list(range(SLOTS))

    def add(self, number: int) -> None:
        """This delivery begins now."""
        if self._slots is not None and self._free and number not in self._of:
            slot = self._of[number] = self._free.pop()
            self._slots[slot] = number

    def drop(self, number: int) -> None:
        """This delivery is not ours any more, or did not begin after all."""
        slot = self._of.pop(number, None)
        if slot is not None and self._slots is not None:
            self._slots[slot] = 0
            self._free.append(slot)

    def of(self, claimant: int) -> frozenset[int] | None:
        """What a claimant that is gone had begun; None when nobody knows."""
        try:
            with (self._folder / str(claimant)).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                octets = file.read(_SIZE)
        except OSError:  # there is none, or it is held: then that claimant lives
            return None
        return frozenset(array("Q", octets)) - {0} if len(octets) == _SIZE else None

    def tidy(self) -> None:
        """Remove the notes of all who are gone."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                with contextlib.suppress(OSError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()

    def close(self) -> None:
        """End in order: nothing is left to tell."""
        if self._slots is not None:
            self._slots.release()
        if self._map is not None:
            self._map.close()
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._handle)
        self._slots, self._map, self._handle = None, None, -1
        self._free.clear()
        self._of.clear()
