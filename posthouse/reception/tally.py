"""How often each check led to what: counted in memory, told to the maillog once a minute."""

from __future__ import annotations

from collections import Counter

from posthouse import maillog

EVERY_SECONDS = 60.0


class Tally:
    """The counters of one process."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._told_at = float("-inf")

    def add(self, check: str, action: str) -> None:
        """A check led to `action`: tag, defer or refuse; check "" for mail that was accepted."""
        self._counts[f"{check} {action}".lstrip()] += 1

    def tell(self, now: float, *, at_once: bool = False) -> None:
        """Write down what was counted, when it is time. `now`: seconds since 1970."""
        if self._counts and (at_once or now - self._told_at >= EVERY_SECONDS):
            maillog.checked(int(now * 1000), dict(self._counts))
            self._counts.clear()
            self._told_at = now
