"""One milter for one connection: it hears of the client, the envelope and the content, and says what it wants.

Nothing is said to it before the first recipient: by then it can be told everything in order, and a connection that
never names one costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from posthouse.configuration import Scanner
from posthouse.reception.policy.facts import Scan, Visit
from posthouse.reception.scanners import milter_wire as say
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.wire import Nobody, ScannerError, Servers, Wire, reason_of
from posthouse.reception.scanners.wishes import Wishes
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

PATIENCE = 10  # deadlines that a filter may stretch the end of a message to by reporting progress
FAULTS = (ScannerError, OSError, TimeoutError, asyncio.IncompleteReadError)
_NO = (say.REJECT, say.TEMPFAIL, say.REPLY, say.SHUTDOWN, say.CONNECTION_FAILS)


@dataclass(frozen=True, slots=True)
class MailCommand:
    """What MAIL said: the return path and the parameters that a filter may want to know."""

    return_path: str
    parameters: tuple[str, ...] = ()


class Milter:
    """One filter of the configuration on one connection of ours. `most`: octets a replaced body may have."""

    def __init__(
        self, name: str, settings: Scanner, servers: Servers, host: str, folder: Path, most: int, visit: Visit
    ) -> None:
        self.name, self.settings = name, settings
        self._servers, self._host, self._folder, self._most, self._visit = servers, host, folder, most, visit
        self._wire: Wire | None = None
        self._server = ""
        self._steps = self._actions = 0
        self._wanted: dict[bytes, list[str]] = {}
        self._helo: str | None = None  # what it was told
        self._always: bytes | None = None  # its last word on the whole connection: ACCEPT
        self._refused_visit: Reply | None = None
        self._queue_name = ""
        self._gone = self._busy = False
        self._clear()

    def _clear(self) -> None:
        self._mailed = False  # it was told of MAIL
        self._done = False  # it accepted the message before its end
        self._refused: Reply | None = None
        self._discard = False
        self.tries: list[tuple[str, str]] = []  # which servers failed, and why
        self.trouble = ""  # why it has no part in this transaction

    # -- as the session goes on -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The transaction is over."""
        if self._mailed and self._wire is not None and not self._busy:
            self._wire.say(say.packet(say.ABORT))
        if not self._busy:
            self._clear()

    def close(self) -> None:
        """The client has gone; what it has finished sending is still judged."""
        self._gone = True
        if self._wire is not None and not self._busy:
            self._wire.say(say.packet(say.QUIT))
            self._wire.end()
            self._wire = None

    async def recipient(self, mail: MailCommand, address: str) -> Reply | None:
        """What it says to this recipient, or said before it to the client or MAIL; None: go on. Never raises."""
        self._busy = True
        try:
            for _ in range(2):
                # A connection from before this transaction may have died of age: once more then, on a new one.
                again = self._wire is not None and not self._mailed
                try:
                    if not self.trouble:
                        return await self._recipient(mail, address)
                except FAULTS as error:
                    self._fail(error)
                    if again:
                        self._clear()
                        continue
                break
            return catalogue.SCANNER_DOWN if self.settings.when_down == "defer" else None
        finally:
            self._rest()

    async def _recipient(self, mail: MailCommand, address: str) -> Reply | None:
        await self._introduce()
        if self._always is not None:
            return None
        if self._refused_visit is not None:
            return self._refused_visit
        if not self._mailed:
            self._mailed = True
            await self._mail(mail)
        if self._refused is not None:
            return self._refused
        if self._done or self._discard:
            return None
        data = say.text(f"<{address}>")
        answer, extra = await self._tell(say.RCPT, data, say.NO_RCPT, say.SILENT_RCPT, {"{rcpt_addr}": address})
        self._note(answer)
        return say.reply_of(answer, extra) if answer in _NO else None

    async def _mail(self, mail: MailCommand) -> None:
        data = say.text(f"<{mail.return_path}>", *mail.parameters)
        answer, extra = await self._tell(
            say.MAIL, data, say.NO_MAIL, say.SILENT_MAIL, {"{mail_addr}": mail.return_path, **self._login()}
        )
        self._note(answer)
        if answer in _NO:
            self._refused = say.reply_of(answer, extra)

    def _note(self, answer: bytes) -> None:
        self._done = self._done or answer == say.ACCEPT
        self._discard = self._discard or answer == say.DISCARD

    # -- the client -------------------------------------------------------------------------------------------------

    async def _introduce(self) -> None:
        """Connect where that is still to be done, and tell it of the client and of HELO."""
        if self._wire is None:
            self._always = self._refused_visit = self._helo = None
            connected = await self._servers.connect(self.settings.deadline, self._negotiate)
            self._wire, self._server, self.tries = connected
            await self._greet()
        helo = self._visit.helo
        if self._always is None and self._refused_visit is None and self._helo != helo:
            self._helo = helo
            tls = self._visit.tls
            facts = {} if tls is None else {
                "{tls_version}": tls.version, "{cipher}": tls.cipher, "{cipher_bits}": str(tls.bits)
            }  # fmt: skip
            answer, extra = await self._tell(say.HELO, say.text(helo), say.NO_HELO, say.SILENT_HELO, facts)
            self._about_visit(answer, extra)

    async def _negotiate(self, wire: Wire) -> None:
        await wire.send(say.packet(say.NEGOTIATE, say.OPTIONS.pack(say.VERSION, say.ACTIONS, say.STEPS)))
        command, data = await say.receive(wire.reader)
        if command != say.NEGOTIATE or len(data) < say.OPTIONS.size:
            raise ScannerError("it does not speak the milter protocol")
        version, self._actions, self._steps = say.OPTIONS.unpack_from(data)
        if not say.OLDEST <= version <= say.VERSION or self._actions & ~say.ACTIONS or self._steps & ~say.STEPS:
            raise ScannerError(
                f"it wants version {version}, actions {self._actions:#x} and steps {self._steps:#x} of the milter "
                "protocol, which were not all offered"
            )
        self._wanted = say.requested_macros(data[say.OPTIONS.size :])

    async def _greet(self) -> None:
        visit = self._visit
        address = visit.address.partition("%")[0]
        name = visit.client_name or f"[{address or 'localhost'}]"
        data = say.text(name)
        if not address:
            data += b"U"
        else:
            family = b"6" if ":" in address else b"4"
            data += family + visit.port.to_bytes(2, "big") + say.text(address)
        facts = {
            "j": self._host, "v": "Posthouse", "_": f"{name} [{address}]", "{daemon_name}": visit.listener,
            "{daemon_addr}": visit.local_address, "{daemon_port}": str(visit.local_port or ""),
            "{client_addr}": address, "{client_name}": visit.client_name or "", "{client_port}": str(visit.port),
        }  # fmt: skip
        answer, extra = await self._tell(say.CONNECT, data, say.NO_CONNECT, say.SILENT_CONNECT, facts)
        self._about_visit(answer, extra)

    def _about_visit(self, answer: bytes, extra: bytes) -> None:
        if answer == say.ACCEPT:
            self._always = answer
        elif answer in _NO:
            self._refused_visit = say.reply_of(answer, extra)

    def _login(self) -> dict[str, str]:
        account = self._visit.account
        return {"{auth_type}": "PLAIN", "{auth_authen}": account} if account else {}

    # -- the content ------------------------------------------------------------------------------------------------

    async def content(self, mail: MailCommand, recipients: Sequence[str], letter: Letter, queue_name: str) -> Scan:
        """What it says of a message for `recipients`. Never raises."""
        if self.trouble:
            return self._failed()
        self._queue_name, self._busy = queue_name, True
        try:
            return await self._whole(mail, recipients, letter)
        except FAULTS as error:
            self._fail(error)
            return self._failed()
        finally:
            self._rest()

    def _rest(self) -> None:
        """What was asked is answered; a client that went away meanwhile is followed now."""
        self._busy = False
        if self._gone:
            self.close()

    async def _whole(self, mail: MailCommand, recipients: Sequence[str], letter: Letter) -> Scan:
        if not self._mailed or self._wire is None:
            # The client has gone meanwhile, or the filter has: it is told again of all that was accepted.
            self._clear()
            replies = [await self._recipient(mail, address) for address in recipients]
            if refused := next((one for one in replies if one is not None), None):
                return Scan(self.name, "refuse" if refused.permanent else "defer", reply=refused)
        if self._refused is not None:  # it refused MAIL, and a mode made nothing of it
            return Scan(self.name, "refuse" if self._refused.permanent else "defer", reply=self._refused)
        if self._always is not None:
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
        wishes = Wishes(self._folder, self._most, bool(self._steps & say.LEADING_SPACE))
        for command, data, left_out, silent in self._parts(letter):
            answer, extra = await self._tell(command, data, left_out, silent, {})
            if answer == say.SKIP and command == say.BODY:
                break  # it has seen enough of the body
            if answer != say.CONTINUE:
                self._mailed = False  # whatever it is: the filter is through with this message
                return self._judged(answer, extra, wishes)
        async with asyncio.timeout(self.settings.deadline * PATIENCE):
            answer, extra = await self._end(wishes)
        self._mailed = False
        return self._judged(answer, extra, wishes)

    def _parts(self, letter: Letter) -> Iterator[tuple[bytes, bytes, int, int]]:
        yield say.DATA, b"", say.NO_DATA, say.SILENT_DATA
        if not self._steps & say.NO_HEADERS:
            spaced = self._steps & say.LEADING_SPACE
            for name, value in letter.named():
                value = value.replace(b"\r\n", b"\n")
                if not spaced:
                    value = value[1:] if value[:1] in (b" ", b"\t") else value
                yield say.HEADER, name.encode() + b"\0" + value + b"\0", say.NO_HEADERS, say.SILENT_HEADER
        yield say.END_OF_HEADER, b"", say.NO_END_OF_HEADER, say.SILENT_END_OF_HEADER
        if not self._steps & say.NO_BODY:
            for block in letter.body(say.CHUNK):
                yield say.BODY, block, say.NO_BODY, say.SILENT_BODY

    async def _end(self, wishes: Wishes) -> tuple[bytes, bytes]:
        """Say that the body has ended and hear what it wants, up to its final word."""
        wire = self._wire
        assert wire is not None
        await wire.send(self._macros(say.END_OF_BODY, {}) + say.packet(say.END_OF_BODY))
        while True:
            async with asyncio.timeout(self.settings.deadline):
                command, data = await say.receive(wire.reader)
            if command in (say.CONTINUE, say.ACCEPT, say.DISCARD, *_NO):
                return command, data
            if command != say.PROGRESS:
                wishes.take(command, data)

    def _judged(self, answer: bytes, extra: bytes, wishes: Wishes) -> Scan:
        if answer in _NO:
            reply = say.reply_of(answer, extra)
            return Scan(self.name, "refuse" if reply.permanent else "defer", words=str(reply)[:200], reply=reply)
        if answer == say.DISCARD:
            return Scan(self.name, "discard")
        if wishes.quarantine is not None:
            return Scan(self.name, "quarantine", words=wishes.quarantine, edits=wishes.edits())
        return Scan(self.name, "clean", edits=wishes.edits())

    # -- the wire ---------------------------------------------------------------------------------------------------

    async def _tell(
        self, command: bytes, data: bytes, left_out: int, silent: int, facts: dict[str, str]
    ) -> tuple[bytes, bytes]:
        """Say one thing, unless it wants to hear no such thing, and wait for its answer, unless it gives none."""
        wire = self._wire
        if wire is None:
            raise ScannerError("it hung up")
        if self._steps & left_out:
            return say.CONTINUE, b""
        async with asyncio.timeout(self.settings.deadline):
            await wire.send(self._macros(command, facts) + say.packet(command, data))
            if self._steps & silent:
                return say.CONTINUE, b""
            while True:
                answer, extra = await say.receive(wire.reader)
                if answer != say.PROGRESS:
                    return answer, extra

    def _macros(self, stage: bytes, facts: dict[str, str]) -> bytes:
        if stage in (say.HEADER, say.BODY):
            return b""
        known = {"i": self._queue_name, "j": self._host, **self._login(), **facts}
        wanted = self._wanted.get(stage)
        if wanted is None:  # it did not say: what was found out at this stage, and the queue's name for the message
            chosen = {**facts, "i": self._queue_name}
        else:
            chosen = {name: known.get(name) or known.get(f"{{{name}}}", "") for name in wanted}
        return say.macros(stage, chosen.items())

    def _fail(self, error: BaseException) -> None:
        """It has no part in this transaction; the next one tries again."""
        if isinstance(error, Nobody):
            self.tries = list(error.tries)
        else:
            why = f"no answer in {self.settings.deadline:g} seconds" if isinstance(error, TimeoutError) else ""
            self._servers.failed(self._server, why or reason_of(error), self.tries)
        self.trouble = "; ".join(f"{server}: {why}" for server, why in self.tries)
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _failed(self) -> Scan:
        reply = catalogue.SCANNER_DOWN if self.settings.when_down == "defer" else None
        return Scan(self.name, "failed", words=self.trouble, reply=reply)
