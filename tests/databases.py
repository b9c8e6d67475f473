"""Databases for tests: a fresh copy of a migrated SQLite file or PostgreSQL database for each test.

Importing this module makes Django ready. The fixtures `sqlite`, `postgresql` and `database` (both, one after the
other) give the active Configuration; its data directory and its database belong to the test alone.
"""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

import posthouse
from posthouse import configuration, database, maillog
from posthouse.configuration import Configuration
from tests import postgres

_HOME = Path(tempfile.mkdtemp(prefix="posthouse-tests-home-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)


def _make_ready() -> None:
    configuration.activate(Configuration(data_directory=str(_HOME), hostname="mx.lists.example"))
    database.setup()
    maillog.quiet()


_make_ready()


def _kept() -> Path:
    """The folder of the prepared templates: named by all migrations, so a changed one makes a new template."""
    digest = hashlib.sha256(django.__version__.encode())
    for path in sorted((Path(posthouse.__path__[0])).glob("*/migrations/*.py")):
        digest.update(str(path).encode() + path.read_bytes())
    return Path(tempfile.gettempdir()) / f"posthouse-templates-{os.getuid()}" / digest.hexdigest()[:16]


def configured(data: Path, url: str = "") -> Configuration:
    """A configuration for tests: its own data directory, nothing leaves the machine unless a test says where to."""
    chosen = Configuration(data_directory=str(data), hostname="mx.lists.example")
    return dataclasses.replace(chosen, database=configuration.Database(url=url))


def migrate(chosen: Configuration) -> None:
    """Point the process at the database of `chosen` and bring it up to date."""
    from django.core.management import call_command

    database.use(chosen)
    call_command("migrate", verbosity=0, interactive=False)
    database.close()


def _template_sqlite() -> Path:
    template = _kept() / "template.sqlite3"
    if not template.exists():
        template.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="making-", dir=template.parent))
        made = folder / "made.sqlite3"
        try:
            migrate(
                configured(folder, f"sqlite:///{made}")
            )  # closing the last connection empties the WAL into the file
            made.rename(template)
        finally:
            shutil.rmtree(folder)
    return template


def fresh_sqlite(folder: Path) -> Configuration:
    """A configuration whose data directory is `folder` and whose database there is new and migrated."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template_sqlite(), folder / "posthouse.sqlite3")
    return configured(folder)


def _fill(cluster: postgres.Cluster) -> None:
    cluster.run(f"CREATE DATABASE {postgres.TEMPLATE}")
    migrate(configured(_HOME, cluster.url(postgres.TEMPLATE)))


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """The PostgreSQL server of this test run, its template database migrated."""
    postgres.require()
    with postgres.cluster(_kept() / "postgresql", _fill) as running:
        yield running


def _used(chosen: Configuration) -> Iterator[Configuration]:
    database.use(chosen)
    maillog.take()
    try:
        yield chosen
    finally:
        database.close()
        maillog.take()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Configuration]:
    """A fresh SQLite database, active in this process."""
    yield from _used(fresh_sqlite(tmp_path / "house"))


@pytest.fixture
def postgresql(cluster: postgres.Cluster, tmp_path: Path) -> Iterator[Configuration]:
    """A fresh PostgreSQL database, active in this process."""
    url = cluster.borrow()
    (tmp_path / "house").mkdir()
    try:
        yield from _used(configured(tmp_path / "house", url))
    finally:
        cluster.give_back(url)


@pytest.fixture(name="database", params=["sqlite", "postgresql"])
def both_databases(request: pytest.FixtureRequest) -> Configuration:
    """Both databases, one after the other; the value is the active Configuration."""
    chosen: Configuration = request.getfixturevalue(request.param)
    return chosen
