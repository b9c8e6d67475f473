"""Deliveries of one destination go together: taken fairly, left alone together, tried again together."""

from __future__ import annotations

from collections import Counter

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.queue import operator, suspension
from posthouse.queue.claim import claim, next_due, register
from posthouse.queue.destinations import domain_of, numbers_of
from posthouse.queue.enqueue import enqueue, enqueue_many, enqueue_selected
from posthouse.queue.errors import NoRecipients
from posthouse.queue.identity import new_queue_id
from posthouse.queue.suspension import SUSPENDED_FOR_GOOD
from tests.queue.arrivals import NOW, arrival, count


def test_a_busy_destination_does_not_keep_others_waiting(database: Configuration) -> None:
    enqueue_many([arrival(f"member{n}@busy.example") for n in range(400)])
    enqueue_many([arrival(f"member{n}@d{n % 9}.example", received_at=NOW + 1) for n in range(90)])
    claimed = claim(register("here:1", NOW), NOW + 2, 20, 5)
    counts = Counter(one.domain for one in claimed)
    assert len(claimed) == 20
    assert counts["busy.example"] == 5
    assert len(counts) >= 9


def test_full_destinations_are_left_alone(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@near.example"))
    full = numbers_of(["far.example"]).values()
    me = register("here:1", NOW)
    assert [one.domain for one in claim(me, NOW, 10, 10, full)] == ["near.example"]
    assert next_due(NOW, full) is None
    assert next_due(NOW) == NOW


def test_a_suspended_destination_waits_until_its_time(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    number = numbers_of(["far.example"])["far.example"]
    me = register("here:1", NOW)
    until = suspension.destination_failed(number, NOW, "no host answered", 0.5)
    assert until == NOW + 60_000
    assert claim(me, NOW, 10, 10) == []
    assert next_due(NOW) == until
    assert [one.name for one in suspension.suspended(NOW)] == ["far.example"]
    assert suspension.suspended(NOW)[0].waiting == 1
    assert len(claim(me, until, 10, 10)) == 1


def test_the_next_due_delivery_is_found_behind_many_suspended_ones(database: Configuration) -> None:
    enqueue_many([arrival(f"member{n}@far.example") for n in range(80)])
    enqueue(arrival("ben@near.example", wait_until=NOW + 5_000))
    suspension.suspend(numbers_of(["far.example"])["far.example"], NOW + 9_000, "away", NOW)
    assert next_due(NOW) == NOW + 5_000


def test_failures_in_a_row_suspend_for_longer_up_to_an_hour(database: Configuration) -> None:
    number = numbers_of(["far.example"])["far.example"]
    waits = [suspension.destination_failed(number, NOW, "no host answered", 0.5) - NOW for _ in range(8)]
    assert [wait // 60_000 for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60]
    suspension.destination_worked(number, NOW)
    assert suspension.suspended(NOW) == []
    assert suspension.destination_failed(number, NOW, "again", 0.0) - NOW == 45_000


def test_only_the_operator_ends_an_operators_suspension(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    number = numbers_of(["far.example"])["far.example"]
    suspension.suspend_by_name("FAR.example", "they asked us to wait", NOW)
    suspension.destination_failed(number, NOW, "no host answered", 0.5)
    suspension.destination_worked(number, NOW)
    operator.retry()
    operator.retry(destination="far.example")
    [found] = suspension.suspended(NOW)
    assert (found.until, found.reason) == (SUSPENDED_FOR_GOOD, "they asked us to wait")
    assert claim(register("here:1", NOW), NOW, 10, 10) == []
    assert suspension.resume("far.example", NOW)
    assert not suspension.resume("far.example", NOW)
    assert len(claim(register("here:1", NOW), NOW, 10, 10)) == 1


def test_retry_makes_deliveries_due_and_ends_a_suspension_for_failures(database: Configuration) -> None:
    first = enqueue(arrival("ana@far.example", wait_until=NOW + 9_000_000))
    enqueue(arrival("ben@near.example", wait_until=NOW + 9_000_000))
    suspension.destination_failed(numbers_of(["far.example"])["far.example"], NOW, "away", 0.5)
    assert operator.retry(item=first) == 1
    assert claim(register("here:1", NOW), NOW, 10, 10) == []
    assert operator.retry(destination="Far.example") == 1
    assert [one.recipient for one in claim(register("here:1", NOW), NOW, 10, 10)] == ["ana@far.example"]
    assert operator.retry() == 1


def test_a_message_without_recipients_is_refused(database: Configuration) -> None:
    with pytest.raises(NoRecipients):
        enqueue_many([arrival("ana@far.example"), arrival()])
    assert count("queue_message") == count("content_content") == 0


def test_a_destination_that_a_failed_transaction_made_is_not_remembered(database: Configuration) -> None:
    with pytest.raises(RuntimeError), bridge.transaction():
        numbers_of(["far.example"])
        raise RuntimeError
    enqueue(arrival("ben@other.example", "ana@far.example"))
    assert {one.domain for one in claim(register("here:1", NOW), NOW, 9, 9)} == {"other.example", "far.example"}


def test_the_domain_of_an_address_is_its_destination() -> None:
    assert domain_of("Ana@FAR.Example") == "far.example"
    assert domain_of('"a@b"@far.example') == "far.example"
    assert domain_of("ana@bücher.example") == "xn--bcher-kva.example"
    assert domain_of("postmaster") == ""


def selected(item: int, content_id: int, select: str, *parameters: object) -> int:
    return enqueue_selected(
        item=item, content_id=content_id, prefix=b"X: y\r\n", return_path="garden-bounces@lists.example",
        origin="list", received_at=NOW, list_id=7, because=5, body8=True, smtputf8=False,
        select=select, parameters=parameters,
    )  # fmt: skip


def test_a_post_is_enqueued_for_everybody_a_select_names(database: Configuration) -> None:
    bridge.run("CREATE TABLE member (recipient text, domain text)")
    rows = [(f"member{n}@d{n % 7}.example", f"d{n % 7}.example") for n in range(500)]
    with bridge.transaction():
        bridge.insert_many("member", "recipient, domain", rows)
        content_id = keeping.keep(spooled_from(b"Subject: x\r\n\r\n"))
    item = new_queue_id(NOW * 1000)
    assert selected(item, content_id, "SELECT recipient, domain FROM member WHERE recipient <> %s", rows[0][0]) == 499
    keeping.release([content_id])
    claimed = claim(register("here:1", NOW), NOW, 1000, 1000)
    assert {(one.recipient, one.domain) for one in claimed} == set(rows[1:])
    assert {one.message.item for one in claimed} == {item}
    message = claimed[0].message
    assert (message.prefix, message.list_id, message.body8, message.smtputf8) == (b"X: y\r\n", 7, True, False)


def test_a_post_that_nobody_gets_leaves_nothing(database: Configuration) -> None:
    content_id = keeping.keep(spooled_from(b"Subject: x\r\n\r\n"))
    nobody = "SELECT recipient, 'far.example' AS domain FROM queue_delivery WHERE id < %s"
    assert selected(new_queue_id(NOW * 1000), content_id, nobody, 0) == 0
    assert count("queue_message") == 0
    assert bridge.fetch("SELECT uses FROM content_content") == [(1,)]


def test_waiting_copies_of_a_post_take_little_room(sqlite: Configuration) -> None:
    bridge.run("CREATE TABLE member (recipient text, domain text)")
    rows = [(f"member{n}.name@d{n % 500}.example", f"d{n % 500}.example") for n in range(10_000)]
    with bridge.transaction():
        bridge.insert_many("member", "recipient, domain", rows)
        content_id = keeping.keep(spooled_from(b"x" * 20_000))

    def used() -> int:
        ((pages,),), ((free,),) = bridge.fetch("PRAGMA page_count"), bridge.fetch("PRAGMA freelist_count")
        return 4096 * int(pages - free)

    before = used()
    assert selected(new_queue_id(NOW * 1000), content_id, "SELECT recipient, domain FROM member") == 10_000
    assert used() - before < 1_300_000
