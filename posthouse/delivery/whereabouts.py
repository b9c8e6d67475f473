"""Where a delivery process runs, so that the next one on this host knows at once whose claims nobody holds any more."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def place() -> str:
    """The host, its boot and its process namespace: within one place a process id means one process.

    Containers that share a host name differ in the namespace; a restarted machine in the boot.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""
    return f"{socket.gethostname()}:{boot}:{namespace}"


def name() -> str:
    """What this process is called among the claimants."""
    return f"{place() or socket.gethostname()}:{os.getpid()}"


def is_gone(process: int) -> bool:
    """Whether no process of this place has that id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        return False
    return False
