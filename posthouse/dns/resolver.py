"""Asks nameservers: every question has a deadline, answers are cached as long as they may be, failures briefly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from posthouse.dns.cache import Cache
from posthouse.dns.lookups import Answer, LookupFailure, Lookups, NoAnswer, NoSuchName, TemporaryFailure

MOST_ENTRIES = 20_000
MOST_QUESTIONS = 200  # under way at the same time; further ones wait their turn
LONGEST = 86_400.0  # seconds any answer is believed
LONGEST_NEGATIVE = 10_800.0  # RFC 2308 §5: a negative answer for one to three hours
FAILURE_KEPT = 5.0  # RFC 2308 §7 allows five minutes, RFC 9520 §3.2 asks for at least one second
EDNS_PAYLOAD = 1232  # octets that pass every path unfragmented; longer answers come by TCP

Asked = tuple[tuple[bytes, ...], str]  # labels in lower case: cheaper to compare than names, for every message asks


class Resolver(Lookups):
    """A caching resolver over the given nameservers, or over those of the system when none are given.

    `timeout`: seconds for one question, all tries at all nameservers together. `trusted`: the nameservers validate
    DNSSEC and nobody can change what they say on its way; only then an answer can be `authentic`. Raises
    TemporaryFailure from every question when the system names no nameserver at all.
    """

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] = (),
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        trusted: bool = False,
    ) -> None:
        self._timeout, self._trusted = timeout, trusted
        self._cache: Cache[Asked, Answer | LookupFailure] = Cache(MOST_ENTRIES, clock)
        self._asking: dict[Asked, asyncio.Future[Answer]] = {}
        self._turns = asyncio.Semaphore(MOST_QUESTIONS)
        self._resolver = self._prepare(nameservers)

    def _prepare(self, nameservers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver | None:
        try:
            resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            return None
        if nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in nameservers]
        resolver.lifetime = self._timeout
        resolver.timeout = max(0.05, min(2.0, self._timeout / 2))  # one lost datagram must not use up the whole time
        resolver.use_edns(0, 0, EDNS_PAYLOAD)
        if self._trusted:
            resolver.flags = dns.flags.RD | dns.flags.AD  # RFC 6840 §5.7: we want to know whether it is proven
        resolver.retry_servfail = False
        resolver.cache = None
        return resolver

    def forget(self) -> None:
        """Forget every answer."""
        self._cache.forget()

    def close(self) -> None:
        """Ask nothing more: whoever still waits for an answer is cancelled."""
        for question in list(self._asking.values()):
            question.cancel()

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        """One question, from memory when it may be; those who ask the same at the same time share one question."""
        key = _key(name, kind)
        known = self._remembered(key)
        if known is not None:
            return known
        under_way = self._asking.get(key)
        if under_way is None:
            under_way = asyncio.ensure_future(self._fetch(name, key))
            self._asking[key] = under_way
            under_way.add_done_callback(lambda done: self._done(key, done))
        # Whoever asked first may be cancelled; the others still want the answer.
        return await asyncio.shield(under_way)

    def known(self, name: dns.name.Name, kind: str) -> Answer | None:
        """The answer, or the failure, that is in memory."""
        return self._remembered(_key(name, kind))

    def _remembered(self, key: Asked) -> Answer | None:
        known = self._cache.get(key)
        if isinstance(known, LookupFailure):
            raise type(known)(*known.args)
        return known

    def _done(self, key: Asked, done: asyncio.Future[Answer]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # retrieved: nobody may be left to ask for it

    async def _fetch(self, name: dns.name.Name, key: Asked) -> Answer:
        kind = key[1]
        async with self._turns:
            try:
                answer, seconds = await self._query(name, kind)
            except LookupFailure as error:
                self._cache.keep(key, type(error)(*error.args), FAILURE_KEPT)  # without its traceback
                raise
        if answer is not None:
            self._cache.keep(key, answer, min(answer.ttl, LONGEST))
            return answer
        what = name.to_text(omit_final_dot=True)
        failure = NoSuchName(f"{what} does not exist") if seconds < 0 else NoAnswer(f"{what} has no {kind} record")
        self._cache.keep(key, failure, min(abs(seconds), LONGEST_NEGATIVE))
        raise type(failure)(*failure.args)

    async def _query(self, name: dns.name.Name, kind: str) -> tuple[Answer | None, float]:
        """The answer; or None with the seconds "no such record" may be kept, negative for "no such name"."""
        what = f"{kind} of {name.to_text(omit_final_dot=True)}"
        if self._resolver is None:
            raise TemporaryFailure(f"{what}: this machine names no nameserver; set [dns] nameservers")
        try:
            async with asyncio.timeout(self._timeout + 0.5):
                found = await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            return None, -_negative_ttl(error)
        except (dns.resolver.LifetimeTimeout, TimeoutError):
            raise TemporaryFailure(f"{what}: no nameserver answered within {self._timeout:g} s") from None
        except dns.resolver.NoNameservers as error:
            raise TemporaryFailure(f"{what}: {_reasons(error)}") from None
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise TemporaryFailure(f"{what}: {type(error).__name__}: {error}") from None
        seconds = float(found.chaining_result.minimum_ttl)
        if found.rrset is None:
            return None, seconds
        proven = self._trusted and bool(found.response.flags & dns.flags.AD)
        return Answer(tuple(found.rrset), seconds, proven), seconds


def _key(name: dns.name.Name, kind: str) -> Asked:
    return tuple(map(bytes.lower, name.labels)), kind


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    """The seconds an NXDOMAIN may be kept: the SOA in it says so (RFC 2308 §5); at least one."""
    for response in error.responses().values():  # type: ignore[no-untyped-call]
        if isinstance(response, dns.message.QueryMessage):
            try:
                return max(1.0, float(response.resolve_chaining().minimum_ttl))
            except dns.exception.DNSException:
                continue
    return FAILURE_KEPT


def _reasons(error: dns.resolver.NoNameservers) -> str:
    """What each nameserver answered, in few words."""
    answers = error.kwargs.get("errors") or []
    words = [f"{server} answered {reason}" for server, _, _, reason, _ in answers][:4]
    return "; ".join(words) or "no nameserver gave a usable answer"
