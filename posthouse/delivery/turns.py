"""The bound on all connections together: who finds none free waits in line and gets the next one."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Waiting(Protocol):
    """Someone who wants a connection."""

    def stir(self) -> None:
        """There may be one now."""


class Turns:
    """Counts connections. Idle ones are asked to go (`yielders`) when somebody waits."""

    def __init__(self, most: int) -> None:
        self._free = max(1, most)
        self._waiting: deque[Waiting] = deque()
        self._closed = False
        self.idle: list[Waiting] = []

    @property
    def contended(self) -> bool:
        """Somebody waits for a connection."""
        return bool(self._waiting)

    def take(self, who: Waiting) -> bool:
        """A connection for `who`; False when there is none: `who.stir` is called when that may have changed."""
        if self._closed:
            return False
        if self._free > 0:
            self._free -= 1
            return True
        if who not in self._waiting:
            self._waiting.append(who)
        if self.idle:
            self.idle.pop(0).stir()
        return False

    def give_back(self) -> None:
        """A connection ended."""
        self._free += 1
        while self._free > 0 and self._waiting:
            self._waiting.popleft().stir()

    def close(self) -> None:
        """From now on nobody gets a connection: the station stops."""
        self._closed = True
        self._waiting.clear()
