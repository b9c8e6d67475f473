"""Import an mbox of N generated messages: stored, threaded and searchable at the end; beside public-inbox.

`python -m bench import [N] [--only-ours] [--postgresql]`
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

from bench.peers import FOLDER, ROOT, harness
from bench.system import Posthouse, version

LIST = "bench-list@lists.example"


def prepared(name: str = "import") -> Posthouse:
    """A system with the list that the mbox is imported into."""
    ours = Posthouse(name)
    ours.cli("domains", "add", "lists.example")
    ours.cli("lists", "create", LIST, "--owner", "owner@sink.invalid")
    return ours


def run(ours: Posthouse, mbox: str) -> None:
    """Import, inside the peers' CPU group."""
    command = [sys.executable, "-m", "posthouse", "--config", str(ours.config), "archive", "import", LIST, mbox]
    ours.lib.run(command, peer=True, cwd=str(ROOT), stdout=subprocess.DEVNULL)


def main(arguments: list[str]) -> None:
    """Measure."""
    numbers = [word for word in arguments if word.isdigit()]
    count = int(numbers[0]) if numbers else 20_000
    hk = harness("hk")
    lib = harness()
    mbox = hk.data(count)
    if "--only-ours" not in arguments:
        subprocess.run([sys.executable, FOLDER / "c_import.py", "public-inbox", str(count)], check=True,
                       env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL)  # fmt: skip
    number = [0]

    def one() -> dict[str, float]:
        number[0] += 1
        ours = prepared(f"import{number[0]}")
        meter = lib.Meter()
        run(ours, mbox)
        meter.stop()
        return dict(rate=count / meter.wall, cpu_ms=meter.cpu * 1000 / count, others=meter.others, **sizes(ours))

    rows = lib.runs(one)
    lib.record("C", version(), "import, threads and search index in one pass", n=count,
               **{name: [row[name] for row in rows] for name in rows[0]})  # fmt: skip


def sizes(ours: Posthouse) -> dict[str, float]:
    """Stored messages, MiB of text, of the search index, of the whole database."""
    connection = sqlite3.connect(ours.data / "posthouse.sqlite3")
    stored = connection.execute("SELECT COUNT(*) FROM archive_posting").fetchone()[0]
    text = connection.execute(
        "SELECT SUM(LENGTH(CAST(subject || author || recipients || body || files AS BLOB))) FROM archive_text"
    ).fetchone()[0]
    index = connection.execute(
        "SELECT SUM(LENGTH(block)) FROM archive_search_data"
    ).fetchone()[0]  # fmt: skip
    connection.close()
    return {"stored": stored, "text_mib": text / 2**20, "index_mib": index / 2**20, "index_to_text": index / text,
                "disk_mib": ours.lib.du(str(ours.data))[0]}  # fmt: skip
