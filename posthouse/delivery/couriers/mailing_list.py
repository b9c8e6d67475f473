"""Hands a delivery to a mailing list; runs in the writing thread, in the transaction that records its outcome."""

from __future__ import annotations

from posthouse.delivery.endings import Endings
from posthouse.delivery.trouble import Scope, Trouble
from posthouse.lists import arrivals
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DELIVERED, Outcome
from posthouse.routing.destination import ToList


def take(
    claimed: Claimed, destination: ToList, now: int, hostname: str, endings: Endings, author_policy: str = ""
) -> Outcome:
    """Let the list take the message; `now` in ms. What the list does and the outcome are one commit.

    `author_policy`: of a posting, what its author's domain publishes (`delivery.author_policy`).
    """
    taken = arrivals.take(
        claimed, destination.role, destination.list_pk, destination.detail, now, hostname, author_policy
    )
    where = f"list {destination.list_address}"
    if taken.result == DELIVERED:
        return Outcome(claimed, DELIVERED, where, taken.reply, taken.status, local=True)
    return endings.troubled(claimed, Trouble(taken.result, Scope.RECIPIENT, taken.reply, taken.status), where)
