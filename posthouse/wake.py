"""Roles wake each other at once: a word on a channel reaches every process that listens, without polling.

On one host the word travels by Unix datagrams between sockets in the data directory; with PostgreSQL it is also a
NOTIFY in the transaction, so that it reaches other hosts too, and only when the commit is done.
A lost word costs time, never mail: whoever listens also looks by itself from time to time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

QUEUE = "queue"  # deliveries became due
DIRECTORY = "directory"  # domains, lists, addresses or aliases changed
CHANNELS = (QUEUE, DIRECTORY)

_sender: socket.socket | None = None


def _folder(data: Path) -> Path:
    return data / "run"


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
            path = str(_folder(data) / name)
            try:
                _sender.sendto(b"!", path)
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
        self._path = str(folder / f"{channel}.{os.getpid()}.{secrets.token_hex(3)}")
        self._heard = heard
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self._path)
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
