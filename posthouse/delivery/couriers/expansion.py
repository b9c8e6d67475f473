"""Sends a message on to the addresses that one address stands for: enqueued again and done in one commit."""

from __future__ import annotations

from posthouse.address import AddressError, key_of
from posthouse.content import keeping
from posthouse.content.spool import Spooled, spooled_from
from posthouse.delivery.endings import Endings
from posthouse.delivery.trouble import Scope, Trouble
from posthouse.lists.departure import PERSONAL, for_list
from posthouse.lists.errors import ListError
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.claim import Claimed
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import name_of, new_queue_id
from posthouse.queue.outcome import DELIVERED, FAILED, Outcome
from posthouse.routing.destination import ToAddresses

TRACE = b"Delivered-To: "  # put before the message at each expansion: seen again, it is a loop


def expand(claimed: Claimed, destination: ToAddresses, now: int, endings: Endings) -> Outcome:
    """Enqueue the message for every address; `now` in ms. Runs in the writing thread, in a transaction.

    DSN wishes go along to a single address; for several a "relayed" report answers NOTIFY=SUCCESS and the others are
    asked for no such report (RFC 3461 §5.2.7.3).
    """
    message = claimed.message
    trace = TRACE + claimed.recipient.encode("utf-8", "surrogateescape") + b"\r\n"
    if _seen(message.prefix, trace):
        reason = f"{claimed.recipient} leads back to itself: {destination.why}"
        return endings.troubled(claimed, Trouble(FAILED, Scope.RECIPIENT, reason, "5.4.6"), "routing")
    try:
        return_path, head, content, eight_bit = _copy(claimed)
    except ListError as error:  # the list was removed meanwhile
        return endings.troubled(claimed, Trouble(FAILED, Scope.TRANSACTION, str(error), "5.2.4"), "expansion")
    several = len(destination.addresses) > 1
    notify = _without_success(claimed.notify or "") if several else claimed.notify or ""
    item = new_queue_id(now * 1000)
    envelope = Envelope(
        return_path,
        tuple(Recipient(address, notify, claimed.original_recipient or "") for address in destination.addresses),
        "8BITMIME" if eight_bit else "7BIT",
        message.smtputf8,
        message.envelope_id,
        message.ret,
    )
    enqueue(
        Arrival(
            item=item,
            content=content,
            prefix=trace + message.prefix + head,
            envelope=envelope,
            origin=message.origin,
            received_at=now,
            peer="expansion",
            because=message.item,
        )
    )
    reply = f"{destination.why}; sent on as {name_of(item)} to {', '.join(destination.addresses[:10])}"
    return Outcome(claimed, DELIVERED, "expansion", reply, "2.1.5", relayed=several)


def _copy(claimed: Claimed) -> tuple[str, bytes, int | Spooled, bool]:
    """(return path, header fields, content, whether it is 8-bit) that the message goes on with.

    A copy of a list goes on as the copy of the member who is reached by this alias: a report about it must name the
    member's own address, not the one behind it. Raises ListError.
    """
    message = claimed.message
    if message.list_id is None:
        return message.return_path, b"", message.content_id, message.body8
    departure = for_list(message.list_id)
    return_path, head = departure.copy(claimed.recipient)
    if message.origin != PERSONAL:
        return return_path, head, message.content_id, message.body8
    octets = keeping.read(message.content_id).all()
    more, pieces = departure.personal(octets).copy(claimed.recipient)
    made = b"".join(one if isinstance(one, bytes) else octets[one[0] : one[1]] for one in pieces)
    return return_path, head + more, spooled_from(made), message.body8 or not made.isascii()


def _seen(prefix: bytes, trace: bytes) -> bool:
    """Whether this address was expanded on the way before, in any spelling."""
    try:
        wanted = key_of(trace[len(TRACE) :].strip().decode("utf-8", "surrogateescape"))
    except AddressError:
        return trace.lower() in prefix.lower()
    for line in prefix.split(b"\r\n"):
        if line.startswith(TRACE):
            try:
                if key_of(line[len(TRACE) :].decode("utf-8", "surrogateescape")) == wanted:
                    return True
            except AddressError:
                continue
    return False


def _without_success(notify: str) -> str:
    """NOTIFY for the others; what asked for success alone asks for nothing now."""
    if not notify:
        return ""
    return ",".join(word for word in notify.split(",") if word.upper() != "SUCCESS") or "NEVER"
