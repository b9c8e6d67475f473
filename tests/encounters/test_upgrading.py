"""What an earlier version remembered of strangers is worth as much after the upgrade."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from posthouse import database
from posthouse.configuration import Configuration
from posthouse.encounters import standing
from posthouse.encounters.keys import key
from posthouse.operations import schema
from tests.scenarios.test_upgrade import empty

__all__ = ["empty"]
NOW = standing.EPOCH
NETWORK = "192.0.2.0/24"


def test_who_was_welcome_before_the_upgrade_counts_as_here_for_long(empty: Configuration) -> None:
    MigrationExecutor(connection).migrate([("encounters", "0002_others")])
    with database.transaction():
        database.run(
            "INSERT INTO encounters_standing (id, whose, good, bad, until) VALUES (%s, %s, %s, %s, %s)",
            (key("standing", NETWORK), NETWORK, 3.0, 1.0, NOW + standing.KEPT),
        )
    schema.migrate()
    assert standing.sums_of([NETWORK]) == {NETWORK: standing.Sums(3.0, 1.0, 0)}
    with database.transaction():
        standing.add({NETWORK: standing.Sums(1.0, 0.0, NOW)}, NOW)
    assert standing.sums_of([NETWORK]) == {NETWORK: standing.Sums(4.0, 1.0, 0)}, "today's mail makes nobody new"
