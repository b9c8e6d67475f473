"""DKIM and ARC of one message, verified where it keeps nobody else waiting: here, or in a thread."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from functools import lru_cache

import dns.name

from posthouse.authenticity.arc import Arc, Validation
from posthouse.authenticity.dkim import Dkim, Signature, Verification
from posthouse.authenticity.dmarc import author_domains
from posthouse.authenticity.signature import SignedMessage, value_of
from posthouse.content.spool import Spooled
from posthouse.dns.lookups import Answer, Lookups
from posthouse.message.headers import MAX_HEADER

_log = logging.getLogger(__name__)
INLINE = 64 * 1024  # octets of a message that are hashed in the event loop; more goes to a thread
HEAVY_HEADER = 32 * 1024  # octets of a header whose signatures are checked in a thread too: long chains cost much
BLOCK = 256 * 1024
SHORT = 300  # octets of a From field that is remembered
LATE = "it was not found out in time"


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
        fields = self._message.all("from")
        if len(fields) == 1 and len(fields[0]) <= SHORT:
            return _author(fields[0])
        return author_domains(map(_unfolded, fields))

    async def weigh(self, lookups: Lookups, deadline: float) -> tuple[Dkim, Arc]:
        """Fetch the keys and verify."""
        if not self._message.all("arc-seal"):  # a chain without seals costs nothing to refuse
            return await self._dkim.evidence(lookups, deadline), await self._arc.evidence(lookups, deadline)
        return await asyncio.gather(self._dkim.evidence(lookups, deadline), self._arc.evidence(lookups, deadline))


def _unfolded(raw: bytes) -> str:
    return value_of(raw).replace("\r\n", "")


@lru_cache(maxsize=4_096)  # the same people write again
def _author(raw: bytes) -> tuple[str, ...]:
    return author_domains((_unfolded(raw),))


async def verified(
    content: Spooled, lookups: Lookups, threads: Executor, now: float, deadline: float
) -> tuple[Proof | None, Dkim, Arc]:
    """DKIM and ARC; what is large or hostile is worked on in threads, so that nobody else waits for it. Never raises.

    `now`: seconds since 1970; `deadline`: a moment of the running loop's clock.
    """
    proof = None
    try:
        if content.size <= INLINE:
            proof = Proof(content, now)
        else:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout_at(deadline):
                proof = await loop.run_in_executor(threads, Proof, content, now)
        if proof.heavy:
            return (proof, *(await _weigh_apart(threads, lookups, proof, deadline)))
        return (proof, *(await proof.weigh(lookups, deadline)))
    except TimeoutError:
        reason = LATE
    except Exception:
        _log.exception("DKIM and ARC were not found out for a fault of ours")
        reason = "it could not be found out"
    return proof, Dkim((Signature("temperror", reason),)), Arc("temperror", reason)


async def _weigh_apart(threads: Executor, lookups: Lookups, proof: Proof, deadline: float) -> tuple[Dkim, Arc]:
    """The same in a thread with an event loop of its own, which asks its questions in this one."""
    loop = asyncio.get_running_loop()
    across, left = _Across(lookups, loop), deadline - loop.time()

    async def there() -> tuple[Dkim, Arc]:
        return await proof.weigh(across, asyncio.get_running_loop().time() + left)

    async with asyncio.timeout_at(deadline + 0.2):  # it keeps the deadline itself once it has its thread
        return await loop.run_in_executor(threads, lambda: asyncio.run(there()))


class _Across(Lookups):
    """A resolver that lives in another thread's event loop."""

    def __init__(self, lookups: Lookups, loop: asyncio.AbstractEventLoop) -> None:
        self._lookups, self._loop = lookups, loop

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._lookups.ask(name, kind), self._loop))
