"""Events are kept whatever words they carry."""

import json

from posthouse import database as bridge
from posthouse import maillog
from posthouse.configuration import Configuration


def test_no_word_of_a_hostile_client_stands_in_the_way_of_a_transaction(database: Configuration) -> None:
    for hostile in ("eve\0@far.example", "eve\udcff@far.example", "\ud800", "évé@far.example"):
        maillog.refused(1, "rcpt", "[192.0.2.1]", hostile, hostile, f"550 5.1.1 {hostile}")
    maillog.flush()
    rows = bridge.fetch("SELECT address, detail FROM queue_event ORDER BY id")
    assert [row[0] for row in rows] == ["eve\ufffd@far.example", "eve?@far.example", "?", "évé@far.example"]
    assert all(json.loads(row[1])["stage"] == "rcpt" for row in rows)


def test_an_outcome_with_a_broken_reply_is_an_outcome(database: Configuration) -> None:
    from posthouse.queue.claim import claim, register
    from posthouse.queue.enqueue import enqueue
    from posthouse.queue.outcome import DEFERRED, Outcome, record_outcomes
    from tests.queue.arrivals import NOW, arrival, count

    enqueue(arrival("ana@far.example"))
    [one] = claim(register("here:1", NOW), NOW, 10, 10)
    record_outcomes([Outcome(one, DEFERRED, "mx\0", "451 4.3.0 \udcff\0", next_attempt=NOW)], NOW)
    assert count("queue_event") == 2
