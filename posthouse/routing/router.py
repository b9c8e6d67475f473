"""The decision remembered: a recipient elsewhere costs microseconds, one of ours at most some looks at what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from posthouse import configuration
from posthouse.address import Address, AddressError, normal_domain
from posthouse.database import Bridge
from posthouse.directory import alias_files, domains
from posthouse.directory.alias_files import FileTrouble
from posthouse.routing import places, precedence
from posthouse.routing.destination import Destination, Refused, ToList, ToRelay, ToRemote
from posthouse.routing.domain_sets import DomainSet
from posthouse.routing.expanding import waits
from posthouse.routing.inquiry import Ask, Inquiry
from posthouse.routing.lookups.answer import Answer, LookupTrouble, Unasked
from posthouse.routing.lookups.desk import desk

FRESH_SECONDS = 3.0  # how long what we know of our own domains and lists holds when no word of a change reaches us
MOST_DOMAINS = 20_000
MOST_LISTS = 20_000
MOST_QUESTIONS = 100  # put to lookups for one address

Asked = dict[tuple[str, str], Answer | LookupTrouble]


class Primary(Protocol):
    """Knows whether the best MX of a domain that nobody listed is this host."""

    def known(self, domain: str) -> bool | None:
        """The answer from memory."""

    async def holds(self, domain: str) -> bool | None:
        """The answer, None when nameservers cannot give it; never raises."""


class Router:
    """Answers from memory what cannot have changed, and asks `precedence.route` for the rest.

    Remembered are the set of our domains, the way to domains that are not ours, and addresses that lead to a list, as
    long as the alias file of their domain is the same. "Unknown here" is never remembered: a new list is routable at
    once. `forget` drops everything; call it when the directory changed (`wake.DIRECTORY`). Used inside one event loop.

    `primary` is asked about domains that nobody listed, for strangers alone unless `always` (delivery).
    """

    def __init__(
        self, bridge: Bridge, clock: Callable[[], float], primary: Primary | None = None, always: bool = False
    ) -> None:
        self._bridge, self._clock, self._primary, self._always = bridge, clock, primary, always
        self._ours = self._relay = DomainSet(())
        self._doubt = ""
        self._aliases = ""
        self._fresh_until = float("-inf")
        self._elsewhere: dict[str, ToRemote | ToRelay] = {}
        self._denied: dict[str, Refused] = {}
        self._lists: dict[str, tuple[ToList, str, alias_files.Stamp | None]] = {}
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
        """The answer from memory, or None: then ask `route`. Costs a few dictionary lookups, and a stat for a list."""
        if self._clock() >= self._fresh_until:
            return None
        domain = address.rpartition("@")[2]
        way = self._elsewhere.get(domain) or self._way_elsewhere(domain)
        if way is None:
            kept = self._lists.get(address)
            if kept is None or alias_files.stamp(kept[1]) != kept[2]:
                return None
            return kept[0]
        asks = type(way) is ToRemote and self._primary is not None and (self._always or not may_relay)
        if asks and self._primary is not None and self._primary.known(way.domain) is not False:
            return None
        if may_relay or type(way) is ToRelay:
            return way
        refusal = self._denied.get(domain)
        if refusal is None:
            refusal = self._denied[domain] = precedence.denied(way.domain)
        return refusal

    def asks_others(self, domain: str) -> bool:
        """Whether `route` may have to wait for databases of others, or for nameservers, about this domain."""
        if type(self._way_elsewhere(domain)) is ToRemote:
            return self._primary is not None
        return bool(desk().concerning(domain))

    async def route(self, address: str, may_relay: bool = False) -> Destination:
        """The answer, from memory, from the database or from lookups. Raises database.Unavailable."""
        found = self.known(address, may_relay)
        if found is not None:
            return found
        if self._clock() >= self._fresh_until:
            await self._refresh()
            found = self.known(address, may_relay)
            if found is not None:
                return found
        here = await self._here(address, may_relay)
        if here is None and not may_relay:
            return waits(f"nameservers do not say whether mail for {address} is ours")
        ours_too = here or frozenset()
        asked: Asked = {}
        for _ in range(MOST_QUESTIONS):
            generation = self._generation
            inquiry = Inquiry(_answered(asked), ours_too=ours_too)
            try:
                found = await self._bridge.read(precedence.route, address, may_relay, inquiry)
            except Unasked as question:
                asked[question.name, str(question.wanted)] = await _ask(question)
                continue
            if type(found) is ToList and inquiry.memorable and generation == self._generation:
                self._remember(address, found, inquiry)
            return found
        return waits(f"{address} leads to more questions than anybody can mean")

    def _remember(self, address: str, found: ToList, inquiry: Inquiry) -> None:
        if len(self._lists) >= MOST_LISTS:
            self._lists.clear()
        try:
            domain = normal_domain(address.rpartition("@")[2])
        except AddressError:
            return
        self._lists[address] = found, alias_files.path_of(self._aliases, domain), inquiry.file_stamp

    async def _here(self, address: str, may_relay: bool) -> frozenset[str] | None:
        """The domain of the address, when nobody listed it and its best MX is this host; None: that cannot be known."""
        way = self._way_elsewhere(address.rpartition("@")[2])
        if self._primary is None or type(way) is not ToRemote or (may_relay and not self._always):
            return frozenset()
        here = await self._primary.holds(way.domain)
        return None if here is None else frozenset((way.domain,)) if here else frozenset()

    def _way_elsewhere(self, domain: str) -> ToRemote | ToRelay | None:
        """The way to a domain that is not ours, remembered from now on; None when it is ours, or no domain."""
        try:
            normal = normal_domain(domain)
        except AddressError:
            return None
        if self._doubt or normal in self._ours:
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
            names, relay, doubt = await self._bridge.read(_our_domains)
            if names != self._ours or relay != self._relay or doubt != self._doubt:
                self._elsewhere.clear()
                self._denied.clear()
            self._ours, self._relay, self._doubt = names, relay, doubt
            self._aliases = configuration.active().routing.aliases
            self._lists.clear()
            # A word of a change that came while we looked makes what we saw old already: used once, then read again.
            self._fresh_until = self._clock() + (FRESH_SECONDS if generation == self._generation else 0)
        finally:
            self._refreshing = None


def _answered(asked: Asked) -> Ask:
    """Asks nobody: gives what was asked already."""

    def answer(name: str, wanted: Address) -> Answer:
        found = asked.get((name, str(wanted)))
        if found is None:
            raise Unasked(name, wanted)
        if isinstance(found, LookupTrouble):
            raise found
        return found

    return answer


async def _ask(question: Unasked) -> Answer | LookupTrouble:
    try:
        return await desk().ask(question.name, question.wanted)
    except LookupTrouble as trouble:
        return trouble


def _our_domains() -> tuple[DomainSet, DomainSet, str]:
    """(what must be looked up here, what we relay for, why it cannot be known whether there is more).

    Our own name counts: its postmaster is ours.
    """
    names = [facts.name for facts in domains.all_domains()]
    relay = places.relay_domains()
    try:
        local = places.local_domains()
    except FileTrouble as trouble:
        return DomainSet(names), relay, str(trouble)
    return DomainSet((*names, *local.names, *(f".{name}" for name in local.above))), relay, ""
