"""The networks from which accounts sign in: there a guesser elsewhere slows nobody down."""

from __future__ import annotations

from posthouse import database
from posthouse.encounters.keys import key, storable


def _id(account: str, network: str) -> int:
    return key("familiar", account, network)


def is_familiar(account: str, network: str, now: int) -> bool:
    """Whether the account (its address) was used from this network; `now` in ms."""
    return bool(
        database.fetch("SELECT 1 FROM encounters_familiar WHERE id = %s AND until > %s", (_id(account, network), now))
    )


def used(account: str, network: str, now: int, until: int) -> None:
    """The account was used from a network with its right password: that is remembered until then (ms)."""
    with database.transaction():
        database.run(
            "INSERT INTO encounters_familiar (id, account, network, last_seen, until) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, until = excluded.until",
            (_id(account, network), storable(account), network, now, until),
        )
