"""How fast mail leaves: a fan-out of one message to many members (VERP), and many messages to one recipient each.

Usage: python -m bench.delivery [fanout|relay] [COUNT] [--chunking] [--profile FILE]. Needs a C compiler for the sink.
Prints copies per second from the first to the last message the sink took, and what this process used for it.
"""

from __future__ import annotations

import asyncio
import cProfile
import dataclasses
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from posthouse import configuration, database, maillog
from posthouse.configuration import Configuration

HERE = Path(__file__).parent
LINE = b"The tomatoes by the south wall are ripe, and there are more than we can eat this week; come.\r\n"


def main() -> None:
    """Run one measure."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    kind = words[0] if words else "fanout"
    count = int(words[1]) if len(words) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="posthouse-bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        sink, port = _start_sink(Path(folder), count, "--chunking" in sys.argv)
        try:
            chosen = _prepare(Path(folder), port)
            _fill(kind, count)
            profile = cProfile.Profile() if "--profile" in sys.argv else None
            before, began = resource.getrusage(resource.RUSAGE_SELF), time.time()
            if profile:
                profile.enable()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
                loop.run(_deliver(chosen))
            if profile:
                profile.disable()
                profile.dump_stats(sys.argv[sys.argv.index("--profile") + 1])
            used = resource.getrusage(resource.RUSAGE_SELF)
            assert sink.stdout is not None
            _report(kind, began, before, used, json.loads(sink.stdout.readline()))
        finally:
            sink.kill()
            sink.wait()


def _start_sink(folder: Path, count: int, chunking: bool) -> tuple[subprocess.Popen[bytes], int]:
    program = folder / "sink"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "sink.c"], check=True)
    port = random.randrange(20000, 30000)
    words = [program, str(port), str(count), *(["chunking"] if chunking else [])]
    return subprocess.Popen(words, stdout=subprocess.PIPE), port


def _prepare(folder: Path, port: int) -> Configuration:
    chosen = Configuration(data_directory=str(folder / "house"), hostname="mx.lists.example")
    chosen = dataclasses.replace(
        chosen,
        delivery=dataclasses.replace(chosen.delivery, smarthost=f"127.0.0.1:{port}"),
        maillog=configuration.Maillog(stderr=False),
        database=configuration.Database(url=os.environ.get("BENCH_DATABASE", "")),
    )
    chosen.data.mkdir(parents=True)
    configuration.activate(chosen)
    database.setup()
    maillog.quiet()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return chosen


def _fill(kind: str, count: int) -> None:
    from posthouse.content.keeping import keep
    from posthouse.content.spool import spooled_from
    from posthouse.directory import domains
    from posthouse.lists import creation
    from posthouse.lists.models import MailingList
    from posthouse.message.envelope import Envelope, Recipient
    from posthouse.queue.enqueue import Arrival, enqueue_many, enqueue_selected
    from posthouse.queue.identity import new_queue_id

    now = int(time.time() * 1000)
    if kind == "relay":
        for start in range(0, count, 100):
            enqueue_many([
                Arrival(
                    new_queue_id(now * 1000),
                    spooled_from(b"Subject: %d\r\n\r\n" % number + LINE * 43),
                    b"Received: from bench\r\n",
                    Envelope("ana@far.example", (Recipient(f"ben{number}@sink.invalid"),)),
                    "transfer",
                    now,
                )
                for number in range(start, min(start + 100, count))
            ])  # fmt: skip
        return
    domains.add("lists.example")
    creation.create("garden@lists.example", ["owner@lists.example"])
    pk = MailingList.objects.get().pk
    with database.transaction():
        content = keep(spooled_from(b"From: ana@far.example\r\nSubject: Tomatoes\r\n\r\n" + LINE * 215))
        enqueue_selected(
            item=new_queue_id(now * 1000), content_id=content, prefix=b"", return_path="garden-bounces@lists.example",
            origin="list", received_at=now, list_id=pk, because=0, body8=False, smtputf8=False,
            select=f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) "
            "SELECT 'member' || i || '@sink.invalid' AS recipient, 'sink.invalid' AS domain FROM n",
            parameters=(),
        )  # fmt: skip


async def _deliver(chosen: Configuration) -> None:
    from posthouse.database import Bridge
    from posthouse.delivery.runner import Runner

    bridge = Bridge()
    runner = Runner(chosen, bridge, time.time, random.random)
    await runner.start()
    await runner.settle()
    await runner.stop(5)
    bridge.close()


def _report(
    kind: str, began: float, before: resource.struct_rusage, used: resource.struct_rusage, facts: dict[str, float]
) -> None:
    seconds = facts["last"] - facts["first"]
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    count = facts["recipients"]
    print(
        f"{kind}: {count:.0f} copies, {count / seconds:.0f}/s; first after {1000 * (facts['first'] - began):.0f} ms; "
        f"{facts['connections']:.0f} connections, {facts['paths']:.0f} return paths; "
        f"{cpu:.2f} CPU s ({count / cpu:.0f} per CPU s), peak {used.ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
