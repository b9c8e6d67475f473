"""Telling the sender: DSNs (RFC 3464) for what failed, what is late and, where asked for, what arrived.

A report is enqueued in the same transaction that ends what it tells of, so it is written exactly once. It has the null
return path and is never written for a null return path (RFC 5321 §4.5.5). A copy of a list left with a return path of
its own (VERP), and its report goes there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any

from posthouse import configuration, database, maillog
from posthouse.address import verp_encode
from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.message.envelope import NULL_RETURN_PATH, Body, Envelope, Recipient
from posthouse.message.identity import new_message_id
from posthouse.message.report import MAX_RETURNED, RecipientReport, Words, compose_dsn
from posthouse.queue.claim import Claimed, QueuedMessage, messages_of
from posthouse.queue.enqueue import Arrival, enqueue_many
from posthouse.queue.identity import new_queue_id
from posthouse.queue.wishes import wants

_MESSAGES = 100  # of one transaction
_RECIPIENTS = 1_000  # of one report
_HEADER = 512 * 1024  # bytes read of a large content to find its header
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class _Row:
    """A delivery some report speaks of."""

    id: int
    recipient: str
    notify: str | None
    original_recipient: str | None
    reply: str
    status: str
    where: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is to be worded: for whom, by which host, on which recipients of which message."""

    to: str
    hostname: str
    recipients: Sequence[RecipientReport]
    original: bytes  # its header at least
    arrived_at: int  # seconds


# Who words a report for people; None: the plain words of `message.report`. Templates are kept by a room above.
Speak = Callable[[Report], Words | None]


def plainly(report: Report) -> Words | None:
    """Leave a report to the plain words."""
    return None


_COLUMNS = "id, recipient, notify, original_recipient, last_reply, last_status, last_where"


def _rows(item: int, condition: str, parameters: Sequence[Any] = ()) -> list[_Row]:
    found = database.fetch(
        f"SELECT {_COLUMNS} FROM queue_delivery WHERE message_id = %s AND {condition} ORDER BY id LIMIT {_RECIPIENTS}",
        (item, *parameters),
    )
    return [_Row(row[0], row[1], row[2], row[3], row[4] or "", row[5] or "", row[6] or "") for row in found]


def write_reports(now: int, hostname: str, speak: Speak = plainly) -> int:
    """Write a report for everything that failed and whose sender must be told; `now` in ms. Returns how many.

    `speak` words those that go to people; those of a list's copies come back to the list, which reads the facts.
    """
    written = 0
    while True:
        with database.transaction():
            items = _items(
                "SELECT DISTINCT message_id FROM queue_delivery WHERE given_up AND EXISTS "
                "(SELECT 1 FROM queue_message m WHERE m.id = message_id) ORDER BY message_id LIMIT %s",
                _MESSAGES,
            )
            for message in messages_of(items).values():
                written += _return(message, now, hostname, speak)
        if not items:
            return written


def _items(sql: str, *parameters: Any) -> list[int]:
    """Queue ids; on PostgreSQL their messages are locked, those another process works on are left to it."""
    items = [row[0] for row in database.fetch(sql, parameters)]
    if items and not database.is_sqlite():
        items = [row[0] for row in database.fetch(
            "SELECT id FROM queue_message WHERE id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED", (items,)
        )]  # fmt: skip
    return items


def _return(message: QueuedMessage, now: int, hostname: str, speak: Speak) -> int:
    from posthouse.queue.outcome import drop_finished  # the two modules need each other

    rows = _rows(message.item, "given_up")
    groups = [[row] for row in rows] if message.list_id is not None else [rows]
    if message.return_path:
        reported = [[_reported(row, "failed", "5.0.0", now) for row in group] for group in groups]
        _write(message, reported, now, hostname, speak)
    condition, parameter = database.among("id", [row.id for row in rows])
    database.run(f"DELETE FROM queue_delivery WHERE {condition}", (parameter,))
    drop_finished([message.item])
    return len(groups) if message.return_path else 0


def warn_delayed(now: int, hostname: str, after_seconds: int, speak: Speak = plainly) -> int:
    """Tell senders once that a delivery is late (no list copies); `now` in ms. Returns how many reports it wrote."""
    if not after_seconds:
        return 0
    written, last = 0, 0
    while True:
        with database.transaction():
            items = _items(
                "SELECT id FROM queue_message WHERE id > %s AND received_at <= %s AND list_id IS NULL "
                "AND return_path <> '' AND EXISTS (SELECT 1 FROM queue_delivery d "
                "WHERE d.message_id = queue_message.id AND NOT d.warned AND NOT d.given_up AND d.attempts > 0) "
                "ORDER BY id LIMIT %s",
                last, now - after_seconds * 1000, _MESSAGES,
            )  # fmt: skip
            for message in messages_of(items).values():
                written += _warn(message, now, hostname, speak)
        if len(items) < _MESSAGES:
            return written
        last = items[-1]


def _warn(message: QueuedMessage, now: int, hostname: str, speak: Speak) -> int:
    rows = _rows(message.item, "NOT warned AND NOT given_up AND attempts > 0")
    until = (message.received_at // 1000) + configuration.active().delivery.give_up_after
    late = [
        replace(_reported(row, "delayed", "4.4.7", now), will_retry_until=until)
        for row in rows if wants(row.notify, "DELAY")
    ]  # fmt: skip
    if late:
        _write(message, [late], now, hostname, speak)
    condition, parameter = database.among("id", [row.id for row in rows])
    database.run(f"UPDATE queue_delivery SET warned = %s WHERE {condition}", (True, parameter))
    return 1 if late else 0


def report_success(
    claimed: Claimed, where: str, reply: str, status: str, local: bool, now: int, speak: Speak = plainly
) -> None:
    """Tell a sender who asked for it that a recipient has the message (RFC 3461 §5.2.2 relayed, §5.2.3 delivered)."""
    row = _Row(claimed.id, claimed.recipient, claimed.notify, claimed.original_recipient, reply, status, where)
    reported = _reported(row, "delivered" if local else "relayed", "2.0.0", now)
    message = replace(claimed.message, ret="HDRS")  # RFC 3461 §4.3: RET speaks of failures; success returns the header
    _write(message, [[reported]], now, configuration.active().host, speak)


def _reported(row: _Row, action: str, status: str, now: int) -> RecipientReport:
    host = row.where.split(" ", 1)[0].split("[", 1)[0]
    return RecipientReport(
        final_recipient=row.recipient,
        action=action,
        # RFC 3464 §2.3.4: the class must agree with the action
        status=row.status if _STATUS.match(row.status) and row.status[0] == status[0] else status,
        diagnostic=row.reply,
        remote_mta=host if "." in host and _HOST.match(host) else "",
        original_recipient=row.original_recipient or "",
        last_attempt=now // 1000,
    )


def _write(
    message: QueuedMessage, groups: Sequence[Sequence[RecipientReport]], now: int, hostname: str, speak: Speak
) -> None:
    """Enqueue a report for each group of recipients; the message is read once."""
    body = keeping.read(message.content_id)
    whole = body.size + len(message.prefix) <= MAX_RETURNED
    original = message.prefix + (body.all() if whole else body.head(_HEADER))
    wanted = message.ret == "FULL" or (message.ret == "" and message.list_id is None)
    batch = [_arrival(message, group, original, whole and wanted, now, hostname, speak) for group in groups]
    enqueue_many(batch)
    for arrival, group in zip(batch, groups, strict=True):
        to = arrival.envelope.recipients[0].address
        maillog.returned(now, message.item, to, arrival.item, group[0].action)


def _arrival(
    message: QueuedMessage,
    group: Sequence[RecipientReport],
    original: bytes,
    return_content: bool,
    now: int,
    hostname: str,
    speak: Speak,
) -> Arrival:
    to, words = message.return_path, None
    if message.list_id is not None:
        to = verp_encode(message.return_path, group[0].final_recipient)
    else:
        words = speak(Report(to, hostname, group, original, message.received_at // 1000))
    report = compose_dsn(
        author=f"Mail Delivery System <MAILER-DAEMON@{configuration.active().sending_domain}>",
        to=to,
        reporting_mta=hostname,
        message_id=new_message_id(hostname, now // 1000, _random),
        date=now // 1000,
        recipients=group,
        original=original,
        return_content=return_content,
        envelope_id=message.envelope_id,
        arrival_date=message.received_at // 1000,
        words=words,
    )
    body: Body = "7BIT" if report.isascii() else "8BITMIME"
    envelope = Envelope(NULL_RETURN_PATH, (Recipient(to),), body, not to.isascii())
    item = new_queue_id(now * 1000)
    # Lists believe "bounce" more: only what our own delivery of a list's copy saw is marked so.
    origin = "report" if message.list_id is None else "bounce"
    return Arrival(item, spooled_from(report), b"", envelope, origin, now, because=message.item)
