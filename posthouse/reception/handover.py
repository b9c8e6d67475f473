"""From the end of the content to its reply: looked at, judged, made ours, or refused with a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from posthouse.content.spool import Spool, Spooled, StorageFull
from posthouse.message.envelope import Recipient
from posthouse.reception import trace
from posthouse.reception.gathering import Gathering
from posthouse.reception.policy import decision
from posthouse.reception.policy.decision import ACCEPT, REFUSE, Verdict
from posthouse.reception.policy.question import RELAY
from posthouse.reception.share import MOST_TOLD, Came, Share, Tags, found_words
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import FinalReply

if TYPE_CHECKING:
    from posthouse.reception.transaction import Transaction

_log = logging.getLogger(__name__)


def end(transaction: Transaction, spool: Spool) -> FinalReply | Awaitable[FinalReply]:
    """The reply, or one for each accepted recipient (LMTP)."""
    if spool.on_disk:
        return _end_large(transaction, spool)
    return Ending(transaction, spool.finish()).answer()


async def _end_large(transaction: Transaction, spool: Spool) -> FinalReply:
    """A file must be on the disk before its row is: that waits, so it happens in a thread."""
    try:
        spooled = await asyncio.get_running_loop().run_in_executor(None, spool.finish)
    except StorageFull as trouble:
        return transaction.talk.no("acceptance", catalogue.STORAGE_FULL, reason=str(trouble))
    ending = Ending(transaction, spooled)
    try:
        answer = ending.answer()
        return await answer if isinstance(answer, Awaitable) else answer
    finally:
        # What was kept has another name by now; a second name of the same file (`twin`) stays where it was.
        for share in ending.shares:
            share.content.discard()


class Ending:
    """One message whose content has come. `shares`: who is treated alike, at first all."""

    __slots__ = ("facts", "shares", "transaction")

    def __init__(self, transaction: Transaction, content: Spooled) -> None:
        self.transaction, self.facts = transaction, transaction.facts
        octets = content.octets
        header = trace.header_of(octets if octets is not None else content.head(trace.HEADER_READ))
        came = Came(header, *trace.hops_and_id(header), transaction.talk.desk.clock())
        self.shares = [Share(transaction, came, self.facts, content, tuple(transaction.recipients.values()))]

    def answer(self) -> FinalReply | Awaitable[FinalReply]:
        """The reply, or one for each accepted recipient (LMTP)."""
        talk, whole = self.transaction.talk, self.shares[0]
        hops = whole.came.hops
        if 0 < talk.desk.hops < hops:  # RFC 5321 §6.3
            return talk.no("content", catalogue.TOO_MANY_HOPS, reason=f"{hops} Received fields")
        if talk.gathering is None or not self._anything_to_look_at(talk.gathering):
            return whole.keep(whole.people)
        return self._judged(talk.gathering)

    def _anything_to_look_at(self, gathering: Gathering) -> bool:
        """Whether any mode, or the evidence that is written down, has to do with this message."""
        for plan in set(self.transaction.plans.values()):
            if plan.content or plan.tags:
                return True
        return gathering.examines() or gathering.scans() or self.facts.visit.role != RELAY

    async def _judged(self, gathering: Gathering) -> FinalReply:
        """Find out what the modes need, the cheap things first, and stop where nobody would take it."""
        facts, transaction, whole = self.facts, self.transaction, self.shares[0]
        facts.header, facts.size, facts.item = whole.came.header, whole.content.size, whole.item
        plans = set(transaction.plans.values())
        needs: frozenset[str] = frozenset().union(*(plan.content_needs | plan.tag_needs for plan in plans))
        await gathering.examine(facts, whole.content, needs, transaction.path.smtputf8)
        gathering.count("messages", facts)
        await gathering.settle(needs)
        verdicts = whole.verdicts()
        if "waiting" in needs and _anybody(verdicts.values()):
            strangers = [one for one, plan in transaction.plans.items() if plan.modes["greylist"].value != decision.OFF]
            await gathering.wait(facts, strangers)
            if any(one.seconds for one in facts.waiting.values()):
                whole.learnt()
                verdicts = whole.verdicts()
        try:
            if gathering.scans() and _anybody(verdicts.values()):
                await self._scan(gathering)
            if transaction.talk.lmtp:
                self._divide([people for share in self.shares for people in share.by_tags()])
        except StorageFull as trouble:
            return transaction.talk.no("acceptance", catalogue.STORAGE_FULL, reason=str(trouble))
        return await self._answered(gathering)

    async def _scan(self, gathering: Gathering) -> None:
        """Once for all; by LMTP once for each kind of recipients that scanners treat alike. Raises StorageFull."""
        transaction, until = self.transaction, gathering.patience()
        if transaction.talk.lmtp:
            self._divide(gathering.parts(self.shares[0].people))
            if len(self.shares) > 1:
                gathering.in_parts()
        for share in self.shares:
            if _anybody(share.verdicts().values()):
                await gathering.scan(share.facts, share.content, share.received(), until)
                share.learnt()

    def _divide(self, lists: list[list[Recipient]]) -> None:
        """Shares for these people, each with a content of its own. Raises StorageFull."""
        if len(lists) == len(self.shares):
            return
        told = {one.address: share for share in self.shares for one in share.people}
        first: set[int] = set()
        shares = self.shares
        self.shares = []
        for people in lists:
            share = told[people[0].address]
            if len(people) == len(share.people):
                self.shares.append(share)
                continue
            try:
                content = share.content if share.item not in first else share.content.twin()
            except StorageFull:
                self.shares += shares  # so that all of them are forgotten
                raise
            self.shares.append(share.part(people, content, extra=share.item not in first))
            first.add(share.item)
        assert sum(len(share.people) for share in self.shares) == sum(len(share.people) for share in shares)

    def _verdicts(self) -> dict[str, Verdict]:
        verdicts = {who: verdict for share in self.shares for who, verdict in share.verdicts().items()}
        if self.transaction.talk.lmtp:
            return verdicts
        return dict.fromkeys(verdicts, decision.together(list(verdicts.values())))  # SMTP has one reply

    async def _answered(self, gathering: Gathering) -> FinalReply:
        talk, verdicts = self.transaction.talk, self._verdicts()
        replies: dict[str, Reply] = {}
        words = {share.item: found_words(share.facts) for share in self.shares}
        for share in self.shares:
            found = words[share.item]
            for one in share.people:
                verdict = verdicts[one.address]
                if verdict.reply is not None:
                    told = len(replies) < MOST_TOLD
                    replies[one.address] = (
                        talk.denied("content", verdict, one.address, found) if told else verdict.reply
                    )
        taken = [
            (share, people)
            for share in self.shares
            if (people := [one for one in share.people if one.address not in replies])
        ]
        if not taken:
            for check in {verdict.check for verdict in verdicts.values() if verdict.action == REFUSE}:
                gathering.unwelcome(self.facts, check)
        remarks: dict[str, None] = {}
        for share, people in taken:
            tags = share.tags()
            reply = await self._accepted(share, people, tags, words[share.item])
            replies |= {one.address: reply for one in people}
            if share.kept:
                remarks |= dict.fromkeys(name for name, _ in tags)
        if any(share.kept for share, _ in taken):
            self._learn(gathering, list(remarks))
        if talk.lmtp:
            return [replies[who] for who in self.transaction.answers]
        return replies[next(iter(verdicts))]

    async def _accepted(self, share: Share, people: list[Recipient], tags: Tags, found: str) -> Reply:
        """The reply to these people. A fault of ours with one share must not have the others, which are kept, sent
        again and again."""
        try:
            return await share.accepted(people, tags, found)
        except Exception:
            if len(self.shares) == 1:
                raise
            _log.exception("A part of a message was not kept for a fault of ours")
            return self.transaction.talk.no_to(
                [one.address for one in people], "acceptance", catalogue.TEMPORARILY_UNAVAILABLE, "a fault of ours"
            )

    def _learn(self, gathering: Gathering, remarks: list[str]) -> None:
        """The message is ours for somebody at least; `remarks`: the checks that were written down of it."""
        tally = self.transaction.talk.desk.tally
        tally.add("", ACCEPT)
        for name in remarks:
            tally.add(name, "tag")
        gathering.welcome(self.facts, remarks)


def _anybody(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.action == ACCEPT for verdict in verdicts)
