"""The kinds of lookups behind one small face: ask one server about one address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from posthouse.configuration import Lookup

MOST_VALUES = 1000  # found for one address; more are a mistake


class Source(Protocol):
    """One kind of database. Any exception of `ask` means that this server cannot answer now."""

    def ask(self, server: str, values: Mapping[str, str]) -> tuple[bool, list[str]]:
        """(whether there is a hit, the values found)."""

    def close(self) -> None:
        """Let its connections go."""


class TooMany(Exception):
    """More values than an address can mean."""


def source_of(settings: Lookup) -> Source:
    """The source for a lookup; its driver is loaded when it is first asked for."""
    match settings.kind:
        case "sqlite":
            from posthouse.routing.lookups.sql import Sqlite

            return Sqlite(settings)
        case "postgresql":
            from posthouse.routing.lookups.sql import PostgreSQL

            return PostgreSQL(settings)
        case "mysql":
            from posthouse.routing.lookups.sql import MySQL

            return MySQL(settings)
        case "ldap":
            from posthouse.routing.lookups.directories import Ldap

            return Ldap(settings)
        case "cdb":
            from posthouse.routing.lookups.files import Cdb

            return Cdb(settings)
        case _:
            from posthouse.routing.lookups.files import Flat

            return Flat(settings)
