"""The road of a message through the queue: enqueued, claimed, and done when its outcome is durable."""

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.queue.claim import claim, next_due, register, retire
from posthouse.queue.enqueue import enqueue, enqueue_many
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome, record_outcomes
from posthouse.queue.returning import write_reports
from tests.queue.arrivals import NOW, arrival, count


def test_a_delivered_message_leaves_nothing_in_the_queue(database: Configuration) -> None:
    item = enqueue(arrival("ana@far.example", "ben@far.example"))
    me = register("here:1", NOW)
    claimed = claim(me, NOW, 10, 10)
    assert [one.recipient for one in claimed] == ["ana@far.example", "ben@far.example"]
    assert {one.message.item for one in claimed} == {item}
    assert claim(me, NOW, 10, 10) == []
    record_outcomes([Outcome(one, DELIVERED, "mx.far.example", "250 2.0.0 Ok") for one in claimed], NOW)
    assert [count(f"queue_{table}") for table in ("message", "delivery")] == [0, 0]
    assert count("content_content") == 0
    assert [row[0] for row in bridge.fetch("SELECT kind FROM queue_event ORDER BY id")] == [
        "accepted", "delivered", "delivered",
    ]  # fmt: skip


def test_a_deferred_delivery_waits_until_its_time(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    me = register("here:1", NOW)
    [one] = claim(me, NOW, 10, 10)
    record_outcomes([Outcome(one, DEFERRED, "mx", "451 later", "4.0.0", NOW + 60_000)], NOW)
    assert claim(me, NOW + 59_999, 10, 10) == []
    assert next_due(NOW) == NOW + 60_000
    [again] = claim(me, NOW + 60_000, 10, 10)
    assert again.attempts == 2


def test_a_failed_delivery_is_reported_to_the_return_path_once(database: Configuration) -> None:
    item = enqueue(arrival("ana@far.example"))
    me = register("here:1", NOW)
    [one] = claim(me, NOW, 10, 10)
    record_outcomes([Outcome(one, FAILED, "mx.far.example", "550 5.1.1 no such mailbox", "5.1.1")], NOW)
    assert write_reports(NOW, "mx.lists.example") == 1
    assert write_reports(NOW, "mx.lists.example") == 0
    [report] = claim(me, NOW, 10, 10)
    assert report.recipient == "owen@lists.example"
    assert report.message.return_path == ""
    assert report.message.item != item
    record_outcomes([Outcome(report, FAILED, "x", "550 no")], NOW)
    assert write_reports(NOW, "mx.lists.example") == 0
    assert count("queue_message") == count("content_content") == 0


def test_equal_content_is_kept_once(database: Configuration) -> None:
    enqueue_many([arrival("ana@far.example"), arrival("ben@far.example")])
    assert bridge.fetch("SELECT uses FROM content_content") == [(2,)]


def test_a_retired_claimant_gives_its_claims_back_untried(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    me = register("here:1", NOW)
    claim(me, NOW, 10, 10)
    retire(me)
    [one] = claim(register("here:2", NOW), NOW, 10, 10)
    assert one.attempts == 1
