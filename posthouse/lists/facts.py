"""What a list is called and what it is now: names checked, rows found, facts for those who ask."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, QuerySet

from posthouse import configuration
from posthouse.directory import alias_files
from posthouse.directory import aliases as directory_aliases
from posthouse.directory.models import Domain
from posthouse.lists import settings
from posthouse.lists.addresses import SUFFIXES, list_pk
from posthouse.lists.errors import BadName, ListExists, NoSuchList
from posthouse.lists.models import MEMBER, MODERATOR, OWNER, HeldPosting, MailingList, Membership
from posthouse.lists.people_models import ListAlias

_NAME = re.compile(r"[a-z0-9](?:[-_.]?[a-z0-9])*")
_LONGEST_NAME = 50  # with a suffix it stays below the 64 octets of RFC 5321 §4.5.3.1.1
_FOR_PEOPLE = frozenset({"postmaster", "abuse", "mailer-daemon", "hostmaster", "security"})  # RFC 2142 §2


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A mailing list as it is now; `settings` by name, with their typed values.

    `state`: active, paused or closed, with what was said about it; `aliases`: its other addresses, old ones included.
    """

    pk: int
    address: str
    list_name: str
    host: str
    list_id: str
    style: str
    display_name: str
    description: str
    archive_policy: str
    advertised: bool
    owners: tuple[str, ...]
    moderators: tuple[str, ...]
    members: int
    held: int
    created_at: datetime
    last_post_at: datetime | None
    state: str
    state_reason: str
    aliases: tuple[str, ...]
    settings: Mapping[str, settings.Value]


def show(address: int | str) -> ListFacts:
    """The facts of one list. Raises NoSuchList."""
    return facts_of([row_of(address)])[0]


def checked(address: str) -> tuple[str, str]:
    """(name, host) of an address that a list can have. Raises BadName."""
    name, at, host = address.strip().lower().rpartition("@")
    if not at:
        raise BadName(f"{address!r} is no address; a list is named like garden@lists.example")
    if not _NAME.fullmatch(name):
        raise BadName(f"{name!r} cannot be the name of a list: letters a to z and digits, with - _ . between them")
    if len(name) > _LONGEST_NAME:
        raise BadName(f"the name of a list has at most {_LONGEST_NAME} characters")
    if name in _FOR_PEOPLE:
        raise BadName(f"{name}@{host} must reach the people who run the domain (RFC 2142)")
    return name, host


def free(name: str, host: str, own: int = 0) -> Domain:
    """The domain in which a list may take this name. `own`: the list whose old name it may be."""
    domain = Domain.objects.filter(name=host).first()
    if domain is None:
        raise NoSuchList(f"{host} is not a domain here; add it first: posthouse domains add {host}")
    if MailingList.objects.filter(domain=domain, list_name=name).exclude(pk=own).exists():
        raise ListExists(f"the list {name}@{host} exists already")
    alias = ListAlias.objects.filter(domain=domain, list_name=name).exclude(mailing_list_id=own).first()
    if alias is not None:
        raise ListExists(f"{name}@{host} is another address of {show(alias.mailing_list_id).address}; remove it first")
    if any(name in known for known in (directory_aliases.find(host, name, name), _in_file(host))):
        raise ListExists(f"{name}@{host} is an alias, which would hide the list; remove it first")
    _beside_others(name, domain, own)
    return domain


def _beside_others(name: str, domain: Domain, own: int) -> None:
    """Refuse a name that would take mail for an address of another list, or lose its own: a list that is really named
    garden-join would be written to by all who want to join the list garden."""
    lists = MailingList.objects.filter(domain=domain).exclude(pk=own)
    base, _, suffix = name.rpartition("-")
    if suffix in SUFFIXES and lists.filter(list_name=base).exists():
        raise ListExists(f"{name}@{domain.name} is an address of the list {base}@{domain.name}")
    taken = lists.filter(list_name__in=[f"{name}-{word}" for word in SUFFIXES]).order_by("list_name").first()
    if taken is not None:
        raise ListExists(f"{taken.address} would be an address of this list, and is the name of another")


def _in_file(host: str) -> Collection[str]:
    """The names in the alias file of a domain; a file that cannot be read hides nothing, its mail waits."""
    try:
        file = alias_files.of_domain(configuration.active().routing.aliases, host)
    except alias_files.FileTrouble:
        return ()
    return file.entries if file is not None else ()


def row_of(address: int | str) -> MailingList:
    """The row of a list with its domain. Raises NoSuchList."""
    row = MailingList.objects.select_related("domain").filter(pk=list_pk(address)).first()
    if row is None:
        raise NoSuchList(f"there is no mailing list {address}")
    return row


def facts_of(rows: Sequence[MailingList] | QuerySet[MailingList]) -> list[ListFacts]:
    """The facts of these lists; as many questions to the database for one as for a thousand."""
    listed = list(rows)
    only = {} if len(listed) != 1 else {"mailing_list": listed[0]}
    counted = Membership.objects.filter(role=MEMBER, **only).values_list("mailing_list_id")
    members = dict(counted.annotate(number=Count("id")))
    held = dict(HeldPosting.objects.filter(**only).values_list("mailing_list_id").annotate(number=Count("id")))
    people: dict[tuple[int, str], list[str]] = {}
    staff = Membership.objects.filter(role__in=(OWNER, MODERATOR), **only).order_by("id")
    for pk, role, original in staff.values_list("mailing_list_id", "role", "address__original"):
        people.setdefault((pk, role), []).append(original)
    aliases: dict[int, list[str]] = {}
    for pk, name, host in ListAlias.objects.filter(**only).values_list("mailing_list_id", "list_name", "domain__name"):
        aliases.setdefault(pk, []).append(f"{name}@{host}")
    return [
        ListFacts(
            pk=row.pk,
            address=f"{row.list_name}@{row.domain.name}",
            list_name=row.list_name,
            host=row.domain.name,
            list_id=row.list_id,
            style=row.style,
            display_name=row.display_name,
            description=row.description,
            archive_policy=row.archive_policy,
            advertised=row.advertised,
            owners=tuple(people.get((row.pk, OWNER), ())),
            moderators=tuple(people.get((row.pk, MODERATOR), ())),
            members=members.get(row.pk, 0),
            held=held.get(row.pk, 0),
            created_at=row.created_at,
            last_post_at=row.last_post_at,
            state=row.state,
            state_reason=row.state_reason,
            aliases=tuple(sorted(aliases.get(row.pk, ()))),
            settings=settings.shown(row),
        )
        for row in listed
    ]
