"""One content and one narrow row per member: a posting goes to its members by a single INSERT ... SELECT."""

from __future__ import annotations

from posthouse import configuration
from posthouse.address import AddressError, key_of
from posthouse.content import files, keeping
from posthouse.content.spool import LARGE, Spool, Spooled, spooled_from
from posthouse.lists import addresses
from posthouse.lists.arrived import Arrived
from posthouse.lists.models import ENABLED, MEMBER, MailingList
from posthouse.lists.preferences import ACCOUNTS, effective
from posthouse.message.headers import split
from posthouse.message.rewrite import addressed_to
from posthouse.queue.enqueue import enqueue_selected
from posthouse.queue.identity import new_queue_id

MOST_ADDRESSED = 400  # addresses in To and Cc that are compared with members' wish for no second copy


def distribute(mailing_list: MailingList, arrived: Arrived, prepared: bytes, now: int) -> int:
    """Enqueue a copy for every member who gets one; how many they are. `now` in milliseconds.

    The return path is the list's bounce address; each copy's own is made of it as the copy leaves (`departure`).
    """
    select, parameters = recipients(mailing_list, arrived)
    content_id = keeping.keep(_spooled(prepared))
    header, _ = split(prepared)
    number = enqueue_selected(
        item=new_queue_id(now * 1000),
        content_id=content_id,
        prefix=b"",
        return_path=addresses.of(mailing_list.address, addresses.BOUNCES),
        origin="list",
        received_at=now,
        list_id=mailing_list.pk,
        because=arrived.item,
        body8=not prepared.isascii(),
        smtputf8=not header.isascii(),
        select=select,
        parameters=parameters,
    )
    keeping.release([content_id])
    return number


def _spooled(prepared: bytes) -> Spooled:
    """Large content becomes a file, as it does when it comes from outside."""
    if len(prepared) <= LARGE:
        return spooled_from(prepared)
    spool = Spool(files.incoming(configuration.active().data))
    view = memoryview(prepared)
    for start in range(0, len(view), LARGE):
        spool.write(view[start : start + LARGE])
    return spool.finish()


def recipients(mailing_list: MailingList, arrived: Arrived) -> tuple[str, list[str | int]]:
    """The question that yields (recipient, domain) of every member who gets a copy, and its parameters.

    Left out: members whose delivery is stopped or who read digests, the author (by any address of their account) when
    they want no copy of their own postings, and members named in To or Cc who want no second copy.
    """
    try:
        author = key_of(arrived.author[1]) if arrived.author[1] else ""
    except AddressError:
        author = ""
    named = sorted(addressed_to(arrived.fields))[:MOST_ADDRESSED] or [""]
    marks = ", ".join(["%s"] * len(named))
    # Without digests their readers get copies, so that nobody gets nothing.
    digests_apart = f" AND {effective('delivery_mode')} = 'regular'" if mailing_list.digests_enabled else ""
    select = (
        "SELECT a.original AS recipient, a.domain AS domain "
        f"FROM lists_membership m JOIN directory_address a ON a.id = m.address_id {ACCOUNTS} "
        f"WHERE m.mailing_list_id = %s AND m.role = %s AND {effective('delivery_status')} = %s "
        f"AND ({effective('receive_own_postings')} OR (a.key <> %s AND COALESCE(a.account_id, 0) <> COALESCE("
        "(SELECT o.account_id FROM directory_address o WHERE o.key = %s AND o.verified_at IS NOT NULL), -1))) "
        f"AND ({effective('receive_list_copy')} OR a.key NOT IN ({marks})){digests_apart}"
    )
    return select, [mailing_list.pk, MEMBER, ENABLED, author, author, *named]
