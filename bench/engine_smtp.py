"""How fast the SMTP engine is: messages per CPU second of the server, and copies per CPU second of the client.

Run ``python bench/engine_smtp.py``. Server and driver are separate processes on loopback; the figures are CPU time of
the measured process alone (user and system), so they do not depend on how many cores the machine has.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing.connection import Connection as Pipe

import uvloop

from posthouse.smtp import catalogue
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
    greet_delay = 0.0

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


def _expect(peer: socket.socket, code: bytes) -> None:
    if not peer.recv(4096).startswith(code):
        raise SystemExit("the server gave an unexpected reply")


def _message(peer: socket.socket, content: bytes) -> None:
    for line in (b"MAIL FROM:<ana@far.example>\r\n", b"RCPT TO:<garden@lists.example>\r\n"):
        peer.sendall(line)
        _expect(peer, b"250")
    peer.sendall(b"DATA\r\n")
    _expect(peer, b"354")
    peer.sendall(content)
    _expect(peer, b"250")


def _open(port: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _expect(peer, b"220")
    peer.sendall(b"EHLO far.example\r\n")
    _expect(peer, b"250")
    return peer


def receive(size: int, count: int, *, reused: bool) -> float:
    """Messages per CPU second of the server, ``size`` octets each."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    process.start()
    port = near.recv()
    content = (b"Subject: x\r\n\r\n" + (b"a" * 70 + b"\r\n") * (size // 72 + 1))[:size] + b"\r\n.\r\n"
    near.send(True)
    before = near.recv()
    peer = _open(port)
    for _ in range(count):
        _message(peer, content)
        if not reused:
            peer.sendall(b"QUIT\r\n")
            _expect(peer, b"221")
            peer.close()
            peer = _open(port)
    near.send(True)
    spent = near.recv() - before
    peer.close()
    process.terminate()
    return count / float(spent)


def main() -> int:
    """Print the table."""
    for size, count in ((1024, 8000), (4096, 8000), (20480, 5000)):
        print(f"server {size:>7} octets, a connection each: {receive(size, count, reused=False):>8.0f} messages/CPU-s")
        print(f"server {size:>7} octets, kept connection:   {receive(size, count, reused=True):>8.0f} messages/CPU-s")
    print(f"server 1048576 octets, kept connection:   {receive(1 << 20, 200, reused=True):>8.0f} messages/CPU-s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
