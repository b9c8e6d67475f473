"""Back-pressure: when delivery or the disk falls behind, strangers come later first and people who sign in last.

A door that closed opens again at three quarters of what closed it, so that it does not flap. Nothing here refuses.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from posthouse import configuration, maillog
from posthouse.database import Bridge, Unavailable, free_bytes
from posthouse.queue import backlog
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

_log = logging.getLogger(__name__)
LOOK_SECONDS = 10.0  # between looks at the queue and the disk
# Times the bound at which each role is asked to come later: `behind` deliveries, or so much of the disk's reserve.
BEHIND = {"stranger": 1.0, "relay": 1.5, "account": 2.0}
RESERVE = {"stranger": 2.0, "relay": 1.5, "account": 1.0}  # times minimum_free_disk that must be free
OPEN_AGAIN = 0.75
MOST_COUNTED = 100_000  # deliveries, where nothing depends on how many are overdue


class Pressure:
    """One for a process; `look` at least every LOOK_SECONDS. `clock` gives seconds since 1970."""

    def __init__(
        self,
        settings: configuration.Flood,
        minimum_free: int,
        bridge: Bridge,
        data: Path,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`minimum_free`: bytes that must stay free on the disk of `data`."""
        self._settings, self._minimum_free = settings, minimum_free
        self._bridge, self._data, self._clock, self._monotonic = bridge, data, clock, monotonic
        self._looked_at = float("-inf")
        self.overdue = 0
        self.free = -1  # bytes; -1: not known
        self.closed: dict[str, str] = {}  # role -> why

    def refusal(self, role: str) -> Reply | None:
        """451 when somebody of this role (stranger, relay, account) has to come later, at MAIL. Never waits."""
        if not self.closed or role not in self.closed:
            return None
        return catalogue.BEHIND

    async def look(self) -> None:
        """Look at the queue and the disk, if it is time to. Of a database that cannot be asked the last word counts."""
        now = self._monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        settings = self._settings
        try:
            self.free = free_bytes(self._data)
        except OSError:
            self.free = -1
        if settings.behind:
            with contextlib.suppress(Unavailable):
                self.overdue = await self._bridge.read(late, settings, int(self._clock() * 1000))
        self._decide()

    def _decide(self) -> None:
        for role in BEHIND:
            why = reason(self._settings, self._minimum_free, role, self.overdue, self.free, role in self.closed)
            if bool(why) == (role in self.closed):
                continue
            if why:
                self.closed[role] = why
                _log.warning("Mail of %s is asked to come later: %s", _NAMES[role], why)
            else:
                self.closed.pop(role)
                _log.warning("Mail of %s is taken again", _NAMES[role])
            maillog.pressure(int(self._clock() * 1000), role, why)


_NAMES = {"stranger": "strangers", "relay": "relay networks", "account": "people who sign in"}


def late(settings: configuration.Flood, now: int) -> int:
    """How many deliveries are overdue, as far as it matters; `now` in ms."""
    most = int(settings.behind * max(BEHIND.values())) + 1 if settings.behind else MOST_COUNTED
    return backlog.overdue(now, settings.behind_seconds * 1000, most)


def reason(
    settings: configuration.Flood, minimum_free: int, role: str, overdue: int, free: int, closed: bool = False
) -> str:
    """Why somebody of this role has to come later, "" when nothing says so; `closed`: it is so already."""
    bound = settings.behind * BEHIND[role] * (OPEN_AGAIN if closed else 1.0)
    if settings.behind and overdue >= bound:
        return f"{overdue} deliveries are overdue"
    needed = minimum_free * RESERVE[role] / (OPEN_AGAIN if closed else 1.0)
    if minimum_free and 0 <= free < needed:
        return f"{free // configuration.MIB} MB of the disk are free"
    return ""


def state(settings: configuration.Flood, minimum_free: int, overdue: int, free: int) -> list[str]:
    """Sentences about who has to come later, for an operator."""
    said = []
    for role, name in _NAMES.items():
        why = reason(settings, minimum_free, role, overdue, free)
        if why:
            said.append(f"Mail of {name} is asked to come later: {why}.")
    return said
