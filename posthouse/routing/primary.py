"""Whether this host is the best MX of a domain that nobody listed: then the domain is ours (where that is wanted).

A stranger who points an MX at us gains nothing by it: no alias and no list says anything about his domain, so every
recipient in it is refused, instead of being denied for relaying.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from posthouse.configuration import Configuration, endpoint
from posthouse.dns.cache import Cache
from posthouse.dns.lookups import LookupFailure, Lookups, TemporaryFailure
from posthouse.dns.networks import has_address, means_nobody
from posthouse.dns.resolver import Resolver

MOST_DOMAINS = 20_000
KEPT = 60.0  # seconds an answer holds
HELD = 86_400.0  # seconds a yes is believed while nameservers fail
DEADLINE = 10.0  # seconds for all questions about one domain
MOST_HOSTS = 10  # of the best ones that are looked at


class PrimaryHere:
    """`own_names` in lower case; `is_own` tells whether an address is one of this machine's. `clock`: seconds."""

    def __init__(
        self,
        lookups: Lookups,
        own_names: Collection[str],
        clock: Callable[[], float],
        is_own: Callable[[str], bool] | None = None,
    ) -> None:
        self._lookups, self._own_names, self._is_own = lookups, frozenset(own_names), is_own or has_address
        self._known: Cache[str, bool] = Cache(MOST_DOMAINS, clock)
        self._held: Cache[str, bool] = Cache(MOST_DOMAINS, clock)
        self._asking: dict[str, asyncio.Task[bool | None]] = {}

    def known(self, domain: str) -> bool | None:
        """The answer from memory, None when there is none."""
        return self._known.get(domain)

    async def holds(self, domain: str) -> bool | None:
        """Whether the best MX of a domain (A-labels) is this host; None when nameservers fail. Never raises."""
        known = self._known.get(domain)
        if known is not None:
            return known
        task = self._asking.get(domain)
        if task is None:
            task = self._asking[domain] = asyncio.get_running_loop().create_task(self._ask(domain))
            task.add_done_callback(lambda _: self._asking.pop(domain, None))
        return await asyncio.shield(task)

    async def _ask(self, domain: str) -> bool | None:
        try:
            async with asyncio.timeout(DEADLINE):
                found = await self._look(domain)
        except TimeoutError:
            found = None
        if found is None:
            return self._held.get(domain)
        self._known.keep(domain, found, KEPT)
        self._held.keep(domain, found, HELD if found else 0)
        return found

    async def _look(self, domain: str) -> bool | None:
        if domain.startswith("["):
            return False
        try:
            records = [record for record in await self._lookups.mx(domain) if record.name]
        except TemporaryFailure:
            return None
        except LookupFailure:
            return False
        best = min((record.preference for record in records), default=0)
        failed = False
        for record in [one for one in records if one.preference == best][:MOST_HOSTS]:
            if record.name in self._own_names:
                return True
            try:
                addresses = await self._lookups.addresses(record.name)
            except LookupFailure as error:
                failed = failed or isinstance(error, TemporaryFailure)
                continue
            if any(not means_nobody(address) and self._is_own(address) for address in addresses):
                return True
        return None if failed else False


def primary_here(configuration: Configuration, clock: Callable[[], float]) -> PrimaryHere | None:
    """What the setting asks for; None where it is off, and in a trial, which asks no nameserver anything."""
    if not configuration.reception.primary_mx_here or configuration.trial:
        return None
    lookups = Resolver([endpoint(text) for text in configuration.dns.nameservers], configuration.dns.timeout, clock)
    return PrimaryHere(lookups, {configuration.host.lower().rstrip(".")}, clock)
