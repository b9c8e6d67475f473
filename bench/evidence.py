"""What evidence and the door cost: messages a second from strangers, each with a DKIM signature, with and without.

Usage: python bench/evidence.py [MESSAGES]; beside Exim, with all other checks: python -m bench door
A zone server on loopback publishes SPF, a 2048-bit key, DMARC and PTR; its answers are in the resolver's memory after
the first message. 20 sessions, 4 KB messages that all differ; every message durable before its 250.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PADDING = b"x" * 70 + b"\r\n"


def configured(data: str, mode: str, nameserver: str):  # type: ignore[no-untyped-def]
    """The default, with a backup domain; `mode`: door (all that is on by default: every check, greylisting of who is
    known, rates), with (evidence alone), without (none of it) or relay (a relay network)."""
    from posthouse.configuration import Configuration, Dns, Evidence, Flood, Limits, Policy, Reception
    from posthouse.reception.policy.checks import NAMES

    nothing = {} if mode == "door" else dict.fromkeys(NAMES, "off")
    return dataclasses.replace(
        Configuration(data_directory=data, hostname="mx.lists.example"),
        reception=Reception(relay_domains=["sink.example"], relay_networks=["127.0.0.0/8"] if mode == "relay" else []),
        limits=Limits(minimum_free_disk=0),
        dns=Dns(nameservers=[nameserver]),
        evidence=Evidence(enabled=mode != "without"),
        policy=dataclasses.replace(Policy(), **(nothing | {"recipient": "off"})),  # type: ignore[arg-type]
        flood=Flood(
            connections_per_client=10**6,
            messages_per_client=10**6,
            messages_per_network=10**6,
            recipients_per_client=10**6,
            recipients_per_network=10**6,
            messages_per_sender_domain=10**6,
            messages_per_recipient=10**6,
        ),
    )


def serve(data: str, mode: str, nameserver: str, given: socket.socket, ready: int) -> None:
    """The reception process: until its standard input ends."""
    import uvloop
    from django.core.management import call_command

    from posthouse import configuration, database, maillog

    chosen = configured(data, mode, nameserver)
    configuration.activate(chosen)
    database.setup()
    maillog.quiet()
    call_command("migrate", verbosity=0)
    from posthouse.directory import domains
    from posthouse.encounters import strangers
    from posthouse.reception.station import Reception

    domains.add("lists.example")
    strangers.let_in("127.0.0.1", int(time.time() * 1000), int(time.time() * 1000) + 86_400_000)

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

    if os.environ.get("PROFILE"):
        import cProfile

        cProfile.runctx("uvloop.run(main())", {"uvloop": uvloop, "main": main}, {}, os.environ["PROFILE"])
    else:
        uvloop.run(main())


def letters(count: int, key: object) -> list[bytes]:
    """Signed messages, ready for DATA."""
    from posthouse.authenticity.dkim_signing import sign

    made = []
    for number in range(count):
        header = b"From: Ana <ana@far.example>\r\nTo: b@sink.example\r\nSubject: %d\r\n" % number
        header += b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <%d@far.example>\r\n" % number
        body = b"%d\r\n" % number + PADDING * 56
        signed = sign(header, [body], "far.example", "rsa", key, now=time.time())  # type: ignore[arg-type]
        made.append(signed + header + b"\r\n" + body + b".\r\n")
    return made


async def sends(
    port: int, contents: list[bytes], sessions: int, recipient: str = "b@sink.example", kept: bool = True
) -> None:
    """A blunt client. Raises AssertionError with the reply that was not what it hoped for."""
    waiting = iter(contents)
    to = f"RCPT TO:<{recipient}>\r\n".encode()

    async def session() -> None:
        writer = None
        for content in waiting:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await reader.readline()
                writer.write(b"EHLO client.far.example\r\n")
                while (await reader.readline())[3:4] == b"-":
                    pass
            for command in (b"MAIL FROM:<ana@far.example>\r\n", to, b"DATA\r\n", content):
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

    await asyncio.gather(*(session() for _ in range(sessions)))


def zone(published: str):  # type: ignore[no-untyped-def]
    """What the sender's nameserver says (`published`: the DKIM key), and a DNS list that works (RFC 5782 §5)."""
    from posthouse.dns.zone import FixedZone

    return FixedZone(
        {
            "far.example": {
                "TXT": ['"v=spf1 ip4:192.0.2.0/24 ip4:127.0.0.1 -all"'],
                "MX": ["10 client.far.example."],
                "A": ["127.0.0.1"],
            },
            "rsa._domainkey.far.example": {"TXT": [published]},
            "_dmarc.far.example": {"TXT": ['"v=DMARC1; p=reject"']},
            "1.0.0.127.in-addr.arpa": {"PTR": ["client.far.example."]},
            "client.far.example": {"A": ["127.0.0.1"]},
            "2.0.0.127.block.example": {"A": ["127.0.0.2"]},
        }
    )


async def measured(mode: str, contents: list[bytes], nameserver: str) -> tuple[float, float]:
    """(messages a second, CPU milliseconds of reception a message) on a fresh database."""
    data = tempfile.mkdtemp(prefix="posthouse-bench-")
    given = socket.create_server(("127.0.0.1", 0), backlog=1024)
    given.set_inheritable(True)
    reading, writing = os.pipe()
    station = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, __file__, "--serve", data, mode, nameserver, str(given.fileno()), str(writing)],
        stdin=subprocess.PIPE, pass_fds=(given.fileno(), writing),
    )  # fmt: skip
    os.close(writing)
    if not await asyncio.to_thread(os.read, reading, 1):
        sys.exit(f"reception did not start for {mode}")
    os.close(reading)
    port = given.getsockname()[1]
    await sends(port, contents[:20], 1)  # fills the memory of the resolver
    before, started = _cpu(station.pid), time.perf_counter()
    await sends(port, contents[20:], 20)
    wall, spent = time.perf_counter() - started, _cpu(station.pid) - before
    await asyncio.to_thread(station.communicate, b"")
    given.close()
    shutil.rmtree(data)
    count = len(contents) - 20
    return count / wall, spent / count * 1e3


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().split()
    return sum(int(fields[n]) for n in (13, 14)) / float(os.sysconf("SC_CLK_TCK"))


async def main(count: int) -> None:
    """Three times each, in turn, since the machine may have others to serve; the best counts."""
    from posthouse.dns.zone_server import serve as serve_zone
    from tests.authenticity.letters import RSA, record

    contents = letters(count + 20, RSA)
    async with serve_zone(zone(record(RSA))) as (address, port):
        found: dict[str, list[tuple[float, float]]] = {"relay": [], "without": [], "with": [], "door": []}
        for _ in range(3):
            for mode, rates in found.items():
                rates.append(await measured(mode, contents, f"{address}:{port}"))
    for mode, rates in found.items():
        best = f"{max(rate for rate, _ in rates):7.0f}/s  {min(cpu for _, cpu in rates):.3f} ms CPU a message"
        print(f"{mode:8} {best}   (all: {', '.join(f'{rate:.0f}/s {cpu:.3f}' for rate, cpu in rates)})")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], sys.argv[4], socket.socket(fileno=int(sys.argv[5])), int(sys.argv[6]))
    else:
        asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 3000))
