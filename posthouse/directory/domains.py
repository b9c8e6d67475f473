"""Which mail domains are ours: added, listed, asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import ProtectedError

from posthouse import wake
from posthouse.address import AddressError, normal_domain
from posthouse.database import announce, transaction
from posthouse.directory import addresses
from posthouse.directory.errors import BadDomain, DomainExists, DomainInUse, NoSuchAccount
from posthouse.directory.models import Address, Domain, DomainOwner

# What may need a domain, by the name of its table's model, as a person calls it.
_NEEDS: Mapping[str, str] = {
    "mailinglist": "lists (a removed one can be restored for 30 days)",
    "listalias": "other addresses of lists",
    "domain": "domains that stand for it",
    "alias": "aliases",
}


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """A domain that is ours; `name` in lower case and A-labels.

    `stands_for`: a legacy domain has the lists of this other one; `owners`: accounts that run its lists, by address.
    """

    id: int
    name: str
    description: str
    created_at: datetime
    stands_for: str = ""
    owners: tuple[str, ...] = ()


def normal_name(name: str) -> str:
    """The one spelling of a domain name; raises BadDomain naming the rule."""
    try:
        normal = normal_domain(name.strip().rstrip("."))
    except AddressError as error:
        raise BadDomain(f"{name!r} is no domain name: {error.rule}") from error
    if normal.startswith("["):
        raise BadDomain(f"{name!r} is an address literal; a domain of ours has a name")
    return normal


def add(name: str, description: str = "") -> DomainFacts:
    """Make a domain ours. Raises BadDomain, DomainExists."""
    normal = normal_name(name)
    with transaction():
        row, made = Domain.objects.get_or_create(name=normal, defaults={"description": description})
        if not made:
            raise DomainExists(f"{normal} is already a domain here")
        announce(wake.DIRECTORY)
    return _facts(row)


def all_domains() -> list[DomainFacts]:
    """Every domain that is ours, by name."""
    owners = _owners()
    return [_facts(row, owners.get(row.pk, ())) for row in Domain.objects.select_related("stands_for").order_by("name")]


def show(name: str) -> DomainFacts:
    """The facts of a domain. Raises BadDomain when it is not ours."""
    row = _row(name)
    return _facts(row, _owners().get(row.pk, ()))


def describe(name: str, description: str) -> DomainFacts:
    """Say what a domain is for. Raises BadDomain."""
    with transaction():
        row = _row(name)
        row.description = " ".join(description.split())[:1000]
        row.save(update_fields=["description"])
    return show(row.name)


def remove(name: str) -> None:
    """Let a domain be ours no longer; mail for it is refused at once. Raises BadDomain, DomainInUse.

    Nothing goes in passing: what still needs the domain (lists, other addresses of lists, domains that stand for it)
    is named instead. `lists.moving.remove_domain` retires old names of lists as well.
    """
    with transaction():
        row = _row(name)
        try:
            row.delete()
        except ProtectedError as error:
            counted = Counter(str(one._meta.model_name) for one in error.protected_objects)
            named = ", ".join(f"{number} {_NEEDS.get(kind, kind)}" for kind, number in sorted(counted.items()))
            raise DomainInUse(f"{row.name} is still needed: {named}; remove or move them first") from error
        announce(wake.DIRECTORY)


def is_ours(name: str) -> bool:
    """Whether mail for this domain is ours to accept or refuse; anything that is no domain name is not."""
    try:
        return Domain.objects.filter(name=normal_name(name)).exists()
    except BadDomain:
        return False


def stand_for(legacy: str, other: str | None) -> DomainFacts:
    """Let a domain stand for another of ours: the lists of `other` are reached in it too; None: for itself again.

    A list or an alias that the legacy domain has of its own wins. Raises BadDomain.
    """
    with transaction():
        row = _row(legacy)
        target = _row(other) if other else None
        if target is not None and (target.pk == row.pk or target.stands_for_id is not None or row.legacy.exists()):
            raise BadDomain(f"{legacy} cannot stand for {other}: one of them stands for another domain already")
        row.stands_for = target
        row.save(update_fields=["stands_for"])
        announce(wake.DIRECTORY)
    return _facts(row, _owners().get(row.pk, ()))


def add_owner(name: str, address: str) -> DomainFacts:
    """Let the account that owns this address run the lists of the domain. Raises BadDomain, NoSuchAccount."""
    with transaction():
        row = _row(name)
        DomainOwner.objects.get_or_create(domain=row, account_id=_account(address))
    return _facts(row, _owners().get(row.pk, ()))


def remove_owner(name: str, address: str) -> DomainFacts:
    """Take the domain away from an account. Raises BadDomain, NoSuchAccount (nobody, or not one of its owners)."""
    with transaction():
        row = _row(name)
        if not DomainOwner.objects.filter(domain=row, account_id=_account(address)).delete()[0]:
            raise NoSuchAccount(f"{address} does not own {row.name}")
    return _facts(row, _owners().get(row.pk, ()))


def owned_by(account_id: int) -> frozenset[str]:
    """The names of the domains an account runs the lists of."""
    return frozenset(DomainOwner.objects.filter(account_id=account_id).values_list("domain__name", flat=True))


def _row(name: str) -> Domain:
    row = Domain.objects.select_related("stands_for").filter(name=normal_name(name)).first()
    if row is None:
        raise BadDomain(f"{name} is not a domain here; add it first: posthouse domains add {name}")
    return row


def _account(address: str) -> int:
    row = Address.objects.filter(key=addresses.checked(address).key, verified_at__isnull=False).first()
    if row is None or row.account_id is None:
        raise NoSuchAccount(f"{address} has no account; make one: posthouse accounts create {address}")
    return int(row.account_id)


def _owners() -> dict[int, tuple[str, ...]]:
    found: dict[int, dict[int, str]] = {}
    rows = DomainOwner.objects.filter(account__addresses__verified_at__isnull=False)
    rows = rows.order_by("-account__addresses__is_primary", "account__addresses__id")
    for domain, account, address in rows.values_list("domain_id", "account_id", "account__addresses__original"):
        found.setdefault(domain, {}).setdefault(account, address)
    return {domain: tuple(sorted(people.values())) for domain, people in found.items()}


def _facts(row: Domain, owners: tuple[str, ...] = ()) -> DomainFacts:
    stands_for = row.stands_for.name if row.stands_for_id is not None and row.stands_for is not None else ""
    return DomainFacts(row.pk, row.name, row.description, row.created_at, stands_for, owners)
