"""The rules: each a question with its reason. The first of `RULES` that answers decides; what passes them is held when
one of `COLLECTED` speaks against it, for all their reasons together; else it is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from posthouse.lists.moderation import contents, policy, senders
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.header_matches import header_match
from posthouse.lists.moderation.verdict import ACCEPT, DEFER, DISCARD, HOLD, REJECT, Rule, Verdict

RULES: tuple[Rule, ...] = (
    policy.dmarc,
    senders.no_author,
    senders.approved,
    senders.loop,
    senders.automatic,
    senders.banned,
    header_match,
    senders.emergency,
    senders.staff,
    senders.verbosity,
    senders.member,
    senders.nonmember,
)
COLLECTED: tuple[Rule, ...] = (
    contents.administrivia,
    contents.implicit_destination,
    contents.many_recipients,
    contents.size,
    contents.news_moderation,
    contents.no_subject,
    contents.digest,
    contents.suspicious_header,
    contents.gave_up,  # the last, since it looks at what the others could not
)

# Rules whose name for owners is not that of their function.
_NAMES: Mapping[Rule, str] = {
    policy.dmarc: "dmarc-mitigation",
    senders.banned: "banned-address",
    contents.many_recipients: "max-recipients",
    contents.digest: "digests",
    contents.gave_up: "expression",
}


def name_of(rule: Rule) -> str:
    """The name of a rule as verdicts have it."""
    return _NAMES.get(rule) or str(getattr(rule, "__name__", "")).replace("_", "-")


def judge(case: Case) -> Verdict:
    """Ask the rules in order; what none of them answers is accepted."""
    misses: list[str] = []
    for rule in RULES:
        verdict = rule(case)
        if verdict is not None:
            in_doubt = verdict.disposition == ACCEPT and rule is not senders.approved and contents.gave_up(case)
            return replace(in_doubt or verdict, misses=tuple(misses))
        misses.append(name_of(rule))
    asked = [(rule, rule(case)) for rule in COLLECTED]
    misses += [name_of(rule) for rule, verdict in asked if verdict is None]
    found = [verdict for _, verdict in asked if verdict is not None]
    if not found:
        return Verdict(ACCEPT, "all", "Nothing speaks against it.", misses=tuple(misses))
    hits = tuple(hit for verdict in found for hit in verdict.hits or (f"{verdict.rule}: {verdict.reason}",))
    return Verdict(HOLD, found[0].rule, " ".join(verdict.reason for verdict in found), hits, tuple(misses))


__all__ = ["ACCEPT", "COLLECTED", "DEFER", "DISCARD", "HOLD", "REJECT", "RULES", "Rule", "Verdict", "judge"]
