"""A database that is full, locked, read-only, missing or stopped is Unavailable for a while, and works again after."""

import asyncio
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from posthouse import database as bridge
from posthouse import maillog
from posthouse.configuration import Configuration
from posthouse.database import Bridge, GroupCommit, Unavailable
from posthouse.queue.enqueue import enqueue, enqueue_many
from tests import databases, postgres
from tests.queue.arrivals import arrival, count


def kept() -> int:
    return bridge.guarded(count, "queue_message")


def try_to_enqueue() -> int:
    return bridge.guarded(enqueue, arrival("ana@far.example", content=os.urandom(20_000)))


def test_a_missing_database_is_unavailable_until_it_is_back(sqlite: Configuration) -> None:
    path = sqlite.data / "posthouse.sqlite3"
    try_to_enqueue()
    bridge.close()
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be found"):
            try_to_enqueue()
    assert not path.exists()
    path.with_suffix(".away").rename(path)
    try_to_enqueue()
    assert kept() == 2


def test_nothing_is_promised_to_a_database_that_was_removed_under_an_open_connection(sqlite: Configuration) -> None:
    try_to_enqueue()
    (sqlite.data / "posthouse.sqlite3").unlink()
    with pytest.raises(Unavailable):
        try_to_enqueue()


def test_a_locked_database_is_unavailable_until_the_lock_goes(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.run("PRAGMA busy_timeout=50")
    other = sqlite3.connect(sqlite.data / "posthouse.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        try_to_enqueue()
    other.execute("ROLLBACK")
    try_to_enqueue()
    assert kept() == 1
    other.close()


def test_a_broken_rule_is_not_taken_for_an_outage(database: Configuration) -> None:
    with pytest.raises(Exception) as caught:
        bridge.guarded(bridge.run, "INSERT INTO queue_destination (id) VALUES (1)")
    assert not isinstance(caught.value, Unavailable)


def test_events_of_the_time_without_database_are_told_when_it_is_back(sqlite: Configuration) -> None:
    path = sqlite.data / "posthouse.sqlite3"
    maillog.refused(1, "rcpt", "[192.0.2.1]", "eve@far.example", "ana@far.example", "451 4.3.0 later")
    path.rename(path.with_suffix(".away"))
    with pytest.raises(Unavailable):
        bridge.guarded(maillog.flush)
    path.with_suffix(".away").rename(path)
    bridge.guarded(maillog.flush)
    assert bridge.fetch("SELECT kind FROM queue_event") == [("refused",)]


_FULL = """
import resource, signal, sys
from pathlib import Path
from posthouse import database
from posthouse.configuration import Configuration
from tests import databases
from tests.database.test_outages import kept, try_to_enqueue
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
house = databases.configured(Path(sys.argv[1]))
database.use(house)
try_to_enqueue()
size = max(path.stat().st_size for path in house.data.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, resource.RLIM_INFINITY))
promised, refused = 1, 0
while refused < 3:
    try:
        try_to_enqueue()
        promised += 1
        assert promised < 1000
    except database.Unavailable as error:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try_to_enqueue()
assert kept() == promised + 1, (kept(), promised)
assert database.fetch("SELECT count(*) FROM content_content") == [(promised + 1,)]
assert database.fetch("PRAGMA integrity_check") == [("ok",)]
print("recovered", promised)
"""


def test_a_full_disk_refuses_and_keeps_every_promise_made_before(tmp_path: Path) -> None:
    databases.fresh_sqlite(tmp_path / "house")
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / "house")], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("recovered"), done.stderr
    assert int(done.stdout.split()[1]) > 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 4 MB, where one may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    return place


def test_a_full_file_system_refuses_and_works_again_when_there_is_room(small_disk: Path) -> None:
    try:
        house = databases.fresh_sqlite(small_disk)
        bridge.use(house)
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * 1_000_000)
        promised = 0
        with pytest.raises(Unavailable, match=r"full|disk I/O"):
            while promised < 1000:
                try_to_enqueue()
                promised += 1
        with pytest.raises(Unavailable):
            try_to_enqueue()
        assert kept() == promised > 0
        ballast.unlink()
        try_to_enqueue()
        assert kept() == promised + 1
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], capture_output=True)
        if not os.access(small_disk, os.W_OK):
            with pytest.raises(Unavailable):
                try_to_enqueue()
            subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
            try_to_enqueue()
    finally:
        bridge.close()
        subprocess.run(["umount", "-l", str(small_disk)], check=True)


def test_a_stopped_postgresql_is_unavailable_until_it_runs_again(cluster: postgres.Cluster, tmp_path: Path) -> None:
    async def story() -> None:
        station = Bridge()
        commits: GroupCommit[object, int] = GroupCommit(station, _enqueue_all)
        try:
            await commits.add(arrival("ana@far.example"))
            cluster.stop(signal.SIGINT)
            late = [commits.add(arrival("ben@far.example")) for _ in range(3)]
            for outcome in await asyncio.gather(*late, return_exceptions=True):
                assert isinstance(outcome, Unavailable)
            with pytest.raises(Unavailable):
                await station.read(count, "queue_message")
            cluster.start()
            await commits.add(arrival("ben@far.example"))
            assert await station.read(count, "queue_message") == 2
        finally:
            await asyncio.to_thread(station.close)

    url = cluster.create()
    bridge.use(databases.configured(tmp_path, url))
    try:
        asyncio.run(story())
    finally:
        if cluster._process is None:
            cluster.start()
        bridge.close()
        cluster.drop(url)


def _enqueue_all(batch: Sequence[object]) -> Sequence[int]:
    return enqueue_many(batch)  # type: ignore[arg-type]


def test_whoever_holds_the_writers_lock_and_hangs_keeps_nobody_waiting_for_ever(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "WRITER_PATIENCE", 0.2)
    holder = os.open(f"{sqlite.data / 'posthouse.sqlite3'}.writer", os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    made = Bridge()

    async def scene() -> None:
        writes = [made.write(enqueue, arrival(f"{number}@far.example")) for number in range(3)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(one) for one in answers] == [Unavailable] * 3
        assert "held by somebody else" in str(answers[0])
        fcntl.flock(holder, fcntl.LOCK_UN)
        await made.write(enqueue, arrival("last@far.example"))

    asyncio.run(scene())
    made.close()
    os.close(holder)
    assert kept() == 1, "what was told that it cannot be kept is not kept later"
