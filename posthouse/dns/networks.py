"""Sets of networks, and which addresses are this machine's own."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

MOST_REMEMBERED = 10_000  # addresses of which is remembered whether they are in a set
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOBODYS = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # kept for examples: no host has these

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """A set of networks (CIDR) that an address can be in; an IPv4 address mapped into IPv6 counts as itself."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._known: dict[str, bool] = {}  # the same addresses come again and again

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._has(_plain(address))
        return known

    def led_to_by(self, address: str) -> bool:
        """Whether dialling an address ends in one of the networks: the one it is in, or that of one inside it."""
        return bool(self._networks) and any(self._has(one) for one in _ways_of(address))

    def _has(self, ip: Ip | None) -> bool:
        return ip is not None and any(ip in network for network in self._networks)


class OwnAddresses:
    """The addresses at which this machine answers on a port, by its listeners: (address, port), wildcards too.

    `has` tells whether an address is one of this machine's.
    """

    def __init__(
        self, listeners: Iterable[tuple[str, int]], port: int, has: Callable[[str], bool] | None = None
    ) -> None:
        self._has = has or has_address
        ours = [_plain(address) for address, listening in listeners if listening == port]
        self._named = frozenset(ours)
        self._versions = frozenset(ip.version for ip in ours if ip is not None and ip.is_unspecified)

    def __contains__(self, address: str) -> bool:
        ip = _plain(address)
        if ip in self._named:
            return True
        return ip is not None and ip.version in self._versions and not means_nobody(address) and self._has(address)


def means_nobody(address: str) -> bool:
    """Loopback and its kind are every machine's own, so they say nothing about this one."""
    ip = _plain(address)
    return ip is None or ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast


def has_address(address: str) -> bool:
    """Whether this machine has an address: only then a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return not _binds_anything(family) and _binds(family, address)


def _plain(address: str) -> Ip | None:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # RFC 4291 §2.5.5.2: mapped, the same host
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


def _ways_of(address: str) -> Iterator[Ip]:
    """An address, and the IPv4 addresses it leads to: mapped (RFC 4291), 6to4 (RFC 3056), NAT64 (RFC 6052 §2.1)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    yield ip
    if isinstance(ip, ipaddress.IPv6Address):
        yield from (inner for inner in (ip.ipv4_mapped, ip.sixtofour) if inner is not None)
        if ip in _NAT64:
            yield ipaddress.IPv4Address(ip.packed[12:])


@lru_cache(maxsize=2)
def _binds_anything(family: socket.AddressFamily) -> bool:
    """Whether the system lets sockets be bound to addresses it has not (ip_nonlocal_bind): then binding tells nothing
    and only names count."""
    return _binds(family, _NOBODYS[family])


def _binds(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as tried:
            tried.bind((address, 0))
    except OSError:
        return False
    return True
