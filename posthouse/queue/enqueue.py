"""Now it is ours: content, envelope and every recipient in one durable transaction.

A crash before the commit leaves nothing (at most a content file, which the sweep removes); after it, everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posthouse import database, maillog, wake
from posthouse.content import keeping
from posthouse.content.spool import Spooled
from posthouse.message.envelope import Envelope
from posthouse.queue.destinations import domain_of, numbers_of
from posthouse.queue.errors import NoRecipients

_FROM_OUTSIDE = frozenset(("transfer", "submission", "submissions", "lmtp", "inside"))

# Copies for one destination lie in runs of so many: claims then touch few pages of the table and of its indexes, and
# still find many destinations side by side.
_NEIGHBOURS = 20

_MESSAGE = "id, content_id, prefix, return_path, received_at, origin, list_id, body8, smtputf8, envelope_id, ret"
_DELIVERY = (
    "message_id, destination_id, recipient, next_attempt, attempts, given_up, warned, notify, original_recipient"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message to be enqueued. Times in milliseconds since 1970.

    `content`: bytes that have just come, or the id of content kept already (one use is added). `prefix`: header fields
    to stand before it. `because`: the queue id of the message that made us write this one. `wait_until`: not before.
    `evidence`: what was found out about who sent it, in words; `verdict`: what policy remarked.
    """

    item: int
    content: Spooled | int
    prefix: bytes
    envelope: Envelope
    origin: str
    received_at: int
    peer: str = ""
    message_id: str = ""
    because: int = 0
    list_id: int | None = None
    wait_until: int = 0
    evidence: str = ""
    verdict: str = ""


def enqueue(arrival: Arrival) -> int:
    """Enqueue one message; returns its queue id. Raises NoRecipients."""
    return enqueue_many([arrival])[0]


def enqueue_many(batch: Sequence[Arrival]) -> list[int]:
    """Enqueue messages that share a transaction; returns their queue ids. Raises NoRecipients, nothing is kept then."""
    for arrival in batch:
        if not arrival.envelope.recipients:
            raise NoRecipients("A message without recipients cannot be enqueued.")
    if not batch:
        return []
    with database.transaction():
        contents = _contents(batch)
        domains = [[domain_of(one.address) for one in arrival.envelope.recipients] for arrival in batch]
        destinations = numbers_of(name for names in domains for name in names)
        messages: list[tuple[Any, ...]] = []
        deliveries: list[tuple[Any, ...]] = []
        for arrival, content, names in zip(batch, contents, domains, strict=True):
            envelope, item = arrival.envelope, arrival.item
            messages.append(
                (item, content, arrival.prefix, envelope.return_path, arrival.received_at, arrival.origin,
                 arrival.list_id, envelope.body == "8BITMIME", envelope.smtputf8, envelope.envelope_id, envelope.ret)
            )  # fmt: skip
            due = arrival.wait_until or arrival.received_at
            for one, name in zip(envelope.recipients, names, strict=True):
                deliveries.append(
                    (item, destinations[name], one.address, due, 0, False, False, one.notify or None,
                     one.original_recipient or None)
                )  # fmt: skip
            _tell(arrival)
        database.insert_many("queue_message", _MESSAGE, messages)
        database.insert_many("queue_delivery", _DELIVERY, deliveries)
        database.announce(wake.QUEUE)
    return [arrival.item for arrival in batch]


def _contents(batch: Sequence[Arrival]) -> list[int]:
    """The content id of each arrival, one use taken for each."""
    fresh = [arrival.content for arrival in batch if isinstance(arrival.content, Spooled)]
    made = iter(keeping.keep_many(fresh)) if fresh else iter(())
    used = Counter(arrival.content for arrival in batch if isinstance(arrival.content, int))
    for content_id, times in sorted(used.items()):
        keeping.use(content_id, times)
    return [arrival.content if isinstance(arrival.content, int) else next(made) for arrival in batch]


def _tell(arrival: Arrival) -> None:
    envelope = arrival.envelope
    if arrival.origin in _FROM_OUTSIDE:
        size = arrival.content.size if isinstance(arrival.content, Spooled) else 0
        maillog.accepted(
            arrival.received_at, arrival.item, arrival.origin, arrival.peer, envelope.return_path,
            len(envelope.recipients), size, arrival.message_id, envelope.recipients[0].address,
        )  # fmt: skip
        if arrival.evidence or arrival.verdict:
            maillog.evidence(
                arrival.received_at, arrival.item, arrival.peer, envelope.return_path, arrival.evidence,
                arrival.verdict,
            )  # fmt: skip
    else:
        maillog.enqueued(
            arrival.received_at, arrival.item, arrival.origin, envelope.return_path, len(envelope.recipients),
            arrival.because, envelope.recipients[0].address if len(envelope.recipients) == 1 else "",
        )  # fmt: skip


def enqueue_selected(
    *,
    item: int,
    content_id: int,
    prefix: bytes,
    return_path: str,
    origin: str,
    received_at: int,
    list_id: int | None,
    because: int,
    body8: bool,
    smtputf8: bool,
    select: str,
    parameters: Sequence[Any],
) -> int:
    """Enqueue one message for every recipient that a SELECT names, without bringing them into memory.

    `select` yields two columns, named recipient and domain (lower-case A-labels), and uses %s for `parameters`; it is
    part of the program, never of what somebody sent. Takes one use of the content. Returns how many recipients there
    are; with none nothing is kept. `received_at` in milliseconds.
    """
    with database.transaction():
        database.run(
            "INSERT INTO queue_destination (name, suspended_until, failures, reason) "
            f"SELECT DISTINCT chosen.domain, 0, 0, '' FROM ({select}) AS chosen "
            "WHERE NOT EXISTS (SELECT 1 FROM queue_destination WHERE name = chosen.domain) "
            "ORDER BY 1 ON CONFLICT (name) DO NOTHING",
            tuple(parameters),
        )
        count = database.run(
            "INSERT INTO queue_delivery (message_id, destination_id, recipient, next_attempt, attempts, given_up, "
            f"warned) SELECT {int(item)}, place.id, chosen.recipient, {int(received_at)}, 0, {_no()}, {_no()} "
            f"FROM ({select}) AS chosen JOIN queue_destination AS place ON place.name = chosen.domain "
            f"ORDER BY (row_number() OVER (PARTITION BY place.id) - 1) / {_NEIGHBOURS}, place.id",
            tuple(parameters),
        )
        if not count:
            return 0
        keeping.use(content_id)
        row = (item, content_id, prefix, return_path, received_at, origin, list_id, body8, smtputf8, "", "")
        database.insert_many("queue_message", _MESSAGE, [row])
        maillog.enqueued(received_at, item, origin, return_path, count, because)
        database.announce(wake.QUEUE)
    return count


def _no() -> str:
    return "0" if database.is_sqlite() else "FALSE"
