"""Memory while large messages come on many connections at once: one reception process, its peak measured.

Usage: python bench/large_messages.py [CONNECTIONS] [MEBIBYTES] [--hold]     (default 50 connections of 200 MiB)
Needs CONNECTIONS x MEBIBYTES of disk below $TMPDIR with --hold, where every message arrives in full before any is
finished; without it each is finished as it ends, and equal contents are kept once.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECEPTION = Path(__file__).with_name("reception.py")
LINE = b"z" * 76 + b"\r\n"
BLOCK = LINE * (65536 // len(LINE))


def kilobytes(pid: int, what: str) -> int:
    """VmRSS or VmHWM of a process."""
    found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def opened(port: int, number: int) -> socket.socket:
    """A connection in the middle of DATA."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.recv(1000)
    for command in (b"HELO x.example", b"MAIL FROM:<a@x.example>", b"RCPT TO:<b@sink.invalid>", b"DATA"):
        sock.sendall(command + b"\r\n")
        reply = sock.recv(1000)
        assert reply[:1] in b"23", reply
    sock.sendall(b"Subject: large %d\r\n\r\n" % (number % 2))
    return sock


def main(connections: int, mebibytes: int, hold: bool) -> None:
    """Send them all side by side and print what the process took."""
    data = tempfile.mkdtemp(prefix="posthouse-bench-")
    subprocess.run([sys.executable, str(RECEPTION), "--prepare", data], check=True)
    given = socket.create_server(("127.0.0.1", 0), backlog=1024)
    reading, writing = os.pipe()
    station = subprocess.Popen(
        [sys.executable, str(RECEPTION), "--serve", data, str(given.fileno()), str(writing), ""],
        stdin=subprocess.PIPE, pass_fds=(given.fileno(), writing),
    )  # fmt: skip
    os.read(reading, 1)
    idle = kilobytes(station.pid, "VmRSS")
    started = time.perf_counter()
    port = given.getsockname()[1]
    blocks = mebibytes * 1024 * 1024 // len(BLOCK)
    socks: list[socket.socket] = []
    done = 0
    try:
        socks = [opened(port, number) for number in range(connections)]
        if hold:
            for _ in range(blocks):
                for sock in socks:
                    sock.sendall(BLOCK)
            for sock in socks:
                sock.sendall(b".\r\n")
            done = sum(sock.recv(1000)[:3] == b"250" for sock in socks)
        else:
            for sock in socks:  # all stand half-way in memory's reach, then each is finished in turn
                for _ in range(8):
                    sock.sendall(BLOCK)
            for sock in socks:
                for _ in range(blocks - 8):
                    sock.sendall(BLOCK)
                sock.sendall(b".\r\n")
                done += sock.recv(1000)[:3] == b"250"
        wall = time.perf_counter() - started
        print(
            f"{done} of {connections} messages of {mebibytes} MiB accepted in {wall:.0f} s "
            f"({done * mebibytes / wall:.0f} MiB/s); resident memory {idle // 1024} MiB idle, "
            f"{kilobytes(station.pid, 'VmHWM') // 1024} MiB at its peak"
        )
    finally:
        for sock in socks:
            sock.close()
        station.communicate(b"")
        shutil.rmtree(data)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(*(numbers + [50, 200][len(numbers) :])[:2], "--hold" in sys.argv)
