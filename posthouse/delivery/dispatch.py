"""Which courier carries a claimed delivery: one switch over what routing says, and what leaves together is grouped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

from posthouse.database import Unavailable
from posthouse.delivery.author_policy import AuthorPolicies
from posthouse.delivery.couriers import expansion, mailing_list
from posthouse.delivery.couriers.outbox import Outbox
from posthouse.delivery.couriers.pipe import Programs
from posthouse.delivery.couriers.remote import Remote
from posthouse.delivery.endings import Endings
from posthouse.delivery.home import Act, Errand, Home
from posthouse.delivery.job import Job
from posthouse.delivery.recorder import Recorder
from posthouse.delivery.trouble import Scope, Stage, Trouble, status_of
from posthouse.lists.addresses import POSTING
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome
from posthouse.routing.destination import (
    Destination,
    Refused,
    ToAddresses,
    ToList,
    ToNowhere,
    ToPipe,
    ToRelay,
    ToRemote,
)
from posthouse.routing.router import Router

log = logging.getLogger(__name__)


class Dispatch:
    """Sends claimed deliveries on their way. With an `outbox` nothing leaves the machine."""

    def __init__(
        self,
        router: Router,
        remote: Remote,
        outbox: Outbox | None,
        home: Home,
        recorder: Recorder,
        endings: Endings,
        hostname: str,
        most_recipients: int,
        policies: AuthorPolicies,
        programs: Programs,
        give_back: Callable[[Sequence[Claimed]], None],
    ) -> None:
        self._router, self._remote, self._outbox, self._home = router, remote, outbox, home
        self._recorder, self._endings, self._hostname = recorder, endings, hostname
        self._most_recipients = max(1, most_recipients)
        self._policies, self._programs, self._give_back = policies, programs, give_back
        self._asking: set[asyncio.Task[None]] = set()

    def deliver(self, batch: Sequence[Claimed]) -> None:
        """Begin to deliver; every claim ends in the recorder or at home."""
        known: list[tuple[Claimed, Destination]] = []
        unknown: list[Claimed] = []
        for claimed in batch:
            # The right to relay was judged when the message became ours.
            destination = self._router.known(claimed.recipient, True)
            if destination is None:
                unknown.append(claimed)
            else:
                known.append((claimed, destination))
        self._send(known)
        together: dict[str, list[Claimed]] = {}
        for claimed in unknown:  # where others are asked, their silence holds up nobody else
            asks = self._router.asks_others(claimed.domain)
            together.setdefault(claimed.domain if asks else "", []).append(claimed)
        for claims in together.values():
            self._begin(self._ask(claims))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def settled(self) -> None:
        """Wait until everything handed over has reached its courier."""
        while self._asking:  # what was routed may have to be looked up
            await asyncio.wait(set(self._asking))
        await asyncio.sleep(0)

    async def _ask(self, claims: list[Claimed]) -> None:
        found: list[tuple[Claimed, Destination]] = []
        for position, claimed in enumerate(claims):
            try:
                found.append((claimed, await self._router.route(claimed.recipient, True)))
            except Unavailable as error:  # no fault of the mail's: it goes back untried, and is due when we can again
                log.warning("routing waits for the database: %s", error)
                self._give_back(claims[position:])
                break
            except Exception as error:  # routing has a fault
                log.warning("routing of %s failed: %s: %s", claimed.recipient, type(error).__name__, error)
                reason = f"routing failed: {type(error).__name__}: {error}"
                self._end(claimed, Trouble(DEFERRED, Scope.RECIPIENT, reason, "4.3.0"), "routing")
        self._send(found)

    def _send(self, routed: Sequence[tuple[Claimed, Destination]]) -> None:
        groups: dict[tuple[int, str], Job] = {}
        for claimed, destination in routed:
            match destination:
                case ToRemote(domain) | ToRelay(domain):
                    self._group(groups, claimed, domain)
                case ToList(role=role) if role == POSTING:
                    self._begin(self._post(claimed, destination))
                case ToList():
                    self._home.add(Errand(claimed, self._to_list(destination, "")))
                case ToAddresses():
                    self._home.add(Errand(claimed, self._to_addresses(destination)))
                case ToPipe():
                    self._programs.add(Job(claimed.message, [claimed]), destination)
                case ToNowhere(why):
                    self._recorder.add(Outcome(claimed, DELIVERED, "nowhere", why, "2.0.0", local=True))
                case Refused(reply, why):
                    result = FAILED if reply.permanent else DEFERRED
                    status = status_of(Stage.RCPT, reply)
                    self._end(claimed, Trouble(result, Scope.RECIPIENT, f"{reply} ({why})", status), "routing")

    def _group(self, groups: dict[tuple[int, str], Job], claimed: Claimed, domain: str) -> None:
        """Recipients of one message leave together; copies of a list never do, each has its own return path."""
        message = claimed.message
        if message.list_id is not None:
            self._carry(Job(message, [claimed]), domain)
            return
        key = (message.item, self._remote.hop(message, domain))
        job = groups.get(key)
        if job is not None and len(job.claims) < self._most_recipients:
            job.claims.append(claimed)
            return
        job = groups[key] = Job(message, [claimed])
        # Started in the next turn of the loop, when all of this batch is grouped.
        asyncio.get_running_loop().call_soon(self._carry, job, domain)

    def _carry(self, job: Job, domain: str) -> None:
        if self._outbox is not None:
            self._outbox.add(job)
        else:
            self._remote.add(job, domain)

    async def _post(self, claimed: Claimed, destination: ToList) -> None:
        """A posting: what its author's domain publishes is looked up before the list's transaction."""
        policy = await self._policies.of(claimed, destination.list_pk)
        self._home.add(Errand(claimed, self._to_list(destination, policy)))

    def _to_list(self, destination: ToList, author_policy: str) -> Act:
        return lambda claimed, now: mailing_list.take(
            claimed, destination, now, self._hostname, self._endings, author_policy
        )

    def _to_addresses(self, destination: ToAddresses) -> Act:
        return lambda claimed, now: expansion.expand(claimed, destination, now, self._endings)

    def _end(self, claimed: Claimed, meaning: Trouble, where: str) -> None:
        self._recorder.add(self._endings.troubled(claimed, meaning, where))
