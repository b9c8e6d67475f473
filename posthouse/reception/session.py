"""The policy of one connection: who may send what to whom here, step by step as the engine asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

from posthouse import maillog
from posthouse.content.spool import Spool, Spooled, StorageFull
from posthouse.database import Unavailable
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival
from posthouse.queue.identity import name_of, new_queue_id
from posthouse.reception import trace
from posthouse.reception.acceptance import Acceptance, queued_as
from posthouse.reception.evidence import Evidence, Inquiry, Witness
from posthouse.reception.limits import Doorkeeper, Networks, client_key
from posthouse.reception.login import Login
from posthouse.routing import Destination, Refused, Router, ToList, ToRelay, ToRemote, return_path_refusal
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions, ForwardPath, Limits, MaybeReply, Peer, ReturnPath, Sink, TlsFacts


class Guests:
    """Every connection of the process that was greeted and has not gone."""

    def __init__(self) -> None:
        self._inside: set[Server] = set()
        self._empty = asyncio.Event()

    def add(self, server: Server) -> None:
        """One came in."""
        self._inside.add(server)

    def discard(self, server: Server) -> None:
        """One has gone."""
        self._inside.discard(server)
        if not self._inside:
            self._empty.set()

    def shutdown(self) -> None:
        """Tell each to go at its next command boundary."""
        for server in list(self._inside):
            server.shutdown()

    async def gone(self, seconds: float) -> None:
        """Wait until all have gone, at most `seconds`; then cut off who is still here."""
        self._empty.clear()
        if self._inside:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)
        for server in list(self._inside):
            server.abort()


@dataclass(frozen=True)
class Desk:
    """What all connections of one kind of listener share."""

    kind: str  # transfer, submission, submissions or lmtp
    host: str
    banner: str
    limits: Limits
    hops: int
    extensions: Extensions
    router: Router
    acceptance: Acceptance
    login: Login
    doorkeeper: Doorkeeper
    relay_networks: Networks
    spool_folder: Path
    spool_above: int
    clock: Callable[[], float]
    random: Random
    guests: Guests
    witness: Witness | None = None  # where mail from strangers is looked at

    @cached_property
    def greeting(self) -> Reply:
        """220 with our name (RFC 5321 §4.2)."""
        return Reply(220, "", f"{self.host} {'LMTP' if self.kind == 'lmtp' else 'ESMTP'} {self.banner}".rstrip())

    @cached_property
    def hello(self) -> Reply:
        """The first line of the answer to HELO, EHLO or LHLO (RFC 5321 §4.1.1.1)."""
        return Reply(250, "", self.host)

    @cached_property
    def submission(self) -> bool:
        """Whether people sign in here."""
        return self.kind in ("submission", "submissions")


class Conversation:
    """One connection. The engine has checked syntax, order and bounds before it asks here."""

    greet_delay = 0.0

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.lmtp = desk.kind == "lmtp"
        self.limits = desk.limits
        self.server: Server | None = None
        self._submission = desk.submission
        self._origin = "submission" if desk.submission else desk.kind
        self._address = ""
        self._client: str | None = None  # how the doorkeeper counted us, while we are inside
        self._tls: TlsFacts | None = None
        self._verb = self._name = ""
        self._signed_in = False
        self._may_relay = False
        self._trace: tuple[bytes, bytes] | None = None
        self._mail: ReturnPath | None = None
        self._recipients: dict[object, Recipient] = {}
        self._inquiry: Inquiry | None = None  # about a stranger

    # -- the connection -------------------------------------------------------------------------------------------

    def greeting(self, peer: Peer) -> Reply:
        """220 with our name (RFC 5321 §4.2), or 421 when there are too many."""
        desk = self._desk
        self._address = peer.address
        self._tls = peer.tls
        key = client_key(peer.address)
        refusal = desk.doorkeeper.enter(key)
        if refusal is not None:
            now = desk.clock()
            if desk.doorkeeper.worth_telling(key, now):
                maillog.connection_refused(int(now * 1000), peer.address, desk.kind, str(refusal))
            return refusal
        self._client = key
        if self.server is not None:
            desk.guests.add(self.server)
        # No address is trusted for being near: loopback relays when the operator lists it, like any other network.
        self._may_relay = desk.kind == "transfer" and peer.address in desk.relay_networks
        if desk.witness is not None and not self._may_relay:
            self._inquiry = desk.witness.inquire(peer.address)
        return desk.greeting

    def extensions(self) -> Extensions:
        """What EHLO offers here."""
        return self._desk.extensions

    def hello(self, verb: str, name: str) -> Reply:
        """Note what the client calls itself; it is not believed, only written down."""
        self._verb, self._name = verb, name
        self._trace = None
        return self._desk.hello

    def tls_started(self, facts: TlsFacts) -> None:
        """RFC 3207 §4.2: what was said in clear text is forgotten."""
        self._tls = facts
        self._verb = self._name = ""
        self._trace = None
        self.reset()

    def closed(self, reason: str) -> None:
        """The connection is gone."""
        self.reset()
        if self._inquiry is not None:
            self._inquiry.close()
        if self._client is not None:
            self._desk.doorkeeper.leave(self._client)
            self._client = None
        if self.server is not None:
            self._desk.guests.discard(self.server)
            self.server = None

    def refused(self, stage: str, reply: Reply, text: str) -> None:
        """The engine said no: for the maillog."""
        self._note(stage, reply, "", text)

    def authenticate(self, mechanism: str, identity: str, password: str, authorization: str) -> Awaitable[Reply]:
        """AUTH; the engine asks only under TLS and only where `extensions` offers it."""
        return self._authenticate(identity, password, authorization)

    async def _authenticate(self, identity: str, password: str, authorization: str) -> Reply:
        reply = await self._desk.login.sign_in(self._address, identity, password, authorization)
        if reply.positive:
            self._signed_in = self._may_relay = True
        return reply

    # -- the envelope ---------------------------------------------------------------------------------------------

    def mail(self, path: ReturnPath) -> Reply:
        """MAIL: RFC 6409 §4.3 for submissions; the disk; anything else may try."""
        if self._submission and not self._signed_in:
            return self._no("mail", catalogue.TLS_REQUIRED if self._tls is None else catalogue.AUTH_REQUIRED)
        refusal = self._desk.acceptance.refusal(path.size or 0)
        if refusal is not None:
            return self._no("mail", refusal)
        self._mail = path
        self._desk.acceptance.open += 1
        return catalogue.MAIL_OK

    def recipient(self, path: ForwardPath) -> MaybeReply:
        """RCPT: where does it lead? Answered from memory where that is certain."""
        address = path.address
        if "@" not in address:  # RFC 5321 §4.1.1.3: <postmaster> alone
            address = f"{address}@{self._desk.host}"
        destination = self._desk.router.known(address, self._may_relay)
        if destination is None:
            return self._look(path, address)
        return self._decide(path, address, destination)

    async def _look(self, path: ForwardPath, address: str) -> Reply:
        try:
            destination = await self._desk.router.route(address, self._may_relay)
        except Unavailable as trouble:
            return self._no("rcpt", catalogue.TEMPORARILY_UNAVAILABLE, address, str(trouble)[:300])
        return self._decide(path, address, destination)

    def _decide(self, path: ForwardPath, address: str, destination: Destination) -> Reply:
        mail = self._mail
        if mail is None:  # cannot be: the engine keeps the order
            return catalogue.MAIL_FIRST
        if type(destination) is Refused:
            return self._no("rcpt", destination.reply, address, destination.why)
        if self.lmtp and isinstance(destination, ToRelay | ToRemote):
            # LMTP is the last hop (RFC 2033 §1): it takes what lives here and passes nothing on.
            return self._no("rcpt", catalogue.RELAYING_DENIED, address, "LMTP takes mail for our own addresses only")
        refusal = return_path_refusal(destination, mail.address)
        if refusal is not None:
            return self._no("rcpt", refusal, address)
        if self._inquiry is not None and not self._recipients:
            self._inquiry.begin(self._name, mail.address)
        # Two spellings of one list address are one posting; else the list would send everything twice.
        key: object = destination if type(destination) is ToList else address
        self._recipients.setdefault(key, Recipient(address, path.notify, path.original_recipient))
        return catalogue.RCPT_OK

    def reset(self) -> None:
        """The transaction is over."""
        if self._mail is not None:
            self._desk.acceptance.open -= 1
        self._mail = None
        self._recipients = {}
        if self._inquiry is not None:
            self._inquiry.end()

    # -- the content ----------------------------------------------------------------------------------------------

    def begin_content(self) -> Sink | Reply:
        """DATA or BDAT: a place for the content, while the disk has room."""
        refusal = self._desk.acceptance.refusal()
        if refusal is not None:
            return self._no("data", refusal)
        return Spool(self._desk.spool_folder, self._desk.spool_above)

    def end_content(self, sink: Sink) -> MaybeReply:
        """All of the content is here: make it ours."""
        assert isinstance(sink, Spool) and self._mail is not None
        mail, recipients = self._mail, tuple(self._recipients.values())
        if sink.on_disk:
            return self._take_large(sink, mail, recipients)
        return self._take(sink.finish(), mail, recipients)

    async def _take_large(self, spool: Spool, mail: ReturnPath, recipients: tuple[Recipient, ...]) -> Reply:
        """A file must be on the disk before its row is: that waits, so it happens in a thread."""
        try:
            spooled = await asyncio.get_running_loop().run_in_executor(None, spool.finish)
        except StorageFull as trouble:
            return self._no("acceptance", catalogue.STORAGE_FULL, reason=str(trouble))
        try:
            answer = self._take(spooled, mail, recipients)
            reply = answer if isinstance(answer, Reply) else await answer
        except BaseException:
            spooled.discard()
            raise
        if not reply.positive:
            spooled.discard()
        return reply

    def _take(self, spooled: Spooled, mail: ReturnPath, recipients: tuple[Recipient, ...]) -> MaybeReply:
        desk = self._desk
        octets = spooled.octets
        header = trace.header_of(octets if octets is not None else spooled.head(trace.HEADER_READ))
        hops, message_id = trace.hops_and_id(header)
        if 0 < desk.hops < hops:  # RFC 5321 §6.3
            return self._no("content", catalogue.TOO_MANY_HOPS, reason=f"{hops} Received fields")
        if self._inquiry is None:
            return self._keep(spooled, mail, recipients, header, message_id, None)
        return self._examined(self._inquiry.examine(spooled), spooled, mail, recipients, header, message_id)

    async def _examined(
        self, asked: Awaitable[Evidence], spooled: Spooled, mail: ReturnPath, recipients: tuple[Recipient, ...],
        header: bytes, message_id: str,
    ) -> Reply:  # fmt: skip
        answer = self._keep(spooled, mail, recipients, header, message_id, await asked)
        return answer if isinstance(answer, Reply) else await answer

    def _keep(
        self, spooled: Spooled, mail: ReturnPath, recipients: tuple[Recipient, ...], header: bytes, message_id: str,
        evidence: Evidence | None,
    ) -> MaybeReply:  # fmt: skip
        desk, octets = self._desk, spooled.octets
        now = desk.clock()
        item = new_queue_id(int(now * 1_000_000))
        name = name_of(item)
        prefix = self._received(name, mail, recipients, now, evidence.client_name if evidence else None)
        if evidence is not None:
            prefix = evidence.field(desk.host) + prefix  # RFC 8601 §4.1: above the trace fields it speaks of
        if self._submission:
            added, message_id = trace.added_to_submission(header, desk.host, now, desk.random)
            prefix += added
        # What the content is counts, not what the client said of it; a file is too large to look through again.
        eight_bit = mail.body == "8BITMIME" if octets is None else not octets.isascii()
        envelope = Envelope(
            mail.address, recipients, "8BITMIME" if eight_bit else "7BIT", mail.smtputf8, mail.envid, mail.ret
        )
        arrival = Arrival(
            item=item,
            content=spooled,
            prefix=prefix,
            envelope=envelope,
            origin=self._origin,
            received_at=int(now * 1000),
            peer=self._address,
            message_id=message_id,
            evidence="" if evidence is None else evidence.words(),
        )
        return desk.acceptance.take(arrival, queued_as(name))

    def _received(
        self, name: str, mail: ReturnPath, recipients: tuple[Recipient, ...], now: float, client_name: str | None
    ) -> bytes:
        if self._trace is None:
            self._trace = trace.received_from(self._name, self._address, self._desk.host, self._tls, client_name)
        word = trace.protocol(
            self._verb, lmtp=self.lmtp, tls=self._tls is not None, signed_in=self._signed_in, smtputf8=mail.smtputf8
        )
        return trace.received(self._trace, word, name, recipients[0].address if len(recipients) == 1 else "", now)

    # -- saying no ------------------------------------------------------------------------------------------------

    def _no(self, stage: str, reply: Reply, recipient: str = "", reason: str = "") -> Reply:
        self._note(stage, reply, recipient, reason)
        return reply

    def _note(self, stage: str, reply: Reply, recipient: str, reason: str) -> None:
        return_path = self._mail.address if self._mail is not None else ""
        at = int(self._desk.clock() * 1000)
        maillog.refused(at, stage, self._address, return_path, recipient, str(reply), reason)
