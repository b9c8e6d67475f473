"""Which hosts take the mail of a domain, in the order in which they are tried (RFC 5321 §5.1)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, zip_longest

from posthouse.dns.lookups import LookupFailure, Lookups, MxHost, NoAnswer, NoSuchName, TemporaryFailure
from posthouse.dns.networks import Networks, OwnAddresses

MOST_HOSTS = 20  # of one domain whose addresses are looked up
MOST_ADDRESSES = 4  # of one host that may be dialled


class Why(Enum):
    """Why there is no host for a domain's mail."""

    LOOKUP = "its name could not be looked up"  # `failure` says in which of the three ways
    NULL_MX = "it says that it takes no mail"
    LOOPS_BACK = "no host is better than this one"
    NO_ADDRESS = "no host has an address"
    FORBIDDEN = "every address is where mail must not be led to"


class NoMailHost(Exception):
    """There is no host to dial. `names`: the hosts or addresses that it is about; the text is a sentence."""

    def __init__(self, why: Why, text: str, names: str = "", failure: LookupFailure | None = None) -> None:
        super().__init__(text)
        self.why, self.names, self.failure = why, names, failure

    @property
    def certain(self) -> bool:
        """Whether the DNS says for certain that the domain takes no mail, here or elsewhere."""
        return self.why in (Why.NULL_MX, Why.NO_ADDRESS) or isinstance(self.failure, NoSuchName)


@dataclass(frozen=True, slots=True)
class Found:
    """One address to dial; `host` is the name it was found by (the address itself for a literal)."""

    host: str
    address: str


@dataclass(frozen=True)
class MailHosts:
    """Finds the hosts. `own_names`: what this host is called, in lower case; `random` gives 0 <= x < 1.

    `ignored`: networks that an MX record must not lead us to; `most` hosts of a domain are looked at.
    """

    lookups: Lookups
    random: Callable[[], float]
    own_names: Collection[str] = ()
    own_addresses: Collection[str] | OwnAddresses = ()
    ignored: Networks = field(default_factory=lambda: Networks(()))
    most: int = MOST_HOSTS

    async def of(self, domain: str) -> list[Found]:
        """The addresses of a domain (A-labels) or an address literal, best first, ours and worse ones left out.

        The addresses of a host alternate between IPv6 and IPv4, so that a family that does not work here costs one
        try, not all (RFC 8305 §4). Raises NoMailHost.
        """
        if domain.startswith("["):
            address = _literal(domain)
            return self._allowed(domain, [Found(address, address)])
        hosts = await self._hosts(domain)
        return self._allowed(domain, await self._addresses(domain, hosts))

    async def _hosts(self, domain: str) -> list[MxHost]:
        """The hosts in order of preference, those of one preference in random order; ours and worse ones left out."""
        try:
            records = await self.lookups.mx(domain)
        except NoAnswer:
            return [MxHost(0, domain)]  # RFC 5321 §5.1: the implicit MX, only when there is no MX record at all
        except LookupFailure as error:
            raise _not_found(error) from None
        hosts = [record for record in records if record.name]
        if not hosts:  # RFC 7505 §3
            raise NoMailHost(Why.NULL_MX, f"{domain} says that it takes no mail (null MX)")
        own = min((host for host in hosts if host.name in self.own_names), key=lambda one: one.preference, default=None)
        if own is not None:
            # RFC 5321 §5.1: we are an MX of this domain: only better ones may be tried, or mail would go in circles
            hosts = [host for host in hosts if host.preference < own.preference]
            if not hosts:
                raise _loops_back(domain, own.name)
        drawn = [(host.preference, self.random(), host) for host in hosts]
        return [host for _, _, host in sorted(drawn, key=lambda one: one[:2])[: self.most]]

    async def _addresses(self, domain: str, hosts: list[MxHost]) -> list[Found]:
        answers = await asyncio.gather(*(self._of_host(host.name) for host in hosts))
        found: list[tuple[int, Found]] = []
        temporary: TemporaryFailure | None = None
        own: MxHost | None = None
        for host, answer in zip(hosts, answers, strict=True):
            if own is not None and host.preference >= own.preference:
                break
            if isinstance(answer, TemporaryFailure):
                temporary = answer
            elif isinstance(answer, LookupFailure):
                continue
            elif any(address in self.own_addresses for address in answer):
                own = host
                found = [one for one in found if one[0] < host.preference]
            else:
                found += [(host.preference, Found(host.name, address)) for address in answer]
        if found:
            return [one for _, one in found]
        if temporary is not None:
            raise _not_found(temporary)
        if own is not None:
            raise _loops_back(domain, own.name)
        if all(isinstance(answer, NoSuchName) for answer in answers) and hosts[0].name == domain:
            raise _not_found(NoSuchName(f"{domain} does not exist"))
        names = ", ".join(host.name for host in hosts)
        raise NoMailHost(Why.NO_ADDRESS, f"no mail host of {domain} has an address: {names}", names)

    async def _of_host(self, name: str) -> list[str] | LookupFailure:
        try:
            return await self.lookups.addresses(name)
        except LookupFailure as error:
            return error

    def _allowed(self, domain: str, found: list[Found]) -> list[Found]:
        """Without those in `ignored` (a hostile MX must not lead us into our own network), and not too many a host."""
        by_host: dict[str, list[str]] = {}
        for one in found:
            if not self.ignored.led_to_by(one.address):
                by_host.setdefault(one.host, []).append(one.address)
        if not by_host:
            names = ", ".join(sorted({one.address for one in found}))
            raise NoMailHost(Why.FORBIDDEN, f"mail must not lead us to the hosts of {domain}: {names}", names)
        return [
            Found(host, address)
            for host, addresses in by_host.items()
            for address in in_turns(addresses)[:MOST_ADDRESSES]
        ]


def in_turns(addresses: list[str]) -> list[str]:
    """The addresses of a host, IPv6 and IPv4 by turns, IPv6 first (RFC 8305 §4)."""
    six = [address for address in addresses if ":" in address]
    four = [address for address in addresses if ":" not in address]
    return [address for address in chain.from_iterable(zip_longest(six, four)) if address is not None]


async def addresses_of(host: str, lookups: Lookups) -> list[str]:
    """Addresses of a host we chose: itself, by DNS, or as this machine knows it (/etc/hosts). Raises LookupFailure."""
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
    except (OSError, UnicodeError):
        raise failure from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _not_found(failure: LookupFailure) -> NoMailHost:
    return NoMailHost(Why.LOOKUP, str(failure), failure=failure)


def _loops_back(domain: str, name: str) -> NoMailHost:
    return NoMailHost(Why.LOOPS_BACK, f"{domain} has no better mail host than this one ({name})", name)


def _literal(domain: str) -> str:
    """The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). Raises NoMailHost."""
    inner = domain.strip("[]")
    try:
        if inner.lower().startswith("ipv6:"):
            return str(ipaddress.IPv6Address(inner[5:]))
        return str(ipaddress.IPv4Address(inner))
    except ValueError:
        raise _not_found(NoSuchName(f"{domain} is no address literal that can be dialled")) from None
