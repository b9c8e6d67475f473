"""The trial mode's outbox: mail for elsewhere, kept as it would have left, with what the pretended far side said."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import database
from posthouse.message.headers import Fields, split
from posthouse.queue.claim import Claimed


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """One captured copy; `at` in ms."""

    id: int
    at: int
    item: int
    return_path: str
    recipient: str
    reply: str
    subject: str
    size: int


def capture(at: int, claimed: Claimed, return_path: str, octets: bytes, reply: str) -> None:
    """Keep a copy that would have left now; `return_path` as on the wire."""
    capture_many([(at, claimed, return_path, octets, reply)])


def capture_many(batch: list[tuple[int, Claimed, str, bytes, str]]) -> None:
    """Keep many copies in one transaction; each is what `capture` takes."""
    with database.transaction():
        database.run_many(
            "INSERT INTO queue_captured (at, item, return_path, recipient, reply, octets) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (at, claimed.message.item, return_path, claimed.recipient, reply, octets)
                for at, claimed, return_path, octets, reply in batch
            ],
        )


def captured(limit: int = 100, before: int | None = None) -> list[CapturedMessage]:
    """The newest copies, those with an id below `before` when given."""
    condition, parameters = ("id < %s", (before,)) if before is not None else ("1 = 1", ())
    head = "substr(octets, 1, 65536)"
    rows = database.fetch(
        f"SELECT id, at, item, return_path, recipient, reply, {head}, length(octets) FROM queue_captured "
        f"WHERE {condition} ORDER BY id DESC LIMIT %s",
        (*parameters, limit),
    )
    return [_facts(row) for row in rows]


def captured_message(number: int) -> tuple[CapturedMessage, bytes] | None:
    """One captured copy with its bytes; None when there is none of this number."""
    rows = database.fetch(
        "SELECT id, at, item, return_path, recipient, reply, octets, length(octets) FROM queue_captured WHERE id = %s",
        (number,),
    )
    return (_facts(rows[0]), bytes(rows[0][6])) if rows else None


def _facts(row: tuple[object, ...]) -> CapturedMessage:
    number, at, item, return_path, recipient, reply, octets, size = row
    assert isinstance(octets, bytes | memoryview)
    subject = Fields(split(bytes(octets))[0]).decoded("subject") or ""
    return CapturedMessage(number, at, item, return_path, recipient, reply, subject, size)  # type: ignore[arg-type]
