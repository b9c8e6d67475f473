"""What was heard of addresses: from memory, else from what all hosts share; written in batches."""

from __future__ import annotations

from collections.abc import Callable

from posthouse.database import Bridge, Unavailable
from posthouse.dns.cache import Cache
from posthouse.encounters import verification
from posthouse.encounters.verification import Answer

MOST_KNOWN = 20_000
MOST_PENDING = 10_000  # answers that wait for the database; beyond it the oldest are forgotten
FRESH = 60.0  # seconds until it is looked at again what other hosts heard
NONE = Answer("", "", "", "", 0, 0)  # nothing is known

What = tuple[str, str]  # (kind, address)


class Remembered:
    """For one process. `clock`: seconds since 1970."""

    def __init__(self, bridge: Bridge, clock: Callable[[], float]) -> None:
        self._bridge, self._clock = bridge, clock
        self._known: Cache[What, Answer] = Cache(MOST_KNOWN, clock)
        self._pending: dict[What, Answer] = {}

    async def of(self, *asked: What) -> dict[What, Answer]:
        """What is known of these. Never raises."""
        found = {one: self._known.get(one) for one in asked}
        missing = [one for one, answer in found.items() if answer is None]
        if missing:
            now = self._now()
            try:
                rows = await self._bridge.read(verification.answers, missing, now)
            except Unavailable:
                rows = {}
            for one in missing:
                # What was heard while the database was read is newer.
                pending = self._pending.get(one)
                if pending is not None and pending.until <= now:
                    pending = None
                answer = self._known.get(one) or pending or rows.get(one) or NONE
                self._known.keep(one, answer, FRESH if answer is NONE else min(FRESH, (answer.until - now) / 1000))
                found[one] = answer
        return {one: answer for one, answer in found.items() if answer is not None and answer is not NONE}

    def keep(self, kind: str, address: str, answer: str, reply: str, seconds: float, shared: bool = True) -> None:
        """Remember an answer for so long; `shared`: other hosts and later processes are told."""
        now = self._now()
        heard = Answer(kind, _storable(address), answer, _storable(reply), now, now + int(seconds * 1000))
        self._known.keep((kind, address), heard, min(seconds, FRESH) if shared else seconds)
        if shared:
            self._pending.pop((kind, address), None)
            self._pending[kind, address] = heard
            if len(self._pending) > MOST_PENDING:
                del self._pending[next(iter(self._pending))]

    def forget(self) -> None:
        """Ask the database anew."""
        self._known.forget()

    async def flush(self) -> None:
        """Write what waits. Never raises; what cannot be written is tried again."""
        if not self._pending:
            return
        leaving, self._pending = self._pending, {}
        try:
            await self._bridge.write(verification.keep, list(leaving.values()))
        except Unavailable:
            self._pending = leaving | self._pending

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:600]
