"""Whose claims come back at once: those of processes of this place that are gone, and no others."""

from __future__ import annotations

from posthouse.configuration import Configuration
from posthouse.database import fetch
from posthouse.queue import claim


def claimants() -> list[int]:
    return [row[0] for row in fetch("SELECT id FROM queue_claimant ORDER BY id")]


def test_only_a_process_of_the_same_place_that_is_gone_loses_its_lease(database: Configuration) -> None:
    now = 1_000_000
    dead, alive = claim.register("host:boot:1:100", now), claim.register("host:boot:1:200", now)
    elsewhere, stranger = claim.register("host:boot:2:100", now), claim.register("host:boot:1:x", now)

    claim.release_gone("host:boot:1", lambda process: process == 100, now)
    assert claimants() == [alive, elsewhere, stranger]
    claim.release_gone("", lambda process: True, now)
    assert claimants() == [alive, elsewhere, stranger] and dead not in claimants()
