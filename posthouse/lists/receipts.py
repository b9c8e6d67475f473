"""Receipts: members who asked for it are told that their posting was sent to the list."""

from __future__ import annotations

from django.db import connection

from posthouse.address import AddressError, key_of
from posthouse.lists import notices
from posthouse.lists.arrived import Arrived
from posthouse.lists.manners import may_answer
from posthouse.lists.models import MEMBER, MailingList
from posthouse.lists.preferences import ACCOUNTS, effective


def acknowledge(row: MailingList, arrived: Arrived, permalink: str, now: int) -> None:
    """Send the author a receipt when they, a member by any address of their account, want one. `now` in ms."""
    try:
        author = key_of(arrived.author[1])
    except AddressError:
        return
    if not _wanted(row, author) or arrived.origin == "news" or not may_answer(arrived.fields, arrived.return_path):
        return
    values = {"subject": arrived.subject or "(no subject)", "address": author, "permalink": permalink}
    notices.send(
        row,
        "posted",
        [arrived.author[1]],
        values,
        now=now,
        because=arrived.item,
        answers=arrived.message_id,
    )


def _wanted(row: MailingList, author: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {effective('acknowledge_posts')} FROM directory_address a {ACCOUNTS} JOIN lists_membership m "
            "ON m.mailing_list_id = %s AND m.role = %s AND (m.address_id = a.id OR m.address_id IN (SELECT o.id FROM "
            "directory_address o WHERE o.account_id = a.account_id AND o.verified_at IS NOT NULL)) "
            "WHERE a.key = %s",
            [row.pk, MEMBER, author],
        )
        return any(wanted for (wanted,) in cursor.fetchall())
