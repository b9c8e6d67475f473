"""Deliveries that stay in the house: taking a message and being done with it is one commit, shared by many.

Each delivery runs inside a savepoint: when one fails, it alone is undone and deferred, and the others go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from posthouse.database import Bridge, Unavailable, is_outage, transaction
from posthouse.delivery.claims import Claims
from posthouse.delivery.endings import Endings
from posthouse.delivery.trouble import Scope, Trouble, internal
from posthouse.lists.reports import Speaker
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DEFERRED, Outcome, record_outcomes

COMMIT_MOST = 100
COMMIT_SECONDS = 0.2  # after so long a commit takes nothing more, for others wait for the database

Act = Callable[[Claimed, int], Outcome]  # performs a delivery; the int is now, in milliseconds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """One delivery and the act that performs it, in the writing thread; it gives the outcome."""

    claimed: Claimed
    act: Act


class Home:
    """Runs errands, many to a commit.

    `recorded` is called with the outcomes of each commit once it is durable, `undone` with the outcome of each errand
    whose commit failed: it still has to be recorded. `give_back` takes those that the database was not there for.
    """

    def __init__(
        self,
        bridge: Bridge,
        endings: Endings,
        recorded: Callable[[Sequence[Outcome]], None],
        undone: Callable[[Outcome], None],
        claims: Claims,
        give_back: Callable[[Sequence[Claimed]], None],
    ) -> None:
        self._bridge, self._endings, self._recorded, self._undone = bridge, endings, recorded, undone
        self._claims, self._give_back = claims, give_back
        self._waiting: deque[Errand] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, errand: Errand) -> None:
        """Hand over a delivery."""
        self._waiting.append(errand)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def drop(self) -> list[Claimed]:
        """Forget what has not begun; gives it."""
        dropped = [errand.claimed for errand in self._waiting]
        self._waiting.clear()
        return dropped

    async def drained(self) -> None:
        """Wait until nothing waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(COMMIT_MOST, len(self._waiting)))]
                await self._commit(batch)
        finally:
            self._task = None

    async def _commit(self, batch: list[Errand]) -> None:
        now = self._endings.now()
        self._claims.begin(errand.claimed for errand in batch)
        try:
            outcomes = await self._bridge.write(_run_errands, batch, now, self._endings)
        except Unavailable as error:  # what was done all the same is not in the queue any more; the rest is untried
            log.warning("%d deliveries wait for the database: %s", len(batch), error)
            self._give_back([errand.claimed for errand in batch])
        except Exception as error:
            log.exception("a batch of %d deliveries could not be recorded", len(batch))
            if len(batch) > 1:
                for errand in batch:
                    await self._commit([errand])
            else:
                self._defer(batch, f"it could not be recorded: {type(error).__name__}: {error}")
        else:
            left = batch[len(outcomes) :]
            self._claims.put_off(errand.claimed for errand in left)
            self._waiting.extendleft(reversed(left))
            self._recorded(outcomes)

    def _defer(self, batch: list[Errand], reason: str) -> None:
        for errand in batch:
            self._undone(self._endings.troubled(errand.claimed, _later(reason), "here"))


def _run_errands(batch: list[Errand], now: int, endings: Endings) -> list[Outcome]:
    """Runs in the writing thread, in one transaction: the outcomes of as many errands as there is time for."""
    outcomes: list[Outcome] = []
    until = time.monotonic() + COMMIT_SECONDS
    for errand in batch:
        try:
            with transaction():
                outcomes.append(errand.act(errand.claimed, now))
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("delivery of %s to %s failed", errand.claimed.message.item, errand.claimed.recipient)
            outcomes.append(endings.troubled(errand.claimed, internal(error), "here"))
        if time.monotonic() > until:
            break
    record_outcomes(outcomes, now, Speaker())
    return outcomes


def _later(reason: str) -> Trouble:
    return Trouble(DEFERRED, Scope.RECIPIENT, reason, "4.3.0")
