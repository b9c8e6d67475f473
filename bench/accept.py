"""Accept 5,000 messages of 4 KB from 20 sessions and keep them, nothing leaving yet; beside Postfix in the same state.

Every message is durable before its 250 in both. Both ways: a connection per message, and sessions kept.
"""

from __future__ import annotations

import subprocess
import time
from typing import Any

from bench.peers import harness
from bench.system import Posthouse, version

COUNT = 5000


def main(arguments: list[str]) -> None:
    """Measure."""
    relay = harness("a_relay", "nothing")
    lib = harness()
    postfix = relay.Postfix(extra={"defer_transports": "smtp"}).start()
    _measure(relay, lib, "Postfix " + lib.deb("postfix"), "accept only (defer_transports)", postfix.port)
    postfix.stop()
    ours = Posthouse("accept").start("reception")
    try:
        _measure(relay, lib, version(), "accept only (--only reception)", ours.port)
    finally:
        ours.stop()


def _measure(relay: Any, lib: Any, peer: str, config: str, port: int) -> None:
    for kept in (False, True):

        def one(kept: bool = kept) -> dict[str, float]:
            meter = lib.Meter()
            source = lib.spawn(["smtp-source", *(["-d"] if kept else []), "-s", "20", "-m", str(COUNT), "-F", relay.MSG,
                                "-f", "sender@bench.invalid", "-t", "user@sink.invalid", f"127.0.0.1:{port}"],
                               stderr=subprocess.DEVNULL)  # fmt: skip
            source.wait()
            meter.stop(time.time())
            return {"accepted": COUNT / meter.wall, "cpu": meter.cpu * 1000 / COUNT, "others": meter.others}

        one()
        rows = lib.runs(one)
        how = "sessions kept (-d)" if kept else "one connection per message"
        names = {"accepted_per_s": "accepted", "cpu_ms_per_msg": "cpu", "others_share": "others"}
        lib.record(
            "A", peer, f"{config}; {how}", n=COUNT, **{to: [row[at] for row in rows] for to, at in names.items()}
        )
