"""One content and one narrow row per member: a posting goes to its members by a single INSERT ... SELECT."""

from __future__ import annotations

from posthouse import configuration
from posthouse.content import files, keeping
from posthouse.content.spool import LARGE, Spool, Spooled, spooled_from
from posthouse.lists import addresses
from posthouse.lists.arrived import Arrived
from posthouse.lists.models import MailingList
from posthouse.lists.personal import PERSONAL, is_personal
from posthouse.lists.recipients import recipients
from posthouse.message.headers import split
from posthouse.queue.enqueue import enqueue_selected
from posthouse.queue.identity import new_queue_id


def distribute(
    mailing_list: MailingList, arrived: Arrived, prepared: bytes, now: int, topics: tuple[str, ...] = ()
) -> int:
    """Enqueue a copy for everybody who gets one; how many they are. `now` in ms, `topics`: those it matches.

    The return path is the list's bounce address; each copy's own is made of it as the copy leaves (`departure`).
    """
    select, parameters = recipients(mailing_list, arrived, topics)
    content_id = keeping.keep(_spooled(prepared))
    header, _ = split(prepared)
    number = enqueue_selected(
        item=new_queue_id(now * 1000),
        content_id=content_id,
        prefix=b"",
        return_path=addresses.of(mailing_list.address, addresses.BOUNCES),
        origin=PERSONAL if is_personal(mailing_list) else "list",
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
