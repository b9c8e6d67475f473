"""Who was here before a flood began, and goes on being served in it: asked only where a rate of others is reached.

Good mail of theirs was taken before today: of the account that signed in; of the client's network; or of the return
path's domain, where SPF says that one of its own hosts brings it. SPF is asked only for a domain that was here before,
so a flood of made-up names costs no DNS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from posthouse.authenticity.names import a_label
from posthouse.authenticity.spf import Spf
from posthouse.encounters.keys import network_of
from posthouse.reception.flood import network_name
from posthouse.reception.policy.facts import Visit


class Memory(Protocol):
    """What is remembered of networks and domains (see `Reputation`)."""

    def was_welcome(self, whose: str) -> bool | None: ...

    async def look(self, *whose: str) -> bool: ...


class Acquaintances:
    """For all connections of one process. The names they give are those that a rate's shares are counted by."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def at_once(self, visit: Visit) -> str:
        """Who this is, where that is known without asking; "" for nobody, or nobody yet."""
        if visit.account:
            return f"account {visit.account.lower()}"
        return network_name(visit.address) if self._memory.was_welcome(network_of(visit.address)) else ""

    async def of(self, visit: Visit, return_path: str, spf: Callable[[], Awaitable[Spf | None]]) -> str:
        """Who this is, "" for a stranger. `spf`: finds out what SPF says of the return path. Never raises."""
        found = self.at_once(visit)
        if found:
            return found
        domain = a_label(return_path.rpartition("@")[2])
        await self._memory.look(network_of(visit.address), domain)
        found = self.at_once(visit)
        if not found and domain and self._memory.was_welcome(domain):
            said = await spf()
            if said is not None and domain in said.domains:
                return f"domain {domain}"
        return found
