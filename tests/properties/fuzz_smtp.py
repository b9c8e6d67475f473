"""Fuzz the SMTP engine for some seconds: ``python -m tests.properties.fuzz_smtp 60 [SEED]``.

Each round makes a stream of commands and garbage, feeds it whole and in random pieces, and compares what came of it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

from posthouse.smtp.server import Server
from tests.smtp.recording import RecordingSession

GRAINS = [
    b"EHLO a\r\n",
    b"HELO [127.0.0.1]\r\n",
    b"LHLO a\r\n",
    b"MAIL FROM:<>\r\n",
    b"MAIL FROM:<a@b.c> SIZE=5\r\n",
    b"RCPT TO:<a@b.c>\r\n",
    b"RCPT TO:<slow@b.c>\r\n",
    b"RCPT TO:<nobody@b.c>\r\n",
    b"RCPT TO:<broken@b.c>\r\n",
    b"RCPT TO:<full@b.c>\r\n",
    b"DATA\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\r\n..\r\n",
    b"x: y\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"BDAT 3\r\nabc",
    b"BDAT 2 LAST\r\n\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 1\r\n\r",
    b"BDAT x\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN =\r\n",
    b"VRFY a\r\n",
    b"\xff\xfe",
    b"\xc3\xa4",
    b"<>" * 9,
    b'MAIL FROM:<"a\\"b"@c>\r\n',
    b"z" * 700,
    b"z" * 9000,
    b"GET / HTTP/1.1\r\n",
]


class FakeTransport(asyncio.Transport):
    """Collects what is written; knows whether it was paused or closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def write(self, data: Any) -> None:
        assert not self.closed, "written after close"
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 25) if name in ("peername", "sockname") else default

    def replies(self) -> bytes:
        """All that was said."""
        return b"".join(self.written)


async def conversation(chunks: list[bytes]) -> tuple[bytes, list[tuple[str, tuple[str, ...], bytes]]]:
    """Feed the pieces, let every awaited answer arrive, and give the replies and the accepted messages."""
    loop = asyncio.get_running_loop()
    faults: list[Any] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    session, transport = RecordingSession(), FakeTransport()
    server = Server(session)
    server.connection_made(transport)
    for chunk in chunks:
        if not transport.closed:
            server.data_received(chunk)
    for _ in range(500):
        if not server._waiting or transport.closed:
            break
        await asyncio.sleep(0)
    else:
        raise AssertionError("the engine hangs")
    server.connection_lost(None)
    assert len(session.closings) == 1
    assert all(isinstance(fault, LookupError) for fault in faults), faults
    return transport.replies(), session.messages


def main(seconds: float, seed: int) -> None:
    """Fuzz; stops with the stream on the first difference."""
    chance = random.Random(seed)
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        grains = chance.choices(GRAINS, k=chance.randrange(1, 30))
        stream = b"".join(bytes(chance.randbytes(5)) if chance.random() < 0.05 else grain for grain in grains)
        if chance.random() < 0.7:
            stream = (
                b"EHLO a\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n"[: chance.choice([8, 26, 45, 51])] + stream
            )
        cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(12)))
        pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        whole, apart = asyncio.run(conversation([stream])), asyncio.run(conversation(pieces))
        if whole != apart:
            raise SystemExit(f"seed {seed} round {rounds}: {stream!r} in {pieces!r}:\n{whole}\n{apart}")
        rounds += 1
    print(f"{rounds} rounds, seed {seed}: nothing found")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
