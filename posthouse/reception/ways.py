"""Which hosts a question about an address goes to: a domain's mail hosts, or the next hop that the operator chose."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache

from posthouse.configuration import Configuration, NextHop, endpoint
from posthouse.configuration.leaving import LMTP_PORT, NEVER, VERIFIED, next_hop_of, place
from posthouse.dns.lookups import LookupFailure, Lookups
from posthouse.reception.asking import MOST_TARGETS, NoHost, Target, allowed, mail_hosts
from posthouse.reception.limits import Networks
from posthouse.smtp.encryption import opportunistic_context, verifying_context


class Ways:
    """Finds whom to ask. `random` gives 0 <= x < 1."""

    def __init__(self, configuration: Configuration, lookups: Lookups, random: Callable[[], float]) -> None:
        self._configuration, self._lookups, self._random = configuration, lookups, random
        delivery = configuration.delivery
        self._port = delivery.port
        self._ignored = Networks(configuration.hosts(delivery.ignore_targets))
        self._plain = Networks(configuration.hosts(delivery.tls_exempt))
        self._tls = delivery.tls
        self._own_names = frozenset({configuration.host.lower()})
        listening = [endpoint(text) for text in configuration.reception.transfer]
        self._own_addresses = frozenset(address for address, port in listening if port == self._port)

    async def of_sender(self, domain: str) -> list[Target]:
        """The mail hosts of a return path's domain (A-labels). Raises NoHost."""
        return await self._by_mx(domain)

    async def of_recipient(self, domain: str) -> list[Target]:
        """Where mail for a domain is passed on to: its next hop, else its better mail hosts. Raises NoHost."""
        found = next_hop_of(domain, self._configuration.next_hops)
        if found is None or not found[1].hosts:
            return await self._by_mx(domain, found[1] if found else None)
        targets: list[Target] = []
        trouble = ""
        for text in (*found[1].hosts, *found[1].fallback):
            try:
                targets += await self._of_place(text, found[1])
            except (LookupFailure, NoHost) as error:
                trouble = str(error)
            if len(targets) >= MOST_TARGETS:
                break
        source = found[1].source  # a family without an address of ours is not used
        targets = [one for one in targets if not source or one.source or one.address.startswith("/")]
        if not targets:
            raise NoHost(trouble or f"the next hop of {domain} has no host")
        return targets[:MOST_TARGETS]

    async def _by_mx(self, domain: str, hop: NextHop | None = None, port: int = 0) -> list[Target]:
        if domain.startswith("["):
            address = domain.strip("[]").lower().removeprefix("ipv6:")
            hosts = [(address, [address])]
        else:
            hosts = await mail_hosts(domain, self._lookups, self._random, self._own_names, self._own_addresses)
        targets = [
            self._target(name, address, port, hop)
            for name, addresses in hosts
            for address in (addresses if hop is not None and hop.hosts else allowed(addresses, self._ignored))
        ]
        if not targets:
            raise NoHost(f"the mail hosts of {domain} are in networks that mail must not lead us to")
        return targets[:MOST_TARGETS]

    async def _of_place(self, text: str, hop: NextHop) -> list[Target]:
        """One entry of a next hop's hosts. Raises LookupFailure or NoHost."""
        where = place(text)
        if where.name.startswith("/"):
            return [self._target(where.name, where.name, 0, hop)]
        if where.mx:
            return await self._by_mx(where.name, hop, where.port)
        try:
            addresses = [str(ipaddress.ip_address(where.name))]
        except ValueError:
            addresses = await self._lookups.addresses(where.name)
        return [self._target(where.name, address, where.port, hop) for address in addresses]

    def _target(self, host: str, address: str, port: int, hop: NextHop | None) -> Target:
        own = self._configuration.host
        context = _opportunistic() if self._tls and address not in self._plain else None
        if hop is None:
            return Target(host, address, port or self._port, own, context=context)
        if hop.tls == NEVER:
            context = None
        elif hop.tls == VERIFIED or hop.tls_from_start:
            context = _verifying(hop.authorities) if hop.tls == VERIFIED else _opportunistic()
        family = [one for one in hop.source if (":" in one) == (":" in address)]
        return Target(
            host=host,
            address=address,
            port=port or hop.port or (LMTP_PORT if hop.lmtp else self._port),
            hello=hop.hello or own,
            lmtp=hop.lmtp,
            context=context,
            strict=hop.tls == VERIFIED,
            from_start=hop.tls_from_start,
            source=family[0] if family else None,
            user=hop.user,
            password=hop.password,
        )


_opportunistic = lru_cache(maxsize=1)(opportunistic_context)
_verifying = lru_cache(maxsize=8)(verifying_context)
