"""The decision remembered: a recipient elsewhere costs microseconds, one of ours at most one look into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from posthouse.address import AddressError, normal_domain
from posthouse.database import Bridge
from posthouse.directory import domains
from posthouse.routing import precedence
from posthouse.routing.destination import Destination, Refused, ToList, ToRelay, ToRemote

FRESH_SECONDS = 3.0  # how long what we know of our own domains and lists holds when no word of a change reaches us
MOST_DOMAINS = 20_000
MOST_LISTS = 20_000


class Router:
    """Answers from memory what cannot have changed, and asks `precedence.route` for the rest.

    Remembered are the set of our domains, the way to domains that are not ours, and addresses that lead to a list.
    "Unknown here" is never remembered: a new list is routable at once. `forget` drops everything; call it when the
    directory changed (`wake.DIRECTORY`). Used inside one event loop.
    """

    def __init__(self, bridge: Bridge, clock: Callable[[], float]) -> None:
        self._bridge, self._clock = bridge, clock
        self._ours: frozenset[str] = frozenset()
        self._relay: frozenset[str] = frozenset()
        self._fresh_until = float("-inf")
        self._elsewhere: dict[str, ToRemote | ToRelay] = {}
        self._denied: dict[str, Refused] = {}
        self._lists: dict[str, ToList] = {}
        self._generation = 0
        self._refreshing: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Drop everything that is remembered; a look that is under way will not be remembered either."""
        self._generation += 1
        self._fresh_until = float("-inf")
        self._elsewhere.clear()
        self._denied.clear()
        self._lists.clear()

    def known(self, address: str, may_relay: bool = False) -> Destination | None:
        """The answer from memory, or None: then ask `route`. Costs a few dictionary lookups."""
        if self._clock() >= self._fresh_until:
            return None
        domain = address.rpartition("@")[2]
        way = self._elsewhere.get(domain) or self._way_elsewhere(domain)
        if way is None:
            return self._lists.get(address)
        if may_relay or type(way) is ToRelay:
            return way
        refusal = self._denied.get(domain)
        if refusal is None:
            refusal = self._denied[domain] = precedence.denied(way.domain)
        return refusal

    async def route(self, address: str, may_relay: bool = False) -> Destination:
        """The answer, from memory or from the database. Raises database.Unavailable."""
        found = self.known(address, may_relay)
        if found is not None:
            return found
        if self._clock() >= self._fresh_until:
            await self._refresh()
            found = self.known(address, may_relay)
            if found is not None:
                return found
        generation = self._generation
        found = await self._bridge.read(precedence.route, address, may_relay)
        if type(found) is ToList and generation == self._generation:
            if len(self._lists) >= MOST_LISTS:
                self._lists.clear()
            self._lists[address] = found
        return found

    def _way_elsewhere(self, domain: str) -> ToRemote | ToRelay | None:
        """The way to a domain that is not ours, remembered from now on; None when it is ours, or no domain."""
        try:
            normal = normal_domain(domain)
        except AddressError:
            return None
        if normal in self._ours:
            return None
        if len(self._elsewhere) >= MOST_DOMAINS:
            self._elsewhere.clear()
            self._denied.clear()
        way = self._elsewhere[domain] = ToRelay(normal) if normal in self._relay else ToRemote(normal)
        return way

    async def _refresh(self) -> None:
        """Read our domains anew; who comes meanwhile waits for the same look."""
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._look())
        await asyncio.shield(self._refreshing)

    async def _look(self) -> None:
        try:
            generation = self._generation
            names, relay = await self._bridge.read(_our_domains)
            if names != self._ours or relay != self._relay:
                self._elsewhere.clear()
                self._denied.clear()
            self._ours, self._relay = names, relay
            self._lists.clear()
            # A word of a change that came while we looked makes what we saw old already: used once, then read again.
            self._fresh_until = self._clock() + (FRESH_SECONDS if generation == self._generation else 0)
        finally:
            self._refreshing = None


def _our_domains() -> tuple[frozenset[str], frozenset[str]]:
    """(what must be looked up in the database, what we relay for). Our own name counts: its postmaster is ours."""
    names = {facts.name for facts in domains.all_domains()} | {precedence.our_name()}
    return frozenset(names - {""}), precedence.relay_domains()
