"""Where deliveries go together: the numbers of destinations, cached in the process (a destination never goes away)."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from posthouse import database
from posthouse.address import AddressError, normal_domain

_MOST_KNOWN = 100_000
_known: dict[str, int] = {}
_generation = -1
_lock = threading.Lock()


def domain_of(recipient: str) -> str:
    """The destination's name for an address: its domain in lower-case A-labels; "" for a bare local part."""
    _, at, domain = recipient.rpartition("@")
    if not at:
        return ""
    if domain.isascii() and not domain.startswith("["):
        return domain.lower()
    try:
        return normal_domain(domain)
    except AddressError:  # it will be refused where it is routed, with its reason
        return domain.lower()[:255]


def numbers_of(names: Iterable[str]) -> dict[str, int]:
    """The number of each destination; the ones never seen are made, in the current transaction."""
    global _generation
    wanted = set(names)
    with _lock:
        if _generation != database.generation() or len(_known) > _MOST_KNOWN:
            _known.clear()
            _generation = database.generation()
        found = {name: _known[name] for name in wanted if name in _known}
    missing = sorted(wanted - found.keys())
    if missing:
        made = _make(missing)
        found |= made
        generation = _generation
        database.after_commit(lambda: _remember(generation, made))  # not before: the transaction may still fail
    return found


def _remember(generation: int, made: dict[str, int]) -> None:
    with _lock:
        if generation == _generation:
            _known.update(made)


def _make(names: list[str]) -> dict[str, int]:
    made: dict[str, int] = {}
    for start in range(0, len(names), 200):
        part = names[start : start + 200]
        marks = ",".join(["%s"] * len(part))
        select = f"SELECT name, id FROM queue_destination WHERE name IN ({marks})"
        rows = dict(database.fetch(select, part))
        new = [name for name in part if name not in rows]
        if new:  # in order of names, so that two processes never wait for each other in a circle
            database.run_many(
                "INSERT INTO queue_destination (name, suspended_until, failures, reason) VALUES (%s, 0, 0, '') "
                "ON CONFLICT (name) DO NOTHING",
                [(name,) for name in new],
            )
            rows = dict(database.fetch(select, part))
        made |= rows
    return made


def known(names: Iterable[str]) -> set[str]:
    """Which of these domains mail of ours ever went to."""
    wanted = sorted(set(names))
    found: set[str] = set()
    for start in range(0, len(wanted), 200):
        part = wanted[start : start + 200]
        marks = ",".join(["%s"] * len(part))
        found |= {row[0] for row in database.fetch(f"SELECT name FROM queue_destination WHERE name IN ({marks})", part)}
    return found
