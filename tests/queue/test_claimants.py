"""Whose claims come back at once: those of processes of this place that are gone, and no others."""

from __future__ import annotations

from posthouse.configuration import Configuration
from posthouse.database import fetch
from posthouse.queue import claim
from posthouse.queue.enqueue import enqueue
from tests.queue.arrivals import NOW, arrival


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


def test_what_a_process_that_is_gone_had_only_claimed_goes_back_untried(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@far.example", "cleo@far.example"))
    dead = claim.register("host:boot:1:100", NOW)
    one, two, three = sorted(held.id for held in claim.claim(dead, NOW, 10, 10))

    def begun(claimant: int) -> set[int]:
        assert claimant == dead
        return {two}

    assert claim.release_gone("host:boot:1", lambda process: True, NOW, begun) == 3
    again = claim.claim(claim.register("host:boot:1:200", NOW), NOW, 10, 10)
    assert {held.id: held.attempts for held in again} == {one: 1, two: 2, three: 1}


def test_where_nobody_knows_what_had_begun_every_claim_counts(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@far.example"))
    claim.claim(claim.register("host:boot:1:100", NOW), NOW, 10, 10)
    assert claim.release_gone("host:boot:1", lambda process: True, NOW, lambda claimant: None) == 2
    again = claim.claim(claim.register("host:boot:1:200", NOW), NOW, 10, 10)
    assert [held.attempts for held in again] == [2, 2]
