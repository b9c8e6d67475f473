"""Where delivery hands a list its mail: one entry for every address of every list."""

from __future__ import annotations

from posthouse import maillog
from posthouse.lists import autoresponses, bounces, mitigation, owners, posting, replies, requests
from posthouse.lists.addresses import BOUNCES, CONFIRM, JOIN, LEAVE, OWNER, POSTING, REQUEST
from posthouse.lists.arrived import DELIVERED, FAILED, Arrived, Taken
from posthouse.lists.bans import ban_of
from posthouse.lists.errors import NoSuchList
from posthouse.lists.models import ACTIVE, DISABLED
from posthouse.lists.moderation.case import senders
from posthouse.lists.subscription import list_of
from posthouse.queue.claim import Claimed

DEFERRED = "deferred"


def authors(claimed: Claimed, list_pk: int) -> list[str]:
    """The From values of a posting, where the list needs to know what their domains publish; else none."""
    try:
        mailing_list = list_of(list_pk)
    except NoSuchList:
        return []
    if not mitigation.wants_policy(mailing_list):
        return []
    message = claimed.message
    return Arrived(message.item, message.content_id, bytes(message.prefix), message.return_path).fields.all("from")


def take(
    claimed: Claimed, role: str, list_pk: int, detail: str, now: int, hostname: str, author_policy: str = ""
) -> Taken:
    """Do what a message at a list's address asks for; call it in one write transaction with `record_outcomes`.

    Then taking and being done are one commit: after a crash the message is either still in the queue and nothing
    has happened, or all of it has. `now` in milliseconds; `hostname` is ours; `author_policy`: of a posting, what its
    author's domain publishes for DMARC (`mitigation`).
    """
    try:
        mailing_list = list_of(list_pk)
    except NoSuchList:
        return Taken(FAILED, "there is no such list any more", "5.1.1")
    message = claimed.message
    arrived = Arrived(
        message.item, message.content_id, bytes(message.prefix), message.return_path, message.origin, author_policy
    )
    if mailing_list.state == DISABLED and role not in (BOUNCES, LEAVE, CONFIRM):
        maillog.judged(now, arrived.item, mailing_list.address, "discard", "disabled", "The list is disabled.")
        return Taken(DELIVERED, "discarded by the list: it is disabled", "2.0.0")
    if role == POSTING and mailing_list.state != ACTIVE:  # it was accepted before that; the report tells its author
        return Taken(FAILED, f"the mailing list {mailing_list.address} is {mailing_list.state}", "5.2.1")
    if role in (OWNER, JOIN) and (ban := ban_of(list_pk, senders(arrived))):
        maillog.judged(now, arrived.item, mailing_list.address, "discard", "banned-address", f"Banned by {ban}.")
        return Taken(DELIVERED, "discarded by the list: one of its senders is banned", "2.0.0")
    if role == CONFIRM and replies.is_reply(detail):
        return replies.take(mailing_list, arrived, detail, now)
    if role == REQUEST and (token := replies.token_of(arrived)):
        return replies.take(mailing_list, arrived, token, now)
    if answered := autoresponses.take(mailing_list, arrived, role, now):
        return answered
    if role == POSTING:
        return posting.take(mailing_list, arrived, now)
    if role == OWNER:
        return owners.take(mailing_list, arrived, now)
    if role == BOUNCES:
        return bounces.take(mailing_list, arrived, detail, now)
    if role in (JOIN, LEAVE, CONFIRM, REQUEST):
        return requests.take(mailing_list, arrived, role, detail, now)
    return Taken(FAILED, f"the list has no address for {role}", "5.1.1")


__all__ = ["DEFERRED", "DELIVERED", "FAILED", "Taken", "take"]
