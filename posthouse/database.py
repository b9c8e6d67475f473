"""The only bridge from asyncio to the database: reads in threads, writes one after another, acts that share a commit.

Read it in this order: `transaction` (how anything is written), `fetch` and `run_many` (the hot paths' way to the
driver), `Bridge` (how a station asks), `GroupCommit` (how many acts that arrive together pay for one fsync).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import django
from django.db import connection, connections, models
from django.db import transaction as django_transaction
from django.db.utils import DatabaseError, DataError, IntegrityError, InterfaceError, ProgrammingError

from posthouse import configuration, maillog, wake, writers_lock
from posthouse.writers_lock import hurried, hurry, whole

__all__ = [
    "Bridge", "Busy", "GroupCommit", "RowIdField", "Unavailable", "after_commit", "among", "announce", "close", "fetch",
    "free_bytes", "generation", "guarded", "hurried", "hurry", "insert_many", "is_outage", "is_sqlite", "run",
    "run_many", "setup", "transaction", "use", "whole",
]  # fmt: skip

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

WRITER_PATIENCE = 60.0  # seconds a station's write waits for others to have written
_WORTH_A_COPY = 8  # rows
_generation = 0  # grows when the process is pointed at another database


class Unavailable(Exception):
    """The database cannot answer or keep anything now: gone, locked, or its disk full. Trying later is right."""


class Busy(Unavailable):
    """Others have written for longer than this one waits; what was wanted was not begun. The text names them."""


def setup() -> None:
    """Make Django ready in this process, with the active configuration. Safe to repeat."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthouse.settings")
    django.setup()


def use(chosen: configuration.Configuration) -> None:
    """Point this process at the database of another configuration (tests and tools); open connections are closed."""
    global _generation
    from posthouse.settings import databases

    configuration.activate(chosen)
    close()
    _generation += 1
    connections.settings = connections.configure_settings(databases(chosen))
    with contextlib.suppress(AttributeError):
        delattr(connections._connections, "default")  # type: ignore[attr-defined]


def generation() -> int:
    """A number that changes when the process is pointed at another database: what was cached of the last is void."""
    return _generation


def close() -> None:
    """Close the calling thread's connection; the next use opens a new one."""
    connection.close()
    writers_lock.forget()


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """A durable write transaction; nested use joins the outer one. A crash leaves all of it or nothing.

    SQLite lets one writer in at a time and makes the others poll. A file lock taken first lets them wait in the
    kernel instead, so the next writer starts the moment the last one is done.
    Events of the maillog that wait in this process are written with it, at no extra commit; those recorded inside it
    share its fate.
    """
    if connection.in_atomic_block:
        marked = maillog.mark()
        try:
            with django_transaction.atomic():
                yield
        except BaseException:
            maillog.forget_since(marked)
            raise
        return
    taken: list[maillog.Event] = []
    maillog.begin()
    try:
        with _begun():
            yield
            taken = maillog.take()
            told = taken + maillog.recorded()
            maillog.insert(told)
    except BaseException:
        maillog.give_back(taken)
        raise
    finally:
        maillog.end()
    maillog.say(told)


@contextlib.contextmanager
def _begun() -> Iterator[None]:
    """A transaction, when nobody else writes. Raises Busy when patience is at its end, Unavailable."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or name == ":memory:" or name.startswith("file:"):
        with django_transaction.atomic():
            yield
        return
    patience = writers_lock.patience()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(writers_lock.held(name, patience))
            writers_lock.enter(stack, patience)
        except writers_lock.Held as held:
            raise Busy(str(held)) from None
        except OSError as error:
            close()
            raise Unavailable(f"the database file {name} cannot be found: {error.strerror}") from error
        yield


class RowIdField(models.BigIntegerField):  # type: ignore[type-arg]
    """A primary key we choose ourselves which SQLite keeps as the row's own number, without a second index."""

    def db_type(self, connection: Any) -> str | None:
        """`integer` is the one word that makes SQLite do so."""
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


@functools.lru_cache(maxsize=1024)
def _question_marks(sql: str) -> str:
    return sql.replace("%s", "?")


def _driver() -> Any:
    """The driver's own connection (sqlite3) or a server-side binding cursor (psycopg), without Django's layers."""
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        return connection.connection
    import psycopg

    return psycopg.Cursor(connection.connection)


def _execute(sql: str, parameters: Sequence[Any]) -> Any:
    return _driver().execute(_question_marks(sql) if connection.vendor == "sqlite" else sql, parameters)


def fetch(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement; %s stands for a parameter on either database. For hot paths: no Django in between.

    Raises Django's database errors, like everything else here.
    """
    with connection.wrap_database_errors, contextlib.closing(_execute(sql, parameters)) as cursor:
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def run(sql: str, parameters: Sequence[Any] = ()) -> int:
    """Run one statement without a result; returns how many rows it changed."""
    with connection.wrap_database_errors, contextlib.closing(_execute(sql, parameters)) as cursor:
        count: int = cursor.rowcount
        return count


def run_many(sql: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run one statement for many rows of parameters: prepared once, on PostgreSQL in one round trip (pipeline)."""
    with connection.wrap_database_errors:
        _driver().executemany(_question_marks(sql) if connection.vendor == "sqlite" else sql, rows)


def insert_many(table: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows; `columns` is a comma list. On PostgreSQL many rows travel as one COPY."""
    if connection.vendor == "sqlite" or len(rows) < _WORTH_A_COPY:
        marks = ", ".join(["%s"] * (columns.count(",") + 1))
        run_many(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        return
    copying = f"COPY {table} ({columns}) FROM STDIN"
    with connection.wrap_database_errors, _driver() as cursor, cursor.copy(copying) as copy:
        for row in rows:
            copy.write_row(row)


def among(column: str, values: Iterable[int]) -> tuple[str, Any]:
    """A condition that `column` is one of many numbers, and its one parameter: the statement stays the same text."""
    if connection.vendor == "sqlite":
        return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(values))
    return f"{column} = ANY(%s)", list(values)


def is_sqlite() -> bool:
    """Whether the active database is SQLite (one writer at a time) rather than PostgreSQL."""
    return connection.vendor == "sqlite"


def after_commit(act: Callable[[], None]) -> None:
    """Call `act` once the current transaction is durable; not at all when it fails."""
    django_transaction.on_commit(act)


def announce(channel: str) -> None:
    """Wake the listeners of a channel (`wake.QUEUE`, ...) once the current transaction is committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [f"posthouse_{channel}"])
    data = configuration.active().data
    django_transaction.on_commit(lambda: wake.call(data, channel))


def guarded(act: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call an act; a failure of the database itself becomes Unavailable and the broken connection is dropped."""
    name = str(connection.settings_dict["NAME"])
    if connection.connection is None and connection.vendor == "sqlite" and name[:1] == "/" and not os.path.exists(name):
        raise Unavailable(f"the database file {name} cannot be found")  # opening it would make an empty one
    try:
        return act(*arguments, **named)
    except (DatabaseError, InterfaceError, OSError) as error:
        if _is_ours(error):
            raise
        with contextlib.suppress(Exception):
            close()
        raise Unavailable(f"{type(error).__name__}: {error}") from error


def is_outage(error: Exception) -> bool:
    """Whether an exception inside a transaction is the database's own failure: the whole transaction is lost."""
    return isinstance(error, Unavailable | DatabaseError | InterfaceError) and not _is_ours(error)


def _is_ours(error: Exception) -> bool:
    """Whether the fault lies in what was asked (a broken rule of the schema), not in the database's health."""
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
        return await asyncio.get_running_loop().run_in_executor(self._readers, _reading, act, *arguments)

    async def write(self, act: Callable[..., T], *arguments: Any) -> T:
        """Call an act inside a write transaction. If it could not begin for WRITER_PATIENCE seconds, because whoever
        holds the database hangs, it is never done."""
        turn = [act]
        loop = asyncio.get_running_loop()
        doing: asyncio.Future[T] = loop.run_in_executor(self._writer, guarded, _in_transaction, turn, *arguments)
        try:
            if not (await asyncio.wait((doing,), timeout=WRITER_PATIENCE))[0]:
                with contextlib.suppress(IndexError):  # it has begun: then it ends, too
                    turn.pop()
                    raise Unavailable(f"the database was held by somebody else for {WRITER_PATIENCE:.0f} seconds")
            return await doing
        finally:
            doing.cancel()

    def submit(self, act: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Like `write`, for a caller that wants the future."""
        return asyncio.get_running_loop().create_task(self.write(act, *arguments))

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


def _reading(act: Callable[..., T], *arguments: Any) -> T:
    """A read; a connection that the server has closed meanwhile (it was restarted) costs one more try, no failure."""
    kept = connection.connection is not None and connection.vendor == "postgresql"
    try:
        return guarded(act, *arguments)
    except Unavailable:
        if not kept:
            raise
        return guarded(act, *arguments)


def _in_transaction(turn: list[Callable[..., T]], *arguments: Any) -> T:
    """Do the act that `turn` holds, unless it was taken away while the writers' lock was waited for."""
    with transaction():
        try:
            act = turn.pop()
        except IndexError:
            raise Unavailable("the turn to write came too late") from None
        return act(*arguments)


class GroupCommit(Generic[Item, Result]):
    """Lets items that arrive together share one transaction, and so one fsync.

    While one transaction runs, the items that come meanwhile gather for the next; nobody waits for those that are
    still on their way. `act` gets a list of items and returns as many results. When a batch fails for a fault of one
    item, the items are tried one by one; when the database is unavailable, every item of the batch gets Unavailable.
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
    return (facts := os.statvfs(folder)).f_bavail * facts.f_frsize
