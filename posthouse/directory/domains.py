"""Which mail domains are ours: added, listed, asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from posthouse import wake
from posthouse.address import AddressError, normal_domain
from posthouse.database import announce, transaction
from posthouse.directory.errors import BadDomain, DomainExists
from posthouse.directory.models import Domain


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """A domain that is ours; `name` in lower case and A-labels."""

    id: int
    name: str
    description: str
    created_at: datetime


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
    return [_facts(row) for row in Domain.objects.order_by("name")]


def is_ours(name: str) -> bool:
    """Whether mail for this domain is ours to accept or refuse; anything that is no domain name is not."""
    try:
        return Domain.objects.filter(name=normal_name(name)).exists()
    except BadDomain:
        return False


def _facts(row: Domain) -> DomainFacts:
    return DomainFacts(row.pk, row.name, row.description, row.created_at)
