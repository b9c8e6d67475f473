"""An operator asks what happened and hears it in words."""

from posthouse.configuration import Configuration
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue import operator
from posthouse.queue.claim import claim, register
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import name_of, new_queue_id
from posthouse.queue.outcome import DELIVERED, FAILED, Outcome, record_outcomes
from posthouse.queue.returning import write_reports
from posthouse.queue.trace import trace
from tests.queue.arrivals import NOW, arrival


def _failed_and_reported() -> int:
    item = enqueue(arrival("ana@far.example", message_id="<tomatoes@far.example>", peer="[192.0.2.7]"))
    me = register("here:1", NOW)
    [one] = claim(me, NOW, 10, 10)
    record_outcomes([Outcome(one, FAILED, "mx.far.example", "550 5.1.1 nobody here", "5.1.1")], NOW)
    write_reports(NOW, "mx.lists.example")
    [report] = claim(me, NOW, 10, 10)
    record_outcomes([Outcome(report, DELIVERED, "mx.lists.example", "250 2.0.0 Ok")], NOW)
    return item


def test_a_trace_follows_a_message_to_its_report(database: Configuration) -> None:
    item = _failed_and_reported()
    lines = trace(name_of(item))
    assert [line.kind for line in lines] == ["accepted", "failed", "enqueued", "returned", "delivered"]
    assert lines[0].item == name_of(item) != lines[2].item
    assert "mx.far.example said: 550 5.1.1 nobody here" in lines[1].sentence
    assert f"because of {name_of(item)}" in lines[2].sentence
    assert lines[2].item in lines[3].sentence


def test_a_trace_from_the_report_leads_back_to_what_failed(database: Configuration) -> None:
    lines = trace(name_of(_failed_and_reported()))
    assert [line.kind for line in trace(lines[2].item)] == [line.kind for line in lines]


def test_an_address_a_message_id_and_a_peer_are_found(database: Configuration) -> None:
    item = name_of(_failed_and_reported())
    for word in ("ana@far.example", "ANA@far.example", "<tomatoes@far.example>", "192.0.2.7", "owen@lists.example"):
        assert item in {line.item for line in trace(word)}, word
    assert trace("nobody-knows-this") == []
    assert trace("%") == [] and trace("5_0 5.1.1") == []


def test_the_trace_of_a_recipient_leaves_the_other_recipients_out(database: Configuration) -> None:
    item = enqueue(arrival("ana@far.example", "ben@far.example"))
    me = register("here:1", NOW)
    record_outcomes([Outcome(one, DELIVERED, "mx", "250 Ok") for one in claim(me, NOW, 10, 10)], NOW)
    told = [line.address for line in trace("ana@far.example") if line.kind == "delivered"]
    assert told == ["ana@far.example"]
    assert len(trace(name_of(item))) == 3


def test_a_bare_id_that_never_was_says_nothing(database: Configuration) -> None:
    assert trace(name_of(new_queue_id(NOW * 1000))) == []
    assert trace("") == []


def test_the_operator_lists_shows_and_returns_a_message(database: Configuration) -> None:
    item = enqueue(arrival("ana@far.example", "ben@far.example"))
    [line] = operator.listing()
    assert (line.name, line.waiting, line.first_recipient) == (name_of(item), 2, "ana@far.example")
    shown = operator.show(item)
    assert shown is not None and [one.state for one in shown.deliveries] == ["waiting", "waiting"]
    claim(register("here:1", NOW), NOW, 1, 10)
    assert operator.counts() == operator.Counts(1, 1, 1, 0, 0)
    assert operator.return_now(item, NOW, "mx.lists.example") == 2
    assert operator.show(item) is None
    assert operator.return_now(item, NOW, "mx.lists.example") == 0
    [report] = operator.listing()
    assert report.return_path == "" and report.first_recipient == "owen@lists.example"


def test_giving_up_a_message_with_a_null_return_path_tells_nobody(database: Configuration) -> None:
    item = new_queue_id(NOW * 1000)
    content = arrival("x@far.example").content
    enqueue(Arrival(item, content, b"", Envelope("", (Recipient("ana@far.example"),)), "report", NOW))
    assert operator.return_now(item, NOW, "mx.lists.example") == 1
    assert operator.counts() == operator.Counts(0, 0, 0, 0, 0)
