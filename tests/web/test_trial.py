"""The outbox of the trial mode: what would have left, as safe text."""

from __future__ import annotations

import time

from posthouse.content.spool import spooled_from
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue.captured import capture
from posthouse.queue.claim import claim, register
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id
from tests.people import ANA, EVE
from tests.web.neighbourhood import Neighbourhood

LETTER = (
    f"From: Eve <{EVE}>\r\nTo: {ANA}\r\nSubject: <b>Offer</b>\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    "<p>Buy <script>alert(1)</script><img src=http://evil.example/x>now</p>\r\n"
).encode()


def leave(letter: bytes = LETTER) -> None:
    """Let a letter leave as the trial mode lets it."""
    now = time.time_ns() // 1_000_000
    item = new_queue_id(now * 1000)
    envelope = Envelope(EVE, (Recipient(ANA),))
    enqueue(Arrival(item, spooled_from(letter), b"", envelope, "submission", now))
    [claimed] = claim(register("test", now), now, 1, 1)
    capture(now, claimed, EVE, letter, "250 2.0.0 kept here")


def test_the_outbox_shows_what_would_have_left_as_text(site: Neighbourhood) -> None:
    site.changes(trial=True)
    leave()
    client = site.as_("stranger")

    outbox = client.get("/trial/outbox").content.decode()
    assert ANA in outbox and "250 2.0.0 kept here" in outbox and "&lt;b&gt;Offer&lt;/b&gt;" in outbox
    path = outbox.partition('href="/trial/outbox/')[2].partition('"')[0]
    shown = client.get(f"/trial/outbox/{path}").content.decode()
    assert "Buy" in shown and "now" in shown
    assert "<script" not in shown and "<img" not in shown
    raw = client.get(f"/trial/outbox/{path}?raw=1")
    assert raw.content == LETTER
    assert raw.headers["Content-Type"].startswith("text/plain")
    assert client.get("/trial/outbox/99999").status_code == 404


def test_many_captured_messages_come_in_pages_newest_first(quick_site: Neighbourhood) -> None:
    quick_site.changes(trial=True)
    for number in range(52):
        leave(f"Subject: Letter {number}\r\n\r\nx\r\n".encode())
    client = quick_site.as_("stranger")
    first = client.get("/trial/outbox").content.decode()
    assert first.index("Letter 51") < first.index("Letter 2<") and "Letter 1<" not in first
    older = first.partition('href="/trial/outbox?before=')[2].partition('"')[0]
    assert "Letter 0<" in client.get(f"/trial/outbox?before={older}").content.decode()
