"""How fast one reception process accepts: smtp-source (Postfix's) against it, every message durable before its 250.

Usage: python bench/reception.py [MESSAGES] [kept-same|kept-distinct|each-same|each-distinct] [--profile]
Prints accepted messages a second and CPU milliseconds a message, for kept sessions and for one connection each, with
the same content every time and with distinct contents.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def serve(data: str, given: socket.socket, ready: int, profile: str) -> None:
    """The reception process: until its standard input ends."""
    import uvloop

    from posthouse import configuration, database, maillog

    chosen = configured(data)
    configuration.activate(chosen)
    database.setup()
    maillog.quiet()
    from posthouse.reception.station import Reception

    async def main() -> None:
        bridge = database.Bridge()
        station = Reception(chosen, bridge, time.time, random.random)
        await station.start({"transfer": [given]})
        os.write(ready, b"!")
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_reader(0, stopped.set)
        await stopped.wait()
        await station.stop(5.0)
        bridge.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    if profile:
        import cProfile

        cProfile.runctx("run()", {"run": run}, {}, profile)
    else:
        run()


def configured(data: str):  # type: ignore[no-untyped-def]
    """Loopback may relay; everything else as it ships."""
    from posthouse.configuration import Configuration, Limits, Reception

    return dataclasses.replace(
        Configuration(data_directory=data, hostname="mx.lists.example"),
        reception=Reception(relay_networks=["127.0.0.0/8"]),
        limits=Limits(minimum_free_disk=0),
    )


def prepare(data: str) -> None:
    """A migrated database with a domain of ours."""
    from django.core.management import call_command

    from posthouse import configuration, database

    configuration.activate(configured(data))
    database.setup()
    call_command("migrate", verbosity=0)
    from posthouse.directory import domains

    domains.add("lists.example")
    database.close()


def distinct(port: int, count: int, kept: bool) -> None:
    """20 sessions of our own client in a process of its own; every message differs."""
    subprocess.run([sys.executable, __file__, "--client", str(port), str(count), "1" if kept else "0"], check=True)


def client(port: int, count: int, kept: bool) -> None:
    """A blunt asyncio client: 20 sessions, 4 KB messages that all differ."""
    import uvloop

    padding = b"x" * 70 + b"\r\n"
    numbers = iter(range(count))

    async def session() -> None:
        reader = writer = None
        for number in numbers:
            body = (b"From: a@x.example\r\nSubject: %d\r\nMessage-ID: <%d.%d@x.example>\r\n\r\n"
                    % (number, number, os.getpid())) + padding * 56 + b".\r\n"  # fmt: skip
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await reader.readline()
                writer.write(b"EHLO x.example\r\n")
                while (await reader.readline())[3:4] == b"-":
                    pass
            assert reader is not None
            for command in (b"MAIL FROM:<a@x.example>\r\n", b"RCPT TO:<b@sink.invalid>\r\n", b"DATA\r\n", body):
                writer.write(command)
                line = await reader.readline()
                assert line[:1] in b"23", line
            if not kept:
                writer.write(b"QUIT\r\n")
                await reader.readline()
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    async def main() -> None:
        await asyncio.gather(*(session() for _ in range(20)))

    uvloop.run(main())


def measure(count: int, profile: str, only: str = "") -> None:
    """All four cases, each on a fresh database."""
    for kept in (True, False):
        for same in (True, False):
            if only and only != f"{'kept' if kept else 'each'}-{'same' if same else 'distinct'}":
                continue
            data = tempfile.mkdtemp(prefix="posthouse-bench-")
            subprocess.run([sys.executable, __file__, "--prepare", data], check=True)
            given = socket.create_server(("127.0.0.1", 0), backlog=1024)
            port = given.getsockname()[1]
            reading, writing = os.pipe()
            given.set_inheritable(True)
            station = subprocess.Popen(
                [sys.executable, __file__, "--serve", data, str(given.fileno()), str(writing), profile],
                stdin=subprocess.PIPE, pass_fds=(given.fileno(), writing),
            )  # fmt: skip
            os.read(reading, 1)
            source = ["smtp-source", "-s", "20", "-l", "4096", "-f", "a@x.example", "-t", "b@sink.invalid"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = Path(f"/proc/{station.pid}/stat").read_text().split()
            started = time.perf_counter()
            if same:
                subprocess.run([*source, *(["-d"] if kept else []), "-m", str(count), f"127.0.0.1:{port}"], check=True)
            else:
                distinct(port, count, kept)
            wall = time.perf_counter() - started
            after = Path(f"/proc/{station.pid}/stat").read_text().split()
            spent = sum(int(after[n]) - int(cpu[n]) for n in (13, 14)) / os.sysconf("SC_CLK_TCK")
            lines = Path(f"/proc/{station.pid}/status").read_text().splitlines()
            peak = next(line for line in lines if "VmHWM" in line)
            station.communicate(b"")
            now = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(
                f"{'kept sessions' if kept else 'one connection each':20} {'same' if same else 'distinct':9}"
                f" {count / wall:7.0f}/s  {spent / count * 1e3:.3f} ms CPU a message  {peak.split()[1]} kB peak"
                f"  (children {now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime:.1f} s)"
            )
            given.close()
            shutil.rmtree(data)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], socket.socket(fileno=int(sys.argv[3])), int(sys.argv[4]), sys.argv[5])
    elif sys.argv[1:2] == ["--prepare"]:
        prepare(sys.argv[2])
    elif sys.argv[1:2] == ["--client"]:
        client(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1")
    else:
        counts = [int(word) for word in sys.argv[1:] if word.isdigit()]
        cases = [word for word in sys.argv[1:] if word.startswith(("kept-", "each-"))]
        measure(
            counts[0] if counts else 5000, "/tmp/reception.prof" if "--profile" in sys.argv else "", "".join(cases[:1])
        )
