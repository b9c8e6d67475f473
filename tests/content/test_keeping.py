"""Content is kept once however many need it, and goes with the last who does."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.content import files, keeping
from posthouse.content.errors import ContentLost, NoSuchContent
from posthouse.content.spool import Spool, Spooled, spooled_from


def large(house: Configuration, octets: bytes) -> Spooled:
    sink = Spool(files.incoming(house.data), 10)
    sink.write(octets)
    return sink.finish()


def kept_files(house: Configuration) -> list[Path]:
    return sorted(path for path in (house.data / "content").glob("**/*") if path.is_file())


@pytest.mark.parametrize("size", [5, 500_000])
def test_what_was_kept_is_read_back_byte_for_byte(database: Configuration, size: int) -> None:
    octets = os.urandom(size)
    content_id = keeping.keep(large(database, octets) if size > 10 else spooled_from(octets))
    body = keeping.read(content_id)
    assert body.size == size
    assert body.all() == octets
    assert body.head(3) == octets[:3]
    with body.open() as file:
        assert file.read() == octets


def test_equal_bytes_are_one_content_with_several_uses(database: Configuration) -> None:
    ids = keeping.keep_many([spooled_from(b"same"), spooled_from(b"other"), spooled_from(b"same")])
    assert ids[0] == ids[2] != ids[1]
    assert keeping.keep(spooled_from(b"same")) == ids[0]
    keeping.use(ids[0], 2)
    assert bridge.fetch("SELECT uses FROM content_content WHERE id = %s", (ids[0],)) == [(5,)]
    keeping.release([ids[0]] * 4)
    assert keeping.read(ids[0]).all() == b"same"
    keeping.release([ids[0], ids[1]])
    assert keeping.read_many(ids) == {}
    keeping.release([ids[0]])


def test_what_is_gone_is_neither_read_nor_used(database: Configuration) -> None:
    with pytest.raises(NoSuchContent):
        keeping.read(12345)
    with pytest.raises(NoSuchContent):
        keeping.use(12345)


def test_a_large_content_is_one_file_and_the_file_goes_with_its_last_use(database: Configuration) -> None:
    octets = os.urandom(1000)
    first = keeping.keep(large(database, octets))
    second = keeping.keep(large(database, octets))
    assert first == second
    [path] = kept_files(database)
    assert path == keeping.read(first).path
    keeping.release([first])
    assert path.exists()
    keeping.release([first])
    assert not path.exists()


def test_a_transaction_that_fails_leaves_no_row_and_can_be_tried_again(database: Configuration) -> None:
    spooled = large(database, b"x" * 1000)
    with pytest.raises(RuntimeError), bridge.transaction():
        keeping.keep(spooled)
        raise RuntimeError("the envelope was no good")
    assert bridge.fetch("SELECT count(*) FROM content_content") == [(0,)]
    assert keeping.read(keeping.keep(spooled)).all() == b"x" * 1000


def test_a_release_that_is_undone_keeps_the_file(database: Configuration) -> None:
    content_id = keeping.keep(large(database, b"x" * 1000))
    with pytest.raises(RuntimeError), bridge.transaction():
        keeping.release([content_id])
        raise RuntimeError
    assert keeping.read(content_id).all() == b"x" * 1000


def test_bytes_that_come_again_before_their_file_is_removed_keep_it(
    database: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = b"x" * 1000
    content_id = keeping.keep(large(database, octets))
    removing = files.remove_unneeded
    again: list[int] = []

    def slow(digests: list[bytes]) -> None:
        again.append(keeping.keep(large(database, octets)))  # between the commit and the removal
        removing(digests)

    monkeypatch.setattr(files, "remove_unneeded", slow)
    keeping.release([content_id])
    assert keeping.read(again[0]).all() == octets


def test_a_file_that_vanished_is_named_as_lost(database: Configuration) -> None:
    content_id = keeping.keep(large(database, b"x" * 1000))
    [path] = kept_files(database)
    path.unlink()
    with pytest.raises(ContentLost):
        keeping.read(content_id).all()
    spooled = large(database, b"y" * 1000)
    assert spooled.path is not None
    spooled.path.unlink()
    with pytest.raises(ContentLost):
        keeping.keep(spooled)


@pytest.fixture
def leftovers(sqlite: Configuration) -> Iterator[Configuration]:
    """What crashes leave: a file on its way in, and one whose transaction was never committed."""
    large(sqlite, b"z" * 1000)
    with pytest.raises(RuntimeError), bridge.transaction():
        keeping.keep(large(sqlite, b"y" * 1000))
        raise RuntimeError
    keeping.keep(large(sqlite, b"x" * 1000))
    yield sqlite


def test_the_sweep_removes_old_files_without_a_row_and_no_others(leftovers: Configuration) -> None:
    now = time.time()
    assert files.sweep(now + 3600) == 0
    assert len(kept_files(leftovers)) == 3
    assert files.sweep(now + 2 * files.DAY) == 2
    [path] = kept_files(leftovers)
    assert path.read_bytes() == b"x" * 1000
