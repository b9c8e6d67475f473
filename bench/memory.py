"""Idle memory of all roles (PSS), 20 seconds after the start and ten pages shown."""

from __future__ import annotations

import time
import urllib.request

from bench.peers import harness
from bench.system import WEB, Posthouse, version


def main(arguments: list[str]) -> None:
    """Measure."""
    lib = harness()
    rows = []
    for number in range(lib.RUNS):
        ours = Posthouse(f"memory{number}")
        ours.start()
        for _ in range(10):
            urllib.request.urlopen(f"http://127.0.0.1:{WEB}/", timeout=30).read()
        time.sleep(20)
        rows.append(lib.mem(ours.pids()))
        ours.stop()
    lib.record("E", version(), "all roles: supervisor, reception, delivery, 2 web", rss_mib=[row[0] for row in rows],
               pss_mib=[row[1] for row in rows], processes=[row[2] for row in rows])  # fmt: skip
