"""The moment a message becomes ours: content and envelope durable in one shared commit, and only then 250."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from posthouse import maillog
from posthouse.database import Bridge, GroupCommit, Unavailable, free_bytes
from posthouse.queue.enqueue import Arrival, enqueue_many
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

_log = logging.getLogger(__name__)
DISK_LOOK_SECONDS = 1.0
_FULL = ("disk is full", "no space left", "disk full", "quota exceeded", "file too large")


class Acceptance:
    """Keeps arrivals, many in one commit. One for a process.

    A crash before the commit leaves nothing and the client, which heard nothing, still has the message; a crash
    behind it leaves all of it, and the client may send it again (RFC 1047).
    """

    def __init__(self, bridge: Bridge, data: Path, minimum_free: int) -> None:
        self._commits: GroupCommit[Arrival, int] = GroupCommit(bridge, enqueue_many)
        self._data, self._minimum_free = data, minimum_free
        self._looked_at = float("-inf")
        self._free = 0
        self._in_trouble = False

    def refusal(self, size: int = 0, *, monotonic: Callable[[], float] = time.monotonic) -> Reply | None:
        """452 when a message of `size` octets would leave too little of the disk, 451 when there is no disk."""
        now = monotonic()
        if now - self._looked_at >= DISK_LOOK_SECONDS:
            try:
                self._free = free_bytes(self._data)
            except OSError:
                self._free = -1
            self._looked_at = now
        if self._free < 0:
            return catalogue.TEMPORARILY_UNAVAILABLE
        if self._free - size < self._minimum_free:
            return catalogue.STORAGE_FULL
        return None

    async def take(self, arrival: Arrival, accepted: Reply) -> Reply:
        """`accepted` when the arrival is durable, 4yz when it is not ours."""
        try:
            await self._commits.add(arrival)
        except Unavailable as trouble:
            reply = reply_for(trouble)
            if not self._in_trouble:  # said once: the maillog waits for the same database
                _log.error("Mail is deferred with %s because the database cannot keep it: %s", reply, trouble)
            self._in_trouble = True
            envelope = arrival.envelope
            maillog.refused(
                arrival.received_at, "acceptance", arrival.peer, envelope.return_path,
                envelope.recipients[0].address if len(envelope.recipients) == 1 else "", str(reply), str(trouble)[:300],
            )  # fmt: skip
            return reply
        if self._in_trouble:
            self._in_trouble = False
            _log.warning("Mail is accepted again")
        return accepted

    async def drained(self) -> None:
        """Wait until nothing waits for a commit."""
        await self._commits.drained()


def reply_for(trouble: Unavailable) -> Reply:
    """What the client hears when the database cannot keep its message."""
    said = str(trouble).lower()
    return catalogue.STORAGE_FULL if any(word in said for word in _FULL) else catalogue.TEMPORARILY_UNAVAILABLE


def queued_as(queue_name: str) -> Reply:
    """250 with the queue id, by which `posthouse trace` finds the message."""
    return Reply(250, "2.0.0", f"Ok: queued as {queue_name}")
