"""Commands that root runs leave behind what the service's user can use; what it cannot use is named at the start."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import belonging
from posthouse.configuration import Configuration
from posthouse.operations import private
from tests.serving import ROOT, environment

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the service's user can reach (those of pytest are root's alone)."""
    made = Path(tempfile.mkdtemp(prefix="posthouse-root-commands-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_what_roots_commands_make_belongs_to_the_user_of_the_service(folder: Path) -> None:
    file = folder / "posthouse.toml"
    file.write_text(f'data_directory = "{folder}/data"\nuser = "{pwd.getpwuid(NOBODY).pw_name}"\n')
    for words in (["migrate"], ["domains", "add", "lists.example"]):
        program = [sys.executable, "-m", "posthouse", "--config", str(file), *words]
        subprocess.run(program, env=environment(), cwd=ROOT, capture_output=True, check=True)
    found = {str(path.relative_to(folder)): path.stat().st_uid for path in folder.rglob("*") if path != file}
    assert set(found) >= {"data", "data/posthouse.sqlite3", "data/posthouse.sqlite3.writer", "data/secret"}
    assert set(found.values()) == {NOBODY}


def test_folders_on_the_way_belong_to_whom_the_one_above_belongs_to(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    belonging.make_folder(folder / "content" / "ab")
    assert {path.stat().st_uid for path in (folder / "content", folder / "content" / "ab")} == {NOBODY}


def _as_nobody(chosen: Configuration) -> str:
    """The first hindrance that a process of this user finds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, next(private.hindrances(chosen), "none").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(pid, 0)
    return text


def test_what_the_service_may_not_use_is_named_with_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, code = folder / "closed", folder / "code"
    closed.mkdir(mode=0o700)
    code.mkdir()
    me, data = pwd.getpwuid(NOBODY).pw_name, folder / "data"
    chosen = Configuration(data_directory=str(data))
    monkeypatch.setattr(private, "__file__", str(code / "operations" / "private.py"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(closed))
    assert _as_nobody(chosen).startswith(f"the user {me} may not read {closed}, where Python")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(code))
    assert _as_nobody(chosen).startswith(f"data_directory: the user {me} cannot reach {data}")
    data.mkdir()
    assert _as_nobody(chosen) == f"the user {me} may not change {data}; run: chown -R {me}: {data}"
    os.chown(data, NOBODY, NOBODY)
    lock = data / "posthouse.sqlite3.writer"
    lock.touch(mode=0o600)
    assert _as_nobody(chosen) == f"the user {me} may not change {lock}; run: chown -R {me}: {data}"
    os.chown(lock, NOBODY, NOBODY)
    assert _as_nobody(chosen) == "none"
