"""What other hosts said of addresses when they were asked: shared by all hosts, kept through restarts, for a while."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from posthouse import database, wake
from posthouse.encounters.errors import EncounterError
from posthouse.encounters.keys import key

SENDER, RECIPIENT, DOMAIN = "sender", "recipient", "domain"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `answer`: yes or no; of a domain: anything (it says yes to whatever one asks) or closed (its hosts do
    not talk to us). Times: ms since 1970. `reply`: its words."""

    kind: str
    address: str
    answer: str
    reply: str
    asked_at: int
    until: int


def answers(asked: Sequence[tuple[str, str]], now: int) -> dict[tuple[str, str], Answer]:
    """What is known of these (kind, address), where it still holds."""
    condition, parameter = database.among("id", [key("verified", *one) for one in asked])
    rows = database.fetch(
        "SELECT kind, address, answer, reply, asked_at, until FROM encounters_verification "
        f"WHERE {condition} AND until > %s",
        (parameter, now),
    )
    return {(row[0], row[1]): Answer(*row) for row in rows}


def keep(found: Iterable[Answer]) -> None:
    """Remember answers; a later one replaces an earlier. Must be called inside a transaction."""
    rows = {key("verified", one.kind, one.address): one for one in found}
    # In the order of their ids: two hosts that asked the same wait for each other, never in a circle.
    database.run_many(
        "INSERT INTO encounters_verification AS v (id, kind, address, answer, reply, asked_at, until) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET answer = excluded.answer, "
        "reply = excluded.reply, asked_at = excluded.asked_at, until = excluded.until "
        "WHERE v.asked_at <= excluded.asked_at",
        [
            (number, one.kind, one.address, one.answer, one.reply, one.asked_at, one.until)
            for number, one in sorted(rows.items())
        ],
    )


def listing(now: int, word: str = "", limit: int = 100) -> list[Answer]:
    """The latest answers whose address holds a word."""
    pattern = "%" + word.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = database.fetch(
        "SELECT kind, address, answer, reply, asked_at, until FROM encounters_verification "
        "WHERE until > %s AND LOWER(address) LIKE %s ESCAPE '\\' ORDER BY asked_at DESC LIMIT %s",
        (now, pattern, limit),
    )
    return [Answer(*row) for row in rows]


def forget(address: str) -> int:
    """Forget what is known of an address or domain, in every role; running processes do at once. Returns how many.

    Raises EncounterError when nothing is known.
    """
    with database.transaction():
        gone = database.run(
            "DELETE FROM encounters_verification WHERE LOWER(address) = %s OR LOWER(address) LIKE %s ESCAPE '\\'",
            (address.lower(), _beginning(f"{address.lower()} ")),
        )
        if not gone:
            raise EncounterError(f"nobody was asked about {address}, or it is forgotten already")
        database.announce(wake.DOOR)
    return gone


def _beginning(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
