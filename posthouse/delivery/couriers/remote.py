"""Carries mail to other hosts: one lane per next hop, all lanes under one bound of connections."""

from __future__ import annotations

import asyncio

from posthouse.delivery.job import Job
from posthouse.delivery.lane import Lane, World
from posthouse.delivery.ways import Ways
from posthouse.queue.claim import Claimed, QueuedMessage

FORGET_SECONDS = 300.0  # a lane without work is forgotten after so long, with what it learned
MOST_LANES = 10_000


class Remote:
    """The remote courier: a lane for each way and, where the way leads to a domain's own hosts, each domain."""

    def __init__(self, world: World, ways: Ways) -> None:
        self._world, self._ways = world, ways
        self._lanes: dict[str, Lane] = {}

    def add(self, job: Job, domain: str) -> None:
        """Deliver a job to a domain (A-labels) or an address literal."""
        self._lane(job.message, domain).add(job)

    def hop(self, message: QueuedMessage, domain: str) -> str:
        """What deliveries must share to leave together."""
        return self._ways.of(message, domain).hop(domain)

    @property
    def lanes(self) -> list[Lane]:
        """All lanes that exist now."""
        return list(self._lanes.values())

    def _lane(self, message: QueuedMessage, domain: str) -> Lane:
        ways = self._ways
        way = ways.of(message, domain)
        hop = way.hop(domain)
        lane = self._lanes.get(hop)
        if lane is None:
            lane = Lane(
                way.label(domain), lambda: ways.targets(way, domain), self._world, way.manner,
                most_lines=way.connections, alone=way.alone,
            )  # fmt: skip
            if len(self._lanes) >= MOST_LANES:
                self.tidy(0.0)
            self._lanes[hop] = lane
        return lane

    def tidy(self, seconds: float = FORGET_SECONDS) -> None:
        """Forget lanes that have had nothing to do for so long."""
        before = self._world.clock() - seconds
        for name, lane in list(self._lanes.items()):
            if lane.empty and lane.used <= before:
                del self._lanes[name]

    def drop(self) -> list[Claimed]:
        """Forget all that is not yet sent; gives it."""
        return [claimed for lane in self._lanes.values() for claimed in lane.drop()]

    async def stop(self, grace: float) -> None:
        """Send nothing new; wait at most `grace` seconds for what is under way, then cut it off."""
        self._world.turns.close()  # or a line that is cut off would leave its job to a new one, which nobody waits for
        self.drop()
        for lane in self.lanes:
            lane.hang_up()
        if self._world.tasks:
            await asyncio.wait(set(self._world.tasks), timeout=max(grace, 0.01))
        for lane in self.lanes:
            lane.cut()
        for task in list(self._world.tasks):
            task.cancel()
        await asyncio.gather(*self._world.tasks, return_exceptions=True)
