"""The delivery station: claims what is due, sends it on its way, and looks after the queue.

It is woken by a word (`wake.QUEUE`), by the time of the next attempt and by room for more; should a word be lost, it
looks by itself after a few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from posthouse import maillog, wake
from posthouse.configuration import Configuration, endpoint
from posthouse.database import Bridge, Unavailable
from posthouse.delivery import whereabouts
from posthouse.delivery.author_policy import AuthorPolicies
from posthouse.delivery.begun import Begun
from posthouse.delivery.claims import MOST_PER_DESTINATION, Claims
from posthouse.delivery.contents import Contents
from posthouse.delivery.couriers.outbox import Outbox
from posthouse.delivery.couriers.pipe import Programs
from posthouse.delivery.couriers.remote import Remote
from posthouse.delivery.dialling import Dialler
from posthouse.delivery.dispatch import Dispatch
from posthouse.delivery.endings import Endings
from posthouse.delivery.home import Home
from posthouse.delivery.job import Packer
from posthouse.delivery.lane import World
from posthouse.delivery.mx import Finder
from posthouse.delivery.recorder import Recorder
from posthouse.delivery.transport_security import PlainHosts
from posthouse.delivery.turns import Turns
from posthouse.delivery.ways import Ways
from posthouse.dns.lookups import Lookups
from posthouse.dns.mail_hosts import MailHosts
from posthouse.dns.networks import Networks, OwnAddresses
from posthouse.dns.resolver import Resolver
from posthouse.lists import periodic
from posthouse.lists.reports import Speaker
from posthouse.queue import claim as claiming
from posthouse.queue import returning, sweep
from posthouse.queue.claim import Claimed
from posthouse.queue.errors import ClaimantGone
from posthouse.queue.outcome import DEFERRED, FAILED, Outcome
from posthouse.routing import Router, primary_here
from posthouse.smtp.client import Timeouts
from posthouse.smtp.encryption import opportunistic_context

LOOK_SECONDS = 5.0  # the longest time without looking for due mail, should a word be lost
GATHER_SECONDS = 0.01  # claims follow each other no faster, so that what arrives together is claimed together
TROUBLED_SECONDS = 1.0  # until the next try when the database is not available
RENEW_SECONDS = claiming.LEASE / 3000
CHORE_SECONDS = 60.0  # of the clock, between looks for late mail and leftovers
PERIODIC_SECONDS = 60.0  # of the clock, between looks at what lists do by the clock
TICK_SECONDS = 1.0
IDLE_LINE_SECONDS = 2.0
REPEATED_MS = 60_000  # when a delivery that is still under way comes back to us, it waits for so long

log = logging.getLogger(__name__)


class Runner:
    """Delivery in one event loop. `clock` gives seconds since 1970 UTC, `random` 0 <= x < 1."""

    def __init__(
        self,
        configuration: Configuration,
        bridge: Bridge,
        clock: Callable[[], float],
        random: Callable[[], float],
        resolver: Lookups | None = None,
        *,
        timeouts: Timeouts | None = None,
        idle_seconds: float = IDLE_LINE_SECONDS,
    ) -> None:
        self._configuration, self._bridge, self._clock, self._random = configuration, bridge, clock, random
        self._resolver, self._timeouts, self._idle_seconds = resolver, timeouts or Timeouts(), idle_seconds
        self._claimant = 0
        self._alive_until = 0.0  # seconds of the clock; beyond it our claims may be others'
        self._tasks: list[asyncio.Task[None]] = []
        self._hearings: list[wake.Hearing] = []
        self._stopping = False
        self._next_chores = self._next_reckoning = self._next_periodic = float("-inf")
        self._reports_due = True
        self._doubtful = False  # the database was away: it may have claims of ours that we never heard of

    # -- beginning and end ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Register as a claimant and begin to deliver. Waits until the database is available."""
        self._build()
        while True:
            try:
                await self._register()
                break
            except Unavailable as error:
                log.warning("delivery waits for the database: %s", error)
                await asyncio.sleep(TROUBLED_SECONDS)
        self._hearings = [
            wake.hear(self._configuration, wake.QUEUE, self.kick),
            wake.hear(self._configuration, wake.DIRECTORY, self.forget),
        ]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(one) for one in (self._work(), self._look_after(), self._keep_time())]

    def _build(self) -> None:
        settings, clock = self._configuration.delivery, self._clock
        self._kicked = asyncio.Event()
        self._turn, self._tidying = asyncio.Lock(), asyncio.Lock()
        self._begun = Begun(self._configuration.data / "run" / "begun")
        self.claims = Claims(self._begun)
        self._endings = Endings(
            clock, self._random, settings.give_up_after, self._configuration.reception.soft_refusals
        )
        self._recorder = Recorder(self._bridge, self._endings.now, self._recorded)
        self._home = Home(self._bridge, self._endings, self._recorded, self._recorder.add, self.claims, self._give_back)
        self._router = Router(self._bridge, clock, primary_here(self._configuration, clock), always=True)
        self._packer = Packer(self._bridge, Contents(self._bridge), clock)
        self.remote = Remote(self._world(), Ways(self._configuration, self._finder()))
        trial = self._configuration.trial
        self._outbox = Outbox(self._packer, self._recorder, self._endings) if trial else None
        self._programs = Programs(self._configuration.pipes, self._packer, self._recorder, self._endings, self.claims)
        self._dispatch = Dispatch(
            self._router, self.remote, self._outbox, self._home, self._recorder, self._endings,
            self._configuration.host, settings.recipients_per_transaction,
            AuthorPolicies(self._bridge, None if trial else self._resolver, clock), self._programs,
            self._give_back,
        )  # fmt: skip

    def _world(self) -> World:
        settings = self._configuration.delivery
        context = opportunistic_context() if settings.tls else None
        exempt = Networks(self._configuration.hosts(settings.tls_exempt))
        dialler = Dialler(self._configuration.host, context, PlainHosts(self._clock), self._timeouts, exempt)
        return World(
            dialler=dialler,
            packer=self._packer,
            recorder=self._recorder,
            endings=self._endings,
            claims=self.claims,
            turns=Turns(settings.concurrency),
            tasks=set(),
            clock=self._clock,
            most_lines=max(1, settings.connections_per_destination),
            most_messages=max(1, settings.messages_per_connection),
            idle_seconds=self._idle_seconds,
        )

    def _finder(self) -> Finder:
        settings, dns = self._configuration.delivery, self._configuration.dns
        if self._resolver is None:
            self._resolver = Resolver([endpoint(text) for text in dns.nameservers], dns.timeout, self._clock)
        listeners = [endpoint(text) for text in self._configuration.reception.transfer]
        hosts = MailHosts(
            self._resolver,
            self._random,
            own_names=frozenset({self._configuration.host.lower()}),
            own_addresses=OwnAddresses(listeners, settings.port),
            ignored=Networks(self._configuration.hosts(settings.ignore_targets)),
        )
        return Finder(hosts, settings.port)

    async def stop(self, grace: float = 10.0) -> None:
        """Begin nothing new, finish what is under way within `grace` seconds, give back the rest. Safe to repeat."""
        if self._stopping:
            return
        self._stopping = True
        for hearing in self._hearings:
            hearing.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._claimant:
            return
        await self._dispatch.settled()
        self._home.drop()
        if self._outbox is not None:
            await self._outbox.stop()
        await asyncio.gather(self.remote.stop(grace), self._programs.stop(grace))
        try:
            async with asyncio.timeout(max(grace, 1.0)):
                await self._home.drained()
                await self._recorder.drained()
                await self._bridge.write(claiming.retire, self._claimant)
                self._begun.close()
                await self._bridge.read(maillog.flush)
        except (TimeoutError, Unavailable) as error:
            log.warning("stopped before everything was recorded; the lease will end by itself: %s", error)

    # -- waking ---------------------------------------------------------------------------------------------------

    def kick(self) -> None:
        """Look for due mail now: somebody said that there is some, so the database is there, too."""
        self._kicked.set()
        self._recorder.stir()

    def forget(self) -> None:
        """The directory changed: domains, lists or addresses."""
        self._router.forget()
        self._packer.forget()

    def _recorded(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes are durable."""
        wanted = self.claims.done(outcomes)
        for outcome in outcomes:
            if outcome.result == FAILED:
                self._reports_due = True
                wanted = True
            elif outcome.result == DEFERRED:
                wanted = True  # the timer may have to be set anew
        if wanted:
            self.kick()

    def _give_back(self, claims: Sequence[Claimed]) -> None:
        """The database was away: these go back untried, in the next round that finds it there."""
        self.claims.forget(claimed.id for claimed in claims)
        self._doubtful = True

    # -- working --------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            self._kicked.clear()
            delay = await self._round_safely()
            if delay <= 0:
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(delay):
                    await self._kicked.wait()
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                pass

    async def _round_safely(self) -> float:
        try:
            async with self._turn:
                try:
                    return await self._round()
                except ClaimantGone:
                    await self._lapse()  # within our turn: what the next round claims must not be dropped with the rest
        except Unavailable as error:
            self._doubtful = True
            log.warning("the database is not available: %s", error)
            return TROUBLED_SECONDS
        except Exception:
            log.exception("looking for due mail failed")
            return TROUBLED_SECONDS
        return 0.0

    async def _round(self) -> float:
        """Claim what is due and send it on its way; gives the seconds until there is something to do again."""
        await self._renew_when_needed()
        doubtful, self._doubtful = self._doubtful, False
        if doubtful or self._clock() >= self._next_reckoning:
            await self._bridge.write(claiming.release_unheard, self._claimant, self.claims.numbers)
            self._next_reckoning = self._clock() + CHORE_SECONDS
        if self._reports_due:
            self._reports_due = False
            await self._bridge.read(returning.write_reports, self._endings.now(), self._configuration.host, Speaker())
        room = self.claims.room
        if not room:
            self.claims.no_room()
            return LOOK_SECONDS
        full = self.claims.full()
        now = self._endings.now()
        batch = await self._bridge.write(claiming.claim, self._claimant, now, room, MOST_PER_DESTINATION, full)
        self._alive_until = max(self._alive_until, (now + claiming.LEASE // 2) / 1000)  # whoever claims is alive
        fresh, again = self.claims.take(batch, room)
        for claimed in again:
            reason = "an attempt from before the database was away is still under way"
            later = Outcome(claimed, DEFERRED, "here", reason, "4.4.7", next_attempt=now + REPEATED_MS)
            self._recorder.add(later)
        if fresh:
            self._dispatch.deliver(fresh)
            if len(fresh) >= room:
                return 0.0
        due = await self._bridge.read(claiming.next_due, self._endings.now(), self.claims.full())
        if due is None:
            return LOOK_SECONDS
        seconds = due / 1000 - self._clock()
        # What is due already and was not claimed is being claimed by another process, or came this very moment.
        return min(LOOK_SECONDS, seconds) if seconds > 0 else 2 * GATHER_SECONDS

    # -- being a claimant -----------------------------------------------------------------------------------------

    async def _register(self) -> None:
        began = self._clock()
        now = int(began * 1000)
        gone = claiming.release_gone, whereabouts.place(), whereabouts.is_gone, now, self._begun.of
        await self._bridge.write(*gone)
        self._begun.tidy()
        self._claimant = await self._bridge.write(claiming.register, whereabouts.name(), now)
        self._alive_until = began + claiming.LEASE / 1000
        self._begun.open(self._claimant)

    async def _renew_when_needed(self) -> None:
        """Raises ClaimantGone when our claims may be others' by now."""
        now = self._clock()
        if now < self._alive_until - RENEW_SECONDS * 2:
            return
        if now >= self._alive_until:  # the database was away, or this process was stopped for too long
            raise ClaimantGone("The lease of our claims has ended.")
        await self._bridge.write(claiming.renew, self._claimant, int(now * 1000))
        self._alive_until = now + claiming.LEASE / 1000

    async def _lapse(self) -> None:
        """Others have taken our claims: send nothing more of them, and begin anew."""
        await self._dispatch.settled()
        dropped = {claimed.id for claimed in [*self.remote.drop(), *self._home.drop()]}
        self.claims.forget(dropped)
        if dropped:
            log.warning("the lease of our claims ended; %d deliveries not yet sent are left to others", len(dropped))
        try:
            await self._register()
        except Unavailable:
            await asyncio.sleep(TROUBLED_SECONDS)

    # -- looking after the queue ----------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self._renew_when_needed()
                await self._bridge.read(maillog.flush)
                if self._clock() >= self._next_chores:
                    await self._chores()
            except ClaimantGone:
                self.kick()  # the next round finds out
            except Unavailable:
                continue
            except Exception:
                log.exception("looking after the queue failed")

    async def _chores(self) -> None:
        """Reports, warnings, leftovers, and what is no longer used here; once at a time."""
        async with self._tidying:
            self._next_chores = self._clock() + CHORE_SECONDS
            now, hostname = self._endings.now(), self._configuration.host
            speaker, warn_after = Speaker(), self._configuration.delivery.warn_after
            await self._bridge.read(returning.write_reports, now, hostname, speaker)
            await self._bridge.read(returning.warn_delayed, now, hostname, warn_after, speaker)
            await self._bridge.read(sweep.sweep, now, self._configuration.maillog.retention_days)
            self.remote.tidy()

    async def _keep_time(self) -> None:
        """Begin what lists do by the clock; beside everything else, since it may take long."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if not 0 < self._next_periodic - self._clock() <= PERIODIC_SECONDS:  # beyond it: the clock was set back
                await self._periodic()

    async def _periodic(self) -> None:
        self._next_periodic = self._clock() + PERIODIC_SECONDS
        try:
            await self._bridge.read(periodic.run, self._endings.now())
        except Unavailable as error:
            log.warning("periodic work waits for the database: %s", error)
        except Exception:
            log.exception("periodic work failed")

    def _has_reports(self) -> bool:
        """Whether something failed whose sender is still to be told."""
        return self._reports_due

    async def settle(self) -> None:
        """For tests and tools: deliver until nothing is due at the clock's present time and nothing is under way."""
        if not self._claimant:
            await self.start()
        self.forget()
        idle_rounds = 0
        while idle_rounds < 3:
            await self._round_safely()
            busy = len(self.claims) > 0
            await self.claims.quiet.wait()
            await self._home.drained()
            await self._recorder.drained()
            if busy or self._reports_due or self._doubtful:
                continue
            async with self._turn:
                await self._chores()
                await self._periodic()
                due = await self._bridge.read(claiming.next_due, self._endings.now())
            if (due is None or due > self._endings.now()) and not len(self.claims) and not self._has_reports():
                return
            idle_rounds += 1
