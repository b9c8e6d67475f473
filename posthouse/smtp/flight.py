"""Transactions in flight: which reply belongs to which command, and what may be written before it has come."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

from posthouse.smtp import catalogue
from posthouse.smtp.outgoing import FileBody, Outcome, OutgoingTransaction, RecipientResult, TransactionResult
from posthouse.smtp.reply import Reply
from posthouse.smtp.wire import ConnectionBroken, Timeouts, Wire

# What is awaited; the numbers index Flights._patience_of
COMMAND, RSET, MAIL, RCPT, DATA, CONTENT, VOID = range(7)


class Flight:
    """One transaction between its MAIL and its last reply."""

    __slots__ = ("accepted", "answered", "future", "handed", "mail_refusal", "replies", "transaction")

    def __init__(self, transaction: OutgoingTransaction, future: asyncio.Future[TransactionResult]) -> None:
        self.transaction = transaction
        self.future = future
        self.replies: list[tuple[Reply, str] | None] = [None] * len(transaction.recipients)
        self.accepted: list[int] = []  # recipients whose RCPT was taken, in order
        self.answered = 0  # LMTP: how many of them have their final reply
        self.mail_refusal: Reply | None = None
        self.handed = False  # the end of the content has been given to the transport

    def resolve(self, lost: Literal["", "before", "maybe"] = "", trouble: str = "") -> None:
        """Give the result; recipients without a reply are refused with MAIL's, or lost."""
        if self.future.done():
            return
        results = []
        missing = False
        for recipient, decided in zip(self.transaction.recipients, self.replies, strict=True):
            if decided is None and self.mail_refusal is not None:
                decided = (self.mail_refusal, "mail")
            if decided is None:
                missing = True
                outcome = Outcome.UNKNOWN if lost == "maybe" else Outcome.UNSENT
                results.append(RecipientResult(recipient.address, outcome, None, "connection"))
            else:
                reply, stage = decided
                taken = reply.positive and stage == "content"
                outcome = Outcome.ACCEPTED if taken else Outcome.REFUSED
                results.append(RecipientResult(recipient.address, outcome, reply, stage))
        self.future.set_result(TransactionResult(tuple(results), lost if missing else "", trouble if missing else ""))

    def refuse_all(self, reply: Reply, stage: str) -> None:
        """The same refusal for everybody who has none yet."""
        self.replies = [decided or (reply, stage) for decided in self.replies]


class Flights(Wire):
    """The order of commands, replies and transactions on a connection."""

    def __init__(self, timeouts: Timeouts, window: int) -> None:
        super().__init__(timeouts)
        self.capabilities: dict[str, str] = {}  # EHLO keywords in upper case, with their parameters
        self.lmtp = False
        self._window = max(1, window)
        self._expected: deque[tuple[int, Flight | asyncio.Future[Reply] | None, int]] = deque()
        self._flying: deque[Flight] = deque()
        self._queue: deque[Flight] = deque()
        self._dirty = False  # the far side may still have a transaction open
        self._goodbye = False  # it said 421
        self._quiet_after_reply = False  # STARTTLS: nothing may follow the reply
        self._pipelining = self._chunking = False
        self._command_patience = 0.0
        t = timeouts
        self._patience_of = (t.mail, t.mail, t.mail, t.rcpt, t.data_init, t.data_done, t.data_done)

    # -- public ---------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Transactions submitted and not yet answered."""
        return len(self._flying) + len(self._queue)

    @property
    def usable(self) -> bool:
        """May more be submitted?"""
        return not self.broken and not self._goodbye

    def submit(self, transaction: OutgoingTransaction) -> asyncio.Future[TransactionResult]:
        """Send a transaction as soon as the protocol allows; the future always gets a result, never an exception.

        With CHUNKING and PIPELINING a copy costs no waiting: MAIL, RCPT and BDAT with the content leave in one write
        and up to ``window`` transactions are under way. With PIPELINING alone the content goes together with the next
        transaction's MAIL, RCPT and DATA. Without it everything waits for its reply.
        """
        flight = Flight(transaction, self._loop.create_future())
        if not self.usable:
            flight.resolve("before", self.broken or "the far server is closing the connection")
            return flight.future
        unfit = self._unfit(transaction)
        if unfit is not None:
            flight.refuse_all(unfit, "mail")
            flight.resolve()
            return flight.future
        self._queue.append(flight)
        self._fill()
        return flight.future

    def forgo(self, *keywords: str) -> None:
        """Do not use these extensions on this connection although they are offered (after ``hello``)."""
        for keyword in keywords:
            self.capabilities.pop(keyword.upper(), None)
        self._learn()

    # -- commands by themselves -----------------------------------------------------------------------------------

    def _expect_reply(self, seconds: float) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._command_patience = seconds
        self._expect(COMMAND, future)
        return future

    async def _command(self, line: str, seconds: float) -> Reply:
        if self.broken:
            raise ConnectionBroken(self.broken)
        future = self._expect_reply(seconds)
        self._send(f"{line}\r\n".encode())
        return await future

    def _learn(self) -> None:
        self._pipelining = "PIPELINING" in self.capabilities
        # LMTP answers BDAT once for each recipient (RFC 2033 §4.3), which servers do differently; DATA is clear.
        self._chunking = self._pipelining and "CHUNKING" in self.capabilities and not self.lmtp

    def _unfit(self, transaction: OutgoingTransaction) -> Reply | None:
        """What the far side said it cannot take is not tried."""
        offers = self.capabilities
        if "8BITMIME" not in offers and transaction.has_eight_bit():
            return catalogue.EIGHT_BIT_NOT_OFFERED
        if "SMTPUTF8" not in offers and transaction.needs_smtputf8():
            return catalogue.SMTPUTF8_NOT_OFFERED
        limit = offers.get("SIZE", "")
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:18]) < transaction.size:
            return catalogue.TOO_BIG_FOR_THEM
        return None

    # -- writing --------------------------------------------------------------------------------------------------

    def _expect(self, kind: int, target: Flight | asyncio.Future[Reply] | None, index: int = 0) -> None:
        if not self._expected:
            self._await_until(self._command_patience if kind == COMMAND else self._patience_of[kind])
        self._expected.append((kind, target, index))

    def _fill(self) -> None:
        """Start what may start now."""
        while self._queue and self.usable:
            if self._flying and not (self._pipelining and len(self._flying) < self._window and self._flying[-1].handed):
                return
            flight = self._queue.popleft()
            self._start(flight)

    def _start(self, flight: Flight) -> None:
        transaction, offers = flight.transaction, self.capabilities
        head = ""
        # A refused BDAT may leave its transaction open (RFC 3030 §2): a MAIL written before its reply begins with RSET,
        # or the recipients behind it would join the old transaction under the wrong return path.
        if self._dirty or (self._chunking and self._flying):
            head = "RSET\r\n"
            self._expect(RSET, None)
            self._dirty = False
        self._flying.append(flight)
        head += transaction.mail_line(offers)
        self._expect(MAIL, flight)
        if not self._pipelining:
            self._send(head.encode())
            return
        for index, recipient in enumerate(transaction.recipients):
            head += transaction.rcpt_line(recipient, offers)
            self._expect(RCPT, flight, index)
        if not self._chunking:
            self._expect(DATA, flight)
            self._send(f"{head}DATA\r\n".encode())
            return
        self._expect(CONTENT, flight)
        head += f"BDAT {transaction.size} LAST\r\n"
        if isinstance(transaction.body, FileBody) or self._outbox or self._stalled:
            self._send(head.encode())
            self._hand(flight, dotted=False)
        else:
            self._send(head.encode() + transaction.prefix, transaction.body)
            flight.handed = True

    def _hand(self, flight: Flight, *, dotted: bool) -> None:
        transaction = flight.transaction
        blocks = transaction.dotted() if dotted else transaction.plain()
        if isinstance(transaction.body, FileBody) or self._outbox or self._stalled:
            self._stream(blocks, lambda: self._handed(flight))
        else:
            flight.handed = True
            self._send(*blocks)

    def _handed(self, flight: Flight) -> None:
        flight.handed = True
        self._fill()

    # -- reading --------------------------------------------------------------------------------------------------

    def _replied(self, reply: Reply) -> None:
        if reply.code == 421:
            self._goodbye = True
        if not self._expected:
            # RFC 5321 §3.8: a server may say 421 unasked; anything else unasked is not SMTP.
            self._break(f"the far server said unasked: {reply}")
            return
        kind, target, index = self._expected.popleft()
        if self._expected:
            following = self._expected[0][0]
            self._await_until(self._command_patience if following == COMMAND else self._patience_of[following])
        else:
            self._await_until(0.0)
        if isinstance(target, Flight):
            if 300 <= reply.code < 400 and not (kind == DATA and reply.code == 354):
                self._break(f"a reply out of order: {reply}")
            else:
                self._flight_replied(kind, target, index, reply)
        elif target is None:
            if not reply.positive and not self._goodbye:
                self._break(f"RSET was refused: {reply}")
        else:
            self._command_replied(target, reply)
        if not self.broken and self._queue:
            if self._goodbye:
                self._abandon_queue()
            else:
                self._fill()

    def _command_replied(self, future: asyncio.Future[Reply], reply: Reply) -> None:
        if self._quiet_after_reply and self._transport is not None:
            if self._behind:
                # RFC 3207 §6: clear text behind the 220 would be taken for something said under TLS.
                self._break("the far server sent clear text behind its answer to STARTTLS")
                future.set_exception(ConnectionBroken(self.broken))
                return
            self._transport.pause_reading()  # the handshake reads by itself
        if not future.done():
            future.set_result(reply)

    def _resume_reading(self) -> None:
        if self._transport is not None and not self.broken:
            self._transport.resume_reading()

    def _flight_replied(self, kind: int, flight: Flight, index: int, reply: Reply) -> None:
        if kind == MAIL:
            if not reply.positive:
                flight.mail_refusal = reply
            if not self._pipelining:
                self._step(flight, 0)
        elif kind == RCPT:
            if reply.positive:
                flight.accepted.append(index)
            elif flight.mail_refusal is None:
                flight.replies[index] = (reply, "rcpt")
            if not self._pipelining:
                self._step(flight, index + 1)
        elif kind == DATA:
            self._data_replied(flight, reply)
        elif kind == VOID:
            self._land(flight)
        else:
            self._content_replied(flight, reply)

    def _step(self, flight: Flight, index: int) -> None:
        """Without PIPELINING: the next command, or the end."""
        transaction = flight.transaction
        if flight.mail_refusal is not None:
            self._land(flight)
        elif index < len(transaction.recipients) and not self._goodbye:
            self._expect(RCPT, flight, index)
            self._send(transaction.rcpt_line(transaction.recipients[index], self.capabilities).encode())
        elif flight.accepted and not self._goodbye:
            self._expect(DATA, flight)
            self._send(b"DATA\r\n")
        else:
            self._dirty = True
            self._land(flight)

    def _data_replied(self, flight: Flight, reply: Reply) -> None:
        if reply.code == 354:
            if flight.accepted:
                for position in flight.accepted if self.lmtp else (0,):
                    self._expect(CONTENT, flight, position)
                self._hand(flight, dotted=True)
                return
            if self.lmtp:
                self._break("354 without a recipient")  # RFC 2033 §4.2 has no reply for the end of such content
                return
            # RFC 2920 §3.1: it took DATA without a recipient, so it gets empty content.
            self._expect(VOID, flight)
            self._send(b".\r\n")
            flight.handed = True
        elif reply.positive:
            self._break(f"a reply out of order: {reply}")
        else:
            for position in flight.accepted:
                flight.replies[position] = (reply, "data")
            self._dirty = True
            self._land(flight)

    def _content_replied(self, flight: Flight, reply: Reply) -> None:
        if self.lmtp:
            position = flight.accepted[flight.answered]
            flight.replies[position] = (reply, "content")
            flight.answered += 1
            if flight.answered < len(flight.accepted):
                return
        else:
            for position in flight.accepted:
                flight.replies[position] = (reply, "content")
            if self._chunking and not reply.positive:
                self._dirty = True
        self._land(flight)

    def _land(self, flight: Flight) -> None:
        """Its last reply has come."""
        self._flying.remove(flight)
        flight.resolve("before", "the far server is closing the connection")  # lost only where no reply decided
        if self._queue and not self._goodbye:
            self._fill()

    def _abandon_queue(self) -> None:
        while self._queue:
            self._queue.popleft().resolve("before", "the far server is closing the connection")

    def _lost(self, reason: str) -> None:
        # Behind a 421 nothing is executed any more: what had no reply by then surely was not taken (RFC 5321 §3.8).
        for flight in self._flying:
            flight.resolve("maybe" if flight.handed and not self._goodbye else "before", reason)
        self._flying.clear()
        while self._queue:
            self._queue.popleft().resolve("before", reason)
        for _, target, _ in self._expected:
            if isinstance(target, asyncio.Future) and not target.done():
                target.set_exception(ConnectionBroken(reason))
        self._expected.clear()
