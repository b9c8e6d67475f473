"""How many are inside in the other reception processes of this host: counts in memory that they share.

Each process owns a row, a small file mapped into memory which it alone writes; the lock on it ends with the process,
and the next to start sets every row that nobody holds to nought. Reading costs a look at each row, writing one
addition; nobody waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import secrets
from pathlib import Path

SLOTS = 1 << 16  # clients are counted by the hash of their key: two that fall together are counted together
MOST_GROUPS = 4
_SIZE = SLOTS * 2 + MOST_GROUPS * 8
_MOST = 0xFFFF


class Crowd:
    """The rows of `most` processes in `folder`. One for a process; `close` when it ends."""

    def __init__(self, folder: Path, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._salt = _salt(folder / "door.salt")
        self._handles = [
            os.open(folder / f"door.{n}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for n in range(most)
        ]
        self._maps: list[mmap.mmap] = []
        self._slots: list[memoryview] = []
        self._totals: list[memoryview] = []
        self._own: int | None = None  # None: more processes than rows; then only the others are counted
        for number, handle in enumerate(self._handles):
            os.ftruncate(handle, _SIZE)  # also what a crash of the host left of it
            mapped = mmap.mmap(handle, _SIZE)
            whole = memoryview(mapped)
            self._maps.append(mapped)
            self._slots.append(whole[: SLOTS * 2].cast("H"))
            self._totals.append(whole[SLOTS * 2 :].cast("Q"))
            whole.release()
            if _taken(handle):  # nobody's: what a killed process left in it counts no longer
                mapped[:] = bytes(_SIZE)
                if self._own is None:
                    self._own = number
                else:
                    fcntl.flock(handle, fcntl.LOCK_UN)

    def slot(self, key: str) -> int:
        """Where a client is counted. No stranger knows the salt, so nobody can choose whom to fall together with."""
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=2, key=self._salt).digest())

    def elsewhere(self, slot: int, group: int = 0) -> tuple[int, int]:
        """(connections of this client, all connections of a group) in the other processes."""
        client = everybody = 0
        for number, slots in enumerate(self._slots):
            if number != self._own:
                client += slots[slot]
                everybody += self._totals[number][group]
        return client, everybody

    def change(self, slot: int, by: int, group: int = 0) -> None:
        """One of a group came in (1) or left (-1) here."""
        if self._own is None:
            return
        slots, total = self._slots[self._own], self._totals[self._own]
        slots[slot] = min(_MOST, max(0, slots[slot] + by))
        total[group] = max(0, total[group] + by)

    def close(self) -> None:
        """Nobody is inside here any more."""
        if self._own is not None:
            self._maps[self._own][:] = bytes(_SIZE)
        for view in (*self._slots, *self._totals):
            view.release()
        for mapped in self._maps:
            mapped.close()
        for handle in self._handles:
            os.close(handle)
        self._slots, self._totals, self._maps, self._handles = [], [], [], []
        self._own = None


def _taken(handle: int) -> bool:
    """Whether the row is ours now. The dead hold no locks."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _salt(path: Path) -> bytes:
    """The same for all processes; made by the first."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = os.pread(handle, 16, 0)
        if len(found) < 16:
            found = secrets.token_bytes(16)
            os.pwrite(handle, found, 0)
        return found
    finally:
        os.close(handle)
