"""Mail to -owner goes on to the people who run the list."""

from __future__ import annotations

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.directory import accounts
from posthouse.lists import addresses, roster
from posthouse.lists.addresses import BOUNCES, OWNER
from posthouse.lists.arrived import DELIVERED, FAILED, Arrived, Taken
from posthouse.lists.models import MailingList
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id

_MARK = "X-BeenThere"


def take(mailing_list: MailingList, arrived: Arrived, now: int) -> Taken:
    """Send it to every owner and moderator, to the site's administrators when there is none. `now` in milliseconds.

    It leaves unchanged but for one field that ends loops; failures come back to the list's bounce address, where
    they are recorded and answered to nobody.
    """
    own = addresses.of(mailing_list.address, OWNER)
    if any(value.lower() == own for value in arrived.fields.all(_MARK)[:100]):
        maillog.judged(
            now, arrived.item, mailing_list.address, "discard", "loop", f"It has been through {own} already."
        )
        return Taken(DELIVERED, f"discarded: it has been through {own} already", "2.0.0")
    people = _people(mailing_list, own)
    if not people:
        return Taken(FAILED, "nobody runs this list at the moment", "5.2.1")
    enqueue(
        Arrival(
            item=new_queue_id(now * 1000),
            content=arrived.content_id,
            prefix=f"{_MARK}: {own}\r\n".encode("ascii") + arrived.prefix,
            envelope=Envelope(
                return_path=addresses.of(mailing_list.address, BOUNCES),
                recipients=tuple(Recipient(address) for address in people),
                body="8BITMIME",
                smtputf8=not all(address.isascii() for address in people) or _has_utf8_header(arrived),
            ),
            origin="list",
            received_at=now,
            message_id=arrived.message_id,
            because=arrived.item,
        )
    )
    return Taken(DELIVERED, f"sent on to {len(people)} owners and moderators", "2.0.0")


def _people(mailing_list: MailingList, own: str) -> list[str]:
    found = roster.staff(mailing_list.pk) or accounts.superuser_addresses()
    return [address for address in found if _key(address) != own]


def _key(address: str) -> str:
    try:
        return key_of(address)
    except AddressError:
        return ""


def _has_utf8_header(arrived: Arrived) -> bool:
    return any(not raw.isascii() for _, raw in arrived.fields)
