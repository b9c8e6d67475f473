"""AUTH: passwords checked in threads, few at a time, slower the more often somebody was wrong, for nobody else.

Failures are counted of a client, of an account, and of both together, by all processes and hosts. A client waits for
its own failures and for those with the account it asks for; so a guesser with many addresses is slow as well. But from
a network where the account was used before, only failures of this client with this account count, and a thread is kept
for it: nobody can lock an account's people out by guessing, nor those who share their address.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from posthouse import maillog
from posthouse.database import Bridge, Unavailable
from posthouse.encounters import familiarity
from posthouse.encounters.counts import Rate
from posthouse.encounters.keys import network_of
from posthouse.reception import rights
from posthouse.reception.counting import Counters
from posthouse.reception.limits import client_key
from posthouse.reception.policy.facts import Visit
from posthouse.reception.rights import Admitted
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

_log = logging.getLogger(__name__)
THREADS = 2  # argon2id is meant to be slow and to need memory: never more than these at once for strangers
FAMILIAR_THREADS = 2  # and these for those whom a flood of strangers must not keep waiting
MOST_WAITING = 200  # attempts of all strangers that may wait for a thread
MOST_WAITING_PER_CLIENT = 10
MOST_REMEMBERED = 20_000  # clients, and of each kind of counter
FORGOTTEN_AFTER = 900.0  # seconds without a further failure
LONGEST_DELAY = 30.0
FREE_OF_AN_ACCOUNT = 4  # failures of others with an account before a stranger waits for them: people mistype too
FAMILIAR_SECONDS = 60 * 86400
WRITTEN_AGAIN = 86400.0  # seconds after which a familiar network is written down again

_WINDOW = int(FORGOTTEN_AFTER / 2)  # a counter is forgotten behind two windows
_WHAT = "failed sign-ins"


def delay_after(failures: int) -> float:
    """Seconds a client must wait after so many failures: none for the first slip of the fingers, then doubling."""
    return 0.0 if failures < 2 else min(0.5 * 2.0 ** min(failures - 1, 20), LONGEST_DELAY)


@dataclass
class _Lane:
    """The attempts of one client, or of one client with one familiar account: one at a time."""

    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Somebody says who he is."""

    peer: str
    identity: str
    password: str
    authorization: str
    account: str  # the identity as it is counted
    network: str
    rates: tuple[Rate, Rate, Rate]  # of the client with the account, of the client, of the account


class Login:
    """Checks who signs in. One for a process; `close` when it ends.

    A client (an IPv4 address or an IPv6 /64) has one attempt at a time. The answer never tells whether the address or
    the password was wrong, and takes the same time either way.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._bridge: Bridge | None = None
        self._familiar_bridge: Bridge | None = None
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        self._failures = Counters(3 * MOST_REMEMBERED, 1_000_000_000)  # shared from the first one on
        self._failed_at: OrderedDict[str, float] = OrderedDict()
        self._familiar: OrderedDict[tuple[str, str], float] = OrderedDict()  # -> when it was written down
        self._checking = 0  # attempts of strangers that wait for a thread or have one
        self._flushing: asyncio.Task[None] | None = None

    async def sign_in(
        self, visit: Visit, identity: str, password: str, authorization: str
    ) -> tuple[Reply, Admitted | None]:
        """235 and who it is, 535, or 454 when it cannot be told now. `authorization` may only be the identity."""
        client, account = client_key(visit.address), identity.lower()[:320]
        attempt = _Attempt(
            visit.address, identity, password, authorization, account, network_of(visit.address),
            (_rate(f"client {client} with account {account}"), _rate(f"client {client}"), _rate(f"account {account}")),
        )  # fmt: skip
        try:
            familiar = await self._is_familiar(account, attempt.network)
        except Unavailable:
            return catalogue.AUTH_TEMPORARY, None
        lane = self._lane(f"{client} {account}" if familiar else client)
        if lane.waiting >= MOST_WAITING_PER_CLIENT:
            return catalogue.AUTH_TEMPORARY, None
        lane.waiting += 1
        try:
            async with lane.turn:
                left = self._left(attempt, familiar)
                if left > 0:
                    await self._sleep(left)
                return await self._check(attempt, familiar)
        finally:
            lane.waiting -= 1

    async def _check(self, attempt: _Attempt, familiar: bool) -> tuple[Reply, Admitted | None]:
        if not familiar and self._checking >= MOST_WAITING:
            return catalogue.AUTH_TEMPORARY, None
        bridge = self._threads(familiar)
        self._checking += not familiar
        try:
            admitted = await bridge.read(rights.admit, attempt.identity, attempt.password)
        except Unavailable:
            return catalogue.AUTH_TEMPORARY, None
        finally:
            self._checking -= not familiar
        # RFC 4616 §2: acting for somebody else would need a right that nobody has here.
        good = admitted is not None and attempt.authorization.lower() in ("", attempt.identity.lower())
        now = self._clock()
        maillog.signed_in(int(now * 1000), attempt.peer, attempt.identity[:320], good)
        if good:
            self._remember(attempt, now)
            return catalogue.AUTH_SUCCEEDED, admitted
        # A success does not take failures back: else one known password would buy guesses at all others.
        for rate in attempt.rates:
            self._failures.add(rate, now)
            self._failed_at[rate.whose] = now
            self._failed_at.move_to_end(rate.whose)
        while len(self._failed_at) > 3 * MOST_REMEMBERED:
            self._failed_at.popitem(last=False)
        self._share()
        return catalogue.AUTH_FAILED, None

    # -- how long ------------------------------------------------------------------------------------------------------

    def _left(self, attempt: _Attempt, familiar: bool) -> float:
        """Seconds this attempt has to wait."""
        now, (both, client, account) = self._clock(), attempt.rates
        left = self._left_for(both, now)
        if not familiar:
            left = max(left, self._left_for(client, now), self._left_for(account, now, FREE_OF_AN_ACCOUNT))
        return left

    def _left_for(self, rate: Rate, now: float, free: int = 0) -> float:
        failures = int(self._failures.rate(rate, now))
        delay = delay_after(failures - free)
        # Where another host counted, the time of the last failure is not known: then it is now.
        return min(self._failed_at.get(rate.whose, now) + delay - now, delay) if delay else 0.0

    def _share(self) -> None:
        """Tell the other processes, behind what is being told already."""
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        while self._failures.grown and await self._failures.flush(self._threads(False), self._clock()):
            pass  # while it was told, more came; a database that is gone is told with the next failure

    # -- familiar networks ---------------------------------------------------------------------------------------------

    async def _is_familiar(self, account: str, network: str) -> bool:
        if (account, network) in self._familiar:
            self._familiar.move_to_end((account, network))
            return True
        now = int(self._clock() * 1000)
        # The thread of those who are familiar: one short look, and strangers' guesses do not stand before it.
        if not await self._threads(True).read(familiarity.is_familiar, account, network, now):
            return False
        self._familiar[account, network] = float("-inf")
        return True

    def _remember(self, attempt: _Attempt, now: float) -> None:
        """The account is used from this network: that is written down once a day."""
        name = (attempt.account, attempt.network)
        if now - self._familiar.get(name, float("-inf")) < WRITTEN_AGAIN:
            return
        self._familiar[name] = now
        while len(self._familiar) > MOST_REMEMBERED:
            self._familiar.popitem(last=False)
        at = int(now * 1000)
        writing = self._threads(True).submit(familiarity.used, *name, at, at + FAMILIAR_SECONDS * 1000)
        writing.add_done_callback(partial(self._written, name))

    def _written(self, name: tuple[str, str], writing: asyncio.Future[None]) -> None:
        """What could not be written down is written with the next sign-in."""
        if not writing.cancelled() and isinstance(trouble := writing.exception(), Exception):
            _log.warning("From where an account is used could not be written down: %s", trouble)
            if name in self._familiar:
                self._familiar[name] = float("-inf")

    # -- threads and lanes ---------------------------------------------------------------------------------------------

    def _threads(self, familiar: bool) -> Bridge:
        if familiar:
            if self._familiar_bridge is None:
                self._familiar_bridge = Bridge(FAMILIAR_THREADS)
            return self._familiar_bridge
        if self._bridge is None:
            self._bridge = Bridge(THREADS)
        return self._bridge

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= MOST_REMEMBERED:
                for old, idle in list(self._lanes.items())[:100]:  # the ones heard of the longest ago
                    if not idle.waiting:
                        del self._lanes[old]
            lane = self._lanes[key] = _Lane()
        self._lanes.move_to_end(key)
        return lane

    def forget(self) -> None:
        """An operator changed what is counted: begin at nothing."""
        self._failures.forget()
        self._failed_at.clear()

    def doubt(self) -> None:
        """An operator may have changed what is counted, unheard: ask the database."""
        self._failures.doubt()
        self._share()

    def close(self) -> None:
        """Give the threads and their connections back."""
        if self._flushing is not None:
            self._flushing.cancel()
        for bridge in (self._bridge, self._familiar_bridge):
            if bridge is not None:
                bridge.close()
        self._bridge = self._familiar_bridge = None


def _rate(whose: str) -> Rate:
    return Rate(f"sign-in of {whose}", _WHAT, 1, _WINDOW)
