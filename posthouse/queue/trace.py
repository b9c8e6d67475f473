"""What happened: all events of a message, an address or a Message-ID, in order, in words.

A message leads to others (a posting to its copies, a failure to its report) and came of others; both ways are followed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from posthouse import database, maillog
from posthouse.queue.identity import id_of, name_of
from posthouse.queue.sentences import sentence_of

_MOST_ITEMS = 500  # messages followed from one word
_STEPS = 6  # links followed from one message: posting, copies, report, bounce and so on
_SEARCHED = 500_000  # newest events searched for a word that no index knows


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One event; `at` in ms, `item` the queue id's name ("" where there is none)."""

    at: int
    kind: str
    item: str
    address: str
    sentence: str


_Row = tuple[int, int, str, int, str, str]  # id, at, kind, item, address, detail
_COLUMNS = "id, at, kind, item, address, detail"


def trace(word: str, limit: int = 2000) -> list[TraceLine]:
    """All that is known of a queue id, an address, a Message-ID or any text, oldest first, at most `limit` lines (the
    newest ones when there are more)."""
    word = word.strip()
    if not word:
        return []
    found = _found_by(word, limit)
    rows = {row[0]: row for row in found}
    for row in _of_items(_linked({row[3] for row in found if row[3]}), limit):
        rows[row[0]] = row
    # An address: its own events and what its messages have in common, not those of every other recipient
    if _looks_like_address(word):
        key = word.strip("<>").lower()
        rows = {n: row for n, row in rows.items() if row[2] not in _PER_RECIPIENT or row[4].lower() == key}
    return [_line(row) for row in sorted(rows.values(), key=lambda row: (row[1], row[0]))[-limit:]]


_PER_RECIPIENT = frozenset(("delivered", "deferred", "failed"))


def _looks_like_address(word: str) -> bool:
    return "@" in word and not word.startswith("<") and " " not in word


def _found_by(word: str, limit: int) -> list[_Row]:
    item = id_of(word)
    if item is not None:
        found = _of_items([item], limit)
        if found:
            return found
    bare = word.strip("<>")
    if "@" in bare and " " not in bare:
        found = _of_address(bare, limit)
        if found:
            return found
    return _of_text(bare or word, limit)  # Message-IDs are kept without their brackets


def _of_items(items: Iterable[int], limit: int) -> list[_Row]:
    rows: list[_Row] = []
    for item in items:
        rows += database.fetch(
            f"SELECT {_COLUMNS} FROM queue_event WHERE item = %s AND NOT item = 0 ORDER BY id DESC LIMIT %s",
            (item, limit),
        )
        if len(rows) > 4 * limit:
            break
    return rows


def _of_address(address: str, limit: int) -> list[_Row]:
    rows = database.fetch(
        f"SELECT {_COLUMNS} FROM queue_event WHERE address_key = %s AND NOT address_key = 0 ORDER BY id DESC LIMIT %s",
        (maillog.address_key(address), limit),
    )
    return [row for row in rows if row[4].lower() == address.lower()]


def _of_text(word: str, limit: int) -> list[_Row]:
    """Any other word (a Message-ID, a peer, a part of a reply): the newest events are searched."""
    pattern = "%" + _escaped(json.dumps(word.lower(), ensure_ascii=False)[1:-1]) + "%"
    return database.fetch(
        f"SELECT {_COLUMNS} FROM (SELECT * FROM queue_event ORDER BY id DESC LIMIT %s) newest "
        "WHERE lower(detail) LIKE %s ESCAPE '!' OR lower(address) LIKE %s ESCAPE '!' ORDER BY id DESC LIMIT %s",
        (_SEARCHED, pattern, pattern, limit),
    )


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _linked(items: set[int]) -> set[int]:
    """The items, those they came of (`because`) and those that came of them."""
    known = set(items)
    edge = set(items)
    for _ in range(_STEPS):
        following: set[int] = set()
        for item in sorted(edge):
            for (detail,) in database.fetch(
                "SELECT detail FROM queue_event WHERE item = %s AND NOT item = 0 AND kind IN ('enqueued', 'returned') "
                "LIMIT 1000",
                (item,),
            ):
                facts = _facts(detail)
                following.update(n for n in (facts.get("because"), facts.get("report")) if isinstance(n, int) and n)
            following.update(_children(item))
        edge = following - known
        known |= edge
        if not edge or len(known) > _MOST_ITEMS:
            break
    return known


def _children(item: int) -> list[int]:
    """What was enqueued because of an item: found by the number that the event of the child is indexed with."""
    rows = database.fetch("SELECT item FROM queue_event WHERE because = %s AND NOT because = 0 LIMIT 1000", (item,))
    return [row[0] for row in rows]


def _facts(detail: str) -> dict[str, Any]:
    try:
        facts = json.loads(detail)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _line(row: _Row) -> TraceLine:
    _, at, kind, item, address, detail = row
    return TraceLine(at, kind, name_of(item) if item else "", address, sentence_of(kind, address, _facts(detail)))
