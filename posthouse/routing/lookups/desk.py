"""Asks lookups: the servers of each in turn with a deadline, what is remembered, and who was down a moment ago."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from posthouse import configuration
from posthouse.address import Address
from posthouse.configuration import Configuration, Lookup
from posthouse.routing.domain_sets import DomainSet
from posthouse.routing.lookups.answer import Answer, LookupTrouble
from posthouse.routing.lookups.sources import Source, source_of

MOST_REMEMBERED = 10_000
THREADS = 4  # for each lookup: one that hangs does not hold up another
DOWN_SECONDS = 5.0  # a server that failed is asked last for so long
PAUSE_SECONDS = 1.0  # when none could answer, nobody is asked again for so long

log = logging.getLogger(__name__)


def values_of(wanted: Address) -> dict[str, str]:
    """What the places of a query stand for, in lower case."""
    local = wanted.local_part.lower()
    name, _, detail = local.partition("+")
    return {"address": f"{local}@{wanted.domain}", "local": local, "name": name, "detail": detail,
            "domain": wanted.domain}  # fmt: skip


class Asker:
    """One lookup: asks its servers, and remembers as long as its setting allows. Safe in several threads."""

    def __init__(self, name: str, settings: Lookup, domains: DomainSet | None, source: Source) -> None:
        self.name, self.settings, self._domains, self._source = name, settings, domains, source
        self._servers = settings.servers or [settings.path]
        self._down: dict[str, float] = {}
        self._silent_until = 0.0
        self._silence = ""
        self._remembered: dict[str, tuple[float, Answer]] = {}
        self._lock = threading.Lock()
        self.patience = settings.deadline * len(self._servers) + 1.0
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"lookup-{name}")

    def concerns(self, domain: str) -> bool:
        """Whether it is asked about this domain of ours."""
        return self._domains is None or domain in self._domains

    def ask(self, wanted: Address) -> Answer:
        """What the first server that answers says. Raises LookupTrouble."""
        values, now = values_of(wanted), time.monotonic()
        known = self._remembered.get(values["address"])
        if known is not None and now < known[0]:
            return known[1]
        if now < self._silent_until:
            raise LookupTrouble(self._silence)
        answer = self._ask_in_turn(values)
        if self.settings.cache > 0:
            with self._lock:
                if len(self._remembered) >= MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[values["address"]] = now + self.settings.cache, answer
        return answer

    def _ask_in_turn(self, values: dict[str, str]) -> Answer:
        now, reasons = time.monotonic(), list[str]()
        for server in sorted(self._servers, key=lambda one: self._down.get(one, 0.0) > now):
            try:
                hit, found = self._source.ask(server, values)
            except Exception as error:  # whatever a driver raises: the next server is asked
                words = " ".join((str(error) or type(error).__name__).split())[:200]
                reasons.append(f"{server}: {words}")
                self._down[server] = time.monotonic() + DOWN_SECONDS
                continue
            self._down.pop(server, None)
            if self._silence:
                log.warning("the lookup %s answers again: %s", self.name, server)
                self._silence = ""
            return Answer.of(found, server, hit)
        known, self._silence = self._silence, f"the lookup {self.name} cannot be asked: {'; '.join(reasons)}"
        self._silent_until = time.monotonic() + min(PAUSE_SECONDS, self.settings.deadline)
        if not known:  # said once for an outage; every refusal has its reason in the maillog
            log.warning("%s; mail is deferred", self._silence)
        raise LookupTrouble(self._silence)

    def close(self) -> None:
        """Let its threads and connections go."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._source.close()


class Desk:
    """All lookups of a configuration, in its order."""

    def __init__(self, chosen: Configuration) -> None:
        self.settings: Mapping[str, Lookup] = chosen.lookups
        self._askers = {
            name: Asker(
                name, one, DomainSet(chosen.names(one.domains)) if one.domains else None, source_of(one)
            )
            for name, one in chosen.lookups.items()
            if one.kind
        }  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self._askers)

    def concerning(self, domain: str) -> list[str]:
        """The names of the lookups that are asked about a domain of ours, in order."""
        return [name for name, one in self._askers.items() if one.concerns(domain)]

    def target(self, name: str) -> str:
        """Where a hit leads, whatever was found; "" when the values are the addresses."""
        return self._askers[name].settings.target

    def ask_here(self, name: str, wanted: Address) -> Answer:
        """Ask in this thread. Raises LookupTrouble."""
        return self._askers[name].ask(wanted)

    async def ask(self, name: str, wanted: Address) -> Answer:
        """Ask in a thread of the lookup's own. Raises LookupTrouble, at the latest when all deadlines have passed."""
        one = self._askers[name]
        try:
            async with asyncio.timeout(one.patience):
                return await asyncio.get_running_loop().run_in_executor(one.pool, one.ask, wanted)
        except TimeoutError:
            raise LookupTrouble(f"the lookup {name} gave no answer within {one.patience:g} seconds") from None

    def close(self) -> None:
        """Let all threads and connections go."""
        for one in self._askers.values():
            one.close()


_current: tuple[Configuration, Desk] | None = None
_lock = threading.Lock()


def desk() -> Desk:
    """The lookups of the configuration this process runs with."""
    global _current
    chosen = configuration.active()
    known = _current
    if known is not None and known[0] is chosen:
        return known[1]
    with _lock:
        if _current is None or _current[0] is not chosen:
            if _current is not None:
                _current[1].close()
            _current = chosen, Desk(chosen)
        return _current[1]
