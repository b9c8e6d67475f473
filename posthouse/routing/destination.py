"""The answers to "where does this address lead?", and which of them take mail with the null return path."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.message.envelope import NULL_RETURN_PATH
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

# The roles whose addresses are never an envelope sender, so no report can be meant for them. The other two, bounces
# and confirm, send mail (VERP copies, confirmations), and must hear what became of it.
NEVER_SENDING = frozenset({"posting", "owner", "join", "leave", "request"})


@dataclass(frozen=True, slots=True)
class ToList:
    """An address of a mailing list; `role` as in `lists.addresses`, `detail` what stood behind the `+`."""

    list_pk: int
    list_address: str
    role: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ToRemote:
    """Another host's business: deliver to the MX of `domain` (A-labels, lower case, or an address literal)."""

    domain: str


@dataclass(frozen=True, slots=True)
class ToRelay:
    """A domain we take mail for and pass on (backup MX): anybody may send to it through us."""

    domain: str


@dataclass(frozen=True, slots=True)
class ToAddresses:
    """One address that stands for others; `why` is a sentence."""

    addresses: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class ToPipe:
    """A program that an alias file names. `alias`: whose entry it is; `detail`: what stood behind the `+`."""

    command: str
    alias: str
    detail: str
    why: str


@dataclass(frozen=True, slots=True)
class ToNowhere:
    """Taken and dropped, as an alias wants it; `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The address leads nowhere (5yz) or cannot be decided now (4yz); `why` is a sentence for the maillog."""

    reply: Reply
    why: str


Destination = ToList | ToRemote | ToRelay | ToAddresses | ToPipe | ToNowhere | Refused


def return_path_refusal(destination: Destination, return_path: str) -> Reply | None:
    """The reply that refuses this return path for this destination at RCPT, or None when it may pass.

    Only the null return path (RFC 5321 §4.5.5) is ever refused, and only at list addresses that never send: what
    comes there is backscatter or a misdirected auto-reply.
    """
    if return_path != NULL_RETURN_PATH or not isinstance(destination, ToList):
        return None
    if destination.role not in NEVER_SENDING:
        return None
    name, _, domain = destination.list_address.rpartition("@")
    return catalogue.NULL_SENDER_REFUSED.with_text(
        f"{catalogue.NULL_SENDER_REFUSED.text}; reports about mail of this list go to {name}-bounces@{domain}"
    )
