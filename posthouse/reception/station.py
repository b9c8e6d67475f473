"""What runs: the listeners of one reception process, from the first bind to the last reply."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from functools import partial
from random import Random

from posthouse import maillog, wake
from posthouse.configuration import Configuration
from posthouse.content import files
from posthouse.content.spool import LARGE
from posthouse.database import Bridge, Unavailable
from posthouse.dns.networks import Networks
from posthouse.encounters.sweeping import sweep
from posthouse.reception import listeners, sources
from posthouse.reception.acceptance import Acceptance
from posthouse.reception.certificates import Certificates, Keeper, certificates_for
from posthouse.reception.crowd import Crowd
from posthouse.reception.desk import Desk, Guests, Neighbourhood, decision_of
from posthouse.reception.front.listening import Service
from posthouse.reception.informants import Sources
from posthouse.reception.limits import Doorkeeper, engine_limits, make_room
from posthouse.reception.login import Login
from posthouse.reception.policy.decision import Decision
from posthouse.reception.pressure import Pressure
from posthouse.reception.session import Conversation
from posthouse.reception.sources import open_sources
from posthouse.reception.tally import Tally
from posthouse.routing import Router, primary_here
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions

_log = logging.getLogger(__name__)
HANDSHAKE_SECONDS = 30.0  # for a client of an implicit TLS listener to finish its handshake
CHORES_SECONDS = 1.0
SWEEP_SECONDS = 300.0


class Reception:
    """Receives mail in the running event loop. `clock` gives seconds since 1970, `random` numbers from 0 to 1.

    `keeper` reads the certificate and its key where we may not.
    """

    def __init__(
        self,
        configuration: Configuration,
        bridge: Bridge,
        clock: Callable[[], float],
        random: Callable[[], float],
        keeper: Keeper | None = None,
    ) -> None:
        self._configuration, self._bridge, self._clock = configuration, bridge, clock
        self._random = Random(random())  # noqa: S311 - for Message-IDs, which are no secret
        self._sockets: dict[str, list[socket.socket]] = {}
        self._servers: list[asyncio.Server] = []
        self._guests = Guests()
        self._acceptance = Acceptance(bridge, configuration.data, configuration.limits.minimum_free_disk)
        self._login = Login(clock)
        self._router = Router(bridge, clock, primary_here(configuration, clock))
        self._certificates: Certificates | None = None
        self._keeper = keeper
        self._directory: wake.Hearing | None = None
        self._chores: asyncio.Task[None] | None = None
        self._service = Service(configuration, self._router, bridge)
        self._door: wake.Hearing | None = None
        self._sources = Sources()
        self._tally = Tally()
        self._pressure = Pressure(
            configuration.flood, configuration.limits.minimum_free_disk, bridge, configuration.data, clock
        )
        self._swept_at = clock()
        self._crowd: Crowd | None = None  # where there are several reception processes

    async def start(self, sockets: Mapping[str, list[socket.socket]] | None = None) -> None:
        """Listen on `sockets` (kind to bound sockets), or on what the configuration says.

        Raises listeners.ListenError, certificates.CertificateError.
        """
        configuration = self._configuration
        self._certificates = certificates_for(configuration, self._clock(), self._keeper)
        wanted = configuration.reception.submissions if sockets is None else sockets.get("submissions")
        if wanted and self._certificates is None:
            raise listeners.ListenError("submissions: needs [tls] certificate and key")
        self._sockets = listeners.bind(configuration) if sockets is None else {k: list(v) for k, v in sockets.items()}
        self._directory = wake.hear(configuration, wake.DIRECTORY, self._router.forget)
        limits, processes = configuration.limits, configuration.processes.reception
        # Twice as many rows as processes: at a restart the old ones may still be there.
        self._crowd = Crowd(configuration.data / "run" / "inside", 2 * processes) if processes > 1 else None
        if make_room(limits.connections) < limits.connections:
            _log.warning(
                "The system lets this process have fewer files open than [limits] connections; raise its limit"
            )
        keeper = Doorkeeper(limits.connections, limits.connections_per_address, self._crowd)
        networks = Networks(configuration.hosts(configuration.reception.relay_networks))
        self._sources = open_sources(configuration, self._bridge, self._clock, self._router)
        self._door = wake.hear(configuration, wake.DOOR, self._forget, self._doubt)
        if configuration.reception.soft_refusals:
            _log.warning("soft_refusals is on: every refusal is temporary, in and out. Not for production")
        shared = decision_of(configuration), Neighbourhood(configuration)
        await self._service.start(self._sockets.get("service", []))
        for kind, found in self._sockets.items():
            if kind == "service":
                continue
            desk = self._desk(kind, keeper, networks, *shared)
            for sock in found:
                await self._listen(desk, sock)
        self._chores = asyncio.create_task(self._keep_house())

    def _desk(
        self, kind: str, keeper: Doorkeeper, networks: Networks, decision: Decision, neighbourhood: Neighbourhood
    ) -> Desk:
        configuration = self._configuration
        soft = configuration.reception.soft_refusals
        context = self._certificates.context if self._certificates is not None else None
        return Desk(
            kind=kind,
            host=configuration.host,
            banner=configuration.reception.banner,
            limits=engine_limits(configuration.limits, soft),
            hops=configuration.limits.hops,
            extensions=Extensions(starttls=context, auth=kind in ("submission", "submissions")),
            router=self._router,
            acceptance=self._acceptance,
            login=self._login,
            doorkeeper=keeper,
            relay_networks=networks,
            spool_folder=files.incoming(configuration.data),
            spool_above=LARGE,
            clock=self._clock,
            random=self._random,
            guests=self._guests,
            decision=decision,
            configuration=configuration,
            neighbourhood=neighbourhood,
            tally=self._tally,
            pressure=self._pressure,
            sources=self._sources,
            greet_seconds=configuration.policy.greet_delay,
            soft=soft,
        )

    async def _listen(self, desk: Desk, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        factory = partial(_connection, desk, loop)
        if desk.kind == "submissions" and self._certificates is not None:  # RFC 8314 §3.3: TLS from the first octet
            server = await loop.create_server(
                factory, sock=sock, backlog=listeners.BACKLOG, ssl=self._certificates.context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )  # fmt: skip
        else:
            server = await loop.create_server(factory, sock=sock, backlog=listeners.BACKLOG)
        self._servers.append(server)

    def endpoints(self) -> dict[str, list[tuple[str, int]]]:
        """(address, port) of every listening socket, by kind."""
        return listeners.endpoints(self._sockets)

    async def stop(self, grace: float) -> None:
        """Stop listening, let running transactions finish for at most `grace` seconds, and keep what was accepted."""
        for server in self._servers:
            server.close()
        await self._service.stop()
        self._guests.shutdown()
        await self._guests.gone(grace)
        await self._acceptance.drained()
        await sources.close(self._sources)
        if self._chores is not None:
            self._chores.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._chores
        self._tally.tell(self._clock(), at_once=True)
        await self._flush()
        for hearing in (self._directory, self._door):
            if hearing is not None:
                hearing.close()
        self._login.close()
        if self._crowd is not None:
            self._crowd.close()

    async def _keep_house(self) -> None:
        """Once a second: refusals reach the database even when no mail does, and a renewed certificate is read."""
        while True:
            await asyncio.sleep(CHORES_SECONDS)
            for chore in (self._flush, self._pressure.look, *self._sources.chores, self._sweep, self._renew):
                try:
                    await chore()
                except Exception:  # the others are done all the same
                    _log.exception("A chore of reception failed; it is tried again")

    async def _renew(self) -> None:
        if self._certificates is not None and await asyncio.to_thread(self._certificates.changed):
            self._certificates.refresh()

    def _forget(self) -> None:
        """An operator changed what is remembered of strangers."""
        self._login.forget()
        for act in self._sources.forgetting:
            act()

    def _doubt(self) -> None:
        """The same, if an operator did it unheard. What this process counted since stays counted."""
        self._login.doubt()
        for act in self._sources.doubting:
            act()

    async def _sweep(self) -> None:
        """What is too old to matter leaves the tables of strangers."""
        if self._clock() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = self._clock()
            with contextlib.suppress(Unavailable):
                await self._bridge.read(sweep, int(self._clock() * 1000))

    async def _flush(self) -> None:
        self._tally.tell(self._clock())
        with contextlib.suppress(Unavailable):  # the events stay in memory
            await self._bridge.read(maillog.flush)


def _connection(desk: Desk, loop: asyncio.AbstractEventLoop) -> Server:
    session = Conversation(desk)
    server = Server(session, loop)
    session.server = server
    return server
