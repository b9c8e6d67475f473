"""How fast the queue is by itself: `python bench/queue_rates.py [sqlite|postgresql] [messages]`, without any network.

Prints rates per second of CPU of this process (the writer thread) and of the clock, and the disk a post takes while it
waits for 10,000 recipients. PostgreSQL runs with fsync as in production.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, os.environ.get("BENCH_ROOT") or str(Path(__file__).resolve().parent.parent))

from posthouse import database, maillog
from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.claim import claim, register
from posthouse.queue.enqueue import Arrival, enqueue_many, enqueue_selected
from posthouse.queue.identity import new_queue_id
from posthouse.queue.outcome import DELIVERED, Outcome, record_outcomes
from tests import databases, postgres

NOW = 1_790_000_000_000


@contextmanager
def measured(what: str, count: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.thread_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    print(f"{what:42} {count:7} in {wall:6.2f} s  {count / wall:9.0f}/s  {count / cpu:9.0f}/CPU-s", flush=True)


def transacted(act: Callable[..., object], *arguments: object) -> None:
    with database.transaction():
        act(*arguments)


def arrivals(count: int, size: int) -> list[Arrival]:
    made = []
    for number in range(count):
        octets = b"Subject: %d\r\n\r\n" % number + random.randbytes(size // 2).hex().encode()
        envelope = Envelope(f"a{number}@far.example", (Recipient(f"b{number}@d{number % 50}.example"),))
        made.append(Arrival(new_queue_id(NOW * 1000), spooled_from(octets), b"Received: from somewhere\r\n" * 5,
                            envelope, "transfer", NOW, "[192.0.2.1]:2525", f"<{number}@far.example>"))  # fmt: skip
    return made


def drain(count: int, most: int = 500) -> None:
    me = register("bench:1", NOW)
    done = 0
    while done < count:
        claimed = claim(me, NOW, most, 1_000_000)
        outcomes = [Outcome(one, DELIVERED, "mx.far.example [192.0.2.1]:25", "250 2.0.0 Ok: queued") for one in claimed]
        record_outcomes(outcomes, NOW)
        done += len(claimed)
        assert claimed


def small_messages(count: int) -> None:
    batch = arrivals(count, 4096)
    with measured("enqueue 4 KB messages, 50 a batch", count):
        for start in range(0, count, 50):
            transacted(enqueue_many, batch[start : start + 50])
    with measured("claim and deliver them, 500 a batch", count):
        drain(count)


def members(count: int) -> None:
    """A table of members to select from."""
    database.run("CREATE TABLE bench_member (recipient text, domain text)")
    with database.transaction():
        database.run_many(
            "INSERT INTO bench_member VALUES (%s, %s)",
            [(f"member{n}.name@d{n % 500}.example", f"d{n % 500}.example") for n in range(count)],
        )


def pages() -> int:
    if not database.is_sqlite():
        return int(database.fetch("SELECT pg_database_size(current_database())")[0][0])
    database.fetch("PRAGMA wal_checkpoint(TRUNCATE)")
    ((count,),), ((free,),) = database.fetch("PRAGMA page_count"), database.fetch("PRAGMA freelist_count")
    return int(count - free) * 4096


def post(count: int) -> None:
    members(count)
    before = pages()
    content = keeping.keep(spooled_from(random.randbytes(10_000).hex().encode()))
    with measured(f"enqueue_selected, {count} recipients", count):
        enqueue_selected(
            item=new_queue_id(NOW * 1000), content_id=content, prefix=b"", return_path="garden-bounces@lists.example",
            origin="list", received_at=NOW, list_id=1, because=1, body8=False, smtputf8=False,
            select="SELECT recipient, domain FROM bench_member WHERE recipient <> %s", parameters=["nobody"],
        )  # fmt: skip
    keeping.release([content])
    print(f"{'disk while they wait':42} {(pages() - before) / 1e6:7.2f} MB")
    with measured("claim and deliver the copies", count):
        drain(count)
    database.run("DROP TABLE bench_member")


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5_000
    maillog.quiet()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        if kind == "sqlite":
            database.use(databases.fresh_sqlite(Path(folder)))
            rates(count)
            return
        with postgres.cluster(
            None, databases._fill, fsync="on", synchronous_commit="on", full_page_writes="on", autovacuum="on"
        ) as running:
            database.use(databases.configured(Path(folder), running.create()))
            rates(count)
            database.close()


def rates(count: int) -> None:
    small_messages(count)
    for members_count in (1_000, 10_000, 100_000):
        post(members_count)


if __name__ == "__main__":
    main()
