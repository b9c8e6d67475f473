"""Every bound has its own reply, and the connection stays usable where it can."""

from __future__ import annotations

import socket

from tests.reception.conftest import Opener
from tests.reception.station import LETTER, Station, Talker, events, queued, until

GARDEN = "garden@lists.example"


def guest(station: Station) -> Talker:
    """A client that said EHLO."""
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    return talker


def test_a_size_above_the_limit_is_refused_at_mail_and_the_connection_goes_on(opens: Opener) -> None:
    talker = guest(opens(limits={"message_size": 100_000}))
    assert "SIZE 100000" in talker.says("EHLO again", 250)
    talker.says("MAIL FROM:<ana@far.example> SIZE=100001", "552 5.3.4")
    talker.envelope(GARDEN, parameters=" SIZE=100000")
    talker.content(LETTER)


def test_a_message_above_the_limit_is_refused_at_its_end_and_the_connection_goes_on(opens: Opener) -> None:
    station = opens(limits={"message_size": 100_000})
    talker = guest(station)
    talker.envelope(GARDEN)
    talker.content(LETTER + b"x" * 998 + b"\r\n" + (b"y" * 998 + b"\r\n") * 200, "552 5.3.4")
    talker.envelope(GARDEN)
    talker.content(LETTER)
    assert [message["octets"] for message in queued()] == [LETTER]
    station.stop()
    [refused] = events()
    assert refused["stage"] == "content" and refused["reply"].startswith("552 5.3.4")


def test_the_shipped_limit_is_200_mib(opens: Opener) -> None:
    talker = guest(opens())
    talker.says("MAIL FROM:<ana@far.example> SIZE=209715201", "552 5.3.4")
    talker.says("MAIL FROM:<ana@far.example> SIZE=209715200", 250)


def test_too_many_hops_is_a_loop(opens: Opener) -> None:
    talker = guest(opens(limits={"hops": 5}))
    talker.envelope(GARDEN)
    talker.content(b"Received: from a by b\r\n" * 5 + LETTER)
    talker.envelope(GARDEN)
    talker.content(b"Received: from a by b\r\n" * 6 + LETTER, "554 5.4.6")
    assert len(queued()) == 1


def test_whoever_looks_for_a_message_that_was_refused_whole_finds_it_by_its_recipient(opens: Opener) -> None:
    station = opens(limits={"hops": 5, "header_count": 20})
    talker = guest(station)
    for content in (b"Received: from a by b\r\n" * 6 + LETTER, b"X-Many: x\r\n" * 25 + LETTER):
        talker.envelope(GARDEN, "postmaster@lists.example")
        talker.content(content, 55)
    talker.envelope(GARDEN)
    talker.says("MAIL FROM:<ana@far.example>", 503)  # a slip, no fate of the message
    station.stop()
    found = [(event["address"], event["reply"][:9]) for event in events() if event["stage"] != "mail"]
    both = (GARDEN, "postmaster@lists.example")
    assert found == [(one, code) for code in ("554 5.4.6", "552 5.3.4") for one in both]


def test_a_loop_is_seen_in_a_large_message_too(opens: Opener) -> None:
    station = opens(limits={"hops": 5})
    talker = guest(station)
    talker.envelope(GARDEN)
    talker.content(b"Received: from a by b\r\n" * 6 + LETTER + (b"y" * 998 + b"\r\n") * 400, "554 5.4.6")
    talker.says("NOOP", 250)
    incoming = station.reception._configuration.data / "content" / "incoming"
    until(lambda: not list(incoming.iterdir()))


def test_header_bounds_have_their_own_replies(opens: Opener) -> None:
    talker = guest(opens(limits={"header_size": 2000, "header_count": 20}))
    talker.envelope(GARDEN)
    talker.content(b"X-Long: " + b"x" * 2000 + b"\r\n" + LETTER, "552 5.3.4 Header")
    talker.envelope(GARDEN)
    talker.content(b"X-Many: x\r\n" * 30 + LETTER, "552 5.3.4 Too many")


def test_too_many_recipients_are_put_off_and_the_rest_is_taken(opens: Opener) -> None:
    talker = guest(opens(limits={"recipients": 2}, reception={"relay_networks": ["127.0.0.0/8"]}))
    talker.envelope("a@far.example", "b@far.example")
    talker.says("RCPT TO:<c@far.example>", "452 4.5.3")
    talker.content(LETTER)
    assert queued()[0]["recipients"] == ["a@far.example", "b@far.example"]


def test_five_hundred_recipients_in_one_transaction_are_taken(opens: Opener) -> None:
    talker = guest(opens(reception={"relay_networks": ["127.0.0.0/8"]}))
    talker.envelope(*(f"r{number}@far.example" for number in range(500)))
    talker.content(LETTER)
    assert len(queued()[0]["recipients"]) == 500


def test_one_client_gets_so_many_connections_and_another_its_own(opens: Opener) -> None:
    station = opens(limits={"connections_per_address": 3})
    inside = [Talker(station.place()) for _ in range(3)]
    turned_away = Talker(station.place(), greeting=421)
    assert turned_away.greeting.startswith("421 4.7.0") and turned_away.ended()
    other = socket.create_connection(station.place(), 20, source_address=("127.0.0.2", 0))
    assert other.recv(100).startswith(b"220 ")
    inside[0].says("QUIT", 221)
    until(lambda: len(station.guests) == 3)
    Talker(station.place())
    station.stop(0.05)
    [refused] = events("connection-refused")
    assert refused["peer"] == "127.0.0.1" and refused["listener"] == "transfer"


def test_all_connections_together_are_bounded_and_strangers_leave_room_for_others(opens: Opener) -> None:
    station = opens(limits={"connections": 2})
    inside = [Talker(station.place()), Talker(station.place())]
    assert Talker(station.place(), greeting=421).greeting.startswith("421 4.3.2")
    people = [Talker(station.place("submission")), Talker(station.place("submission"))]
    assert Talker(station.place("submission"), greeting=421).greeting.startswith("421 4.3.2")
    front = Talker(station.place("lmtp"))
    inside[0].close()
    until(lambda: len(station.guests) == 4)
    inside.append(Talker(station.place()))
    people[0].close()
    until(lambda: len(station.guests) == 4)
    people.append(Talker(station.place("submission")))
    assert {one.greeting[:3] for one in (*inside, *people, front)} == {"220"}


def test_a_silent_client_is_told_and_sent_away(opens: Opener) -> None:
    talker = guest(opens(limits={"idle_seconds": 0.1}))
    assert talker.reply().startswith("421 4.4.2") and talker.ended()


def test_too_many_errors_end_the_connection(opens: Opener) -> None:
    talker = guest(opens(limits={"soft_errors": 3, "hard_errors": 3}))
    talker.says("MAIL FROM:<ana@far.example>", 250)
    for _ in range(2):
        talker.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    talker.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    assert talker.reply().startswith("421 4.7.0") and talker.ended()


def test_bare_newlines_are_refused_from_loopback_too(opens: Opener) -> None:
    talker = guest(opens(reception={"relay_networks": ["127.0.0.0/8"]}))
    talker.envelope(GARDEN)
    talker.says("DATA", 354)
    talker.send(LETTER + b"\n.\nMAIL FROM:<eve@far.example>\r\n.\r\n")
    assert talker.reply().startswith("550 5.5.2")
    talker.says("NOOP", 250)
    assert queued() == []
