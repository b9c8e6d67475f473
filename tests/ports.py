"""Ports for programs that are told where to listen: free ones that nobody else is given meanwhile.

A port that the system chose (port 0) and gave back may be somebody else's, a listener's or a client's, before the
program that was told of it comes to listen. So these lie below those that the system gives out, each test process has
its own part of them, and it uses each once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from pathlib import Path

_LOWEST = 10_000
_A_PROCESS = 300  # ports of one test process; who needs more goes on with its neighbour's


def _highest() -> int:
    with contextlib.suppress(OSError, ValueError):
        return min(32_768, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    return 32_768


def _all() -> list[int]:
    places = range(_LOWEST, max(_highest(), _LOWEST + 10 * _A_PROCESS))
    first = os.getpid() * _A_PROCESS % len(places)
    return [*places[first:], *places[:first]]


_ports = itertools.cycle(_all())


def free_port(row: int = 1) -> int:
    """A loopback port that nobody uses; `row`: as many follow one another, this is the first."""
    for _ in range(1000):
        found = [next(_ports) for _ in range(row)]
        if found[-1] - found[0] == row - 1 and all(map(_is_free, found)):
            return found[0]
    raise AssertionError("a thousand ports were taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
