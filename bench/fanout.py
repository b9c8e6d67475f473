"""One 20 KB post to a list of N members, each copy with its own return path, beside Postfix expanding VERP (XVERP).

`python -m bench fanout [N] [--only-ours] [--chunking] [--everything]`; --chunking gives us a sink that offers BDAT,
--everything a list on which every feature that touches a posting or a copy is on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.peers import FOLDER, ROOT, harness
from bench.system import Posthouse, smtp_post, version, wait_idle

LIST = "fan@lists.bench.invalid"
EVERYTHING = (
    "subject_prefix=[fan %d] ", "header=Hello $user_name, this is $display_name.", "personalize=full",
    "footer=Sent to $user_email by $listname; options: $user_optionsurl", "filter_content=yes", "filter_types=image",
    "convert_html_to_plaintext=yes", "dmarc_mitigate_unconditionally=yes", "topics_enabled=yes",
    "topics=plants: tomato|rose", "reply_goes_to_list=point_to_list", "first_strip_reply_to=yes",
    "member_verbosity_threshold=1000", "digests_enabled=yes", "bounce_matching_headers=X-Never: ever",
    "accept_these_nonmembers=^.*@known[.]invalid$", "autorespond_postings=respond_and_continue",
    "autoresponse_postings_text=Thank you.", "archive_rendering_mode=markdown", "max_num_recipients=100",
)  # fmt: skip
_NAMES = {"messages": "msgs", "connections": "conns", "paths": "senders"}  # our sink's words in the harness'


def main(arguments: list[str]) -> None:
    """Measure."""
    numbers = [word for word in arguments if word.isdigit()]
    count = int(numbers[0]) if numbers else 10_000
    lib = harness()
    if "--only-ours" not in arguments:
        subprocess.run([sys.executable, FOLDER / "b_fanout.py", "postfix-xverp", str(count)], check=True,
                       env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL)  # fmt: skip
    ours = Posthouse("fan")
    ours.cli("domains", "add", "lists.bench.invalid")
    ours.cli("lists", "create", LIST, "--owner", "owner@sink.invalid", "--style", "discussion")
    ours.cli("lists", "set", LIST, "respond_to_post_requests=no", "admin_immed_notify=no")
    what = "VERP at departure, all roles"
    if "--everything" in arguments:
        what += ", every feature on, each copy personal"
        ours.cli("lists", "set", LIST, *EVERYTHING)
    members = ours.folder / "members"
    members.write_text("".join(f"user{number:05d}@sink.invalid\n" for number in range(count)))
    begun = time.time()
    ours.cli("members", "add", LIST, "--file", str(members))
    print(f"   {count} members added in {time.time() - begun:.1f} s", flush=True)
    try:
        waiting = _disk(ours, lib, count)
        ours.start()
        chunking = "--chunking" in arguments
        rows = lib.runs(lambda: _one(ours, lib, count, chunking))
    finally:
        ours.stop()
    figures = {name: [row[name] for row in rows] for name in rows[0]}
    lib.record("B", version(), what + (", sink offers CHUNKING" if chunking else ""), n=count,
               waiting_kib=waiting, **figures)  # fmt: skip


def _post(ours: Posthouse, lib: object, number: int) -> None:
    message = lib.sample_message(20480, LIST, "user00000@sink.invalid", f"p{os.getpid()}.{number}.{time.time()}")  # type: ignore[attr-defined]
    smtp_post(ours.port, "user00000@sink.invalid", LIST, message)


def _pages(ours: Posthouse) -> int:
    """Bytes of the database file after everything in the log is in it, unused pages not counted."""
    import sqlite3

    connection = sqlite3.connect(ours.data / "posthouse.sqlite3", timeout=20, isolation_level=None)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    used, free_, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    connection.close()
    return int((used - free_) * size)


def _disk(ours: Posthouse, lib: object, count: int) -> float:
    """KiB that a post takes while all its copies wait: the destination is down."""
    before = _pages(ours)
    ours.start("reception", "delivery")
    _post(ours, lib, 0)
    end = time.time() + 60
    while time.time() < end:
        import sqlite3

        with sqlite3.connect(ours.data / "posthouse.sqlite3", timeout=20) as connection:
            if connection.execute("SELECT COUNT(*) FROM queue_delivery").fetchone()[0] >= count:
                break
        time.sleep(0.1)
    ours.stop()
    grown = (_pages(ours) - before) / 1024
    print(f"   all {count} copies waiting: {grown:.0f} KiB", flush=True)
    _empty(ours)
    return grown


def _empty(ours: Posthouse) -> None:
    """Drop the copies that waited, so that the timed runs begin with an empty queue."""
    import sqlite3

    with sqlite3.connect(ours.data / "posthouse.sqlite3", timeout=20) as connection:
        connection.execute("DELETE FROM queue_delivery")
        connection.execute("DELETE FROM queue_message")
        connection.execute("UPDATE queue_destination SET suspended_until = 0, failures = 0")


def _one(ours: Posthouse, lib: object, count: int, chunking: bool) -> dict[str, float]:
    sink = _sink(lib, count, chunking)
    sampler = lib.Sampler([str(ours.data)])  # type: ignore[attr-defined]
    meter = lib.Meter()  # type: ignore[attr-defined]
    _post(ours, lib, 1)
    injected = time.time()
    result = sink.wait(550)
    result = {_NAMES.get(name, name): value for name, value in result.items()}
    meter.stop(result["last"])
    wait_idle(ours)
    peak = sampler.stop()
    sink.end()
    spent = (lib.cpu() or 0) - meter.c  # type: ignore[attr-defined]
    return dict(seconds=meter.wall, copies_per_s=count / meter.wall, cpu_s=spent, inject_s=injected - meter.t,
                first_s=result["first"] - meter.t, others=meter.others, senders=result["senders"],
                sink_msgs=result["msgs"], sink_conns=result["conns"], **peak)  # fmt: skip


def _sink(lib: object, count: int, chunking: bool) -> object:
    """The harness' sink, or ours, which offers CHUNKING; both are read and waited for in the same way."""
    if not chunking:
        return lib.Sink(count)  # type: ignore[attr-defined]
    program = os.path.join(lib._tmp, "chunking-sink")  # type: ignore[attr-defined]
    if not os.path.exists(program):
        subprocess.run(["cc", "-O2", "-w", "-o", program, str(ROOT / "bench" / "sink.c")], check=True)
    sink = lib.Sink.__new__(lib.Sink)  # type: ignore[attr-defined]
    lib.free_port(lib.P_SINK)  # type: ignore[attr-defined]
    sink.p = lib.spawn([program, str(lib.P_SINK), str(count), "chunking"], stdout=subprocess.PIPE)  # type: ignore[attr-defined]
    lib.wait_port(lib.P_SINK)  # type: ignore[attr-defined]
    return sink
