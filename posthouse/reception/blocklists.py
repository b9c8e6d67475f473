"""DNS lists of bad and of good ones (RFC 5782): all asked at once, each weighed, none believed that fails its check."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from posthouse.address import AddressError, normal_domain
from posthouse.configuration import DnsList
from posthouse.dns.codes import Codes, codes
from posthouse.dns.lookups import LookupFailure, Lookups, NoAnswer, NoSuchName, absolute
from posthouse.reception.list_health import DOMAIN, IPV4, IPV6, Checked, Dead, Health, codes_of
from posthouse.reception.policy.facts import Listed, Listing

_log = logging.getLogger(__name__)
MOST_TEXT = 200  # characters of what a list says about somebody
TEXT_SECONDS = 1.0  # that the text may take: it decides nothing
TEST_POINTS = frozenset({"127.0.0.1", "127.0.0.2", "::1"})  # RFC 5782 §5: listed or not for a reason of their own
NOTHING = Listing()


@dataclass(frozen=True)
class _List:
    """One list as it is asked; `parts` has its health for IPv4 and IPv6, or for domains."""

    zone: str
    sign: float
    weight: float
    by_code: tuple[tuple[Codes, float], ...]
    parts: Mapping[str, Health]

    def weigh(self, found: Sequence[ipaddress.IPv4Address]) -> tuple[ipaddress.IPv4Address, float] | None:
        """The heaviest code of an answer with its weight; None when no code of it counts."""
        if not self.by_code:
            return (min(found), self.sign * self.weight) if found else None
        fits = [(weight, code) for code in found for pattern, weight in self.by_code if code in pattern]
        if not fits:
            return None
        weight, code = max(fits)
        return code, self.sign * weight


class Blocklists:
    """All lists of the configuration, for the connections of one process. `clock`: seconds since 1970.

    False when there is none to ask.
    """

    def __init__(self, settings: Mapping[str, DnsList], lookups: Lookups, clock: Callable[[], float]) -> None:
        self._lookups = lookups
        self._lists: list[_List] = []
        for name, one in settings.items():
            zone = one.zone.rstrip(".").lower()
            parts = (DOMAIN,) if one.kind == "domain" else (IPV4, IPV6)
            self._lists.append(
                _List(
                    zone=zone,
                    sign=-1.0 if one.good else 1.0,
                    weight=one.weight,
                    by_code=tuple((codes(text), weight) for text, weight in one.codes.items()),
                    parts={
                        part: Health(name, zone, part, _test_entry(one.test, part), lookups, clock) for part in parts
                    },
                )
            )

        self._of_domains = any(DOMAIN in one.parts for one in self._lists)

    def __bool__(self) -> bool:
        return bool(self._lists)

    async def of_address(self, address: str, deadline: float) -> Listing:
        """What the lists of addresses say of a client. `deadline`: of the loop's clock. Never raises."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return NOTHING
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if str(ip) in TEST_POINTS:
            return NOTHING
        return await self._all(IPV4 if ip.version == 4 else IPV6, _reversed(ip), deadline)

    def known_domain(self, domain: str) -> Listing | None:
        """What is known of a domain without asking: nothing, where no list is of domains."""
        return None if self._of_domains else NOTHING

    async def of_domain(self, domain: str, deadline: float) -> Listing:
        """What the lists of domains say of one (RFC 5782 §4). Literals are never asked. Never raises."""
        try:
            name = normal_domain(domain)
        except AddressError:
            return NOTHING
        if name.startswith("["):
            return NOTHING
        return await self._all(DOMAIN, name, deadline)

    async def check(self) -> list[Checked]:
        """The self-check of every part of every list, now."""
        return list(await asyncio.gather(*(part.check() for one in self._lists for part in one.parts.values())))

    def close(self) -> None:
        """Check nothing more."""
        for one in self._lists:
            for part in one.parts.values():
                part.close()

    async def _all(self, part: str, asked: str, deadline: float) -> Listing:
        lists = [one for one in self._lists if part in one.parts]
        if not lists:
            return NOTHING
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._one(one, one.parts[part], f"{asked}.{one.zone}", deadline)) for one in lists]
        try:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - loop.time()))
        finally:
            late = [task.cancel() for task in tasks]
        hits: list[Listed] = []
        silent: list[str] = []
        for one, task, was_late in zip(lists, tasks, late, strict=True):
            if was_late:
                one.parts[part].failed("not in time")
            elif task.exception() is not None and not isinstance(task.exception(), _Silent):
                _log.error("A DNS list was not asked for a fault of ours", exc_info=task.exception())
            elif task.exception() is None:
                hits += task.result()
                continue
            silent.append(one.zone)
        return Listing(tuple(hits), tuple(silent))

    async def _one(self, one: _List, health: Health, question: str, deadline: float) -> tuple[Listed, ...]:
        """What one list says. Raises _Silent when it says nothing that counts."""
        if not await health.ready():
            raise _Silent
        try:
            answer = await self._lookups.ask(absolute(question), "A")
            found = codes_of(answer)
        except (NoSuchName, NoAnswer):
            health.answered()
            return ()
        except Dead as dead:
            health.died(str(dead))
            raise _Silent from None
        except LookupFailure as error:
            health.failed(str(error))
            raise _Silent from None
        health.answered()
        weighed = one.weigh(found)
        if weighed is None:
            return ()
        if not await health.confirmed():
            raise _Silent
        code, weight = weighed
        return (Listed(one.zone, str(code), weight, await self._text(question, deadline) if weight > 0 else ""),)

    async def _text(self, question: str, deadline: float) -> str:
        """What the list says about it in words (RFC 5782 §2.1), on one line; "" when that takes too long."""
        try:
            async with asyncio.timeout_at(min(deadline - 0.1, asyncio.get_running_loop().time() + TEXT_SECONDS)):
                texts = await self._lookups.txt(question)
        except (LookupFailure, TimeoutError):
            return ""
        words = " ".join(texts[0].decode("ascii", "replace").split()) if texts else ""
        return "".join(char if char.isprintable() else "?" for char in words[:MOST_TEXT])


class _Silent(Exception):
    """A list that says nothing that counts."""


def _reversed(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as lists are asked for it (RFC 5782 §2.1, §2.4)."""
    if ip.version == 4:
        return ".".join(reversed(str(ip).split(".")))
    return ".".join(reversed(ip.exploded.replace(":", "")))


def _test_entry(text: str, part: str) -> str:
    """The configured test entry as the question it is, where it fits this part of the list."""
    if not text:
        return ""
    if part == DOMAIN:
        return text
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return _reversed(ip) if (ip.version == 4) == (part == IPV4) else ""
