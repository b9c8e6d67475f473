"""The decision where an address leads: one switch, read top to bottom; the first line that fits wins."""

from __future__ import annotations

from functools import partial

from posthouse.address import Address, AddressError
from posthouse.directory.alias_files import FileTrouble
from posthouse.routing import places
from posthouse.routing.destination import Destination, Refused, ToRelay, ToRemote
from posthouse.routing.expanding import waits
from posthouse.routing.inquiry import Inquiry
from posthouse.routing.lookups.desk import desk
from posthouse.routing.places import our_name, relay_domains
from posthouse.smtp import catalogue

__all__ = ["denied", "malformed", "our_name", "relay_domains", "route"]


def route(address: str, may_relay: bool = False, inquiry: Inquiry | None = None) -> Destination:
    """Where `address` leads. `may_relay`: whether the one who asks may send to domains that are not ours.

    Reads the database and the alias files: what was made a moment ago is found, what was removed is not. Without an
    `inquiry` lookups in databases of others are asked in this thread, which may wait for their deadlines.
    """
    inquiry = inquiry or Inquiry(desk().ask_here)
    try:
        wanted = places.as_address(address)
    except AddressError as error:
        return malformed(error)
    onward = partial(route, may_relay=True, inquiry=inquiry)  # an alias may lead anywhere
    return (
        _elsewhere(wanted, may_relay, inquiry)
        or places.program(wanted, may_relay, inquiry)
        or places.file_alias(wanted, inquiry, onward)
        or places.database_alias(wanted, inquiry, onward)
        or places.postmaster(wanted, inquiry)
        or places.looked_up(wanted, inquiry, onward)
        or places.mailing_list(wanted, inquiry)
        or places.legacy_list(wanted, inquiry, onward)
        or places.site_contact(wanted, inquiry)
        or places.system_user(wanted, inquiry, onward)
        or places.catch_all(wanted, inquiry, onward)
        or Refused(catalogue.NO_SUCH_MAILBOX, f"{wanted.domain} is ours and has no such address")
    )


def _elsewhere(wanted: Address, may_relay: bool, inquiry: Inquiry) -> Destination | None:
    """A domain that is not ours."""
    domain = wanted.domain
    try:
        if domain in inquiry.ours_too or places.is_ours(domain):
            inquiry.tell(wanted, "our domains", f"{domain} is ours")
            return None
    except FileTrouble as trouble:
        return waits(f"it cannot be known which domains are ours: {trouble}")
    inquiry.tell(wanted, "our domains", f"{domain} is none of them")
    if domain in relay_domains():
        inquiry.tell(wanted, "relay domains", f"{domain} is one of them")
        return ToRelay(domain)
    if may_relay:
        return ToRemote(domain)
    return denied(domain)


def denied(domain: str) -> Refused:
    """The answer to a stranger who wants to send through us."""
    return Refused(catalogue.RELAYING_DENIED, f"{domain} is neither ours nor one of relay_domains")


def malformed(error: AddressError) -> Refused:
    """The answer to what is no address."""
    return Refused(catalogue.BAD_RECIPIENT.with_text(f"{catalogue.BAD_RECIPIENT.text}: {error.rule}"), error.rule)
