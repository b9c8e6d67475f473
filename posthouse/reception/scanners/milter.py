"""One milter for one connection: it hears of the client, the envelope and the content, and says what it wants.

Nothing is said to it before the first recipient (or the first command that nobody knows): by then it can be told
everything in order, and a connection that never comes so far costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posthouse.configuration import Scanner
from posthouse.reception.policy.facts import Scan, Visit
from posthouse.reception.scanners import milter_wire as say
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.milter_content import LAST_WORDS, REFUSALS, parts, scan_of, told_to_the_end
from posthouse.reception.scanners.milter_macros import Macros
from posthouse.reception.scanners.wire import Nobody, ScannerError, Servers, Wire, reason_of
from posthouse.reception.scanners.wishes import Wishes
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

FAULTS = (ScannerError, OSError, TimeoutError, asyncio.IncompleteReadError)
_ANSWERS = (say.CONTINUE, say.SKIP, *LAST_WORDS)


@dataclass(frozen=True, slots=True)
class MailCommand:
    """What MAIL said: the return path, the parameters that a filter may want to know, and whose it is (AUTH=)."""

    return_path: str
    parameters: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """What RCPT said, and what became of it: who will carry it to which host, or the reply that refused it."""

    address: str
    mailer: str = ""
    host: str = ""
    refused: Reply | None = None


@dataclass(slots=True)
class Manners:
    """What a filter asked for when it was met last: shared by all connections, so that nobody dials it only to find
    out that it wants to hear nothing of what happened. None: not met yet."""

    steps: int | None = None

    def may_want(self, step: int, unwanted: int = 0) -> bool:
        """Whether it may want to hear of something: a `step` that it asks for, or one `unwanted` that it leaves out."""
        return self.steps is None or (bool(self.steps & step) if step else not self.steps & unwanted)


@dataclass(frozen=True, slots=True)
class Terms:
    """What all connections with one filter share. `most`: octets a replaced body may have, which lies in `folder`."""

    name: str
    settings: Scanner
    servers: Servers
    host: str
    folder: Path
    most: int
    manners: Manners = field(default_factory=Manners)


class Milter:
    """One filter of the configuration on one connection of ours."""

    def __init__(self, terms: Terms, visit: Visit) -> None:
        self.name, self.settings, self._terms, self._visit = terms.name, terms.settings, terms, visit
        self._wire: Wire | None = None
        self._server = ""
        self._steps = 0
        self._macros = Macros(terms.host, visit)
        self._helo: str | None = None  # what it was told
        self._always = False  # its last word on the whole connection is ACCEPT
        self._refused_visit: Reply | None = None
        self._gone = self._busy = False
        self._clear()

    def _clear(self) -> None:
        self._mailed = False  # it was told of MAIL
        self._done = False  # it accepted the message before its end
        self._refused: Reply | None = None
        self._discard = False
        self._skipped = b""  # the event it has heard enough of, until another one comes
        self.tries: list[tuple[str, str]] = []  # which servers failed, and why
        self.trouble = ""  # why it has no part in this transaction
        self._macros.clear()

    # -- as the session goes on -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The transaction is over."""
        if not self._busy:
            self._abort()
            self._clear()

    def again(self) -> None:
        """The message is judged in parts: what it heard of the envelope is void, each part tells it anew."""
        if not self._busy and not self.trouble:
            self.reset()

    def _abort(self) -> None:
        if self._mailed and self._wire is not None:
            self._wire.say(say.packet(say.ABORT))

    def close(self) -> None:
        """The client has gone; what it has finished sending is still judged."""
        self._gone = True
        if self._wire is not None and not self._busy:
            self._wire.say(say.packet(say.QUIT))
            self._wire.end()
            self._wire = None

    async def recipient(self, mail: MailCommand, recipient: RcptCommand, seconds: float) -> Reply | None:
        """What it says to this recipient, or said before it to the client or MAIL; None: go on. Never raises.

        One that others refused it hears of only where it asked for that; what it says then changes nothing.
        `seconds`: how long the client can wait.
        """
        refused = recipient.refused is not None
        if refused and not self._terms.manners.may_want(say.REFUSED_RECIPIENTS):
            return None
        reply = await self._within(seconds, lambda: self._recipient(mail, recipient))
        if refused:
            return None
        if self.trouble:
            return catalogue.SCANNER_DOWN if self.settings.when_down == "defer" else None
        return reply

    async def unknown(self, mail: MailCommand | None, line: str, seconds: float) -> Reply | None:
        """What it says to a command that nobody knows; None for nothing. `mail`: of the open transaction."""
        if not self._terms.manners.may_want(0, say.NO_UNKNOWN):
            return None
        reply = await self._within(seconds, lambda: self._unknown(mail, line))
        if mail is None and not self._busy:
            self._clear()  # there is no transaction that it could have no part in
        return reply

    async def _within(self, seconds: float, step: Callable[[], Awaitable[Reply | None]]) -> Reply | None:
        """One step of the conversation, on a new connection when the old one has died of age."""
        loop = asyncio.get_running_loop()
        until = loop.time() + max(seconds, 0.0)
        self._busy = True
        try:
            for _ in range(2):
                again = self._wire is not None and not self._mailed
                try:
                    if not self.trouble:
                        async with asyncio.timeout_at(until):
                            return await step()
                except FAULTS as error:
                    self._fail(error)
                    if again and loop.time() < until:
                        self._clear()
                        continue
                break
            return None
        except asyncio.CancelledError:
            self._hang_up()
            raise
        finally:
            self._rest()

    async def _recipient(self, mail: MailCommand, recipient: RcptCommand) -> Reply | None:
        await self._introduce()
        refused = recipient.refused
        if self._always or (refused is not None and not self._steps & say.REFUSED_RECIPIENTS):
            return None
        if self._refused_visit is not None:
            return self._refused_visit
        await self._open(mail)
        if self._refused is not None:
            return self._refused
        if self._done or self._discard:
            return None
        if refused is None:
            self._macros.recipient(recipient.mailer, recipient.host, recipient.address)
        else:
            self._macros.recipient("error", refused.enhanced, " ".join(refused.text.split()))
        data = say.text(f"<{recipient.address}>")
        answer, extra = await self._tell(say.RCPT, data, say.NO_RCPT, say.SILENT_RCPT)
        self._note(answer)
        return say.reply_of(answer, extra) if answer in REFUSALS else None

    async def _unknown(self, mail: MailCommand | None, line: str) -> Reply | None:
        await self._introduce()
        if self._always or self._steps & say.NO_UNKNOWN:
            return None
        if self._refused_visit is not None:
            return self._refused_visit
        if mail is not None:
            await self._open(mail)
        if self._done or self._discard:
            return None
        answer, extra = await self._tell(say.UNKNOWN, say.text(line), say.NO_UNKNOWN, say.SILENT_UNKNOWN)
        if mail is not None:
            self._note(answer)
        return say.reply_of(answer, extra) if answer in REFUSALS else None

    async def _open(self, mail: MailCommand) -> None:
        """Tell it of MAIL where that is still to be done."""
        if self._mailed:
            return
        self._mailed = True
        self._macros.mail(mail.return_path, mail.author)
        data = say.text(f"<{mail.return_path}>", *mail.parameters)
        answer, extra = await self._tell(say.MAIL, data, say.NO_MAIL, say.SILENT_MAIL)
        self._note(answer)
        if answer in REFUSALS:
            self._refused = say.reply_of(answer, extra)

    def _note(self, answer: bytes) -> None:
        self._done = self._done or answer == say.ACCEPT
        self._discard = self._discard or answer == say.DISCARD

    # -- the client -------------------------------------------------------------------------------------------------

    async def _introduce(self) -> None:
        """Connect where that is still to be done, and tell it of the client and of HELO."""
        if self._wire is None:
            self._always, self._refused_visit, self._helo, self._skipped = False, None, None, b""
            connected = await self._terms.servers.connect(self.settings.deadline, self._negotiate)
            self._wire, self._server, self.tries = connected
            self._about_visit(*await self._tell(say.CONNECT, self._client(), say.NO_CONNECT, say.SILENT_CONNECT))
        helo = self._visit.helo
        if not self._always and self._refused_visit is None and self._helo != helo and helo:
            self._helo = helo
            self._about_visit(*await self._tell(say.HELO, say.text(helo), say.NO_HELO, say.SILENT_HELO))

    async def _negotiate(self, wire: Wire) -> None:
        await wire.send(say.packet(say.NEGOTIATE, say.OPTIONS.pack(say.VERSION, say.ACTIONS, say.STEPS)))
        command, data = await say.receive(wire.reader)
        if command != say.NEGOTIATE or len(data) < say.OPTIONS.size:
            raise ScannerError("it does not speak the milter protocol")
        version, actions, steps = say.OPTIONS.unpack_from(data)
        if not say.OLDEST <= version <= say.VERSION or actions & ~say.ACTIONS or steps & ~say.STEPS:
            raise ScannerError(
                f"it wants version {version}, actions {actions:#x} and steps {steps:#x} of the milter "
                "protocol, which were not all offered"
            )
        self._terms.manners.steps = self._steps = say.masked(version, steps)
        self._macros.wanted = say.requested_macros(data[say.OPTIONS.size :])

    def _client(self) -> bytes:
        visit = self._visit
        address = visit.address.partition("%")[0]
        data = say.text(visit.client_name or f"[{address or 'localhost'}]")
        if not address:
            return data + b"U"
        family = b"6" if ":" in address else b"4"
        return data + family + visit.port.to_bytes(2, "big") + say.text(address)

    def _about_visit(self, answer: bytes, extra: bytes) -> None:
        """To the client it cannot say DISCARD: there is no message yet."""
        if answer == say.ACCEPT:
            self._always = True
        elif answer in REFUSALS:
            self._refused_visit = say.reply_of(answer, extra)

    # -- the content ------------------------------------------------------------------------------------------------

    async def content(self, mail: MailCommand, recipients: Sequence[RcptCommand], letter: Letter, name: str) -> Scan:
        """What it says of a message for `recipients`, which is called `name` in the queue. Never raises."""
        if self.trouble:
            return self._failed()
        self._macros.queue_name, self._busy = name, True
        try:
            return await self._whole(mail, recipients, letter, name)
        except FAULTS as error:
            self._fail(error)
            return self._failed()
        except asyncio.CancelledError:  # the time for all scanners is over
            self._hang_up()
            raise
        finally:
            self._rest()

    async def _whole(self, mail: MailCommand, recipients: Sequence[RcptCommand], letter: Letter, name: str) -> Scan:
        if not self._mailed or self._wire is None:
            # The client has gone meanwhile, or the filter has, or this is one part of several: it is told all again.
            self._clear()
            self._macros.queue_name = name
            replies = [await self._recipient(mail, one) for one in recipients]
            if refused := next((one for one in replies if one is not None), None):
                return Scan(self.name, "refuse" if refused.permanent else "defer", reply=refused)
        if self._refused is not None:  # it refused MAIL, and a mode made nothing of it
            return Scan(self.name, "refuse" if self._refused.permanent else "defer", reply=self._refused)
        if self._always:
            return Scan(self.name, "clean", words="it accepts everything of this client")
        if self._discard:
            return Scan(self.name, "discard")
        if self._done:
            return Scan(self.name, "clean", words="it accepted the message before its content")
        most = self.settings.most
        if most and letter.size > most:
            return Scan(self.name, "skipped", words=f"larger than {most} octets")
        return await self._content(letter)

    async def _content(self, letter: Letter) -> Scan:
        wishes = Wishes(self._terms.folder, self._terms.most, bool(self._steps & say.LEADING_SPACE))
        for command, data, left_out, silent in parts(letter, self._steps):
            answer, extra = await self._tell(command, data, left_out, silent)
            if answer == say.SKIP and command == say.BODY:
                break  # it has seen enough of the body, which need not be read any further
            if answer in LAST_WORDS:
                self._mailed = False  # whatever it is: the filter is through with this message
                return scan_of(self.name, answer, extra, wishes)
        assert self._wire is not None
        await self._wire.send(self._macros.before(say.END_OF_BODY) + say.packet(say.END_OF_BODY))
        answer, extra = await told_to_the_end(self._wire.reader, self.settings.deadline, wishes)
        self._mailed = False
        return scan_of(self.name, answer, extra, wishes)

    # -- the wire ---------------------------------------------------------------------------------------------------

    async def _tell(self, command: bytes, data: bytes, left_out: int, silent: int) -> tuple[bytes, bytes]:
        """Say one thing, unless it wants to hear no such thing, and wait for its answer, unless it gives none.

        Raises ScannerError where its answer has no meaning.
        """
        wire = self._wire
        if wire is None:
            raise ScannerError("it hung up")
        if self._steps & left_out or command == self._skipped:
            return say.CONTINUE, b""
        self._skipped = b""
        async with asyncio.timeout(self.settings.deadline):
            await wire.send(self._macros.before(command) + say.packet(command, data))
            if self._steps & silent:
                return say.CONTINUE, b""
            answer, extra = await say.decision(wire.reader)
        if answer not in _ANSWERS:
            raise ScannerError(f"it says {answer!r} to {command!r}, which has no meaning there")
        if answer == say.SKIP:
            self._skipped = command
        return answer, extra

    def _rest(self) -> None:
        """What was asked is answered; a client that went away meanwhile is followed now."""
        self._busy = False
        if self._gone:
            self.close()

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _fail(self, error: BaseException) -> None:
        """It has no part in this transaction; the next one tries again."""
        if isinstance(error, Nobody):
            self.tries = list(error.tries)
        else:
            why = "no answer in time" if isinstance(error, TimeoutError) else reason_of(error)
            self._terms.servers.failed(self._server, why, self.tries)
        self.trouble = "; ".join(f"{server}: {why}" for server, why in self.tries)
        self._hang_up()

    def _failed(self) -> Scan:
        reply = catalogue.SCANNER_DOWN if self.settings.when_down == "defer" else None
        return Scan(self.name, "failed", words=self.trouble, reply=reply)
