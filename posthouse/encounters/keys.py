"""What is remembered under which number: networks, domains and addresses as 64-bit keys."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from hashlib import blake2b


def key(*parts: str) -> int:
    """A 64-bit number (signed, as databases count) for a few words; the same on every host."""
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(maxsize=10_000)
def network_of(address: str, bits4: int = 24, bits6: int = 64) -> str:
    """The network a client's address is in, in CIDR form; the text itself where it is no address (a local socket)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network(f"{parsed}/{bits4 if parsed.version == 4 else bits6}", strict=False))


def storable(text: str) -> str:
    """What a stranger said, as any database takes it: bounded, without NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:400]
