"""The maps that other mail servers look things up in, answered from routing; nothing is remembered here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from posthouse.configuration import Configuration
from posthouse.database import Unavailable
from posthouse.routing import Destination, Refused, Router, ToAddresses, ToRelay, ToRemote, return_path_refusal
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

MAPS = ("recipients", "domains", "transport", "addresses", "aliases", "replies")
MOST_TEXT = 400  # characters of a reply that are passed on
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a map says: `status` is OK, NOTFOUND, TEMP (ask again later) or PERM (the question is wrong)."""

    status: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.text}"


NOT_FOUND = Answer("NOTFOUND")


class Answers:
    """`transport` is what the map of that name says for what is ours."""

    def __init__(self, router: Router, transport: str) -> None:
        self._router, self._transport = router, transport

    async def look_up(self, table: str, key: str) -> Answer:
        """One question. Never raises.

        recipients: an address that we take mail for; domains: a domain of ours; transport: either, and where it goes;
        addresses: the same for addresses alone (a domain that is shared with others); aliases: what an address stands
        for; replies: "RECIPIENT SENDER", and our refusal as `CODE STATUS TEXT` when there is one.
        """
        if table not in MAPS:
            return Answer("PERM", f"there is no map {table[:40]!r}; there are {', '.join(MAPS)}".replace('"', "'"))
        key = key.strip()
        if not key or len(key) > 1000:
            return NOT_FOUND
        try:
            if table == "replies":
                recipient, _, sender = key.partition(" ")
                reply = await self.refusal(sender.strip("<>"), recipient)
                return NOT_FOUND if reply is None else Answer("OK", words(reply))
            if "@" not in key:
                return await self._of_domain(table, key)
            if key.startswith(
                "@"
            ):  # Postfix asks for catch-alls so; whether an address exists, the address itself says
                return NOT_FOUND
            return self._of_address(table, await self._router.route(key))
        except Unavailable:
            return Answer("TEMP", "the database is not available")

    async def refusal(self, sender: str, recipient: str) -> Reply | None:
        """The reply with which we should refuse this recipient; None when we take it, or it is not our business.

        Raises database.Unavailable.
        """
        destination = await self._router.route(recipient)
        if _elsewhere(destination):
            return None
        if isinstance(destination, Refused):
            return destination.reply
        return return_path_refusal(destination, sender)

    async def policy(self, attributes: Mapping[str, str]) -> str:
        """The action for one request of Postfix's policy delegation protocol. Never raises."""
        recipient = attributes.get("recipient", "")
        if attributes.get("protocol_state", "RCPT") not in ("RCPT", "VRFY") or not recipient:
            return "DUNNO"
        try:
            reply = await self.refusal(attributes.get("sender", ""), recipient)
        except Unavailable:
            return "DEFER_IF_PERMIT 4.3.0 Address lookup is not available now; please try again"
        return "DUNNO" if reply is None else words(reply)

    async def _of_domain(self, table: str, key: str) -> Answer:
        if table not in ("domains", "transport") or key.startswith(".") or key == "*":
            return NOT_FOUND
        destination = await self._router.route(f"postmaster@{key}")  # led somewhere in each domain of ours
        if isinstance(destination, ToRelay) or _elsewhere(destination) or _malformed(destination):
            return NOT_FOUND
        return Answer("OK", self._transport if table == "transport" else key)

    def _of_address(self, table: str, destination: Destination) -> Answer:
        if isinstance(destination, Refused):
            return Answer("TEMP", words(destination.reply)) if destination.reply.temporary else NOT_FOUND
        if isinstance(destination, ToRemote) or table == "domains":
            return NOT_FOUND
        if table == "aliases":
            return Answer("OK", ", ".join(destination.addresses)) if isinstance(destination, ToAddresses) else NOT_FOUND
        if table == "recipients":
            return Answer("OK", "OK")
        return NOT_FOUND if isinstance(destination, ToRelay) else Answer("OK", self._transport)


def transport_of(configuration: Configuration) -> str:
    """What the map `transport` says, in Postfix's words."""
    if configuration.service.transport:
        return configuration.service.transport
    places = configuration.reception.lmtp
    return f"lmtp:inet:{places[0]}" if places else f"smtp:[{configuration.host}]"


def words(reply: Reply) -> str:
    """A reply as one line of printable ASCII: `550 5.1.1 No such mailbox`."""
    text = _UNPRINTABLE.sub(" ", reply.text).strip()[:MOST_TEXT]
    return f"{reply.code} {reply.enhanced or f'{str(reply.code)[0]}.0.0'} {text}".strip()


def _elsewhere(destination: Destination) -> bool:
    """Whether it is no business of ours."""
    if isinstance(destination, Refused):
        denied = catalogue.RELAYING_DENIED
        return (destination.reply.code, destination.reply.enhanced) == (denied.code, denied.enhanced)
    return isinstance(destination, ToRemote)


def _malformed(destination: Destination) -> bool:
    return isinstance(destination, Refused) and destination.reply.enhanced == catalogue.BAD_RECIPIENT.enhanced
