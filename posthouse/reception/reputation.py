"""What was seen before of a network and of a proven domain: answered from memory, learnt in batches, shared by all."""

from __future__ import annotations

import logging
from collections.abc import Callable

from posthouse.database import Bridge, Unavailable
from posthouse.dns.cache import Cache
from posthouse.encounters import standing
from posthouse.encounters.keys import network_of
from posthouse.reception.policy.facts import Standing

_log = logging.getLogger(__name__)
MOST_KNOWN = 20_000
FRESH = 60.0  # seconds until what other processes and hosts learnt is read again
FLUSH_SECONDS = 10.0  # what was learnt is written together after so long
MOST_PENDING = 2_000  # networks and domains that wait to be written; then it is done at once
MOST_KEPT = 50_000  # of them while the database is away; beyond it they are dropped

Sums = tuple[float, float]  # of good and bad, in the weights of `standing`
NONE: Sums = (0.0, 0.0)


class Reputation:
    """For all connections of one process. `clock`: seconds since 1970. What it does not know is no blame."""

    def __init__(self, bridge: Bridge, clock: Callable[[], float]) -> None:
        self._bridge, self._clock = bridge, clock
        self._known: Cache[str, Sums] = Cache(MOST_KNOWN, clock)
        self._pending: dict[str, Sums] = {}
        self._leaving: dict[str, Sums] = {}  # on their way into the database
        self._flushed = clock()

    def known(self, address: str, domain: str = "") -> Standing | None:
        """The answer from memory, or None: then ask `of`."""
        network, domain = network_of(address), _bounded(domain)
        by_network = self._known.get(network)
        by_domain = self._known.get(domain) if domain else NONE
        if by_network is None or by_domain is None:
            return None
        weight = standing.weight_at(self._now())
        good, bad = self._total(network, by_network)
        domain_good, domain_bad = self._total(domain, by_domain) if domain else NONE
        return Standing(good / weight, bad / weight, domain, domain_good / weight, domain_bad / weight)

    async def of(self, address: str, domain: str = "") -> Standing:
        """What was seen of the address's network and of a domain that SPF or DKIM proves. Never raises."""
        found = self.known(address, domain)
        if found is not None:
            return found
        whose = [network_of(address), *([_bounded(domain)] if domain else [])]
        try:
            sums = await self._bridge.read(standing.sums_of, whose)
        except Unavailable:
            return Standing(domain=domain)
        for one in whose:
            self._known.keep(one, sums.get(one, NONE), FRESH)
        return self.known(address, domain) or Standing(domain=domain)

    def learn(self, address: str, domain: str, good: bool) -> None:
        """Something good (a message that was let in) or bad (refused as spam, ...) came; `domain`: proven, or ""."""
        weight = standing.weight_at(self._now())
        for one in (network_of(address), _bounded(domain)):
            if one:
                before = self._pending.get(one, NONE)
                self._pending[one] = (before[0] + weight, before[1]) if good else (before[0], before[1] + weight)

    def forget(self) -> None:
        """Read what is known anew: somebody removed something."""
        self._known.forget()

    async def flush(self) -> None:
        """Write what was learnt when there is enough of it or enough time has passed. Never raises."""
        if not self._pending or self._leaving:
            return
        if len(self._pending) >= MOST_PENDING or self._clock() - self._flushed >= FLUSH_SECONDS:
            await self._write()

    async def close(self) -> None:
        """Write what was learnt."""
        if self._pending and not self._leaving:
            await self._write()

    async def _write(self) -> None:
        self._leaving, self._pending = self._pending, {}
        self._flushed = self._clock()
        try:
            await self._bridge.write(standing.add, self._leaving, self._now())
        except Unavailable as trouble:
            self._keep_back(str(trouble))
        else:
            for one, (good, bad) in self._leaving.items():
                known = self._known.get(one)
                if known is not None:
                    self._known.keep(one, (known[0] + good, known[1] + bad), FRESH)
        finally:
            self._leaving = {}

    def _keep_back(self, trouble: str) -> None:
        if len(self._leaving) + len(self._pending) > MOST_KEPT:
            _log.warning("What was learnt of %d networks and domains is dropped: %s", len(self._leaving), trouble)
            return
        for one, (good, bad) in self._leaving.items():
            since = self._pending.get(one, NONE)
            self._pending[one] = (since[0] + good, since[1] + bad)

    def _total(self, whose: str, known: Sums) -> Sums:
        pending, leaving = self._pending.get(whose, NONE), self._leaving.get(whose, NONE)
        return known[0] + pending[0] + leaving[0], known[1] + pending[1] + leaving[1]

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _bounded(domain: str) -> str:
    return domain.lower()[:255].replace("\0", "")
