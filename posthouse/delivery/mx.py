"""Which hosts take the mail of a domain, in the order in which they are tried (RFC 5321 §5.1)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from posthouse.delivery import trouble
from posthouse.delivery.trouble import Trouble
from posthouse.dns.lookups import LookupFailure, Lookups, MxHost, NoAnswer, NoSuchName, TemporaryFailure

MOST_HOSTS = 20  # of one domain that are looked at
MOST_TARGETS = 6  # addresses that one attempt may dial

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NoTargets(Exception):
    """There is no host to try; `trouble` says what that means."""

    def __init__(self, meaning: Trouble) -> None:
        super().__init__(meaning.reason)
        self.trouble = meaning


@dataclass(frozen=True, slots=True)
class Target:
    """One address to dial, or the path of a UNIX socket; `host` is the name it was found by (itself for a literal)."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        if self.address.startswith("/"):
            return self.address
        literal = f"[{self.address}]:{self.port}"
        return literal if self.host == self.address else f"{self.host}{literal}"


@dataclass(frozen=True)
class Finder:
    """Finds targets. `own_names`: what this host is called, in lower case; `random` gives 0 <= x < 1."""

    lookups: Lookups
    random: Callable[[], float]
    port: int = 25
    own_names: Collection[str] = ()
    own_addresses: Collection[str] = ()
    ignored: Sequence[str] = field(default_factory=tuple)

    async def targets(self, domain: str) -> list[Target]:
        """The targets of a domain (A-labels) or an address literal, best first. Raises NoTargets."""
        if domain.startswith("["):
            address = _literal(domain)
            return self._allowed(domain, [Target(address, address, self.port)])
        hosts = await self._hosts(domain)
        found = await self._addresses(domain, hosts)
        return self._allowed(domain, found)

    async def _hosts(self, domain: str) -> list[MxHost]:
        """The hosts in order of preference, those of one preference in random order; ours and worse ones left out."""
        try:
            records = await self.lookups.mx(domain)
        except NoAnswer:
            return [MxHost(0, domain)]  # RFC 5321 §5.1: the implicit MX, only when there is no MX record at all
        except LookupFailure as error:
            raise NoTargets(trouble.of_lookup(error)) from None
        hosts = [record for record in records if record.name]
        if not hosts:
            raise NoTargets(trouble.null_mx(domain))  # RFC 7505 §3
        for own in hosts:
            if own.name in self.own_names:
                # RFC 5321 §5.1: we are an MX of this domain: only better ones may be tried, or mail would go in circles
                better = [host for host in hosts if host.preference < own.preference]
                if not better:
                    raise NoTargets(trouble.loops_back(domain, own.name))
                hosts = better
        drawn = [(host.preference, self.random(), host) for host in hosts]
        return [host for _, _, host in sorted(drawn, key=lambda one: one[:2])[:MOST_HOSTS]]

    async def _addresses(self, domain: str, hosts: list[MxHost]) -> list[Target]:
        answers = await asyncio.gather(*(self._of_host(host.name) for host in hosts))
        targets: list[Target] = []
        temporary: TemporaryFailure | None = None
        worst: int | None = None
        for host, answer in zip(hosts, answers, strict=True):
            if worst is not None and host.preference >= worst:
                break
            if isinstance(answer, TemporaryFailure):
                temporary = answer
            elif isinstance(answer, LookupFailure):
                continue
            elif any(address in self.own_addresses for address in answer):
                worst = host.preference
                targets = [target for target, preference in self._with(hosts, targets) if preference < worst]
            else:
                targets += [Target(host.name, address, self.port) for address in answer]
        if targets:
            return targets
        if temporary is not None:
            raise NoTargets(trouble.of_lookup(temporary))
        if worst is not None:
            raise NoTargets(trouble.loops_back(domain, next(host.name for host in hosts if host.preference == worst)))
        if all(isinstance(answer, NoSuchName) for answer in answers) and hosts[0].name == domain:
            raise NoTargets(trouble.of_lookup(NoSuchName(f"{domain} does not exist")))
        raise NoTargets(trouble.no_address(domain, ", ".join(host.name for host in hosts)))

    @staticmethod
    def _with(hosts: list[MxHost], targets: list[Target]) -> list[tuple[Target, int]]:
        preferences = {host.name: host.preference for host in hosts}
        return [(target, preferences[target.host]) for target in targets]

    async def _of_host(self, name: str) -> list[str] | LookupFailure:
        try:
            return await self.lookups.addresses(name)
        except LookupFailure as error:
            return error

    def _allowed(self, domain: str, targets: list[Target]) -> list[Target]:
        """Without those in `ignored`: a hostile MX must not lead us into our own network."""
        networks = networks_of(tuple(self.ignored))
        allowed = [target for target in targets if not is_in(target.address, networks)]
        if not allowed:
            raise NoTargets(trouble.forbidden_targets(domain, ", ".join(sorted({t.address for t in targets}))))
        return allowed[:MOST_TARGETS]


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether an IP address lies in one of the networks; an IPv4 address inside an IPv6 one counts as IPv4 too."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    forms = [parsed]
    if isinstance(parsed, ipaddress.IPv6Address):
        # RFC 4291 §2.5.5.2 mapped, RFC 3056 6to4, RFC 6052 §2.1 NAT64: all of them lead to the IPv4 address inside
        forms += [inner for inner in (parsed.ipv4_mapped, parsed.sixtofour) if inner is not None]
        if parsed in _NAT64:
            forms.append(ipaddress.IPv4Address(parsed.packed[12:]))
    return any(form in network for form in forms for network in networks)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@lru_cache(maxsize=16)
def networks_of(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks from their texts, remembered."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def _literal(domain: str) -> str:
    """The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). Raises NoTargets."""
    inner = domain.strip("[]")
    try:
        if inner.lower().startswith("ipv6:"):
            return str(ipaddress.IPv6Address(inner[5:]))
        return str(ipaddress.IPv4Address(inner))
    except ValueError:
        raise NoTargets(trouble.of_lookup(NoSuchName(f"{domain} is no address literal that we can dial"))) from None
