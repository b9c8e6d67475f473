"""The questions we ask the DNS, what an answer looks like, and the three ways in which there is none."""

from __future__ import annotations

import asyncio
import ipaddress
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dns.exception
import dns.name
import dns.reversename

MOST_RECORDS = 100  # of one answer that are looked at; no honest domain has more MX hosts or addresses


class LookupFailure(Exception):
    """A name could not be looked up; the text is a sentence for the operator."""


class NoSuchName(LookupFailure):
    """The name does not exist (NXDOMAIN), or cannot exist because it breaks the rules for names."""


class NoAnswer(LookupFailure):
    """The name exists and has no record of this type."""


class TemporaryFailure(LookupFailure):
    """No nameserver gave a usable answer in time (timeout, SERVFAIL, REFUSED, nonsense): ask again later."""


@dataclass(frozen=True, slots=True)
class MxHost:
    """One MX record: lower preference is tried first (RFC 5321 §5.1). `name` has no final dot; "" is the root."""

    preference: int
    name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one answer as dnspython's rdata, and the seconds they may be kept.

    `authentic`: a resolver we trust proved them with DNSSEC (the AD bit, RFC 4035 §3.2.3).
    """

    records: tuple[Any, ...]
    ttl: float
    authentic: bool = False


class Lookups(ABC):
    """What a resolver and a fixed zone have in common. Names are A-labels, with or without the final dot."""

    @abstractmethod
    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        """One question, e.g. kind "MX". Raises NoSuchName, NoAnswer or TemporaryFailure."""

    def known(self, name: dns.name.Name, kind: str) -> Answer | None:
        """The answer if it is in memory, None if it has to be asked for. Raises as `ask` does."""
        return None

    async def mx(self, domain: str) -> list[MxHost]:
        """The MX records, unsorted. Raises NoSuchName, NoAnswer or TemporaryFailure."""
        answer = await self.ask(absolute(domain), "MX")
        return [MxHost(int(record.preference), _text(record.exchange)) for record in answer.records[:MOST_RECORDS]]

    async def addresses(self, name: str) -> list[str]:
        """IPv6 and IPv4 addresses, IPv6 first. Raises NoSuchName, NoAnswer or TemporaryFailure.

        When one of the two questions fails for now, the addresses the other one found are enough.
        """
        asked = absolute(name)
        six, four = await asyncio.gather(self.ask(asked, "AAAA"), self.ask(asked, "A"), return_exceptions=True)
        found: list[str] = []
        failures: list[LookupFailure] = []
        for result in (six, four):
            if isinstance(result, Answer):
                found += [str(record.address) for record in result.records[:MOST_RECORDS]]
            elif isinstance(result, LookupFailure):
                failures.append(result)
            else:
                raise result
        if found:
            return found
        for failure in failures:
            if isinstance(failure, TemporaryFailure):
                raise failure
        raise failures[-1] if failures else NoAnswer(f"{name} has no address")

    async def txt(self, name: str) -> list[bytes]:
        """The TXT records, the strings of each joined (RFC 7208 §3.3). Raises as `mx` does."""
        answer = await self.ask(absolute(name), "TXT")
        return [b"".join(record.strings) for record in answer.records[:MOST_RECORDS]]

    async def ptr(self, address: str) -> list[str]:
        """The names an IP address claims. Raises as `mx` does, and ValueError when it is no IP address."""
        name = dns.reversename.from_address(str(ipaddress.ip_address(address)))
        answer = await self.ask(name, "PTR")
        return [_text(record.target) for record in answer.records[:MOST_RECORDS]]


@lru_cache(maxsize=4_096)  # the same names are asked for again and again
def absolute(name: str) -> dns.name.Name:
    """A name as a question: never completed by a search list. Raises NoSuchName when it breaks the rules for names."""
    try:
        return dns.name.from_text(name.rstrip("."), origin=dns.name.root)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise NoSuchName(f"{name!r} cannot be a domain name: {error}") from None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""
