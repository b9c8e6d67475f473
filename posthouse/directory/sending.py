"""What accounts may call themselves besides their own addresses: single addresses, or every address of a domain."""

from __future__ import annotations

from posthouse.address import AddressError, normal_domain
from posthouse.database import transaction
from posthouse.directory import accounts, addresses
from posthouse.directory.errors import BadAddress, NoSuchAccount
from posthouse.directory.models import SenderRight


def allowed(account_id: int) -> list[str]:
    """The names that were granted to an account: addresses (keys), and domains behind an @."""
    return list(SenderRight.objects.filter(account_id=account_id).order_by("name").values_list("name", flat=True))


def allow(address: str, name: str) -> list[str]:
    """Let the account of `address` send as `name`: an address, or @domain for all of its addresses; gives all names.

    Safe to repeat. Raises NoSuchAccount, BadAddress.
    """
    wanted = _name(name)
    with transaction():
        account = _account(address)
        SenderRight.objects.get_or_create(account_id=account, name=wanted)
        return allowed(account)


def take_back(address: str, name: str) -> list[str]:
    """The opposite of `allow`. Raises NoSuchAccount, BadAddress (also when it was not granted)."""
    wanted = _name(name)
    with transaction():
        account = _account(address)
        if not SenderRight.objects.filter(account_id=account, name=wanted).delete()[0]:
            raise BadAddress(f"{address} was never allowed to send as {wanted}")
        return allowed(account)


def _account(address: str) -> int:
    account = accounts.find(address)
    if account is None:
        raise NoSuchAccount(f"{address} has no account")
    return account.id


def _name(text: str) -> str:
    text = text.strip()
    if not text.startswith("@"):
        return addresses.checked(text).key
    try:
        return f"@{normal_domain(text[1:])}"
    except AddressError as error:
        raise BadAddress(f"{text!r} is no domain behind an @: {error.rule}") from error
