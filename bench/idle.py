"""Idle connections: how long a transaction takes beside 2,000 clients that are connected and say nothing, and what each
of those costs in memory.

Usage: python -m bench idle [CONNECTIONS]
One client sends 4 KB messages, one after the other on a connection of its own, each durable before its 250; first
alone, then beside the idle ones, who have said EHLO. p50 and p95 of the whole transaction (MAIL to the last reply).
"""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path
from typing import Any

from bench.peers import harness
from bench.system import TRANSFER, Posthouse, version

CONNECTIONS = 2000
MESSAGES = 300
LETTER = b"From: a@x.example\r\nSubject: %d\r\n\r\n" + (b"x" * 70 + b"\r\n") * 56 + b".\r\n"


def main(arguments: list[str]) -> None:
    """Measure."""
    wanted = int(arguments[0]) if arguments else CONNECTIONS
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, max(65536, wanted * 2)), most))
    lib = harness()
    ours = Posthouse("idle", more="[processes]\nreception = 1\n")
    text = ours.config.read_text()
    ours.config.write_text(text.replace("connections_per_address = 1000", f"connections_per_address = {wanted + 50}\n"
                                        f"connections = {wanted + 50}"))  # fmt: skip
    ours.start("reception")
    try:
        rows = [asyncio.run(_measured(ours, wanted)) for _ in range(lib.RUNS)]
    finally:
        ours.stop()
    for name in rows[0]:
        print(f"{name:28} {sorted(row[name] for row in rows)[len(rows) // 2]:10.2f}")
    lib.record("idle", version(), f"{wanted} idle connections, one reception process", n=MESSAGES,
               **{name: [row[name] for row in rows] for name in rows[0]})  # fmt: skip


async def _measured(ours: Posthouse, wanted: int) -> dict[str, float]:
    """Milliseconds and KiB."""
    await _transactions(50)
    before = await _transactions(MESSAGES)
    empty = _reception_rss(ours)
    idle = []
    for start in range(0, wanted, 100):
        idle += await asyncio.gather(*(_idle() for _ in range(min(100, wanted - start))))
    full = _reception_rss(ours)
    beside = await _transactions(MESSAGES)
    for writer in idle:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in idle), return_exceptions=True)
    return {
        "p50_ms_alone": before[len(before) // 2],
        "p95_ms_alone": before[len(before) * 95 // 100],
        "p50_ms_beside": beside[len(beside) // 2],
        "p95_ms_beside": beside[len(beside) * 95 // 100],
        "rss_kib_per_connection": (full - empty) / wanted,
    }


async def _idle() -> asyncio.StreamWriter:
    _reader, writer = await _connected()
    return writer


async def _connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", TRANSFER)
    greeting = await reader.readline()
    assert greeting.startswith(b"220"), greeting
    writer.write(b"EHLO x.example\r\n")
    while (await reader.readline())[3:4] == b"-":
        pass
    return reader, writer


async def _transactions(count: int) -> list[float]:
    """Milliseconds of each, sorted."""
    reader, writer = await _connected()
    spent = []
    for number in range(count):
        began = time.perf_counter()
        for said in (b"MAIL FROM:<a@x.example>\r\n", b"RCPT TO:<b@sink.invalid>\r\n", b"DATA\r\n", LETTER % number):
            writer.write(said)
            answer = await reader.readline()
            assert answer[:1] in b"23", answer
        spent.append((time.perf_counter() - began) * 1000)
    writer.write(b"QUIT\r\n")
    await reader.readline()
    writer.close()
    return sorted(spent)


def _reception_rss(ours: Posthouse) -> int:
    """KiB of the process that receives."""
    found: list[Any] = []
    for pid in ours.pids():
        if "reception" in Path(f"/proc/{pid}/comm").read_text():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found.append(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]))
    return max(found)
