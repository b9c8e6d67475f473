"""The only bridge from asyncio to the database: reads in threads, writes one after another, acts that share a commit.

Read it in this order: `transaction` (how anything is written), `Bridge` (how a station asks), `GroupCommit` (how many
acts that arrive together pay for one fsync).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import django
from django.db import DatabaseError, InterfaceError, connection, connections
from django.db import transaction as django_transaction

from posthouse import configuration, maillog, wake

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

_locks = threading.local()


class Unavailable(Exception):
    """The database cannot answer or keep anything now: gone, locked, or its disk full. Trying later is right."""


def setup() -> None:
    """Make Django ready in this process, with the active configuration. Safe to repeat."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthouse.settings")
    django.setup()


def use(chosen: configuration.Configuration) -> None:
    """Point this process at the database of another configuration (tests and tools); open connections are closed."""
    from posthouse.settings import databases

    configuration.activate(chosen)
    close()
    connections.settings = connections.configure_settings(databases(chosen))
    with contextlib.suppress(AttributeError):
        delattr(connections._connections, "default")  # type: ignore[attr-defined]


def close() -> None:
    """Close the calling thread's connection; the next use opens a new one."""
    connection.close()
    handle = getattr(_locks, "file", None)
    if handle is not None:
        os.close(handle[1])
        _locks.file = None


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """A durable write transaction; nested use joins the outer one.

    SQLite lets one writer in at a time and makes the others poll. A file lock taken first lets them wait in the
    kernel instead, so the next writer starts the moment the last one is done.
    Events of the maillog that wait in this process are written with it, at no extra commit.
    """
    if connection.in_atomic_block:
        with django_transaction.atomic():
            yield
        return
    taken: list[maillog.Event] = []
    try:
        with _writer_lock(), django_transaction.atomic():
            yield
            taken = maillog.take()
            maillog.insert(taken)
    except BaseException:
        maillog.give_back(taken)
        raise
    maillog.say(taken)


@contextlib.contextmanager
def _writer_lock() -> Iterator[None]:
    if connection.vendor != "sqlite":
        yield
        return
    name = str(connection.settings_dict["NAME"])
    if name == ":memory:" or name.startswith("file:"):
        yield
        return
    known = getattr(_locks, "file", None)
    if known is None or known[0] != name:
        known = (name, os.open(f"{name}.writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _locks.file = known
    fcntl.flock(known[1], fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(known[1], fcntl.LOCK_UN)


def announce(channel: str) -> None:
    """Wake the listeners of a channel (`wake.QUEUE`, ...) once the current transaction is committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [f"posthouse_{channel}"])
    data = configuration.active().data
    django_transaction.on_commit(lambda: wake.call(data, channel))


def guarded(act: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call an act; a failure of the database itself becomes Unavailable and the broken connection is dropped."""
    try:
        return act(*arguments, **named)
    except (DatabaseError, InterfaceError, OSError) as error:
        if _is_ours(error):
            raise
        with contextlib.suppress(Exception):
            close()
        raise Unavailable(f"{type(error).__name__}: {error}") from error


def _is_ours(error: Exception) -> bool:
    """Whether the fault lies in what was asked (a broken rule of the schema), not in the database's health."""
    from django.db import DataError, IntegrityError, ProgrammingError

    return isinstance(error, IntegrityError | DataError | ProgrammingError)


class Bridge:
    """Calls synchronous acts from a station's event loop.

    Reads run side by side in `readers` threads; writes run one after another in one thread, each in a transaction of
    its own. Every thread keeps its connection. Both raise Unavailable when the database cannot be used.
    """

    def __init__(self, readers: int = 2) -> None:
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")

    async def read(self, act: Callable[..., T], *arguments: Any) -> T:
        """Call an act that only reads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, guarded, act, *arguments)

    async def write(self, act: Callable[..., T], *arguments: Any) -> T:
        """Call an act inside a write transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, guarded, _in_transaction, act, *arguments)

    def submit(self, act: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Like `write`, for a caller that wants the future."""
        return asyncio.get_running_loop().run_in_executor(self._writer, guarded, _in_transaction, act, *arguments)

    def close(self) -> None:
        """Finish what was asked for and close every thread's connection."""
        for pool in (self._readers, self._writer):
            size = pool._max_workers
            gate = threading.Barrier(size)

            def leave(gate: threading.Barrier = gate) -> None:
                with contextlib.suppress(threading.BrokenBarrierError):
                    gate.wait(10)  # so that every thread, not one of them several times, closes its connection
                close()

            for done in [pool.submit(leave) for _ in range(size)]:
                done.result()
            pool.shutdown(wait=True)


def _in_transaction(act: Callable[..., T], *arguments: Any) -> T:
    with transaction():
        return act(*arguments)


class GroupCommit(Generic[Item, Result]):
    """Lets items that arrive together share one transaction, and so one fsync.

    No timer: while one transaction runs, the items that come meanwhile gather for the next. `act` gets a list of
    items and returns as many results. When a batch fails for a fault of one item, the items are tried one by one;
    when the database is unavailable, every item of the batch gets Unavailable.
    """

    def __init__(self, bridge: Bridge, act: Callable[[Sequence[Item]], Sequence[Result]], most: int = 500) -> None:
        self._bridge, self._act, self._most = bridge, act, most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    def add(self, item: Item) -> asyncio.Future[Result]:
        """Hand over an item; the future is done when its transaction is durable."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
        return future

    async def drained(self) -> None:
        """Wait until nothing waits."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._commit(batch)
        finally:
            self._running = None

    async def _commit(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._bridge.write(self._act, [item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1 or isinstance(error, Unavailable):
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                return
            for one in batch:
                await self._commit([one])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def free_bytes(folder: Path) -> int:
    """Bytes an unprivileged process may still write on the file system of `folder`."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
