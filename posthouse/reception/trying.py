"""What the door would say: the real questions asked for a made-up visit, nothing learnt, for `posthouse policy try`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from posthouse.configuration import Configuration
from posthouse.content.spool import Spooled
from posthouse.database import Bridge
from posthouse.dns.networks import Networks
from posthouse.reception import sources, trace
from posthouse.reception.desk import Neighbourhood, decision_of, role_of
from posthouse.reception.flood import counted_as
from posthouse.reception.gathering import OF_CONTENT, Gathering
from posthouse.reception.informants import Sources
from posthouse.reception.policy import decision
from posthouse.reception.policy.checks import CHECKS
from posthouse.reception.policy.decision import ACCEPT, OFF, Plan, Stance, Verdict
from posthouse.reception.policy.facts import Facts, Rights, Visit
from posthouse.reception.policy.fields import tag_field
from posthouse.reception.policy.question import CONNECT, Check
from posthouse.reception.share import found_words
from posthouse.routing import Refused, Router, ToList, ToRelay, return_path_refusal
from posthouse.routing.primary import primary_here
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

ASKED_NOTHING = "nobody to ask, or nothing to ask about"


@dataclass(frozen=True)
class Mail:
    """What is tried. `rights` of the account that signed in, None where none did; `content` None: without content."""

    address: str
    helo: str
    return_path: str
    recipient: str
    listener: str = "transfer"
    account: str = ""
    account_id: int | None = None
    rights: Rights | None = None
    content: Spooled | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One check: the mode in force and the table it comes from; `holds` with its reason; what was found out."""

    check: str
    stage: str
    mode: str
    source: str
    holds: bool
    reason: str
    found: str
    seconds: float | None = None  # that finding out took


@dataclass(frozen=True)
class Answer:
    """Everything that the door would do, in order, and its last word."""

    role: str
    networks: tuple[str, ...]
    destination: str
    checks: tuple[Asked, ...]
    action: str
    check: str
    reason: str
    reply: str
    tag: str = ""
    evidence: str = ""
    notes: tuple[str, ...] = ()


async def try_mail(chosen: Configuration, bridge: Bridge, clock: Callable[[], float], mail: Mail) -> Answer:
    """Ask everything that a mode other than off needs, and decide. Raises database.Unavailable where routing does."""
    router = Router(bridge, clock, primary_here(chosen, clock))
    asked = sources.open_sources(chosen, bridge, clock, router, learns=False)
    try:
        return await _tried(chosen, router, asked, mail)
    finally:
        await sources.close(asked)


async def _tried(chosen: Configuration, router: Router, asked: Sources, mail: Mail) -> Answer:
    visit = _visit(chosen, mail)
    stance = decision_of(chosen).stance(mail.listener, visit.role, visit.networks)
    facts = Facts(visit, mail.return_path, mail.content.size if mail.content is not None else 0)
    recipient = mail.recipient if "@" in mail.recipient else f"{mail.recipient}@{chosen.host}"
    destination = await router.route(recipient, visit.trusted)
    mailing_list = destination.list_address if isinstance(destination, ToList) else ""
    plan = stance.plan(recipient.rpartition("@")[2], mailing_list)
    refusal = destination.reply if isinstance(destination, Refused) else None
    refusal = refusal or return_path_refusal(destination, mail.return_path)
    gathering = Gathering(asked, visit)
    try:
        next_hop = destination.domain if isinstance(destination, ToRelay) else ""
        facts.recipients.append(recipient)
        await _gather(gathering, facts, plan, recipient, next_hop, counted_as(destination, recipient))
        if mail.content is not None:
            await _look_at(gathering, facts, plan, mail.content, recipient)
    finally:
        gathering.closed()
    verdict, reply = _decide(stance, plan, facts, recipient, refusal, mail.content is not None)
    remarks = decision.tags(plan, facts, stance.rules, [recipient]) if reply.positive else ()
    return Answer(
        role=visit.role,
        networks=tuple(sorted(visit.networks)),
        destination=type(destination).__name__.removeprefix("To").lower(),
        checks=tuple(_asked(check, plan, stance, facts, recipient, gathering) for check in CHECKS),
        action=verdict.action if verdict.check or reply.positive else ("defer" if reply.temporary else "refuse"),
        check=verdict.check or ("" if reply.positive else "routing"),
        reason=verdict.reason or (destination.why if isinstance(destination, Refused) else ""),
        reply=str(reply),
        tag=tag_field(remarks).decode("ascii"),
        evidence=found_words(facts),
        notes=_notes(mail, plan),
    )


def _visit(chosen: Configuration, mail: Mail) -> Visit:
    relays = Networks(chosen.hosts(chosen.reception.relay_networks))
    role = role_of(mail.listener, mail.address, relays)
    return Visit(
        mail.listener,
        mail.address,
        networks=Neighbourhood(chosen).of(mail.address),
        role=role,
        trusted=mail.account_id is not None or (mail.listener == "transfer" and role == "relay"),
        account=mail.account,
        account_id=mail.account_id,
        rights=mail.rights,
        verb="EHLO",
        helo=mail.helo,
    )


async def _gather(
    gathering: Gathering, facts: Facts, plan: Plan, recipient: str, next_hop: str, counted: tuple[str, str]
) -> None:
    needs = plan.needs
    gathering.connected(needs)
    gathering.hello(needs)
    gathering.opened(facts, "", needs)
    gathering.begin(needs, recipient, next_hop)
    if "excess" in needs:
        if gathering.crowded(facts, *counted):
            await gathering.acquaint(facts)
        gathering.excess(facts, *counted)
    await gathering.settle(needs, recipient)


async def _look_at(gathering: Gathering, facts: Facts, plan: Plan, content: Spooled, recipient: str) -> None:
    facts.header = trace.header_of(content.head(trace.HEADER_READ))
    await gathering.examine(facts, content, plan.needs, utf8=True)
    if "waiting" in plan.needs:
        await gathering.wait(facts, [recipient])
    await gathering.scan(facts, content, b"")


def _decide(
    stance: Stance, plan: Plan, facts: Facts, recipient: str, refusal: Reply | None, content: bool
) -> tuple[Verdict, Reply]:
    """In the order of a session: the greeting, the recipient, the content."""
    verdict = decision.judge(stance.base.connect, facts, stance.rules)
    if verdict.reply is not None:
        return verdict, verdict.reply
    if refusal is not None:
        return Verdict(), refusal
    for judged in (plan.rcpt, plan.content if content else ()):
        verdict = decision.judge(judged, facts, stance.rules, recipient)
        if verdict.action != ACCEPT and verdict.reply is not None:
            return verdict, verdict.reply
    return Verdict(), catalogue.ACCEPTED if content else catalogue.RCPT_OK


def _asked(check: Check, plan: Plan, stance: Stance, facts: Facts, recipient: str, gathering: Gathering) -> Asked:
    mode = (stance.base if check.stage == CONNECT else plan).modes[check.name]
    reason = check.judge(facts, stance.rules, recipient) if mode.value != OFF else None
    seconds = [gathering.timings[need] for need in check.needs if need in gathering.timings]
    found = "" if mode.value == OFF else _found(check, facts, recipient)
    return Asked(
        check.name, check.stage, mode.value, mode.source, reason is not None, reason or "", found,
        max(seconds, default=None),
    )  # fmt: skip


def _found(check: Check, facts: Facts, recipient: str) -> str:
    """What was found out for a check, in a few words."""
    visit = facts.visit
    told = []
    for need in check.needs:
        if need in ("listing", "domain_listing"):
            listing = visit.listing if need == "listing" else facts.domain_listing
            told.append(ASKED_NOTHING if listing is None else f"weight {listing.weight:g}")
        elif need == "client_name":
            told.append({None: "not known", "": "no name"}.get(visit.client_name, visit.client_name or ""))
        elif need == "standing":
            told.append(ASKED_NOTHING if visit.standing is None else f"{visit.standing.badness:.0%} bad")
        elif need == "helo_domain":
            told.append(visit.helo_domain or ASKED_NOTHING)
        elif need == "sender_domain":
            told.append(facts.sender_domain or ASKED_NOTHING)
        elif need == "spf":
            told.append(ASKED_NOTHING if facts.spf is None else f"{facts.spf.result} for {facts.spf.domain}")
        elif need == "callout":
            told.append(ASKED_NOTHING if facts.callout is None else f"{facts.callout.answer}: {facts.callout.reply}")
        elif need == "author_callouts":
            told += [f"{one.address} {one.answer}: {one.reply}" for one in facts.author_callouts] or [ASKED_NOTHING]
        elif need == "verified":
            known = facts.verified.get(recipient)
            told.append(ASKED_NOTHING if known is None else f"{known.answer}: {known.reply}")
        elif need == "waiting":
            wait = facts.waiting.get(recipient)
            told.append(ASKED_NOTHING if wait is None else f"{wait.state}{f': {wait.why}' if wait.why else ''}")
        elif need == "proven_standing":
            told.append(ASKED_NOTHING if facts.standing is None else f"{facts.standing.badness:.0%} bad")
        elif need == "evidence" and facts.evidence is not None and check.name in ("dkim", "dmarc"):
            told.append(str(getattr(facts.evidence, check.name).result))
        elif need == "scans":
            told += [f"{scan.scanner} {scan.result}" for scan in facts.scans]
    return "; ".join(told)


def _notes(mail: Mail, plan: Plan) -> tuple[str, ...]:
    notes = []
    if mail.content is None and plan.needs & OF_CONTENT:
        notes.append("The checks of content were not asked: name a FILE with a message.")
    if "excess" in plan.rcpt_needs:
        notes.append("Rates count what happens; this try counts as nothing. See `posthouse flood list`.")
    return tuple(notes)
