"""The milters that go with one connection of ours, in the order of the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from posthouse.reception.policy.facts import Facts, Scan, Visit
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.milter import MailCommand, Milter, RcptCommand
from posthouse.smtp.reply import Reply

Wanted = Callable[[str], bool]  # whether a recipient's domain is scanned
# (its name, the connection, the return path, which servers failed and why): a recipient is deferred for it
Down = Callable[[str, Visit, str, Sequence[tuple[str, str]]], None]
STEP_SECONDS = 240.0  # all milters together have for one command: a client waits 300 (RFC 5321 §4.5.3.2.3)


class Escort:
    """Hears what the session hears. Only `recipient`, `unknown` and `content` wait; the rest is noted and told to them
    then."""

    def __init__(self, visit: Visit, milters: Sequence[tuple[Milter, Wanted]], down: Down) -> None:
        self._visit, self._milters, self._down = visit, tuple(milters), down
        self._told: set[str] = set()  # milters of which the log says that they are down, in this transaction
        self._mail = MailCommand("")  # kept behind `reset`: a client may have gone before its message is judged
        self._open = False  # a transaction is
        self._taken: dict[str, RcptCommand] = {}  # of the open transaction, by address

    def hello(self, verb: str, name: str) -> None:
        """HELO, EHLO or LHLO."""
        self._visit.verb, self._visit.helo = verb, name

    def mail(self, return_path: str, size: int | None = None, body: str = "", author: str = "") -> None:
        """MAIL was accepted; `size`, `body` and `author` as its parameters SIZE, BODY and AUTH say."""
        parameters = [f"SIZE={size}"] if size else []
        if body:
            parameters.append(f"BODY={body}")
        self._mail, self._taken = MailCommand(return_path, tuple(parameters), author), {}
        self._open = True
        self._told.clear()

    async def recipient(self, address: str, mailer: str = "", host: str = "") -> Reply | None:
        """What the first of them that refuses or defers says to this recipient; None: go on. Never raises.

        `mailer` and `host`: who will carry it, and to where.
        """
        command = self._taken[address] = RcptCommand(address, mailer, host)
        return await self._each(command)

    async def refused(self, address: str, reply: Reply) -> None:
        """Somebody else refused a recipient with `reply`: those hear of it that want to. Never raises."""
        await self._each(RcptCommand(address, refused=reply))

    async def _each(self, command: RcptCommand) -> Reply | None:
        now = asyncio.get_running_loop().time
        until = now() + STEP_SECONDS
        for milter, wanted in self._milters:
            if wanted(command.address):
                reply = await milter.recipient(self._mail, command, until - now())
                if reply is None:
                    continue
                if milter.trouble and milter.name not in self._told:  # no content will come that could tell of it
                    self._told.add(milter.name)
                    self._down(milter.name, self._visit, self._mail.return_path, milter.tries)
                return reply
        return None

    async def unknown(self, line: str) -> Reply | None:
        """What the first of them that refuses or defers says to a command that nobody knows. Never raises."""
        now = asyncio.get_running_loop().time
        until = now() + STEP_SECONDS
        for milter, _ in self._milters:
            reply = await milter.unknown(self._mail if self._open else None, line, until - now())
            if reply is not None:
                return reply
        return None

    async def content(self, name: str, facts: Facts, letter: Letter, queue_name: str) -> tuple[Scan, Milter]:
        """What the milter of this name says of the message. Never raises."""
        milter, wanted = next(pair for pair in self._milters if pair[0].name == name)
        people = [self._taken.get(one) or RcptCommand(one) for one in facts.recipients if wanted(one)]
        return await milter.content(self._mail, people, letter, queue_name), milter

    def goes_with(self, name: str) -> bool:
        """Whether the milter of this name looks at this connection."""
        return any(milter.name == name for milter, _ in self._milters)

    def again(self) -> None:
        """The message is judged in parts: each tells its own envelope."""
        for milter, _ in self._milters:
            milter.again()

    def reset(self) -> None:
        """The transaction is over."""
        self._open = False
        for milter, _ in self._milters:
            milter.reset()

    def closed(self) -> None:
        """The client has gone."""
        for milter, _ in self._milters:
            milter.close()
