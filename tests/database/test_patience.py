"""Whoever is in a hurry does not wait for ever for others to have written, and does nothing by halves."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from posthouse import database, writers_lock
from posthouse.configuration import Configuration
from posthouse.directory import domains

FAR_OFF = 600.0  # seconds: never reached by what is right


@pytest.fixture(autouse=True)
def in_no_hurry() -> Iterator[None]:
    """What a test sets for the whole process ends with it."""
    yield
    database.hurry(None)


@contextlib.contextmanager
def held_by_another(chosen: Configuration) -> Iterator[threading.Event]:
    """The writers' lock is held by another thread until the event is set."""
    go, has = threading.Event(), threading.Event()

    def hold() -> None:
        with database.transaction():
            has.set()
            go.wait(FAR_OFF)
        database.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert has.wait(FAR_OFF)
    try:
        yield go
    finally:
        go.set()
        holder.join(FAR_OFF)


def hosts() -> list[str]:
    return [one.name for one in domains.all_domains()]


def test_who_is_in_a_hurry_is_told_that_others_write_and_nothing_is_done(sqlite: Configuration) -> None:
    with held_by_another(sqlite) as go:
        with pytest.raises(database.Busy, match="has held the database for 0 seconds"), database.hurried(0.01):
            domains.add("one.example")
        with pytest.raises(database.Busy), database.hurried(0.01):  # the one that waits still is taken again
            domains.add("one.example")
        assert sum(one.name == "writers-lock" for one in threading.enumerate()) == 1
        go.set()
        with database.hurried(FAR_OFF):
            domains.add("two.example")
    assert hosts() == ["two.example"]
    domains.add("three.example")  # the lock that came too late was given back


def test_who_is_in_less_of_a_hurry_writes_when_others_have(sqlite: Configuration) -> None:
    with held_by_another(sqlite) as go:
        database.hurry(FAR_OFF)
        threading.Timer(0.01, go.set).start()
        domains.add("one.example")
    assert hosts() == ["one.example"]


def test_after_two_seconds_it_is_said_whom_one_waits_for(sqlite: Configuration) -> None:
    with held_by_another(sqlite) as go:

        def say(whom: str) -> None:
            told.append(whom)
            go.set()

        told: list[str] = []
        patience = writers_lock.Patience(FAR_OFF, say, say_after=0.01)
        with writers_lock.held(str(connection.settings_dict["NAME"]), patience):
            pass
    [whom] = told
    assert whom.startswith(f"process {os.getpid()} (")


def test_a_program_that_holds_sqlite_itself_is_not_waited_for_longer(sqlite: Configuration) -> None:
    other = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(database.Busy, match="another program has held the database"), database.hurried(0.01):
        domains.add("one.example")
    told: list[str] = []
    patience = writers_lock.Patience(0.02, told.append, say_after=0.01)
    with contextlib.ExitStack() as stack, pytest.raises(writers_lock.Held):
        writers_lock.enter(stack, patience)
    assert told == ["another program"]
    other.execute("ROLLBACK")
    other.close()
    with database.hurried(0.01):
        domains.add("one.example")
    assert hosts() == ["one.example"]
    [(milliseconds,)] = database.fetch("PRAGMA busy_timeout")
    assert milliseconds == writers_lock.BUSY_TIMEOUT


def test_what_belongs_together_is_ended_once_it_was_begun(sqlite: Configuration) -> None:
    with database.hurried(1.5), database.whole():
        assert writers_lock.patience() == writers_lock.Patience(1.5)
        domains.add("one.example")
        assert writers_lock.patience() == writers_lock.Patience(writers_lock.REST)
    with database.hurried(1.5):
        domains.add("two.example")
        assert writers_lock.patience() == writers_lock.Patience(1.5)
    assert writers_lock.patience() is None


def test_on_postgresql_no_lock_is_waited_for_longer(postgresql: Configuration) -> None:
    database.hurry(0.05)
    database.close()
    assert database.fetch("SHOW lock_timeout") == [("50ms",)]
    ready, go = threading.Event(), threading.Event()

    def lock() -> None:
        with database.transaction():
            database.run("SELECT pg_advisory_xact_lock(1, 1)")
            ready.set()
            go.wait(FAR_OFF)
        database.close()

    holder = threading.Thread(target=lock)
    holder.start()
    assert ready.wait(FAR_OFF)

    def late() -> None:
        with database.transaction():
            database.run("SELECT pg_advisory_xact_lock(1, 1)")

    with pytest.raises(database.Unavailable, match="lock timeout"):
        database.guarded(late)
    go.set()
    holder.join(FAR_OFF)


def test_what_was_not_done_leaves_the_connection_as_patient_as_the_process(sqlite: Configuration) -> None:
    def milliseconds() -> int:
        return int(database.fetch("PRAGMA busy_timeout")[0][0])

    database.hurry(0.05)
    database.close()
    with contextlib.closing(sqlite3.connect(str(connection.settings_dict["NAME"]))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(database.Busy, match="another program"):
            domains.add("one.example")
        assert milliseconds() == 50
        with pytest.raises(database.Busy), database.hurried(0.01):
            domains.add("one.example")
        assert milliseconds() == 50


@pytest.mark.parametrize("others", ["posthouse", "sqlite"])
def test_a_command_says_whom_it_waits_for_and_gives_up(sqlite: Configuration, tmp_path: Any, others: str) -> None:
    file = tmp_path / "posthouse.toml"
    file.write_text(f'data_directory = "{sqlite.data_directory}"\n')
    command = [sys.executable, "-m", "posthouse", "--config", str(file), "--wait", "2.2", "domains", "add", "a.example"]
    with contextlib.ExitStack() as stack:
        if others == "posthouse":
            stack.enter_context(held_by_another(sqlite))
            whom = f"process {os.getpid()} ("
        else:
            other = stack.enter_context(contextlib.closing(sqlite3.connect(str(connection.settings_dict["NAME"]))))
            other.execute("BEGIN IMMEDIATE")
            whom = "another program"
        done = subprocess.run(command, capture_output=True, text=True, timeout=FAR_OFF)
    assert done.returncode == 4 and done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"posthouse: waiting for {whom}") and first.endswith("which writes to the database ...")
    assert second.startswith(f"posthouse: {whom}") and "held the database for 2 seconds; this was not done." in second
    assert hosts() == []


def test_the_hurry_of_a_command_ends_with_it(sqlite: Configuration, tmp_path: Any) -> None:
    from click.testing import CliRunner

    from posthouse.operations.cli import cli

    file = tmp_path / "posthouse.toml"
    file.write_text(f'data_directory = "{sqlite.data_directory}"\n')
    done = CliRunner().invoke(cli, ["--config", str(file), "domains", "add", "one.example"])
    assert done.exit_code == 0, done.output
    assert hosts() == ["one.example"] and writers_lock.patience() is None
