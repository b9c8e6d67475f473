"""When the disk is full or the database is gone: 4yz, nothing half-written, and mail again as soon as it is over."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from posthouse.configuration import Configuration
from posthouse.reception import acceptance
from tests.reception.conftest import Opener
from tests.reception.station import LETTER, Station, Talker, events, queued, until

GARDEN = "garden@lists.example"
LARGE_LETTER = LETTER + (b"y" * 998 + b"\r\n") * 600


def guest(station: Station) -> Talker:
    """A client that said EHLO."""
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    return talker


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """The kernel refuses every write beyond `size` octets of any file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def leftovers(data: Path) -> list[Path]:
    """Files of content, on their way in or kept."""
    return [path for path in (data / "content").rglob("*") if path.is_file()]


def test_a_disk_below_the_minimum_defers_at_mail_with_452(opens: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 5_000_000
    monkeypatch.setattr(acceptance, "free_bytes", lambda _folder: free)
    monkeypatch.setattr(acceptance, "DISK_LOOK_SECONDS", 0.0)
    talker = guest(opens(limits={"minimum_free_disk": 4_000_000}))
    talker.says("MAIL FROM:<ana@far.example> SIZE=1000001", "452 4.3.1")
    talker.envelope(GARDEN)
    free = 3_999_999
    talker.says("DATA", "452 4.3.1")
    talker.says("RSET", 250)
    talker.says("MAIL FROM:<ana@far.example>", "452 4.3.1")
    free = 5_000_000
    talker.envelope(GARDEN)
    talker.content(LETTER)


def test_the_disk_is_looked_at_once_a_second_at_most(house: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(acceptance, "free_bytes", lambda folder: looks.append(folder) or 10**12)
    from posthouse.database import Bridge

    bridge = Bridge()
    room = acceptance.Acceptance(bridge, house.data, 100)
    for tenth in range(25):
        assert room.refusal(monotonic=lambda: 50 + tenth / 10) is None  # noqa: B023
    bridge.close()
    assert len(looks) == 3


def test_a_disk_that_fills_under_a_large_message_gives_452_and_leaves_nothing(
    opens: Opener, house: Configuration
) -> None:
    talker = guest(opens())
    talker.envelope(GARDEN)
    with no_room_beyond(300_000):
        talker.content(LARGE_LETTER, "452 4.3.1")
        talker.says("NOOP", 250)
    assert leftovers(house.data) == [] and queued() == []
    talker.envelope(GARDEN)
    talker.content(LARGE_LETTER)
    [message] = queued()
    assert message["octets"] is None and message["size"] == len(LARGE_LETTER)
    [kept] = leftovers(house.data)
    assert kept.read_bytes() == LARGE_LETTER


def test_a_database_without_room_gives_4yz_and_recovers_by_itself(opens: Opener, house: Configuration) -> None:
    station = opens()
    talker = guest(station)
    talker.envelope(GARDEN)
    talker.content(LETTER)
    size = max(path.stat().st_size for path in house.data.glob("posthouse.sqlite3*"))
    talker.envelope(GARDEN)
    with no_room_beyond(min(size, (house.data / "posthouse.sqlite3-wal").stat().st_size)):
        reply = talker.content(b"Subject: no room\r\n\r\n" + (os.urandom(400).hex().encode() + b"\r\n") * 200, 4)
        assert reply[:9] in ("452 4.3.1", "451 4.3.0")
    assert len(queued()) == 1
    talker.envelope(GARDEN)
    talker.content(b"Subject: again\r\n\r\n")
    assert len(queued()) == 2
    station.stop()
    [refused] = [event for event in events() if event["stage"] == "acceptance"]
    assert refused["return_path"] == "ana@far.example" and refused["reason"]


def test_a_database_that_is_gone_gives_451_and_comes_back_without_a_restart(
    opens: Opener, house: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    station = opens()
    talker = guest(station)
    talker.envelope(GARDEN)
    away = house.data / "elsewhere"
    away.mkdir()
    for path in house.data.glob("posthouse.sqlite3*"):
        path.rename(away / path.name)
    for _ in range(3):
        talker.content(LETTER, "451 4.3.0")
        talker.says("MAIL FROM:<ana@far.example>", 250)
        if not talker.says(f"RCPT TO:<{GARDEN}>").startswith("250"):
            break
    assert "database" in caplog.text and caplog.text.count("Mail is deferred") == 1, "said to the operator, once"
    for path in house.data.glob("posthouse.sqlite3*"):
        path.unlink()  # what a careless opener may have made
    for path in away.iterdir():
        path.rename(house.data / path.name)
    talker.says("RSET", 250)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    until(lambda: talker.says(f"RCPT TO:<{GARDEN}>").startswith("250"))
    talker.content(LETTER)
    assert len(queued()) == 1


def test_a_fault_of_ours_is_a_451_and_the_next_message_is_taken(opens: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    station = opens()
    talker = guest(station)

    def broken(*_: object, **__: object) -> bytes:
        raise RuntimeError("a bug")

    talker.envelope(GARDEN)
    with monkeypatch.context() as patch:
        patch.setattr("posthouse.reception.trace.received", broken)
        talker.content(LETTER, "451 4.3.0")
    talker.envelope(GARDEN)
    talker.content(LETTER)
    assert len(station.faults) == 1
    station.faults.clear()
    assert len(queued()) == 1
