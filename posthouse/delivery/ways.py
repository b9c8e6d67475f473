"""The ways by which mail leaves: to the MX hosts of a domain, to chosen next hops, and bulk by its own address."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from posthouse.configuration import Bulk, Configuration, NextHop, endpoint
from posthouse.configuration.leaving import LMTP_PORT, OFFERED, VERIFIED, Place, next_hop_of, place
from posthouse.delivery import trouble
from posthouse.delivery.mx import Finder, NoTargets, Target
from posthouse.delivery.trouble import Scope, Trouble
from posthouse.dns.lookups import LookupFailure, TemporaryFailure
from posthouse.dns.mail_hosts import addresses_of
from posthouse.queue.claim import QueuedMessage
from posthouse.queue.outcome import DEFERRED
from posthouse.smtp.encryption import opportunistic_context, verifying_context

MOST_REMEMBERED = 20_000


@dataclass(frozen=True)
class Manner:
    """How the hosts of a way are spoken to. With a `context` there is TLS or no mail; `sources`: our addresses."""

    lmtp: bool = False
    tls: str = OFFERED
    tls_from_start: bool = False
    context: ssl.SSLContext | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    sources: tuple[str, ...] = ()
    hello: str = ""

    def source_for(self, address: str) -> str | None:
        """Our address to send from to this one."""
        return next((source for source in self.sources if (":" in source) == (":" in address)), None)

    def can_reach(self, address: str) -> bool:
        """Whether we have an address of its family to send from."""
        return not self.sources or address.startswith("/") or self.source_for(address) is not None


@dataclass(frozen=True)
class Way:
    """`places` and then `fallback` are tried; without places the MX hosts of the recipient's domain. `alone`: what it
    finds out about a destination says nothing about mail that leaves another way."""

    name: str
    places: tuple[Place, ...] = ()
    fallback: tuple[Place, ...] = ()
    port: int = 0
    manner: Manner = Manner()
    connections: int = 0
    alone: bool = False

    def hop(self, domain: str) -> str:
        """What deliveries must share to leave together."""
        return self.name if self.places else f"{self.name} {domain}".lstrip()

    def label(self, domain: str) -> str:
        """The same for people."""
        if not self.places:
            return domain
        return ", ".join(_spelled(one) for one in self.places[:3])


class Ways:
    """Which way a message leaves to a domain: decided once, then remembered."""

    def __init__(self, configuration: Configuration, finder: Finder) -> None:
        self.finder = finder
        self._next_hops = configuration.next_hops
        self._direct = Way("", port=finder.port)
        if configuration.delivery.smarthost:
            host, port = endpoint(configuration.delivery.smarthost)
            self._direct = Way("smarthost", (Place(host, port),), port=port)
        self._made: dict[str, Way] = {
            name: _chosen(name, hop, finder.port) for name, hop in configuration.next_hops.items()
        }
        self._everybody = self._made.get("*", self._direct)
        if not self._everybody.places and self._everybody is not self._direct:
            self._everybody = replace(self._everybody, places=self._direct.places)  # the smarthost, with a fallback
            self._made["*"] = self._everybody
        self._bulk = [_Bulk(name, bulk, self._everybody) for name, bulk in configuration.bulk.items()]
        self._known: dict[str, Way] = {}

    def of(self, message: QueuedMessage, domain: str) -> Way:
        """The way of a message to a domain (A-labels) or an address literal."""
        way = self._known.get(domain)
        if way is None:
            found = next_hop_of(domain, self._next_hops)
            way = self._direct if found is None else self._made[found[0]]
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[domain] = way
        if self._bulk and (way is self._direct or way is self._everybody):
            for bulk in self._bulk:
                if bulk.takes(message):
                    return bulk.way
        return way

    async def targets(self, way: Way, domain: str) -> list[Target]:
        """The hosts of a way, in the order in which they are tried. Raises NoTargets."""
        if not way.places and not way.fallback:
            return _reachable(await self.finder.targets(domain), way)
        found: list[Target] = []
        last = Trouble(DEFERRED, Scope.DESTINATION, f"no host of {way.label(domain)} can be tried", "4.4.1")
        if not way.places:
            try:
                found += await self.finder.targets(domain)
            except NoTargets as error:
                if error.trouble.result != DEFERRED:  # no other host can do better for what does not exist
                    raise
                last = error.trouble
        for one in (*way.places, *way.fallback):
            try:
                found += await self._of_place(one, way.port)
            except LookupFailure as error:
                # Never for good: a host we chose that has no address is a mistake of ours, not of the mail.
                last = trouble.of_lookup(TemporaryFailure(f"{way.name or 'next hop'} {one.name}: {error}"))
            except NoTargets as error:
                last = replace(error.trouble, result=DEFERRED, status=f"4{error.trouble.status[1:]}")
        if not found:
            raise NoTargets(last)
        return _reachable(list(dict.fromkeys(found)), way)

    async def _of_place(self, one: Place, port: int) -> list[Target]:
        if one.name.startswith("/"):
            return [Target(one.name, one.name, 0)]
        port = one.port or port
        if one.mx:
            return [replace(target, port=port) for target in await self.finder.targets(one.name)]
        return [Target(one.name, address, port) for address in await addresses_of(one.name, self.finder.hosts.lookups)]


class _Bulk:
    """Mail of one table of [bulk]."""

    def __init__(self, name: str, bulk: Bulk, ordinary: Way) -> None:
        self._origins = frozenset(bulk.origins)
        patterns = [re.escape(one.lower()).replace(r"\*", ".*") for one in bulk.return_paths]
        self._pattern = re.compile(f"(?:{'|'.join(patterns) or '(?!)'})", re.DOTALL)
        manner = replace(ordinary.manner, sources=tuple(bulk.source), hello=bulk.hello)
        self.way = replace(
            ordinary, name=f"bulk {name}", manner=manner, connections=bulk.connections or ordinary.connections,
            alone=True,
        )  # fmt: skip
        self._known: dict[tuple[str, str, bool], bool] = {}

    def takes(self, message: QueuedMessage) -> bool:
        """Whether it leaves this way."""
        key = (message.origin, message.return_path, message.list_id is not None)
        known = self._known.get(key)
        if known is None:
            ours = message.origin in self._origins or (message.list_id is not None and "list" in self._origins)
            known = ours and self._pattern.fullmatch(message.return_path.lower()) is not None
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known


def _chosen(name: str, hop: NextHop, port: int) -> Way:
    context = opportunistic_context() if hop.tls_from_start else None
    if hop.tls == VERIFIED:
        context = verifying_context(hop.authorities)
    manner = Manner(
        hop.lmtp, hop.tls, hop.tls_from_start, context, hop.user, hop.password,
        tuple(hop.source), hop.hello,
    )  # fmt: skip
    return Way(
        f"next hop of {name}",
        tuple(place(one) for one in hop.hosts),
        tuple(place(one) for one in hop.fallback),
        hop.port or (LMTP_PORT if hop.lmtp else port),
        manner,
        hop.connections,
    )


def _reachable(targets: Sequence[Target], way: Way) -> list[Target]:
    """Without those of a family that we may not send from."""
    found = [target for target in targets if way.manner.can_reach(target.address)]
    if not found:
        names = ", ".join(sorted({target.address for target in targets}))
        reason = f"{way.name}: `source` has no address of the family of {names}"
        raise NoTargets(Trouble(DEFERRED, Scope.DESTINATION, trouble.short(reason), "4.4.4"))
    return found


def _spelled(one: Place) -> str:
    where = one.name if one.mx or one.name.startswith("/") else f"[{one.name}]"
    return f"{where}:{one.port}" if one.port else where
