"""What was seen before of a network and of a domain whose own hosts came: answered from memory, learnt in batches.

It is learnt always, whether a check asks for it or not: two entries in memory for a message and one write in
FLUSH_SECONDS. So an operator who switches `policy.standing` on has a memory, and a flood finds out who was here before
it (`acquaintance`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from posthouse.database import Bridge, Unavailable
from posthouse.dns.cache import Cache
from posthouse.encounters import standing
from posthouse.encounters.keys import network_of
from posthouse.encounters.standing import Sums
from posthouse.reception.policy.facts import Standing

_log = logging.getLogger(__name__)
MOST_KNOWN = 20_000
FRESH = 60.0  # seconds until what other processes and hosts learnt is read again
FLUSH_SECONDS = 10.0  # what was learnt is written together after so long
MOST_PENDING = 2_000  # networks and domains that wait to be written; then it is done at once
MOST_KEPT = 50_000  # of them while the database is away; beyond it they are dropped
HOUR = 3600
# Networks and domains of which nothing good is known and that one process blames in an hour: more of them tell nothing
# about anybody, and would fill the table. What was let in is bounded by itself, for it costs a message each.
MOST_BLAMED = 5_000

DAY = 86_400_000  # ms
FEW = 5.0  # bad ones that prove nothing, as for a `Standing`
NONE = Sums()


class Reputation:
    """For all connections of one process. `clock`: seconds since 1970. What it does not know is no blame.

    Domains that are learnt and asked about are those whose own hosts came (SPF): a signature can be brought again by
    anybody who has one message with it, and would spoil the standing of its domain, or lend it.
    """

    def __init__(self, bridge: Bridge, clock: Callable[[], float]) -> None:
        self._bridge, self._clock = bridge, clock
        self._known: Cache[str, Sums] = Cache(MOST_KNOWN, clock)
        self._pending: dict[str, Sums] = {}
        self._leaving: dict[str, Sums] = {}  # on their way into the database
        self._flushed = clock()
        self._hour, self._blamed = 0, 0

    def known(self, address: str, domain: str = "") -> Standing | None:
        """The answer from memory, or None: then ask `of`."""
        network, domain = network_of(address), _bounded(domain)
        by_network = self._known.get(network)
        by_domain = self._known.get(domain) if domain else NONE
        if by_network is None or by_domain is None:
            return None
        weight = standing.weight_at(self._now())
        here, there = self._total(network, by_network), self._total(domain, by_domain) if domain else NONE
        return Standing(here.good / weight, here.bad / weight, domain, there.good / weight, there.bad / weight)

    async def of(self, address: str, domain: str = "") -> Standing:
        """What was seen of the address's network and of a domain whose own hosts came. Never raises."""
        found = self.known(address, domain)
        if found is None and await self.look(network_of(address), domain):
            found = self.known(address, domain)
        return found or Standing(domain=domain)

    def was_welcome(self, whose: str) -> bool | None:
        """Whether mail of a network or domain was let in before today, and little of it was bad; None: `look` first."""
        known = self._known.get(_bounded(whose))
        if known is None:
            return None
        now = self._now()
        total, few = self._total(_bounded(whose), known), FEW * standing.weight_at(now)
        return known.good > 0 and known.since <= now - DAY and total.bad < total.good + few

    async def look(self, *whose: str) -> bool:
        """Have memory know these networks and domains; False: the database cannot be asked. Never raises."""
        asked = [one for one in map(_bounded, whose) if one and self._known.get(one) is None]
        try:
            sums = await self._bridge.read(standing.sums_of, asked) if asked else {}
        except Unavailable:
            return False
        for one in asked:
            self._known.keep(one, sums.get(one, NONE), FRESH)
        return True

    def learn(self, address: str, domain: str, good: bool) -> None:
        """Something good (a message that was let in) or bad (refused as spam, ...) came; `domain`: proven, or ""."""
        now = self._now()
        weight = standing.weight_at(now)
        for one in (network_of(address), _bounded(domain)):
            if one and self._may_learn(one, good):
                before = self._pending.get(one, NONE)
                if good:
                    self._pending[one] = Sums(before.good + weight, before.bad, before.since or now)
                else:
                    self._pending[one] = before._replace(bad=before.bad + weight)

    def _may_learn(self, whose: str, good: bool) -> bool:
        if whose in self._pending:
            return True
        if len(self._pending) >= MOST_KEPT:
            return False
        if good or (self._known.get(whose) or NONE).good > 0:
            return True
        hour = int(self._clock() // HOUR)
        if hour != self._hour:
            self._hour, self._blamed = hour, 0
        self._blamed += 1
        return self._blamed <= MOST_BLAMED

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
            for one in self._leaving:  # read anew with what others wrote, whenever it is asked for
                self._known.keep(one, NONE, 0)
        finally:
            self._leaving = {}

    def _keep_back(self, trouble: str) -> None:
        if len(self._leaving) + len(self._pending) > MOST_KEPT:
            _log.warning("What was learnt of %d networks and domains is dropped: %s", len(self._leaving), trouble)
            return
        for one, left in self._leaving.items():
            self._pending[one] = _sum(left, self._pending.get(one, NONE))

    def _total(self, whose: str, known: Sums) -> Sums:
        return _sum(_sum(known, self._leaving.get(whose, NONE)), self._pending.get(whose, NONE))

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _bounded(domain: str) -> str:
    return domain.lower()[:255].replace("\0", "")


def _sum(earlier: Sums, later: Sums) -> Sums:
    return Sums(earlier.good + later.good, earlier.bad + later.bad, earlier.since or later.since)
