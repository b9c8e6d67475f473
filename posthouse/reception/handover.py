"""From the end of the content to its reply: looked at, judged, made ours, or refused with a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.content.spool import Spool, Spooled, StorageFull
from posthouse.database import Unavailable
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival
from posthouse.queue.identity import name_of, new_queue_id
from posthouse.reception import scanners, trace
from posthouse.reception.acceptance import queued_as
from posthouse.reception.gathering import Gathering
from posthouse.reception.policy import decision
from posthouse.reception.policy.decision import ACCEPT, REFUSE, Verdict
from posthouse.reception.policy.facts import Facts, Verified
from posthouse.reception.policy.fields import tag_field
from posthouse.reception.policy.question import RELAY
from posthouse.reception.scanners import Finished, finished
from posthouse.routing import Refused
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import FinalReply

if TYPE_CHECKING:
    from posthouse.reception.transaction import Transaction

_log = logging.getLogger(__name__)
WORTH_TELLING = 0.1  # the part of what came before that was bad
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
    ending = Ending(transaction, spooled)
    try:
        answer = ending.answer()
        if isinstance(answer, Awaitable):
            answer = await answer
    except BaseException:
        ending.content.discard()
        raise
    if ending.thrown_away or not any(one.positive for one in ([answer] if isinstance(answer, Reply) else answer)):
        ending.content.discard()
    return answer


def _take(transaction: Transaction, spooled: Spooled) -> FinalReply | Awaitable[FinalReply]:
    return Ending(transaction, spooled).answer()


class Ending:
    """One message whose content has come."""

    __slots__ = ("above", "content", "facts", "header", "item", "message_id", "now", "plans", "thrown_away",
                 "trace", "transaction")  # fmt: skip

    def __init__(self, transaction: Transaction, content: Spooled) -> None:
        self.transaction, self.content, self.facts = transaction, content, transaction.facts
        octets = content.octets
        self.header = trace.header_of(octets if octets is not None else content.head(trace.HEADER_READ))
        self.message_id = ""
        self.plans = dict.fromkeys(transaction.plans.values())
        self.now = transaction.talk.desk.clock()
        self.item = new_queue_id(int(self.now * 1_000_000))
        self.trace = self.above = b""  # our Received field; what scanning puts above everything
        self.thrown_away = False  # a scanner wants that nobody gets it

    def answer(self) -> FinalReply | Awaitable[FinalReply]:
        """The reply, or one for each accepted recipient (LMTP)."""
        talk = self.transaction.talk
        hops, self.message_id = trace.hops_and_id(self.header)
        if 0 < talk.desk.hops < hops:  # RFC 5321 §6.3
            return talk.no("content", catalogue.TOO_MANY_HOPS, reason=f"{hops} Received fields")
        if talk.gathering is None or not self.anything_to_look_at(talk.gathering):
            return self.keep(tuple(self.transaction.recipients.values()))
        return self.judged(talk.gathering)

    def anything_to_look_at(self, gathering: Gathering) -> bool:
        """Whether any mode, or the evidence that is written down, has to do with this message."""
        for plan in self.plans:
            if plan.content or plan.tags:
                return True
        return gathering.examines() or gathering.scans() or self.facts.visit.role != RELAY

    async def judged(self, gathering: Gathering) -> FinalReply:
        """Find out what the modes need, the cheap things first, and stop where nobody would take it."""
        facts, transaction = self.facts, self.transaction
        facts.header, facts.size, facts.item = self.header, self.content.size, self.item
        needs: frozenset[str] = frozenset().union(*(plan.content_needs | plan.tag_needs for plan in self.plans))
        await gathering.examine(facts, self.content, needs, transaction.path.smtputf8)
        gathering.count("messages", facts)
        await gathering.settle(needs)
        verdicts = self._verdicts()
        if "waiting" in needs and _anybody(verdicts):
            strangers = [one for one, plan in transaction.plans.items() if plan.modes["greylist"].value != decision.OFF]
            await gathering.wait(facts, strangers)
            verdicts = self._verdicts()
        if gathering.scans() and _anybody(verdicts):
            await gathering.scan(facts, self.content, self._received())
            verdicts = self._verdicts()
        if not transaction.talk.lmtp:
            one = decision.together(list(verdicts.values()))
            verdicts = dict.fromkeys(verdicts, one)
        return await self._answered(gathering, verdicts)

    def _tags(self) -> tuple[tuple[str, str], ...]:
        rules, found = self.transaction.talk.stance.rules, dict[str, str]()
        for plan in self.plans:
            people = [who for who, its in self.transaction.plans.items() if its is plan]
            found |= dict(decision.tags(plan, self.facts, rules, people))
        return tuple(found.items())

    def _verdicts(self) -> dict[str, Verdict]:
        rules = self.transaction.talk.stance.rules
        return {
            who: decision.judge(plan.content, self.facts, rules, who) for who, plan in self.transaction.plans.items()
        }

    async def _answered(self, gathering: Gathering, verdicts: dict[str, Verdict]) -> FinalReply:
        transaction = self.transaction
        talk = transaction.talk
        found = found_words(self.facts)
        replies: dict[str, Reply] = {}
        for number, (who, verdict) in enumerate(verdicts.items()):
            if verdict.reply is not None:
                replies[who] = talk.denied("content", verdict, who, found) if number < MOST_TOLD else verdict.reply
        taken = tuple(one for one in transaction.recipients.values() if one.address not in replies)
        if not taken:
            for check in {verdict.check for verdict in verdicts.values() if verdict.action == REFUSE}:
                gathering.unwelcome(self.facts, check)
        else:
            reply = await self._accepted(gathering, taken, found)
            replies |= {one.address: reply for one in taken}
        if talk.lmtp:
            return [replies[who] for who in transaction.answers]
        return replies[next(iter(verdicts))]

    async def _accepted(self, gathering: Gathering, taken: tuple[Recipient, ...], found: str) -> Reply:
        """Somebody takes it: with its edits and remarks it becomes ours."""
        talk, facts = self.transaction.talk, self.facts
        tags = self._tags()
        discarded = next((scan.scanner for scan in facts.scans if scan.result == "discard"), "")
        if discarded:
            return self._thrown_away(discarded, found)
        try:
            done = await finished(self.content, facts.scans, talk.desk.configuration, facts.visit.role != RELAY)
        except StorageFull as trouble:
            return talk.no("acceptance", catalogue.STORAGE_FULL, reason=str(trouble))
        self.content, self.above = done.content, done.prefix
        try:
            people = await self._edited(taken, done)
            if not people:  # as Postfix and Sendmail have it: a message without recipients goes to nobody
                return self._thrown_away("a milter, which took every recipient away", found)
            reply = await self.keep(people, tags, found, done.return_path)
        except BaseException:
            self._tidy()
            raise
        if not reply.positive:
            self._tidy()
            return reply
        talk.desk.tally.add("", ACCEPT)
        for name, _ in tags:
            talk.desk.tally.add(name, "tag")
        gathering.welcome(facts, [name for name, _ in tags])
        return reply

    def _thrown_away(self, by: str, found: str) -> Reply:
        """It is accepted, and nobody gets it; the maillog says on whose word."""
        self.thrown_away = True
        visit = self.facts.visit
        maillog.discarded(int(self.now * 1000), self.item, self.facts.return_path, visit.address, by, found)
        self._tidy()
        return queued_as(name_of(self.item))

    def _tidy(self) -> None:
        """Nobody keeps it: a file that it was edited into meanwhile goes at once (discarding twice does no harm)."""
        if self.content.octets is None:
            self.content.discard()

    async def _edited(self, taken: tuple[Recipient, ...], done: Finished) -> tuple[Recipient, ...]:
        """The recipients as milters want them; a milter may send anywhere, but not to what does not exist.

        One that exists nowhere, or cannot be looked up now, leaves the others as they were: no mail is lost for it.
        """
        if not (done.added or done.removed):
            return taken
        gone = {key(address) for address in done.removed}
        kept = {key(one.address): one for one in taken if key(one.address) not in gone}
        for address in done.added:
            try:
                destination = await self.transaction.talk.desk.router.route(address, True)
            except Unavailable:
                destination = None
            if destination is None or isinstance(destination, Refused):
                _log.warning("A milter adds the recipient %s, which leads nowhere; left out", address)
                kept = kept or {key(one.address): one for one in taken}
            else:
                kept.setdefault(key(address), Recipient(address))
        return tuple(kept.values())

    def keep(
        self, taken: tuple[Recipient, ...], tags: Sequence[tuple[str, str]] = (), found: str = "",
        return_path: str | None = None,
    ) -> Awaitable[Reply]:  # fmt: skip
        """Make it ours for these recipients."""
        talk, path = self.transaction.talk, self.transaction.path
        desk = talk.desk
        octets, message_id = self.content.octets, self.message_id
        prefix = self.above + tag_field(tags) + authentication_results(self.facts, desk.host) + self._received(taken)
        if desk.submission:
            added, message_id = trace.added_to_submission(self.header, desk.host, self.now, desk.random)
            prefix += added
        # What the content is counts, not what the client said of it; a file is too large to look through again.
        eight_bit = path.body == "8BITMIME" if octets is None else not octets.isascii()
        sender = path.address if return_path is None else return_path
        envelope = Envelope(sender, taken, "8BITMIME" if eight_bit else "7BIT", path.smtputf8, path.envid, path.ret)
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


def key(address: str) -> str:
    """What tells recipients apart."""
    try:
        return key_of(address)
    except AddressError:
        return address


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


def _said(found: Verified) -> str:
    return f"{found.address} {found.answer}" + (f" ({found.reply[:150]})" if found.reply else "")


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
        if visit.standing is not None and visit.standing.badness >= WORTH_TELLING:
            words.append(f"{visit.standing.badness:.0%} of what came before was bad")
        words += [f"callout: {_said(one)}" for one in (facts.callout, *facts.author_callouts) if one is not None]
        asked = [one for one in facts.verified.values() if one.answer != "yes"]
        words += [f"recipient elsewhere: {_said(one)}" for one in asked[:MOST_TOLD]]
        if facts.scans:
            words.append(scanners.words(facts.scans))
        return "; ".join(words)[:4000]
    except Exception:
        _log.exception("Evidence could not be put into words for a fault of ours")
        return ""
