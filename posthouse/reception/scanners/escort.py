"""The milters that go with one connection of ours, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from posthouse.reception.policy.facts import Facts, Scan, Visit
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.milter import MailCommand, Milter
from posthouse.smtp.reply import Reply

Wanted = Callable[[str], bool]  # whether a recipient's domain is scanned


class Escort:
    """Hears what the session hears. Only `recipient` and `content` wait; the rest is noted and told to them then."""

    def __init__(self, visit: Visit, milters: Sequence[tuple[Milter, Wanted]]) -> None:
        self._visit, self._milters = visit, tuple(milters)
        self._mail = MailCommand("")

    def hello(self, verb: str, name: str) -> None:
        """HELO, EHLO or LHLO."""
        self._visit.verb, self._visit.helo = verb, name

    def mail(self, return_path: str, size: int | None = None, body: str = "") -> None:
        """MAIL was accepted; `size` and `body` as its parameters say."""
        parameters = [f"SIZE={size}"] if size else []
        if body:
            parameters.append(f"BODY={body}")
        self._mail = MailCommand(return_path, tuple(parameters))

    async def recipient(self, address: str) -> Reply | None:
        """What the first of them that refuses or defers says to this recipient; None: go on. Never raises."""
        for milter, wanted in self._milters:
            if wanted(address):
                reply = await milter.recipient(self._mail, address)
                if reply is not None:
                    return reply
        return None

    async def content(self, name: str, facts: Facts, letter: Letter, queue_name: str) -> tuple[Scan, Milter]:
        """What the milter of this name says of the message. Never raises."""
        milter, wanted = next(pair for pair in self._milters if pair[0].name == name)
        recipients = [address for address in facts.recipients if wanted(address)]
        return await milter.content(self._mail, recipients, letter, queue_name), milter

    def goes_with(self, name: str) -> bool:
        """Whether the milter of this name looks at this connection."""
        return any(milter.name == name for milter, _ in self._milters)

    def reset(self) -> None:
        """The transaction is over."""
        for milter, _ in self._milters:
            milter.reset()

    def closed(self) -> None:
        """The client has gone."""
        for milter, _ in self._milters:
            milter.close()
