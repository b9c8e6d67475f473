"""What the sweep removes, and what it leaves; and the trial mode's outbox, which it empties too."""

from posthouse import database as bridge
from posthouse import maillog
from posthouse.configuration import Configuration
from posthouse.queue.captured import capture, captured, captured_message
from posthouse.queue.claim import claim, register
from posthouse.queue.enqueue import enqueue
from posthouse.queue.sweep import DAY, sweep
from tests.queue.arrivals import NOW, arrival, count


def test_old_events_go_and_newer_ones_stay(database: Configuration) -> None:
    with bridge.transaction():
        for number in range(4500):
            maillog.resumed(NOW - 40 * DAY, f"old{number}.example")
        maillog.resumed(NOW - 29 * DAY, "new.example")
    assert sweep(NOW, 30).events == 4500
    assert bridge.fetch("SELECT address FROM queue_event") == [("new.example",)]
    assert sweep(NOW, 30).events == 0


def test_a_message_whose_deliveries_are_gone_is_finished(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    bridge.run("DELETE FROM queue_delivery")
    assert sweep(NOW, 30).finished == 1
    assert count("queue_message") == count("content_content") == 0


def test_a_delivery_without_its_message_does_not_stop_the_others(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    bridge.run("UPDATE queue_delivery SET message_id = 4711")
    enqueue(arrival("ben@far.example"))
    assert [one.recipient for one in claim(register("here:1", NOW), NOW, 10, 10)] == ["ben@far.example"]
    assert count("queue_delivery") == 1


def test_captured_mail_is_listed_read_and_swept(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    [one] = claim(register("here:1", NOW), NOW, 10, 10)
    for number in range(3):
        octets = b"Subject: =?utf-8?q?Tomatoes_=C3=A9?= %d\r\n\r\nRipe.\r\n" % number
        capture(NOW, one, "garden-bounces+ana=far.example@lists.example", octets, "250 2.0.0 captured")
    newest = captured(2)
    assert [found.subject for found in newest] == ["Tomatoes é 2", "Tomatoes é 1"]
    assert newest[0].return_path == "garden-bounces+ana=far.example@lists.example"
    [older] = captured(2, before=newest[-1].id)
    found = captured_message(older.id)
    assert found is not None
    assert found[0] == older and found[1].endswith(b" 0\r\n\r\nRipe.\r\n") and older.size == len(found[1])
    assert captured_message(4711) is None
    assert sweep(NOW + 31 * DAY, 30).captured == 3
