"""One process per role under one parent: it binds the listeners, forks the roles, restarts what dies, stops in order.

Forking after everything is imported lets the roles share their memory. The parent holds no database connection and
no thread, so a fork is always clean.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pwd
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posthouse.configuration import Configuration, endpoint
from posthouse.operations import key_keeper, private, roles
from posthouse.operations.key_keeper import KeyKeeper
from posthouse.reception.front.sockets import ServiceError, bind_unix

ROLES = ("reception", "delivery", "web")
GRACE = 30.0  # seconds a role may take to finish what it does
Sockets = Mapping[str, Sequence[socket.socket]]


class CannotListen(Exception):
    """A listener could not be bound; the text names the address, who holds it and what to do."""


def bind(configuration: Configuration, only: Sequence[str]) -> dict[str, list[socket.socket]]:
    """Bind every listener of the roles in `only`, by name (transfer, submission, submissions, lmtp, service, web).

    Raises CannotListen. In the trial mode a port that is taken is replaced by the next free one.
    """
    wanted: dict[str, list[str]] = {}
    if "reception" in only:
        for name in ("transfer", "submission", "submissions", "lmtp"):
            wanted[name] = getattr(configuration.reception, name)
        wanted["service"] = [text for text in configuration.service.listen if not text.startswith("/")]
    if "web" in only:
        wanted["web"] = configuration.web.listen
    bound: dict[str, list[socket.socket]] = {}
    for name, places in wanted.items():
        moved = 0  # the families of one listener keep the same port
        for place in places:
            host, port = endpoint(place)
            sock, moved = _bind_one(name, host, port, moved, configuration.trial)
            if sock is not None:
                bound.setdefault(name, []).append(sock)
    if "reception" in only and configuration.service.listen:
        try:
            bound.setdefault("service", []).extend(bind_unix(configuration))
        except ServiceError as error:
            raise CannotListen(str(error)) from error
    return bound


def _bind_one(name: str, host: str, port: int, moved: int, trial: bool) -> tuple[socket.socket | None, int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for shift in range(moved, 50):
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            _without_ipv6(name, host, trial)
            return None, moved
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind((host, port + shift))
            sock.listen(1024)
            sock.setblocking(False)
            return sock, shift
        except OSError as error:
            sock.close()
            if isinstance(error, PermissionError):
                raise CannotListen(f"{name}: {host} port {port} needs root; start as root and set `user`") from error
            if error.errno == 99:  # EADDRNOTAVAIL: no such address here
                if family == socket.AF_INET6 and trial:
                    _without_ipv6(name, host, trial)
                    return None, moved
                raise CannotListen(f"{name}: this machine has no address {host}") from error
            holder = holder_of(port + shift)
            if not trial:
                raise CannotListen(
                    f"{name}: port {port} on {host} is taken{holder}; stop that program or choose another port"
                ) from error
            print(f"Port {port + shift} on {host} is taken{holder}; trying {port + shift + 1}.", file=sys.stderr)
    raise CannotListen(f"{name}: no free port near {port} on {host}")


def _without_ipv6(name: str, host: str, trial: bool) -> None:
    if not trial:
        raise CannotListen(f"{name}: this machine has no IPv6; remove [{host}] from the listeners")
    print(f"This machine has no IPv6: {name} listens on IPv4 only.", file=sys.stderr)


def _listens(table: str, parts: list[str], place: int | str) -> bool:
    """Whether a line of a table of the kernel is of a socket that listens there."""
    if table == "unix":
        return parts[3] == "00010000" and parts[7:] == [place]
    return parts[3] == "0A" and int(parts[1].rsplit(":", 1)[1], 16) == place


def holder_of(place: int | str) -> str:
    """` by PROGRAM (process PID)` for whoever listens on a TCP port or the path of a UNIX socket, as far as we may
    see; else an empty string."""
    inodes = set()
    for table, column in (("tcp", 9), ("tcp6", 9)) if isinstance(place, int) else (("unix", 6),):
        try:
            with open(f"/proc/net/{table}") as lines:
                for parts in map(str.split, list(lines)[1:]):
                    if _listens(table, parts, place):
                        inodes.add(f"socket:[{parts[column]}]")
        except OSError:
            continue
    for pid in filter(str.isdigit, os.listdir("/proc") if inodes else []):
        try:
            for handle in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(handle.path) in inodes:
                    with open(f"/proc/{pid}/comm") as name:
                        return f" by {name.read().strip()} (process {pid})"
        except OSError:
            continue
    return ""


@dataclass
class _Child:
    role: str
    pid: int
    started: float
    failures: int = 0


@dataclass
class Supervisor:
    """Keeps the roles running until a signal says stop. `run` returns the exit status."""

    configuration: Configuration
    sockets: Sockets
    only: Sequence[str] = ROLES
    ready: Callable[[], None] | None = None
    children: dict[int, _Child] = field(default_factory=dict)
    waiting: list[tuple[float, str, int]] = field(default_factory=list)  # when, role, failures
    keeper: KeyKeeper | None = None

    def run(self) -> int:
        """Start every role and stay until SIGTERM or SIGINT; 0 after a stop that was asked for."""
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        self._keep_key()  # before the pipe: it must not hold an end
        self.alive, self.alive_writer = os.pipe()  # children see its end when the parent is gone, however it went
        become(self.configuration.user)
        for sentence in private.hindrances(self.configuration):
            raise CannotListen(sentence)
        roles.preload(self.only)
        gc.collect()
        gc.freeze()  # objects made so far stay on shared pages
        for role in self.only:
            for _ in range(getattr(self.configuration.processes, role)):
                self._start(role, 0)
        if self.ready:
            self.ready()
        while True:
            pause = max(
                0.05, min((when for when, _, _ in self.waiting), default=time.monotonic() + 60) - time.monotonic()
            )
            came = signal.sigtimedwait(signals, pause)
            if came is not None and came.si_signo in (signal.SIGTERM, signal.SIGINT):
                return self._stop()
            self._reap()
            now = time.monotonic()
            due = [entry for entry in self.waiting if entry[0] <= now]
            self.waiting = [entry for entry in self.waiting if entry[0] > now]
            for _, role, failures in due:
                self._start(role, failures)

    def _keep_key(self) -> None:
        """Before we cease to be root: who reads the TLS key for the roles, now and after each renewal."""
        chosen = self.configuration
        if chosen.user and chosen.tls.certificate and "reception" in self.only and os.getuid() == 0:
            self.keeper = key_keeper.begin(Path(chosen.tls.certificate), Path(chosen.tls.key), self._only_keep_key)

    def _only_keep_key(self) -> None:
        _be_called("post:keys")
        for bound in self.sockets.values():
            for sock in bound:
                sock.close()

    def _start(self, role: str, failures: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self.children[pid] = _Child(role, pid, time.monotonic(), failures)
            return
        status = 1
        try:
            os.close(self.alive_writer)
            _die_with_parent()
            _be_called(f"post:{role}")
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP})
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            random.seed()
            gc.enable()
            roles.run(role, self.configuration, self.sockets, self.alive, self.keeper)
            status = 0
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is None:
                if self.keeper is not None and pid == self.keeper.pid:
                    print("posthouse: the process that reads the TLS key (post:keys) ended; a renewed certificate is "
                          "used after a restart", file=sys.stderr, flush=True)  # fmt: skip
                continue
            lasted = time.monotonic() - child.started
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            # Nothing kills itself so: an operator or the kernel did. The next one starts at once, however often.
            failures = 0 if lasted > 60 or killed else child.failures + 1
            pause = 0.0 if failures <= 1 else min(30.0, 0.5 * 2 ** (failures - 1))
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
            print(f"posthouse: the {child.role} process {pid} ended with {how}; started again in {pause:.0f} s",
                  file=sys.stderr, flush=True)  # fmt: skip
            self.waiting.append((time.monotonic() + pause, child.role, failures))

    def _stop(self) -> int:
        # Reception first, so that nothing new comes in; delivery finishes what is in flight and gives its claims back.
        for role in ROLES:
            for child in list(self.children.values()):
                if child.role == role:
                    _kill(child.pid, signal.SIGTERM)
        end = time.monotonic() + GRACE
        while self.children and time.monotonic() < end:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid:
                self.children.pop(pid, None)
            else:
                signal.sigtimedwait({signal.SIGCHLD}, 0.1)
        for pid in self.children:
            _kill(pid, signal.SIGKILL)
        return 0


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone (the pipe says it too, for other systems)."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        pass


def _be_called(name: str) -> None:
    """Let ps and top show what this process does, where the system can (Linux keeps 15 letters)."""
    try:
        ctypes.CDLL(None).prctl(15, name.encode("ascii")[:15])  # PR_SET_NAME
    except (OSError, AttributeError):
        pass


def become(user: str) -> None:
    """Drop root for `user`, after the listeners are bound. Raises CannotListen when there is no such user."""
    if not user or os.getuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CannotListen(f"user: there is no user {user!r} on this machine") from None
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
