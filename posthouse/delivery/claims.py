"""What this process has claimed and not yet recorded: how much, for which destinations, and whether more may be had."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from posthouse.delivery.begun import Begun
from posthouse.queue.claim import Claimed
from posthouse.queue.outcome import Outcome

MOST_HELD = 5000  # deliveries in memory
LOW_HELD = 4000  # below it more are claimed
MOST_AT_ONCE = 1000
MOST_PER_DESTINATION = 500  # of one destination in one claim
LOW_PER_DESTINATION = 300  # a destination with so many held gets no more for now


class Claims:
    """Counts claims by destination. `quiet` is set while none is held. `begun` takes note of those that begin."""

    def __init__(self, begun: Begun) -> None:
        self._begun = begun
        self._held: dict[int, int] = {}
        self._counts: Counter[int] = Counter()
        self._full: set[int] = set()
        self._more = False  # the last claim left something that was due
        self.quiet = asyncio.Event()
        self.quiet.set()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def numbers(self) -> list[int]:
        """The deliveries that are held."""
        return list(self._held)

    @property
    def room(self) -> int:
        """How many may be claimed now; 0 while enough are held."""
        return min(MOST_AT_ONCE, MOST_HELD - len(self._held)) if len(self._held) < LOW_HELD else 0

    def full(self) -> list[int]:
        """The destinations that get no more for now."""
        self._full = {place for place, count in self._counts.items() if count >= LOW_PER_DESTINATION}
        return list(self._full)

    def no_room(self) -> None:
        """A claim was put off because enough is held."""
        self._more = True

    def take(self, batch: Sequence[Claimed], room: int) -> tuple[list[Claimed], list[Claimed]]:
        """Note what was claimed; gives what is new, and what is still under way from an earlier, lapsed claim."""
        fresh, again = list[Claimed](), list[Claimed]()
        for claimed in batch:
            if claimed.id in self._held:
                again.append(claimed)
            else:
                self._held[claimed.id] = claimed.destination
                fresh.append(claimed)
        taken = Counter(claimed.destination for claimed in fresh)
        self._counts.update(taken)
        self._more = (
            len(batch) >= room or bool(self._full) or any(count >= MOST_PER_DESTINATION for count in taken.values())
        )
        if self._held:
            self.quiet.clear()
        return fresh, again

    def begin(self, claims: Iterable[Claimed]) -> None:
        """These are attempted now; from here on a kill counts as one attempt."""
        for claimed in claims:
            self._begun.add(claimed.id)

    def put_off(self, claims: Iterable[Claimed]) -> None:
        """These did not begin after all."""
        for claimed in claims:
            self._begun.drop(claimed.id)

    def done(self, outcomes: Iterable[Outcome]) -> bool:
        """Their outcomes are durable. True when more should be claimed now."""
        return self._let_go(outcome.claimed.id for outcome in outcomes)

    def forget(self, numbers: Iterable[int]) -> None:
        """These are ours no longer."""
        self._let_go(numbers)

    def _let_go(self, numbers: Iterable[int]) -> bool:
        before, wanted = len(self._held), False
        for number in numbers:
            place = self._held.pop(number, None)
            if place is None:
                continue
            self._begun.drop(number)
            self._counts[place] -= 1
            count = self._counts[place]
            if count == 0:
                del self._counts[place]
            if count == LOW_PER_DESTINATION - 1 and (place in self._full or self._more):
                wanted = True
        if not self._held:
            self.quiet.set()
        if before >= LOW_HELD > len(self._held) or not self._held:
            wanted = True
        return wanted and self._more
