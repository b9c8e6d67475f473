"""What list tests share: a list with people, a posting as delivery hands it over, and what then waits in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.database import transaction
from posthouse.directory import domains
from posthouse.lists import addresses, arrivals, creation, roster
from posthouse.lists.arrived import Taken
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.claim import Claimed, QueuedMessage
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id
from posthouse.queue.models import Delivery, Message
from tests.people import DOMAIN, GARDEN, OWEN

NOW = 1_700_000_000_000  # milliseconds
HOST = "mx.lists.example"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def has_list(
    address: str = GARDEN,
    members: Sequence[str] = (),
    owners: Sequence[str] = (OWEN,),
    style: str = "discussion",
    **settings: str,
) -> int:
    """A list with these people and settings: its number."""
    host = address.rpartition("@")[2]
    if not domains.is_ours(host):
        domains.add(host)
    facts = creation.create(address, owners, style)
    if settings:
        creation.set_settings(address, settings)
    for member in members:
        roster.add(address, member)
    return facts.pk


def letter(author: str, to: str = GARDEN, subject: str = "Tomatoes", text: str = "Ripe at last.", *more: str) -> bytes:
    """A plain message with CRLF line ends; `more` are header fields, one of them may replace Message-ID."""
    fields = [f"From: {author}", f"To: {to}", f"Subject: {subject}", "Date: Tue, 14 Nov 2023 22:13:20 +0000", *more]
    if not any(field.lower().startswith("message-id:") for field in more):
        fields.append("Message-ID: <tomatoes@far.example>")
    return "\r\n".join([*(field for field in fields if field != "Message-ID:"), "", text, ""]).encode("utf-8")


def arrives(
    content: bytes, to: str, return_path: str, now: int = NOW, prefix: bytes = b"", origin: str = "transfer"
) -> Taken:
    """Hand a message for a list's address to the list, as delivery does: in one transaction with being done."""
    item = new_queue_id(now * 1000)
    with transaction():
        enqueue(Arrival(item, spooled_from(content), prefix, Envelope(return_path, (Recipient(to),)), origin, now))
        row = Message.objects.get(pk=item)
        message = QueuedMessage(item, row.content_id, prefix, return_path, now, origin, None, False, False, "", "")
        delivery = Delivery.objects.get(message_id=item)
        claimed = Claimed(delivery.pk, message, to, delivery.destination_id, DOMAIN, 1, False, None, None)
        found = addresses.find(*to.rsplit("@", 1))
        assert found is not None
        taken = arrivals.take(claimed, found.role, found.list_pk, found.detail, now, HOST)
        Delivery.objects.filter(pk=delivery.pk).delete()
        Message.objects.filter(pk=item).delete()
        keeping.release([message.content_id])
    return taken


def posts(author: str, text: str = "Ripe at last.", to: str = GARDEN, subject: str = "Tomatoes", now: int = NOW,
          *more: str) -> Taken:  # fmt: skip
    """A person writes to the list."""
    return arrives(letter(author, to, subject, text, *more), to, author, now)


def waiting(origin: str = "list") -> list[tuple[Message, bytes, list[str]]]:
    """What waits in the queue of this origin: (message, its content, its recipients in order)."""
    found = []
    for message in Message.objects.filter(origin=origin).order_by("id"):
        recipients = Delivery.objects.filter(message=message).order_by("recipient").values_list("recipient", flat=True)
        found.append((message, keeping.read(message.content_id).all(), list(recipients)))
    return found


def copies() -> list[str]:
    """Who gets a copy, in order."""
    return sorted(one for message, _, recipients in waiting() if message.list_id for one in recipients)


def notices_for(address: str) -> list[bytes]:
    """The notices that wait for this address."""
    return [content for _, content, recipients in waiting("notice") if address in recipients]
