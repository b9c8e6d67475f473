"""Which addresses belong to which account: added by a mailed link, given up, and accounts of one person merged."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from posthouse.database import transaction
from posthouse.directory import accounts, addresses
from posthouse.directory.errors import AccountExists, DirectoryError, LinkSpent, NoSuchAccount
from posthouse.directory.models import Account, Address, AddressLink, DomainOwner, SenderRight, SignInLink
from posthouse.directory.moments import moment
from posthouse.directory.preferences import KINDS

LINK_LIFE = timedelta(days=1)
MOST_LINKS = 5  # of one account that are open at the same time
MOST_ADDRESSES = 50
AGAIN = timedelta(hours=1)  # between two mails with a link to the same address
_SPENT = "this link was used already, has expired, is not complete, or was asked for by another account"


def ask_for_address(account_id: int, address: str, now: int) -> str:
    """A token for a link mailed to `address`: who follows it, signed in as this account, adds the address to it.

    `now` in milliseconds. Raises BadAddress, NoSuchAccount, AccountExists (it is theirs already), DirectoryError (too
    many open links or addresses, or a link went to this address a moment ago, whoever asked for it).
    """
    parsed = addresses.checked(address)
    token = secrets.token_urlsafe(32)
    with transaction():
        if not Account.objects.filter(pk=account_id, is_active=True).exists():
            raise NoSuchAccount("there is no such account")
        owned = Address.objects.filter(account_id=account_id, verified_at__isnull=False)
        if owned.filter(key=parsed.key).exists():
            raise AccountExists(f"{parsed} is yours already")
        if owned.count() >= MOST_ADDRESSES:
            raise DirectoryError(f"an account has at most {MOST_ADDRESSES} addresses")
        AddressLink.objects.filter(expires_at__lte=moment(now)).delete()
        if AddressLink.objects.filter(address=parsed.key, made_at__gt=moment(now) - AGAIN).exists():
            raise DirectoryError("a message went to this address within the last hour; look for it, or wait a while")
        open_links = AddressLink.objects.filter(account_id=account_id).exclude(address=parsed.key)
        if open_links.count() >= MOST_LINKS:
            raise DirectoryError("too many addresses wait to be confirmed; confirm one of them first")
        AddressLink.objects.filter(account_id=account_id, address=parsed.key).delete()
        AddressLink.objects.create(
            digest=_digest(token),
            account_id=account_id,
            address=parsed.key,
            original=str(parsed),
            made_at=moment(now),
            expires_at=moment(now) + LINK_LIFE,
        )
    return token


def look_at_address(token: str, account_id: int, now: int) -> tuple[str, str]:
    """(address, name of the account it belongs to now or "") that the link adds. `now` in ms. Raises LinkSpent."""
    link = _link(token, account_id, now)
    row = Address.objects.filter(key=link.address, verified_at__isnull=False).select_related("account").first()
    return link.original, (row.account.display_name or row.original) if row and row.account else ""


def confirm_address(token: str, account_id: int, now: int) -> accounts.AccountFacts:
    """Add the address; another account that owned it becomes part of this one. `now` in ms. Raises LinkSpent.

    `account_id` is who is signed in: the link works for the account that asked alone, so that nobody gives their own
    away by following a link that a stranger had sent to them. Reading mail at an address is enough to sign in with it,
    so it is enough to merge. Call `lists.people.confirm_address`, which keeps one subscription per list as well.
    """
    with transaction():
        link = _link(token, account_id, now)
        if not AddressLink.objects.filter(pk=link.pk).delete()[0]:
            raise LinkSpent(_SPENT)
        return give(account_id, link.original, now)


def give(account_id: int, address: str, now: int) -> accounts.AccountFacts:
    """Let an address, verified now, belong to an account. `now` in milliseconds. Raises BadAddress, NoSuchAccount."""
    with transaction():
        row = Address.objects.get(pk=addresses.ensure(address))
        if not Account.objects.filter(pk=account_id).exists():
            raise NoSuchAccount("there is no such account")
        if row.account_id not in (None, account_id):
            if row.verified_at is not None:
                return merge(account_id, int(row.account_id or 0))
            if not Address.objects.filter(account_id=row.account_id, verified_at__isnull=False).exists():
                Account.objects.filter(pk=row.account_id).delete()  # begun by a link that nobody used
        Address.objects.filter(pk=row.pk).update(account_id=account_id, verified_at=moment(now))
        return accounts.show(account_id)


def merge(kept: int, other: int) -> accounts.AccountFacts:
    """Make two accounts one: addresses, rights and preferences of `other` go to `kept`, whose own word wins.

    Raises NoSuchAccount, DirectoryError (the same account twice).
    """
    if kept == other:
        raise DirectoryError("that is one account already")
    with transaction():
        rows = Account.objects.in_bulk([kept, other])
        if len(rows) != 2:
            raise NoSuchAccount("there is no such account")
        into, gone = rows[kept], rows[other]
        for name in KINDS:
            if getattr(into, name) is None:
                setattr(into, name, getattr(gone, name))
        into.display_name = into.display_name or gone.display_name
        into.is_superuser = into.is_superuser or gone.is_superuser
        into.is_trust = into.is_trust or gone.is_trust
        if not into.has_usable_password():
            into.password = gone.password
        into.save()
        for domain in DomainOwner.objects.filter(account=gone).values_list("domain_id", flat=True):
            DomainOwner.objects.get_or_create(domain_id=domain, account=into)
        for name in SenderRight.objects.filter(account=gone).values_list("name", flat=True):
            SenderRight.objects.get_or_create(account=into, name=name)
        SignInLink.objects.filter(account=gone).delete()
        Address.objects.filter(account=gone).update(account=into, is_primary=False)
        gone.delete()
        return accounts.show(kept)


def prefer(account_id: int, address: str) -> accounts.AccountFacts:
    """Make one of an account's verified addresses its primary one: what it is called by, where mail about it goes.

    Raises NoSuchAccount (not theirs), BadAddress.
    """
    key = addresses.checked(address).key
    with transaction():
        owned = Address.objects.filter(account_id=account_id, verified_at__isnull=False)
        if not owned.filter(key=key).exists():
            raise NoSuchAccount(f"{address} is not an address of this account")
        owned.exclude(key=key).update(is_primary=False)
        owned.filter(key=key).update(is_primary=True)
        return accounts.show(account_id)


def waiting(account_id: int, now: int) -> list[str]:
    """The addresses that wait until the link mailed to them is followed. `now` in milliseconds."""
    rows = AddressLink.objects.filter(account_id=account_id, expires_at__gt=moment(now))
    return list(rows.order_by("id").values_list("original", flat=True))


def remove_address(account_id: int, address: str) -> accounts.AccountFacts:
    """Let an address go; lists keep it. Raises NoSuchAccount (not theirs), DirectoryError (their last), BadAddress."""
    key = addresses.checked(address).key
    with transaction():
        owned = Address.objects.filter(account_id=account_id, verified_at__isnull=False)
        if not owned.filter(key=key).exists():
            raise NoSuchAccount(f"{address} is not an address of this account")
        if owned.count() == 1:
            raise DirectoryError("an account keeps one address: it is how you sign in")
        owned.filter(key=key).update(account=None, verified_at=None, is_primary=False)
        SignInLink.objects.filter(account_id=account_id).delete()
        return accounts.show(account_id)


def _link(token: str, account_id: int, now: int) -> AddressLink:
    link = AddressLink.objects.filter(digest=_digest(token), account_id=account_id).first()
    if link is None or link.expires_at <= moment(now):
        raise LinkSpent(_SPENT)
    return link


def _digest(token: str) -> str:
    return hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()
