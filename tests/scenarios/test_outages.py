"""The disk full or the database gone: mail is deferred, nothing is half-written, all goes on without a restart."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration, Limits
from tests import postgres
from tests.databases import fresh_sqlite
from tests.people import ANA, BEN, GARDEN
from tests.running_house import BACKED_UP, House, WallClock, running
from tests.serving import until

DAN = f"dan@{BACKED_UP}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("a small disk cannot be mounted here")
        pytest.skip("a small disk cannot be mounted here (needs root): the full disk is not tried")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)  # lazily: a process that is ending may still hold a file


def queue_is_empty() -> bool:
    return not bridge.fetch("SELECT id FROM queue_message LIMIT 1")


def post_large(house: House, number: int) -> bool:
    """Send 200 KB of distinct words; whether it was accepted. Anything but a 250 and a 4yz is a fault."""
    words = f"{os.urandom(48).hex()}\r\n" * 2000
    content = f"From: {ANA}\r\nSubject: {number}\r\nMessage-ID: <{number}@far.example>\r\n\r\n{words}"
    reply = house.outside.sends(ANA, [DAN], content.encode())
    assert reply.startswith(("250 2.0.0", "452 4.3.1", "451 4.3.0")), reply
    return reply.startswith("250")


def test_a_full_disk_defers_mail_and_what_was_accepted_arrives(small_disk: Path) -> None:
    chosen = fresh_sqlite(small_disk / "house")
    chosen = dataclasses.replace(chosen, limits=Limits(minimum_free_disk=0))  # so that the disk itself says no
    bridge.use(chosen)
    try:
        with running(chosen, clock=WallClock()) as house:
            house.has_list(GARDEN, members=[ANA, BEN])
            house.outside.refuses(DAN, "451 4.2.1 not now")
            accepted = [number for number in range(200) if post_large(house, number)]
            assert 0 < len(accepted) < 150, "the disk was never full"
            assert not post_large(house, 1000)

            # Room again, here because what waited can leave.
            with (small_disk / "ballast").open("wb") as ballast:
                ballast.truncate(0)
            house.outside.accepts(DAN)
            subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
            assert post_large(house, 2000)
            assert house.outside.posts(ANA, GARDEN, "Room").startswith("250")
            house.runs("queue", "retry")
            until(queue_is_empty, 30, "all has left")
            house.settles()
            came = sorted(int(one.subject) for one in house.outside.taken if DAN in one.recipients)
            assert came == sorted([*accepted, 2000])
            assert len(house.outside.copies_for(BEN)) == 1
            assert bridge.fetch("PRAGMA integrity_check") == [("ok",)]
    finally:
        bridge.close()


def test_postgresql_goes_away_and_comes_back(cluster: postgres.Cluster, postgresql: Configuration) -> None:
    with running(postgresql, clock=WallClock()) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        house.outside.answers.clear()
        assert house.outside.posts(ANA, GARDEN, "Before").startswith("250")
        assert house.outside.asked.wait(60)  # both copies are on their way, and their replies still to come

        cluster.stop(signal.SIGINT)  # in order: the test's server keeps too little to survive a crash
        try:
            house.outside.answers.set()
            assert house.outside.waits_for(2)
            assert house.outside.posts(ANA, GARDEN, "Meanwhile")[:3] == "451"
            assert house.outside.posts(ANA, "nobody-was-asked-yet@lists.example")[:3] == "451"
        finally:
            cluster.start()
        bridge.close()

        until(lambda: house.outside.posts(ANA, GARDEN, "After").startswith("250"), 20, "mail is accepted again")
        until(lambda: len(house.outside.copies_for(BEN)) >= 2, 100, "and delivered")  # at the first retry at the latest
        until(queue_is_empty, 30, "all is recorded")
        assert [str(m["Subject"]) for _, m in house.outside.copies_for(BEN)] == ["[Garden] Before", "[Garden] After"]


def test_a_sqlite_file_that_is_gone_is_not_made_anew(sqlite: Configuration) -> None:
    with running(sqlite, clock=WallClock()) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        place, away = sqlite.data / "posthouse.sqlite3", sqlite.data / "away.sqlite3"
        place.rename(away)
        assert house.outside.posts(ANA, GARDEN, "Meanwhile")[:3] == "451"
        assert not place.exists(), "an empty database in place of the lost one would forget every list"
        away.rename(place)

        until(lambda: house.outside.posts(ANA, GARDEN, "After").startswith("250"), 20, "mail is accepted again")
        assert house.outside.waits_for(2)
        assert [str(m["Subject"]) for _, m in house.outside.copies_for(BEN)] == ["[Garden] After"]
