"""Lookups in databases of others: which, where, how asked, and what a hit means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from posthouse.configuration.declaring import endpoint, setting

KINDS = ("sqlite", "postgresql", "mysql", "ldap", "cdb", "file")
SERVED = {"postgresql": 5432, "mysql": 3306, "ldap": 389}  # those that are asked over the network, with their ports
PLACES = ("address", "local", "name", "detail", "domain")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


@dataclass(frozen=True)
class Lookup:
    """Addresses that a database of others knows, asked in the order of the file behind aliases and before lists. When
    no server answers, mail is deferred. `:address`, `:local` (before the @), `:name` (before the +), `:detail` (behind
    it) and `:domain` stand for parts of the recipient, in lower case; they are handed over as values, never as text."""

    kind: str = setting("", "sqlite, postgresql, mysql (MariaDB too), ldap, cdb or file. Empty: not asked.")
    domains: list[str] = setting([], "Our domains it is asked about. Empty: all.", "domains")
    servers: list[str] = setting(
        [], "HOST, HOST:PORT or the path of a socket, asked in this order. Of sqlite, cdb and file: several files."
    )
    path: str = setting("", "The file, for sqlite, cdb and file.", "path")
    database: str = setting("", "Name of the database.")
    user: str = setting("", "Who signs in there (ldap: a DN). It needs SELECT on one table, nothing else.")
    password: str = setting("", "With this password.", "secret")
    tls: bool = setting(False, "Speak TLS with the servers, and believe only certificates that this machine trusts.")
    query: str = setting("", "SQL: one SELECT. ldap: a filter, like `(mail=:address)`.")
    base: str = setting("", "ldap: where the search begins.")
    attribute: str = setting("mail", "ldap: whose values are the answer.")
    keys: list[str] = setting([":address"], "cdb and file: keys asked one after another; the first that is there wins.")
    target: str = setting("", "Where every hit leads: an address. Empty: the values found are the addresses.")
    deadline: float = setting(3.0, "Seconds for each server.")
    cache: float = setting(0.0, "Seconds that an answer is remembered. 0: a row counts, or is gone, at once.")


def complaints(lookups: Mapping[str, Lookup]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(keys of the setting, rule it breaks) for lookups that could not be asked."""
    for name, one in lookups.items():
        if not one.kind:
            continue
        if one.kind not in KINDS:
            yield ("lookups", name, "kind"), f"must be one of {', '.join(KINDS)}"
            continue
        for item, rule in _complaints(one):
            yield ("lookups", name, item), rule
        if one.deadline <= 0:
            yield ("lookups", name, "deadline"), "must be more than 0"


def _complaints(one: Lookup) -> Iterator[tuple[str, str]]:
    if one.kind in SERVED and not one.servers:
        yield "servers", f"must name a server for {one.kind}"
    if one.kind not in SERVED and not one.path and not one.servers:
        yield "path", f"must name the file for {one.kind}"
    for server in one.servers if one.kind in SERVED else ():
        try:
            server_of(server, SERVED.get(one.kind, 0))
        except ValueError as error:
            yield "servers", f"{error}: {server!r}"
    selects = re.match(r"\s*(SELECT|WITH)\b", one.query, re.IGNORECASE) and ";" not in _QUOTED.sub("", one.query)
    if one.kind in ("sqlite", "postgresql", "mysql") and not selects:
        yield "query", "must be one SELECT, without a semicolon"
    if one.kind == "ldap" and not re.fullmatch(r"\s*\(.*\)\s*", one.query, re.DOTALL):
        yield "query", "must be a filter in parentheses, like (mail=:address)"
    if one.kind == "ldap" and not one.base:
        yield "base", "must say where the search begins, like dc=example,dc=org"
    asked = one.query if one.kind in ("sqlite", "postgresql", "mysql", "ldap") else " ".join(one.keys)
    if not set(places(asked)) & {"address", "local", "name"}:
        yield ("query" if one.query else "keys"), "must ask for :address, :local or :name"


def places(text: str) -> list[str]:
    """The names of the places in a query, in order; what stands in quotes is none, nor is a cast (`::text`)."""
    return re.findall(rf"(?<![:\w]):({'|'.join(PLACES)})\b", _QUOTED.sub("", text))


def server_of(text: str, port: int) -> tuple[str, int]:
    """(host or socket folder, port) of a server. Raises ValueError naming the rule."""
    if text.startswith("/"):
        return text, port
    if re.fullmatch(r"[^\s:/\[\]]+", text):
        return text, port
    return endpoint(text)
