"""SQL databases of others: read only, values as parameters, connections kept while they work."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from posthouse.configuration import Lookup
from posthouse.configuration.lookups import PLACES, SERVED, server_of
from posthouse.routing.lookups.sources import MOST_VALUES, TooMany

_PIECES = re.compile(rf"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?<![:\w]):({'|'.join(PLACES)})\b|(%)")
_STEPS = 10_000  # of SQLite's machine between two looks at the clock


def for_driver(query: str) -> str:
    """A query with `:place` as drivers of the DB API write it, `%(place)s`; quoted text stays as it is."""

    def written(match: re.Match[str]) -> str:
        if match[2]:
            return f"%({match[2]})s"
        return match[0].replace("%", "%%")

    return _PIECES.sub(written, query)


class _Served:
    """A database behind a server. A connection is used by one thread at a time; a broken one is made anew once."""

    def __init__(self, settings: Lookup) -> None:
        self._settings, self._query = settings, for_driver(settings.query)
        self._idle: dict[str, list[Any]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, server: str, values: Mapping[str, str]) -> tuple[bool, list[str]]:
        """The values of every row. Raises what the driver raises."""
        with self._lock:
            idle = self._idle.setdefault(server, [])
            kept = idle.pop() if idle else None
        if kept is not None:
            try:
                return self._use(server, kept, values)
            except Exception as error:
                if self._answered(error):
                    raise
                # The server may have closed it meanwhile: that says nothing about the server.
        return self._use(server, self._connect(*server_of(server, SERVED[self._settings.kind])), values)

    def _use(self, server: str, connection: Any, values: Mapping[str, str]) -> tuple[bool, list[str]]:
        try:
            with self._watched(connection), connection.cursor() as cursor:
                cursor.execute(self._query, dict(values))
                rows = cursor.fetchmany(MOST_VALUES + 1)
            found = _texts(rows)
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise
        with self._lock:
            if not self._closed:
                self._idle[server].append(connection)
                return found
        connection.close()
        return found

    def close(self) -> None:
        """Close what is idle now, and the rest when it comes back."""
        with self._lock:
            self._closed = True
            idle = [one for kept in self._idle.values() for one in kept]
            self._idle.clear()
        for one in idle:
            with suppress(Exception):
                one.close()

    def _connect(self, host: str, port: int) -> Any:
        raise LookupError("no driver")

    def _watched(self, connection: Any) -> Any:
        raise LookupError("no driver")

    def _answered(self, error: Exception) -> bool:
        """Whether the server itself refused the query: a new connection would hear the same."""
        return isinstance(error, TooMany)


class PostgreSQL(_Served):
    """PostgreSQL through psycopg."""

    def _connect(self, host: str, port: int) -> Any:
        import psycopg

        chosen = self._settings
        tls: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": "system"} if chosen.tls else {}
        return psycopg.connect(
            host=host, port=port, dbname=chosen.database or chosen.user, user=chosen.user or None,
            password=chosen.password or None, autocommit=True, prepare_threshold=None,
            connect_timeout=max(2, round(chosen.deadline)), application_name="posthouse lookup",
            options=f"-c default_transaction_read_only=on -c statement_timeout={round(chosen.deadline * 1000)}",
            **tls,
        )  # fmt: skip

    @contextmanager
    def _watched(self, connection: Any) -> Iterator[None]:
        """A server that says nothing at all is hung up on: the driver itself would wait for ever."""
        watch = threading.Timer(self._settings.deadline, _hang_up, [connection.fileno()])
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _answered(self, error: Exception) -> bool:
        import psycopg

        return super()._answered(error) or isinstance(error, psycopg.ProgrammingError | psycopg.DataError)


class MySQL(_Served):
    """MariaDB and MySQL through PyMySQL, whose sockets have deadlines of their own."""

    def _connect(self, host: str, port: int) -> Any:
        import pymysql

        chosen = self._settings
        place: dict[str, Any] = {"unix_socket": host} if host.startswith("/") else {"host": host, "port": port}
        return pymysql.connect(
            **place, user=chosen.user or None, password=chosen.password, database=chosen.database or None,
            charset="utf8mb4", autocommit=True, connect_timeout=max(1, round(chosen.deadline)),
            read_timeout=chosen.deadline, write_timeout=chosen.deadline,
            init_command="SET SESSION TRANSACTION READ ONLY",
            ssl=ssl.create_default_context() if chosen.tls else None,
        )  # fmt: skip

    @contextmanager
    def _watched(self, connection: Any) -> Iterator[None]:
        yield

    def _answered(self, error: Exception) -> bool:
        import pymysql

        return super()._answered(error) or isinstance(error, pymysql.ProgrammingError | pymysql.DataError)


class Sqlite:
    """An SQLite file, opened for each question: a file put in its place counts at once."""

    def __init__(self, settings: Lookup) -> None:
        self._settings = settings

    def ask(self, server: str, values: Mapping[str, str]) -> tuple[bool, list[str]]:
        """The values of every row. Raises sqlite3.Error, also when the deadline has passed."""
        until = time.monotonic() + self._settings.deadline
        connection = sqlite3.connect(f"file:{quote(server)}?mode=ro", uri=True, timeout=self._settings.deadline)
        try:
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            cursor = connection.execute(self._settings.query, dict(values))
            return _texts(cursor.fetchmany(MOST_VALUES + 1))
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is kept."""


def _texts(rows: list[Any]) -> tuple[bool, list[str]]:
    if len(rows) > MOST_VALUES:
        raise TooMany(f"more than {MOST_VALUES} rows")
    found = [value.decode("utf-8") if isinstance(value, bytes) else str(value)
             for row in rows for value in row if value is not None]  # fmt: skip
    return bool(rows), [value for value in found if value.strip()]


def _hang_up(file: int) -> None:
    with suppress(OSError):
        line = socket.socket(fileno=os.dup(file))
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.close()
