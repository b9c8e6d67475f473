"""What a rule answers: a disposition with its reason, a sentence for a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from posthouse.lists.moderation.case import Case

ACCEPT, HOLD, REJECT, DISCARD = "accept", "hold", "reject", "discard"
DEFER = "defer"  # of a membership or a match: let the other rules decide


@dataclass(frozen=True, slots=True)
class Verdict:
    """A disposition, the rule that gave it and its reason, a sentence that the author may read.

    `hits`: for moderators and the trace, every rule that spoke, as `name: what it found`; `misses`: the names of those
    that were asked and found nothing.
    """

    disposition: str
    rule: str
    reason: str
    hits: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()

    @property
    def trace(self) -> str:
        """The reason with what was found, for those who look after the list; its author is not told that."""
        found = [hit for hit in self.hits if hit.partition(": ")[2] not in self.reason]
        return f"{self.reason} ({'; '.join(found)})" if found else self.reason


Rule = Callable[[Case], Verdict | None]


def by_action(action: str, rule: str, reason: str, hit: str = "") -> Verdict | None:
    """The verdict that an owner's action stands for; None for `defer`."""
    hits = (f"{rule}: {hit}",) if hit else ()
    if action == DEFER:
        return None
    if action == ACCEPT:
        return Verdict(ACCEPT, rule, "The list accepts postings of this author unseen.", hits)
    return Verdict(action, rule, reason, hits)
