"""What a list answers by itself to who writes to it, its owners or -request: once in a while, and never to machines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from string import Template

from django.db import connection

from posthouse import database, maillog
from posthouse.address import AddressError, key_of
from posthouse.directory.moments import moment
from posthouse.lists import addresses, notices
from posthouse.lists.addresses import OWNER, POSTING, REQUEST
from posthouse.lists.arrived import DELIVERED, Arrived, Taken
from posthouse.lists.bans import ban_of
from posthouse.lists.digest_models import Answered
from posthouse.lists.manners import may_answer
from posthouse.lists.models import MailingList
from posthouse.lists.moderation.case import senders

NONE, DISCARD, CONTINUE = "none", "respond_and_discard", "respond_and_continue"
LONGEST_GRACE = timedelta(days=3650)  # what went out longer ago than this is forgotten, whatever a list says

# The address a message came to -> (the kind remembered, the setting with the mode, the setting with the text).
_KINDS: Mapping[str, tuple[str, str, str]] = {
    OWNER: ("owner", "autorespond_owner", "autoresponse_owner_text"),
    POSTING: ("postings", "autorespond_postings", "autoresponse_postings_text"),
    REQUEST: ("requests", "autorespond_requests", "autoresponse_request_text"),
}


def take(row: MailingList, arrived: Arrived, role: str, now: int) -> Taken | None:
    """Answer a message to one of the list's addresses, where the list wants that; None: it goes its way.

    With `respond_and_discard` every message ends here, those that no machine may answer too. `now` in milliseconds.
    """
    if role not in _KINDS:
        return None
    kind, setting, words = _KINDS[role]
    mode = getattr(row, setting)
    if mode == NONE:
        return None
    sent = _answer(row, arrived, kind, getattr(row, words), now)
    if mode != DISCARD:
        return None
    said = "answered automatically" if sent else "not answered"
    maillog.judged(now, arrived.item, row.address, "discard", "autoresponse", f"The list takes nothing here; {said}.")
    return Taken(DELIVERED, f"{said}, and discarded: the list takes nothing here", "2.0.0")


def forget(now: int) -> int:
    """Forget answers that no list's grace period can reach any more; how many. `now` in milliseconds."""
    return Answered.objects.filter(at__lt=moment(now) - LONGEST_GRACE).delete()[0]


def _answer(row: MailingList, arrived: Arrived, kind: str, words: str, now: int) -> bool:
    """Whether an answer went out, to the return path (RFC 3834 §4)."""
    text = Template(words).safe_substitute(notices.placeholders(row)).strip("\n")
    if not text.strip() or not _wanted(row, arrived):
        return False
    if not _is_time(row, kind, arrived.return_path, now):
        return False
    sent = notices.send(
        row, "autoresponse", [arrived.return_path], {"text": text}, now=now, because=arrived.item,
        answers=arrived.message_id, bounded=True,
    )  # fmt: skip
    return bool(sent)


def _wanted(row: MailingList, arrived: Arrived) -> bool:
    """Whether a machine may answer: RFC 3834 §2, Mailman's X-Ack and X-No-Ack, no list's own address, no ban."""
    fields = arrived.fields
    if not may_answer(fields, arrived.return_path) or "x-no-ack" in fields:
        return False
    if (fields.first("x-ack") or "").strip().lower() == "no":
        return False
    local, _, host = arrived.return_path.rpartition("@")
    if addresses.find(local, host.lower()) is not None:
        return False
    return not ban_of(row.pk, senders(arrived))


def _is_time(row: MailingList, kind: str, address: str, now: int) -> bool:
    """Whether the grace period since the last answer is over; it begins anew then. One of many wins."""
    try:
        key = key_of(address)
    except AddressError:
        return False
    at = moment(now)
    since = at - timedelta(seconds=max(0, row.autoresponse_grace_period))
    adapted = connection.ops.adapt_datetimefield_value
    return bool(
        database.run(
            "INSERT INTO lists_answered (mailing_list_id, kind, address, at) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (mailing_list_id, kind, address) DO UPDATE SET at = excluded.at WHERE lists_answered.at <= %s",
            (row.pk, kind, key, adapted(at), adapted(since)),
        )
    )
