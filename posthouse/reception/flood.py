"""How much may come how fast: counted in memory, shared with other processes and hosts in the background (`counting`).

`excess` and `count` never wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from posthouse import configuration
from posthouse.database import Bridge
from posthouse.encounters import counts
from posthouse.encounters.counts import Rate
from posthouse.encounters.keys import network_of
from posthouse.reception.counting import Counters
from posthouse.reception.limits import Networks, client_key
from posthouse.reception.policy.facts import Excess, Visit

CONNECTIONS, MESSAGES, RECIPIENTS, REFUSED = "connections", "messages", "recipients", "refused recipients"
SHARE = 10  # a network with less than one in so many of an object's rate is not held back for it
ALL_BEYOND = 4  # times an object's rate: then everybody is
WORTH_SHARING = 10  # one in so many of a rate: below it no other process needs to know


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
        self._counters = Counters(settings.remembered, WORTH_SHARING)

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
            self._counters.add(rate, now)
        if what in (MESSAGES, RECIPIENTS) and self._counts(visit):
            network = network_of(visit.address)
            objects = (return_path, "", "") if what == MESSAGES else ("", recipient, mailing_list)
            for rate in self._of_objects(*objects):
                self._counters.add(rate, now)
                self._counters.add(_share(rate, network), now)

    def forget(self) -> None:
        """An operator changed what is counted: begin at what the database says."""
        self._counters.forget()

    async def flush(self) -> None:
        """Add to the database what grew, and learn what others counted. While it cannot be had, memory alone counts."""
        if self._counters.grown:
            await self._counters.flush(self._bridge, self._clock())

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

    # -- looking ------------------------------------------------------------------------------------------------------

    def _exceeds(self, rate: Rate, now: float) -> Excess | None:
        total = self._counters.total(rate, now)
        if total is None or counts.rate_at(now, rate.seconds, total) < rate.most:
            return None
        retry = counts.below_in(now, rate.seconds, total, rate.most)
        return Excess(rate.whose, rate.what, rate.most, rate.seconds, retry)

    def _has_share(self, rate: Rate, visit: Visit, now: float) -> bool:
        """Whether this client's network is among those that make so much of it; a small part is nobody's flood."""
        if self._counters.rate(rate, now) >= ALL_BEYOND * rate.most:
            return True
        return self._exceeds(_share(rate, network_of(visit.address)), now) is not None


def _share(rate: Rate, network: str) -> Rate:
    """How much of a rate one network makes."""
    return Rate(f"{rate.whose} from {network}", rate.what, max(1, rate.most // SHARE), rate.seconds)
