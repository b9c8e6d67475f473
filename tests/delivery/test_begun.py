"""What a process had begun is known after it was killed, and only then; without room for notes everything goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from posthouse.delivery import begun
from posthouse.delivery.begun import Begun


def killed(folder: Path, claimant: int) -> None:
    """A process that begins 1, 2 and 3, ends 2, and is killed."""
    ready, done = os.pipe()
    child = os.fork()
    if not child:
        notes = Begun(folder)
        notes.open(claimant)
        for number in (1, 2, 3):
            notes.add(number)
        notes.drop(2)
        os.write(done, b"x")
        signal.pause()
    os.read(ready, 1)
    assert Begun(folder).of(claimant) is None, "as long as it lives it is asked itself"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(done)


def test_the_next_process_reads_what_a_killed_one_had_begun_and_throws_it_away(tmp_path: Path) -> None:
    killed(tmp_path, 7)
    mine = Begun(tmp_path)
    mine.open(8)
    mine.add(5)
    assert mine.of(7) == frozenset((1, 3)) and mine.of(9) is None
    mine.tidy()
    assert mine.of(7) is None and [path.name for path in tmp_path.iterdir()] == ["8"], "its own stays"
    mine.close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_cut_off_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "7").write_bytes(b"\1\0\0")
    assert Begun(tmp_path).of(7) is None


def test_more_than_there_is_room_for_is_not_noted_and_room_comes_back(tmp_path: Path) -> None:
    notes = Begun(tmp_path)
    notes.open(1)
    for number in range(1, begun.SLOTS + 10):
        notes.add(number)
    for number in range(1, begun.SLOTS + 10):
        notes.drop(number)
    notes.add(5)
    notes.add(5)
    notes.drop(5)
    notes.add(6)
    assert set((tmp_path / "1").read_bytes()) == {0, 6}
    notes.close()


def test_where_no_notes_can_be_taken_mail_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    notes = Begun(tmp_path / "file")
    notes.open(1)
    notes.add(1)
    notes.drop(1)
    notes.tidy()
    notes.close()
    assert "no notes are taken" in caplog.text
