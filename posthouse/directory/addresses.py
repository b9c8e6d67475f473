"""The addresses that lists and accounts know: one row for every spelling of the same mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from posthouse.address import Address as MailAddress
from posthouse.address import AddressError, parse
from posthouse.directory.errors import BadAddress

_BATCH = 400  # parameters of one statement stay below every database's bound


def checked(text: str) -> MailAddress:
    """The address in `text`, or BadAddress with the rule it breaks."""
    try:
        return parse(text.strip())
    except AddressError as error:
        raise BadAddress(f"{text!r} is no address: {error.rule}") from error


def ensure(text: str, display_name: str = "") -> int:
    """The row of this address, made when it is new; a name fills an empty one. Raises BadAddress.

    Call it inside a transaction.
    """
    address = checked(text)
    ensure_many([(address, display_name)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM directory_address WHERE key = %s", [address.key])
        return int(cursor.fetchone()[0])


def ensure_many(addresses: Sequence[tuple[MailAddress, str]]) -> None:
    """Make the rows that are missing; names fill empty ones. Call it inside a transaction.

    In the order of keys, so that two processes that add the same people wait for each other and never in a circle.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO directory_address (key, original, domain, display_name) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (key) DO UPDATE SET display_name = excluded.display_name "
            "WHERE directory_address.display_name = '' AND excluded.display_name <> ''",
            [
                (address.key, str(address), address.domain_key, " ".join(name.split())[:255])
                for address, name in sorted(addresses, key=lambda one: one[0].key)
            ],
        )


def ids_of(keys: Sequence[str]) -> dict[str, int]:
    """The rows of these address keys, where they exist."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(keys), _BATCH):
            part = list(keys[start : start + _BATCH])
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(f"SELECT key, id FROM directory_address WHERE key IN ({marks})", part)
            found.update(cursor.fetchall())
    return found
