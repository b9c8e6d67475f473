"""The decision where an address leads: one switch, read top to bottom; the first line that fits wins."""

from __future__ import annotations

from posthouse import configuration
from posthouse.address import AddressError, normal_domain, parse
from posthouse.directory import accounts, domains
from posthouse.lists import addresses
from posthouse.routing.destination import Destination, Refused, ToAddresses, ToList, ToRelay, ToRemote
from posthouse.smtp import catalogue

POSTMASTER = "postmaster"
NOT_POSTED_TO = {"paused": catalogue.LIST_PAUSED, "closed": catalogue.LIST_CLOSED}  # states of a list


def route(address: str, may_relay: bool = False) -> Destination:
    """Where `address` leads. `may_relay`: whether the one who asks may send to domains that are not ours.

    Reads the database: a list made a moment ago is found, a removed one is not.
    """
    if address.lower() == POSTMASTER:  # RFC 5321 §4.1.1.3: the one address without a domain
        return _postmaster()
    try:
        wanted = parse(address)
    except AddressError as error:
        return malformed(error)
    domain = wanted.domain
    ours = domains.is_ours(domain)

    if wanted.local_part.lower() == POSTMASTER and (ours or domain == our_name()):  # RFC 5321 §4.5.1
        return _postmaster()
    if ours:
        found = addresses.find(wanted.local_part, domain)
        if found is not None and found.role == addresses.POSTING and found.state in NOT_POSTED_TO:
            return _not_posted_to(found)
        if found is not None:
            return ToList(found.list_pk, found.address, found.role, found.detail)
        return Refused(catalogue.NO_SUCH_MAILBOX, f"{domain} is ours and has no such address")
    if domain in relay_domains():
        return ToRelay(domain)
    if may_relay:
        return ToRemote(domain)
    return denied(domain)


def _not_posted_to(found: addresses.ListAddress) -> Refused:
    """A paused or closed list refuses postings while the author's host still listens; its other addresses work."""
    reply = NOT_POSTED_TO[found.state]
    owner = addresses.of(found.address, addresses.OWNER)
    return Refused(reply.with_text(f"{reply.text}; its owners are at {owner}"), f"{found.address} is {found.state}")


def denied(domain: str) -> Refused:
    """The answer to a stranger who wants to send through us."""
    return Refused(catalogue.RELAYING_DENIED, f"{domain} is neither ours nor one of relay_domains")


def malformed(error: AddressError) -> Refused:
    """The answer to what is no address."""
    return Refused(catalogue.BAD_RECIPIENT.with_text(f"{catalogue.BAD_RECIPIENT.text}: {error.rule}"), error.rule)


def our_name() -> str:
    """This host's own name as a mail domain, or "" when it cannot be one."""
    return _normal(configuration.active().host)


def relay_domains() -> frozenset[str]:
    """The domains we are a backup MX for, in their normal spelling."""
    return _normal_set(tuple(configuration.active().reception.relay_domains))


def _postmaster() -> Destination:
    """RFC 5321 §4.5.1: mail for the postmaster always reaches a person."""
    # A superuser known only as postmaster of our own domain would get the mail by way of this line, for ever.
    local = {our_name(), *(facts.name for facts in domains.all_domains())}
    people = tuple(
        address
        for address in accounts.superuser_addresses()
        if not (address.lower().startswith(f"{POSTMASTER}@") and address.rpartition("@")[2].lower() in local)
    )
    if people:
        return ToAddresses(people, "the postmaster's mail goes to every superuser")
    return Refused(
        catalogue.TEMPORARILY_UNAVAILABLE,
        "there is no superuser who could get the postmaster's mail; make one with `posthouse accounts create`",
    )


def _normal(name: str) -> str:
    try:
        return normal_domain(name)
    except AddressError:
        return ""


_sets: dict[tuple[str, ...], frozenset[str]] = {}


def _normal_set(names: tuple[str, ...]) -> frozenset[str]:
    if names not in _sets:
        _sets.clear()
        _sets[names] = frozenset(_normal(name) for name in names) - {""}
    return _sets[names]
