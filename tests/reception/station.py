"""A real reception on free ports in a thread of its own, and a client that talks to it line by line."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import uvloop
from django.db import connection

from posthouse.configuration import Configuration
from posthouse.database import Bridge
from posthouse.reception.station import Reception
from posthouse.smtp.server import Server

T = TypeVar("T")
WAIT = 60.0  # seconds after which a test gives up
LETTER = b"From: Ana <ana@far.example>\r\nSubject: Tomatoes\r\nMessage-ID: <t1@far.example>\r\n\r\nRipe at last.\r\n"


def changed(configuration: Configuration, **sections: dict[str, Any]) -> Configuration:
    """The configuration with some settings of some sections changed."""
    return dataclasses.replace(
        configuration,
        **{name: dataclasses.replace(getattr(configuration, name), **values) for name, values in sections.items()},
    )


class Station:
    """A running reception; `bridge` is its bridge."""

    def __init__(self, configuration: Configuration, sockets: Any = None, *, clock: Callable[[], float] = time.time,
                 fast: bool = True) -> None:  # fmt: skip
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop() if fast else asyncio.new_event_loop()
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, context: self.faults.append(context))
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.bridge = Bridge()
        self.reception = Reception(configuration, self.bridge, clock, random.random)
        self._running = True
        try:
            self.does(self.reception.start(sockets))
        except BaseException:
            self._end()
            raise

    def does(self, act: Awaitable[T]) -> T:
        """Run something in the station's loop and wait for it."""

        async def body() -> T:
            return await act

        return asyncio.run_coroutine_threadsafe(body(), self.loop).result(WAIT)

    def place(self, kind: str = "transfer", number: int = 0) -> tuple[str, int]:
        """Where a listener of this kind listens."""
        return self.reception.endpoints()[kind][number]

    @property
    def guests(self) -> set[Server]:
        """The connections that were greeted and are still here."""
        return self.reception._guests._inside

    def stop(self, grace: float = 5.0) -> None:
        """An orderly stop."""
        if self._running:
            self._running = False
            self.does(self.reception.stop(grace))
            self._end()

    def _end(self) -> None:
        self.bridge.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT)
        self.loop.close()


class Talker:
    """A client that says what it is told and reads every reply."""

    def __init__(self, place: tuple[str, int], greeting: int = 220, tls: ssl.SSLContext | None = None) -> None:
        self.socket: socket.socket = socket.create_connection(place, WAIT)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="mx.lists.example")
        self._rest = b""
        self.greeting = self.reply()
        assert self.greeting.startswith(str(greeting)), self.greeting

    def send(self, octets: bytes) -> None:
        """Say something without waiting."""
        self.socket.sendall(octets)

    def line(self) -> str:
        """The next line."""
        while b"\r\n" not in self._rest:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"closed after {self._rest!r}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line.decode()

    def reply(self) -> str:
        """The next reply, all its lines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def says(self, line: str, code: int | str | None = None) -> str:
        """Say a command and get its reply, which begins with `code`."""
        self.send(line.encode() + b"\r\n")
        reply = self.reply()
        assert code is None or reply.startswith(str(code)), (line, reply)
        return reply

    def envelope(self, *recipients: str, return_path: str = "ana@far.example", parameters: str = "") -> None:
        """MAIL and RCPT, all accepted."""
        self.says(f"MAIL FROM:<{return_path}>{parameters}", 250)
        for recipient in recipients:
            self.says(f"RCPT TO:<{recipient}>", 250)

    def content(self, content: bytes, code: int | str | None = 250) -> str:
        """DATA and the content; the (first) final reply."""
        self.says("DATA", 354)
        self.send(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
        reply = self.reply()
        assert code is None or reply.startswith(str(code)), reply
        return reply

    def starttls(self, context: ssl.SSLContext, name: str = "mx.lists.example") -> None:
        """STARTTLS and a handshake that verifies the certificate."""
        self.says("STARTTLS", 220)
        self.socket = context.wrap_socket(self.socket, server_hostname=name)

    def ended(self) -> bool:
        """Wait for the server to close."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def queued() -> list[dict[str, Any]]:
    """What is in the queue: prefix, content, envelope and recipients of each message."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.id, m.prefix, c.octets, c.digest, m.return_path, m.origin, m.body8, m.smtputf8, m.envelope_id, "
            "m.ret, c.size FROM queue_message m JOIN content_content c ON c.id = m.content_id ORDER BY m.id"
        )
        names = [column[0] for column in cursor.description]
        messages = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for message in messages:
            message["prefix"] = bytes(message["prefix"])
            message["octets"] = None if message["octets"] is None else bytes(message["octets"])
            cursor.execute("SELECT recipient FROM queue_delivery WHERE message_id = %s ORDER BY id", [message["id"]])
            message["recipients"] = [row[0] for row in cursor.fetchall()]
    return messages


def events(kind: str = "refused") -> list[dict[str, Any]]:
    """The events of a kind that are in the database."""
    import json

    with connection.cursor() as cursor:
        cursor.execute("SELECT address, detail FROM queue_event WHERE kind = %s ORDER BY id", [kind])
        return [{"address": address, **json.loads(detail)} for address, detail in cursor.fetchall()]


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, at most WAIT seconds."""
    waiting = threading.Event()
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        waiting.wait(0.01)


def free_places(count: int, family: int = socket.AF_INET) -> Iterator[list[socket.socket]]:
    """Bound, listening sockets on free ports."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    made = [socket.create_server((host, 0), family=family) for _ in range(count)]
    yield made
    for sock in made:
        sock.close()
