"""How much may come how fast: counted in memory, shared with other processes and hosts in the background (`counting`).

`excess`, `crowded` and `count` never wait. What comes from a client is bounded for that client alone. What is sent to
one list, to one recipient or for one sending domain is counted as well, and there a flood must not hold back those who
have no part in it:

- a network that makes less than a SHARE-th of the rate is not held back for what others send;
- behind ALL_BEYOND times the rate so many networks send that none of them stands out: then strangers come later, all of
  them, and who was here before goes on (`acquaintance`: an account, a network or a domain whose own hosts come, of
  which good mail was taken before today). Whoever hires hosts for a flood has hosts that were here yesterday neither
  in that number nor in good standing, and nobody earns a good standing by what he sends into a flood;
- of somebody who was here before more is taken, up to a KNOWN_SHARE-th of the rate in the window, each by itself: so
  neither can those known, should one of them be taken over, hold back the others.

A return path is forged easily. So a sending domain is counted by what SPF says its own hosts brought, by nothing else:
a signature may be brought again from anywhere by whoever has one message with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posthouse import configuration
from posthouse.database import Bridge
from posthouse.dns.networks import Networks
from posthouse.encounters import counts
from posthouse.encounters.counts import Rate
from posthouse.encounters.keys import network_of
from posthouse.reception.counting import Counters
from posthouse.reception.limits import client_key
from posthouse.reception.policy.facts import Excess, Visit
from posthouse.routing import Destination, ToList, ToRelay, ToRemote

CONNECTIONS, MESSAGES, RECIPIENTS, REFUSED = "connections", "messages", "recipients", "refused recipients"
SHARE = 10  # a network with less than one in so many of an object's rate is not held back for it
KNOWN_SHARE = 2  # nor is, whatever comes, who was here before with less than one in so many of it
ALL_BEYOND = 4  # times an object's rate: then all others are
_AT_CONNECT, _AT_RECIPIENT = (CONNECTIONS, REFUSED), (MESSAGES, RECIPIENTS, REFUSED)
MOST_REMEMBERED = 20_000  # clients, domains, recipients and lists whose rates are worked out
POSTING = "posting"  # the role of a list's own address
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
        self._bridge, self._clock = bridge, clock
        self._rates = _Rates(settings, Networks(hosts(settings.exempt_networks)))
        self._counters = Counters(settings.remembered, WORTH_SHARING)

    def excess(
        self, visit: Visit, return_path: str = "", recipient: str = "", mailing_list: str = "", known_as: str = ""
    ) -> tuple[Excess, ...]:
        """The rates that this client is at. With a recipient: for one more of them; without: for its connection.

        `mailing_list`: the list's address, where the recipient is one of its; `known_as`: who it is that was here
        before the flood (see `Acquaintances`), "" for a stranger.
        """
        now, counters = self._clock(), self._counters
        rates = self._rates.of_client(visit)
        found = []
        for what in _AT_RECIPIENT if recipient else _AT_CONNECT:
            for rate in rates.get(what, ()):
                if counters.reached(rate, now):
                    found.append(self._excess(rate, now))
        if recipient and self._rates.counts(visit):
            for rate in self._rates.of_objects(return_path, recipient, mailing_list):
                if counters.reached(rate, now) and self._is_held_back(rate, visit, known_as, now):
                    found.append(self._excess(rate, now))
        return tuple(found)

    def crowded(self, visit: Visit, return_path: str, recipient: str, mailing_list: str = "") -> bool:
        """Whether a rate of what this is sent to or for is reached, so that it matters who sends it."""
        if not self._rates.counts(visit):
            return False
        now, counters = self._clock(), self._counters
        rates = self._rates.of_objects(return_path, recipient, mailing_list)
        return any(counters.reached(rate, now) for rate in rates)

    def count(
        self, what: str, visit: Visit, return_path: str = "", recipient: str = "", mailing_list: str = "",
        known_as: str = "",
    ) -> None:  # fmt: skip
        """Something happened: "connections", "messages" (one with all its recipients), "recipients" (one was
        accepted) or "refused recipients" (one that does not exist). `return_path`: where its domain is proven."""
        now, counters = self._clock(), self._counters
        for rate in self._rates.of_client(visit).get(what, ()):
            counters.add(rate, now)
        if what in (MESSAGES, RECIPIENTS) and self._rates.counts(visit):
            objects = (return_path, "", "") if what == MESSAGES else ("", recipient, mailing_list)
            network = network_name(visit.address)
            for rate in self._rates.of_objects(*objects):
                counters.add(rate, now)
                counters.add(self._rates.share(rate, network), now)
                if known_as and known_as != network:
                    counters.add(self._rates.share(rate, known_as), now)

    def forget(self) -> None:
        """An operator changed what is counted: begin at what the database says."""
        self._counters.forget()

    def doubt(self) -> None:
        """What the database says may be less than what is known here: it is asked at the next flush."""
        self._counters.doubt()

    async def flush(self) -> None:
        """Add to the database what grew, and learn what others counted. While it cannot be had, memory alone counts."""
        if self._counters.grown:
            await self._counters.flush(self._bridge, self._clock())

    # -- looking ------------------------------------------------------------------------------------------------------

    def _excess(self, rate: Rate, now: float) -> Excess:
        total = self._counters.total(rate, now)
        retry = 1 if total is None else counts.below_in(now, rate.seconds, total, rate.most)
        return Excess(rate.whose, rate.what, rate.most, rate.seconds, retry)

    def _is_held_back(self, rate: Rate, visit: Visit, known_as: str, now: float) -> bool:
        """Whether this one has so great a part in it, or nobody knows whether it has."""
        if not known_as and self._counters.rate(rate, now) >= ALL_BEYOND * rate.most:
            return True
        share = self._rates.share(rate, known_as or network_name(visit.address))
        return self._counters.rate(share, now) >= (max(1, rate.most // KNOWN_SHARE) if known_as else share.most)


class _Rates:
    """Which rates a visit has to do with: worked out once for each client, account, domain, recipient and list."""

    def __init__(self, settings: configuration.Flood, exempt: Networks) -> None:
        self._settings, self._exempt = settings, exempt
        self._clients: dict[tuple[str, str, str, str], dict[str, tuple[Rate, ...]]] = {}
        self._objects: dict[tuple[str, str], Rate | None] = {}
        self._shares: dict[tuple[Rate, str], Rate] = {}  # of networks, accounts and domains

    def counts(self, visit: Visit) -> bool:
        """Whether this visit is counted at all: relay networks and an MTA in front by LMTP are not."""
        return visit.role != "relay" and visit.listener != "lmtp" and visit.address not in self._exempt

    def of_client(self, visit: Visit) -> dict[str, tuple[Rate, ...]]:
        """The rates of who is here, by what is counted: an account's own; else its client's and its network's."""
        key = (visit.account, visit.role, visit.listener, visit.address)
        found = self._clients.get(key)
        if found is None:
            _bound(self._clients)
            found = self._clients[key] = self._account(visit) if visit.account else self._client(visit)
        return found

    def _account(self, visit: Visit) -> dict[str, tuple[Rate, ...]]:
        settings, whose = self._settings, f"account {visit.account.lower()}"
        bounds = {MESSAGES: settings.messages_per_account, RECIPIENTS: settings.recipients_per_account}
        return {what: (Rate(whose, what, most, settings.account_window),) for what, most in bounds.items() if most}

    def _client(self, visit: Visit) -> dict[str, tuple[Rate, ...]]:
        settings = self._settings
        if visit.role != "stranger" or not self.counts(visit):
            return {}
        client, network = f"client {client_key(visit.address)}", network_name(visit.address)
        bounds = {
            CONNECTIONS: (settings.connections_per_client, settings.connections_per_network),
            MESSAGES: (settings.messages_per_client, settings.messages_per_network),
            RECIPIENTS: (settings.recipients_per_client, settings.recipients_per_network),
            REFUSED: (settings.refused_per_client, settings.refused_per_network),
        }
        return {
            what: tuple(
                Rate(whose, what, most, settings.window)
                for whose, most in zip((client, network), both, strict=True)
                if most
            )
            for what, both in bounds.items()
        }

    def of_objects(self, return_path: str, recipient: str, mailing_list: str) -> list[Rate]:
        """The rates of what is sent for or to."""
        found = [self._object("sender domain", return_path.rpartition("@")[2])] if return_path else []
        if mailing_list:
            found.append(self._object("list", mailing_list))
        elif recipient:
            found.append(self._object("recipient", recipient))
        return [rate for rate in found if rate is not None]

    def _object(self, kind: str, name: str) -> Rate | None:
        if (kind, name) not in self._objects:
            _bound(self._objects)
            settings = self._settings
            most = {
                "sender domain": settings.messages_per_sender_domain,
                "recipient": settings.messages_per_recipient,
                "list": settings.messages_per_list,
            }[kind]
            made = Rate(f"{kind} {name.lower()}", MESSAGES, most, settings.window) if most and name else None
            self._objects[kind, name] = made
        return self._objects[kind, name]

    def share(self, rate: Rate, whose: str) -> Rate:
        """How much of a rate one network, account or domain makes."""
        made = self._shares.get((rate, whose))
        if made is None:
            _bound(self._shares)
            most = max(1, rate.most // SHARE)
            made = self._shares[rate, whose] = Rate(f"{rate.whose} from {whose}", rate.what, most, rate.seconds)
        return made


def network_name(address: str) -> str:
    """A client's network as it is counted: an IPv4 /24, or an IPv6 /48, for one customer may have all of that."""
    return f"network {network_of(address, 24, 48)}"


def _bound(remembered: dict[Any, Any]) -> None:
    if len(remembered) >= MOST_REMEMBERED:
        remembered.clear()


def counted_as(destination: Destination, address: str) -> tuple[str, str]:
    """The recipient and the list as rates know them: what stands behind a `+` is the same mailbox, and reports that
    come to a list's own addresses are no postings."""
    local, _, domain = address.rpartition("@")
    if isinstance(destination, ToList):
        name, _, domain = destination.list_address.rpartition("@")
        role = "" if destination.role == POSTING else f"-{destination.role}"
        return address, f"{name}{role}@{domain}"
    if isinstance(destination, ToRelay | ToRemote):  # what a + means there is not ours to say
        return address, ""
    return f"{local.partition('+')[0] or local}@{domain}", ""
