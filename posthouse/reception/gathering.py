"""Finding out what the modes of a visit need: begun as early as it can be, awaited where a reply depends on it.

Each thing to find out has a name, which checks name in `needs`. A task stores what it found in `Visit` or `Facts` by
itself, so nobody waits for what nobody needs; what fails or is late stays unknown and counts against nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Hashable, Iterable, Sequence
from typing import Any

from posthouse.authenticity.spf import Spf
from posthouse.content.spool import Spooled
from posthouse.message.envelope import Recipient
from posthouse.reception.evidence import Inquiry, client_name
from posthouse.reception.informants import Sources
from posthouse.reception.policy.facts import Facts, Visit
from posthouse.reception.scanners import Escort

__all__ = ["OF_CONTENT", "Gathering", "Sources"]

_log = logging.getLogger(__name__)
OF_VISIT = frozenset(("client_name", "listing", "standing", "helo_domain"))
OF_ENVELOPE = frozenset(("sender_domain", "domain_listing", "spf", "callout"))
OF_BAD_PEOPLE = frozenset(("dns_lists", "domain_lists", "spf", "spam", "virus"))  # what speaks against a network
OF_CONTENT = frozenset(("evidence", "proven_standing", "findings", "author_callouts", "waiting", "scans"))


class Gathering:
    """What is found out about one connection and the transaction that is open on it."""

    __slots__ = ("_escort", "_facts", "_inquiring", "_inquiry", "_sources", "_tasks", "_visit", "timings")

    def __init__(self, sources: Sources, visit: Visit) -> None:
        self._sources, self._visit = sources, visit
        self._facts: Facts | None = None
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}  # by what is asked, and of whom
        self._inquiry: Inquiry | None = None
        self._escort: Escort | None = None  # the milters that go along
        self._inquiring = False
        self.timings: dict[str, float] = {}  # seconds that finding out took

    # -- the steps of a session -----------------------------------------------------------------------------------

    def connected(self, needs: Iterable[str]) -> None:
        """A client is here: begin what its address alone can tell."""
        witness = self._sources.witness
        if witness is not None and self._visit.role == "stranger":
            self._inquiry = witness.inquire(self._visit.address)
        if self._sources.scanners:
            self._escort = self._sources.scanners.opened(self._visit)
        self.begin(need for need in needs if need in OF_VISIT and need != "helo_domain")

    def hello(self, needs: Iterable[str]) -> None:
        """It said what it calls itself."""
        if self._escort is not None:
            self._escort.hello(self._visit.verb, self._visit.helo)
        self._drop("helo_domain")
        self._visit.helo_domain = ""
        if "helo_domain" in needs:
            self.begin(("helo_domain",))

    def opened(self, facts: Facts, body: str, needs: Iterable[str], author: str = "") -> None:
        """MAIL: a transaction begins; `body` and `author` as its parameters BODY and AUTH say."""
        self._facts = facts
        if self._escort is not None:
            self._escort.mail(facts.return_path, facts.size or None, body, author)
        self.begin(need for need in needs if need in OF_ENVELOPE and need not in ("callout", "spf"))

    def accepted(self) -> None:
        """The first recipient was accepted: SPF can be asked while the content comes (RFC 7208 §2.2)."""
        if self._inquiry is not None and self._facts is not None and not self._inquiring:
            self._inquiring = True
            self._inquiry.begin(self._visit.helo, self._facts.return_path)

    @property
    def escort(self) -> Escort | None:
        """The milters that go along, where there are any: they have a say on each recipient."""
        return self._escort

    def group(self, recipient: str) -> Hashable:
        """Recipients of one message that scanners treat alike are equal in this."""
        scanners = self._sources.scanners
        return scanners.group(recipient) if scanners else ()

    def parts(self, people: Iterable[Recipient]) -> list[list[Recipient]]:
        """Those together for whom one scan serves; a bounded number of lists."""
        scanners, told = self._sources.scanners, {one.address: one for one in people}
        lists = scanners.parts(told) if scanners else [list(told)]
        return [[told[address] for address in addresses] for addresses in lists]

    def scans(self) -> bool:
        """Whether scanners look at this visit's mail."""
        scanners = self._sources.scanners
        return scanners is not None and scanners.looks_at(self._visit)

    def ended(self) -> None:
        """The transaction is over, or its content is being judged."""
        if self._escort is not None and self._facts is not None:
            self._escort.reset()
        for name, whom in list(self._tasks):
            if name not in OF_VISIT:
                self._tasks.pop((name, whom)).cancel()
        self._facts, self._inquiring = None, False
        if self._inquiry is not None:
            self._inquiry.end()

    def closed(self) -> None:
        """The client has gone."""
        self.ended()
        if self._escort is not None:
            self._escort.closed()
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        if self._inquiry is not None:
            self._inquiry.close()

    # -- asking ---------------------------------------------------------------------------------------------------

    def begin(self, needs: Iterable[str], recipient: str = "", next_hop: str = "") -> None:
        """Begin to find out what is needed and not yet asked. Content has its own step, `examine`."""
        for need in needs:
            if need in OF_CONTENT or need == "excess":
                continue
            whom = recipient if need == "verified" else ""
            if (need, whom) not in self._tasks and not self._at_once(need):
                asked = self._asked(need, recipient, next_hop)
                if asked is not None:
                    self._tasks[need, whom] = asyncio.get_running_loop().create_task(self._find(need, asked))

    def _at_once(self, need: str) -> bool:
        """Whether it is known already: nearly all mail is of those who sent a moment ago, and a task costs much."""
        sources, visit, facts = self._sources, self._visit, self._facts
        if need == "client_name":
            if self._inquiry is not None and visit.client_name is None:
                visit.client_name = self._inquiry.known_name()
            return visit.client_name is not None
        if need == "helo_domain" and sources.helo_host is not None:
            visit.helo_domain = sources.helo_host.known(visit.helo)
            return bool(visit.helo_domain)
        if facts is None:
            return False
        if need == "spf" and self._inquiry is not None:
            self.accepted()
            facts.spf = self._inquiry.known_spf()
            return facts.spf is not None
        domain = facts.return_path.rpartition("@")[2]
        if need == "sender_domain" and sources.sender_domain is not None:
            facts.sender_domain = sources.sender_domain.known(domain)
            return bool(facts.sender_domain)
        if need == "domain_listing" and sources.blocklists is not None and _is_name(domain):
            facts.domain_listing = sources.blocklists.known_domain(domain)
            return facts.domain_listing is not None
        return False

    def known(self, needs: Iterable[str], recipient: str = "") -> bool:
        """Whether all of it is found out (or cannot be), so that nothing has to be awaited."""
        return all(
            (task := self._tasks.get((need, recipient if need == "verified" else ""))) is None or task.done()
            for need in needs
        )

    async def settle(self, needs: Iterable[str], recipient: str = "") -> None:
        """Wait until all of it is found out, or its time is over."""
        limits = []
        waiting = []
        for need in needs:
            task = self._tasks.get((need, recipient if need == "verified" else ""))
            if task is not None and not task.done():
                waiting.append(task)
                limits.append(self._limit(need))
        if waiting:
            longest = None if None in limits else self._sources.seconds + 1.0
            await asyncio.wait(waiting, timeout=longest)

    def excess(self, facts: Facts, recipient: str = "", mailing_list: str = "") -> None:
        """The rates that one more recipient (or, without one, one more connection) would exceed."""
        flood = self._sources.flood
        if flood is not None:
            try:
                facts.excess = flood.excess(self._visit, facts.return_path, recipient, mailing_list, facts.known_as)
            except Exception:
                _log.exception("Rates were not looked at for a fault of ours")
                facts.excess = ()

    def crowded(self, facts: Facts, recipient: str, mailing_list: str = "") -> bool:
        """Whether others send so much of the same that it matters who this is, and `acquaint` has to find that out."""
        flood, known = self._sources.flood, self._sources.acquaintances
        try:
            if flood is None or not flood.crowded(self._visit, facts.return_path, recipient, mailing_list):
                return False
            facts.crowded = True
            if known is not None and not facts.known_as:
                facts.known_as = known.at_once(self._visit)
        except Exception:
            _log.exception("Rates were not looked at for a fault of ours")
        return not facts.known_as

    async def acquaint(self, facts: Facts) -> None:
        """Find out whether who sends this was here before the others. Never raises."""

        async def says() -> Spf | None:
            await self._spf(facts)
            return facts.spf

        if self._sources.acquaintances is not None:
            try:
                facts.known_as = await self._sources.acquaintances.of(self._visit, facts.return_path, says)
            except Exception:
                _log.exception("Who was here before was not found out for a fault of ours")

    async def _find(self, need: str, asked: Awaitable[None]) -> None:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._limit(need)):
                await asked
        except TimeoutError:
            pass  # it stays unknown
        except Exception:
            _log.exception("%s was not found out for a fault of ours", need)
        self.timings[need] = time.perf_counter() - begun

    def _limit(self, need: str) -> float | None:
        return None if need in ("callout", "verified") else self._sources.seconds  # those keep their own

    def _asked(self, need: str, recipient: str, next_hop: str) -> Awaitable[None] | None:
        """The question; None where there is nobody to ask or nothing to ask about."""
        sources, visit, facts = self._sources, self._visit, self._facts
        deadline = asyncio.get_running_loop().time() + sources.seconds
        path = facts.return_path if facts is not None else ""
        if need == "client_name" and sources.witness is not None:
            return self._name(deadline)
        if need == "listing" and sources.blocklists is not None:
            return _keep(visit, "listing", sources.blocklists.of_address(visit.address, deadline))
        if need == "standing" and sources.reputation is not None:
            return _keep(visit, "standing", sources.reputation.of(visit.address, ""))
        if need == "helo_domain" and sources.helo_host is not None and _is_name(visit.helo):
            return _keep(visit, "helo_domain", sources.helo_host.of(visit.helo, deadline))
        if facts is None:
            return None
        if need == "verified" and sources.callouts is not None and next_hop:
            return _into(facts.verified, recipient, sources.callouts.recipient(recipient, next_hop))
        if need == "spf" and self._inquiry is not None:
            return self._spf(facts)
        if not path:
            return None
        domain = path.rpartition("@")[2]
        if need == "sender_domain" and sources.sender_domain is not None and _is_name(domain):
            return _keep(facts, "sender_domain", sources.sender_domain.of(domain, deadline))
        if need == "domain_listing" and sources.blocklists is not None and _is_name(domain):
            return _keep(facts, "domain_listing", sources.blocklists.of_domain(domain, deadline))
        if need == "callout" and sources.callouts is not None:
            return _keep(facts, "callout", sources.callouts.sender(path, recipient))
        return None

    async def _name(self, deadline: float) -> None:
        witness = self._sources.witness
        if self._inquiry is not None and witness is not None and witness.reverse:
            self._visit.client_name = await self._inquiry.client_name()
        elif witness is not None:
            self._visit.client_name = await client_name(self._visit.address, witness.lookups, deadline)

    async def _spf(self, facts: Facts) -> None:
        self.accepted()
        if self._inquiry is not None:
            facts.spf = await self._inquiry.spf()

    # -- the content ----------------------------------------------------------------------------------------------

    def examines(self) -> bool:
        """Whether evidence is written down for this visit, whatever the modes."""
        return self._inquiry is not None

    async def examine(self, facts: Facts, content: Spooled, needs: frozenset[str], utf8: bool) -> None:
        """The evidence, and what the content itself shows. Never raises."""
        sources = self._sources
        if self._inquiry is not None:
            self.accepted()
            try:
                facts.evidence = await self._inquiry.examine(content)
            except Exception:
                _log.exception("Evidence was not found out for a fault of ours")
            else:
                facts.spf = facts.evidence.sender or facts.evidence.helo
                self._visit.client_name = facts.evidence.client_name
        if "proven_standing" in needs and sources.reputation is not None and facts.proven:
            try:
                facts.standing = await sources.reputation.of(self._visit.address, facts.proven)
            except Exception:
                _log.exception("What was seen before was not found out for a fault of ours")
        if "findings" in needs and sources.findings is not None:
            try:
                facts.findings = await sources.findings(facts.header, content, utf8)
            except Exception:
                _log.exception("The content was not looked at for a fault of ours")
        if "author_callouts" in needs and facts.return_path and sources.callouts is not None:
            facts.author_callouts = await sources.callouts.authors(facts.header, facts.recipients)

    async def wait(self, facts: Facts, recipients: Sequence[str]) -> None:
        """Greylisting of the recipients that it concerns. Never raises."""
        greylist = self._sources.greylist
        if greylist is None or not recipients:
            return
        try:
            facts.waiting = await greylist.judge(
                self._visit, facts.return_path, recipients, facts.evidence, self._sources.learns
            )
        except Exception:
            _log.exception("Greylisting was left out for a fault of ours")

    def in_parts(self) -> None:
        """The message is scanned more than once: milters hear a new envelope each time."""
        if self._escort is not None:
            self._escort.again()

    def patience(self) -> float:
        """Until when, on the event loop's clock, all scans of a message that has come now must be done."""
        scanners = self._sources.scanners
        return asyncio.get_running_loop().time() + (scanners.patience if scanners else 0.0)

    async def scan(self, facts: Facts, content: Spooled, trace_prefix: bytes, until: float | None = None) -> None:
        """What scanners say, `until` as `patience` gives it. Never raises."""
        scanners = self._sources.scanners
        if not scanners:
            return
        try:
            facts.scans = await scanners.scan(facts, content, trace_prefix, self._escort, until)
        except Exception:
            _log.exception("The content was not scanned for a fault of ours")

    # -- what became of it ----------------------------------------------------------------------------------------

    def count(self, what: str, facts: Facts | None = None, recipient: str = "", mailing_list: str = "") -> None:
        """Something that [flood] counts happened."""
        if self._sources.flood is not None and self._sources.learns:
            try:
                # What strangers forge must not hold back the domain whose name they use.
                path = facts.return_path if facts is not None and facts.is_its_domains else ""
                known_as = "" if facts is None else facts.known_as
                self._sources.flood.count(what, self._visit, path, recipient, mailing_list, known_as)
            except Exception:
                _log.exception("A rate was not counted for a fault of ours")

    def welcome(self, facts: Facts, checks: Iterable[str]) -> None:
        """The message was accepted; `checks` are those that remarked on it."""
        sources = self._sources
        into_a_flood = facts.crowded and not facts.known_as  # that earns no good standing for tomorrow's
        if sources.learns and not into_a_flood and not OF_BAD_PEOPLE.intersection(checks):
            self._learn(facts, True)
        if sources.learns and sources.greylist is not None and facts.waiting:
            try:
                sources.greylist.passed(self._visit, facts.return_path, facts.waiting.values(), facts.evidence)
            except Exception:
                _log.exception("Who passed greylisting was not remembered for a fault of ours")

    def unwelcome(self, facts: Facts, check: str) -> None:
        """Something was refused because of `check`, or (check "") because there is no such recipient."""
        if self._sources.learns and (not check or check in OF_BAD_PEOPLE):
            self._learn(facts, False)

    def _learn(self, facts: Facts, good: bool) -> None:
        if self._sources.reputation is not None:
            try:
                self._sources.reputation.learn(self._visit.address, facts.proven, good)
            except Exception:
                _log.exception("What became of a message was not remembered for a fault of ours")

    def _drop(self, need: str) -> None:
        task = self._tasks.pop((need, ""), None)
        if task is not None:
            task.cancel()


async def _keep(where: Any, name: str, asked: Awaitable[Any]) -> None:
    setattr(where, name, await asked)


async def _into(where: dict[str, Any], key: str, asked: Awaitable[Any]) -> None:
    where[key] = await asked


def _is_name(domain: str) -> bool:
    return bool(domain) and not domain.startswith("[")
