"""One transaction: its return path, which recipients are taken, and what policy says of each."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthouse.content.spool import Spool
from posthouse.database import Unavailable
from posthouse.message.envelope import Recipient
from posthouse.reception import handover
from posthouse.reception.flood import counted_as
from posthouse.reception.policy.decision import ACCEPT, DEFER, REFUSE, Plan, Verdict, judge
from posthouse.reception.policy.facts import Facts
from posthouse.reception.scanners import Escort
from posthouse.reception.share import found_words
from posthouse.routing import Destination, Refused, ToList, ToRelay, ToRemote, return_path_refusal
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import FinalReply, ForwardPath, MaybeReply, ReturnPath

if TYPE_CHECKING:
    from posthouse.reception.session import Conversation

_WITH_CONTENT = frozenset(("spf",))  # evidence finds it out while the content comes, unless a reply waits for it
TAKES_REPORTS = "bounces"  # the role of a list's address that broken hosts, too, must reach


@dataclass(slots=True)
class _Place:
    """One RCPT on its way: what was said, where it leads, and which modes hold."""

    path: ForwardPath
    address: str
    key: object  # recipients with equal keys get one copy
    mailing_list: str
    plan: Plan
    alike: object
    destination: Destination
    counted: tuple[str, str]  # the recipient and the list as rates know them


class Transaction:
    """From MAIL to the end of the content."""

    __slots__ = ("alike", "answers", "facts", "path", "plans", "recipients", "talk")

    def __init__(self, talk: Conversation, path: ReturnPath) -> None:
        self.talk, self.path = talk, path
        self.facts = Facts(talk.visit, path.address, path.size or 0)
        self.alike: object = None  # what all recipients of one SMTP transaction must have in common
        self.recipients: dict[object, Recipient] = {}
        self.plans: dict[str, Plan] = {}  # by the address of the recipient
        self.answers: list[str] = []  # LMTP: whose reply each accepted RCPT gets at the end
        if talk.gathering is not None:
            talk.gathering.opened(self.facts, path.body, talk.stance.base.rcpt_needs, path.auth)

    def recipient(self, path: ForwardPath) -> MaybeReply:
        """RCPT: where does it lead? Answered from memory where that is certain."""
        talk = self.talk
        address = path.address
        if "@" not in address:  # RFC 5321 §4.1.1.3: <postmaster> alone
            address = f"{address}@{talk.desk.host}"
        destination = talk.desk.router.known(address, talk.visit.trusted)
        if destination is None:
            return self._look(path, address)
        return self._decide(path, address, destination)

    async def _look(self, path: ForwardPath, address: str) -> Reply:
        try:
            destination = await self.talk.desk.router.route(address, self.talk.visit.trusted)
        except Unavailable as trouble:
            reply = self.talk.no("rcpt", catalogue.TEMPORARILY_UNAVAILABLE, address, str(trouble)[:300])
            answer = self._refused(address, reply)
            return answer if isinstance(answer, Reply) else await answer
        answer = self._decide(path, address, destination)
        return answer if isinstance(answer, Reply) else await answer

    def _decide(self, path: ForwardPath, address: str, destination: Destination) -> MaybeReply:
        talk = self.talk
        kind = type(destination)
        if isinstance(destination, Refused):
            if talk.gathering is not None and destination.reply.permanent:
                talk.gathering.count("refused recipients", self.facts, address)
                talk.gathering.unwelcome(self.facts, "")
            return self._refused(address, talk.no("rcpt", destination.reply, address, destination.why))
        if talk.lmtp and isinstance(destination, ToRelay | ToRemote):
            # LMTP is the last hop (RFC 2033 §1): it takes what lives here and passes nothing on.
            why = "LMTP takes mail for our own addresses only"
            return self._refused(address, talk.no("rcpt", catalogue.RELAYING_DENIED, address, why))
        refusal = return_path_refusal(destination, self.path.address)
        if refusal is not None:
            return self._refused(address, talk.no("rcpt", refusal, address))
        mailing_list = destination.list_address if isinstance(destination, ToList) else ""
        plan = talk.stance.plan(address.rpartition("@")[2], mailing_list)
        alike = plan.content_modes, talk.gathering.group(address) if talk.gathering is not None else ()
        if self.alike is not None and alike != self.alike and not talk.lmtp:
            reply = talk.no("rcpt", catalogue.SEND_SEPARATELY, address, "other modes hold for its content")
            return self._refused(address, reply)
        # Two spellings of one list address are one posting; else the list would send everything twice.
        key: object = destination if kind is ToList else address
        place = _Place(path, address, key, mailing_list, plan, alike, destination, counted_as(destination, address))
        gathering = talk.gathering
        if gathering is not None:
            needs = plan.rcpt_needs
            if needs or plan.tag_needs:
                next_hop = destination.domain if isinstance(destination, ToRelay) else ""
                if isinstance(destination, ToList) and destination.role == TAKES_REPORTS:
                    needs = needs - {"callout"}
                gathering.begin(needs | plan.tag_needs - _WITH_CONTENT, address, next_hop)
            if gathering.escort is not None or not gathering.known(needs, address) or self._must_ask(place):
                return self._settled(place, needs)
        return self._judged(place) if plan.rcpt or plan.tag_needs else self._accept(place)

    def _refused(self, address: str, reply: Reply) -> MaybeReply:
        """The reply that refuses a recipient, once milters that ask for refused recipients have heard of it."""
        escort = self.talk.gathering.escort if self.talk.gathering is not None else None
        return reply if escort is None else _told(escort, address, reply)

    async def _settled(self, place: _Place, needs: frozenset[str]) -> Reply:
        gathering, address = self.talk.gathering, place.address
        assert gathering is not None
        await gathering.settle(needs, address)
        if self._must_ask(place):
            await gathering.acquaint(self.facts)
        refusal, escort = self._refusal(place), gathering.escort
        if escort is None:
            return refusal or self._accept(place)
        if refusal is not None:
            return await _told(escort, address, refusal)
        said = await escort.recipient(address, *_way(place.destination, address))
        if said is not None and not said.positive:
            mode = place.plan.modes["scanner"].value
            if mode in (DEFER, REFUSE):
                reply = said.softened() if mode == DEFER else said
                verdict = Verdict(DEFER if reply.temporary else REFUSE, "scanner", reply, "a milter said so")
                return self.talk.denied("rcpt", verdict, address, found_words(self.facts))
        return self._accept(place)

    def _must_ask(self, place: _Place) -> bool:
        """Whether others send so much of the same that it must be asked who this is."""
        gathering = self.talk.gathering
        return gathering is not None and "excess" in place.plan.needs and gathering.crowded(self.facts, *place.counted)

    def _judged(self, place: _Place) -> Reply:
        return self._refusal(place) or self._accept(place)

    def _refusal(self, place: _Place) -> Reply | None:
        talk, address = self.talk, place.address
        if talk.gathering is not None and "excess" in place.plan.needs:
            talk.gathering.excess(self.facts, *place.counted)
        verdict = judge(place.plan.rcpt, self.facts, talk.stance.rules, address)
        if verdict.action != ACCEPT:
            if talk.gathering is not None and verdict.action == REFUSE:
                talk.gathering.count("refused recipients", self.facts, address)
                talk.gathering.unwelcome(self.facts, verdict.check)
            return talk.denied("rcpt", verdict, address, found_words(self.facts))
        return None

    def _accept(self, place: _Place) -> Reply:
        gathering, path = self.talk.gathering, place.path
        if gathering is not None:
            if not self.recipients:
                gathering.accepted()
            gathering.count("recipients", self.facts, *place.counted)
        self.alike = self.alike or place.alike
        kept = self.recipients.setdefault(place.key, Recipient(place.address, path.notify, path.original_recipient))
        self.plans.setdefault(kept.address, place.plan)
        self.facts.recipients.append(place.address)
        if self.talk.lmtp:
            self.answers.append(kept.address)
        return catalogue.RCPT_OK

    def end(self, spool: Spool) -> FinalReply | Awaitable[FinalReply]:
        """The content has come."""
        return handover.end(self, spool)


async def _told(escort: Escort, address: str, reply: Reply) -> Reply:
    await escort.refused(address, reply)
    return reply


def _way(destination: Destination, address: str) -> tuple[str, str]:
    """Who will carry it, and to where, as milters are told."""
    if isinstance(destination, ToRelay | ToRemote):
        return "smtp", destination.domain
    return "local", address.rpartition("@")[2]
