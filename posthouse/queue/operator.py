"""What an operator sees and does: the queue as a list, one message with its recipients, try now, give up now."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import database, wake
from posthouse.queue import returning
from posthouse.queue.identity import name_of
from posthouse.queue.outcome import drop_finished

GIVEN_UP = "given up by the operator"


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A message that waits; times in ms. `waiting`: recipients left; `next_attempt`: the earliest of them."""

    item: int
    name: str
    received_at: int
    return_path: str
    origin: str
    size: int
    waiting: int
    first_recipient: str
    next_attempt: int
    last_reply: str


@dataclass(frozen=True, slots=True)
class ShownDelivery:
    """One recipient that is left. `state`: waiting, being tried, suspended (its destination is) or to be returned."""

    recipient: str
    attempts: int
    next_attempt: int
    state: str
    last_reply: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A message and the recipients that are left (the first 1,000 of `waiting`)."""

    item: int
    name: str
    received_at: int
    return_path: str
    origin: str
    size: int
    waiting: int
    deliveries: tuple[ShownDelivery, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the queue holds: messages, and deliveries by state."""

    messages: int
    waiting: int
    claimed: int
    returning: int
    suspended_destinations: int


_MESSAGE = (
    "SELECT m.id, m.received_at, m.return_path, m.origin, c.size + length(m.prefix) FROM queue_message m "
    "JOIN content_content c ON c.id = m.content_id "
)


def listing(limit: int = 100, after: int = 0) -> list[QueueLine]:
    """The messages that wait, oldest first, those behind queue id `after`."""
    lines = []
    for item, received_at, return_path, origin, size in database.fetch(
        _MESSAGE + "WHERE m.id > %s ORDER BY m.id LIMIT %s", (after, limit)
    ):
        ((waiting, due),) = database.fetch(
            "SELECT count(*), coalesce(min(next_attempt), 0) FROM queue_delivery WHERE message_id = %s", (item,)
        )
        first = database.fetch(
            "SELECT recipient, last_reply FROM queue_delivery WHERE message_id = %s ORDER BY id LIMIT 1", (item,)
        )
        recipient, reply = first[0] if first else ("", "")
        lines.append(
            QueueLine(item, name_of(item), received_at, return_path, origin, size, waiting, recipient, due, reply or "")
        )
    return lines


def show(item: int) -> Shown | None:
    """One message with its recipients; None when it is not in the queue."""
    rows = database.fetch(_MESSAGE + "WHERE m.id = %s", (item,))
    if not rows:
        return None
    _, received_at, return_path, origin, size = rows[0]
    ((waiting,),) = database.fetch("SELECT count(*) FROM queue_delivery WHERE message_id = %s", (item,))
    deliveries = tuple(
        ShownDelivery(recipient, attempts, due, _state(claimant, given_up, until), reply or "")
        for recipient, attempts, due, claimant, given_up, reply, until in database.fetch(
            "SELECT d.recipient, d.attempts, d.next_attempt, d.claimant, d.given_up, d.last_reply, p.suspended_until "
            "FROM queue_delivery d JOIN queue_destination p ON p.id = d.destination_id WHERE d.message_id = %s "
            "ORDER BY d.id LIMIT 1000",
            (item,),
        )
    )
    return Shown(item, name_of(item), received_at, return_path, origin, size, waiting, deliveries)


def _state(claimant: int | None, given_up: bool, suspended_until: int) -> str:
    if given_up:
        return "to be returned"
    if claimant is not None:
        return "being tried"
    return "suspended" if suspended_until else "waiting"


def retry(item: int | None = None, destination: str | None = None) -> int:
    """Make deliveries due now: of one message, of one destination (whose suspension for failures ends), or all.

    Returns how many. What is being tried at this moment is left alone, and so is an operator's suspension.
    """
    condition, parameters = "1 = 1", list[object]()
    if item is not None:
        condition, parameters = "message_id = %s", [item]
    elif destination is not None:
        condition = "destination_id IN (SELECT id FROM queue_destination WHERE name = %s)"
        parameters = [destination.strip().lower()]
    with database.transaction():
        count = database.run(
            "UPDATE queue_delivery SET next_attempt = 0 WHERE claimant IS NULL AND NOT given_up AND " + condition,
            parameters,
        )
        where, names = ("name = %s AND ", parameters) if destination is not None else ("", [])
        if item is None:
            database.run(
                f"UPDATE queue_destination SET suspended_until = 0 WHERE {where}failures > 0 AND suspended_until < %s",
                [*names, 1 << 62],
            )
        database.announce(wake.QUEUE)
    return count


def return_now(item: int, now: int, hostname: str, speak: returning.Speak = returning.plainly) -> int:
    """Give a message up: every recipient that is left is reported to the return path as failed. Returns how many
    recipients; 0 when the message is not in the queue. An attempt under way may still succeed. `now` in ms."""
    with database.transaction():
        rows = database.fetch("SELECT return_path FROM queue_message WHERE id = %s", (item,))
        if not rows:
            return 0
        if rows[0][0] == "":
            count = database.run("DELETE FROM queue_delivery WHERE message_id = %s", (item,))
            drop_finished([item])
            return count
        count = database.run(
            "UPDATE queue_delivery SET claimant = NULL, given_up = %s, last_status = '5.0.0', "
            "last_where = '', last_reply = coalesce(nullif(last_reply, '') || '; ', '') || %s WHERE message_id = %s",
            (True, GIVEN_UP, item),
        )
        returning.write_reports(now, hostname, speak)
    return count


def counts() -> Counts:
    """How much the queue holds."""
    ((messages,),) = database.fetch("SELECT count(*) FROM queue_message")
    ((waiting,),) = database.fetch("SELECT count(*) FROM queue_delivery WHERE claimant IS NULL AND NOT given_up")
    ((claimed,),) = database.fetch("SELECT count(*) FROM queue_delivery WHERE claimant IS NOT NULL")
    ((given_up,),) = database.fetch("SELECT count(*) FROM queue_delivery WHERE given_up")
    ((suspended,),) = database.fetch("SELECT count(*) FROM queue_destination WHERE suspended_until <> 0")
    return Counts(messages, waiting, claimed, given_up, suspended)
