"""Aliases kept in the database: added, changed, removed, listed, found. They never lead to a program or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from posthouse import database, wake
from posthouse.address import AddressError, parse
from posthouse.database import announce, transaction
from posthouse.directory.alias_syntax import CATCH_ALL, ERROR, FAIL, INCLUDE, PIPE, Target, targets_of
from posthouse.directory.errors import AliasExists, BadAlias, NoSuchAlias
from posthouse.directory.models import Alias, Domain

__all__ = [
    "AliasExists",
    "AliasFacts",
    "BadAlias",
    "NoSuchAlias",
    "add",
    "all_aliases",
    "change",
    "find",
    "remove",
    "show",
]

_FIND = (
    "SELECT a.local_part, a.targets FROM directory_alias a JOIN directory_domain d ON d.id = a.domain_id "
    "WHERE d.name = %s AND a.local_part IN (%s, %s, %s)"
)


@dataclass(frozen=True, slots=True)
class AliasFacts:
    """An alias of the database; `targets` as an alias file writes them."""

    address: str
    targets: tuple[str, ...]
    note: str
    changed_at: datetime


def add(address: str, targets: Sequence[str] | str, note: str = "") -> AliasFacts:
    """Let an address of a domain of ours lead elsewhere, at once; `*@domain` catches what else is unknown there.

    Raises BadAlias (what is wrong with the address or a target), AliasExists.
    """
    local_part, domain = _parts(address)
    text = _checked(targets, local_part)
    with transaction():
        row, made = Alias.objects.get_or_create(
            domain=_domain(domain), local_part=local_part, defaults={"targets": text, "note": _note(note)}
        )
        if not made:
            raise AliasExists(f"{local_part}@{domain} is an alias already, of {row.targets}")
        announce(wake.DIRECTORY)
    return _facts(row)


def change(address: str, targets: Sequence[str] | str | None = None, note: str | None = None) -> AliasFacts:
    """Let an alias lead elsewhere, or say what it is for. Raises BadAlias, NoSuchAlias."""
    local_part, domain = _parts(address)
    with transaction():
        row = _row(local_part, domain)
        if targets is not None:
            row.targets = _checked(targets, local_part)
        if note is not None:
            row.note = _note(note)
        row.save(update_fields=["targets", "note", "changed_at"])
        announce(wake.DIRECTORY)
    return _facts(row)


def remove(address: str) -> AliasFacts:
    """Take an alias away; gives what it was. Raises BadAlias, NoSuchAlias."""
    local_part, domain = _parts(address)
    with transaction():
        row = _row(local_part, domain)
        facts = _facts(row)
        row.delete()
        announce(wake.DIRECTORY)
    return facts


def show(address: str) -> AliasFacts:
    """What is known of an alias. Raises BadAlias, NoSuchAlias."""
    return _facts(_row(*_parts(address)))


def all_aliases(domain: str = "") -> list[AliasFacts]:
    """The aliases of one domain, or of all, by domain and name."""
    rows = Alias.objects.select_related("domain").order_by("domain__name", "local_part")
    if domain:
        rows = rows.filter(domain__name=domain.strip().lower())
    return [_facts(row) for row in rows]


def find(domain: str, local_part: str, name: str) -> dict[str, tuple[Target, ...]]:
    """What the database says of a local part, of the name before its `+`, and of `*`, in one question. Lower case."""
    rows = database.fetch(_FIND, (domain, local_part, name, CATCH_ALL))
    return {str(found): targets_of(str(text)) for found, text in rows}


def _checked(targets: Sequence[str] | str, local_part: str) -> str:
    """Targets as they are kept. Raises BadAlias."""
    text = targets if isinstance(targets, str) else ", ".join(targets)
    found = targets_of(text)
    for one in found:
        if one.kind == ERROR:
            raise BadAlias(one.text)
        if one.kind in (PIPE, INCLUDE):
            raise BadAlias(f"{one}: programs and includes stand in alias files alone")
        if one.kind == FAIL and local_part == "postmaster":
            raise BadAlias("mail for the postmaster must reach a person (RFC 5321 §4.5.1): name an address")
    return ", ".join(str(one) for one in found)


def _parts(address: str) -> tuple[str, str]:
    try:
        if address.startswith(f"{CATCH_ALL}@"):
            return CATCH_ALL, parse(address.strip().lower()).domain
        parsed = parse(address.strip())
    except AddressError as error:
        raise BadAlias(f"{address!r} is no address: {error.rule}") from None
    local_part = parsed.local_part.lower()
    if local_part == CATCH_ALL:
        return CATCH_ALL, parsed.domain
    return local_part, parsed.domain


def _domain(name: str) -> Domain:
    row = Domain.objects.filter(name=name).first()
    if row is None:
        raise BadAlias(f"{name} is not a domain here; add it first: posthouse domains add {name}")
    return row


def _row(local_part: str, domain: str) -> Alias:
    row = Alias.objects.select_related("domain").filter(domain__name=domain, local_part=local_part).first()
    if row is None:
        raise NoSuchAlias(f"{local_part}@{domain} is no alias of the database")
    return row


def _facts(row: Alias) -> AliasFacts:
    targets = tuple(str(one) for one in targets_of(row.targets))
    return AliasFacts(f"{row.local_part}@{row.domain.name}", targets, row.note, row.changed_at)


def _note(note: str) -> str:
    return " ".join(note.split())[:255]
