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


@dataclass(frozen=True, slots=True)
class ListAddress:
    """An address of a list. `detail`: what stood behind the `+` (a token, a VERP recipient), in its own case."""

    list_pk: int
    address: str
    role: str
    detail: str


def find(local_part: str, domain: str) -> ListAddress | None:
    """Which list and role an address is, or None. A list really named `foo-request` wins over the suffix."""
    name, _, detail = local_part.partition("+")
    name = name.lower()
    base, _, suffix = name.rpartition("-")
    role = SUFFIXES.get(suffix, "")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.id, l.list_name FROM lists_mailinglist l JOIN directory_domain d ON d.id = l.domain_id "
            "WHERE d.name = %s AND l.list_name IN (%s, %s)",
            [domain.lower(), name, base if role and base else name],
        )
        found = {str(list_name): int(pk) for pk, list_name in cursor.fetchall()}
    if name in found:
        return ListAddress(found[name], f"{name}@{domain.lower()}", POSTING, detail)
    if base in found:
        return ListAddress(found[base], f"{base}@{domain.lower()}", role, detail)
    return None


def of(list_address: str, role: str, detail: str = "") -> str:
    """The address for a role of the list that posts to `list_address`."""
    name, _, host = list_address.rpartition("@")
    suffix = "" if role == POSTING else f"-{role}"
    return f"{name}{suffix}{'+' if detail else ''}{detail}@{host}"


def list_pk(mailing_list: int | str) -> int:
    """The number of a list given by its number or its posting address. Raises NoSuchList."""
    if isinstance(mailing_list, int):
        return mailing_list
    name, _, host = mailing_list.strip().lower().rpartition("@")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.id FROM lists_mailinglist l JOIN directory_domain d ON d.id = l.domain_id "
            "WHERE d.name = %s AND l.list_name = %s",
            [host, name],
        )
        row = cursor.fetchone()
    if row is None:
        raise NoSuchList(f"there is no mailing list {mailing_list}")
    return int(row[0])
