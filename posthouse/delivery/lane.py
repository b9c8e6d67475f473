"""One next hop: what waits for it, how many connections it gets, and what the far side said.

Concurrency starts small, grows by one with each success and is halved by trouble. A host that fails is passed over;
when none answers, everything that waits is deferred together and the destination rests as a whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from posthouse.delivery.claims import Claims
from posthouse.delivery.dialling import WINDOW, Dialler, HostTrouble
from posthouse.delivery.endings import Endings
from posthouse.delivery.job import Job, Packer
from posthouse.delivery.line import Line
from posthouse.delivery.mx import NoTargets, Target
from posthouse.delivery.recorder import DestinationFailed, Recorder
from posthouse.delivery.trouble import Scope, Trouble
from posthouse.delivery.turns import Turns
from posthouse.delivery.ways import Manner
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DEFERRED
from posthouse.smtp.client import Client

FIRST_CONCURRENCY = 2
JOBS_PER_LINE = WINDOW // 2  # another connection is opened when more than so many jobs wait for each one
MOST_HOSTS_PER_JOB = 3  # hosts that are asked about one message in one attempt
BAD_SECONDS = 60.0  # a host that failed is passed over for so long


@dataclass(frozen=True)
class World:
    """What all lanes share; `clock` gives seconds."""

    dialler: Dialler
    packer: Packer
    recorder: Recorder
    endings: Endings
    turns: Turns
    claims: Claims
    tasks: set[asyncio.Task[None]]
    clock: Callable[[], float]
    most_lines: int
    most_messages: int
    idle_seconds: float


class Lane:
    """All connections to one next hop. `targets` finds its hosts, best first, or raises NoTargets.

    `most_lines` (0: as for all) bounds its connections. `alone`: its failures do not suspend the destination, which
    other mail reaches another way; it rests by itself.
    """

    def __init__(
        self,
        name: str,
        targets: Callable[[], Awaitable[list[Target]]],
        world: World,
        manner: Manner,
        *,
        most_lines: int = 0,
        alone: bool = False,
    ) -> None:
        self.name, self.world, self._manner, self._alone = name, world, manner, alone
        self._most = most_lines or world.most_lines
        self._rests: tuple[float, Trouble] | None = None  # alone: until when, and why
        self._find = targets
        self.jobs: deque[Job] = deque()
        self.elsewhere: list[Job] = []  # refused by one host, to be tried at another
        self.lines: set[Line] = set()
        self.allowed = min(FIRST_CONCURRENCY, self._most)
        self.used = 0.0  # when it last had something to do
        self.most_messages = world.most_messages  # on one connection, as far as the far side lets us
        self._resting: list[Line] = []  # lines that could take a job
        self._targets: list[Target] = []
        self._bad: dict[Target, tuple[float, Trouble]] = {}
        self._ceiling = (0.0, 0)  # until when no more than so many connections are opened
        self._proven: set[int] = set()  # destinations known to work since they last failed

    # -- work -----------------------------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """Another job."""
        if self._rests is not None and self._rests[0] > self.world.clock():
            self.finish(job, self._rests[1], self.name)
            return
        self.jobs.append(job)
        self.stir()

    def stir(self) -> None:
        """Wake or open what the waiting jobs need."""
        self.used = self.world.clock()
        while self.jobs and self._resting:
            self._resting.pop().wake()
        waiting = len(self.jobs)
        while len(self.lines) < self._most_lines() and waiting > JOBS_PER_LINE * len(self.lines):
            if not self._open(frozenset()):
                return
        if self.elsewhere and not any(line.excluded for line in self.lines):
            self._open(self.elsewhere[0].tried)

    def _most_lines(self) -> int:
        until, ceiling = self._ceiling
        return min(self.allowed, ceiling) if until > self.world.clock() else self.allowed

    def _open(self, excluded: frozenset[str]) -> bool:
        if not self.world.turns.take(self):
            return False
        line = Line(self, excluded)
        self.lines.add(line)
        line.begin()
        return True

    def next_job(self, line: Line) -> Job | None:
        """The next job for a connection."""
        if self.elsewhere and line.target is not None:
            for position, job in enumerate(self.elsewhere):
                if line.target.address not in job.tried:
                    return self.elsewhere.pop(position)
        if self.jobs and not line.excluded:
            return self.jobs.popleft()
        return None

    def upcoming(self) -> list[Job]:
        """The jobs that come next, so that what they need can be read together."""
        return [self.jobs[position] for position in range(min(WINDOW, len(self.jobs)))]

    def rest(self, line: Line) -> None:
        """A connection could take a job and there is none."""
        if line not in self._resting:
            self._resting.append(line)

    def unrest(self, line: Line) -> None:
        """It waits no longer."""
        if line in self._resting:
            self._resting.remove(line)

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing is connected."""
        return not (self.jobs or self.elsewhere or self.lines)

    # -- hosts ----------------------------------------------------------------------------------------------------

    async def dial(self, excluded: frozenset[str]) -> tuple[Client, Target]:
        """A connection to the best host that answers, none of those in `excluded`. Raises NoTargets."""
        self._targets = await self._find()
        if not any(line.connected for line in self.lines):
            # It is about all that waits for this host: should the host be what takes us down, all of it is tried less.
            for job in self.jobs:
                self.world.claims.begin(job.claims)
        now = self.world.clock()
        troubles: list[Trouble] = []
        for target in self._targets:
            if target.address in excluded:
                continue
            until, known = self._bad.get(target, (0.0, None))
            if known is not None and until > now:
                troubles.append(known)
                continue
            try:
                return await self.world.dialler.dial(target, self._manner), target
            except HostTrouble as error:
                troubles.append(error.trouble)
                self.note_bad(target, error.trouble)
                if self._standing(target):
                    break
        raise NoTargets(_all_hosts(self.name, troubles))

    def note_bad(self, target: Target, meaning: Trouble) -> None:
        """A host failed: pass it over for a while; where other connections to it stand, it only wants no more."""
        until = self.world.clock() + BAD_SECONDS
        self.allowed = max(1, self.allowed // 2)
        if standing := self._standing(target):
            self._ceiling = (until, standing)
        else:
            self._bad[target] = (until, meaning)

    def _standing(self, target: Target) -> int:
        return sum(1 for line in self.lines if line.connected and line.target == target)

    def limited(self, messages: int) -> None:
        """A host ended a connection after so many messages: send no more than that over the next ones."""
        self.most_messages = min(self.most_messages, messages)
        self.allowed = max(1, self.allowed // 2)

    def ended_in_peace(self, messages: int) -> None:
        """We ended a connection after so many messages: where a host had a limit, see now and then whether it grew."""
        if self.most_messages <= messages and self.most_messages < self.world.most_messages:
            self.most_messages += 1

    def others(self, tried: frozenset[str]) -> bool:
        """Whether there is another host that could be asked."""
        if len(tried) >= MOST_HOSTS_PER_JOB:
            return False
        now = self.world.clock()
        return any(target.address not in tried and self._bad.get(target, (0.0,))[0] <= now for target in self._targets)

    # -- what came of it ------------------------------------------------------------------------------------------

    def worked(self, job: Job) -> None:
        """A transaction succeeded."""
        if self.allowed < self._most:
            self.allowed += 1
            if self.jobs:
                self.stir()
        destination = job.claims[0].destination
        if destination not in self._proven and not self._alone:
            self._proven.update(claim.destination for claim in job.claims)
            for number in {claim.destination for claim in job.claims}:
                self.world.recorder.destination_worked(number)

    def again(self, job: Job) -> None:
        """A job that was not sent through no fault of its own: the next one to go."""
        self.jobs.appendleft(job)

    def ended(self, line: Line) -> None:
        """A connection is gone; whatever waits gets another one."""
        self.lines.discard(line)
        self.unrest(line)
        self.world.turns.give_back()
        if self.jobs or self.elsewhere:
            self.stir()

    def unreachable(self, line: Line, meaning: Trouble) -> None:
        """No host could be reached for a connection."""
        if line.excluded:
            stuck = [job for job in self.elsewhere if job.tried >= line.excluded]
            self.elsewhere = [job for job in self.elsewhere if job not in stuck]
            for job in stuck:
                self.finish(job, job.last or meaning, job.last_where or self.name)
            return
        if meaning.result == DEFERRED and any(other.connected for other in self.lines):
            return  # those that stand go on
        self.fail(meaning)

    def fail(self, meaning: Trouble) -> None:
        """The destination failed as a whole: everything that waits ends with it, and it rests."""
        jobs = [*self.jobs, *self.elsewhere]
        self.jobs.clear()
        self.elsewhere.clear()
        self._bad.clear()  # the rest is up to the suspension
        self._proven.clear()
        self.allowed = 1
        if meaning.result == DEFERRED and self._alone:
            self._rests = (self.world.clock() + BAD_SECONDS, meaning)
        elif meaning.result == DEFERRED:
            for destination in {claim.destination for job in jobs for claim in job.claims}:
                self.world.recorder.destination_failed(
                    DestinationFailed(destination, meaning.reason, self.world.endings.random())
                )
        for job in jobs:
            self.finish(job, meaning, self.name)

    def finish(self, job: Job, meaning: Trouble, where: str) -> None:
        """Every recipient of a job ends with the same trouble."""
        for claim in job.claims:
            self.world.recorder.add(self.world.endings.troubled(claim, meaning, where))

    # -- stopping -------------------------------------------------------------------------------------------------

    def drop(self) -> list[Claimed]:
        """Forget what has not been sent: its claims are no longer ours. Gives them."""
        dropped = [claim for job in (*self.jobs, *self.elsewhere) for claim in job.claims]
        self.jobs.clear()
        self.elsewhere.clear()
        return dropped

    def hang_up(self) -> None:
        """Let every connection end as soon as what is under way on it has its answer."""
        for line in self.lines:
            line.hang_up()

    def cut(self) -> None:
        """End every connection at once."""
        for line in list(self.lines):
            line.cut()


def _all_hosts(name: str, troubles: list[Trouble]) -> Trouble:
    """What it means that no host took the mail: failed only when every one of them said so for good."""
    if not troubles:
        return Trouble(DEFERRED, Scope.DESTINATION, f"no other host of {name} is left to try", "4.4.1")
    worst = next((one for one in reversed(troubles) if one.result == DEFERRED), troubles[-1])
    return Trouble(worst.result, Scope.DESTINATION, worst.reason, worst.status)
