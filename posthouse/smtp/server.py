"""The ESMTP and LMTP server: one connection, its commands in order, driving a Session (RFC 5321, RFC 2033)."""

from __future__ import annotations

from typing import Any

from posthouse.smtp import catalogue
from posthouse.smtp.authentication import MECHANISMS, Credentials, Exchange
from posthouse.smtp.command import BadCommand, decode, parse_mail, parse_rcpt
from posthouse.smtp.keywords import hello_reply
from posthouse.smtp.path import valid_hello
from posthouse.smtp.receiving import Receiving
from posthouse.smtp.reply import Reply

_HTTP = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"))


class Server(Receiving):
    """One connection. ``asyncio``'s create_server takes ``lambda: Server(session)``; implicit TLS goes there too."""

    __slots__ = ("_authenticated", "_exchange", "_verb")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._verb = ""  # of the greeting: HELO, EHLO or LHLO
        self._authenticated = False
        self._exchange: Exchange | None = None

    def shutdown(self) -> None:
        """Close at the next command boundary with 421; a running transaction finishes first."""
        self._leaving = True
        if self._transport is None or self._closing:
            return
        if self._pending is not None:
            self._pending.add_done_callback(lambda _: self.shutdown())  # behind the one that says the answer
        elif self._waiting:
            self._loop.call_later(0.2, self.shutdown)  # held back on purpose: look again
        elif self._mail is None and self._exchange is None:
            self._say(catalogue.SHUTTING_DOWN)

    # -- lines ----------------------------------------------------------------------------------------------------

    def _greeted(self, reply: Reply) -> None:
        self._say(reply)
        if reply.code == 220:
            self._mode = Server._commands
        else:
            self._close(str(reply))

    def _commands(self) -> bool:
        """Take one command from the buffer; False when it holds no whole one."""
        line = self._next_line()
        if type(line) is not bytes:
            return bool(line)
        if self._leaving and self._mail is None:
            self._say(catalogue.SHUTTING_DOWN)
            return True
        word = line.partition(b" ")[0].upper()
        handler = _COMMANDS.get(word)
        if handler is None:
            self._unknown(word, line)
        else:
            handler(self, line)
        return True

    def _next_line(self) -> bytes | bool:
        """The next line without its CRLF; True when it was refused, False when it is not there yet.

        What can never become a lawful line is refused at once, and skipped up to its CRLF to stay in step. Which
        refusal it is does not depend on how much of the line has come.
        """
        buffer, start = self._buffer, self._at
        if start == len(buffer):
            return False
        end = buffer.find(b"\r\n", start)
        size = end + 2 - start if end >= 0 else len(buffer) - start
        limits = self._limits
        limit = limits.command_line
        if size > limit and (self._exchange is not None or buffer[start : start + 5].upper() == b"AUTH "):
            limit = limits.auth_line
        if end >= 0 and size <= limit:
            self._at = end + 2
            line = buffer[start:end]
            if not (b"\n" in line or b"\r" in line or b"\0" in line):
                return line
            refusal = catalogue.BARE_NEWLINE_IN_COMMAND
        else:
            head = buffer[start : start + limit]
            if b"\n" in head or b"\0" in head or (size > limit and b"\r" in head[:-1]):
                refusal = catalogue.BARE_NEWLINE_IN_COMMAND
            elif size <= limit:
                return False
            else:
                refusal = catalogue.LINE_TOO_LONG if self._exchange is None else catalogue.AUTH_LINE_TOO_LONG
        self._mode = Server._skip
        if end >= 0:
            self._at = end + 2
            self._mode = Server._commands
        secret = self._exchange is not None or buffer[start : start + 4].upper() == b"AUTH"  # never in a log
        self._exchange = None
        self._refuse("command", refusal, b"AUTH" if secret else buffer[start : start + 200])
        return True

    def _skip(self) -> bool:
        """Throw away the rest of a refused line."""
        end = self._buffer.find(b"\r\n", self._at)
        if end < 0:
            # A CR at the very end may be half of the CRLF that is waited for.
            self._at = len(self._buffer) - (1 if self._buffer.endswith(b"\r", self._at) else 0)
            return False
        self._at = end + 2
        self._mode = Server._commands
        return True

    def _unknown(self, word: bytes, line: bytes) -> None:
        if word in _HTTP:
            # A browser was made to speak to us: nothing that follows is meant as SMTP.
            self._session.refused("command", catalogue.HTTP_SPOKEN, line[:200].decode("utf-8", "replace"))
            self._say(catalogue.HTTP_SPOKEN)
            self._close(str(catalogue.HTTP_SPOKEN))
            return
        self._unknowns += 1
        if 0 < self._limits.unknown_commands <= self._unknowns:
            self._session.refused("command", catalogue.TOO_MANY_UNKNOWN, line[:200].decode("utf-8", "replace"))
            self._say(catalogue.TOO_MANY_UNKNOWN)
            return
        try:
            answer = self._session.unknown(line.decode("utf-8", "surrogateescape"))
        except Exception as error:
            answer = self._fault(error)
        self._settle(answer, lambda reply: self._refuse("command", reply, line))

    # -- commands -------------------------------------------------------------------------------------------------

    def _hello(self, line: bytes) -> None:
        verb = line[:4].upper().decode("ascii")
        if (verb == "LHLO") != self._session.lmtp:
            # RFC 2033 §4.1: HELO and EHLO do not exist in LMTP, nor LHLO in SMTP.
            self._refuse("hello", catalogue.LHLO_HERE if self._session.lmtp else catalogue.EHLO_HERE, line)
            return
        try:
            name = decode(line[4:]).strip(" ")
        except BadCommand as bad:
            self._refuse("hello", bad.reply, line)
            return
        if not valid_hello(name):
            self._refuse("hello", catalogue.HELLO_NEEDS_NAME, line)
            return
        if self._mail is not None:
            self._reset()  # RFC 5321 §4.1.4: EHLO also clears the transaction
        self._verb = verb
        try:
            answer = self._session.hello(verb, name)
        except Exception as error:
            answer = self._fault(error)
        self._settle(answer, self._hello_done)

    def _hello_done(self, reply: Reply) -> None:
        if not reply.positive:
            self._verb = ""
            self._judge(reply)
        elif self._verb == "HELO":
            self._say(reply)
        else:
            limits = self._limits
            offer = hello_reply(
                reply,
                self._session.extensions(),
                limits.message_size,
                limits.recipients,
                limits.transactions,
                encrypted=self.tls is not None,
                authenticated=self._authenticated,
            )
            self._say(offer)

    def _mail_command(self, line: bytes) -> None:
        if not self._verb:
            self._refuse("mail", catalogue.HELLO_FIRST, line)
            return
        if self._mail is not None:
            refusal = catalogue.NESTED_MAIL if self._content is None else catalogue.MAIL_AFTER_BDAT
            self._refuse("mail", refusal, line)
            return
        limits = self._limits
        if 0 < limits.transactions <= self._transactions:
            self._session.refused("mail", catalogue.TOO_MANY_TRANSACTIONS, "")
            self._say(catalogue.TOO_MANY_TRANSACTIONS)  # RFC 9422 §4.1
            return
        try:
            extensions = self._session.extensions()
            path = parse_mail(line, smtputf8=extensions.smtputf8, dsn=extensions.dsn)
            if path.size is not None and 0 < limits.message_size < path.size:
                raise BadCommand(catalogue.MESSAGE_TOO_BIG)  # RFC 1870 §6.1
        except BadCommand as bad:
            self._refuse("mail", bad.reply, line)
            return
        self._offered = path
        try:
            answer = self._session.mail(path)
        except Exception as error:
            answer = self._fault(error)
        if type(answer) is Reply and answer.code == 250:
            self._mail_done(answer)
        else:
            self._settle(answer, self._mail_done)

    def _mail_done(self, reply: Reply) -> None:
        if reply.positive:
            self._mail = self._offered
            self._say(reply)
        else:
            self._judge(reply)
        self._offered = None

    def _rcpt_command(self, line: bytes) -> None:
        mail = self._mail
        if mail is None:
            self._refuse("rcpt", catalogue.MAIL_FIRST if self._verb else catalogue.HELLO_FIRST, line, count=False)
            return
        if self._content is not None or self._failed:
            self._refuse("rcpt", catalogue.MAIL_AFTER_BDAT, line)
            return
        if 0 < self._limits.recipients <= self._accepted:
            self._refuse("rcpt", catalogue.TOO_MANY_RECIPIENTS, line)  # RFC 5321 §4.5.3.1.10
            return
        try:
            path = parse_rcpt(line, smtputf8=mail.smtputf8, dsn=self._session.extensions().dsn)
        except BadCommand as bad:
            self._refuse("rcpt", bad.reply, line)
            return
        try:
            answer = self._session.recipient(path)
        except Exception as error:
            answer = self._fault(error)
        self._settle(answer, self._rcpt_done)

    def _rcpt_done(self, reply: Reply) -> None:
        if reply.positive:
            self._accepted += 1
            self._say(reply)
        else:
            self._judge(reply)

    def _rset(self, line: bytes) -> None:
        if self._bare(line):
            self._reset()
            self._say(catalogue.RESET_OK)

    def _noop(self, _line: bytes) -> None:
        self._say(catalogue.NOOP_OK)

    def _quit(self, line: bytes) -> None:
        if self._bare(line):
            self._say(catalogue.BYE)
            self._close("QUIT")

    def _vrfy(self, line: bytes) -> None:
        if len(line) > 5:
            self._say(catalogue.CANNOT_VERIFY)  # RFC 5321 §7.3
        else:
            self._refuse("command", catalogue.SYNTAX_ERROR, line)

    def _expn(self, line: bytes) -> None:
        self._refuse("command", catalogue.NOT_IMPLEMENTED, line)

    def _help(self, _line: bytes) -> None:
        self._say(catalogue.HELP)

    def _starttls(self, line: bytes) -> None:
        context = self._session.extensions().starttls
        if not self._bare(line):
            return
        if self.tls is not None:
            self._refuse("starttls", catalogue.TLS_ACTIVE, line)
        elif context is None:
            self._refuse("starttls", catalogue.TLS_NOT_OFFERED, line)
        elif self._at < len(self._buffer):
            # Clear text behind STARTTLS can only be an injection or a client that would never notice (RFC 3207 §6).
            self._cut_off("starttls", catalogue.PIPELINED_TLS)
        else:
            self._out.append(catalogue.START_TLS.octets)
            self._encrypt(context, self._encrypted)

    def _encrypted(self, _reply: Reply) -> None:
        if self.tls is None:
            return
        self._reset()
        self._verb = ""  # RFC 3207 §4.2: nothing said in clear text counts any more
        self._session.tls_started(self.tls)

    # -- AUTH -----------------------------------------------------------------------------------------------------

    def _auth(self, line: bytes) -> None:
        refusal = self._auth_refusal()
        if refusal is not None:
            self._refuse("auth", refusal, b"AUTH")
            return
        words = line.split(b" ")
        if len(words) not in (2, 3):
            self._refuse("auth", catalogue.AUTH_SYNTAX, b"AUTH")
            return
        mechanism = words[1].upper().decode("ascii", "replace")
        if mechanism not in MECHANISMS:
            self._refuse("auth", catalogue.AUTH_MECHANISM, words[1][:40])
            return
        self._exchange = Exchange(mechanism)
        self._auth_step(self._exchange.begin(words[2] if len(words) == 3 else None))

    def _auth_refusal(self) -> Reply | None:
        if not self._session.extensions().auth:
            return catalogue.AUTH_NOT_OFFERED
        if self.tls is None:
            return catalogue.AUTH_NEEDS_TLS
        if self._verb in ("", "HELO"):
            return catalogue.HELLO_FIRST
        if self._authenticated:
            return catalogue.AUTH_DONE
        return catalogue.AUTH_IN_TRANSACTION if self._mail is not None else None

    def _auth_line(self) -> bool:
        """A line of the exchange instead of a command."""
        line = self._next_line()
        if type(line) is not bytes:
            return bool(line)
        exchange = self._exchange
        self._mode = Server._commands
        if exchange is not None:
            self._auth_step(exchange.answer(line))
        return True

    def _auth_step(self, step: Reply | Credentials) -> None:
        if isinstance(step, Credentials):
            self._exchange = None
            try:
                answer = self._session.authenticate(step.mechanism, step.identity, step.password, step.authorization)
            except Exception as error:
                answer = self._fault(error)
            self._settle(answer, self._auth_done)
        elif step.positive:
            self._mode = Server._auth_line
            self._say(step)
        else:
            self._exchange = None
            self._refuse("auth", step, b"AUTH")

    def _auth_done(self, reply: Reply) -> None:
        if reply.positive:
            self._authenticated = True
            self._say(reply)
        else:
            self._judge(reply)


_COMMANDS = {
    b"EHLO": Server._hello,
    b"HELO": Server._hello,
    b"LHLO": Server._hello,
    b"MAIL": Server._mail_command,
    b"RCPT": Server._rcpt_command,
    b"DATA": Server._data_command,
    b"BDAT": Server._bdat_command,
    b"RSET": Server._rset,
    b"NOOP": Server._noop,
    b"QUIT": Server._quit,
    b"VRFY": Server._vrfy,
    b"EXPN": Server._expn,
    b"HELP": Server._help,
    b"STARTTLS": Server._starttls,
    b"AUTH": Server._auth,
}
