"""A PostgreSQL server of our own for tests: made from Debian's binaries, on a free loopback port, gone at the end."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ports import free_port

TEMPLATE = "posthouse_template"
_SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB",
    "max_connections": "60", "autovacuum": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
    "logging_collector": "off", "log_min_messages": "fatal", "max_wal_size": "256MB",
}  # fmt: skip
# Brings a database back to the template's state: tables of Django's own keep their rows, all others are emptied (large
# ones by TRUNCATE, so that no dead rows slow the next test), counters begin anew, tables that a test made are dropped.
_EMPTY = """
DO $$
DECLARE one record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    LOOP
        IF NOT one.relname ~ '^(django|auth|content|directory|encounters|queue|archive|lists|web)_' THEN
            EXECUTE format('DROP TABLE %I CASCADE', one.relname);
            CONTINUE;
        END IF;
        CONTINUE WHEN one.relname IN ('django_migrations', 'django_content_type', 'auth_permission');
        IF pg_total_relation_size(one.oid) > 2000000 THEN
            EXECUTE format('TRUNCATE %I CASCADE', one.relname);
        ELSIF pg_relation_size(one.oid) > 0 THEN
            EXECUTE format('DELETE FROM %I', one.relname);
        END IF;
    END LOOP;
    FOR one IN SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL AND schemaname = 'public'
        AND sequencename !~ '^(django|auth)_'
    LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename);
    END LOOP;
END $$
"""
_numbers = itertools.count(1)


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL's programs, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).parent if elsewhere else None


def require() -> Path:
    """The programs' folder, or the test is skipped; with CI=true in the environment it fails instead."""
    found = binaries()
    if found is None:
        sentence = "PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb): its tests are skipped"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


def _die_with_parent() -> None:
    """Runs in the child: the server stops at once when the process that started it is gone, however it went."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG; SIGQUIT is PostgreSQL's immediate shutdown


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as its own user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class Cluster:
    """One running server. Stop and start it to play an outage."""

    def __init__(self, folder: Path, programs: Path, settings: dict[str, str]) -> None:
        self.folder, self.programs, self.settings = folder, programs, settings
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: list[str] = []

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in {**_SETTINGS, **self.settings}.items()]
        self._process = subprocess.Popen(
            [str(self.programs / "postgres"), "-D", str(self.folder), "-p", str(self.port), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            preexec_fn=_die_with_parent, **_identity(),
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=60).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)  # the only way to learn that a server is ready is to ask it

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server: SIGQUIT like a crash, SIGINT in order."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(120)
            self._process = None

    def url(self, name: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def run(self, *statements: str) -> None:
        """Run statements as the superuser, outside of any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self, template: str = TEMPLATE) -> str:
        """A new database, a copy of the template (migrations applied); returns its URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def borrow(self) -> str:
        """Like `create`, or one that was given back: as good as new, ten times sooner."""
        return self._idle.pop() if self._idle else self.create()

    def give_back(self, url: str) -> None:
        """Take a borrowed database back: whoever is connected goes, and so does everything the template has not."""
        name = url.rpartition("/")[2]
        try:
            with psycopg.connect(self.url(name), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                connection.execute(_EMPTY)
            self._idle.append(url)
        except psycopg.Error:  # a test left it in a state nobody can repair: another takes its place
            self.drop(url)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def _sweep() -> None:
    """Remove what killed test runs left behind."""
    for folder in Path(tempfile.gettempdir()).glob("posthouse-pg-*-*"):
        if not Path(f"/proc/{folder.name.split('-')[2]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def cluster(
    kept: Path | None = None, fill: Callable[[Cluster], None] | None = None, **settings: str
) -> Iterator[Cluster]:
    """A running server, gone afterwards.

    `fill` prepares it once (makes the template database); with `kept` the prepared files are kept there and copied the
    next time. `settings` are PostgreSQL's (fsync="on" for benchmarks).
    """
    programs = require()
    _sweep()
    base = Path(tempfile.mkdtemp(prefix=f"posthouse-pg-{os.getpid()}-"))
    base.chmod(0o755)
    folder = base / "data"
    made = Cluster(folder, programs, settings)
    try:
        if kept is not None and kept.is_dir():
            subprocess.run(["cp", "-a", str(kept), str(folder)], check=True)
        else:
            _initialise(made, base, kept, fill)
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(base, ignore_errors=True)


def _initialise(made: Cluster, base: Path, kept: Path | None, fill: Callable[[Cluster], None] | None) -> None:
    identity = _identity()
    made.folder.mkdir(mode=0o700)
    if identity:
        os.chown(made.folder, identity["user"], identity["group"])
    subprocess.run(
        [str(made.programs / "initdb"), "-D", str(made.folder), "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **identity,
    )  # fmt: skip
    if fill is None:
        return
    made.start()
    fill(made)
    made.stop(signal.SIGINT)
    if kept is not None:
        copy = kept.with_name(f"{kept.name}.{os.getpid()}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(made.folder), str(copy)], check=True)
        try:
            copy.rename(kept)
        except OSError:  # another test run was first
            shutil.rmtree(copy, ignore_errors=True)
