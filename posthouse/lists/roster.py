"""The roster: who is on a list, in which role; added one by one or by the thousand, removed, listed, found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from posthouse.address import Address, AddressError, mailboxes, parse
from posthouse.database import transaction
from posthouse.directory import addresses
from posthouse.directory.errors import BadAddress as NoAddress
from posthouse.directory.models import SitePreferences
from posthouse.lists import last_digests
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import BadAddress, ListError
from posthouse.lists.models import MEMBER, MODERATOR, NONMEMBER, OWNER, MailingList, Membership
from posthouse.lists.preferences import BUILT_IN
from posthouse.lists.settings.kinds import ACTIONS, items

ROLES = (MEMBER, OWNER, MODERATOR, NONMEMBER)
PREFERENCES = (*BUILT_IN, "moderation_action")
_BATCH = 500
# digest_is_default counts where neither the address nor the account says what they want of all their lists.
_MODE_OF_A_NEW_MEMBER = (
    "CASE WHEN a.delivery_mode IS NULL AND NOT EXISTS (SELECT 1 FROM directory_account c WHERE c.id = a.account_id "
    "AND c.delivery_mode IS NOT NULL) AND EXISTS (SELECT 1 FROM lists_mailinglist l WHERE l.id = %s "
    "AND l.digest_is_default AND l.digests_enabled) THEN (SELECT CASE WHEN l.mime_is_default_digest "
    "THEN 'mime_digests' ELSE 'plaintext_digests' END FROM lists_mailinglist l WHERE l.id = %s) END"
)
# One subscription per person and list: another verified address of the same account is on the list already.
_NOT_THE_SAME_PERSON = (
    " AND (a.account_id IS NULL OR NOT EXISTS ("
    "SELECT 1 FROM directory_address o JOIN lists_membership p ON p.address_id = o.id "
    "WHERE o.account_id = a.account_id AND o.verified_at IS NOT NULL AND a.verified_at IS NOT NULL "
    "AND p.mailing_list_id = %s AND p.role = 'member'))"
)


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One address on one list in one role; preferences as they hold, wherever they were said."""

    list_address: str
    address: str
    display_name: str
    role: str
    delivery_status: str
    receive_list_copy: bool
    receive_own_postings: bool
    acknowledge_posts: bool
    delivery_mode: str
    hide_address: bool
    preferred_language: str
    moderation_action: str
    joined_at: datetime
    bounces: int
    last_bounce_at: datetime | None
    last_bounce: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An address that could not be added: its line (from 1), what it said and the rule it breaks."""

    line: int
    text: str
    rule: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """What adding many did. `present`: how many were on the list already (or came twice)."""

    added: int
    present: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """The lists an account has a role on, by posting address, through any of its verified addresses."""

    owner: frozenset[str]
    moderator: frozenset[str]
    member: frozenset[str]

    def reads(self, list_address: str) -> bool:
        """Whether the account may read a private archive."""
        return list_address in self.member or self.moderates(list_address)

    def moderates(self, list_address: str) -> bool:
        """Whether the account decides about held postings."""
        return list_address in self.owner or list_address in self.moderator


def add(mailing_list: int | str, address: str, display_name: str = "", role: str = MEMBER) -> bool:
    """Put an address on a list; False when it was there. Raises NoSuchList, BadAddress, ListError (the role)."""
    _refuse_unknown(role)
    with transaction():
        pk = list_pk(mailing_list)
        try:
            address_pk = addresses.ensure(address, display_name)
        except NoAddress as error:
            raise BadAddress(str(error)) from error
        return _enrol(pk, role, [address_pk]) == 1


def add_many(
    mailing_list: int | str,
    people: Iterable[tuple[str, str]],
    progress: Callable[[int], None] | None = None,
    role: str = MEMBER,
) -> AddReport:
    """Put many (name, address) pairs on a list, in one transaction; what cannot be an address is reported.

    `progress` is told how many were read. Raises NoSuchList, ListError (the role).
    """
    return _add_numbered(mailing_list, ((line, *one) for line, one in enumerate(people, 1)), role, progress)


def add_lines(
    mailing_list: int | str,
    lines: Iterable[str],
    role: str = MEMBER,
    progress: Callable[[int], None] | None = None,
) -> AddReport:
    """Like `add_many`, from lines of text: an address or `Name <address>` each; empty ones and # comments pass."""
    return _add_numbered(mailing_list, people_in(lines), role, progress)


def people_in(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """(line, name, address as written) of lines of text: an address, `Name <address>`, `address (Name)`, several of
    them with commas or semicolons between, or a name and an address with a tab between; # comments pass."""
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("\ufeff").strip()
        if not text or text.startswith("#"):
            continue
        found = mailboxes(text) if any(mark in text for mark in "<,;(") else _tabbed(text)
        for name, address in found or [("", text)]:
            yield number, name, address


def _tabbed(text: str) -> list[tuple[str, str]]:
    """What a line copied from a spreadsheet says: the one cell with an @ is the address, the others the name."""
    cells = [cell.strip() for cell in text.split("\t")]
    found = [cell for cell in cells if "@" in cell]
    if len(found) != 1:
        return []
    return [(" ".join(cell for cell in cells if cell and "@" not in cell), found[0])]


def _add_numbered(
    mailing_list: int | str,
    people: Iterable[tuple[int, str, str]],
    role: str,
    progress: Callable[[int], None] | None,
) -> AddReport:
    _refuse_unknown(role)
    added = good = 0
    refused: list[Refused] = []
    batch: dict[str, tuple[Address, str]] = {}
    with transaction():
        pk = list_pk(mailing_list)
        for line, name, text in people:
            try:
                address = parse(text.strip())
            except AddressError as error:
                refused.append(Refused(line, text[:320], error.rule))
                continue
            good += 1
            batch.setdefault(address.key, (address, name))
            if len(batch) >= _BATCH:
                added += _add_batch(pk, role, batch)
                batch = {}
                if progress:
                    progress(good + len(refused))
        added += _add_batch(pk, role, batch)
    if progress:
        progress(good + len(refused))
    return AddReport(added, good - added, tuple(refused))


def remove(mailing_list: int | str, address: str, role: str = MEMBER) -> bool:
    """Take an address off a list; False when it was not there. Raises NoSuchList, BadAddress."""
    with transaction():
        found = Membership.objects.filter(
            mailing_list_id=list_pk(mailing_list), role=role, address__key=key(address)
        ).first()
        return found is not None and found.delete()[0] > 0


def remove_everywhere(address: str) -> list[str]:
    """Take an address off every list as member, owner and moderator; the lists it was on. Raises BadAddress."""
    with transaction():
        found = Membership.objects.filter(address__key=key(address)).select_related("mailing_list__domain")
        removed = [row.mailing_list.address for row in found if row.delete()[0]]
    return sorted(set(removed))


def members(
    mailing_list: int | str, role: str = MEMBER, after: str = "", limit: int | None = None
) -> list[MemberFacts]:
    """A role's addresses by key, those that follow `after`, at most `limit`. Raises NoSuchList."""
    return _rows(
        "m.mailing_list_id = %s AND m.role = %s AND a.key > %s ORDER BY a.key" + ("" if limit is None else " LIMIT %s"),
        [list_pk(mailing_list), role, after.lower(), *([] if limit is None else [limit])],
    )


def find(address: str) -> list[MemberFacts]:
    """Every list and role an address has. Raises BadAddress."""
    return _rows("a.key = %s AND l.removed_at IS NULL ORDER BY d.name, l.list_name, m.role", [key(address)])


def set_preferences(mailing_list: int | str, address: str, role: str = MEMBER, **values: str | bool | None) -> bool:
    """Change preferences of a membership (PREFERENCES); False when there is none. Raises ListError, NoSuchList."""
    unknown = set(values) - set(PREFERENCES)
    if unknown:
        raise ListError(f"{', '.join(sorted(unknown))}: no preference of a member; known are {', '.join(PREFERENCES)}")
    with transaction():
        rows = Membership.objects.filter(mailing_list_id=list_pk(mailing_list), role=role, address__key=key(address))
        pks = list(rows.values_list("pk", flat=True))
        changed: dict[str, Any] = dict(values)
        if "delivery_status" in values:
            changed["delivery_resumes_at"] = None  # what was said of a vacation holds no longer
        if "delivery_mode" not in values or not pks:
            return bool(pks) and Membership.objects.filter(pk__in=pks).update(**changed) > 0
        with last_digests.noticed("m.id = %s", [pks[0]]):
            return Membership.objects.filter(pk__in=pks).update(**changed) > 0


def refuse_unknown_action(action: str) -> None:
    """Raise ListError unless this can be the moderation action of a member; "" leaves it to the list."""
    if action and action not in ACTIONS:
        raise ListError(f"{action!r} is no action; known are {', '.join(ACTIONS)}")


def roles_of(account_id: int) -> Roles:
    """The lists an account has a role on; only verified addresses count."""
    found: dict[str, set[str]] = {OWNER: set(), MODERATOR: set(), MEMBER: set(), NONMEMBER: set()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.role, l.list_name, d.name FROM directory_address a "
            "JOIN lists_membership m ON m.address_id = a.id JOIN lists_mailinglist l ON l.id = m.mailing_list_id "
            "JOIN directory_domain d ON d.id = l.domain_id "
            "WHERE a.account_id = %s AND a.verified_at IS NOT NULL AND l.removed_at IS NULL",
            [account_id],
        )
        for role, name, host in cursor.fetchall():
            found[role].add(f"{name}@{host}")
    return Roles(frozenset(found[OWNER]), frozenset(found[MODERATOR]), frozenset(found[MEMBER]))


def staff(pk: int) -> list[str]:
    """The addresses of owners and moderators of a list, each once: who gets what is for them."""
    rows = Membership.objects.filter(mailing_list_id=pk, role__in=(OWNER, MODERATOR)).exclude(
        delivery_status="by_bounces"
    )
    return list(dict.fromkeys(rows.order_by("id").values_list("address__original", flat=True)))


def _add_batch(pk: int, role: str, batch: dict[str, tuple[Address, str]]) -> int:
    if not batch:
        return 0
    addresses.ensure_many(list(batch.values()))
    return _enrol(pk, role, list(addresses.ids_of(list(batch)).values()))


def _enrol(pk: int, role: str, address_pks: Sequence[int]) -> int:
    """Memberships for these addresses where the person has none by any verified address; how many were made."""
    now: str = connection.ops.adapt_datetimefield_value(datetime.now(UTC))  # type: ignore[assignment]
    made = 0
    mode = _MODE_OF_A_NEW_MEMBER if role == MEMBER else "NULL"
    names, wanted = _options_of_new_members(pk) if role == MEMBER else ("", "")
    with connection.cursor() as cursor:
        for start in range(0, len(address_pks), 400):
            part = address_pks[start : start + 400]
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(
                "INSERT INTO lists_membership (mailing_list_id, address_id, role, moderation_action, joined_at, "
                f"bounces, last_bounce, delivery_mode{names}) SELECT %s, a.id, %s, '', %s, 0, '', {mode}{wanted} "
                "FROM directory_address a "
                f"WHERE a.id IN ({marks}){_NOT_THE_SAME_PERSON if role == MEMBER else ''} "
                "ON CONFLICT (mailing_list_id, role, address_id) DO NOTHING",
                [pk, role, now, *([pk, pk] if role == MEMBER else []), *part, *([pk] if role == MEMBER else [])],
            )
            made += max(cursor.rowcount, 0)
    return made


def _options_of_new_members(pk: int) -> tuple[str, str]:
    """(columns, values) of new_member_options as SQL: they count where neither address nor account says anything."""
    kept = MailingList.objects.filter(pk=pk).values_list("new_member_options", flat=True).first() or ""
    names, wanted = "", ""
    for item in items(kept):
        name, _, value = item.partition("=")
        names += f", {name}"
        wanted += (
            f", CASE WHEN a.{name} IS NULL AND NOT EXISTS (SELECT 1 FROM directory_account c WHERE c.id = a.account_id "
            f"AND c.{name} IS NOT NULL) THEN {'TRUE' if value == 'yes' else 'FALSE'} END"
        )
    return names, wanted


def _rows(condition: str, parameters: Sequence[str | int]) -> list[MemberFacts]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.id FROM lists_membership m JOIN directory_address a ON a.id = m.address_id "
            "JOIN lists_mailinglist l ON l.id = m.mailing_list_id JOIN directory_domain d ON d.id = l.domain_id "
            f"WHERE {condition}",
            parameters,
        )
        pks = [int(row[0]) for row in cursor.fetchall()]
    found: dict[int, MemberFacts] = {}
    site = SitePreferences.objects.filter(pk=1).values(*BUILT_IN).first() or {}
    last = {name: value if site.get(name) is None else site[name] for name, value in BUILT_IN.items()}
    for start in range(0, len(pks), _BATCH):
        # Plain values: a roster of ten thousand costs a fraction of what model instances would.
        for pk, *values in Membership.objects.filter(pk__in=pks[start : start + _BATCH]).values_list("pk", *_COLUMNS):
            found[pk] = _facts(dict(zip(_COLUMNS, values, strict=True)), last)
    return [found[pk] for pk in pks if pk in found]


_OWN = ("role", "moderation_action", "joined_at", "bounces", "last_bounce_at", "last_bounce")
_COLUMNS = (
    "mailing_list__list_name", "mailing_list__domain__name", "address__original", "address__display_name", *_OWN,
    *(f"{place}{name}" for name in BUILT_IN for place in ("", "address__", "address__account__")),
)  # fmt: skip


def _facts(row: Mapping[str, Any], last: Mapping[str, str | bool]) -> MemberFacts:
    """`last`: what holds where membership, address and account say nothing."""
    holds: dict[str, Any] = {}
    for name, value in last.items():
        said = row[name]
        if said is None:
            said = row[f"address__{name}"]
        if said is None:
            said = row[f"address__account__{name}"]
        holds[name] = value if said is None else said
    return MemberFacts(
        list_address=f"{row['mailing_list__list_name']}@{row['mailing_list__domain__name']}",
        address=row["address__original"],
        display_name=row["address__display_name"],
        **holds,
        **{name: row[name] for name in _OWN},
    )


def key(address: str) -> str:
    """The key of an address as people write it. Raises BadAddress."""
    try:
        return parse(address.strip()).key
    except AddressError as error:
        raise BadAddress(f"{address!r} is no address: {error.rule}") from error


def _refuse_unknown(role: str) -> None:
    if role not in ROLES:
        raise ListError(f"{role!r} is not a role; known are {', '.join(ROLES)}")
