"""Which modes are in force for a visit and a recipient, and the verdict on what was found out. Pure.

A level overrides those below it: mailing list, recipient domain, network of the client, listener, [policy] itself.
`[policy]` holds for strangers; for relay networks and accounts only where the check says that they meet it. What a
listener or a network of their own says holds for everybody who comes that way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from posthouse import configuration
from posthouse.reception.policy.checks import CHECKS, NAMES
from posthouse.reception.policy.facts import Facts
from posthouse.reception.policy.question import (
    ACCOUNT,
    CONNECT,
    CONTENT,
    RCPT,
    RELAY,
    STRANGER,
    Check,
    Rules,
    a_labels,
    address_key,
)
from posthouse.smtp.reply import Reply

OFF, TAG, DEFER, REFUSE = configuration.MODES
ACCEPT = "accept"
MOST_REMEMBERED = 5_000
_ROLES = {STRANGER: "strangers", RELAY: "relay networks", ACCOUNT: "accounts"}


@dataclass(frozen=True, slots=True)
class Mode:
    """What a check leads to, and which table of the file says so."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy answers: `action` accept, defer or refuse, with the check, its reason and the reply; `tags` are the
    (check, reason) that are only written down."""

    action: str = ACCEPT
    check: str = ""
    reply: Reply | None = None
    reason: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def words(self) -> str:
        """For the maillog."""
        said = [f"{self.action}: {self.check} ({self.reason})"] if self.check else []
        return "; ".join([*said, *(f"tag: {name} ({reason})" for name, reason in self.tags)])


CLEAR = Verdict()
Judged = tuple[tuple[Check, str], ...]


class Plan:
    """The modes for one kind of visit and recipient, sorted by what has to be done with them."""

    __slots__ = (
        "connect",
        "content",
        "content_modes",
        "content_needs",
        "modes",
        "needs",
        "rcpt",
        "rcpt_needs",
        "tag_needs",
        "tags",
    )

    def __init__(self, modes: Mapping[str, Mode], idle: frozenset[str] = frozenset()) -> None:
        self.modes = modes
        awake = [check for check in CHECKS if check.name not in idle]
        hard = [(check, modes[check.name].value) for check in awake if modes[check.name].value in (DEFER, REFUSE)]
        self.connect: Judged = tuple(one for one in hard if one[0].stage == CONNECT)
        self.rcpt: Judged = tuple(one for one in hard if one[0].stage == RCPT)
        self.content: Judged = tuple(one for one in hard if one[0].stage == CONTENT)
        self.tags = tuple(check for check in awake if modes[check.name].value == TAG)
        self.rcpt_needs = _needs(check for check, _ in self.rcpt)
        self.content_needs = _needs(check for check, _ in self.content)
        self.tag_needs = _needs(self.tags)
        self.needs = self.rcpt_needs | self.content_needs | self.tag_needs
        # Recipients of one SMTP transaction share these: there is one reply and one header for all of them.
        self.content_modes = tuple(modes[check.name].value for check in CHECKS if check.stage == CONTENT)


def _needs(checks: Iterable[Check]) -> frozenset[str]:
    return frozenset(need for check in checks for need in check.needs)


class Decision:
    """The modes of the whole file. Built once; `modes_for` remembers."""

    def __init__(self, policy: configuration.Policy, rules: Rules) -> None:
        self.policy, self.rules = policy, rules
        self._base = {name: getattr(policy, name) for name in NAMES}
        self._domains = {a_labels(name): (f'[policy.domain."{name}"]', modes) for name, modes in policy.domain.items()}
        self._lists = {
            address_key(name): (f'[policy.mailing_list."{name}"]', modes) for name, modes in policy.mailing_list.items()
        }
        self._by_recipient = bool(self._domains or self._lists)
        self._stances: dict[tuple[str, str, frozenset[str]], Stance] = {}

    def stance(self, listener: str, role: str, networks: frozenset[str] = frozenset()) -> Stance:
        """What this kind of visit meets."""
        key = (listener, role, networks)
        found = self._stances.get(key)
        if found is None:
            if len(self._stances) >= MOST_REMEMBERED:
                self._stances.clear()
            found = self._stances[key] = Stance(self, listener, role, networks)
        return found

    def _of_visit(self, listener: str, role: str, networks: frozenset[str]) -> tuple[dict[str, Mode], frozenset[str]]:
        """(modes, the checks that this visit meets at all)."""
        met = {check.name for check in CHECKS if role in check.meets}
        if (listener, role) in self.rules.scanned:  # our own hosts and people are scanned where that was asked for
            met |= {"spam", "virus", "scanner", "quarantine"}
        modes = {
            name: Mode(value, "[policy]") if name in met else Mode(OFF, f"[policy], not for {_ROLES.get(role, role)}")
            for name, value in self._base.items()
        }
        levels = [(f"[policy.listener.{listener}]", self.policy.listener.get(listener, {}))]
        # Of several networks of the file that the client is in, the one that stands first has the last word.
        within = [name for name in self.policy.network if name in networks]
        levels += [(f"[policy.network.{name}]", self.policy.network[name]) for name in reversed(within)]
        for source, said in levels:
            for name, value in said.items():
                modes[name] = Mode(value, source)
                met.add(name)
        return modes, frozenset(met)


class Stance:
    """The modes of one kind of visit: `base` where the recipient changes nothing, `plan` for a recipient."""

    __slots__ = ("_base_modes", "_decision", "_met", "_plans", "base", "rules")

    def __init__(self, decision: Decision, listener: str, role: str, networks: frozenset[str]) -> None:
        self._decision, self.rules = decision, decision.rules
        self._base_modes, self._met = decision._of_visit(listener, role, networks)
        self.base = Plan(self._base_modes, decision.rules.idle)
        self._plans: dict[tuple[str, str], Plan] = {}

    def plan(self, domain: str, mailing_list: str = "") -> Plan:
        """The plan for a recipient: its domain, and the posting address of the list whose address it is."""
        decision = self._decision
        if not decision._by_recipient:
            return self.base
        over = (
            decision._domains.get(a_labels(domain)),
            decision._lists.get(address_key(mailing_list)) if mailing_list else None,
        )
        if over == (None, None):
            return self.base
        key = (over[0][0] if over[0] else "", over[1][0] if over[1] else "")
        found = self._plans.get(key)
        if found is None:  # as many as the file has combinations
            modes = dict(self._base_modes)
            for level in over:
                if level is not None:
                    modes |= {name: Mode(value, level[0]) for name, value in level[1].items() if name in self._met}
            found = self._plans[key] = Plan(modes, self.rules.idle)
        return found


def judge(judged: Judged, facts: Facts, rules: Rules, recipient: str = "") -> Verdict:
    """The first check that refuses, else the first that defers, else CLEAR."""
    later = None
    for check, mode in judged:
        reason = check.judge(facts, rules, recipient)
        if reason is None:
            continue
        reply = check.reply(mode, reason, facts, recipient)
        verdict = Verdict(DEFER if reply.temporary else REFUSE, check.name, reply, reason)
        if verdict.action == REFUSE:
            return verdict
        later = later or verdict
    return later or CLEAR


def tags(plan: Plan, facts: Facts, rules: Rules, recipients: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(check, reason) of everything that holds and is only written down."""
    found: dict[str, str] = {}
    people = list(recipients) or [""]
    for check in plan.tags:
        for recipient in people:
            reason = check.judge(facts, rules, recipient)
            if reason is not None:
                found.setdefault(check.name, reason)
                break
    return tuple(found.items())


def together(verdicts: list[Verdict]) -> Verdict:
    """One answer for a message with several recipients (SMTP has one reply): refused when all are, accepted when all
    are, else deferred: who sends again with what was accepted loses nothing."""
    first = next((one for one in verdicts if one.action != ACCEPT), None)
    if first is None or len(verdicts) == 1:
        return first or (verdicts[0] if verdicts else CLEAR)
    if all(one.action == REFUSE for one in verdicts):
        return first
    return next((one for one in verdicts if one.action == DEFER), None) or _softer(first)


def _softer(verdict: Verdict) -> Verdict:
    reply = verdict.reply.softened() if verdict.reply is not None else None
    return Verdict(DEFER, verdict.check, reply, verdict.reason, verdict.tags)
