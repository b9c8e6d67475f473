"""The trial mode's far side: nothing leaves the machine, and some local parts provoke what far hosts do to mail."""

from __future__ import annotations

import asyncio

from posthouse.delivery import trouble
from posthouse.delivery.endings import Endings
from posthouse.delivery.job import Job, Packer, Unsendable
from posthouse.delivery.recorder import Capture, Recorder
from posthouse.delivery.trouble import Stage, Trouble
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DELIVERED, Outcome
from posthouse.smtp.outgoing import FileBody, OutgoingTransaction
from posthouse.smtp.reply import Reply

CAPTURED = Reply(250, "2.0.0", "Kept in the trial outbox")
REJECTED = Reply(550, "5.1.1", "No such mailbox (asked for by reject-550)")
DEFERRED_HERE = Reply(451, "4.7.1", "Try again later (asked for by defer-451)")
SLOW_SECONDS = 5.0
MOST_SLOW = 1000  # slow deliveries waiting at the same time; more are not slowed down
MOST_CAPTURED = 1024 * 1024  # octets of a message that are kept
WHERE = "trial outbox"


class Outbox:
    """Takes jobs as the remote courier does."""

    def __init__(self, packer: Packer, recorder: Recorder, endings: Endings) -> None:
        self._packer, self._recorder, self._endings = packer, recorder, endings
        self._tasks: set[asyncio.Task[None]] = set()
        self._slow = 0

    def add(self, job: Job) -> None:
        """Pretend to deliver a job, each recipient by itself."""
        try:
            transaction = self._packer.ready(job, dotted=False)
        except Unsendable as error:
            self._troubled(job, error.trouble)
            return
        if transaction is None or self._wants_time(job):
            task = asyncio.get_running_loop().create_task(self._later(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._answer(job, transaction)

    async def stop(self) -> None:
        """Give up what is slow: its claims are released."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _later(self, job: Job) -> None:
        if self._wants_time(job) and self._slow < MOST_SLOW:
            self._slow += 1
            try:
                await asyncio.sleep(SLOW_SECONDS)
            finally:
                self._slow -= 1
        try:
            transaction = await self._packer.pack(job, dotted=False)
        except Unsendable as error:
            self._troubled(job, error.trouble)
            return
        self._answer(job, transaction)

    @staticmethod
    def _wants_time(job: Job) -> bool:
        return any(_asked_for(claim) == "slow-5s" for claim in job.claims)

    def _answer(self, job: Job, transaction: OutgoingTransaction) -> None:
        for claim in job.claims:
            match _asked_for(claim):
                case "reject-550":
                    self._end(claim, trouble.of_reply(Stage.RCPT, REJECTED))
                case "defer-451":
                    self._end(claim, trouble.of_reply(Stage.RCPT, DEFERRED_HERE))
                case "drop":
                    self._end(claim, trouble.of_loss("connection lost (asked for by drop)", maybe_taken=False))
                case _:
                    self._capture(claim, transaction)

    def _capture(self, claim: Claimed, transaction: OutgoingTransaction) -> None:
        octets = _octets(transaction)
        outcome = Outcome(claim, DELIVERED, WHERE, str(CAPTURED), CAPTURED.enhanced)
        capture = Capture(self._endings.now(), claim, transaction.return_path, octets, str(CAPTURED))
        self._recorder.add(outcome, capture)

    def _troubled(self, job: Job, meaning: Trouble) -> None:
        for claim in job.claims:
            self._end(claim, meaning)

    def _end(self, claim: Claimed, meaning: Trouble) -> None:
        self._recorder.add(self._endings.troubled(claim, meaning, WHERE))


def _asked_for(claim: Claimed) -> str:
    return claim.recipient.rpartition("@")[0].lower()


def _octets(transaction: OutgoingTransaction) -> bytes:
    """The message as it would have left; of a large one only the beginning."""
    if not isinstance(transaction.body, FileBody):
        return transaction.prefix + transaction.body
    octets = transaction.prefix
    for block in transaction.body.blocks():
        octets += block
        if len(octets) >= MOST_CAPTURED:
            break
    return octets[:MOST_CAPTURED]
