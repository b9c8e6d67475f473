"""The policy of one connection: who is here, step by step as the engine asks. The envelope is `transaction`'s."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from posthouse import maillog
from posthouse.content.spool import Spool
from posthouse.reception import trace
from posthouse.reception.desk import Desk
from posthouse.reception.gathering import Gathering
from posthouse.reception.limits import client_key
from posthouse.reception.policy.checks import flood
from posthouse.reception.policy.decision import ACCEPT, CLEAR, DEFER, REFUSE, Stance, Verdict, judge
from posthouse.reception.policy.facts import Facts, Visit
from posthouse.reception.scanners import Escort
from posthouse.reception.share import MOST_TOLD
from posthouse.reception.transaction import Transaction
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions, FinalReply, ForwardPath, MaybeReply, Peer, ReturnPath, Sink, TlsFacts


class Conversation:
    """One connection. The engine has checked syntax, order and bounds before it asks here."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.lmtp = desk.kind == "lmtp"
        self.limits = desk.limits
        self.server: Server | None = None
        self.visit = Visit(desk.kind, "")
        self.stance: Stance = desk.decision.stance(desk.kind, "stranger")
        self.gathering: Gathering | None = None  # where something may have to be found out
        self._client: str | None = None  # how the doorkeeper counted us, while we are inside
        self._trace: tuple[bytes, bytes] | None = None
        self._named = False  # whether the trace names the client
        self._open: Transaction | None = None

    # -- the connection -------------------------------------------------------------------------------------------

    def greet_delay(self, address: str) -> float:
        """RFC 5321 §4.3.1: a client waits for the greeting; who does not is found out by letting it wait."""
        desk = self.desk
        if not desk.may_hold_back:
            return 0.0
        stance = desk.decision.stance(desk.kind, desk.role(address), desk.neighbourhood.of(address))
        return desk.greet_seconds if stance.base.modes["early_talker"].value != "off" else 0.0

    def greeting(self, peer: Peer) -> Reply:
        """220 with our name (RFC 5321 §4.2), 421 when there are too many, 554 for whom policy does not let in."""
        desk = self.desk
        visit = self.visit = Visit(
            desk.kind, peer.address, peer.port, peer.local_address, peer.local_port, tls=peer.tls,
            early=peer.talked_early,
        )  # fmt: skip
        key = client_key(peer.address)
        role = desk.role(peer.address)
        refusal = desk.doorkeeper.enter(key, role)
        if refusal is not None:
            return self._turned_away(key, refusal)
        self._client = key
        visit.networks = desk.neighbourhood.of(peer.address)
        visit.role = role
        visit.trusted = desk.kind == "transfer" and visit.role == "relay"
        stance = self.stance = desk.decision.stance(desk.kind, visit.role, visit.networks)
        verdict = judge(stance.base.connect, Facts(visit), stance.rules) if stance.base.connect else CLEAR
        if verdict.action == ACCEPT and (visit.role != "relay" or stance.base.needs or desk.scans(visit)):
            verdict = self._look_at(visit, stance)
        if verdict.reply is not None:
            desk.doorkeeper.leave(key, role)
            self._client = None
            return self._turned_away(key, verdict.reply, verdict)
        if self.server is not None:
            desk.guests.add(self.server)
        return desk.greeting

    def _look_at(self, visit: Visit, stance: Stance) -> Verdict:
        """Begin to find out about the client; one that connects too often hears so at once."""
        gathering = self.gathering = Gathering(self.desk.sources, visit)
        if stance.base.modes["flood"].value in (DEFER, REFUSE):
            facts = Facts(visit)
            gathering.excess(facts)
            reason = flood(facts, stance.rules, "")
            if reason is not None:
                self.gathering = None
                return Verdict(DEFER, "flood", catalogue.TOO_FAST, reason)
        gathering.connected(stance.base.rcpt_needs)
        gathering.count("connections")
        return CLEAR

    def _turned_away(self, key: str, reply: Reply, verdict: Verdict | None = None) -> Reply:
        desk, now = self.desk, self.desk.clock()
        if desk.soft and reply.permanent:  # RFC 5321 §3.1: a greeting is 220, 554 or (§3.8) 421
            reply = Reply(421, f"4{reply.enhanced[1:]}", reply.text)
        desk.tally.add(verdict.check if verdict else "limits", verdict.action if verdict else "defer")
        if desk.doorkeeper.worth_telling(key, now):
            reason = verdict.reason if verdict else ""
            maillog.connection_refused(int(now * 1000), self.visit.address, desk.kind, self._said(reply), reason)
        return reply

    def extensions(self) -> Extensions:
        """What EHLO offers here."""
        return self.desk.extensions

    def hello(self, verb: str, name: str) -> Reply:
        """Note what the client calls itself; it is not believed, only written down and looked at."""
        self.visit.verb, self.visit.helo = verb, name
        self._trace = None
        if self.gathering is not None:
            self.gathering.hello(self.stance.base.rcpt_needs)
        return self.desk.hello

    def tls_started(self, facts: TlsFacts) -> None:
        """RFC 3207 §4.2: what was said in clear text is forgotten."""
        self.visit.tls = facts
        self.visit.verb = self.visit.helo = ""
        self._trace = None
        self.reset()

    def closed(self, reason: str) -> None:
        """The connection is gone."""
        self.reset()
        if self.gathering is not None:
            self.gathering.closed()
        if self._client is not None:
            self.desk.doorkeeper.leave(self._client, self.visit.role)
            self._client = None
        if self.server is not None:
            self.desk.guests.discard(self.server)
            self.server = None

    def refused(self, stage: str, reply: Reply, text: str) -> None:
        """The engine said no: for the maillog."""
        self.no(stage, reply, reason=text)

    def unknown(self, line: str) -> MaybeReply:
        """A command that nobody knows: a milter may have words of its own for it."""
        escort = self.gathering.escort if self.gathering is not None else None
        return catalogue.UNKNOWN_COMMAND if escort is None else _answered(escort, line)

    def authenticate(self, mechanism: str, identity: str, password: str, authorization: str) -> Awaitable[Reply]:
        """AUTH; the engine asks only under TLS and only where `extensions` offers it."""
        return self._authenticate(mechanism, identity, password, authorization)

    async def _authenticate(self, mechanism: str, identity: str, password: str, authorization: str) -> Reply:
        reply, admitted = await self.desk.login.sign_in(self.visit, identity, password, authorization)
        if admitted is not None:
            visit = self.visit
            visit.trusted, visit.mechanism = True, mechanism
            visit.account, visit.account_id = admitted.account.address or identity, admitted.account.id
            visit.rights = admitted.rights
        return reply

    # -- the envelope and the content -----------------------------------------------------------------------------

    def mail(self, path: ReturnPath) -> MaybeReply:
        """MAIL: RFC 6409 §4.3 for submissions; the disk; anything else may try."""
        visit = self.visit
        if self.desk.submission and visit.account_id is None:
            return self.no("mail", catalogue.TLS_REQUIRED if visit.tls is None else catalogue.AUTH_REQUIRED)
        refusal = self.desk.acceptance.refusal(path.size or 0) or self.desk.pressure.refusal(visit.role)
        if refusal is not None:
            return self.no("mail", refusal)
        self._open = Transaction(self, path)
        return catalogue.MAIL_OK

    def recipient(self, path: ForwardPath) -> MaybeReply:
        """RCPT: where does it lead, and may it come from here?"""
        transaction = self._open
        return catalogue.MAIL_FIRST if transaction is None else transaction.recipient(path)

    def reset(self) -> None:
        """The transaction is over."""
        self._open = None
        if self.gathering is not None:
            self.gathering.ended()

    def begin_content(self) -> Sink | Reply:
        """DATA or BDAT: a place for the content, while the disk has room."""
        refusal = self.desk.acceptance.refusal()
        if refusal is not None:
            return self.no("data", refusal)
        return Spool(self.desk.spool_folder, self.desk.spool_above)

    def end_content(self, sink: Sink) -> FinalReply | Awaitable[FinalReply]:
        """All of the content is here: make it ours."""
        transaction = self._open
        assert isinstance(sink, Spool) and transaction is not None
        return transaction.end(sink)

    @property
    def origin(self) -> str:
        """How mail from here is enqueued."""
        if self.visit.local_address in self.stance.rules.inside_addresses:
            return "inside"
        return "submission" if self.desk.submission else self.desk.kind

    def received(self, name: str, mail: ReturnPath, recipient: str, now: float) -> bytes:
        """The Received field of a message; what stays the same for all of a connection is kept."""
        visit = self.visit
        if self._trace is None or (visit.client_name is not None and not self._named):
            self._named = visit.client_name is not None
            self._trace = trace.received_from(visit.helo, visit.address, self.desk.host, visit.tls, visit.client_name)
        word = trace.protocol(
            visit.verb, lmtp=self.lmtp, tls=visit.tls is not None, signed_in=visit.account_id is not None,
            smtputf8=mail.smtputf8,
        )  # fmt: skip
        return trace.received(self._trace, word, name, recipient, now)

    # -- saying no ------------------------------------------------------------------------------------------------

    def no(self, stage: str, reply: Reply, recipient: str = "", reason: str = "") -> Reply:
        """Say no, and write it down; about a whole message for those who would have got it."""
        if recipient or self._open is None or stage not in _WHOLE:
            return self.no_to([recipient], stage, reply, reason)
        return self.no_to(self._open.facts.recipients, stage, reply, reason)

    def no_to(self, recipients: Sequence[str], stage: str, reply: Reply, reason: str) -> Reply:
        """Say no to these, each with an event: whoever looks for mail that did not come knows its recipient."""
        for recipient in recipients[:MOST_TOLD] or [""]:
            self.note(stage, reply, recipient, reason)
        return reply

    def denied(self, stage: str, verdict: Verdict, recipient: str, found: str = "") -> Reply:
        """Policy says no: written down with its check, its reason and what was found out."""
        assert verdict.reply is not None and verdict.action != ACCEPT
        self.desk.tally.add(verdict.check, verdict.action)
        self.note(stage, verdict.reply, recipient, verdict.reason, verdict.check, found)
        return verdict.reply

    def note(self, stage: str, reply: Reply, recipient: str, reason: str, check: str = "", found: str = "") -> None:
        """Something was refused or deferred: for the maillog."""
        return_path = self._open.path.address if self._open is not None else ""
        maillog.refused(
            int(self.desk.clock() * 1000), stage, self.visit.address, return_path, recipient, self._said(reply), reason,
            check, found,
        )  # fmt: skip

    def _said(self, reply: Reply) -> str:
        return str(reply.softened() if self.desk.soft else reply)


_WHOLE = ("data", "content", "acceptance")  # stages at which no is said to a message


async def _answered(escort: Escort, line: str) -> Reply:
    return await escort.unknown(line) or catalogue.UNKNOWN_COMMAND
