"""Recipients of one message that scanners and modes treat alike, and what is kept for them.

By SMTP a message has one share, since it has one reply. By LMTP (RFC 2033 §4.2) it may have several: each is judged,
edited and kept for itself, as if the client had sent it separately.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.content.spool import Spooled, StorageFull
from posthouse.database import Unavailable
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival
from posthouse.queue.identity import name_of, new_queue_id
from posthouse.reception import scanners, trace
from posthouse.reception.acceptance import queued_as
from posthouse.reception.policy import decision
from posthouse.reception.policy.decision import Plan, Verdict
from posthouse.reception.policy.facts import Facts, Verified
from posthouse.reception.policy.fields import tag_field
from posthouse.reception.policy.question import RELAY
from posthouse.reception.scanners import Finished, finished
from posthouse.routing import Refused
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

if TYPE_CHECKING:
    from posthouse.reception.transaction import Transaction

_log = logging.getLogger(__name__)
WORTH_TELLING = 0.1  # the part of what came before that was bad
MOST_TOLD = 50  # recipients of a refused message that have an event of their own
Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Came:
    """What all shares of a message have in common: its header, hosts it passed, its Message-ID and when it came."""

    header: bytes
    hops: int
    message_id: str
    at: float


class Share:
    """`people`: no two of them the same; `extra`: whether recipients that a milter adds belong to them."""

    __slots__ = ("_verdicts", "above", "below", "came", "content", "extra", "facts", "item", "kept", "people",
                 "trace", "transaction")  # fmt: skip

    def __init__(
        self, transaction: Transaction, came: Came, facts: Facts, content: Spooled, people: Sequence[Recipient],
        extra: bool = True,
    ) -> None:  # fmt: skip
        self.transaction, self.came, self.facts, self.content = transaction, came, facts, content
        self.people, self.extra = tuple(people), extra
        self.item = new_queue_id(int(came.at * 1_000_000))
        self.trace = self.above = self.below = b""  # our Received field; what scanning puts around our fields
        self.kept = False  # the content is ours now, durably
        self._verdicts: dict[str, Verdict] | None = None

    def part(self, people: Sequence[Recipient], content: Spooled, extra: bool = True) -> Share:
        """A share for some of the people, who know what is known by now."""
        addresses = [one.address for one in people]
        facts = dataclasses.replace(self.facts, recipients=addresses)
        part = Share(self.transaction, self.came, facts, content, people, extra)
        facts.item = part.item
        return part

    @property
    def plans(self) -> dict[Plan, list[str]]:
        """Whose modes are the same."""
        plans: dict[Plan, list[str]] = {}
        for one in self.people:
            plans.setdefault(self.transaction.plans[one.address], []).append(one.address)
        return plans

    def verdicts(self) -> dict[str, Verdict]:
        """What policy says to each recipient, by address; `learnt` when there is more to judge by."""
        if self._verdicts is None:
            rules, plans = self.transaction.talk.stance.rules, self.transaction.plans
            self._verdicts = {
                one.address: decision.judge(plans[one.address].content, self.facts, rules, one.address)
                for one in self.people
            }
        return self._verdicts

    def learnt(self) -> None:
        """Something was found out that may change a verdict."""
        self._verdicts = None

    def tags(self) -> Tags:
        """What is written down for these people."""
        rules, found = self.transaction.talk.stance.rules, dict[str, str]()
        for plan, addresses in self.plans.items():
            found |= dict(decision.tags(plan, self.facts, rules, addresses))
        return tuple(found.items())

    def by_tags(self) -> list[list[Recipient]]:
        """The people, those together for whom the same is written down: as many lists as their modes differ."""
        plans = self.plans
        if len(plans) < 2 or not any(plan.tags for plan in plans):
            return [list(self.people)]
        rules = self.transaction.talk.stance.rules
        alike = {plan: decision.tags(plan, self.facts, rules, addresses) for plan, addresses in plans.items()}
        lists: dict[Tags, list[Recipient]] = {}
        for one in self.people:
            lists.setdefault(alike[self.transaction.plans[one.address]], []).append(one)
        return list(lists.values())

    async def accepted(self, taken: Sequence[Recipient], tags: Tags, found: str) -> Reply:
        """These people take it: with its edits and remarks it becomes ours. What nobody keeps leaves no file."""
        talk, facts = self.transaction.talk, self.facts
        discarded = next((scan.scanner for scan in facts.scans if scan.result == "discard"), "")
        if discarded:
            return self._thrown_away(discarded, found)
        try:
            done = await finished(self.content, facts.scans, talk.desk.configuration, facts.visit.role != RELAY)
        except StorageFull as trouble:
            return talk.no_to([one.address for one in taken], "acceptance", catalogue.STORAGE_FULL, str(trouble))
        self.content, self.above, self.below = done.content, done.prefix, done.below
        try:
            people = await self._edited(taken, done)
            if not people:  # as Postfix and Sendmail have it: a message without recipients goes to nobody
                return self._thrown_away("a milter, which took every recipient away", found)
            return await self.keep(people, tags, found, done)
        finally:
            self.content.discard()  # what was kept has another name by now

    def _thrown_away(self, by: str, found: str) -> Reply:
        """It is accepted, and nobody gets it; the maillog says on whose word."""
        at, visit = int(self.came.at * 1000), self.facts.visit
        maillog.discarded(at, self.item, self.facts.return_path, visit.address, by, found)
        return queued_as(name_of(self.item))

    async def _edited(self, taken: Sequence[Recipient], done: Finished) -> tuple[Recipient, ...]:
        """The recipients as milters want them; a milter may send anywhere, but not to what does not exist.

        One that exists nowhere, or cannot be looked up now, leaves the others as they were: no mail is lost for it.
        """
        if len(taken) == 1 and not (done.added or done.removed):
            return tuple(taken)
        gone = {key(address) for address in done.removed}
        kept = {key(one.address): one for one in taken if key(one.address) not in gone}
        for path in done.added if self.extra else ():
            try:
                destination = await self.transaction.talk.desk.router.route(path.address, True)
            except Unavailable:
                destination = None
            if destination is None or isinstance(destination, Refused):
                _log.warning("A milter adds the recipient %s, which leads nowhere; left out", path.address)
                kept = kept or {key(one.address): one for one in taken}
            else:
                kept.setdefault(key(path.address), Recipient(path.address, path.notify, path.original_recipient))
        return tuple(kept.values())

    async def keep(
        self, taken: Sequence[Recipient], tags: Tags = (), found: str = "", done: Finished | None = None
    ) -> Reply:
        """Make it ours for these recipients; `done`: what scanning made of it."""
        talk, path = self.transaction.talk, self.transaction.path
        desk, came = talk.desk, self.came
        octets, message_id = self.content.octets, came.message_id
        above = self.above + tag_field(tags) + authentication_results(self.facts, desk.host)
        prefix = above + self.received(taken) + self.below
        if desk.submission:
            added, message_id = trace.added_to_submission(came.header, desk.host, came.at, desk.random)
            prefix += added
        # What the content is counts, not what the client said of it; a file is too large to look through again.
        eight_bit = path.body == "8BITMIME" if octets is None else not octets.isascii()
        other = None if done is None else done.return_path
        sender = path if other is None else dataclasses.replace(
            path, address=other.address, envid=other.envid or path.envid, ret=other.ret or path.ret
        )  # fmt: skip
        arrival = Arrival(
            item=self.item,
            content=self.content,
            prefix=prefix,
            envelope=Envelope(
                sender.address,
                tuple(taken),
                "8BITMIME" if eight_bit else "7BIT",
                path.smtputf8,
                sender.envid,
                sender.ret,
            ),
            origin=talk.origin,
            received_at=int(came.at * 1000),
            peer=talk.visit.address,
            message_id=message_id,
            evidence=found,
            verdict=Verdict(tags=tags).words() if tags else "",
        )
        reply = await desk.acceptance.take(arrival, queued_as(name_of(self.item)))
        self.kept = reply.positive
        return reply

    def received(self, taken: Sequence[Recipient] = ()) -> bytes:
        """The Received field; it names the recipient only when there is exactly one (RFC 5321 §7.6)."""
        if not self.trace:
            people = taken or self.people
            for_one = people[0].address if len(people) == 1 else ""
            path, at = self.transaction.path, self.came.at
            self.trace = self.transaction.talk.received(name_of(self.item), path, for_one, at)
        return self.trace


def key(address: str) -> str:
    """What tells recipients apart."""
    try:
        return key_of(address)
    except AddressError:
        return address


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
        if facts.crowded:
            who = f"{facts.known_as} was here before" if facts.known_as else "a stranger"
            words.append(f"in a flood of others: {who}")
        words += [f"callout: {_said(one)}" for one in (facts.callout, *facts.author_callouts) if one is not None]
        asked = [one for one in facts.verified.values() if one.answer != "yes"]
        words += [f"recipient elsewhere: {_said(one)}" for one in asked[:MOST_TOLD]]
        if facts.scans:
            words.append(scanners.words(facts.scans))
        return "; ".join(words)[:4000]
    except Exception:
        _log.exception("Evidence could not be put into words for a fault of ours")
        return ""
