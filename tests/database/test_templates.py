"""Each test gets a database of its own, migrated."""

from posthouse import database as bridge
from posthouse.configuration import Configuration


def test_a_fresh_database_is_migrated_and_empty(database: Configuration) -> None:
    from posthouse.queue.models import Message

    with bridge.transaction():
        assert Message.objects.count() == 0
