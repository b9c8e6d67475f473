"""A running delivery station over a fresh database and a fixed zone, for tests in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from posthouse import configuration, database
from posthouse.configuration import Configuration
from posthouse.content.spool import spooled_from
from posthouse.delivery.runner import Runner
from posthouse.dns.zone import FixedZone
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id
from posthouse.smtp.client import Timeouts
from tests.delivery.far_host import FarHost

T = TypeVar("T")
LETTER = b"From: Ana <ana@near.example>\r\nSubject: Tomatoes\r\n\r\nRipe at last.\r\n.\r\n..and more\r\n"
PATIENT = Timeouts(*[60.0] * 9)  # who wants to see a host given up brings other ones


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.at = float(int(time.time()))

    def __call__(self) -> float:
        return self.at


class Leaving:
    """What a test uses: `sends` puts mail in the queue, `runner` delivers it."""

    def __init__(self, chosen: Configuration, runner: Runner, zone: FixedZone, clock: Clock) -> None:
        self.configuration, self.runner, self.zone, self.clock = chosen, runner, zone, clock
        self.bridge: database.Bridge = runner._bridge

    async def sends(
        self, *to: str | Recipient, by: str = "ana@near.example", content: bytes = LETTER, prefix: bytes = b"",
        origin: str = "transfer", **envelope: Any,
    ) -> int:  # fmt: skip
        """Enqueue one message; gives its queue id."""
        now = int(self.clock() * 1000)
        recipients = tuple(one if isinstance(one, Recipient) else Recipient(one) for one in to)
        item = new_queue_id(int(time.time() * 1_000_000))
        arrival = Arrival(item, spooled_from(content), prefix, Envelope(by, recipients, **envelope), origin, now)
        await self.bridge.write(enqueue, arrival)
        return item

    async def waiting(self) -> list[tuple[str, int, str]]:
        """(recipient, attempts, last reply) of all that waits in the queue."""
        rows = await self.bridge.read(
            database.fetch, "SELECT recipient, attempts, last_reply FROM queue_delivery ORDER BY recipient"
        )
        return [(row[0], row[1], row[2] or "") for row in rows]

    async def events(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """(address, detail) of the events of a kind, in order."""
        import json

        from posthouse import maillog

        await self.bridge.write(maillog.flush)
        rows = await self.bridge.read(
            database.fetch, "SELECT address, detail FROM queue_event WHERE kind = %s ORDER BY id", (kind,)
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    async def reports(self) -> list[tuple[str, str]]:
        """(recipient, text) of the delivery reports in the queue."""
        rows = await self.bridge.read(
            database.fetch,
            "SELECT d.recipient, c.octets FROM queue_message m JOIN queue_delivery d ON d.message_id = m.id "
            "JOIN content_content c ON c.id = m.content_id WHERE m.origin = 'report' ORDER BY m.id",
        )
        return [(row[0], bytes(row[1]).decode()) for row in rows]


@contextlib.asynccontextmanager
async def leaving(
    chosen: Configuration, port: int, *, zone: FixedZone | None = None, start: bool = True, clock: Any = None,
    timeouts: Timeouts = PATIENT, idle_seconds: float = 0.2, random: Callable[[], float] = lambda: 0.5, **delivery: Any,
) -> AsyncIterator[Leaving]:  # fmt: skip
    """Run the station; `delivery` changes settings of that section. The zone knows far.example and ben.example."""
    settings: dict[str, Any] = {"port": port, "ignore_targets": [], **delivery}
    trial = settings.pop("trial", False)
    next_hops, bulk = settings.pop("next_hops", {}), settings.pop("bulk", {})
    chosen = dataclasses.replace(
        chosen,
        trial=trial,
        next_hops=next_hops,
        bulk=bulk,
        delivery=dataclasses.replace(chosen.delivery, **settings),
        maillog=configuration.Maillog(stderr=False),
    )
    configuration.activate(chosen)
    if zone is None:
        zone = FixedZone(
            {
                "far.example": {"MX": ["10 mx.far.example."]},
                "mx.far.example": {"A": ["127.0.0.1"]},
                "near.example": {"MX": ["0 mx.far.example."]},
            }
        )
    clock = clock or Clock()
    bridge = database.Bridge()
    runner = Runner(chosen, bridge, clock, random, zone, timeouts=timeouts, idle_seconds=idle_seconds)
    try:
        if start:
            await runner.start()
        yield Leaving(chosen, runner, zone, clock)
    finally:
        await runner.stop(2.0)
        bridge.close()


def run(work: Callable[[], Coroutine[Any, Any, T]], seconds: float = 120, *, fast: bool = False) -> T:
    """Run a test's coroutine, bounded in time; `fast`: on uvloop, as the product does."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast else None) as runner:
        return runner.run(_bounded(work(), seconds))


async def _bounded(work: Awaitable[T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await work


async def far(*offers: str, **facts: Any) -> FarHost:
    """A far host that listens."""
    return await FarHost(*offers, **facts).start()
