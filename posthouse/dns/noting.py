"""A resolver that notes which names were proven by DNSSEC, for those who want to say so beside what they found."""

from __future__ import annotations

import dns.name

from posthouse.dns.lookups import Answer, Lookups

MOST_NOTED = 100


class Noting(Lookups):
    """Asks another one; `proven` holds the names (lower case, no final dot) whose TXT records were authentic."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self.proven: set[str] = set()

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        """One question, as the other one answers it."""
        answer = await self._lookups.ask(name, kind)
        if answer.authentic and kind == "TXT" and len(self.proven) < MOST_NOTED:
            self.proven.add(name.to_text(omit_final_dot=True).lower())
        return answer
