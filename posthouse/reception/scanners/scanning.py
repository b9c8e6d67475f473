"""All scanners of the configuration: which of them look at a message, in which order, and what they say together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace

from posthouse import maillog
from posthouse.address import normal_domain
from posthouse.configuration import Configuration, Scanner
from posthouse.content.spool import Spooled
from posthouse.dns.networks import Networks
from posthouse.queue.identity import name_of
from posthouse.reception.limits import MOST_REMEMBERED
from posthouse.reception.policy.facts import Facts, Scan, Visit
from posthouse.reception.scanners import clamav, rspamd, spamd
from posthouse.reception.scanners.escort import Escort
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.marking import letter_of, tenths
from posthouse.reception.scanners.milter import Milter, Terms
from posthouse.reception.scanners.wire import Nobody, Servers, Wire
from posthouse.reception.trace import hops_and_id
from posthouse.smtp import catalogue

_log = logging.getLogger(__name__)
_LAST_WORDS = ("refuse", "defer", "discard")  # behind these nobody else is asked


MOST_PARTS = 10  # scans of one message for its recipients' different wishes; those beyond share the site's


class _One:
    """A scanner of the configuration with what follows from its settings."""

    def __init__(self, name: str, settings: Scanner, configuration: Configuration, clock: Callable[[], float]) -> None:
        self.name, self.settings = name, settings
        self.servers = Servers(settings.servers, settings.connect_timeout, clock)
        self._exempt = Networks(configuration.hosts(settings.exempt_networks))
        listed = configuration.names(settings.domains)
        self.everybody = not settings.domains
        self._domains = {normal_domain(one) for one in listed if not one.startswith(".")}
        self._above = tuple("." + normal_domain(one[1:]) for one in listed if one.startswith("."))
        self._known: dict[str, bool] = {}

    def looks_at(self, visit: Visit) -> bool:
        """Whether mail of this connection is scanned."""
        settings = self.settings
        if visit.listener not in settings.listeners or visit.address in self._exempt:
            return False
        return visit.listener != "transfer" or not visit.trusted or settings.relay_networks

    def wants(self, recipient: str) -> bool:
        """Whether mail for this recipient is scanned (D1)."""
        if self.everybody:
            return True
        domain = recipient.rpartition("@")[2].lower()
        known = self._known.get(domain)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[domain] = domain in self._domains or domain.endswith(self._above)
        return known


class Scanners:
    """Every scanner there is. One for a process; false when the configuration has none. `clock`: seconds since 1970."""

    def __init__(self, settings: dict[str, Scanner], configuration: Configuration, clock: Callable[[], float]) -> None:
        self._all = [_One(name, one, configuration, clock) for name, one in settings.items()]
        self._configuration, self._host, self._clock = configuration, configuration.host, clock
        self.patience = configuration.scanning.patience
        folder, most = configuration.data / configuration.scanning.directory, configuration.limits.message_size
        self._milters = [
            (one, Terms(one.name, one.settings, one.servers, self._host, folder, most))
            for one in self._all
            if one.settings.kind == "milter"
        ]
        self._choosy = [one for one in self._all if not one.everybody]
        self._per_user = any(one.settings.per_user for one in self._all)

    def __bool__(self) -> bool:
        return bool(self._all)

    def looks_at(self, visit: Visit) -> bool:
        """Whether any scanner wants the mail of this connection."""
        return any(one.looks_at(visit) for one in self._all)

    def group(self, recipient: str) -> Hashable:
        """Recipients of one transaction must be equal in this, or what is said of the message would not be theirs."""
        if not self._choosy and not self._per_user:
            return ()
        wanted = tuple(one.wants(recipient) for one in self._choosy)
        return (wanted, recipient) if self._per_user else wanted

    def opened(self, visit: Visit) -> Escort | None:
        """A client is here; None when no milter looks at it."""
        if not self._milters:
            return None
        chosen = [(Milter(terms, visit), one.wants) for one, terms in self._milters if one.looks_at(visit)]
        return Escort(visit, chosen, self._deferred) if chosen else None

    def parts(self, recipients: Iterable[str]) -> list[list[str]]:
        """Recipients who are scanned alike, together: at most MOST_PARTS lists, the last one with all that are left,
        for whom the preferences of the site hold then."""
        groups: dict[Hashable, list[str]] = {}
        for one in recipients:
            groups.setdefault(self.group(one), []).append(one)
        lists = list(groups.values())
        if len(lists) > MOST_PARTS:
            lists[MOST_PARTS - 1 :] = [[one for rest in lists[MOST_PARTS - 1 :] for one in rest]]
        return lists

    async def scan(
        self, facts: Facts, content: Spooled, trace_prefix: bytes, escort: Escort | None = None,
        until: float | None = None,
    ) -> tuple[Scan, ...]:  # fmt: skip
        """What each says of the message, in the order of the file; () when none looks at it. Never raises.

        `trace_prefix`: the fields of ours that will stand above it. Each sees what those before it added. `until`, on
        the event loop's clock: whoever has not answered by then counts as down; without it `[scanning] patience` from
        now on.
        """
        chosen = [one for one in self._all if one.looks_at(facts.visit)]
        if not chosen:
            return ()
        letter = letter_of(content, trace_prefix, self._configuration, facts.visit.role != "relay")
        scans: list[Scan] = []
        now = asyncio.get_running_loop().time
        until = now() + self.patience if until is None else until
        for one in chosen:
            if not any(one.wants(recipient) for recipient in facts.recipients):
                continue
            scan: Scan | None
            try:
                if now() >= until:  # else it would be dialled before it is given up
                    raise TimeoutError
                async with asyncio.timeout_at(until):
                    scan = await self._ask(one, facts, letter, escort)
            except TimeoutError:
                why = f"the {self.patience:g} seconds for all scanners were over"
                scan = self._unscanned(one, facts, why, why)
            except Exception:
                _log.exception("Scanner %s was left out for a fault of ours", one.name)
                scan = self._unscanned(one, facts, "a fault of ours", "a fault of ours, see standard error")
            if scan is not None:
                scans.append(scan)
                letter.apply(scan.edits)
                if scan.result in _LAST_WORDS:
                    break
        return tuple(scans)

    async def _ask(self, one: _One, facts: Facts, letter: Letter, escort: Escort | None) -> Scan | None:
        settings = one.settings
        if settings.kind == "milter":
            return await self._ask_milter(one, facts, letter, escort)
        if settings.most and letter.size > settings.most and settings.larger == "skip":
            return Scan(one.name, "skipped", words=f"larger than {settings.most} octets")
        user = settings.user
        if settings.per_user and len(set(facts.recipients)) == 1:
            user = facts.recipients[0]

        async def question(wire: Wire) -> Scan:
            if settings.kind == "clamav":
                return await clamav.ask(wire, one.name, settings, letter, user)
            if settings.kind == "rspamd":
                return await rspamd.ask(wire, one.name, settings, letter, user, facts, self._host)
            return await spamd.ask(wire, one.name, settings, letter, user)

        try:
            scan, tries = await one.servers.ask(settings.deadline, question)
        except Nobody as trouble:
            self._tell(one, facts, trouble.tries)
            return self._unscanned(one, facts, str(trouble))
        self._tell(one, facts, tries)
        return _weighed(scan, settings)

    async def _ask_milter(self, one: _One, facts: Facts, letter: Letter, escort: Escort | None) -> Scan | None:
        if escort is None or not escort.goes_with(one.name):
            return None
        scan, milter = await escort.content(one.name, facts, letter, name_of(facts.item) if facts.item else "")
        self._tell(one, facts, milter.tries)
        if scan.result == "failed":
            return self._unscanned(one, facts, scan.words)
        return scan

    def _deferred(self, name: str, visit: Visit, return_path: str, tries: Sequence[tuple[str, str]]) -> None:
        """D5 for a milter that is down where recipients are deferred for it: there is no message yet."""
        one, facts = next(one for one, _ in self._milters if one.name == name), Facts(visit, return_path)
        self._tell(one, facts, tries)
        self._unscanned(one, facts, "")

    def _tell(self, one: _One, facts: Facts, tries: Sequence[tuple[str, str]]) -> None:
        """D5, first half: which server and port refused."""
        for server, why in tries:
            maillog.scanner_failed(int(self._clock() * 1000), facts.item, facts.return_path, one.name, server, why)

    def _unscanned(self, one: _One, facts: Facts, why: str, reason: str = "") -> Scan:
        """D5, second half: all of them failed, and whose message is not scanned for it."""
        visit = facts.visit
        place = f"{visit.local_address}:{visit.local_port}" if visit.local_port else ""
        deferred = one.settings.when_down == "defer"
        maillog.not_scanned(
            int(self._clock() * 1000), facts.item, facts.return_path, one.name,
            reason or f"all {len(one.settings.servers)} servers failed", visit.client_name or "", visit.address,
            f"{visit.listener} {place}".rstrip(), hops_and_id(facts.header)[1], "deferred" if deferred else "accepted",
        )  # fmt: skip
        if deferred:
            return Scan(one.name, "defer", words=why[:300], reply=catalogue.SCANNER_DOWN)
        return Scan(one.name, "failed", words=why[:300])


def _weighed(scan: Scan, settings: Scanner) -> Scan:
    """The scan with our threshold applied and the reply that names what was found (D4)."""
    if scan.score is not None and tenths(scan.score) > tenths(settings.refuse_at) and scan.result == "clean":
        scan = replace(scan, result="spam")
    if scan.result == "spam" and scan.reply is None and scan.score is not None:
        return replace(scan, reply=catalogue.SPAM.with_text(f"This message scored {scan.score:.1f} spam points"))
    if scan.result == "virus" and scan.words:
        return replace(scan, reply=catalogue.VIRUS.with_text(f"This message carries a virus: {scan.words}"))
    return scan
