"""Deliveries that leave in one transaction, and the transaction made of them when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from posthouse.content.errors import ContentError
from posthouse.database import Bridge
from posthouse.delivery import personal
from posthouse.delivery.contents import Contents, Loaded
from posthouse.delivery.trouble import Scope, Trouble
from posthouse.dns.cache import Cache
from posthouse.lists.departure import PERSONAL, Departure, Personal, for_list
from posthouse.lists.errors import ListError
from posthouse.queue.claim import Claimed, QueuedMessage
from posthouse.queue.outcome import DEFERRED, FAILED
from posthouse.smtp.outgoing import OutgoingRecipient, OutgoingTransaction, UnsafeAddress

MOST_LISTS = 1000
DEPARTURE_SECONDS = 30.0  # how long a list's departure is believed when no word of a change reaches us


@dataclass(slots=True, eq=False)
class Job:
    """Recipients of one message at one next hop. `tried`: addresses of hosts that could not take it this time."""

    message: QueuedMessage
    claims: list[Claimed]
    tried: frozenset[str] = frozenset()
    losses: int = 0  # connections that ended under it although they worked before
    last: Trouble | None = field(default=None, repr=False)  # what the last of the tried hosts said
    last_where: str = ""


class Unsendable(Exception):
    """No transaction can be made of a job; `trouble` says what that means."""

    def __init__(self, meaning: Trouble) -> None:
        super().__init__(meaning.reason)
        self.trouble = meaning


class Packer:
    """Makes transactions. `ready` is for the hot path and never waits; `pack` fetches what is missing."""

    def __init__(self, bridge: Bridge, contents: Contents, clock: Callable[[], float]) -> None:
        self._bridge, self._contents = bridge, contents
        self._departures: Cache[int, Departure] = Cache(MOST_LISTS, clock)
        self._plans = personal.Plans()

    def forget(self) -> None:
        """Lists may have changed."""
        self._departures.forget()

    def ready(self, job: Job, *, dotted: bool) -> OutgoingTransaction | None:
        """The transaction when everything it needs is in memory. `dotted`: DATA will send it. Raises Unsendable."""
        loaded = self._contents.known(job.message.content_id)
        if loaded is None:
            return None
        departure = None
        if job.message.list_id is not None:
            departure = self._departures.get(job.message.list_id)
            if departure is None:
                return None
            if job.message.origin == PERSONAL:
                plan = self._plans.known(job.message.content_id, departure)
                return None if plan is None else _make(job, loaded, departure, dotted, plan)
        return _make(job, loaded, departure, dotted)

    async def pack(self, job: Job, *, dotted: bool) -> OutgoingTransaction:
        """The transaction, after reading what it needs. Raises Unsendable."""
        try:
            loaded = await self._contents.load(job.message.content_id)
            departure = None
            if job.message.list_id is not None:
                departure = await self._departure(job.message.list_id)
            plan = await self._plan(job, loaded, departure)
        except ListError as error:
            raise Unsendable(Trouble(FAILED, Scope.TRANSACTION, str(error), "5.2.4")) from None
        except (ContentError, LookupError, OSError) as error:
            reason = f"the content cannot be read: {error}"
            raise Unsendable(Trouble(DEFERRED, Scope.TRANSACTION, reason, "4.3.0")) from None
        except Exception as error:  # the database is not available, or something we never thought of
            reason = f"the message cannot be read: {type(error).__name__}: {error}"
            raise Unsendable(Trouble(DEFERRED, Scope.TRANSACTION, reason, "4.3.0")) from error
        return _make(job, loaded, departure, dotted, plan)

    async def _plan(self, job: Job, loaded: Loaded, departure: Departure | None) -> Personal | None:
        """How a copy with words of its own is made, None for all others."""
        if departure is None or job.message.origin != PERSONAL:
            return None
        known = self._plans.known(job.message.content_id, departure)
        if known is None:
            known = await asyncio.to_thread(personal.make, loaded, departure)
            self._plans.keep(job.message.content_id, departure, known)
        return known

    async def _departure(self, list_id: int) -> Departure:
        known = self._departures.get(list_id)
        if known is None:
            known = await self._bridge.read(for_list, list_id)
            self._departures.keep(list_id, known, DEPARTURE_SECONDS)
        return known

    def prefetch(self, jobs: list[Job]) -> None:
        """Begin to read the contents of jobs that come next."""
        self._contents.prefetch([job.message.content_id for job in jobs])


def _make(
    job: Job, loaded: Loaded, departure: Departure | None, dotted: bool, plan: Personal | None = None
) -> OutgoingTransaction:
    message = job.message
    if loaded.unlawful:
        raise Unsendable(Trouble(FAILED, Scope.TRANSACTION, "the content holds a bare CR or LF", "5.6.0"))
    prefix, return_path = message.prefix, message.return_path
    if departure is not None:
        return_path, head = departure.copy(job.claims[0].recipient)
        prefix += head
    body, stuffed, eight_bit = loaded.body, None, loaded.eight_bit or message.body8
    if plan is not None:
        more, pieces = plan.copy(job.claims[0].recipient)
        prefix += more
        body, eight_bit = personal.body_of(loaded, pieces)
    elif dotted and departure is not None:
        stuffed = loaded.stuffed  # shared by thousands of copies, or made once
    try:
        return OutgoingTransaction(
            return_path,
            tuple(
                OutgoingRecipient(claim.recipient, claim.notify or "", claim.original_recipient or "")
                for claim in job.claims
            ),
            prefix,
            body,
            stuffed,
            eight_bit,
            message.smtputf8,
            message.ret,
            message.envelope_id,
        )
    except UnsafeAddress as error:
        raise Unsendable(Trouble(FAILED, Scope.TRANSACTION, str(error), "5.1.3")) from None
    except ValueError as error:
        raise Unsendable(Trouble(FAILED, Scope.TRANSACTION, f"the message is malformed: {error}", "5.6.0")) from None
