"""What happened to each message: one function per event, kept in the database in batches and on standard error.

Events gather in this process and are written with the next transaction of any kind (see `database.transaction`) or by
`flush`, which each role calls about once a second. An event that must not be lost (accepted, an outcome) is recorded
inside the transaction it tells of, so the two are durable together; when that transaction fails, so does its event.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from posthouse import configuration

MOST_WAITING = 100_000  # beyond it the oldest events are dropped from memory (they were on standard error)


@dataclass(frozen=True, slots=True)
class Event:
    """One step in a message's life. `at`: milliseconds since 1970 UTC; `item`: the queue id, 0 where there is none."""

    at: int
    kind: str
    item: int
    address: str
    detail: dict[str, Any]


_waiting: deque[Event] = deque()
_lock = threading.Lock()
_stderr = True
_name: Callable[[int], str] = str
_ITEMS = ("because", "report")  # details that are queue ids


class _Inside(threading.local):
    """What the calling thread recorded inside its transaction; None while it is in none."""

    events: list[Event] | None = None


_inside = _Inside()


def quiet(value: bool = True) -> None:
    """Stop (or resume) writing events to standard error."""
    global _stderr
    _stderr = not value


def address_key(address: str) -> int:
    """The number an address is found by: 32 bits, so that the index stays small."""
    return crc32(storable(address).lower().encode("utf-8"))


def record(at: int, kind: str, item: int, address: str, **detail: Any) -> None:
    """Remember an event. `at` in milliseconds. The functions below are the events; call those."""
    event = Event(at, kind, item, address, {name: value for name, value in detail.items() if value not in (None, "")})
    if _inside.events is not None:
        _inside.events.append(event)
        return
    with _lock:
        _waiting.append(event)
        if len(_waiting) > MOST_WAITING:
            _waiting.popleft()


def begin() -> None:
    """The calling thread's transaction begins: what it records from now on is true only if that is committed."""
    _inside.events = []


def mark() -> int:
    """How much the transaction recorded so far; `forget_since` takes it back when a part of it is undone."""
    return len(_inside.events or ())


def forget_since(marked: int) -> None:
    """Forget what the transaction recorded after `mark`: that part of it was undone."""
    if _inside.events is not None:
        del _inside.events[marked:]


def recorded() -> list[Event]:
    """What the calling thread's transaction recorded."""
    return _inside.events or []


def end() -> None:
    """The calling thread's transaction is over."""
    _inside.events = None


def connection_refused(at: int, peer: str, listener: str, reply: str, reason: str = "") -> None:
    """A connection was refused at its greeting."""
    record(at, "connection-refused", 0, "", peer=peer, listener=listener, reply=reply, reason=reason)


def refused(at: int, stage: str, peer: str, return_path: str, recipient: str, reply: str, reason: str = "",
            check: str = "", found: str = "") -> None:  # fmt: skip
    """A command or a message was refused or deferred: nothing became ours. `check`: of policy; `found`: evidence."""
    record(at, "refused", 0, recipient or return_path, stage=stage, peer=peer, return_path=return_path, reply=reply,
           reason=reason, check=check, found=found)  # fmt: skip


def checked(at: int, counts: dict[str, int]) -> None:
    """How often each check led to what since this process told last: "spf tag", "accept" and so on."""
    record(at, "checked", 0, "", counts=counts)


def signed_in(at: int, peer: str, account: str, ok: bool) -> None:
    """Someone tried to sign in for submission."""
    record(at, "signed-in" if ok else "sign-in-refused", 0, account, peer=peer)


def sign_in_asked(at: int, peer: str, address: str, sent: bool) -> None:
    """Someone asked the site for a sign-in link; `sent`: the address is known and was mailed one."""
    record(at, "sign-in-asked", 0, address, peer=peer, sent=sent)


def pressure(at: int, role: str, why: str) -> None:
    """Mail of a role (stranger, relay, account) is asked to come later because we are behind; `why` "": no more."""
    record(at, "pressure", 0, "", role=role, why=why or "over")


def accepted(at: int, item: int, origin: str, peer: str, return_path: str, recipients: int, size: int, message_id: str,
             first_recipient: str = "") -> None:  # fmt: skip
    """A message became ours."""
    record(at, "accepted", item, return_path, origin=origin, peer=peer, recipients=recipients, size=size,
           message_id=message_id, to=first_recipient)  # fmt: skip


def evidence(at: int, item: int, peer: str, return_path: str, found: str, verdict: str = "") -> None:
    """What was found out about a message that became ours, and what policy remarked, in words."""
    record(at, "evidence", item, return_path, peer=peer, found=found, verdict=verdict)


def dns_list(at: int, name: str, zone: str, alive: bool, reason: str) -> None:
    """A DNS list stopped being believed (and why), or is believed again."""
    record(at, "dns-list-alive" if alive else "dns-list-dead", 0, "", name=name, zone=zone, reason=reason)


def scanner_failed(at: int, item: int, return_path: str, scanner: str, server: str, reason: str) -> None:
    """A server of a scanner (ADDRESS:PORT) refused or did not answer; the next one is tried."""
    record(at, "scanner-failed", item, return_path, scanner=scanner, server=server, reason=reason)


def not_scanned(at: int, item: int, return_path: str, scanner: str, reason: str, host: str, peer: str, interface: str,
                message_id: str, outcome: str) -> None:  # fmt: skip
    """No server of a scanner answered: the message of this host at this interface was not scanned."""
    record(at, "not-scanned", item, return_path, scanner=scanner, reason=reason, host=host, peer=peer,
           interface=interface, message_id=message_id, outcome=outcome)  # fmt: skip


def discarded(at: int, item: int, return_path: str, peer: str, by: str, found: str = "") -> None:
    """A scanner had a message thrown away that its sender was told is accepted."""
    record(at, "discarded", item, return_path, peer=peer, by=by, found=found)


def enqueued(at: int, item: int, origin: str, return_path: str, recipients: int, because: int, note: str = "") -> None:
    """A message of our own making (copies, a notice, a DSN) was put in the queue; `because` of which item."""
    record(at, "enqueued", item, return_path, origin=origin, recipients=recipients, because=because or None, note=note)


def delivered(at: int, item: int, recipient: str, where: str, reply: str) -> None:
    """A recipient is done: the far side took responsibility, or it reached its place here."""
    record(at, "delivered", item, recipient, where=where, reply=reply)


def deferred(at: int, item: int, recipient: str, where: str, reply: str, next_attempt: int) -> None:
    """An attempt failed for now; `next_attempt` in milliseconds."""
    record(at, "deferred", item, recipient, where=where, reply=reply, next_attempt=next_attempt)


def failed(at: int, item: int, recipient: str, where: str, reply: str) -> None:
    """A recipient is done: it will never get the message."""
    record(at, "failed", item, recipient, where=where, reply=reply)


def returned(at: int, item: int, return_path: str, report: int, action: str) -> None:
    """A DSN was written (`report`: its queue id; `action`: failed, delayed, delivered) or dropped (report 0)."""
    record(at, "returned", item, return_path, report=report or None, action=action)


def suspended(at: int, destination: str, until: int, reason: str) -> None:
    """A destination as a whole will not be tried until `until` (milliseconds; 0: until resumed)."""
    record(at, "suspended", 0, destination, until=until or None, reason=reason)


def resumed(at: int, destination: str) -> None:
    """A destination is tried again."""
    record(at, "resumed", 0, destination)


def judged(at: int, item: int, mailing_list: str, disposition: str, rule: str, reason: str) -> None:
    """A list judged a posting: accept, hold, reject or discard."""
    record(at, "judged", item, mailing_list, disposition=disposition, rule=rule, reason=reason)


def moderated(at: int, item: int, mailing_list: str, act: str, by: str, reason: str = "") -> None:
    """A held posting was released, rejected or discarded by someone."""
    record(at, "moderated", item, mailing_list, act=act, by=by, reason=reason)


def filed(at: int, item: int, archive: str, message_id: str, permalink: str) -> None:
    """A posting was kept in the archive."""
    record(at, "filed", item, archive, message_id=message_id, permalink=permalink)


def subscription(at: int, item: int, mailing_list: str, address: str, act: str, by: str) -> None:
    """Someone asked to join or leave, confirmed, joined or left."""
    record(at, "subscription", item, address, mailing_list=mailing_list, act=act, by=by)


def bounced(at: int, item: int, mailing_list: str, address: str, status: str, diagnostic: str) -> None:
    """A bounce for a member's copy came back."""
    record(at, "bounced", item, address, mailing_list=mailing_list, status=status, diagnostic=diagnostic)


def take() -> list[Event]:
    """Take every event that waits, to be inserted in the current transaction."""
    with _lock:
        taken = list(_waiting)
        _waiting.clear()
    return taken


def give_back(events: list[Event]) -> None:
    """Put back events that were taken for a transaction that failed."""
    with _lock:
        _waiting.extendleft(reversed(events))
        while len(_waiting) > MOST_WAITING:
            _waiting.popleft()


def insert(events: list[Event]) -> None:
    """Insert events in the current transaction."""
    if not events:
        return
    from posthouse.database import insert_many

    rows = [
        (event.at, event.kind, event.item, storable(event.address),
         address_key(event.address) if event.address else 0,
         event.detail.get("because", 0), storable(_encode(event.detail)) if event.detail else "{}")
        for event in events
    ]  # fmt: skip
    insert_many("queue_event", "at, kind, item, address, address_key, because, detail", rows)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, default=str).encode


def storable(text: str) -> str:
    """The text with what no database takes (NUL, halves of letters) made visible: a hostile word must never stand in
    the way of the transactions that carry it."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def name_items(name: Callable[[int], str]) -> None:
    """Write queue ids on standard error with `name`, as replies and people do; the queue knows how."""
    global _name
    _name = name


def say(events: list[Event]) -> None:
    """Write events to standard error, one line of JSON each, where the configuration wants it."""
    if not events or not _stderr or not configuration.active().maillog.stderr:
        return
    lines = [
        json.dumps(
            {"at": e.at, "event": e.kind, "item": _name(e.item) if e.item else "", "address": e.address}
            | {name: _name(value) if name in _ITEMS else value for name, value in e.detail.items()},
            ensure_ascii=False,
            default=str,
        )
        for e in events
    ]
    try:
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # a closed pipe must not stop mail
        pass


def flush() -> None:
    """Write the events that wait, in a transaction of their own. Raises what the database raises; nothing is lost."""
    if _waiting:
        from posthouse.database import transaction

        with transaction():
            pass
