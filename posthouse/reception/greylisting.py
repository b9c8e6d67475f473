"""Strangers are asked to come again: known ones are decided from memory, all others with one shared write.

What lets a message in at once: a network, a sending domain from that network, or a domain that SPF or DKIM proves, each
of which came again before; or a domain we write to ourselves, proven. Whoever is asked to come again is recognised by
network and sending domain, by a proven domain, or after longer by return path and recipient alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from posthouse import configuration
from posthouse.database import Bridge, GroupCommit, Unavailable
from posthouse.dns.networks import Networks
from posthouse.encounters import greylisting as acts
from posthouse.encounters.greylisting import ANYBODY, ANYWHERE, PROVEN, Meeting, Met, Trait, Welcome
from posthouse.encounters.keys import network_of
from posthouse.queue import destinations
from posthouse.reception.evidence import Evidence
from posthouse.reception.policy.facts import Visit, Waiting

_log = logging.getLogger(__name__)
DAY = 86_400_000  # ms
MOST_PROVEN = 3  # domains of a message that are looked at; anybody may sign with any number
MOST_RECIPIENTS = 20  # of a message that are remembered one by one
# Rows that one network, and all together, may write in an hour before they are remembered by their network alone: a
# flood of forged addresses then fills no table, and who comes again still gets in.
MOST_OF_A_NETWORK, MOST_OF_ALL = 2_000, 50_000
HOUR = 3_600_000  # ms
CAME_AGAIN = "passed"  # the state of a message that waited long enough and whose sender is not known yet
MOST_UNWRITTEN = 100_000  # refreshes that wait while the database is gone


class Greylist:
    """One for a process; `flush` about once a second. `clock` gives seconds since 1970."""

    def __init__(
        self,
        settings: configuration.Greylist,
        bridge: Bridge,
        clock: Callable[[], float],
        hosts: Callable[[list[str]], list[str]] = list,
        names: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """`hosts` and `names` expand `@NAME` in lists of networks and of domains (see Configuration)."""
        self._settings, self._bridge, self._clock = settings, bridge, clock
        self._networks = Networks(hosts(settings.exempt_networks))
        self._domains = frozenset(name.lower() for name in names(settings.exempt_domains))
        self._passed: OrderedDict[int, int] = OrderedDict()  # id of a pass -> ms until when
        self._rows: dict[str, int] = {}  # by network: written in this hour
        self._all_rows, self._hour = 0, 0
        self._seen: dict[int, None] = {}  # passes whose time must be moved on in the database
        act = partial(_meet, settings.known_destinations)
        self._meetings: GroupCommit[tuple[Meeting, tuple[str, ...]], tuple[Met, str]] = GroupCommit(bridge, act)
        self._welcomes: GroupCommit[Welcome, None] = GroupCommit(bridge, acts.welcome_many)
        self._writing: set[asyncio.Future[None]] = set()

    async def judge(
        self,
        visit: Visit,
        return_path: str,
        recipients: Sequence[str],
        evidence: Evidence | None,
        learn: bool = True,
    ) -> dict[str, Waiting]:
        """What greylisting says for each recipient of a message whose content has come. Never raises.

        `learn` False: nothing is written, for trying out. Waits only where memory does not know.
        """
        proven = _proven(evidence)
        excuse = self._excuse(visit, proven)
        if not excuse:
            sender = _sender(visit, return_path)
            passes = _passes(network_of(visit.address), sender, proven)
            excuse = self._remembered(passes, learn)
            if not excuse:
                try:
                    return await self._meet(visit, return_path, recipients, proven, passes, learn)
                except Unavailable as trouble:
                    _log.warning("Greylisting lets strangers in, for its memory is gone: %s", trouble)
                    excuse = "the memory of strangers cannot be asked"
        return {one: Waiting(one, "exempt", 0, excuse) for one in recipients}

    def passed(self, visit: Visit, return_path: str, judged: Iterable[Waiting], evidence: Evidence | None) -> None:
        """A message became ours. If it had come again, as `judge` said, its sender is known from now on.

        Each message brings what was said of it: others of the same stranger may be on their way at the same time.
        """
        if not any(one.state == CAME_AGAIN for one in judged):
            return
        network, sender = network_of(visit.address), _sender(visit, return_path)
        now, proven = self._now(), _proven(evidence)
        pairs = (Trait(network, sender), *(Trait(PROVEN + name, sender) for name in proven))
        domains = tuple(Trait(PROVEN + name) for name in proven)
        until = now + self._settings.accept_for * 1000
        for trait in (*pairs, *domains):
            self._know(trait.id, until)
        welcome = Welcome(now, until, pairs, domains, Trait(network), self._settings.network_after)
        writing = asyncio.ensure_future(self._write(welcome))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _write(self, welcome: Welcome) -> None:
        try:
            await self._welcomes.add(welcome)
        except Unavailable as trouble:  # the first try is still remembered, so its next message passes too
            _log.warning("Who was let in could not be written down: %s", trouble)

    def forget(self) -> None:
        """An operator changed what is remembered: the database is asked again."""
        self._passed.clear()
        self._seen.clear()

    async def flush(self) -> None:
        """Write down who came again; a failure is tried again with the next call."""
        if not self._seen:
            return
        taken, self._seen = self._seen, {}
        now = self._now()
        try:
            await self._bridge.write(acts.seen_again, list(taken), now, now + self._settings.accept_for * 1000)
        except Unavailable:
            if len(self._seen) < MOST_UNWRITTEN:
                self._seen = taken | self._seen

    async def close(self) -> None:
        """Write what is to be written."""
        if self._writing:
            await asyncio.wait(list(self._writing))
        await self.flush()

    # -- at once ------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _excuse(self, visit: Visit, proven: Sequence[str]) -> str:
        """Why this message need not wait at all, whoever it is from."""
        if visit.trusted or visit.listener != "transfer":
            return "it is no stranger"
        if visit.address in self._networks:
            return f"{visit.address} is in exempt_networks"
        if self._domains:
            for name in proven:
                if _among(name, self._domains):
                    return f"{name} is in exempt_domains"
        return ""

    def _remembered(self, passes: Sequence[Trait], learn: bool) -> str:
        """Why memory lets a message in. Once a day, that it came is written down."""
        now = self._now()
        for trait in passes:
            number = trait.id
            until = self._passed.get(number, 0)
            if until > now:
                self._passed.move_to_end(number)
                if learn and until < now + self._settings.accept_for * 1000 - DAY:
                    self._seen[number] = None
                    self._passed[number] = now + self._settings.accept_for * 1000
                return _known(trait)
        return ""

    def _know(self, number: int, until: int) -> None:
        self._passed[number] = until
        self._passed.move_to_end(number)
        while len(self._passed) > self._settings.remembered:
            self._passed.popitem(last=False)

    # -- by asking ----------------------------------------------------------------------------------------------------

    async def _meet(
        self,
        visit: Visit,
        return_path: str,
        recipients: Sequence[str],
        proven: Sequence[str],
        passes: tuple[Trait, ...],
        learn: bool,
    ) -> dict[str, Waiting]:
        now, settings = self._now(), self._settings
        tries, looked = self._tries(visit, return_path, recipients, proven)
        coarse = ((Trait(network_of(visit.address), ANYWHERE, ANYBODY), settings.wait * 1000),)
        if self._is_noisy(network_of(visit.address), now):
            tries, looked = coarse, tries + looked
        else:
            looked += coarse
        meeting = Meeting(now, passes, tries, now + settings.retry_within * 1000, looked, learn)
        met, written_to = await self._meetings.add((meeting, tuple(proven)))
        if met.passes:
            for trait, until in met.passes:
                self._know(trait.id, until)
            why = self._remembered([trait for trait, _ in met.passes], learn)
            return {one: Waiting(one, "exempt", 0, why) for one in recipients}
        if written_to:
            self._know(Trait(PROVEN + written_to).id, now + DAY)
            why = f"mail of ours went to {written_to}"
            return {one: Waiting(one, "exempt", 0, why) for one in recipients}
        known = any(age >= 0 for age in met.ages)
        left = min(wait - max(age, 0) for age, (_, wait) in zip(met.ages, (*tries, *looked), strict=True))
        if left <= 0:
            return {one: Waiting(one, CAME_AGAIN, 0, "it came again") for one in recipients}
        if learn:
            self._wrote(network_of(visit.address), len(tries))
        seconds = -(-left // 1000)
        why = f"in {seconds} seconds"
        return {one: Waiting(one, "early" if known else "new", seconds, why) for one in recipients}

    def _is_noisy(self, network: str, now: int) -> bool:
        """Whether so much was written in this hour that a network alone must do."""
        if now // HOUR != self._hour:
            self._hour, self._all_rows = now // HOUR, 0
            self._rows.clear()
        return self._all_rows >= MOST_OF_ALL or self._rows.get(network, 0) >= MOST_OF_A_NETWORK

    def _wrote(self, network: str, rows: int) -> None:
        self._all_rows += rows
        if self._all_rows < MOST_OF_ALL:  # behind that it does not matter whose they are
            self._rows[network] = self._rows.get(network, 0) + rows

    def _tries(
        self, visit: Visit, return_path: str, recipients: Sequence[str], proven: Sequence[str]
    ) -> tuple[tuple[tuple[Trait, int], ...], tuple[tuple[Trait, int], ...]]:
        """By what this message is recognised when it comes again, and how old that must be (ms); and by what else a
        message to more or fewer of the same recipients was remembered."""
        settings, sender = self._settings, _sender(visit, return_path)
        named, looked = sorted({one.lower() for one in recipients}), [ANYBODY]
        if len(named) > MOST_RECIPIENTS:
            named, looked = [ANYBODY, *named[:MOST_RECIPIENTS]], []
        origins = (network_of(visit.address), *(PROVEN + name for name in proven))
        wait = settings.wait * 1000
        found = [(Trait(origin, sender, one), wait) for origin in origins for one in named]
        if settings.anywhere_after:
            path = return_path.lower() or sender
            after = max(settings.anywhere_after, settings.wait) * 1000
            found += [(Trait(ANYWHERE, path, one), after) for one in named if one != ANYBODY]
        return tuple(found), tuple((Trait(origin, sender, one), wait) for origin in origins for one in looked)


def _meet(known_destinations: bool, batch: Sequence[tuple[Meeting, tuple[str, ...]]]) -> list[tuple[Met, str]]:
    """Look up those who come together; a domain we write to is no stranger, and nothing is written for it."""
    names = {name for _, proven in batch for name in proven} if known_destinations else set()
    ours = destinations.known(names) if names else set()
    friends = [next((name for name in proven if name in ours), "") for _, proven in batch]
    strangers = [one for (one, _), friend in zip(batch, friends, strict=True) if not friend]
    met = iter(acts.meet_many(strangers) if strangers else ())
    return [(Met((), ()), friend) if friend else (next(met), "") for friend in friends]


def _proven(evidence: Evidence | None) -> tuple[str, ...]:
    """The domains that SPF or DKIM proves, the return path's first."""
    if evidence is None:
        return ()
    by_spf = evidence.sender.domains if evidence.sender is not None else ()
    return tuple(dict.fromkeys(name.lower() for name in (*by_spf, *evidence.dkim.domains)))[:MOST_PROVEN]


def _sender(visit: Visit, return_path: str) -> str:
    """The sending domain; for reports, what the client calls itself."""
    return return_path.rpartition("@")[2].lower() if return_path else f"<> {visit.helo.lower()}"


def _passes(network: str, sender: str, proven: Sequence[str]) -> tuple[Trait, ...]:
    return (Trait(network, sender), *(Trait(PROVEN + name) for name in proven), Trait(network))


def _known(trait: Trait) -> str:
    if trait.sender:
        return f"mail of {trait.sender} from {trait.origin} came again before"
    if trait.origin.startswith(PROVEN):
        return f"mail of {trait.origin.removeprefix(PROVEN)} came again before"
    return f"mail from {trait.origin} came again before"


def _among(name: str, domains: frozenset[str]) -> bool:
    """Whether a domain is listed: by its name, or by a dot and a name above it."""
    if name in domains:
        return True
    above = name.partition(".")[2]
    while above:
        if f".{above}" in domains:
            return True
        above = above.partition(".")[2]
    return False
