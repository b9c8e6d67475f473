"""The addresses of a list: posting, owner, bounces, join, leave, confirm, request; and which one a local part is."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from posthouse.lists.errors import NoSuchList

POSTING, OWNER, BOUNCES, JOIN = "posting", "owner", "bounces", "join"
LEAVE, CONFIRM, REQUEST = "leave", "confirm", "request"

SUFFIXES: dict[str, str] = {
    "owner": OWNER,
    "admin": OWNER,
    "bounces": BOUNCES,
    "join": JOIN,
    "subscribe": JOIN,
    "leave": LEAVE,
    "unsubscribe": LEAVE,
    "confirm": CONFIRM,
    "request": REQUEST,
}


# Where a name in a domain leads, the first that is found: a list of the domain, another name of a list (its old one, or
# one in a parent domain), a list of the domain that a legacy domain stands for. Removed lists are not found.
_FIND = (
    "SELECT 1 AS way, l.list_name, l.id, l.list_name, d.name, l.state "
    "FROM directory_domain d JOIN lists_mailinglist l ON l.domain_id = d.id "
    "WHERE d.name = %s AND l.list_name IN (%s, %s) AND l.removed_at IS NULL UNION ALL "
    "SELECT 2, n.list_name, l.id, l.list_name, h.name, l.state "
    "FROM directory_domain d JOIN lists_listalias n ON n.domain_id = d.id "
    "JOIN lists_mailinglist l ON l.id = n.mailing_list_id JOIN directory_domain h ON h.id = l.domain_id "
    "WHERE d.name = %s AND n.list_name IN (%s, %s) AND l.removed_at IS NULL UNION ALL "
    "SELECT 3, l.list_name, l.id, l.list_name, h.name, l.state "
    "FROM directory_domain d JOIN directory_domain h ON h.id = d.stands_for_id "
    "JOIN lists_mailinglist l ON l.domain_id = h.id "
    "WHERE d.name = %s AND l.list_name IN (%s, %s) AND l.removed_at IS NULL UNION ALL "
    "SELECT 4, n.list_name, l.id, l.list_name, h.name, l.state "
    "FROM directory_domain d JOIN lists_listalias n ON n.domain_id = d.stands_for_id "
    "JOIN lists_mailinglist l ON l.id = n.mailing_list_id JOIN directory_domain h ON h.id = l.domain_id "
    "WHERE d.name = %s AND n.list_name IN (%s, %s) AND l.removed_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class ListAddress:
    """An address of a list. `address`: where the list posts now, whatever name it was found by.

    `detail`: what stood behind the `+` (a token, a VERP recipient), in its own case; `state`: active, paused, closed.
    """

    list_pk: int
    address: str
    role: str
    detail: str
    state: str = "active"


def find(local_part: str, domain: str) -> ListAddress | None:
    """Which list and role an address is, or None. A list really named `foo-request` wins over the suffix."""
    name, _, detail = local_part.partition("+")
    name = name.lower()
    base, _, suffix = name.rpartition("-")
    role = SUFFIXES.get(suffix, "")
    found = _found(domain.lower(), name, base if role and base else name)
    if name in found:
        pk, address, state = found[name]
        return ListAddress(pk, address, POSTING, detail, state)
    if base in found:
        pk, address, state = found[base]
        return ListAddress(pk, address, role, detail, state)
    return None


def _found(domain: str, name: str, base: str) -> dict[str, tuple[int, str, str]]:
    """(number, posting address, state) of the lists that these two names lead to, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [domain, name, base] * 4)
        rows = sorted(cursor.fetchall(), reverse=True)
    return {str(asked): (int(pk), f"{own}@{host}", str(state)) for _, asked, pk, own, host, state in rows}


def moved(list_address: str) -> str | None:
    """The present posting address of a list that is asked for by another name of it; None: no list, or no other name.

    Pages of old names redirect there.
    """
    name, _, host = list_address.strip().lower().rpartition("@")
    found = _found(host, name, name).get(name)
    return found[1] if found and found[1] != f"{name}@{host}" else None


def of(list_address: str, role: str, detail: str = "") -> str:
    """The address for a role of the list that posts to `list_address`."""
    name, _, host = list_address.rpartition("@")
    suffix = "" if role == POSTING else f"-{role}"
    return f"{name}{suffix}{'+' if detail else ''}{detail}@{host}"


def names_of(pk: int) -> list[str]:
    """Every posting address that leads to a list: its own first, then aliases and old names (RFC 5321 §3.9.1)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 0 AS way, l.list_name, d.name FROM lists_mailinglist l JOIN directory_domain d "
            "ON d.id = l.domain_id WHERE l.id = %s UNION ALL SELECT 1, n.list_name, d.name FROM lists_listalias n "
            "JOIN directory_domain d ON d.id = n.domain_id WHERE n.mailing_list_id = %s UNION ALL "
            "SELECT 2, l.list_name, d.name FROM lists_mailinglist l JOIN directory_domain d "
            "ON d.stands_for_id = l.domain_id WHERE l.id = %s ORDER BY 1, 2, 3",
            [pk, pk, pk],
        )
        return [f"{name}@{host}" for _, name, host in cursor.fetchall()]


def all_names() -> list[tuple[str, str]]:
    """(name, domain) of every posting address that leads to a list which is not removed, however it is called."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.list_name, d.name FROM lists_mailinglist l JOIN directory_domain d "
            "ON d.id = l.domain_id OR d.stands_for_id = l.domain_id WHERE l.removed_at IS NULL UNION "
            "SELECT n.list_name, d.name FROM lists_listalias n JOIN lists_mailinglist l ON l.id = n.mailing_list_id "
            "JOIN directory_domain d ON d.id = n.domain_id OR d.stands_for_id = n.domain_id "
            "WHERE l.removed_at IS NULL ORDER BY 2, 1"
        )
        return [(str(name), str(host)) for name, host in cursor.fetchall()]


def list_pk(mailing_list: int | str) -> int:
    """The number of a list given by its number or its posting address, old names included. Raises NoSuchList."""
    if isinstance(mailing_list, int):
        return mailing_list
    name, _, host = mailing_list.strip().lower().rpartition("@")
    found = _found(host, name, name).get(name)
    if found is None:
        raise NoSuchList(f"there is no mailing list {mailing_list}", mailing_list)
    return found[0]


def namesakes(asked: str) -> list[str]:
    """Lists of this name in whatever domain, three at most: a hint for the postmaster who left the domain out."""
    name, at, host = asked.strip().lower().rpartition("@")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.list_name, d.name FROM lists_mailinglist l JOIN directory_domain d ON d.id = l.domain_id "
            "WHERE l.list_name = %s AND l.removed_at IS NULL ORDER BY d.name LIMIT 3",
            [name if at else host],
        )
        return [f"{own}@{domain}" for own, domain in cursor.fetchall()]
