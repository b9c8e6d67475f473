"""Accounts: made, signed in by a link or a password, found by any of their addresses."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.hashers import check_password as password_matches
from django.contrib.auth.hashers import make_password
from django.db.models import Q

from posthouse.database import transaction
from posthouse.directory import addresses
from posthouse.directory.errors import AccountExists, BadAddress, DirectoryError, LinkSpent, NoSuchAccount
from posthouse.directory.models import Account, Address, SignInLink
from posthouse.directory.moments import moment

LINK_SECONDS = 600  # how long a mailed sign-in link works
LINK_SECONDS_CLI = 3600  # how long one printed on the command line works
MOST_LINKS = 5  # unused links of one account at the same time; the oldest go first
PRIMARY_FIRST = ("-is_primary", "id")  # the order of an account's addresses
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1000


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """A person (or a program) who may sign in.

    `addresses`: verified ones, the primary one first; `address`: the first of them, "" without one.
    """

    id: int
    display_name: str
    is_superuser: bool
    is_active: bool
    is_trust: bool
    address: str
    addresses: tuple[str, ...]


def create(address: str, display_name: str = "", superuser: bool = False, password: str | None = None) -> AccountFacts:
    """Make an account whose address counts as verified. Raises BadAddress, AccountExists, DirectoryError.

    An address that only asked for a sign-in link and never used it is taken over.
    """
    hashed = _hashed(password) if password is not None else make_password(None)
    with transaction():
        row = Address.objects.get(pk=addresses.ensure(address, display_name))
        if row.account_id is not None and row.verified_at is not None:
            raise AccountExists(f"{row.original} already has an account")
        account = row.account or Account()
        account.display_name, account.is_superuser, account.password = display_name, superuser, hashed
        account.save()
        row.account, row.verified_at = account, datetime.now(UTC)
        row.save(update_fields=["account", "verified_at"])
        return _facts(account)


def show(account_id: int) -> AccountFacts:
    """The facts of an account; raises NoSuchAccount."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        raise NoSuchAccount("there is no such account")
    return _facts(account)


def all_accounts(after: int = 0, limit: int = 100, *, staff: bool = False) -> list[AccountFacts]:
    """Accounts with a number above `after`, at most `limit`. `staff`: administrators and the trust role alone.

    Two questions to the database, however many they are.
    """
    rows = Account.objects.filter(pk__gt=after).order_by("pk")
    if staff:
        rows = rows.filter(Q(is_superuser=True) | Q(is_trust=True))
    found = list(rows[:limit])
    owned: dict[int, list[str]] = {}
    known = Address.objects.filter(account__in=[row.pk for row in found], verified_at__isnull=False)
    for account, original in known.order_by(*PRIMARY_FIRST).values_list("account_id", "original"):
        owned.setdefault(account or 0, []).append(original)
    return [_facts(row, owned.get(row.pk, [])) for row in found]


def find(address: str) -> AccountFacts | None:
    """The account that owns this address (verified), or None."""
    row = _row(address)
    return _facts(row.account) if row and row.account and row.verified_at else None


def make_superuser(address: str, value: bool = True) -> AccountFacts:
    """Give (or take) the rights of a site administrator. Raises NoSuchAccount."""
    with transaction():
        account = _owner(address)
        account.is_superuser = value
        account.save(update_fields=["is_superuser"])
        return _facts(account)


def sign_in_link(address: str, now: int, seconds: int = LINK_SECONDS) -> str:
    """A token that signs the owner of `address` in, once, for `seconds`. `now` in milliseconds. Raises NoSuchAccount.

    Whoever receives mail at an address that a list knows may sign in with it: the account is made here, and the
    address counts as verified when the link is used.
    """
    token = secrets.token_urlsafe(32)
    with transaction():
        row = _row(address)
        if row is None or (row.account is not None and not row.account.is_active):
            raise NoSuchAccount(f"{address} is not known here")
        if row.account is None:
            row.account = Account.objects.create(display_name=row.display_name, password=make_password(None))
            row.save(update_fields=["account"])
        SignInLink.objects.filter(expires_at__lt=moment(now)).delete()
        unused = SignInLink.objects.filter(account=row.account).order_by("-id").values_list("pk", flat=True)
        SignInLink.objects.filter(pk__in=list(unused[MOST_LINKS - 1 :])).delete()
        SignInLink.objects.create(
            digest=_digest(token, row.key), account=row.account, expires_at=moment(now) + timedelta(seconds=seconds)
        )
    return f"{token}.{row.pk}"


def redeem(token: str, now: int) -> int:
    """Use a sign-in link: the account's id. `now` in milliseconds. Raises LinkSpent; works once."""
    secret, _, number = token.partition(".")
    with transaction():
        row = Address.objects.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
        link = (
            SignInLink.objects.filter(digest=_digest(secret, row.key)).select_related("account").first()
            if row
            else None
        )
        if row is None or link is None or row.account_id != link.account.pk:
            raise LinkSpent("this link was used already, has expired, or is not complete")
        used = SignInLink.objects.filter(pk=link.pk).delete()[0]  # of two who come at once, one signs in
        if not used or link.expires_at <= moment(now) or not link.account.is_active:
            raise LinkSpent("this link was used already, has expired, or is not complete")
        if row.verified_at is None:
            row.verified_at = moment(now)
            row.save(update_fields=["verified_at"])
        return int(link.account.pk)


def check_password(address: str, password: str) -> AccountFacts | None:
    """The account whose verified address and password these are, or None; takes as long for an unknown address."""
    row = _row(address)
    if len(password) > LONGEST_PASSWORD:
        return None
    account = row.account if row and row.verified_at else None
    if account is None or not account.is_active or not account.has_usable_password():
        make_password(password)  # the time that checking takes tells nobody which addresses exist
        return None
    return _facts(account) if password_matches(password, account.password) else None


def set_password(address: str, password: str | None) -> AccountFacts:
    """Give an account a new password (None: none, links only). Raises NoSuchAccount, DirectoryError.

    Every link that is still open stops working.
    """
    hashed = _hashed(password) if password is not None else make_password(None)
    with transaction():
        account = _owner(address)
        account.password = hashed
        account.save(update_fields=["password"])
        SignInLink.objects.filter(account=account).delete()
        return _facts(account)


def addresses_of(account_id: int) -> list[str]:
    """The verified addresses of an account: the primary one, then the others, oldest first."""
    rows = Address.objects.filter(account_id=account_id, verified_at__isnull=False)
    return list(rows.order_by(*PRIMARY_FIRST).values_list("original", flat=True))


def superuser_addresses() -> list[str]:
    """The primary address of each site administrator: where mail goes that must reach somebody."""
    rows = Address.objects.filter(account__is_superuser=True, account__is_active=True, verified_at__isnull=False)
    first: dict[int, str] = {}
    for account, original in rows.order_by(*PRIMARY_FIRST).values_list("account_id", "original"):
        if account is not None:
            first.setdefault(account, original)
    return list(first.values())


def make_trusted(address: str, value: bool = True) -> AccountFacts:
    """Give (or take) the trust role: who has it is told of every new list. Raises NoSuchAccount."""
    with transaction():
        account = _owner(address)
        account.is_trust = value
        account.save(update_fields=["is_trust"])
        return _facts(account)


def told_of_new_lists(domain: str) -> list[str]:
    """The primary address of each account with the trust role, and of each owner of the domain."""
    wanted = Q(account__is_trust=True) | Q(account__domainowner__domain__name=domain)
    rows = Address.objects.filter(wanted, account__is_active=True, verified_at__isnull=False)
    first: dict[int, str] = {}
    for account, original in rows.order_by(*PRIMARY_FIRST).values_list("account_id", "original"):
        first.setdefault(account or 0, original)
    return list(first.values())


def _row(address: str) -> Address | None:
    try:
        key = addresses.checked(address).key
    except BadAddress:
        return None
    return Address.objects.select_related("account").filter(key=key).first()


def _owner(address: str) -> Account:
    row = _row(address)
    if row is None or row.account is None or row.verified_at is None:
        raise NoSuchAccount(f"{address} has no account")
    return row.account


def _hashed(password: str) -> str:
    """Argon2id (the first of Django's PASSWORD_HASHERS). Raises DirectoryError."""
    if len(password) < SHORTEST_PASSWORD:
        raise DirectoryError(f"a password has at least {SHORTEST_PASSWORD} characters")
    if len(password) > LONGEST_PASSWORD:
        raise DirectoryError(f"a password has at most {LONGEST_PASSWORD} characters")
    return make_password(password)


def _digest(token: str, key: str) -> str:
    return hashlib.sha256(f"{token}\n{key}".encode("utf-8", "replace")).hexdigest()


def _facts(account: Account, known: list[str] | None = None) -> AccountFacts:
    owned = addresses_of(account.pk) if known is None else known
    return AccountFacts(
        account.pk,
        account.display_name,
        account.is_superuser,
        account.is_active,
        account.is_trust,
        owned[0] if owned else "",
        tuple(owned),
    )
