"""Back-pressure: who has to come later when delivery or the disk falls behind, and when they may again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from posthouse import configuration, maillog
from posthouse import database as bridge_to
from posthouse.configuration import MIB, Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.queue import backlog, suspension
from posthouse.reception import pressure
from posthouse.reception.pressure import Pressure
from posthouse.smtp import catalogue

NOW = 1_800_000_000.0
ROLES = ("stranger", "relay", "account")


class Door:
    """Back-pressure with a disk and a clock that the test owns."""

    def __init__(self, house: Configuration, monkeypatch: pytest.MonkeyPatch, **settings: int) -> None:
        self.bridge, self.now, self.free = Bridge(), NOW, 10_000 * MIB
        monkeypatch.setattr(pressure, "free_bytes", lambda _folder: self.free)
        self.pressure = Pressure(
            configuration.Flood(**settings),
            100 * MIB,
            self.bridge,
            Path(house.data),
            lambda: self.now,
            lambda: self.now,
        )

    def closed(self, *, later: float = 10.0) -> list[str]:
        """Who has to come later, at the next look."""
        self.now += later
        asyncio.run(self.pressure.look())
        return [role for role in ROLES if self.pressure.refusal(role) is not None]


def waits(count: int, *, since: float) -> None:
    """So many deliveries are due since then."""
    with bridge_to.transaction():
        bridge_to.run("DELETE FROM queue_delivery")
        for number in range(count):
            bridge_to.run(
                "INSERT INTO queue_delivery (message_id, destination_id, recipient, next_attempt, attempts, given_up, "
                "warned) VALUES (1, %s, 'x', %s, 0, FALSE, FALSE)",
                (number % 3 + 1, int(since * 1000)),
            )


def test_strangers_come_later_first_and_people_who_sign_in_last(
    database: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(database, monkeypatch, behind=20, behind_seconds=300)
    old = NOW - 1000
    waits(19, since=old)
    assert door.closed() == []
    waits(20, since=old)
    assert door.closed() == ["stranger"]
    assert door.pressure.refusal("stranger") is catalogue.BEHIND
    waits(30, since=old)
    assert door.closed() == ["stranger", "relay"]
    waits(200, since=old)
    assert door.closed() == ["stranger", "relay", "account"]
    waits(31, since=old)
    assert door.closed() == ["stranger", "relay", "account"], "it opens again further down than it closed"
    waits(16, since=old)
    assert door.closed() == ["stranger"]
    waits(14, since=old)
    assert door.closed() == []
    maillog.flush()
    rows = bridge_to.fetch("SELECT detail FROM queue_event WHERE kind = 'pressure' ORDER BY id")
    told = [(detail["role"], detail["why"]) for detail in (json.loads(row[0]) for row in rows)]
    assert told[0] == ("stranger", "20 deliveries are overdue")
    assert told[-1] == ("stranger", "over")
    assert len(told) == 6, "each change is told once"
    door.bridge.close()


def test_while_the_database_cannot_be_asked_the_disk_is_looked_at(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(sqlite, monkeypatch, behind=20, behind_seconds=300)
    waits(20, since=NOW - 1000)
    assert door.closed() == ["stranger"]

    async def gone(*_: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(door.bridge, "read", gone)
    assert door.closed() == ["stranger"], "its last word counts"
    door.free = 50 * MIB
    assert door.closed() == ["stranger", "relay", "account"]
    door.free = 10_000 * MIB
    assert door.closed() == ["stranger"]
    door.bridge.close()


def test_what_is_due_since_shortly_or_suspended_is_no_backlog(database: Configuration) -> None:
    at = int(NOW * 1000)
    waits(30, since=NOW - 100)
    assert backlog.overdue(at, 300_000, 1000) == 0
    assert backlog.overdue(at, 60_000, 1000) == 30
    assert backlog.overdue(at, 60_000, 25) == 25, "it counts no further than it must"
    bridge_to.run("DELETE FROM queue_destination")
    bridge_to.run(
        "INSERT INTO queue_destination (id, name, suspended_until, failures, reason) VALUES (1, 'a.example', 0, 0, '')"
    )
    suspension.suspend_by_name("a.example", "gone", at)
    assert backlog.overdue(at, 60_000, 1000) == 20


def test_the_disk_closes_the_door_step_by_step(sqlite: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(sqlite, monkeypatch)
    for megabytes, closed in (
        (201, []), (199, ["stranger"]), (149, ["stranger", "relay"]), (99, [*ROLES]), (130, [*ROLES]),
        (140, ["stranger", "relay"]), (201, ["stranger"]), (270, []),
    ):  # fmt: skip
        door.free = megabytes * MIB
        assert door.closed() == closed, megabytes
    door.bridge.close()


def test_it_looks_only_now_and_then_and_a_database_that_is_gone_changes_nothing(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(sqlite, monkeypatch, behind=1)
    waits(1, since=NOW - 1000)
    assert door.closed() == ["stranger"]
    waits(0, since=NOW)
    assert door.closed(later=1) == ["stranger"]

    def gone(*_: object) -> None:
        raise OSError("no disk")

    with monkeypatch.context() as patched:
        patched.setattr(backlog, "overdue", gone)
        assert door.closed() == ["stranger"]
    assert door.closed() == []
    door.bridge.close()


def test_an_operator_reads_it_in_sentences() -> None:
    settings = configuration.Flood(behind=10)
    assert pressure.state(settings, 100 * MIB, 9, 1000 * MIB) == []
    assert pressure.state(settings, 100 * MIB, 15, 1000 * MIB) == [
        "Mail of strangers is asked to come later: 15 deliveries are overdue.",
        "Mail of relay networks is asked to come later: 15 deliveries are overdue.",
    ]
    assert pressure.state(configuration.Flood(behind=0), 0, 10**9, 0) == [], "no bound, no pressure"
