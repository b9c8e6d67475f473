"""A resolver that notes what answers rest on: names proven by DNSSEC, and how long all of it may be remembered."""

from __future__ import annotations

import dns.name

from posthouse.dns.lookups import Answer, Lookups

MOST_NOTED = 100


class Noting(Lookups):
    """Asks another one; `proven` holds the names (lower case, no final dot) whose TXT records were authentic, `ttl` the
    seconds of the answer that is forgotten first."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self.proven: set[str] = set()
        self.ttl = float("inf")

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        """One question, as the other one answers it."""
        return self._noted(await self._lookups.ask(name, kind), name, kind)

    def known(self, name: dns.name.Name, kind: str) -> Answer | None:
        """The answer if the other one has it in memory."""
        answer = self._lookups.known(name, kind)
        return None if answer is None else self._noted(answer, name, kind)

    def _noted(self, answer: Answer, name: dns.name.Name, kind: str) -> Answer:
        self.ttl = min(self.ttl, answer.ttl)
        if answer.authentic and kind == "TXT" and len(self.proven) < MOST_NOTED:
            self.proven.add(name.to_text(omit_final_dot=True).lower())
        return answer
