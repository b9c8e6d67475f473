"""What each role's process does from its start to its end."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from posthouse import database
from posthouse.configuration import Configuration
from posthouse.operations.key_keeper import KeyKeeper

_MODULES = {
    "reception": "posthouse.reception.station",
    "delivery": "posthouse.delivery.runner",
    "web": "posthouse.web.server",
}

# Seconds a thread may run on while another waits. The web has threads that send and threads that make pages; with
# Python's 5 ms an answer that is ready would wait longer for its turn than it took to make.
SWITCH = 0.0005


def preload(only: Sequence[str]) -> None:
    """Import what the roles need before they are forked, so that they share it."""
    database.setup()
    for role in only:
        importlib.import_module(_MODULES[role])
    database.close()


def run(
    role: str,
    configuration: Configuration,
    sockets: Mapping[str, Sequence[socket.socket]],
    alive: int,
    keeper: KeyKeeper | None = None,
) -> None:
    """Be `role` until SIGTERM; `alive` is a pipe that ends with the parent. Returns after an orderly stop."""
    threading.Thread(target=_follow_parent, args=(alive,), daemon=True, name="parent").start()
    if keeper is not None and role != "reception":
        keeper.wire.close()  # who serves no TLS cannot ask for its key, whoever talks it into something
    if role == "web":
        from posthouse.web import server

        sys.setswitchinterval(SWITCH)
        server.serve(configuration, list(sockets.get("web", ())))
    elif role == "reception":
        _loop(lambda stopped: _reception(configuration, sockets, stopped, keeper))
    else:
        _loop(lambda stopped: _delivery(configuration, stopped))


def _follow_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _loop(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a station's event loop (uvloop where it is installed) until it is told to stop."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop

    async def body() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await main(stopped)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(body())


async def _reception(
    configuration: Configuration,
    sockets: Mapping[str, Sequence[socket.socket]],
    stopped: asyncio.Event,
    keeper: KeyKeeper | None,
) -> None:
    from posthouse.reception.certificates import CertificateError
    from posthouse.reception.listeners import ListenError
    from posthouse.reception.station import Reception

    bridge = database.Bridge()
    station = Reception(configuration, bridge, time.time, random.random, keeper)
    try:
        await station.start({name: list(found) for name, found in sockets.items() if name != "web"})
    except (CertificateError, ListenError) as error:
        sys.exit(f"reception cannot start: {error}")
    await stopped.wait()
    await station.stop(20.0)
    bridge.close()


async def _delivery(configuration: Configuration, stopped: asyncio.Event) -> None:
    from posthouse.delivery.runner import Runner

    bridge = database.Bridge()
    runner = Runner(configuration, bridge, time.time, random.random)
    await runner.start()
    await stopped.wait()
    await runner.stop(20.0)
    bridge.close()
