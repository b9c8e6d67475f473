"""What mail from a stranger proves of itself (SPF, DKIM, ARC, DMARC, the client's name): found out within one deadline.

Evidence, never a decision: nothing here refuses, raises or keeps a client waiting longer than the deadline. What could
not be found out in time is "temperror".
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeAlias, TypeVar, cast

from posthouse import configuration
from posthouse.authenticity import results, spf
from posthouse.authenticity.arc import Arc
from posthouse.authenticity.dkim import Dkim
from posthouse.authenticity.dmarc import Dmarc, evaluate_authors
from posthouse.authenticity.spf import Spf
from posthouse.content.spool import Spooled
from posthouse.dns.cache import Cache
from posthouse.dns.lookups import LookupFailure, Lookups, absolute
from posthouse.dns.noting import Noting
from posthouse.reception.proof import LATE, Proof, verified

__all__ = ["Evidence", "Inquiry", "Witness"]

_log = logging.getLogger(__name__)
T = TypeVar("T")
Found: TypeAlias = T | asyncio.Task[T]  # found out a moment ago, or being found out
KEPT = 60.0  # seconds that what was found out serves the next messages, if the DNS lets us remember it so long
MOST_KEPT = 10_000
MOST_NAMED = 1_000  # characters of the authors' domains: who writes more fills no memory
THREADS = 4
MOST_NAMES = 5  # of a client that are confirmed; an honest one has one
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\Z"
)


@dataclass(frozen=True)
class Evidence:
    """What was found out about one message.

    `client_name`: the client's name in the DNS, confirmed by looking it up again; "" for none, None when nobody asked.
    `sender`: SPF of MAIL FROM, None for the null return path, which only `helo` answers for (RFC 7208 §2.4).
    """

    client_name: str | None
    helo: Spf
    sender: Spf | None
    dkim: Dkim
    arc: Arc
    dmarc: Dmarc
    proven: tuple[str, ...] = ()  # names whose records were proven by DNSSEC, of those that this rests on

    @cached_property
    def methods(self) -> list[results.Method]:
        """The results as Authentication-Results names them."""
        found = [] if self.sender is None else [results.of_spf(self.sender)]
        if self.sender is None or self.helo.result != "none":
            found.append(results.of_spf(self.helo))
        return [*found, *results.of_dkim(self.dkim), results.of_arc(self.arc), results.of_dmarc(self.dmarc)]

    def field(self, host: str) -> bytes:
        """The Authentication-Results field in our name, one result on each line."""
        # RFC 8601 §2.2: the authserv-id, then each result behind a semicolon
        value = results.written(host, self.methods, ";\r\n\t")
        return f"{results.FIELD}: {value}\r\n".encode("ascii", "replace")

    def words(self) -> str:
        """The results as a sentence for the maillog."""
        told = [_told(method) for method in self.methods]
        if self.client_name is not None:
            told.insert(0, f"client {self.client_name or 'unknown'}")
        if self.proven:
            told.append(f"DNSSEC proves {', '.join(self.proven)}")
        return "; ".join(told)


_ABOUT = {"smtp.mailfrom": "", "smtp.helo": "HELO ", "header.d": "", "header.from": ""}


@lru_cache(maxsize=1_024)
def _told(method: results.Method) -> str:
    told, more = f"{method.name.upper()} {method.result}", method.reason[:200]
    for name, value in method.properties:
        if name in _ABOUT:
            told += f" for {_ABOUT[name]}{value}"
        elif name == "policy.dmarc":
            more = f"policy {value}, {more}" if more else f"policy {value}"
    return f"{told} ({more})" if more else told


class Witness:
    """Finds out about the mail of all connections of one process. `clock`: seconds since 1970."""

    def __init__(
        self, settings: configuration.Evidence, lookups: Lookups, host: str, clock: Callable[[], float]
    ) -> None:
        self.seconds, self.reverse = settings.deadline, settings.reverse
        self.lookups, self.host, self.clock = lookups, host, clock
        self.threads = ThreadPoolExecutor(THREADS, "evidence")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept: Cache[Hashable, tuple[Any, frozenset[str]]] = Cache(MOST_KEPT, clock)

    def inquire(self, address: str) -> Inquiry:
        """A stranger connected; `address`: its IP address."""
        return Inquiry(self, address)

    def known(self, key: Hashable, noting: Noting) -> Any:
        """What was found out a moment ago, None for nothing; what DNSSEC proved of it is noted."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[1]:
            noting.proven.update(found[1])
        return found[0]

    async def finds(self, key: Hashable, asked: Coroutine[Any, Any, T], noting: Noting) -> T:
        """Find something out by way of `noting`, and remember it for the next message as long as the DNS allows.

        A host that sends one message often sends more of the same people; what failed for now is asked again.
        """
        found = await asked
        if found and getattr(found, "result", "") != "temperror":
            self._kept.keep(key, (found, frozenset(noting.proven)), min(KEPT, noting.ttl))
        return found

    def begin(self, key: Hashable, ask: Callable[[Lookups], Coroutine[Any, Any, T]], noting: Noting) -> Found[T]:
        """Find something out in the background, where it is not known."""
        known = self.known(key, noting)
        if known is not None:
            return cast(T, known)
        apart = Noting(noting)
        task = asyncio.get_running_loop().create_task(self.finds(key, ask(apart), apart))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Find out nothing more; what is under way ends as temperror."""
        for task in list(self._tasks):
            task.cancel()
        self.threads.shutdown(wait=False, cancel_futures=True)


class Inquiry:
    """What is found out about one connection and the transaction that is open on it."""

    __slots__ = (
        "_address",
        "_examining",
        "_helo",
        "_helo_name",
        "_lookups",
        "_name",
        "_return_path",
        "_sender",
        "_witness",
    )

    def __init__(self, witness: Witness, address: str) -> None:
        self._witness, self._address, self._lookups = witness, address, Noting(witness.lookups)
        self._helo_name = self._return_path = ""
        self._helo: Found[Spf] | None = None
        self._sender: Found[Spf] | None = None
        self._examining = False
        self._name: Found[str] | None = None
        if witness.reverse:
            deadline = _in(witness.seconds)
            self._name = witness.begin(
                ("name", address), lambda lookups: client_name(address, lookups, deadline), self._lookups
            )

    def begin(self, helo: str, return_path: str) -> None:
        """The first recipient was accepted: look at HELO and MAIL FROM while the content comes (RFC 7208 §2.2)."""
        witness, client, deadline = self._witness, self._address, _in(self._witness.seconds)
        known: dict[str, Any] = {"deadline": deadline, "now": witness.clock(), "receiver": witness.host}
        if self._helo is None or self._helo_name != helo or not _settled(self._helo):
            self._helo_name = helo
            self._helo = witness.begin(
                ("helo", client, helo), lambda lookups: spf.check_helo(client, helo, lookups, **known), self._lookups
            )
        self._return_path = return_path
        if return_path:
            self._sender = witness.begin(
                ("mailfrom", client, helo, return_path),
                lambda lookups: spf.check_return_path(client, return_path, helo, lookups, **known),
                self._lookups,
            )

    async def spf(self) -> Spf | None:
        """SPF of the return path, or of HELO where that is null, once it is found out; None where it was not."""
        return await _outcome(self._sender if self._return_path else self._helo)

    def known_spf(self) -> Spf | None:
        """The same, if it is found out already."""
        return _found(self._sender if self._return_path else self._helo)

    def known_name(self) -> str | None:
        """The client's confirmed name, if it is found out already; "" for none."""
        return _found(self._name)

    async def client_name(self) -> str | None:
        """The client's confirmed name, "" for none, None where nobody asked."""
        return await _outcome(self._name)

    def end(self) -> None:
        """The transaction is over, or belongs to `examine`."""
        if isinstance(self._sender, asyncio.Task):
            self._sender.cancel()
        self._sender = None

    def close(self) -> None:
        """The client has gone; what `examine` waits for is still found out."""
        self.end()
        for task in (self._helo, self._name):
            if isinstance(task, asyncio.Task) and not self._examining:
                task.cancel()

    def examine(self, content: Spooled) -> Awaitable[Evidence]:
        """All evidence about the transaction whose content has come. Never raises, never later than the deadline."""
        sender, self._sender = self._sender, None
        self._examining = True
        return self._examine(content, self._helo_name, self._return_path, sender, _in(self._witness.seconds))

    async def _examine(
        self, content: Spooled, helo: str, return_path: str, sender: Found[Spf] | None, deadline: float
    ) -> Evidence:
        try:
            witness = self._witness
            proof, dkim, arc = await verified(content, self._lookups, witness.threads, witness.clock(), deadline)
            by_helo = await _outcome(self._helo) or Spf("temperror", "helo", helo, f"postmaster@{helo}", reason=LATE)
            by_sender = None
            if return_path:
                by_sender = await _outcome(sender)
                if by_sender is None:
                    domain = return_path.rpartition("@")[2]
                    by_sender = Spf("temperror", "mailfrom", domain, return_path, reason=LATE)
            # RFC 9989 §3.2.4: HELO speaks for the author only where there is no return path
            passed = (by_sender or by_helo).domains
            dmarc = await _aligned(witness, proof, dkim, passed, self._lookups, deadline)
            name = None if self._name is None else await _outcome(self._name) or ""
            proven = _proven(self._lookups.proven, by_sender or by_helo, dkim, dmarc)
            return Evidence(name, by_helo, by_sender, dkim, arc, dmarc, proven)
        finally:
            self._examining = False


def _proven(names: set[str], by_spf: Spf, dkim: Dkim, dmarc: Dmarc) -> tuple[str, ...]:
    """The names that SPF, the good signatures and DMARC rest on, where DNSSEC proved what they say."""
    if not names:
        return ()
    rests_on = [by_spf.domain.lower()]
    rests_on += [f"{one.selector}._domainkey.{one.domain}".lower() for one in dkim.signatures if one.result == "pass"]
    rests_on.append(f"_dmarc.{dmarc.policy_domain}".lower())
    return tuple(name for name in dict.fromkeys(rests_on) if name in names)


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _settled(task: Found[Spf]) -> bool:
    """Whether what is known of HELO can serve the next transaction too."""
    if isinstance(task, asyncio.Task) and not task.done():
        return True
    found = _found(task)
    return found is not None and found.result != "temperror"


def _found(task: Found[T] | None) -> T | None:
    """What is found out already."""
    if not isinstance(task, asyncio.Task):
        return task
    if not task.done() or task.cancelled() or task.exception() is not None:
        return None
    return task.result()


async def _outcome(task: Found[T] | None) -> T | None:
    """What a task found out; None when it was ended, or failed for a fault of ours."""
    if not isinstance(task, asyncio.Task):
        return task
    if not task.done():
        await asyncio.wait((task,))
    if task.cancelled():
        return None
    fault = task.exception()
    if fault is not None:
        _log.error("Evidence was not found out for a fault of ours", exc_info=fault)
        return None
    return task.result()


async def _aligned(
    witness: Witness, proof: Proof | None, dkim: Dkim, by_spf: Sequence[str], noting: Noting, deadline: float
) -> Dmarc:
    """DMARC of all authors."""
    if proof is None:
        return Dmarc("temperror", reason=LATE)
    authors, signers = proof.authors(), dkim.domains
    key = ("dmarc", authors, signers, tuple(by_spf))
    memorable = sum(map(len, authors)) <= MOST_NAMED
    known = witness.known(key, noting) if memorable else None
    if known is not None:
        return cast(Dmarc, known)
    try:
        apart = Noting(noting)
        asked = evaluate_authors(authors, signers, by_spf, apart, deadline=deadline)
        return await (witness.finds(key, asked, apart) if memorable else asked)
    except Exception:
        _log.exception("DMARC was not found out for a fault of ours")
        return Dmarc("temperror", reason="it could not be found out")


async def client_name(address: str, lookups: Lookups, deadline: float) -> str:
    """The name a client's address has and that leads back to it (RFC 8601 §2.7.3, iprev); "" for none. Never raises."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        async with asyncio.timeout_at(deadline):
            for name in (await lookups.ptr(str(ip)))[:MOST_NAMES]:
                if _HOST.match(name) and await _leads_back(name, ip, lookups):
                    return name
    except (ValueError, TimeoutError, LookupFailure):
        pass
    return ""


async def _leads_back(name: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address, lookups: Lookups) -> bool:
    try:
        answer = await lookups.ask(absolute(name), "A" if ip.version == 4 else "AAAA")
    except LookupFailure:
        return False
    return any(ipaddress.ip_address(str(record.address)) == ip for record in answer.records)
