"""Looking at people: a page of the roster, searched by the database; everything an account is subscribed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from posthouse.database import transaction
from posthouse.directory.models import Account, SitePreferences
from posthouse.directory.moments import moment
from posthouse.lists import roster, topics, vacation
from posthouse.lists.errors import ListError
from posthouse.lists.models import BY_BOUNCES, BY_MODERATOR, MEMBER, Membership
from posthouse.lists.preferences import ACCOUNTS, BUILT_IN, effective

CHOICES = tuple(BUILT_IN)


@dataclass(frozen=True, slots=True)
class RosterRow:
    """Somebody on a list as a page shows it; preferences as they hold. `joined`: a day, as 2026-11-20."""

    address: str
    display_name: str
    delivery_status: str
    delivery_mode: str
    hidden: bool
    moderation_action: str
    joined: str
    bounces: int


@dataclass(frozen=True, slots=True)
class RosterPage:
    """Some rows by address; `total`: how many there are in all; `after`: where the next page begins, "" at the end."""

    rows: tuple[RosterRow, ...]
    total: int
    after: str


def page(
    pk: int, role: str = MEMBER, words: str = "", after: str = "", limit: int = 100, *, hidden: bool = True
) -> RosterPage:
    """A page of a role's people behind the address `after`, whose address or name holds `words`. Two questions.

    `hidden`: with those who do not want to be shown to other members.
    """
    where, source = "m.mailing_list_id = %s AND m.role = %s", "lists_membership m"
    parameters: list[int | str] = [pk, role]
    named = "JOIN directory_address a ON a.id = m.address_id"
    counted = source  # what the count needs: the membership index alone, where nothing is asked of people
    if words.strip():
        escaped = words.strip().lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
        where += " AND (a.key LIKE %s ESCAPE '!' OR LOWER(a.display_name) LIKE %s ESCAPE '!')"
        parameters += [f"%{escaped}%"] * 2
        counted = f"{source} {named}"
    if not hidden:
        where += f" AND NOT {effective('hide_address')}"
        named = f"{named} {ACCOUNTS}"
        counted = f"{source} {named}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {counted} WHERE {where}", parameters)
        total = int(cursor.fetchone()[0])
        # Which rows are on the page is found first: only for them it is asked what holds.
        cursor.execute(
            f"SELECT a.key, a.original, a.display_name, {effective('delivery_status')}, {effective('delivery_mode')}, "
            f"{effective('hide_address')}, m.moderation_action, m.joined_at, m.bounces "
            f"FROM (SELECT m.id, a.key FROM {source} {named} WHERE {where} AND a.key > %s ORDER BY a.key LIMIT %s) f "
            f"JOIN lists_membership m ON m.id = f.id JOIN directory_address a ON a.id = m.address_id {ACCOUNTS} "
            "ORDER BY f.key",
            [*parameters, after.lower(), limit + 1],
        )
        found = cursor.fetchall()
    rows = tuple(
        RosterRow(shown, name, status, mode, bool(hide), action, str(joined)[:10], int(bounces))
        for _, shown, name, status, mode, hide, action, joined, bounces in found[:limit]
    )
    return RosterPage(rows, total, str(found[limit - 1][0]) if len(found) > limit else "")


@dataclass(frozen=True, slots=True)
class Somebody:
    """An address on one list. `roles`: each role it has, with the moderation action of that membership ("": the
    list's); `member`: what it wants as a member, None when it is none."""

    address: str
    display_name: str
    roles: Mapping[str, str]
    member: Subscription | None


def somebody(pk: int, address: str) -> Somebody | None:
    """Who an address is on the list with this number; None when it has no role there. Raises BadAddress."""
    found = Membership.objects.select_related("mailing_list__domain", "address__account")
    rows = list(found.filter(mailing_list_id=pk, address__key=roster.key(address)).order_by("role"))
    if not rows:
        return None
    own, member = rows[0].address, next((row for row in rows if row.role == MEMBER), None)
    site = SitePreferences.objects.filter(pk=1).first() if member else None
    wants = _subscription(member, member.address.account, site) if member else None
    return Somebody(own.original, own.display_name, {row.role: row.moderation_action for row in rows}, wants)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One membership of an account. `own`: what it says itself (None: as for all lists); `holds`: what is so now;
    `otherwise`: what would be so if it said nothing itself."""

    id: int
    list_pk: int
    list_address: str
    list_name: str
    address: str
    joined_at: datetime
    own: Mapping[str, Any]
    holds: Mapping[str, Any]
    otherwise: Mapping[str, Any]
    topics: tuple[str, ...]
    chosen: tuple[str, ...]
    nonmatching: bool
    resumes_at: datetime | None
    stopped_at: datetime | None
    last_bounce: str

    @property
    def stopped_by_bounces(self) -> bool:
        """Whether bounces stopped delivery: one click begins it again."""
        return bool(self.own["delivery_status"] == BY_BOUNCES)


def subscriptions(account_id: int) -> list[Subscription]:
    """Every list an account is a member of, by any of its verified addresses. Three questions."""
    account = Account.objects.filter(pk=account_id).first()
    site = SitePreferences.objects.filter(pk=1).first()
    rows = Membership.objects.filter(
        role=MEMBER, address__account_id=account_id, address__verified_at__isnull=False, mailing_list__removed_at=None
    ).select_related("mailing_list__domain", "address")
    found = [_subscription(row, account, site) for row in rows]
    return sorted(found, key=lambda one: (one.list_name.casefold(), one.list_address))


def choose(
    account_id: int,
    number: int,
    values: Mapping[str, str | bool | None],
    by: str,
    now: int,
    *,
    chosen: tuple[str, ...] | None = None,
    nonmatching: bool = False,
    resumes_at: int | None = None,
) -> Subscription:
    """Change what a member wants of one list. `values`: CHOICES, None takes one back; `resumes_at`: the end of a
    vacation in milliseconds, as `now`.

    What a moderator or bounces stopped stays stopped. Raises ListError: not theirs, an unknown value, an odd date.
    """
    with transaction():
        row = (
            Membership.objects.select_related("mailing_list__domain", "address")
            .filter(pk=number, role=MEMBER, address__account_id=account_id, address__verified_at__isnull=False)
            .first()
        )
        if row is None:
            raise ListError("you are not on this list any more")
        wanted = dict(values)
        if row.delivery_status in (BY_MODERATOR, BY_BOUNCES) or resumes_at is not None:
            wanted.pop("delivery_status", None)
        roster.set_preferences(row.mailing_list_id, row.address.original, MEMBER, **wanted)
        if resumes_at is not None:
            vacation.begin(row.mailing_list_id, row.address.original, moment(resumes_at), by, now)
        if chosen is not None:
            topics.choose(row.mailing_list_id, row.address.key, chosen, nonmatching)
        return next(one for one in subscriptions(account_id) if one.id == number)


def _subscription(row: Membership, account: Account | None, site: SitePreferences | None) -> Subscription:
    otherwise: dict[str, Any] = {}
    for name in CHOICES:
        said = (getattr(place, name, None) for place in (row.address, account, site) if place is not None)
        otherwise[name] = next((value for value in said if value is not None), BUILT_IN[name])
    own = {name: getattr(row, name) for name in CHOICES}
    mailing_list = row.mailing_list
    return Subscription(
        id=row.pk,
        list_pk=mailing_list.pk,
        list_address=mailing_list.address,
        list_name=mailing_list.display_name or mailing_list.list_name,
        address=row.address.original,
        joined_at=row.joined_at,
        own=own,
        holds={name: otherwise[name] if said is None else said for name, said in own.items()},
        otherwise=otherwise,
        topics=tuple(topics.names(mailing_list)) if mailing_list.topics_enabled else (),
        chosen=tuple(topics.chosen(row)),
        nonmatching=row.receive_nonmatching_topics,
        resumes_at=row.delivery_resumes_at,
        stopped_at=row.bounce_stopped_at,
        last_bounce=row.last_bounce,
    )
