"""AUTH: passwords checked in threads, few at a time, slower for a client the more often it was wrong."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from posthouse import maillog
from posthouse.database import Bridge, Unavailable
from posthouse.reception import rights
from posthouse.reception.limits import client_key
from posthouse.reception.policy.facts import Visit
from posthouse.reception.rights import Admitted
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

THREADS = 2  # argon2id is meant to be slow and to need memory: never more than these at once
MOST_WAITING = 200  # attempts of all clients that may wait for a thread
MOST_WAITING_PER_CLIENT = 10
MOST_CLIENTS = 20_000  # clients whose failures are remembered
FORGOTTEN_AFTER = 900.0  # seconds without a further failure
LONGEST_DELAY = 30.0


def delay_after(failures: int) -> float:
    """Seconds a client must wait after so many failures: none for the first slip of the fingers, then doubling."""
    return 0.0 if failures < 2 else min(0.5 * 2.0 ** min(failures - 1, 20), LONGEST_DELAY)


@dataclass
class _Client:
    failures: int = 0
    failed_at: float = 0.0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Login:
    """Checks who signs in. One for a process; `close` when it ends.

    A client (an IPv4 address or an IPv6 /64) has one attempt at a time. The answer never tells whether the address or
    the password was wrong, and takes the same time either way.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._bridge: Bridge | None = None
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._waiting = 0

    async def sign_in(
        self, visit: Visit, identity: str, password: str, authorization: str
    ) -> tuple[Reply, Admitted | None]:
        """235 and who it is, 535, or 454 when it cannot be told now. `authorization` may only be the identity."""
        peer = visit.address
        client = self._client(client_key(peer))
        if client.waiting >= MOST_WAITING_PER_CLIENT or self._waiting >= MOST_WAITING:
            return catalogue.AUTH_TEMPORARY, None
        client.waiting += 1
        self._waiting += 1
        try:
            async with client.turn:
                return await self._attempt(client, peer, identity, password, authorization)
        finally:
            client.waiting -= 1
            self._waiting -= 1

    async def _attempt(
        self, client: _Client, peer: str, identity: str, password: str, authorization: str
    ) -> tuple[Reply, Admitted | None]:
        now = self._clock()
        if now - client.failed_at > FORGOTTEN_AFTER:
            client.failures = 0
        left = client.failed_at + delay_after(client.failures) - now
        if left > 0:
            await self._sleep(left)
        if self._bridge is None:
            self._bridge = Bridge(THREADS)
        try:
            admitted = await self._bridge.read(rights.admit, identity, password)
        except Unavailable:
            return catalogue.AUTH_TEMPORARY, None
        # RFC 4616 §2: acting for somebody else would need a right that nobody has here.
        good = admitted is not None and authorization.lower() in ("", identity.lower())
        maillog.signed_in(int(self._clock() * 1000), peer, identity[:320], good)
        if good:
            return catalogue.AUTH_SUCCEEDED, admitted
        # A success does not take failures back: else one known password would buy guesses at all others.
        client.failures += 1
        client.failed_at = self._clock()
        return catalogue.AUTH_FAILED, None

    def _client(self, key: str) -> _Client:
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= MOST_CLIENTS:
                for old, idle in list(self._clients.items())[:100]:  # the ones heard of the longest ago
                    if not idle.waiting:
                        del self._clients[old]
            client = self._clients[key] = _Client()
        self._clients.move_to_end(key)
        return client

    def close(self) -> None:
        """Give the threads and their connections back."""
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
