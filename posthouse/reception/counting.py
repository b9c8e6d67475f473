"""Counters in memory that decay, added in the background to what other processes and hosts count.

`add` and `rate` never wait. A counter that stays small is never written; one that grows is added to the database by
`flush`, and what the others counted comes back with it.
"""

from __future__ import annotations

from collections import OrderedDict

from posthouse.database import Bridge, Unavailable
from posthouse.encounters import counts
from posthouse.encounters.counts import Addition, Rate, Total

MOST_UNSENT = 50_000  # additions that wait while the database is gone


class _Counter:
    """What this process knows of one rate. `unsent` of `fresh` are not in the database yet."""

    __slots__ = ("earlier", "fresh", "rate", "shared", "slot", "unsent")

    def __init__(self, rate: Rate, slot: int) -> None:
        self.rate, self.slot = rate, slot
        self.fresh = self.earlier = self.unsent = 0
        self.shared = False

    def total(self) -> Total:
        return Total(self.slot, self.fresh, self.earlier)


class Counters:
    """The counters of one process: at most `most` of them, shared from a `worth`-th part of their rate on."""

    def __init__(self, most: int, worth: int) -> None:
        self._most, self._worth = most, worth
        self._counters: OrderedDict[Rate, _Counter] = OrderedDict()
        self._grown: dict[Rate, None] = {}
        self._doubted: dict[Rate, None] = {}  # the database is asked for these, though they did not grow
        self._over: list[Addition] = []  # of windows that ended before they were written

    def __len__(self) -> int:
        return len(self._counters)

    def add(self, rate: Rate, now: float) -> None:
        """One more. `now`: seconds since 1970."""
        counter = self._counters.get(rate)
        if counter is None:
            counter = self._counters[rate] = _Counter(rate, int(now // rate.seconds))
            while len(self._counters) > self._most:
                self._forget_one()
        else:
            self._counters.move_to_end(rate)
            self._roll(counter, now)
        counter.fresh += 1
        counter.unsent += 1
        if counter.shared or counter.fresh >= max(1, rate.most // self._worth):
            counter.shared = True
            self._grown[rate] = None

    def reached(self, rate: Rate, now: float) -> bool:
        """Whether as many are in the window as the rate allows."""
        counter = self._counters.get(rate)
        if counter is None or counter.fresh + counter.earlier < rate.most:  # nearly always; a window only takes away
            return False
        self._roll(counter, now)
        return counts.rate_at(now, rate.seconds, counter.total()) >= rate.most

    def total(self, rate: Rate, now: float) -> Total | None:
        """What is counted of a rate; None for nothing."""
        counter = self._counters.get(rate)
        if counter is None:
            return None
        self._roll(counter, now)
        return counter.total()

    def rate(self, rate: Rate, now: float) -> float:
        """How many are in the window that slides."""
        total = self.total(rate, now)
        return 0.0 if total is None else counts.rate_at(now, rate.seconds, total)

    def forget(self) -> None:
        """Begin at what the database says."""
        self._counters.clear()
        self._grown.clear()
        self._doubted.clear()
        self._over.clear()

    def doubt(self) -> None:
        """What others counted may have been taken back: the next `flush` asks for it. Until then all of it counts."""
        self._doubted = {rate: None for rate, counter in self._counters.items() if counter.shared}

    @property
    def grown(self) -> bool:
        """Whether `flush` has something to do."""
        return bool(self._grown or self._over or self._doubted)

    async def flush(self, bridge: Bridge, now: float) -> bool:
        """Add to the database what grew, and learn what others counted. False: it is gone, and memory alone counts."""
        sent = self._take(now)
        doubted, self._doubted = self._doubted, {}
        if not sent and not doubted:
            return True
        try:
            totals = await bridge.write(counts.add_many, sent) if sent else {}
        except Unavailable:
            self._over += sent  # `_take` left nothing in it
            self._doubted |= doubted
            return False
        for one in sent:
            self._learn(one.rate, totals.get(one.rate.id))
        return await self._ask(bridge, [rate for rate in doubted if rate.id not in totals], now)

    async def _ask(self, bridge: Bridge, doubted: list[Rate], now: float) -> bool:
        """Learn what the database says of these; nothing: only what it was not told yet was counted."""
        if not doubted:
            return True
        try:
            totals = await bridge.read(counts.totals, [rate.id for rate in doubted])
        except Unavailable:
            self._doubted |= dict.fromkeys(doubted)
            return False
        for rate in doubted:
            self._learn(rate, totals.get(rate.id, Total(int(now // rate.seconds), 0, 0)))
        return True

    def _learn(self, rate: Rate, total: Total | None) -> None:
        """What all processes counted replaces what this one knew; what it counted since comes on top."""
        counter = self._counters.get(rate)
        if counter is None or total is None:
            return
        if total.slot == counter.slot:
            counter.fresh, counter.earlier = total.fresh + counter.unsent, total.earlier
        elif total.slot == counter.slot - 1:
            counter.earlier = max(counter.earlier, total.fresh)

    def _take(self, now: float) -> list[Addition]:
        """What is to be sent."""
        sent = []
        for rate in self._grown:
            counter = self._counters.get(rate)
            if counter is not None:
                self._roll(counter, now)
                if counter.unsent:
                    sent.append(Addition(counter.rate, counter.slot, counter.unsent))
                    counter.unsent = 0
        self._grown.clear()
        over, self._over = self._over, []
        together: dict[tuple[Rate, int], int] = {}
        for one in over + sent:  # what lies two windows back counts nowhere any more
            if one.slot >= int(now // one.rate.seconds) - 1:
                together[one.rate, one.slot] = together.get((one.rate, one.slot), 0) + one.count
        return [Addition(rate, slot, count) for (rate, slot), count in together.items()][:MOST_UNSENT]

    def _forget_one(self) -> None:
        """The counter that grew the longest ago leaves memory; what the database was not told yet it is told."""
        rate, counter = self._counters.popitem(last=False)
        self._grown.pop(rate, None)
        self._keep(counter)

    def _keep(self, counter: _Counter) -> None:
        """What this counter has not sent yet is sent with the next flush, if others need to know."""
        if counter.shared and counter.unsent and len(self._over) < MOST_UNSENT:
            self._over.append(Addition(counter.rate, counter.slot, counter.unsent))

    def _roll(self, counter: _Counter, now: float) -> None:
        """Begin the present window, if it is another one than the counter's."""
        slot = int(now // counter.rate.seconds)
        if counter.slot - 1 <= slot <= counter.slot:
            return
        if slot < counter.slot:  # the clock was set back: what was counted in a time to come says nothing
            counter.slot, counter.fresh, counter.earlier, counter.unsent = slot, 0, 0, 0
            return
        self._keep(counter)
        counter.earlier = counter.fresh if slot == counter.slot + 1 else 0
        counter.slot, counter.fresh, counter.unsent = slot, 0, 0
        counter.shared = counter.earlier >= max(1, counter.rate.most // self._worth)
