"""Hosts whose TLS does not work get their mail without (RFC 7435 §3); which ones is remembered for a while."""

from __future__ import annotations

from collections.abc import Callable

MOST_HOSTS = 2_000
PLAIN_SECONDS = 600.0  # a host whose handshake failed is not offered TLS again for so long


class PlainHosts:
    """Hosts whose TLS did not work a short while ago, by address. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, address: str) -> None:
        """The handshake with this address failed."""
        if len(self._until) >= MOST_HOSTS:
            self._until.clear()
        self._until[address] = self._clock() + PLAIN_SECONDS

    def __contains__(self, address: str) -> bool:
        return self._until.get(address, 0.0) > self._clock()
