"""Which addresses an account may send with: its own, what it was allowed, and those of the lists it owns."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.address import AddressError, key_of
from posthouse.directory import accounts, domains, sending
from posthouse.directory.accounts import AccountFacts
from posthouse.lists import addresses, roster
from posthouse.reception.policy.facts import Rights


@dataclass(frozen=True, slots=True)
class Admitted:
    """An account that signed in, and what it may call itself."""

    account: AccountFacts
    rights: Rights


def admit(identity: str, password: str) -> Admitted | None:
    """The account whose address and password these are, or None; takes as long for an unknown address."""
    account = accounts.check_password(identity, password)
    return None if account is None else Admitted(account, rights_of(account))


def rights_of(account: AccountFacts) -> Rights:
    """RFC 6409 §6.1. Owners of a list speak in its name, as the list and as its owners; owners of a domain for all of
    its addresses."""
    own = {_key(address) for address in account.addresses}
    whole = set(domains.owned_by(account.id))
    for name in sending.allowed(account.id):
        (whole if name.startswith("@") else own).add(name.removeprefix("@"))
    for mailing_list in roster.roles_of(account.id).owner:
        own |= {_key(mailing_list), _key(addresses.of(mailing_list, addresses.OWNER))}
    return Rights(frozenset(own), frozenset(whole))


def _key(address: str) -> str:
    try:
        return key_of(address)
    except AddressError:
        return address.lower()
