"""What came of an attempt: delivered, deferred or failed, durable in one transaction.

A crash before the commit leaves the claims as they were: they come back when the lease ends and are tried again, the
only way a recipient gets a message twice. An outcome told twice, or told by a claimant whose claims were given to
others, changes nothing that is not true: a delivery that did happen is done; what others now try is left to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from posthouse import database, maillog, wake
from posthouse.content import keeping
from posthouse.queue import returning
from posthouse.queue.claim import Claimed
from posthouse.queue.wishes import wants

DELIVERED, DEFERRED, FAILED = "delivered", "deferred", "failed"
_WITHOUT_PLAN = 60_000  # ms until the next attempt when the outcome names no time
_MOST_REPLY = 1_000  # characters of a reply that are kept


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one claimed delivery.

    `where`: who answered (far host, or our own part); `status`: enhanced code of the reply; `next_attempt`: ms, for
    DEFERRED. `relayed`: whether, where a DSN for success was asked for, we must write it, because the far side promised
    no DSN; `local`: it reached its place here, so that DSN says "delivered" and not "relayed" (RFC 3461 §5.2).
    """

    claimed: Claimed
    result: str
    where: str
    reply: str
    status: str = ""
    next_attempt: int | None = None
    relayed: bool = True
    local: bool = False


def record_outcomes(batch: Sequence[Outcome], now: int, speak: returning.Speak = returning.plainly) -> None:
    """Make outcomes durable. Harmless to repeat. `speak` words the reports of success that somebody asked for.

    Delivered and silently failed rows go, messages without recipients go and their content with them; failed rows
    whose sender must be told wait as `returning` for `returning.write_reports`. `now` in ms.
    """
    if not batch:
        return
    # Told twice in one batch (a claim that was lost and tried again by the same process): a delivery is a fact.
    unique = {one.claimed.id: one for one in sorted(batch, key=lambda one: one.result == DELIVERED)}
    with database.transaction():
        _lock_messages({outcome.claimed.message.item for outcome in batch})
        ours = _still_ours([one for one in unique.values() if one.result != DELIVERED])
        delivered = [one for one in unique.values() if one.result == DELIVERED]
        failed = [one for one in ours if one.result == FAILED]
        silent = [one for one in failed if not _must_be_told(one.claimed)]
        done = _delete([one.claimed.id for one in (*delivered, *silent)])
        delivered = [one for one in delivered if one.claimed.id in done]
        told = [one for one in failed if _must_be_told(one.claimed)]
        deferred = [one for one in ours if one.result == DEFERRED]
        _set_returning(told)
        _set_deferred(deferred, now)
        for one in delivered:
            maillog.delivered(now, one.claimed.message.item, one.claimed.recipient, one.where, one.reply)
        _tell(deferred, failed, silent, now)
        _report_successes(delivered, now, speak)
        drop_finished({one.claimed.message.item for one in (*delivered, *silent)})
        if told:
            database.announce(wake.QUEUE)  # the reports are due


def _lock_messages(items: Iterable[int]) -> None:
    """Two processes that finish the last two recipients of a message must not each leave its end to the other."""
    if not database.is_sqlite():
        database.fetch("SELECT 1 FROM queue_message WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (sorted(items),))


def _still_ours(outcomes: list[Outcome]) -> list[Outcome]:
    """Those whose claim still holds."""
    if not outcomes:
        return []
    condition, parameter = database.among("id", [one.claimed.id for one in outcomes])
    lock = "" if database.is_sqlite() else " FOR UPDATE"
    rows = dict(database.fetch(f"SELECT id, claimant FROM queue_delivery WHERE {condition}{lock}", (parameter,)))
    return [one for one in outcomes if rows.get(one.claimed.id) == one.claimed.claimant]


def _must_be_told(claimed: Claimed) -> bool:
    return claimed.message.return_path != "" and wants(claimed.notify, "FAILURE")


def _delete(ids: list[int]) -> set[int]:
    if not ids:
        return set()
    condition, parameter = database.among("id", ids)
    return {
        row[0] for row in database.fetch(f"DELETE FROM queue_delivery WHERE {condition} RETURNING id", (parameter,))
    }


def _set_returning(failed: list[Outcome]) -> None:
    database.run_many(
        "UPDATE queue_delivery SET claimant = NULL, given_up = %s, last_reply = %s, last_status = %s, last_where = %s "
        "WHERE id = %s",
        [
            (
                True,
                maillog.storable(one.reply[:_MOST_REPLY]),
                one.status[:12],
                maillog.storable(one.where[:255]),
                one.claimed.id,
            )
            for one in failed
        ],
    )


def _set_deferred(deferred: list[Outcome], now: int) -> None:
    database.run_many(
        "UPDATE queue_delivery SET claimant = NULL, next_attempt = %s, last_reply = %s, last_status = %s, "
        "last_where = %s WHERE id = %s",
        [
            (one.next_attempt if one.next_attempt is not None else now + _WITHOUT_PLAN,
             maillog.storable(one.reply[:_MOST_REPLY]), one.status[:12], maillog.storable(one.where[:255]),
             one.claimed.id)
            for one in deferred
        ],
    )  # fmt: skip


def _tell(deferred: list[Outcome], failed: list[Outcome], silent: list[Outcome], now: int) -> None:
    for one in deferred:
        due = one.next_attempt if one.next_attempt is not None else now + _WITHOUT_PLAN
        maillog.deferred(now, one.claimed.message.item, one.claimed.recipient, one.where, one.reply, due)
    for one in failed:
        maillog.failed(now, one.claimed.message.item, one.claimed.recipient, one.where, one.reply)
    for one in silent:
        maillog.returned(now, one.claimed.message.item, one.claimed.message.return_path, 0, "failed")


def _report_successes(delivered: list[Outcome], now: int, speak: returning.Speak) -> None:
    wanted = [
        one for one in delivered
        if one.claimed.notify and (one.relayed or one.local) and one.claimed.message.return_path
        and wants(one.claimed.notify, "SUCCESS")
    ]  # fmt: skip
    for one in wanted:
        returning.report_success(one.claimed, one.where, one.reply, one.status, one.local, now, speak)


def drop_finished(items: Iterable[int]) -> None:
    """Remove those of the messages that have no delivery left, and release their content."""
    items = list(items)
    if not items:
        return
    condition, parameter = database.among("id", items)
    rows = database.fetch(
        f"DELETE FROM queue_message WHERE {condition} AND NOT EXISTS "
        "(SELECT 1 FROM queue_delivery d WHERE d.message_id = queue_message.id) RETURNING content_id",
        (parameter,),
    )
    keeping.release(row[0] for row in rows)
