"""One connection of a lane: it is opened, fed with jobs as fast as the far side answers, kept for a moment, closed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from posthouse.delivery import trouble
from posthouse.delivery.dialling import WINDOW
from posthouse.delivery.job import Job, Unsendable
from posthouse.delivery.mx import NoTargets, Target
from posthouse.delivery.trouble import Scope, Stage, Trouble
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DELIVERED, Outcome
from posthouse.smtp.client import Client
from posthouse.smtp.outgoing import FileBody, OutgoingTransaction, RecipientResult, TransactionResult
from posthouse.smtp.outgoing import Outcome as Fate

if TYPE_CHECKING:
    from posthouse.delivery.lane import Lane

MOST_OCTETS = 1024 * 1024  # of content under way on one connection, unless one message alone is larger
MOST_LOSSES = 3  # connections that may end under a job before that counts as an attempt
_STAGES = {"mail": Stage.MAIL, "rcpt": Stage.RCPT, "data": Stage.DATA, "content": Stage.FINAL}

log = logging.getLogger(__name__)


class Line:
    """A connection. `excluded`: addresses of hosts it must not be made to."""

    def __init__(self, lane: Lane, excluded: frozenset[str]) -> None:
        self.lane, self.excluded = lane, excluded
        self.target: Target | None = None
        self._client: Client | None = None
        self._where = ""
        self._dotted = self._relayed = True
        self._home = False  # LMTP: what is taken there has arrived
        self._most = lane.world.most_messages
        self._most_recipients = 0
        self._window = 1
        self._sent = self._successes = self._flying = self._octets = 0
        self._loading: Job | None = None
        self._over = False
        self._wakened: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether it can carry mail."""
        return self._client is not None and self._client.usable

    def begin(self) -> None:
        """Open it."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self.lane.world.tasks.add(self._task)
        self._task.add_done_callback(self.lane.world.tasks.discard)

    def wake(self) -> None:
        """There may be something to do."""
        if self._wakened is not None and not self._wakened.done():
            self._wakened.set_result(None)

    def stir(self) -> None:
        """Somebody else needs the connection more: an idle one ends."""
        if not self._flying and self._loading is None:
            self.hang_up()

    def hang_up(self) -> None:
        """Take no more jobs; end when all that is under way is answered."""
        self._over = True
        self.wake()

    def cut(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()

    # -- its life -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            if not await self._connect():
                return
            await self._serve()
        except Exception:
            log.exception("a connection to %s ended by an error of ours", self.lane.name)
        finally:
            if self._loading is not None:
                self.lane.again(self._loading)
            self.lane.ended(self)
            if self._client is not None and self._flying:
                self._client.close()
        if self._client is not None:
            if self._client.usable:
                self.lane.ended_in_peace(self._sent)
            await self._client.quit()

    async def _connect(self) -> bool:
        try:
            self._client, self.target = await self.lane.dial(self.excluded)
        except NoTargets as error:
            self.lane.unreachable(self, error.trouble)
            return False
        except Exception as error:
            self.lane.unreachable(self, trouble.internal(error, Scope.DESTINATION))
            raise
        client = self._client
        offers = client.capabilities
        self._where = f"{self.target} {client.tls.version}" if client.tls else str(self.target)
        self._dotted = client.lmtp or not ("CHUNKING" in offers and "PIPELINING" in offers)
        self._window = WINDOW if "PIPELINING" in offers else 1
        self._relayed = "DSN" not in offers
        self._home = client.lmtp and self._relayed  # RFC 2033 §1, RFC 3461 §5.2.3
        limits = _limits(offers.get("LIMITS", ""))
        self._most = min(self._most, self.lane.most_messages, limits.get("MAILMAX") or self._most)
        self._most_recipients = limits.get("RCPTMAX", 0)
        return True

    async def _serve(self) -> None:
        while True:
            self._feed()
            if self._loading is not None:
                await self._load(self._loading)
                continue
            if not self._flying and (self._finished() or self.excluded):
                return
            if not await self._wait():
                return

    async def _wait(self) -> bool:
        """Wait for answers or, for a short while, for more to do; False when it was in vain."""
        loop = asyncio.get_running_loop()
        self._wakened = loop.create_future()
        timer, idle = None, self.lane.world.turns.idle
        if not self._flying:
            if self.lane.world.turns.contended:
                return False
            timer = loop.call_later(self.lane.world.idle_seconds, self.hang_up)
            idle.append(self)
        try:
            await self._wakened
        finally:
            self._wakened = None
            if timer is not None:
                timer.cancel()
                if self in idle:
                    idle.remove(self)
        return True

    def _finished(self) -> bool:
        return self._over or self._sent >= self._most or not self.connected

    # -- feeding --------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Send what there is, as far as there is room."""
        lane = self.lane
        lane.unrest(self)
        while self._loading is None and self._flying < self._window and not self._finished():
            if self._octets > MOST_OCTETS:
                return
            job = lane.next_job(self)
            if job is None:
                lane.rest(self)
                return
            if 0 < self._most_recipients < len(job.claims):  # RFC 9422 §4.2
                lane.again(Job(job.message, job.claims[self._most_recipients :], job.tried, job.losses))
                job.claims = job.claims[: self._most_recipients]
            lane.world.claims.begin(job.claims)
            try:
                transaction = lane.world.packer.ready(job, dotted=self._dotted)
                if transaction is not None:
                    self._submit(job, transaction)
                    continue
            except Unsendable as error:
                lane.finish(job, error.trouble, "here")
                continue
            except Exception as error:
                log.exception("%s cannot be sent", job)
                lane.finish(job, trouble.internal(error), "here")
                continue
            self._loading = job
            self.wake()
            return

    async def _load(self, job: Job) -> None:
        """What the next job needs is not in memory: fetch it, and what the ones behind it need."""
        self.lane.world.packer.prefetch(self.lane.upcoming())
        try:
            transaction = await self.lane.world.packer.pack(job, dotted=self._dotted)
        except Unsendable as error:
            self._loading = None
            self.lane.finish(job, error.trouble, "here")
            return
        self._loading = None
        if self._finished():
            self.lane.again(job)
        else:
            self._submit(job, transaction)

    def _submit(self, job: Job, transaction: OutgoingTransaction) -> None:
        assert self._client is not None
        size = 0 if isinstance(transaction.body, FileBody) else transaction.size
        self._sent += 1
        self._flying += 1
        self._octets += size
        self._client.submit(transaction).add_done_callback(lambda done: self._landed(job, size, done))

    # -- answers --------------------------------------------------------------------------------------------------

    def _landed(self, job: Job, size: int, done: asyncio.Future[TransactionResult]) -> None:
        self._flying -= 1
        self._octets -= size
        result = done.result()
        if not result.lost and all(one.outcome is Fate.ACCEPTED for one in result.recipients):
            self._successes += 1
            for claim, one in zip(job.claims, result.recipients, strict=True):
                self._delivered(claim, one)
            self.lane.worked(job)
        else:
            self._sort(job, result)
        if self._wakened is not None:
            self._feed()
            if self._flying == 0 or self._loading is not None:
                self.wake()

    def _delivered(self, claim: Claimed, one: RecipientResult) -> None:
        reply = one.reply
        status = (reply.enhanced if reply is not None else "") or "2.0.0"
        said = trouble.short(str(reply))
        outcome = Outcome(claim, DELIVERED, self._where, said, status, relayed=self._relayed, local=self._home)
        self.lane.world.recorder.add(outcome)

    def _sort(self, job: Job, result: TransactionResult) -> None:
        """Not everybody has it: who is done, who is asked again here, who elsewhere, who later."""
        assert self.target is not None
        some = any(one.outcome is Fate.ACCEPTED for one in result.recipients)
        tried = job.tried | {self.target.address}
        again, lost, elsewhere = list[Claimed](), list[Claimed](), list[Claimed]()
        last: Trouble | None = None
        for claim, one in zip(job.claims, result.recipients, strict=True):
            if one.outcome is Fate.ACCEPTED:
                self._delivered(claim, one)
                continue
            last = self._meaning(one, result, some)
            if last.scope is Scope.HOST:
                self._host_failed(last)
            if last.at_once:
                again.append(claim)
            elif last.scope is Scope.HOST and self._successes and job.losses < MOST_LOSSES:
                lost.append(claim)
            elif last.try_next_host and self.lane.others(tried):
                elsewhere.append(claim)
            else:
                self.lane.world.recorder.add(self.lane.world.endings.troubled(claim, last, self._where))
        if some:
            self._successes += 1
            self.lane.worked(job)
        if again:
            self.lane.again(Job(job.message, again, job.tried, job.losses))
        if lost:
            self.lane.again(Job(job.message, lost, job.tried, job.losses + 1))
        if elsewhere:
            self.lane.elsewhere.append(Job(job.message, elsewhere, tried, job.losses, last, self._where))
            self.lane.stir()

    @staticmethod
    def _meaning(one: RecipientResult, result: TransactionResult, some: bool) -> Trouble:
        if one.outcome is Fate.REFUSED and one.reply is not None:
            return trouble.of_reply(_STAGES.get(one.stage, Stage.MAIL), one.reply, others_accepted=some)
        return trouble.of_loss(result.trouble, maybe_taken=one.outcome is Fate.UNKNOWN)

    def _host_failed(self, meaning: Trouble) -> None:
        """The connection is lost, or the host said 421; told once, however many transactions were under way."""
        if self._over:
            return
        self._over = True
        assert self.target is not None
        if self._successes:
            self.lane.limited(self._successes)
        else:
            self.lane.note_bad(self.target, meaning)


def _limits(text: str) -> dict[str, int]:
    """RFC 9422 §3: `MAILMAX=100 RCPTMAX=50`; what is not understood is passed over."""
    limits: dict[str, int] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if value.isascii() and value.isdigit() and int(value[:9]) > 0:
            limits[name.upper()] = int(value[:9])
    return limits
