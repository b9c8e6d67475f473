"""What the queue's tests put into it."""

from __future__ import annotations

from typing import Any

from posthouse import database
from posthouse.content.spool import spooled_from
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival
from posthouse.queue.identity import new_queue_id

NOW = 1_790_000_000_000


def arrival(
    *recipients: str, content: bytes = b"Subject: Tomatoes\r\n\r\nRipe.\r\n", notify: str = "", **given: Any
) -> Arrival:
    """A message from owen to these recipients."""
    envelope = Envelope("owen@lists.example", tuple(Recipient(one, notify) for one in recipients))
    values: dict[str, Any] = {"envelope": envelope, "origin": "transfer", "received_at": NOW, **given}
    return Arrival(new_queue_id(NOW * 1000), spooled_from(content), b"Received: x\r\n", **values)


def count(table: str) -> int:
    """How many rows a table has."""
    return int(database.fetch(f"SELECT count(*) FROM {table}")[0][0])
