"""How an attempt ends: a Trouble becomes the outcome that the queue records, with its next attempt or its giving up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from posthouse.delivery import trouble
from posthouse.delivery.trouble import Trouble
from posthouse.queue.backoff import next_attempt
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import DEFERRED, FAILED, Outcome


@dataclass(frozen=True)
class Endings:
    """Makes outcomes. `clock` gives seconds, `random` 0 <= x < 1, `give_up_after` is in seconds. `soft`: what fails
    for good is tried again, too, until it has lasted too long."""

    clock: Callable[[], float]
    random: Callable[[], float]
    give_up_after: int
    soft: bool = False

    def now(self) -> int:
        """Milliseconds since 1970 UTC, as the queue counts."""
        return int(self.clock() * 1000)

    def troubled(self, claimed: Claimed, meaning: Trouble, where: str) -> Outcome:
        """Failed for good, or deferred to the next attempt; giving up when it has lasted too long."""
        if meaning.result == FAILED and not self.soft:
            return Outcome(claimed, FAILED, where, meaning.reason, meaning.status)
        now = self.now()
        received = claimed.message.received_at
        again = next_attempt(claimed.attempts, received, now, self.give_up_after, self.random())
        if again is None:
            given_up = trouble.gave_up(meaning, (now - received) / 1000)
            return Outcome(claimed, FAILED, where, given_up.reason, given_up.status)
        return Outcome(claimed, DEFERRED, where, meaning.reason, meaning.status, next_attempt=again)
