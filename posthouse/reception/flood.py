"""How much may come how fast: counted in memory, shared with other processes and hosts in the background.

`excess` and `count` never wait. A counter that stays small is never written; one that grows is added to the database
about once a second, and what the others counted comes back with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from posthouse import configuration
from posthouse.database import Bridge, Unavailable
from posthouse.encounters import counts
from posthouse.encounters.counts import Addition, Rate, Total
from posthouse.encounters.keys import network_of
from posthouse.reception.limits import Networks, client_key
from posthouse.reception.policy.facts import Excess, Visit

CONNECTIONS, MESSAGES, RECIPIENTS, REFUSED = "connections", "messages", "recipients", "refused recipients"
SHARE = 10  # a network with less than one in so many of an object's rate is not held back for it
ALL_BEYOND = 4  # times an object's rate: then everybody is
WORTH_SHARING = 10  # one in so many of a rate: below it no other process needs to know
MOST_UNSENT = 50_000  # additions that wait while the database is gone


class _Counter:
    """What this process knows of one rate. `unsent` of `fresh` are not in the database yet."""

    __slots__ = ("earlier", "fresh", "rate", "shared", "slot", "unsent")

    def __init__(self, rate: Rate, slot: int) -> None:
        self.rate, self.slot = rate, slot
        self.fresh = self.earlier = self.unsent = 0
        self.shared = False

    def total(self) -> Total:
        return Total(self.slot, self.fresh, self.earlier)


class Flood:
    """One for a process; `flush` about once a second. `clock` gives seconds since 1970."""

    def __init__(
        self,
        settings: configuration.Flood,
        bridge: Bridge,
        clock: Callable[[], float],
        hosts: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """`hosts` expands `@NAME` in a list of networks (see Configuration)."""
        self._settings, self._bridge, self._clock = settings, bridge, clock
        self._exempt = Networks(hosts(settings.exempt_networks))
        self._counters: OrderedDict[tuple[str, str], _Counter] = OrderedDict()
        self._grown: dict[tuple[str, str], None] = {}
        self._over: list[Addition] = []  # of windows that ended before they were written

    def excess(
        self, visit: Visit, return_path: str = "", recipient: str = "", mailing_list: str = ""
    ) -> tuple[Excess, ...]:
        """The rates that this client is at. With a recipient: for one more of them; without: for its connection."""
        now = self._clock()
        found = []
        for rate in self._of_client(visit, (MESSAGES, RECIPIENTS, REFUSED) if recipient else (CONNECTIONS, REFUSED)):
            excess = self._exceeds(rate, now)
            if excess is not None:
                found.append(excess)
        if recipient and self._counts(visit):
            for rate in self._of_objects(return_path, recipient, mailing_list):
                excess = self._exceeds(rate, now)
                if excess is not None and self._has_share(rate, visit, now):
                    found.append(excess)
        return tuple(found)

    def count(
        self, what: str, visit: Visit, return_path: str = "", recipient: str = "", mailing_list: str = ""
    ) -> None:
        """Something happened: "connections", "messages" (one with all its recipients), "recipients" (one was
        accepted) or "refused recipients" (one that does not exist)."""
        now = self._clock()
        for rate in self._of_client(visit, (what,)):
            self._add(rate, now)
        if what in (MESSAGES, RECIPIENTS) and self._counts(visit):
            network = network_of(visit.address)
            objects = (return_path, "", "") if what == MESSAGES else ("", recipient, mailing_list)
            for rate in self._of_objects(*objects):
                self._add(rate, now)
                self._add(_share(rate, network), now)

    def forget(self) -> None:
        """An operator changed what is counted: begin at what the database says."""
        self._counters.clear()
        self._grown.clear()
        self._over.clear()

    async def flush(self) -> None:
        """Add to the database what grew, and learn what others counted. While it cannot be had, memory alone counts."""
        if not self._grown and not self._over:
            return
        now = self._clock()
        sent, self._over = self._over, []
        for name in self._grown:
            counter = self._counters.get(name)
            if counter is None:
                continue
            self._roll(counter, now)
            if counter.unsent:
                sent.append(Addition(counter.rate, counter.slot, counter.unsent))
                counter.unsent = 0
        sent += self._over
        self._over = []
        self._grown.clear()
        if not sent:
            return
        try:
            totals = await self._bridge.write(counts.add_many, sent)
        except Unavailable:
            self._over = (sent + self._over)[:MOST_UNSENT]
            return
        for one in sent:
            counter = self._counters.get((one.rate.whose, one.rate.what))
            total = totals.get(one.rate.id)
            if counter is not None and total is not None:
                _learn(counter, total)

    # -- which rates --------------------------------------------------------------------------------------------------

    def _counts(self, visit: Visit) -> bool:
        """Whether this visit is counted at all: relay networks and an MTA in front by LMTP are not."""
        return visit.role != "relay" and visit.listener != "lmtp" and visit.address not in self._exempt

    def _of_client(self, visit: Visit, wanted: tuple[str, ...]) -> Iterator[Rate]:
        """The rates of who is here: an account's own; else its client's and its network's."""
        settings = self._settings
        if visit.account:
            for what in wanted:
                most = {MESSAGES: settings.messages_per_account, RECIPIENTS: settings.recipients_per_account}.get(what)
                if most:
                    yield Rate(f"account {visit.account.lower()}", what, most, settings.account_window)
            return
        if visit.role != "stranger" or not self._counts(visit):
            return
        client, network = f"client {client_key(visit.address)}", f"network {network_of(visit.address, 24, 48)}"
        for what in wanted:
            one, all_of_them = self._bounds(what)
            if one:
                yield Rate(client, what, one, settings.window)
            if all_of_them:
                yield Rate(network, what, all_of_them, settings.window)

    def _bounds(self, what: str) -> tuple[int, int]:
        settings = self._settings
        if what == CONNECTIONS:
            return settings.connections_per_client, settings.connections_per_network
        if what == MESSAGES:
            return settings.messages_per_client, settings.messages_per_network
        if what == RECIPIENTS:
            return settings.recipients_per_client, settings.recipients_per_network
        return settings.refused_per_client, settings.refused_per_network

    def _of_objects(self, return_path: str, recipient: str, mailing_list: str) -> Iterator[Rate]:
        """The rates of what is sent for or to."""
        settings = self._settings
        domain = return_path.rpartition("@")[2].lower()
        if domain and settings.messages_per_sender_domain:
            yield Rate(f"sender domain {domain}", MESSAGES, settings.messages_per_sender_domain, settings.window)
        if mailing_list:
            if settings.messages_per_list:
                yield Rate(f"list {mailing_list.lower()}", MESSAGES, settings.messages_per_list, settings.window)
        elif recipient and settings.messages_per_recipient:
            yield Rate(f"recipient {recipient.lower()}", MESSAGES, settings.messages_per_recipient, settings.window)

    # -- counting -----------------------------------------------------------------------------------------------------

    def _exceeds(self, rate: Rate, now: float) -> Excess | None:
        counter = self._counters.get((rate.whose, rate.what))
        if counter is None:
            return None
        self._roll(counter, now)
        total = counter.total()
        if counts.rate_at(now, rate.seconds, total) < rate.most:
            return None
        return Excess(
            rate.whose, rate.what, rate.most, rate.seconds, counts.below_in(now, rate.seconds, total, rate.most)
        )

    def _has_share(self, rate: Rate, visit: Visit, now: float) -> bool:
        """Whether this client's network is among those that make so much of it; a small part is nobody's flood."""
        counter = self._counters.get((rate.whose, rate.what))
        if counter is not None and counts.rate_at(now, rate.seconds, counter.total()) >= ALL_BEYOND * rate.most:
            return True
        own = _share(rate, network_of(visit.address))
        return self._exceeds(own, now) is not None

    def _add(self, rate: Rate, now: float) -> None:
        name = (rate.whose, rate.what)
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = _Counter(rate, int(now // rate.seconds))
            while len(self._counters) > self._settings.remembered:
                forgotten = self._counters.popitem(last=False)[0]
                self._grown.pop(forgotten, None)
        else:
            self._counters.move_to_end(name)
            self._roll(counter, now)
        counter.fresh += 1
        counter.unsent += 1
        if counter.shared or counter.fresh >= max(1, rate.most // WORTH_SHARING):
            counter.shared = True
            self._grown[name] = None

    def _roll(self, counter: _Counter, now: float) -> None:
        """Begin the present window, if it is another one than the counter's."""
        slot = int(now // counter.rate.seconds)
        if slot <= counter.slot:
            return
        if counter.shared and counter.unsent:
            self._over.append(Addition(counter.rate, counter.slot, counter.unsent))
            del self._over[MOST_UNSENT:]
        counter.earlier = counter.fresh if slot == counter.slot + 1 else 0
        counter.slot, counter.fresh, counter.unsent = slot, 0, 0
        counter.shared = counter.earlier >= max(1, counter.rate.most // WORTH_SHARING)


def _share(rate: Rate, network: str) -> Rate:
    """How much of a rate one network makes."""
    return Rate(f"{rate.whose} from {network}", rate.what, max(1, rate.most // SHARE), rate.seconds)


def _learn(counter: _Counter, total: Total) -> None:
    """What all processes counted replaces what this one knew; what it counted since comes on top."""
    if total.slot == counter.slot:
        counter.fresh, counter.earlier = total.fresh + counter.unsent, total.earlier
    elif total.slot == counter.slot - 1:
        counter.earlier = max(counter.earlier, total.fresh)
