"""From the end of the content to its reply: looked at, judged, made ours, or refused with a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from posthouse.content.spool import Spool, Spooled, StorageFull
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival
from posthouse.queue.identity import name_of, new_queue_id
from posthouse.reception import trace
from posthouse.reception.acceptance import queued_as
from posthouse.reception.gathering import Gathering
from posthouse.reception.policy import decision
from posthouse.reception.policy.decision import ACCEPT, REFUSE, Verdict
from posthouse.reception.policy.facts import Facts
from posthouse.reception.policy.fields import tag_field
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import FinalReply

if TYPE_CHECKING:
    from posthouse.reception.transaction import Transaction

_log = logging.getLogger(__name__)
MOST_TOLD = 50  # recipients of a refused message that have an event of their own


def end(transaction: Transaction, spool: Spool) -> FinalReply | Awaitable[FinalReply]:
    """The reply, or one for each accepted recipient (LMTP)."""
    if spool.on_disk:
        return _end_large(transaction, spool)
    return _take(transaction, spool.finish())


async def _end_large(transaction: Transaction, spool: Spool) -> FinalReply:
    """A file must be on the disk before its row is: that waits, so it happens in a thread."""
    try:
        spooled = await asyncio.get_running_loop().run_in_executor(None, spool.finish)
    except StorageFull as trouble:
        return transaction.talk.no("acceptance", catalogue.STORAGE_FULL, reason=str(trouble))
    try:
        answer = _take(transaction, spooled)
        reply = answer if isinstance(answer, Reply | list | tuple) else await answer  # type: ignore[misc]
    except BaseException:
        spooled.discard()
        raise
    if not any(one.positive for one in ([reply] if isinstance(reply, Reply) else reply)):
        spooled.discard()
    return reply


def _take(transaction: Transaction, spooled: Spooled) -> FinalReply | Awaitable[FinalReply]:
    talk = transaction.talk
    octets = spooled.octets
    header = trace.header_of(octets if octets is not None else spooled.head(trace.HEADER_READ))
    hops, message_id = trace.hops_and_id(header)
    if 0 < talk.desk.hops < hops:  # RFC 5321 §6.3
        return talk.no("content", catalogue.TOO_MANY_HOPS, reason=f"{hops} Received fields")
    ending = Ending(transaction, spooled, header, message_id)
    if talk.gathering is None or not ending.anything_to_look_at(talk.gathering):
        return ending.keep(tuple(transaction.recipients.values()))
    return ending.judged(talk.gathering)


class Ending:
    """One message whose content has come."""

    __slots__ = ("content", "facts", "header", "item", "message_id", "needs", "now", "plans", "trace", "transaction")

    def __init__(self, transaction: Transaction, content: Spooled, header: bytes, message_id: str) -> None:
        self.transaction, self.content, self.header, self.message_id = transaction, content, header, message_id
        self.facts = transaction.facts
        self.plans = dict.fromkeys(transaction.plans.values())
        self.needs: frozenset[str] = frozenset()
        self.now = transaction.talk.desk.clock()
        self.item = new_queue_id(int(self.now * 1_000_000))
        self.trace = b""

    def anything_to_look_at(self, gathering: Gathering) -> bool:
        """Whether any mode, or the evidence that is written down, has to do with this message."""
        for plan in self.plans:
            if plan.content or plan.tags:
                return True
        return gathering.examines()

    async def judged(self, gathering: Gathering) -> FinalReply:
        """Find out what the modes need, the cheap things first, and stop where nobody would take it."""
        facts, transaction, rules = self.facts, self.transaction, self.transaction.talk.stance.rules
        facts.header, facts.size = self.header, self.content.size
        for plan in self.plans:
            self.needs |= plan.content_needs | plan.tag_needs
        await gathering.examine(facts, self.content, self.needs)
        await gathering.settle(self.needs)
        verdicts = self._verdicts()
        if "waiting" in self.needs and _anybody(verdicts):
            strangers = [one for one, plan in transaction.plans.items() if plan.modes["greylist"].value != decision.OFF]
            await gathering.wait(facts, strangers)
            verdicts = self._verdicts()
        if "scans" in self.needs and _anybody(verdicts):
            await gathering.scan(facts, self.content, self._received())
            verdicts = self._verdicts()
        if not transaction.talk.lmtp:
            one = decision.together(list(verdicts.values()))
            verdicts = dict.fromkeys(verdicts, one)
        tags: dict[str, str] = {}
        for plan in self.plans:
            people = [who for who, its in transaction.plans.items() if its is plan]
            tags |= dict(decision.tags(plan, facts, rules, people))
        return await self._answered(gathering, verdicts, tuple(tags.items()))

    def _verdicts(self) -> dict[str, Verdict]:
        rules = self.transaction.talk.stance.rules
        return {
            who: decision.judge(plan.content, self.facts, rules, who) for who, plan in self.transaction.plans.items()
        }

    async def _answered(
        self, gathering: Gathering, verdicts: dict[str, Verdict], tags: tuple[tuple[str, str], ...]
    ) -> FinalReply:
        transaction = self.transaction
        talk = transaction.talk
        found = found_words(self.facts)
        replies: dict[str, Reply] = {}
        for number, (who, verdict) in enumerate(verdicts.items()):
            if verdict.reply is not None:
                replies[who] = talk.denied("content", verdict, who, found) if number < MOST_TOLD else verdict.reply
        taken = tuple(one for one in transaction.recipients.values() if one.address not in replies)
        if not taken:
            if any(verdict.action == REFUSE for verdict in verdicts.values()):
                gathering.learn(self.facts, list(verdicts), False)
        else:
            for name, _ in tags:
                talk.desk.tally.add(name, "tag")
            reply = await self.keep(taken, tags, found)
            if reply.positive:
                talk.desk.tally.add("", ACCEPT)
                gathering.learn(self.facts, [one.address for one in taken], True)
                gathering.count("messages", self.facts)
            replies |= {one.address: reply for one in taken}
        if talk.lmtp:
            return [replies[who] for who in transaction.answers]
        return replies[next(iter(verdicts))]

    def keep(
        self, taken: tuple[Recipient, ...], tags: Sequence[tuple[str, str]] = (), found: str = ""
    ) -> Awaitable[Reply]:
        """Make it ours for these recipients."""
        transaction, facts = self.transaction, self.facts
        talk, path = transaction.talk, transaction.path
        desk = talk.desk
        octets, message_id = self.content.octets, self.message_id
        prefix = tag_field(tags) + authentication_results(facts, desk.host) + self._received(taken)
        if desk.submission:
            added, message_id = trace.added_to_submission(self.header, desk.host, self.now, desk.random)
            prefix += added
        # What the content is counts, not what the client said of it; a file is too large to look through again.
        eight_bit = path.body == "8BITMIME" if octets is None else not octets.isascii()
        envelope = Envelope(
            path.address, taken, "8BITMIME" if eight_bit else "7BIT", path.smtputf8, path.envid, path.ret
        )
        arrival = Arrival(
            item=self.item,
            content=self.content,
            prefix=prefix,
            envelope=envelope,
            origin=talk.origin,
            received_at=int(self.now * 1000),
            peer=talk.visit.address,
            message_id=message_id,
            evidence=found,
            verdict=Verdict(tags=tuple(tags)).words() if tags else "",
        )
        return desk.acceptance.take(arrival, queued_as(name_of(self.item)))

    def _received(self, taken: Sequence[Recipient] = ()) -> bytes:
        """The Received field; it names the recipient only when there is exactly one (RFC 5321 §7.6)."""
        if not self.trace:
            people = taken or tuple(self.transaction.recipients.values())
            for_one = people[0].address if len(people) == 1 else ""
            self.trace = self.transaction.talk.received(name_of(self.item), self.transaction.path, for_one, self.now)
        return self.trace


def _anybody(verdicts: dict[str, Verdict]) -> bool:
    return any(verdict.action == ACCEPT for verdict in verdicts.values())


def authentication_results(facts: Facts, host: str) -> bytes:
    """The field that stands above the trace fields it speaks of (RFC 8601 §4.1); b"" without evidence.

    A fault of ours loses no mail.
    """
    if facts.evidence is None:
        return b""
    try:
        return facts.evidence.field(host)
    except Exception:
        _log.exception("Authentication-Results was left out for a fault of ours")
        return b""


def found_words(facts: Facts) -> str:
    """What was found out, for the maillog; a fault of ours loses no mail."""
    visit = facts.visit
    try:
        words = [facts.evidence.words()] if facts.evidence is not None else []
        if facts.evidence is None and facts.spf is not None:
            words.append(f"SPF {facts.spf.result} for {facts.spf.domain}")
        for name, listing in (("client", visit.listing), ("domain", facts.domain_listing)):
            if listing is not None and (listing.hits or listing.silent):
                hits = ", ".join(f"{hit.zone} {hit.code} {hit.weight:+g}" for hit in listing.hits)
                silent = f"; no answer from {', '.join(listing.silent)}" if listing.silent else ""
                words.append(f"{name} listed with {listing.weight:g}: {hits or '-'}{silent}")
        if facts.sender_domain not in ("", "exists"):
            words.append(f"return path's domain {facts.sender_domain}")
        if visit.helo_domain not in ("", "exists"):
            words.append(f"HELO {visit.helo_domain}")
        if facts.callout is not None:
            words.append(f"callout: {facts.callout.answer}")
        words += [f"{scan.scanner}: {scan.result}{_score(scan.score)}{_more(scan.words)}" for scan in facts.scans]
        return "; ".join(words)[:4000]
    except Exception:
        _log.exception("Evidence could not be put into words for a fault of ours")
        return ""


def _score(score: float | None) -> str:
    return "" if score is None else f" {score:.1f}"


def _more(words: str) -> str:
    return f" ({words})" if words else ""
