"""Begun beside us for one message: takes on its bounds and its user, and becomes the program. Needs nothing of ours."""

import ctypes
import json
import os
import resource
import signal
import sys

CANNOT = 127  # what is wrong stands on standard output
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38  # prctl(2)


def _tasks_of(uid: int) -> int:
    """How many threads this user runs now: RLIMIT_NPROC counts them all."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def main(spec: str) -> None:
    """Become the program that the specification (JSON, from the courier) names."""
    wanted = json.loads(spec)
    os.umask(0o077)
    libc = ctypes.CDLL(None)
    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, wanted["memory"]),
        (resource.RLIMIT_CPU, wanted["cpu"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_NPROC, _tasks_of(wanted["uid"]) + wanted["processes"]),
    ]
    if wanted["change"]:
        os.setgroups(wanted["groups"])
        os.setgid(wanted["gid"])
        os.setuid(wanted["uid"])
    if not wanted["become"]:
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.chdir(wanted["folder"])
    except OSError:
        os.chdir("/")
    os.execve(wanted["command"][0], wanted["command"], wanted["environment"])  # noqa: S606


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot run it: {error}")
        sys.exit(CANNOT)
