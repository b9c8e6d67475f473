"""Accept and relay 5,000 messages of 4 KB from 20 sessions to smtp-sink, beside Postfix (and Exim with --exim).

Every message is durable before its 250 in all of them. Both ways: a connection per message, and sessions kept.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.peers import harness
from bench.system import Posthouse, version


def main(arguments: list[str]) -> None:
    """Measure; `arguments`: --exim, --only-ours, a number of messages."""
    numbers = [word for word in arguments if word.isdigit()]
    if numbers:
        os.environ["N"] = numbers[0]
    relay = harness("a_relay", "nothing")
    lib = harness()
    if "--only-ours" not in arguments:
        postfix = relay.Postfix().start()
        relay.measure("Postfix " + lib.deb("postfix"), postfix, "Debian master.cf without chroot, default limits")
        postfix.stop()
        if "--exim" in arguments:
            exim = _started(relay.Exim())
            relay.measure("Exim 4.96", exim, "split spool, immediate delivery")
            exim.stop()
    for processes in (1, 2):
        ours = Posthouse(f"relay{processes}", more=f"[processes]\nreception = {processes}")
        ours.start("reception", "delivery")
        try:
            relay.measure(version(), ours, f"reception = {processes}, delivery = 1, SQLite, fsync on")
        finally:
            ours.stop()


def _started(exim: object) -> object:
    """Start Exim; its file with the process id comes a moment after its port answers."""
    import time

    try:
        exim.start()  # type: ignore[attr-defined]
    except FileNotFoundError as error:
        path = Path(error.filename)
        while not path.exists() or not path.read_text().strip():
            time.sleep(0.05)
        exim.pid = int(path.read_text())  # type: ignore[attr-defined]
    return exim
