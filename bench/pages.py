"""Archive pages with 20,000 messages at 4 clients (wrk), beside public-inbox.

`python -m bench pages [N] [--only-ours] [WORD ...]`; words choose the pages whose names have one of them.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

from bench.importing import LIST, prepared, run
from bench.peers import FOLDER, harness
from bench.system import WEB, version


def main(arguments: list[str]) -> None:
    """Measure."""
    numbers = [word for word in arguments if word.isdigit()]
    count = int(numbers[0]) if numbers else 20_000
    harness()  # says where results go, for the peer's own process too
    if "--only-ours" not in arguments:
        subprocess.run([sys.executable, FOLDER / "d_web.py", "public-inbox", str(count)], check=True,
                       env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL)  # fmt: skip
    measure = _wrk()
    words = [word for word in arguments if not word.isdigit() and not word.startswith("-")]

    def web(name: str, urls: list[str]) -> None:
        if not words or any(word in name for word in words):
            measure(name, urls)

    ours = prepared("pages")
    run(ours, harness("hk").data(count))
    with sqlite3.connect(ours.data / "posthouse.sqlite3") as connection:
        threads = [row[0] for row in connection.execute(
            "SELECT key FROM archive_thread WHERE postings BETWEEN 8 AND 12 ORDER BY id LIMIT 50")]  # fmt: skip
    base = f"/archives/{LIST}/"
    ours.start()
    try:
        web("thread page (8 to 12 messages in full)", [f"{base}thread/{key}/" for key in threads])
        web("list page", [base])
        web("month page", [f"{base}{year}/{month:02d}/" for year in (2024, 2025) for month in range(1, 13)])
        web("one message page", [f"{base}message/{key}/" for key in threads])
        web("search, common word", [f"{base}search?q=release"])
        web("search, common word, ranked", [f"{base}search?q=release&sort=rank"])
        web("search, rare word", [f"{base}search?q=zyxquartz"])
    finally:
        ours.stop()


def _wrk() -> object:
    """The page measure of the peers' harness, taken from its source without running it."""
    lib = harness("hk")
    source = (FOLDER / "d_web.py").read_text()
    names: dict[str, object] = {"__file__": str(FOLDER / "d_web.py")}
    exec(compile(source.split("\nwhat = sys.argv[1]")[0], "d_web.py", "exec"), names)

    def one(name: str, urls: list[str]) -> None:
        names["pages"](version(), "2 web processes, no cache in front", WEB, [(name, urls)])  # type: ignore[operator]

    assert lib
    return one
