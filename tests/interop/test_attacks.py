"""Nothing that we send is read as two messages by a real Postfix or a real Exim, whatever was stored."""

from __future__ import annotations

import time

import pytest

from posthouse.configuration import Configuration
from posthouse.content.spool import spooled_from
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id
from tests.interop.peers import peer
from tests.people import ANA, BEN, EVE
from tests.ports import free_port
from tests.running_house import WallClock, running

pytestmark = pytest.mark.interop
SMUGGLED = f"MAIL FROM:<{EVE}>\r\nRCPT TO:<{BEN}>\r\nDATA\r\nSubject: smuggled\r\n\r\nNot from Ana.\r\n".encode()
ENDS = (
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n.\r\n", b"\r\n..\r\n", b"\r\n\r.\r\n",
    b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\n\n.\r\n", b"\r\n.\n\r\n", b"\n\r.\n\r", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n",
)  # fmt: skip


@pytest.mark.parametrize(("size", "chunking"), [("small", True), ("small", False), ("large", False)])
@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_no_form_of_an_end_in_stored_content_ends_the_message(
    sqlite: Configuration, kind: str, size: str, chunking: bool
) -> None:
    """Reception would take few of these; the queue is filled behind its back."""
    port = free_port()
    padding = b"x" * 70 + b"\r\n"
    padding = padding * (20_000 if size == "large" else 1)  # a large content is a file
    with running(sqlite, clock=WallClock(), smarthost=f"127.0.0.1:{port}") as house:
        with peer(kind, house.port, house.outside.port, port=port, chunking=chunking) as behind:
            for number, end in enumerate(ENDS if size == "small" else ENDS[6:8]):
                head = f"From: {ANA}\r\nTo: {BEN}\r\nSubject: form {number}\r\nMessage-ID: <{number}@x.example>\r\n\r\n"
                content = head.encode() + padding + b"one" + end + SMUGGLED + b".\r\nlast\r\n"
                envelope = Envelope(ANA, (Recipient(BEN),), "7BIT")
                now = time.time_ns()
                arrival = Arrival(
                    new_queue_id(now // 1000), spooled_from(content), b"", envelope, "transfer", now // 1_000_000
                )
                house.call(house.bridge.write(enqueue, arrival))
            house._loop.call_soon_threadsafe(house.runner.kick)
            count = len(ENDS) if size == "small" else 2
            assert house.outside.waits_for(count, 30), behind.log()
            with house.outside.lock:  # one more would have come on the same connections, before the last
                arrived = list(house.outside.taken)
        assert len(arrived) == count
        assert sorted(one.subject for one in arrived) == sorted(f"form {number}" for number in _numbers(size))
        for one in arrived:
            assert one.return_path == ANA and one.recipients == (BEN,)
            assert b"Subject: smuggled" in one.content and b"last" in one.content


def _numbers(size: str) -> range:
    return range(len(ENDS)) if size == "small" else range(2)
