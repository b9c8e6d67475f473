"""Who may write to SQLite now: a lock file in which writers wait in the kernel, with patience that may be bounded.

A station waits as long as it takes (its bridge gives up by itself). A web page or a command has a `Patience`: a thread
of its own waits in the kernel meanwhile, so that the bound costs no fairness, and hands the lock over if it is wanted.
Read `hurry` and `hurried` (who is patient for how long), `held` (the lock), `enter` (SQLite's own lock, inside ours).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.db.utils import OperationalError

from posthouse import belonging

REST = 60.0  # seconds
BUSY_TIMEOUT = 20_000  # milliseconds that SQLite itself waits where nobody is in a hurry
_CMDLINE = 100  # characters shown of another process's command line


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for others to have written (seconds), and what is told of whom after `say_after` seconds."""

    seconds: float
    say: Callable[[str], None] | None = None
    say_after: float = 2.0
    clock: Callable[[], float] = time.monotonic

    def ended(self, whom: str) -> Held:
        """What is raised at its end."""
        return Held(f"{whom} has held the database for {self.seconds:.0f} seconds")


class Held(Exception):
    """Others wrote for longer than patience lasts; the text names them."""


class _Hurry(threading.local):
    own: Patience | None = None
    whole = False  # several writes belong together
    begun = False  # the first of them was done


_hurry = _Hurry()
_everywhere: Patience | None = None  # of this process


@contextlib.contextmanager
def hurried(seconds: float) -> Iterator[None]:
    """In this thread, for now: a write that others hold back for so long is not begun, and raises database.Busy."""
    before, _hurry.own = _hurry.own, Patience(seconds)
    try:
        yield
    finally:
        _hurry.own = before
        if connection.connection is not None and connection.vendor == "sqlite":
            usual = BUSY_TIMEOUT if _everywhere is None else _everywhere.seconds * 1000
            connection.connection.execute(f"PRAGMA busy_timeout={usual:.0f}")  # as it was


def hurry(seconds: float | None, say: Callable[[str], None] | None = None) -> None:
    """In this process: a write that others hold back for so long is not begun, and raises database.Busy. After two
    seconds `say` is told who they are. On PostgreSQL no lock is waited for longer, either. None: without bound."""
    global _everywhere
    _everywhere = None if seconds is None else Patience(seconds, say)
    connection_created.connect(_hurried_connection, dispatch_uid="hurry")


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Several writes of this thread that belong together: when the first was done, the others wait REST seconds, so
    that hardly anything is left half done."""
    _hurry.whole, _hurry.begun = True, False
    try:
        yield
    finally:
        _hurry.whole = _hurry.begun = False


def patience() -> Patience | None:
    """That of this thread, or of this process; None is without bound."""
    found = _hurry.own or _everywhere
    return replace(found, seconds=max(REST, found.seconds)) if found and _hurry.begun else found


def _hurried_connection(connection: Any, **named: Any) -> None:
    if _everywhere is None:
        return
    milliseconds = f"{_everywhere.seconds * 1000:.0f}"
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [milliseconds])
    else:  # for what Django writes by itself: sessions
        connection.connection.execute(f"PRAGMA busy_timeout={milliseconds}")


@dataclass(slots=True)
class _Lock:
    """The calling thread's handle on the lock, and which database file it was opened beside."""

    name: str
    handle: int
    inode: int


class _Own(threading.local):
    held: _Lock | None = None
    waiter: _Waiter | None = None


_own = _Own()


def forget() -> None:
    """Close the calling thread's handle; the next use opens a new one."""
    if _own.held is not None:
        os.close(_own.held.handle)
        _own.held = None


@contextlib.contextmanager
def held(name: str, patience: Patience | None) -> Iterator[None]:
    """Hold the lock of the database file `name`. Raises FileNotFoundError when that is gone: SQLite would go on writing
    into a file without a name, or make an empty one, and what was promised would be lost. Raises Held."""
    handle = _handle_beside(name)
    if patience is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
    else:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with _waited_for(name, patience):
                yield
            return
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _handle_beside(name: str) -> int:
    try:
        inode = os.stat(name).st_ino
    except OSError:
        forget()
        raise
    known = _own.held
    if known is not None and (known.name != name or known.inode != inode):
        forget()
        known = None
    if known is None:
        known = _own.held = _Lock(name, _opened(name), inode)
    return known.handle


def _opened(name: str) -> int:
    path = f"{name}.writer"
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        belonging.hand_over(path)
        return handle


class _Waiter:
    """Waits for the lock in a thread of its own, with a handle of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handle: int | None = _opened(name)
        self._guard = threading.Lock()
        self._wanted, self._got = True, threading.Event()
        threading.Thread(target=self._wait, name="writers-lock", daemon=True).start()

    def _wait(self) -> None:
        assert self._handle is not None
        with contextlib.suppress(OSError):
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        with self._guard:
            self._got.set()
            if not self._wanted:
                self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)  # and the lock with it
            self._handle = None

    def wait(self, seconds: float) -> bool:
        """Whether the lock is held now; waits at most so long."""
        return self._got.wait(seconds)

    def wanted_again(self, name: str) -> bool:
        """Whether this one, given up before, still waits and will hand the lock over after all."""
        with self._guard:
            if self.name != name or self._got.is_set():
                return False
            self._wanted = True
            return True

    def give_up(self) -> None:
        """Let go of the lock, now or as soon as it comes."""
        with self._guard:
            self._wanted = False
            if self._got.is_set():
                self._close()


@contextlib.contextmanager
def _waited_for(name: str, patience: Patience) -> Iterator[None]:
    """The lock that somebody else holds now. A thread has one waiter at most, however often it gives up."""
    waiter = _own.waiter
    if waiter is None or not waiter.wanted_again(name):
        waiter = _own.waiter = _Waiter(name)
    try:
        first = min(patience.say_after, patience.seconds) if patience.say else patience.seconds
        begun = patience.clock()
        if not waiter.wait(first):
            if patience.say and first < patience.seconds:
                patience.say(holder(name))
            if not waiter.wait(max(0.0, patience.seconds - (patience.clock() - begun))):
                raise patience.ended(holder(name))
        yield
    finally:
        waiter.give_up()


def enter(stack: contextlib.ExitStack, patience: Patience | None) -> None:
    """BEGIN IMMEDIATE. Somebody may hold SQLite's own lock without ours: another program that has opened the file.
    Raises Held."""
    if patience is None:
        stack.enter_context(transaction.atomic())
        return
    _hurry.begun = _hurry.whole
    first = min(patience.seconds, patience.say_after) if patience.say else patience.seconds
    rest = patience.seconds - first
    for seconds in (first, rest) if rest else (first,):  # with none left it would be refused at once from then on
        connection.ensure_connection()
        connection.connection.execute(f"PRAGMA busy_timeout={seconds * 1000:.0f}")
        try:
            stack.enter_context(transaction.atomic())
            return
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            if patience.say and rest:
                patience.say("another program")
                rest = 0.0  # that is said once
    raise patience.ended("another program")


def holder(name: str) -> str:
    """Who holds the lock of the database file `name`, as far as the system tells."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        facts = os.stat(f"{name}.writer")
        place = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()  # `1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF`; `1: -> FLOCK ...` waits
            if words[1] == "FLOCK" and words[5] == place:
                return _process(int(words[4]))
    return "another process"


def _process(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return f"process {pid}"
    told = " ".join(word.decode("utf-8", "replace") for word in words if word)
    told = "".join(letter if letter.isprintable() else "?" for letter in told)[:_CMDLINE]
    return f"process {pid} ({told})" if told else f"process {pid}"
