"""The order in which a thread is read: answers below what they answer, with a place for every message that is missing.

Whatever the messages claim to answer, themselves or each other in a circle included, every posting comes exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the order is made from; `id` is larger the later it was sent."""

    id: int
    key: str
    parent_key: str
    by_subject: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the thread: a posting, or (`missing`) a message others answer that is not kept here.

    `parent_key` is what it stands below, "" at depth 0.
    """

    key: str
    depth: int
    parent_key: str
    missing: bool


def ordered(leaves: Sequence[Leaf], absent: Mapping[str, str]) -> list[Place]:
    """Put a thread in reading order; `absent` are the missing messages, each with what it answers ("" unknown)."""
    ids = {leaf.key: leaf.id for leaf in leaves}
    by_date = sorted(leaves, key=lambda leaf: leaf.id)
    shown = {leaf.parent_key for leaf in leaves if leaf.parent_key in absent and leaf.parent_key not in ids}
    above: dict[str, str] = {}
    for leaf in by_date:
        above[leaf.key] = leaf.parent_key if leaf.parent_key in ids or leaf.parent_key in shown else ""
    for key in shown:
        above[key] = _nearest(key, absent, ids, shown)
    for leaf in by_date:
        if leaf.by_subject and not above[leaf.key] and leaf.key != by_date[0].key:
            above[leaf.key] = by_date[0].key
    age = dict(ids)
    for leaf in reversed(by_date):  # a missing message is as old as its eldest answer
        if leaf.parent_key in shown:
            age[leaf.parent_key] = leaf.id
    below: dict[str, list[str]] = {}
    for key in sorted(above, key=lambda key: (age[key], key not in shown)):
        below.setdefault(above[key], []).append(key)
    places: list[Place] = []
    done: set[str] = set()
    _walk(below.get("", []), above, below, shown, places, done)
    for leaf in by_date:  # what is left answers itself in a circle: its eldest begins
        if leaf.key not in done:
            above[leaf.key] = ""
            _walk([leaf.key], above, below, shown, places, done)
    return places


def _nearest(key: str, absent: Mapping[str, str], ids: Mapping[str, int], shown: set[str]) -> str:
    """What a missing message stands below: the next one up that is shown, past those nobody answers here."""
    seen = {key}
    up = absent[key]
    while up and up not in seen:
        if up in ids or up in shown:
            return up
        seen.add(up)
        up = absent.get(up, "")
    return ""


def _walk(
    roots: Sequence[str],
    above: Mapping[str, str],
    below: Mapping[str, Sequence[str]],
    shown: set[str],
    places: list[Place],
    done: set[str],
) -> None:
    waiting = [(key, 0) for key in reversed(roots)]
    while waiting:
        key, depth = waiting.pop()
        if key in done:
            continue
        done.add(key)
        places.append(Place(key, depth, above[key] if depth else "", key in shown))
        waiting.extend((child, depth + 1) for child in reversed(below.get(key, ())))
