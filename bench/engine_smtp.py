"""How fast the SMTP engine is: messages per CPU second of the server, and copies per CPU second of the client.

Run ``python bench/engine_smtp.py``. Server and driver are separate processes on loopback; the figures are CPU time of
the measured process alone (user and system), so they do not depend on how many cores the machine has.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection as Pipe

import uvloop

from posthouse.smtp import catalogue
from posthouse.smtp.client import Client
from posthouse.smtp.data import stuff
from posthouse.smtp.outgoing import OutgoingRecipient, OutgoingTransaction, TransactionResult
from posthouse.smtp.reply import Reply
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions, ForwardPath, Limits, Peer, ReturnPath, TlsFacts

LIMITS = Limits(message_size=50_000_000)
EXTENSIONS = Extensions()


class NullSink:
    """Takes everything, keeps nothing."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Nothing to do."""

    def abort(self) -> None:
        """Nothing to do."""


SINK = NullSink()


class Trivial:
    """A session that answers yes at once."""

    lmtp = False
    limits = LIMITS

    def greet_delay(self, address: str) -> float:
        """At once."""
        return 0.0

    def greeting(self, peer: Peer) -> Reply:
        """220."""
        return catalogue.GREETING

    def extensions(self) -> Extensions:
        """All."""
        return EXTENSIONS

    def hello(self, verb: str, name: str) -> Reply:
        """250."""
        return catalogue.HELLO

    def mail(self, path: ReturnPath) -> Reply:
        """250."""
        return catalogue.MAIL_OK

    def recipient(self, path: ForwardPath) -> Reply:
        """250."""
        return catalogue.RCPT_OK

    def begin_content(self) -> NullSink:
        """A sink."""
        return SINK

    def end_content(self, sink: object) -> Reply:
        """250."""
        return catalogue.ACCEPTED

    def reset(self) -> None:
        """Nothing to do."""

    def authenticate(self, mechanism: str, identity: str, password: str, authorization: str) -> Reply:
        """Never."""
        return catalogue.AUTH_FAILED

    def tls_started(self, facts: TlsFacts) -> None:
        """Nothing to do."""

    def closed(self, reason: str) -> None:
        """Nothing to do."""

    def refused(self, stage: str, reply: Reply, text: str) -> None:
        """Nothing to do."""


def serve(pipe: Pipe) -> None:
    """The server process: sends its port, then its CPU time whenever asked."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Server(Trivial(), loop), "127.0.0.1", 0, backlog=512)
        pipe.send(listener.sockets[0].getsockname()[1])

        def asked() -> None:
            if pipe.recv():
                pipe.send(time.process_time())
            else:
                loop.stop()

        loop.add_reader(pipe.fileno(), asked)
        await asyncio.Event().wait()

    try:
        uvloop.run(run())
    except RuntimeError:
        pass


class Driver(asyncio.Protocol):
    """A lock-step client: one message after another, without pipelining, as smtp-source does it."""

    def __init__(self, turns: list[int], content: bytes, reused: bool, done: asyncio.Future[None]) -> None:
        self.turns, self.content, self.reused, self.done = turns, content, reused, done
        self.steps = self.script()
        self.expected = b"220"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """One reply; say the next line."""
        if not data.startswith(self.expected):
            self.done.set_exception(RuntimeError(f"unexpected reply {data!r}"))
            return
        try:
            self.expected, line = next(self.steps)
        except StopIteration:
            self.transport.close()
            return
        self.transport.write(line)  # type: ignore[attr-defined]

    def script(self) -> Iterator[tuple[bytes, bytes]]:
        """Expected reply and line, in turn."""
        yield b"250", b"EHLO far.example\r\n"
        while self.turns[0] > 0:
            self.turns[0] -= 1
            yield b"250", b"MAIL FROM:<ana@far.example>\r\n"
            yield b"250", b"RCPT TO:<garden@lists.example>\r\n"
            yield b"354", b"DATA\r\n"
            yield b"250", self.content
            if not self.reused:
                break
        yield b"221", b"QUIT\r\n"

    def connection_lost(self, exc: Exception | None) -> None:
        """This connection is through."""
        if not self.done.done():
            self.done.set_result(None)


async def _drive(port: int, content: bytes, count: int, reused: bool) -> None:
    loop = asyncio.get_running_loop()
    turns = [count]

    async def client() -> None:
        while turns[0] > 0:
            done: asyncio.Future[None] = loop.create_future()
            await loop.create_connection(partial(Driver, turns, content, reused, done), "127.0.0.1", port)
            await done

    await asyncio.gather(*(client() for _ in range(20)))


def receive(size: int, count: int, *, reused: bool) -> float:
    """Messages per CPU second of the server, ``size`` octets each."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    process.start()
    port = near.recv()
    content = (b"Subject: x\r\n\r\n" + (b"a" * 70 + b"\r\n") * (size // 72 + 1))[:size] + b"\r\n.\r\n"
    near.send(True)
    before = near.recv()
    uvloop.run(_drive(port, content, count, reused))
    near.send(True)
    spent = near.recv() - before
    process.terminate()
    return count / float(spent)


async def _copies(port: int, size: int, count: int, offers: str) -> float:
    client = Client()
    await client.connect("127.0.0.1", port)
    await client.hello("lists.example")
    if offers == "PIPELINING":
        client.forgo("CHUNKING")
    body = (b"Subject: x\r\n\r\n" + (b"a" * 70 + b"\r\n") * (size // 72 + 1))[: size - 2] + b"\r\n"
    stuffed = stuff(body)
    before = time.process_time()
    pending: deque[asyncio.Future[TransactionResult]] = deque()
    for number in range(count):
        recipients = (OutgoingRecipient(f"ben{number}@far.example"),)
        return_path = f"garden-bounces+ben{number}=far.example@lists.example"
        prefix = b"List-Unsubscribe: <https://lists.example/leave/%d>\r\n" % number
        pending.append(client.submit(OutgoingTransaction(return_path, recipients, prefix, body, stuffed)))
        if len(pending) >= 16:
            result = await pending.popleft()
            if not result.accepted:
                raise SystemExit(f"not accepted: {result}")
    await asyncio.gather(*pending)
    spent = time.process_time() - before
    await client.quit()
    return count / spent


def send(size: int, count: int, offers: str) -> float:
    """Copies per CPU second of the client, each with its own return path, to our own server."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    process.start()
    rate = uvloop.run(_copies(near.recv(), size, count, offers))
    process.terminate()
    return rate


def main() -> int:
    """Print the table."""
    for size, count in ((1024, 8000), (4096, 8000), (20480, 5000)):
        print(f"server {size:>7} octets, a connection each: {receive(size, count, reused=False):>8.0f} messages/CPU-s")
        print(f"server {size:>7} octets, kept connection:   {receive(size, count, reused=True):>8.0f} messages/CPU-s")
    print(f"server 1048576 octets, kept connection:   {receive(1 << 20, 200, reused=True):>8.0f} messages/CPU-s")
    for offers in ("CHUNKING", "PIPELINING"):
        print(f"client   20480 octets, {offers:<10}:         {send(20480, 10000, offers):>8.0f} copies/CPU-s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
