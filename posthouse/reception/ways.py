"""Which hosts a question about an address goes to: a domain's mail hosts, or the next hop that the operator chose."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from posthouse.configuration import Configuration, NextHop, endpoint
from posthouse.configuration.leaving import LMTP_PORT, NEVER, VERIFIED, next_hop_of, place
from posthouse.dns.lookups import LookupFailure, Lookups
from posthouse.dns.mail_hosts import MailHosts, NoMailHost, addresses_of
from posthouse.dns.networks import Networks, OwnAddresses
from posthouse.reception.asking import Target
from posthouse.smtp.encryption import opportunistic_context, verifying_context

MOST_HOSTS = 5  # of one domain whose addresses are looked up
MOST_TARGETS = 3  # addresses that one question may dial


class NoHost(Exception):
    """There is nobody to ask; the text says why. `certain`: the domain takes no mail, now or later."""

    def __init__(self, why: str, certain: bool = False) -> None:
        super().__init__(why)
        self.certain = certain


class Ways:
    """Finds whom to ask. `random` gives 0 <= x < 1."""

    def __init__(self, configuration: Configuration, lookups: Lookups, random: Callable[[], float]) -> None:
        self._configuration, self._lookups = configuration, lookups
        delivery = configuration.delivery
        self._port = delivery.port
        self._plain = Networks(configuration.hosts(delivery.tls_exempt))
        self._tls = delivery.tls
        listening = [endpoint(text) for text in configuration.reception.transfer]
        self._hosts = MailHosts(
            lookups,
            random,
            own_names=frozenset({configuration.host.lower()}),
            own_addresses=OwnAddresses(listening, self._port),
            ignored=Networks(configuration.hosts(delivery.ignore_targets)),
            most=MOST_HOSTS,
        )

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
        try:
            found = await self._hosts.of(domain)
        except NoMailHost as error:
            raise NoHost(str(error), error.certain) from None
        return [self._target(one.host, one.address, port, hop) for one in found[:MOST_TARGETS]]

    async def _of_place(self, text: str, hop: NextHop) -> list[Target]:
        """One entry of a next hop's hosts. Raises LookupFailure or NoHost."""
        where = place(text)
        if where.name.startswith("/"):
            return [self._target(where.name, where.name, 0, hop)]
        if where.mx:
            return await self._by_mx(where.name, hop, where.port)
        addresses = await addresses_of(where.name, self._lookups)
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
