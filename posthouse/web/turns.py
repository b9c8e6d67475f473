"""How many downloads run at a time in a process, and how many of them for one network."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

AT_ONCE: Final = 4
OF_A_NETWORK: Final = 2


class Turns:
    """How many downloads run, of all and of each network."""

    def __init__(self, most: int = AT_ONCE, of_a_network: int = OF_A_NETWORK) -> None:
        self._most, self._of_a_network = most, of_a_network
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()

    def take(self, network: str) -> int:
        """Take a turn: 0; 429 when the network has its share, 503 when there is none left."""
        with self._lock:
            if self._running[network] >= self._of_a_network:
                return 429
            if self._running.total() >= self._most:
                return 503
            self._running[network] += 1
            return 0

    def leave(self, network: str) -> None:
        """Give it back."""
        with self._lock:
            self._running[network] -= 1
            if self._running[network] <= 0:
                del self._running[network]


turns = Turns()
