"""What mail from a stranger proves of itself (SPF, DKIM, ARC, DMARC, the client's name): found out within one deadline.

Evidence, never a decision: nothing here refuses, raises or keeps a client waiting longer than the deadline. What could
not be found out in time is "temperror".
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import dns.name

from posthouse import configuration
from posthouse.authenticity import results, spf
from posthouse.authenticity.arc import Arc, Validation
from posthouse.authenticity.dkim import Dkim, Signature, Verification
from posthouse.authenticity.dmarc import Dmarc, author_domains, evaluate_authors
from posthouse.authenticity.signature import SignedMessage, value_of
from posthouse.authenticity.spf import Spf
from posthouse.content.spool import Spooled
from posthouse.dns.lookups import Answer, LookupFailure, Lookups, absolute
from posthouse.dns.noting import Noting
from posthouse.message.headers import MAX_HEADER

__all__ = ["Evidence", "Inquiry", "Witness"]

_log = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M")
INLINE = 64 * 1024  # octets of a message that are hashed in the event loop; more goes to a thread
HEAVY_HEADER = 32 * 1024  # octets of a header whose signatures are checked in a thread too: long chains cost much
BLOCK = 256 * 1024
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
        alone = [results.written(host, [method]) for method in self.methods]
        who = alone[0].partition(";")[0]
        # RFC 8601 §2.2: the authserv-id, then each result behind a semicolon
        found = "".join(f";\r\n\t{one[len(who) + 2 :]}" for one in alone)
        return f"{results.FIELD}: {who}{found}\r\n".encode("ascii", "replace")

    def words(self) -> str:
        """The results as a sentence for the maillog."""
        told = [_told(method) for method in self.methods]
        if self.client_name is not None:
            told.insert(0, f"client {self.client_name or 'unknown'}")
        if self.proven:
            told.append(f"DNSSEC proves {', '.join(self.proven)}")
        return "; ".join(told)


_ABOUT = {"smtp.mailfrom": "", "smtp.helo": "HELO ", "header.d": "", "header.from": ""}


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

    def inquire(self, address: str) -> Inquiry:
        """A stranger connected; `address`: its IP address."""
        return Inquiry(self, address)

    def begin(self, asked: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Find something out in the background."""
        task = asyncio.get_running_loop().create_task(asked)
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
        self._helo: asyncio.Task[Spf] | None = None
        self._sender: asyncio.Task[Spf] | None = None
        self._examining = False
        self._name: asyncio.Task[str] | None = None
        if witness.reverse:
            self._name = witness.begin(client_name(address, witness.lookups, _in(witness.seconds)))

    def begin(self, helo: str, return_path: str) -> None:
        """The first recipient was accepted: look at HELO and MAIL FROM while the content comes (RFC 7208 §2.2)."""
        witness, client, deadline = self._witness, self._address, _in(self._witness.seconds)
        known: dict[str, Any] = {"deadline": deadline, "now": witness.clock(), "receiver": witness.host}
        if self._helo is None or self._helo_name != helo or not _settled(self._helo):
            self._helo_name = helo
            self._helo = witness.begin(spf.check_helo(client, helo, self._lookups, **known))
        self._return_path = return_path
        if return_path:
            checked = spf.check_return_path(client, return_path, helo, self._lookups, **known)
            self._sender = witness.begin(checked)

    async def spf(self) -> Spf | None:
        """SPF of the return path, or of HELO where that is null, once it is found out; None where it was not."""
        task = self._sender if self._return_path else self._helo
        return await _outcome(task, None) if task is not None else None

    async def client_name(self) -> str | None:
        """The client's confirmed name, "" for none, None where nobody asked."""
        return None if self._name is None else await _outcome(self._name, None)

    def end(self) -> None:
        """The transaction is over, or belongs to `examine`."""
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None

    def close(self) -> None:
        """The client has gone; what `examine` waits for is still found out."""
        self.end()
        for task in (self._helo, self._name):
            if task is not None and not self._examining:
                task.cancel()

    def examine(self, content: Spooled) -> Awaitable[Evidence]:
        """All evidence about the transaction whose content has come. Never raises, never later than the deadline."""
        sender, self._sender = self._sender, None
        self._examining = True
        return self._examine(content, self._helo_name, self._return_path, sender, _in(self._witness.seconds))

    async def _examine(
        self, content: Spooled, helo: str, return_path: str, sender: asyncio.Task[Spf] | None, deadline: float
    ) -> Evidence:
        try:
            proof, dkim, arc = await _verified(self._witness, self._lookups, content, deadline)
            by_helo = await _outcome(self._helo, Spf("temperror", "helo", helo, f"postmaster@{helo}", reason=_LATE))
            by_sender = None
            if return_path:
                domain = return_path.rpartition("@")[2]
                by_sender = await _outcome(sender, Spf("temperror", "mailfrom", domain, return_path, reason=_LATE))
            # RFC 9989 §3.2.4: HELO speaks for the author only where there is no return path
            passed = (by_sender or by_helo).domains
            dmarc = await _aligned(proof, dkim, passed, self._lookups, deadline)
            name = None if self._name is None else await _outcome(self._name, "")
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


_LATE = "it was not found out in time"


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _settled(task: asyncio.Task[Spf]) -> bool:
    """Whether what is known of HELO can serve the next transaction too."""
    return not task.done() or (not task.cancelled() and not task.exception() and task.result().result != "temperror")


async def _outcome(task: asyncio.Task[T] | None, missing: M) -> T | M:
    """What a task found out; `missing` when it was ended, or failed for a fault of ours."""
    if task is None:
        return missing
    if not task.done():
        await asyncio.wait((task,))
    if task.cancelled():
        return missing
    fault = task.exception()
    if fault is not None:
        _log.error("Evidence was not found out for a fault of ours", exc_info=fault)
        return missing
    return task.result()


async def _aligned(proof: Proof | None, dkim: Dkim, by_spf: Sequence[str], lookups: Lookups, deadline: float) -> Dmarc:
    """DMARC of all authors."""
    if proof is None:
        return Dmarc("temperror", reason=_LATE)
    try:
        return await evaluate_authors(proof.authors(), dkim.domains, by_spf, lookups, deadline=deadline)
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


class Proof:
    """DKIM and ARC of one message, its body hashed: all that is left is to ask for keys."""

    def __init__(self, content: Spooled, now: float) -> None:
        beginning = content.head(MAX_HEADER)
        end = beginning.find(b"\r\n\r\n")
        header, body = (beginning, len(beginning)) if end < 0 else (beginning[: end + 2], end + 4)
        self.heavy = len(header) > HEAVY_HEADER
        self._message = SignedMessage(header)
        self._dkim, self._arc = Verification(self._message, now), Validation(self._message)
        if self._message.all("dkim-signature") or self._message.all("arc-seal"):
            self._feed(content, body)

    def _feed(self, content: Spooled, body: int) -> None:
        if content.octets is not None:
            self._message.feed(content.octets[body:])
            return
        assert content.path is not None
        with open(content.path, "rb") as file:
            file.seek(body)
            while block := file.read(BLOCK):
                self._message.feed(block)

    def authors(self) -> tuple[str, ...]:
        """The domains of all authors."""
        return author_domains(value_of(raw).replace("\r\n", "") for raw in self._message.all("from"))

    async def weigh(self, lookups: Lookups, deadline: float) -> tuple[Dkim, Arc]:
        """Fetch the keys and verify."""
        if not self._message.all("arc-seal"):  # a chain without seals costs nothing to refuse
            return await self._dkim.evidence(lookups, deadline), await self._arc.evidence(lookups, deadline)
        return await asyncio.gather(self._dkim.evidence(lookups, deadline), self._arc.evidence(lookups, deadline))


async def _verified(
    witness: Witness, lookups: Lookups, content: Spooled, deadline: float
) -> tuple[Proof | None, Dkim, Arc]:
    """DKIM and ARC; what is large or hostile is worked on in threads, so that nobody else waits for it."""
    proof = None
    try:
        if content.size <= INLINE:
            proof = Proof(content, witness.clock())
        else:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout_at(deadline):
                proof = await loop.run_in_executor(witness.threads, Proof, content, witness.clock())
        if proof.heavy:
            return (proof, *(await _weigh_apart(witness, lookups, proof, deadline)))
        return (proof, *(await proof.weigh(lookups, deadline)))
    except TimeoutError:
        reason = _LATE
    except Exception:
        _log.exception("DKIM and ARC were not found out for a fault of ours")
        reason = "it could not be found out"
    return proof, Dkim((Signature("temperror", reason),)), Arc("temperror", reason)


async def _weigh_apart(witness: Witness, lookups: Lookups, proof: Proof, deadline: float) -> tuple[Dkim, Arc]:
    """The same in a thread with an event loop of its own, which asks its questions in this one."""
    loop = asyncio.get_running_loop()
    across, left = _Across(lookups, loop), deadline - loop.time()

    async def there() -> tuple[Dkim, Arc]:
        return await proof.weigh(across, _in(left))

    async with asyncio.timeout_at(deadline + 0.2):  # it keeps the deadline itself once it has its thread
        return await loop.run_in_executor(witness.threads, lambda: asyncio.run(there()))


class _Across(Lookups):
    """A resolver that lives in another thread's event loop."""

    def __init__(self, lookups: Lookups, loop: asyncio.AbstractEventLoop) -> None:
        self._lookups, self._loop = lookups, loop

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._lookups.ask(name, kind), self._loop))
