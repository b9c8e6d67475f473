"""Lists are created, shown, set and removed here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, QuerySet

from posthouse import wake
from posthouse.archive import archives
from posthouse.content import keeping
from posthouse.database import announce, transaction
from posthouse.directory.models import Domain
from posthouse.lists import roster, settings, styles
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import BadName, ListExists, NoSuchList
from posthouse.lists.models import MEMBER, MODERATOR, OWNER, Bounce, HeldPosting, MailingList, Membership, Pending

_NAME = re.compile(r"[a-z0-9](?:[-_.]?[a-z0-9])*")
_LONGEST_NAME = 50  # with a suffix it stays below the 64 octets of RFC 5321 §4.5.3.1.1
_FOR_PEOPLE = frozenset({"postmaster", "abuse", "mailer-daemon", "hostmaster", "security"})  # RFC 2142 §2


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A mailing list as it is now; `settings` by name, with their typed values."""

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
    settings: Mapping[str, settings.Value]


def create(address: str, owners: Sequence[str], style: str = "discussion", display_name: str = "") -> ListFacts:
    """Make a list with its owners and its archive; routable at once.

    Raises BadName, ListExists, NoSuchList (its domain is not ours), BadAddress (an owner), BadSetting (the style).
    """
    name, host = _checked(address)
    shown = " ".join(display_name.split()) or name[:1].upper() + name[1:]
    values = styles.defaults(style, settings.parse("display_name", shown))  # type: ignore[arg-type]
    with transaction():
        domain = Domain.objects.filter(name=host).first()
        if domain is None:
            raise NoSuchList(f"{host} is not a domain here; add it first: posthouse domains add {host}")
        if MailingList.objects.filter(domain=domain, list_name=name).exists():
            raise ListExists(f"the list {name}@{host} exists already")
        row = MailingList(list_name=name, domain=domain, list_id=f"{name}.{host}", style=style)
        for setting, value in values.items():
            setattr(row, setting, value)
        row.save()
        for owner in owners:
            roster.add(row.pk, owner, role=OWNER)
        archives.open_archive(f"{name}@{host}", row.display_name, row.description, row.archive_policy)
        announce(wake.DIRECTORY)
        return _facts([row])[0]


def show(address: int | str) -> ListFacts:
    """The facts of one list. Raises NoSuchList."""
    return _facts([_row(address)])[0]


def all_lists() -> list[ListFacts]:
    """Every list, by domain and name; as many questions to the database for one as for a thousand."""
    return _facts(MailingList.objects.select_related("domain").order_by("domain__name", "list_name"))


def set_settings(address: int | str, values: Mapping[str, str]) -> ListFacts:
    """Change settings given as text, all or none. Raises NoSuchList, BadSetting."""
    parsed = {name: settings.parse(name, text) for name, text in values.items()}
    with transaction():
        row = _row(address)
        for name, value in parsed.items():
            setattr(row, name, value)
        if parsed:
            row.save(update_fields=list(parsed))
        if {"display_name", "description", "archive_policy"} & set(parsed):
            archives.update_archive(
                f"{row.list_name}@{row.domain.name}", row.display_name, row.description, row.archive_policy
            )
        announce(wake.DIRECTORY)
        return _facts([row])[0]


def remove(address: int | str) -> ListFacts:
    """Remove a list with its roster and what it held; what it was, as facts. Its archive stays. Raises NoSuchList."""
    with transaction():
        row = _row(address)
        facts = _facts([row])[0]
        keeping.release(list(HeldPosting.objects.filter(mailing_list=row).values_list("content_id", flat=True)))
        for kept in (HeldPosting, Pending, Bounce, Membership):
            kept._default_manager.filter(mailing_list=row).delete()
        row.delete()
        announce(wake.DIRECTORY)
    return facts


def _checked(address: str) -> tuple[str, str]:
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


def _row(address: int | str) -> MailingList:
    row = MailingList.objects.select_related("domain").filter(pk=list_pk(address)).first()
    if row is None:
        raise NoSuchList(f"there is no mailing list {address}")
    return row


def _facts(rows: Sequence[MailingList] | QuerySet[MailingList]) -> list[ListFacts]:
    listed = list(rows)
    only = {} if len(listed) != 1 else {"mailing_list": listed[0]}
    counted = Membership.objects.filter(role=MEMBER, **only).values_list("mailing_list_id")
    members = dict(counted.annotate(number=Count("id")))
    held = dict(HeldPosting.objects.filter(**only).values_list("mailing_list_id").annotate(number=Count("id")))
    people: dict[tuple[int, str], list[str]] = {}
    staff = Membership.objects.filter(role__in=(OWNER, MODERATOR), **only).order_by("id")
    for pk, role, original in staff.values_list("mailing_list_id", "role", "address__original"):
        people.setdefault((pk, role), []).append(original)
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
            settings={name: getattr(row, name) for name in settings.BY_NAME},
        )
        for row in listed
    ]
