"""Carries mail to other hosts: one lane per next hop, all lanes under one bound of connections."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from posthouse.configuration import endpoint
from posthouse.delivery import trouble
from posthouse.delivery.job import Job
from posthouse.delivery.lane import Lane, World
from posthouse.delivery.mx import Finder, NoTargets, Target
from posthouse.dns.lookups import LookupFailure, Lookups, NoSuchName, TemporaryFailure
from posthouse.queue.claim import Claimed

FORGET_SECONDS = 300.0  # a lane without work is forgotten after so long, with what it learned
MOST_LANES = 10_000


class Remote:
    """The remote courier. With a smarthost there is one lane, else one for each domain."""

    def __init__(self, world: World, finder: Finder, smarthost: str) -> None:
        self._world, self._finder = world, finder
        self._smarthost = endpoint(smarthost) if smarthost else None
        self._lanes: dict[str, Lane] = {}

    def add(self, job: Job, domain: str) -> None:
        """Deliver a job to a domain (A-labels) or an address literal."""
        self._lane(domain).add(job)

    def hop(self, domain: str) -> str:
        """What deliveries must share to leave together."""
        return "smarthost" if self._smarthost is not None else domain

    @property
    def lanes(self) -> list[Lane]:
        """All lanes that exist now."""
        return list(self._lanes.values())

    def _lane(self, domain: str) -> Lane:
        lane = self._lanes.get(self.hop(domain))
        if lane is None:
            if self._smarthost is not None:
                host, port = self._smarthost
                lane = Lane(f"smarthost {host}:{port}", self._to_smarthost(host, port), self._world)
            else:
                lane = Lane(domain, lambda: self._finder.targets(domain), self._world)
            if len(self._lanes) >= MOST_LANES:
                self.tidy(0.0)
            self._lanes[self.hop(domain)] = lane
        return lane

    def _to_smarthost(self, host: str, port: int) -> Callable[[], Awaitable[list[Target]]]:
        async def targets() -> list[Target]:
            try:
                return [Target(host, address, port) for address in await _addresses_of(host, self._finder.lookups)]
            except LookupFailure as error:
                # Never for good: a smarthost that has no address is a mistake of ours, not of the mail.
                meaning = trouble.of_lookup(TemporaryFailure(f"smarthost {host}: {error}"))
                raise NoTargets(meaning) from None

        return targets

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


async def _addresses_of(host: str, lookups: Lookups) -> list[str]:
    """Addresses of the smarthost: itself, by DNS, or as this machine knows it (/etc/hosts). Raises LookupFailure."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    failure: LookupFailure = NoSuchName(f"{host} is known to this machine alone")
    if "." in host:
        try:
            return await lookups.addresses(host)
        except LookupFailure as error:
            failure = error
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise failure from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))
