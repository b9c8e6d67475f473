"""Makes outcomes durable, many to a commit, and lets go of none while this process lives.

At least once, as narrow as can be: between the far side's 250 and our commit lie a few milliseconds of gathering.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from posthouse.database import Bridge, Unavailable
from posthouse.lists.reports import Speaker
from posthouse.queue import captured, suspension
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DELIVERED, Outcome, record_outcomes

GATHER_SECONDS = 0.003  # outcomes of so long share a commit ...
GATHER_MOST = 256  # ... unless there are so many sooner
COMMIT_MOST = 2000
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds until an unavailable database is tried again

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Capture:
    """A message that the trial mode keeps instead of sending it."""

    at: int
    claimed: Claimed
    return_path: str
    octets: bytes
    reply: str


@dataclass(frozen=True, slots=True)
class DestinationFailed:
    """A destination failed as a whole; `random` draws how long it rests."""

    destination: int
    reason: str
    random: float


@dataclass(slots=True)
class Batch:
    """What goes into one commit."""

    outcomes: list[Outcome] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    failed: list[DestinationFailed] = field(default_factory=list)
    worked: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.captures or self.failed or self.worked)


class Recorder:
    """`recorded` is called with the outcomes of each commit once it is durable. `now` gives milliseconds."""

    def __init__(self, bridge: Bridge, now: Callable[[], int], recorded: Callable[[Sequence[Outcome]], None]) -> None:
        self._bridge, self._now, self._recorded = bridge, now, recorded
        self._batch = Batch()
        self._task: asyncio.Task[None] | None = None
        self._enough = asyncio.Event()
        self._hurry = False
        self._life = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Outcomes that are not yet being written."""
        return len(self._batch.outcomes)

    @property
    def busy(self) -> bool:
        """Whether something is being gathered or written."""
        return self._task is not None

    def add(self, outcome: Outcome, capture: Capture | None = None) -> None:
        """Hand over the end of an attempt."""
        self._batch.outcomes.append(outcome)
        if capture is not None:
            self._batch.captures.append(capture)
        self._start()

    def destination_failed(self, failure: DestinationFailed) -> None:
        """Let a destination rest as a whole."""
        self._batch.failed.append(failure)
        self._start()

    def destination_worked(self, destination: int) -> None:
        """A destination that may have failed before takes mail again."""
        self._batch.worked.append(destination)
        self._start()

    def stir(self) -> None:
        """A sign of life from the database: what waits for it is tried now."""
        self._life.set()

    async def drained(self) -> None:
        """Wait until everything handed over is durable."""
        self._hurry = True
        self._enough.set()
        try:
            while self._task is not None:
                await asyncio.wait([self._task])
        finally:
            self._hurry = False

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif len(self._batch.outcomes) >= GATHER_MOST:
            self._enough.set()

    async def _run(self) -> None:
        try:
            while self._batch:
                if len(self._batch.outcomes) < GATHER_MOST and not self._hurry:
                    self._enough.clear()
                    try:
                        async with asyncio.timeout(GATHER_SECONDS):
                            await self._enough.wait()
                    except TimeoutError:
                        pass
                await self._commit(self._cut())
        finally:
            self._task = None

    def _cut(self) -> Batch:
        """What waits, at most a commit's worth of it."""
        taken, self._batch = self._batch, Batch()
        if len(taken.outcomes) > COMMIT_MOST:
            self._batch.outcomes = taken.outcomes[COMMIT_MOST:]
            del taken.outcomes[COMMIT_MOST:]
        return taken

    async def _commit(self, batch: Batch) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._bridge.write(_keep, batch, self._now())
            except Unavailable as error:
                if pause == FIRST_PAUSE:
                    log.warning("%d outcomes wait for the database: %s", len(batch.outcomes), error)
                self._life.clear()
                try:
                    async with asyncio.timeout(pause):
                        await self._life.wait()
                except TimeoutError:
                    pause = min(pause * 2, LONGEST_PAUSE)
                continue
            except Exception:
                await self._one_by_one(batch)
            else:
                self._tell(batch)
            return

    def _tell(self, batch: Batch) -> None:
        try:
            self._recorded(batch.outcomes)
        except Exception:
            log.exception("what was recorded could not be told")

    async def _one_by_one(self, batch: Batch) -> None:
        """A fault of one item must not hold up the others: it is logged, and its claim stays until we are gone."""
        if len(batch.outcomes) + len(batch.captures) + len(batch.failed) + len(batch.worked) <= 1:
            log.exception("an outcome could not be recorded: %r", batch)
            self._tell(batch)
            return
        by_claim = {capture.claimed.id: capture for capture in batch.captures}
        for outcome in batch.outcomes:
            capture = by_claim.pop(outcome.claimed.id, None)
            await self._commit(Batch(outcomes=[outcome]))
            if capture is not None:
                await self._commit(Batch(captures=[capture]))
        for failure in batch.failed:
            await self._commit(Batch(failed=[failure]))
        for destination in batch.worked:
            await self._commit(Batch(worked=[destination]))


def _keep(batch: Batch, now: int) -> None:
    """Runs in the writing thread, in one transaction."""
    if batch.captures:
        captured.capture_many([(one.at, one.claimed, one.return_path, one.octets, one.reply) for one in batch.captures])
    if batch.outcomes:
        record_outcomes(_true(batch.outcomes), now, Speaker())
    for failure in batch.failed:
        suspension.destination_failed(failure.destination, now, failure.reason, failure.random)
    for destination in batch.worked:
        suspension.destination_worked(destination, now)


def _true(outcomes: list[Outcome]) -> list[Outcome]:
    """Without what else is said of a delivery that did happen: after an outage it may be claimed and told twice."""
    by_claim: dict[int, Outcome] = {}
    for outcome in outcomes:
        known = by_claim.get(outcome.claimed.id)
        if known is None or known.result != DELIVERED:
            by_claim[outcome.claimed.id] = outcome
    return list(by_claim.values())
