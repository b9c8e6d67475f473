"""What the domain of a posting's author publishes for DMARC, looked up before a list takes the posting.

Never within the list's transaction, never longer than a few seconds, and remembered: the road does not wait for a slow
nameserver. What cannot be known in time is `unknown`, and lists are careful then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from posthouse.authenticity.dmarc import author_domains, evaluate
from posthouse.database import Bridge
from posthouse.dns.cache import Cache
from posthouse.dns.lookups import Lookups
from posthouse.lists import arrivals
from posthouse.lists.mitigation import FORBIDDING, NONE, QUARANTINE, UNKNOWN
from posthouse.queue.claim import Claimed

SECONDS = 5.0  # for all questions about one posting
KNOWN_SECONDS, UNKNOWN_SECONDS = 600.0, 60.0
MOST_DOMAINS = 10_000
MOST_AUTHORS = 5
_SEVERITY = (NONE, UNKNOWN, QUARANTINE, FORBIDDING)

log = logging.getLogger(__name__)


class AuthorPolicies:
    """Policies by domain. Without lookups (in trial mode nothing leaves the machine) nothing is published."""

    def __init__(self, bridge: Bridge, lookups: Lookups | None, clock: Callable[[], float]) -> None:
        self._bridge, self._lookups = bridge, lookups
        self._known: Cache[str, str] = Cache(MOST_DOMAINS, clock)

    async def of(self, claimed: Claimed, list_pk: int) -> str:
        """The strictest policy of the authors' domains (RFC 9989 §11.5), "" where the list needs none. Never raises."""
        try:
            values = await self._bridge.read(arrivals.authors, claimed, list_pk)
            if not values or self._lookups is None:
                return NONE if values else ""
            deadline = asyncio.get_running_loop().time() + SECONDS
            domains = author_domains(values)[:MOST_AUTHORS]
            found = await asyncio.gather(*(self._policy(domain, self._lookups, deadline) for domain in domains))
            return max(found, key=_SEVERITY.index, default=NONE)
        except Exception as error:  # the database is not available, or something we never thought of
            log.warning("the policy of an author is not known: %s: %s", type(error).__name__, error)
            return UNKNOWN

    async def _policy(self, domain: str, lookups: Lookups, deadline: float) -> str:
        known = self._known.get(domain)
        if known is None:
            dmarc = await evaluate(domain, (), (), lookups, deadline=deadline)
            # Published, not applied: t=y asks receivers to be milder, and lists to change nothing for it (§4.7).
            known = UNKNOWN if dmarc.result == "temperror" else dmarc.published_policy or NONE
            self._known.keep(domain, known, UNKNOWN_SECONDS if known == UNKNOWN else KNOWN_SECONDS)
        return known
