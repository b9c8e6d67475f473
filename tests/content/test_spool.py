"""Bytes on their way in: in memory while they are few, in a file when they are many."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from posthouse.content import spool as spooling
from posthouse.content.spool import Spool, StorageFull, spooled_from
from posthouse.smtp.session import Sink, StorageError


def test_a_small_message_stays_in_memory(tmp_path: Path) -> None:
    sink: Sink = Spool(tmp_path / "incoming", 100)
    sink.write(b"Subject: x\r\n")
    sink.write(memoryview(b"\r\nbody\r\n"))
    assert isinstance(sink, Spool)
    spooled = sink.finish()
    assert spooled.octets == b"Subject: x\r\n\r\nbody\r\n"
    assert spooled == spooled_from(b"Subject: x\r\n\r\nbody\r\n")
    assert not (tmp_path / "incoming").exists()


def test_a_large_message_goes_to_a_file_as_it_comes(tmp_path: Path) -> None:
    sink = Spool(tmp_path / "incoming", 100)
    sink.write(b"a" * 60)
    assert not sink.on_disk
    sink.write(b"b" * 60)
    sink.write(memoryview(b"c" * 60))
    assert sink.on_disk and sink.size == 180
    spooled = sink.finish()
    octets = b"a" * 60 + b"b" * 60 + b"c" * 60
    assert spooled.path is not None and spooled.path.read_bytes() == octets
    assert (spooled.size, spooled.digest, spooled.octets) == (180, hashlib.sha256(octets).digest(), None)
    assert spooled.head(61) == b"a" * 60 + b"b"
    assert spooled.path.stat().st_mode & 0o077 == 0


def test_a_refused_message_leaves_no_file(tmp_path: Path) -> None:
    sink = Spool(tmp_path, 10)
    sink.write(b"x" * 100)
    sink.abort()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_message_is_a_message(tmp_path: Path) -> None:
    assert Spool(tmp_path, 10).finish().octets == b""


_FILLS = """
import resource, sys
from pathlib import Path
from posthouse.content.spool import Spool, StorageFull
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1])
sink = Spool(folder, 10)
try:
    for _ in range(100):
        sink.write(b"x" * 1000)
except StorageFull as error:
    assert list(folder.iterdir()) == [], "half a message was left"
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    small = Spool(folder, 10)
    small.write(b"y" * 1000)
    assert small.finish().size == 1000
    print("recovered", error)
"""


def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FILLS, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("recovered"), done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_disk_that_is_full_at_the_fsync_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Spool(tmp_path, 10)
    sink.write(b"x" * 100)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spooling.os, "fsync", full)
    with pytest.raises(StorageFull) as caught:
        sink.finish()
    assert isinstance(caught.value, StorageError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "content").write_text("a file in the way")
    sink = Spool(tmp_path / "content" / "incoming", 10)
    with pytest.raises(StorageFull):
        sink.write(b"x" * 100)
