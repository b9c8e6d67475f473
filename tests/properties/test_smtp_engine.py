"""Whatever is sent and however it is cut: the same replies, the same content, no crash, bounded memory."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.smtp.client import Client
from posthouse.smtp.data import END, DataScanner, Inspector, canonical, stuff, whole
from posthouse.smtp.outgoing import Outcome, OutgoingRecipient, OutgoingTransaction, TransactionResult
from posthouse.smtp.path import decode_xtext, encode_xtext
from posthouse.smtp.server import Server
from posthouse.smtp.session import Limits
from tests.properties.fuzz_smtp import FakeTransport, conversation
from tests.smtp.recording import RecordingSession

SMALL = Limits(message_size=300, content_line=40, header_size=60, header_count=4, spool_above=50)
OCTETS = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"a", b"\r\n.\r\n", b"\r\n..", b"x: y\r\n", b" ", b"b" * 30]),
    max_size=25,
).map(b"".join)
LINES = st.lists(
    st.sampled_from(
        [
            b"EHLO far.example\r\n",
            b"MAIL FROM:<ana@far.example>\r\n",
            b"RCPT TO:<garden@lists.example>\r\n",
            b"RCPT TO:<nobody@lists.example>\r\n",
            b"RCPT TO:<slow@lists.example>\r\n",
            b"DATA\r\n",
            b"Subject: x\r\n\r\ntext\r\n.\r\n",
            b"BDAT 6\r\nab\r\nc\n",
            b"BDAT 5 LAST\r\n.\r\n.\r",
            b"\nc\r\n",
            b"RSET\r\n",
            b"NOOP\n",
            b"\r",
            b"\r\n.\r\n",
            b"\n.\n",
            b"\r\n.\n",
            b"x" * 600,
            b"\0",
            b"STARTTLS\r\n",
            b"AUTH PLAIN\r\n",
            b"*\r\n",
        ]
    ),
    max_size=14,
).map(lambda lines: b"EHLO far.example\r\nMAIL FROM:<>\r\nRCPT TO:<garden@lists.example>\r\n" + b"".join(lines))


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


def reference(stream: bytes) -> tuple[bytes, bytes] | None:
    """The law in its slowest form: content and rest, or None when there is no end."""
    end = (b"\r\n" + stream).find(END)
    if end < 0:
        return None
    lines = stream[:end].split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines), stream[end + 3 :]


@given(OCTETS, st.lists(st.integers(0, 500), max_size=8))
def test_the_end_of_data_and_its_content_do_not_depend_on_the_pieces(stream: bytes, cuts: list[int]) -> None:
    scanner, content = DataScanner(), b""
    chunks = pieces(stream, cuts)
    for number, chunk in enumerate(chunks):
        clean, rest = scanner.feed(chunk)
        content += clean
        if rest is not None:
            assert (content, rest + b"".join(chunks[number + 1 :])) == reference(stream)
            return
    assert reference(stream) is None


@given(OCTETS, st.lists(st.integers(0, 500), max_size=8))
def test_the_verdict_on_content_does_not_depend_on_the_pieces(content: bytes, cuts: list[int]) -> None:
    at_once, piecewise = Inspector(SMALL), Inspector(SMALL)
    at_once.feed(content)
    for piece in pieces(content, cuts):
        piecewise.feed(piece)
    verdict = at_once.verdict()
    assert piecewise.verdict() == verdict
    stray = re.search(rb"(?<!\r)\n|\r(?!\n)", content) is not None
    assert (verdict is not None and verdict.enhanced == "5.5.2" and verdict.code == 550) == stray
    if verdict is None:
        assert b"\0" not in content and len(content) <= 300
        assert all(len(line) + 2 <= 40 for line in content.split(b"\r\n")[:-1])


@given(OCTETS)
def test_the_fast_way_agrees_with_the_slow_one(stream: bytes) -> None:
    found = whole(stream, 0, SMALL)
    if found is not None:
        content, end = found
        assert reference(stream) == (content, stream[end:])
        inspector = Inspector(SMALL)
        inspector.feed(content)
        assert inspector.verdict() is None


@given(OCTETS)
def test_stuffed_content_comes_out_as_it_went_in(content: bytes) -> None:
    clean = canonical(content)
    if clean and not clean.endswith(b"\r\n"):
        clean += b"\r\n"
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", clean) is None
    assert DataScanner().feed(stuff(clean) + b"NOOP\r\n") == (clean, b"NOOP\r\n")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50))
def test_xtext_comes_back(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text
    assert re.fullmatch(r"[!-~]*", encode_xtext(text))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(LINES, st.lists(st.integers(0, 3000), max_size=10))
def test_replies_and_messages_do_not_depend_on_the_pieces(stream: bytes, cuts: list[int]) -> None:
    assert asyncio.run(conversation([stream])) == asyncio.run(conversation(pieces(stream, cuts)))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=200), LINES), max_size=8))
def test_garbage_never_crashes_the_engine(stream: list[bytes]) -> None:
    replies, _ = asyncio.run(conversation(stream))
    assert all(re.match(rb"\d{3}[ -]", line) for line in replies.splitlines())


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\r.\r",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n\r.\r\n",
    ],
)
def test_no_smuggling_form_ends_the_data(end: bytes) -> None:
    smuggled = b"MAIL FROM:<eve@stranger.example>\r\nRCPT TO:<garden@lists.example>\r\nDATA\r\nsmuggled\r\n"
    stream = (
        b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<garden@lists.example>\r\nDATA\r\nx" + end + smuggled + b".\r\nNOOP\r\n"
    )
    replies, messages = asyncio.run(conversation([stream]))
    assert messages == []
    last = replies.splitlines()[-3:]
    assert last[0].startswith(b"354 ") and last[1].startswith(b"550 5.") and last[2].startswith(b"250 2.0.0 Still")


def test_memory_stays_bounded_whatever_comes() -> None:
    async def flood() -> None:
        for beginning in (b"", b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<slow@lists.example>\r\n"):
            transport = FakeTransport()
            server = Server(RecordingSession())
            server.connection_made(transport)
            server.data_received(beginning)
            sent = 0
            while not transport.paused and not transport.closed and sent < 3_000_000:
                server.data_received(b"y" * 10_000)
                sent += 10_000
            assert len(server._buffer) < 100_000, beginning  # type: ignore[attr-defined]
            server.connection_lost(None)
            await asyncio.sleep(0)

    asyncio.run(flood())


def test_large_content_is_spooled_and_refused_content_is_dropped() -> None:
    async def send(line: bytes, count: int) -> tuple[Any, bytes]:
        session, transport = RecordingSession(), FakeTransport()
        server = Server(session)
        server.connection_made(transport)
        server.data_received(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<garden@lists.example>\r\nDATA\r\nx: y\r\n\r\n")
        for _ in range(count):
            server.data_received(line)
        server.data_received(b".\r\n")
        server.connection_lost(None)
        return session.sinks[0], transport.replies().splitlines()[-1]

    good, reply = asyncio.run(send(b"z" * 998 + b"\r\n", 90))
    assert reply.startswith(b"250 2.6.0") and len(good.content) == 90_008 and 1 < len(good.chunks) < 30
    assert max(len(chunk) for chunk in good.chunks) < 10_000
    big, reply = asyncio.run(send(b"z" * 998 + b"\r\n", 110))
    assert reply.startswith(b"552 5.3.4") and big.aborted == 1
    _, reply = asyncio.run(send(b"z" * 998, 5))
    assert reply.startswith(b"354")  # a line without an end is no end of data either
    long, reply = asyncio.run(send(b"z" * 2047 + b"\r\n", 5))
    assert reply.startswith(b"500 5.5.2") and long.aborted == 1
    wide, reply = asyncio.run(send(b"z" * 2046 + b"\r\n", 5))
    assert reply.startswith(b"250 2.6.0") and wide.aborted == 0


REPLIES = st.lists(
    st.sampled_from(
        [
            b"250 2.1.0 ok\r\n",
            b"250-a\r\n",
            b"354 go\r\n",
            b"550 5.1.1 no\r\n",
            b"503 no\r\n",
            b"421 bye\r\n",
            b"334 \r\n",
            b"\r\n",
            b"250\n",
            b"x" * 5000,
            b"999 x\r\n",
        ]
    )
    | st.binary(max_size=6),
    max_size=20,
).map(b"".join)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    REPLIES, st.lists(st.integers(0, 500), max_size=6), st.sampled_from(["CHUNKING", "PIPELINING", ""]), st.booleans()
)
def test_whatever_a_far_server_says_every_transaction_gets_its_result(
    said: bytes, cuts: list[int], offers: str, lmtp: bool
) -> None:
    async def run(chunks: list[bytes]) -> list[TransactionResult]:
        client, transport = Client(), FakeTransport()
        client.connection_made(transport)
        client.lmtp = lmtp
        client.capabilities = dict.fromkeys(("8BITMIME", offers, "PIPELINING" if offers else ""), "")
        client.forgo()
        recipients = (OutgoingRecipient("ben@far.example"), OutgoingRecipient("ana@far.example"))
        futures = [client.submit(OutgoingTransaction("", recipients, b"X: y\r\n", b"\r\n")) for _ in range(3)]
        for chunk in chunks:
            client.data_received(chunk)
        client.connection_lost(None)
        assert all(future.done() for future in futures)
        return [future.result() for future in futures]

    results = asyncio.run(run([said]))
    assert asyncio.run(run(pieces(said, cuts))) == results
    for result in results:
        for recipient in result.recipients:
            taken = recipient.reply is not None and recipient.reply.code < 300 and recipient.stage == "content"
            assert (recipient.outcome is Outcome.ACCEPTED) == taken
