"""Ports for programs that are told where to listen: free ones that nobody else is given meanwhile.

A port that the system chose (port 0) and gave back may be somebody else's, a listener's or a client's, before the
program that was told of it comes to listen. So these lie below those that the system gives out, each process of a test
run has a lane of its own among them, and comes back to one only after all others of its lane.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from pathlib import Path

_LOWEST = 10_000
_LANES = 8


def _highest() -> int:
    with contextlib.suppress(OSError, ValueError):
        return min(32_768, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    return 32_768


def _lane() -> list[int]:
    places = range(_LOWEST, max(_highest(), _LOWEST + 1000 * _LANES))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    size = len(places) // _LANES
    mine = places[int(worker or os.getpid()) % _LANES * size :][:size]
    first = os.getpid() * 97 % len(mine)  # other runs of the tests on this machine begin elsewhere
    return [*mine[first:], *mine[:first]]


_ports = itertools.cycle(_lane())


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
