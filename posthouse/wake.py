"""Roles wake each other at once: a word on a channel reaches every process that listens, without polling.

On one host the word travels by Unix datagrams between sockets in the data directory; with PostgreSQL it is also a
NOTIFY in the transaction, so that it reaches other hosts too, and only when the commit is done.
A lost word costs time, never mail: whoever listens also looks by itself from time to time.

A station calls `hear`, which listens in every way that its configuration has.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthouse.configuration import Configuration

if TYPE_CHECKING:
    import psycopg

QUEUE = "queue"  # deliveries became due
DIRECTORY = "directory"  # domains, lists, addresses or aliases changed
DOOR = "door"  # an operator changed what is remembered of strangers and floods
CHANNELS = (QUEUE, DIRECTORY, DOOR)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts to reach PostgreSQL again

_sender: socket.socket | None = None
_handles: dict[Path, int] = {}  # folders whose path is too long for a socket's address


def _folder(data: Path) -> Path:
    return data / "run"


def _reach(path: Path) -> str:
    """A name of a socket that fits into the 107 bytes which the address of a Unix socket may have.

    Where the path is longer, Linux reaches it through an open handle of its folder.
    """
    if len(os.fsencode(path)) <= 107:
        return str(path)
    handle = _handles.get(path.parent)
    if handle is None:
        handle = _handles[path.parent] = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{handle}/{path.name}"


def call(data: Path, channel: str) -> None:
    """Say `channel` to every listener on this host. Never blocks, never raises: a word may be lost."""
    global _sender
    if _sender is None:
        _sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        names = os.listdir(_folder(data))
    except OSError:
        return
    for name in names:
        if name.startswith(f"{channel}."):
            path = _folder(data) / name
            try:
                _sender.sendto(b"!", _reach(path))
            except ConnectionRefusedError:  # its process is gone: nobody will miss the socket
                try:
                    os.unlink(path)
                except OSError:
                    pass
            except OSError:  # a full buffer: it has been told already
                pass


class Listener:
    """Hears a channel inside an event loop and calls back, once for any number of words that came together."""

    def __init__(self, data: Path, channel: str, heard: Callable[[], None]) -> None:
        folder = _folder(data)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{channel}.{os.getpid()}.{secrets.token_hex(3)}"
        self._heard = heard
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(_reach(self._path))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    def _read(self) -> None:
        try:
            while self._socket.recv(64):
                pass
        except BlockingIOError:
            pass
        self._heard()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        try:
            os.unlink(self._path)
        except OSError:
            pass


class NotifyListener:
    """Hears a channel through PostgreSQL, from every host that shares the database, inside an event loop.

    Holds one connection and no thread. When the connection is lost it is made again. Each time that it was made,
    `missed` is called, for words may have been missed; without it, `heard`.
    """

    def __init__(
        self, url: str, channel: str, heard: Callable[[], None], missed: Callable[[], None] | None = None
    ) -> None:
        if channel not in CHANNELS:
            raise ValueError(f"{channel!r} is no channel")
        self._url, self._channel, self._heard, self._missed = url, channel, heard, missed or heard
        self._loop = asyncio.get_running_loop()
        self._connection: psycopg.Connection[Any] | None = None
        self._file = -1
        self._closed = False
        self._task = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed:
            connection = await self._loop.run_in_executor(None, self._open)
            if connection is None:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self._adopt(connection)
            return

    def _adopt(self, connection: psycopg.Connection[Any]) -> None:
        if self._closed:
            connection.close()
            return
        self._connection, self._file = connection, connection.fileno()
        self._loop.add_reader(self._file, self._read)
        self._missed()

    def _open(self) -> psycopg.Connection[Any] | None:
        import psycopg

        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5, keepalives_idle=30)
            connection.execute(f"LISTEN posthouse_{self._channel}")
        except psycopg.Error:
            return None
        return connection

    def _read(self) -> None:
        import psycopg

        assert self._connection is not None
        pipe, heard = self._connection.pgconn, False
        try:
            pipe.consume_input()
            while pipe.notifies():
                heard = True
        except psycopg.Error:
            self._drop()
            if not self._closed:
                self._task = self._loop.create_task(self._connect())
            return
        if heard:
            self._heard()

    def _drop(self) -> None:
        if self._connection is not None:
            self._loop.remove_reader(self._file)  # remembered: a lost connection no longer knows it
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._drop()  # an attempt to connect that is under way ends by itself: a closed listener keeps nothing


class Hearing:
    """All the ways in which one channel is heard; `close` ends them."""

    def __init__(self, listeners: list[Listener | NotifyListener]) -> None:
        self._listeners = listeners

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            listener.close()


def hear(
    configuration: Configuration, channel: str, heard: Callable[[], None], missed: Callable[[], None] | None = None
) -> Hearing:
    """Listen to a channel on this host and, with PostgreSQL, on all hosts. Must be called inside an event loop.

    `heard` is called in that loop, at least once for any number of words that came together, perhaps without a word.
    `missed` is called when a word may have been missed; None: `heard` is.
    """
    listeners: list[Listener | NotifyListener] = [Listener(configuration.data, channel, heard)]
    url = configuration.database_url
    if url.startswith("postgres"):
        listeners.append(NotifyListener(url, channel, heard, missed))
    return Hearing(listeners)
