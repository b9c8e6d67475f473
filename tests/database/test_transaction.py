"""A transaction is all or nothing, also for the events it tells."""

import pytest

from posthouse import database as bridge
from posthouse import maillog, wake
from posthouse.configuration import Configuration


def kinds() -> list[str]:
    return [row[0] for row in bridge.fetch("SELECT kind FROM queue_event ORDER BY id")]


def test_an_event_is_durable_with_the_transaction_it_tells_of(database: Configuration) -> None:
    with bridge.transaction():
        maillog.delivered(1, 2, "ana@far.example", "mx", "250 Ok")
    assert kinds() == ["delivered"]


def test_an_event_of_a_failed_transaction_is_never_told(database: Configuration) -> None:
    maillog.resumed(1, "before.example")
    with pytest.raises(RuntimeError), bridge.transaction():
        maillog.delivered(1, 2, "ana@far.example", "mx", "250 Ok")
        raise RuntimeError
    maillog.flush()
    assert kinds() == ["resumed"]


def test_an_event_of_an_undone_part_is_never_told(database: Configuration) -> None:
    with bridge.transaction():
        maillog.resumed(1, "outer.example")
        with pytest.raises(RuntimeError), bridge.transaction():
            maillog.delivered(1, 2, "ana@far.example", "mx", "250 Ok")
            raise RuntimeError
    assert kinds() == ["resumed"]


def test_a_word_after_the_commit_is_not_said_when_it_fails(database: Configuration) -> None:
    said: list[str] = []
    with pytest.raises(RuntimeError), bridge.transaction():
        bridge.after_commit(lambda: said.append("failed"))
        bridge.announce(wake.QUEUE)
        raise RuntimeError
    with bridge.transaction():
        bridge.after_commit(lambda: said.append("done"))
        assert said == []
    assert said == ["done"]


def test_the_statements_of_hot_paths_speak_both_databases(database: Configuration) -> None:
    bridge.run("CREATE TABLE probe (id bigint, word text)")
    for count in (3, 30):
        with bridge.transaction():
            bridge.insert_many("probe", "id, word", [(number, f"100% {number}") for number in range(count)])
        condition, parameter = bridge.among("id", [1, 2, 99])
        rows = bridge.fetch(f"SELECT id, word FROM probe WHERE {condition} ORDER BY id", (parameter,))
        assert rows == [(1, "100% 1"), (2, "100% 2")]
        assert bridge.run("DELETE FROM probe") == count
    condition, parameter = bridge.among("id", [])
    assert bridge.fetch(f"SELECT 1 FROM probe WHERE {condition}", (parameter,)) == []
