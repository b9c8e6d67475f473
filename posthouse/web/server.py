"""The web role: waitress on sockets it is given, until SIGTERM; answers that were begun are finished."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher

from posthouse import database, maillog
from posthouse.configuration import Configuration
from posthouse.web import turns
from posthouse.web.wsgi import application

GRACE: Final = 10.0  # seconds that answers under way get after SIGTERM
IDLE_TIMEOUT: Final = 75  # seconds a kept connection may be silent
MOST_CONNECTIONS: Final = 500
MOST_REQUEST_BODY: Final = 2 * 1024 * 1024  # bytes: forms only; mail does not come this way
MOST_WAITING_BODY: Final = 64 * 1024 * 1024  # bytes (above 1 MiB on disk) that wait for a slow client, not the thread
WAITING_DOWNLOAD: Final = 1024 * 1024  # bytes of a download that wait for its client; then it is not made further
PATIENCE: Final = 60.0  # seconds that a client may take nothing of what waits for it ...
SLOWEST: Final = 4096  # ... and bytes a second that it must take from then on
MOST_REQUEST_HEADER: Final = 32 * 1024
TURN: Final = 0.0005  # seconds of courtesy for each connection that is open here
LONGEST_TURN: Final = 0.002
WRITE_PATIENCE: Final = 5.0  # seconds that a page waits for others to have written; then it says 503
EVENT_PATIENCE: Final = 0.2  # seconds that events which wait are worth to those whose pages wait meanwhile
EVENTS_EVERY: Final = 1.0  # seconds between writes of maillog events that wait


def serve(configuration: Configuration, sockets: list[socket.socket]) -> None:
    """Serve the site on `sockets` (listening, maybe shared with other processes) until SIGTERM or SIGINT. Blocks."""
    database.hurry(WRITE_PATIENCE)
    database.close()  # what was opened before is not in a hurry
    for name, level in (("django.request", logging.ERROR), ("waitress.queue", logging.ERROR)):
        logging.getLogger(name).setLevel(level)  # a missing page or a busy moment is no event for the log
    channels: dict[int, Any] = {}
    server = create_server(
        application,
        map=channels,
        sockets=sockets,
        threads=max(1, configuration.web.threads),
        ident="",
        channel_timeout=IDLE_TIMEOUT,
        connection_limit=MOST_CONNECTIONS,
        max_request_body_size=MOST_REQUEST_BODY,
        outbuf_high_watermark=MOST_WAITING_BODY,
        max_request_header_size=MOST_REQUEST_HEADER,
        clear_untrusted_proxy_headers=False,  # middleware.believe_proxies decides, by web.trusted_proxies
        asyncore_use_poll=True,
    )
    _take_turns(channels)
    apart = _downloads_apart(channels)
    stopping = _Stopping()
    try:
        _run(channels, stopping)
        _finish(channels)
    finally:
        server.task_dispatcher.shutdown(cancel_pending=False, timeout=2)
        apart.shutdown(cancel_pending=False, timeout=2)
        wasyncore.close_all(channels, ignore_all=True)
        with contextlib.suppress(database.Unavailable):
            maillog.flush()
        database.close()
        stopping.close()


def _take_turns(channels: dict[int, Any]) -> None:
    """Let the least busy process take a new connection, where several share the sockets.

    All of them hear of it at once. Each waits a moment for every connection it already has, so that one with fewer
    comes first; else one process might hold all kept connections while the others idle.
    """
    for one in [found for found in channels.values() if isinstance(found, BaseWSGIServer)]:

        def accept(taken: Callable[[], None] = one.handle_accept) -> None:
            held = sum(isinstance(channel, HTTPChannel) for channel in channels.values())
            if held:
                time.sleep(min(held * TURN, LONGEST_TURN))
            taken()

        one.handle_accept = accept


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress is untyped
    """A connection that knows how much it has sent of the answer a thread is busy with, and since when."""

    since: float | None = None
    sent = 0

    def service(self) -> None:
        """Answer a request, in a thread."""
        self.sent, self.since = 0, time.monotonic()
        try:
            super().service()
        finally:
            self.since = None

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the socket takes."""
        count: int = super().send(data, do_close=do_close)
        self.sent += count
        return count

    def is_stuck(self, now: float, wall: float) -> bool:
        """Whether a thread waits for a client that takes nothing, or next to nothing, of what is ready for it."""
        since = self.since
        if since is None or not self.total_outbufs_len or now - since < PATIENCE:
            return False
        return bool(self.last_activity < wall - PATIENCE) or self.sent < (now - since) * SLOWEST


def _downloads_apart(channels: dict[int, Any]) -> ThreadedTaskDispatcher:
    """Let threads of their own make downloads, so that pages never wait for them: they last as long as their clients
    read. One more thread than downloads may run, so that the next one hears at once that it is too much."""
    threads = ThreadedTaskDispatcher()
    for one in [found for found in channels.values() if isinstance(found, BaseWSGIServer)]:
        bounded = copy.copy(one.adj)
        bounded.outbuf_high_watermark = WAITING_DOWNLOAD

        def add(
            channel: HTTPChannel, adj: Any = one.adj, bounded: Any = bounded, pages: Any = one.task_dispatcher
        ) -> None:
            path = getattr(channel.requests[0], "path", "")  # what could not be read as a request has none
            is_download = str(path).endswith("/mbox")
            channel.adj = bounded if is_download else adj
            if is_download:
                threads.set_thread_count(turns.AT_ONCE + 1)
            (threads if is_download else pages).add_task(channel)

        one.channel_class, one.add_task = _Channel, add
    return threads


def _hang_up(channels: dict[int, Any]) -> None:
    """Close the connections of clients that a thread waits for in vain."""
    now, wall = time.monotonic(), time.time()
    for one in list(channels.values()):
        if isinstance(one, _Channel) and one.is_stuck(now, wall):
            one.handle_close()


class _Stopping:
    """Remembers that SIGTERM or SIGINT came, and wakes the loop by a byte in a pipe."""

    def __init__(self) -> None:
        self.asked = False
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def close(self) -> None:
        """Put the process's signals back as they were."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.reader)
        os.close(self._writer)


class _Ear(wasyncore.file_dispatcher):  # type: ignore[misc]  # waitress is untyped
    """Lets the loop hear the pipe that signals write to."""

    def handle_read(self) -> None:
        self.recv(64)

    def writable(self) -> bool:
        return False


def _run(channels: dict[int, Any], stopping: _Stopping) -> None:
    ear = _Ear(stopping.reader, channels)
    flushed = time.monotonic()
    while not stopping.asked:
        _turn(channels, EVENTS_EVERY)
        if time.monotonic() - flushed >= EVENTS_EVERY:
            flushed = time.monotonic()
            _hang_up(channels)
            try:
                with database.hurried(EVENT_PATIENCE):
                    maillog.flush()
            except database.Busy:
                pass  # they wait, and the log of whoever holds the database says why
            except Exception:
                logging.getLogger(__name__).exception("events could not be written now; they wait")
    ear.close()


def _finish(channels: dict[int, Any]) -> None:
    """Take no more connections; close idle ones; let the others finish what they answer, within the grace."""
    _turn(channels, 0.0)  # what has arrived before the signal is still taken ...
    for one in list(channels.values()):
        if isinstance(one, BaseWSGIServer):
            one.accepting = False
            one.socket.close()
            one.del_channel()
    _turn(channels, 0.0)  # ... and read
    until = time.monotonic() + GRACE
    heard: set[HTTPChannel] = set()  # were idle before the last turn: whatever had come from them was read in it
    while time.monotonic() < until:
        here = [one for one in channels.values() if isinstance(one, HTTPChannel)]
        idle = {one for one in here if not one.requests and not one.total_outbufs_len}
        for one in idle & heard:
            one.handle_close()
        if idle.issuperset(here) and idle <= heard:
            return
        _turn(channels, 0.1 if idle <= heard else 0.0)
        heard = idle


def _turn(channels: dict[int, Any], timeout: float) -> None:
    wasyncore.loop(timeout=timeout, use_poll=True, map=channels, count=1)
