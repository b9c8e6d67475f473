"""An idle house passes a posting on at once: nobody waits for a timer."""

from __future__ import annotations

import time

import pytest

from posthouse.configuration import Configuration
from posthouse.delivery import runner
from tests.people import ANA, BEN, GARDEN
from tests.running_house import WallClock, running


def test_from_the_post_to_the_first_copy_nobody_waits_for_a_timer(
    database: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 3600.0)  # delivery looks when it is woken, or much too late
    with running(database, clock=WallClock()) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        took = []
        for number in range(6):
            before = len(house.outside.taken)
            began = time.monotonic()
            assert house.outside.posts(ANA, GARDEN, f"Number {number}").startswith("250")
            assert house.outside.waits_for(before + 1), "no copy: nobody was woken"
            took.append(time.monotonic() - began)
            assert house.outside.waits_for(before + 2)
            house.settles()
    figure = sorted(took[1:])[len(took[1:]) // 2]
    kind = "PostgreSQL" if database.database_url.startswith("postgres") else "SQLite"
    print(f"\n{kind}: from connecting to the first copy {figure * 1000:.0f} ms (median of {len(took) - 1})")
