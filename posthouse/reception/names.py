"""Whether the names that a client gives exist: the domain of its return path, and what it says in HELO."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from posthouse.address import AddressError, normal_domain
from posthouse.dns.cache import Cache
from posthouse.dns.lookups import LookupFailure, Lookups, NoAnswer, TemporaryFailure
from posthouse.dns.noting import Noting

_Question = Callable[[str, Lookups], Awaitable[bool]]
_Ask = Callable[[str, Lookups, float], Awaitable[str]]
EXISTS, MISSING, UNKNOWN = "exists", "missing", "unknown"
KEPT = 60.0  # seconds that a name is known to exist, if the DNS lets us remember it so long
MOST_KEPT = 10_000


class Existence:
    """Asks whether names exist, and remembers that one does for those who come next. `clock` gives seconds."""

    def __init__(self, ask: _Ask, lookups: Lookups, clock: Callable[[], float]) -> None:
        """`ask`: `sender_domain` or `helo_host`."""
        self._ask, self._lookups = ask, lookups
        self._there: Cache[str, str] = Cache(MOST_KEPT, clock)

    def known(self, name: str) -> str:
        """What is known without asking, "" for nothing."""
        return self._there.get(name) or ""

    async def of(self, name: str, deadline: float) -> str:
        """Ask. `deadline`: of the loop's clock. Never raises."""
        noting = Noting(self._lookups)
        found = await self._ask(name, noting, deadline)
        if found == EXISTS:
            self._there.keep(name, found, min(KEPT, noting.ttl))
        return found


async def sender_domain(domain: str, lookups: Lookups, deadline: float) -> str:
    """Whether a domain takes mail: "exists", "missing" (no MX and no address, or a null MX), or "unknown".

    `deadline`: of the loop's clock. Never raises. An address literal exists.
    """
    return await _asked(domain, lookups, deadline, _takes_mail)


async def helo_host(name: str, lookups: Lookups, deadline: float) -> str:
    """Whether a name has an address or an MX: "exists", "missing" or "unknown". Like `sender_domain` otherwise."""
    return await _asked(name, lookups, deadline, _is_there)


async def _asked(name: str, lookups: Lookups, deadline: float, question: _Question) -> str:
    try:
        normal = normal_domain(name)
    except AddressError:
        return MISSING
    if normal.startswith("["):
        return EXISTS
    try:
        async with asyncio.timeout_at(deadline):
            return EXISTS if await question(normal, lookups) else MISSING
    except (TemporaryFailure, TimeoutError):
        return UNKNOWN
    except LookupFailure:
        return MISSING


async def _takes_mail(domain: str, lookups: Lookups) -> bool:
    try:
        hosts = await lookups.mx(domain)
    except NoAnswer:
        return bool(await lookups.addresses(domain))  # RFC 5321 §5.1: the implicit MX
    return any(host.name for host in hosts)  # RFC 7505 §3: a null MX says that it takes no mail


async def _is_there(name: str, lookups: Lookups) -> bool:
    try:
        return bool(await lookups.addresses(name))
    except NoAnswer:
        return bool(await lookups.mx(name))
