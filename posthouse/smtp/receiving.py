"""The server's way through content: DATA, BDAT, their ends and their replies; and the counting of errors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from posthouse.smtp import catalogue
from posthouse.smtp.command import BadCommand, parse_bdat
from posthouse.smtp.connection import Connection
from posthouse.smtp.content import Content
from posthouse.smtp.data import DataScanner, whole
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import ReturnPath, Sink, StorageError


class Receiving(Connection):
    """The transaction of a connection: its return path, its accepted recipients and its content."""

    __slots__ = (
        "_accepted",
        "_began",
        "_chunk_last",
        "_chunk_left",
        "_content",
        "_errors",
        "_failed",
        "_in_content",
        "_instead",
        "_leaving",
        "_mail",
        "_offered",
        "_scanner",
        "_sink",
        "_taken",
        "_transactions",
        "_unknowns",
    )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._mail: ReturnPath | None = None
        self._offered: ReturnPath | None = None  # said by MAIL, not yet answered
        self._accepted = 0  # recipients
        self._sink: Sink | None = None  # of DATA until the first octet shows which way to take
        self._content: Content | None = None
        self._scanner: DataScanner | None = None
        self._chunk_left = 0
        self._chunk_last = False
        self._instead: Reply | None = None  # what the end of a chunk will hear that is being discarded
        self._failed = False  # a chunk was refused: RFC 3030 §2, nothing but RSET helps
        self._in_content = False
        self._began = 0.0
        self._taken = 0
        self._errors = self._unknowns = self._transactions = 0
        self._leaving = False

    # -- errors ---------------------------------------------------------------------------------------------------

    def _refuse(self, stage: str, reply: Reply, text: bytes, *, count: bool = True) -> None:
        """The engine says no: tell the session, the client, and count."""
        self._session.refused(stage, reply, text[:200].decode("utf-8", "replace"))
        if count:
            self._judge(reply)
        else:
            self._say(reply)

    def _cut_off(self, stage: str, reply: Reply) -> None:
        """Execute nothing of what was sent ahead; say so and close."""
        self._session.refused(stage, reply, "")
        self._at = len(self._buffer)
        self._say(reply)
        self._close(str(reply))

    def _judge(self, reply: Reply) -> None:
        """Say a negative reply; too many permanent ones first slow the client down and then end the connection."""
        self._say(reply)
        if not reply.permanent or self._closing:
            return
        self._errors += 1
        limits = self._limits
        if 0 < limits.hard_errors <= self._errors:
            self._session.refused("command", catalogue.TOO_MANY_ERRORS, "")
            self._say(catalogue.TOO_MANY_ERRORS)
        elif 0 < limits.soft_errors < self._errors and limits.error_delay > 0:
            self._rest(limits.error_delay)

    def _bare(self, line: bytes) -> bool:
        """Refuse arguments where RFC 5321 §4.1.1 has none (trailing spaces are let pass, §4.1.1)."""
        if b" " in line.rstrip(b" "):
            self._refuse("command", catalogue.NO_ARGUMENTS, line)
            return False
        return True

    def _reset(self) -> None:
        self._clear()
        self._session.reset()

    def _clear(self) -> None:
        if self._content is not None:
            self._content.drop()
        elif self._sink is not None:
            self._sink.abort()
        self._mail = self._sink = self._content = self._scanner = None
        self._accepted = 0
        self._failed = self._in_content = False

    def _dropped(self) -> None:
        if not self._keep_pending:
            self._clear()

    def _late(self, now: float) -> tuple[Reply | None, float]:
        limits = self._limits
        if limits.total_seconds > 0 and self._mail is None and now - self._opened >= limits.total_seconds:
            return catalogue.SESSION_TOO_LONG, 0.0
        if not self._in_content or self._waiting:
            return super()._late(now)
        spent = now - self._began
        if limits.data_seconds <= 0:
            return super()._late(now)
        left = self._heard + limits.data_seconds - now
        slow = limits.data_rate > 0 and spent >= limits.data_seconds and self._taken < spent * limits.data_rate
        return (catalogue.CONTENT_TOO_SLOW if left <= 0 or slow else None), left

    # -- DATA -----------------------------------------------------------------------------------------------------

    def _data_command(self, line: bytes) -> None:
        if self._at < len(self._buffer) and (self._mail is None or self._failed or not self._accepted):
            # RFC 2920 §3.1: DATA ends a group. Who goes on talking takes it for granted and sends content, which would
            # be read as commands: the oldest way to smuggle.
            self._cut_off("data", catalogue.PIPELINED_DATA)
        elif self._mail is None:
            self._refuse("data", catalogue.MAIL_FIRST, line, count=False)
        elif self._content is not None or self._failed:
            self._refuse("data", catalogue.DATA_AFTER_BDAT, line)  # RFC 3030 §2
        elif not self._accepted:
            self._refuse("data", catalogue.NO_RECIPIENTS, line, count=False)
        elif self._bare(line):
            sink = self._begin()
            if isinstance(sink, Reply):
                self._judge(sink)
                return
            self._sink = sink
            self._say(catalogue.START_DATA)
            self._start_content()
            self._mode = Receiving._data

    def _begin(self) -> Sink | Reply:
        try:
            return self._session.begin_content()
        except Exception as error:
            return self._fault(error)

    def _start_content(self) -> None:
        self._in_content = True
        self._began = self._heard
        self._taken = 0

    def _data(self) -> bool:
        """Content between DATA and CRLF . CRLF: the whole of it at once if it lies there, else as it comes."""
        if self._at >= len(self._buffer):
            return False
        buffer = self._buffer
        if self._scanner is None:
            found = whole(buffer, self._at, self._limits)
            sink = self._sink
            assert sink is not None
            if found is not None:
                self._at = found[1]
                try:
                    sink.write(found[0])
                except (StorageError, OSError):
                    sink.abort()
                    self._content_refused(catalogue.STORAGE_FULL)
                else:
                    self._hand_over(sink)
                return True
            self._scanner = DataScanner()
            self._content = Content(sink, self._limits)
        content = self._content
        assert content is not None
        self._taken += len(buffer) - self._at
        clean, rest = self._scanner.feed(buffer[self._at :] if self._at else buffer)
        content.take(clean)
        if rest is None:
            self._at = len(buffer)
            return False
        self._at = len(buffer) - len(rest)
        self._end(content)
        return True

    def _end(self, content: Content) -> None:
        refusal = content.finish()
        if refusal is not None:
            self._content_refused(refusal)
        else:
            self._hand_over(content.sink)

    def _content_refused(self, refusal: Reply) -> None:
        accepted = self._accepted
        size = self._content.size if self._content is not None else 0
        self._session.refused("content", refusal, f"{size} octets")
        self._sink = None
        self._reset()
        self._back()
        if self._session.lmtp:
            for _ in range(accepted - 1):  # RFC 2033 §4.2: one reply for each recipient
                self._say(refusal)
        self._judge(refusal)
        self._leave()

    def _hand_over(self, sink: Sink) -> None:
        try:
            answer = self._session.end_content(sink)
        except Exception as error:
            answer = self._fault(error)
        self._in_content = False
        # Until its reply the transaction is open, but its content belongs to the session now.
        self._sink = self._content = self._scanner = None
        if type(answer) is Reply:
            self._content_done(answer)
            return
        self._keep_pending = True  # becoming durable is not undone because the client went away
        self._settle(answer, self._content_done)

    def _content_done(self, answer: Reply | Sequence[Reply]) -> None:
        self._keep_pending = False
        wanted = self._accepted if self._session.lmtp else 1
        replies = [answer] * wanted if isinstance(answer, Reply) else list(answer)
        if len(replies) != wanted:
            fault = self._fault(ValueError(f"{len(replies)} final replies where {wanted} are due"))
            replies = [fault] * wanted
        self._transactions += 1
        self._urgent = True  # these replies move responsibility: do not hold them back for later ones
        self._reset()
        self._back()
        for reply in replies[:-1]:
            self._say(reply)
        if any(reply.positive for reply in replies):
            self._errors = 0
            self._say(replies[-1])
        else:
            self._judge(replies[-1])
        self._leave()

    def _back(self) -> None:
        """To commands again."""
        self._mode = type(self)._commands

    @abstractmethod
    def _commands(self) -> bool:
        """The mode that consumes commands."""

    def _leave(self) -> None:
        if self._leaving and not self._closing:
            self._say(catalogue.SHUTTING_DOWN)

    # -- BDAT (RFC 3030) ------------------------------------------------------------------------------------------

    def _bdat_command(self, line: bytes) -> None:
        try:
            size, last = parse_bdat(line)
        except BadCommand as bad:
            # The octets of the chunk would be read as commands: there is no way to stay in step.
            self._refuse("bdat", bad.reply, line, count=False)
            self._close(str(bad.reply))
            return
        self._instead = self._bdat_refusal()
        if self._instead is None and self._content is None:
            sink = self._begin()
            if isinstance(sink, Reply):
                self._instead = sink
                self._failed = True
            else:
                self._content = Content(sink, self._limits)
        if not self._in_content:
            self._start_content()
        self._chunk_left, self._chunk_last = size, last
        self._mode = Receiving._chunk
        if not size:
            self._chunk_done()

    def _bdat_refusal(self) -> Reply | None:
        if not self._session.extensions().chunking:
            return catalogue.NOT_IMPLEMENTED
        if self._mail is None:
            return catalogue.MAIL_FIRST
        if self._failed:
            return catalogue.TRANSACTION_FAILED
        return None if self._accepted else catalogue.NO_RECIPIENTS

    def _chunk(self) -> bool:
        """The octets of a chunk; those of a refused one are read and thrown away."""
        have = len(self._buffer) - self._at
        if not have:
            return False
        size = min(have, self._chunk_left)
        self._taken += size
        if self._content is not None and self._instead is None:
            whole_buffer = size == len(self._buffer)
            self._content.take(self._buffer if whole_buffer else self._buffer[self._at : self._at + size])
        self._at += size
        self._chunk_left -= size
        if not self._chunk_left:
            self._chunk_done()
        return True

    def _chunk_done(self) -> None:
        self._back()
        content = self._content
        if self._instead is not None:
            instead, self._instead = self._instead, None
            self._in_content = False
            self._refuse("bdat", instead, b"BDAT", count=False)
        elif content is None:
            self._say(catalogue.TRANSACTION_FAILED)
        elif self._chunk_last:
            self._end(content)
        elif (refusal := content.refusal_so_far()) is not None:
            content.drop()
            self._content = None
            self._failed = True
            self._in_content = False
            self._refuse("bdat", refusal, b"BDAT")
        else:
            self._say(catalogue.CHUNK_OK)
