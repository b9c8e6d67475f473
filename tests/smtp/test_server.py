"""The server's order, time and endings, over real sockets and, where writes are counted, over a fake transport."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from pathlib import Path

import pytest

from posthouse.smtp import catalogue
from posthouse.smtp.connection import BUFFER_LIMIT
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions, Limits
from tests.properties.fuzz_smtp import FakeTransport
from tests.smtp.recording import LIMITS, RecordingSession, client_context, listening, server_context

HELLO = b"EHLO far.example\r\n"
ENVELOPE = b"MAIL FROM:<ana@far.example>\r\nRCPT TO:<garden@lists.example>\r\n"
MESSAGE = b"Subject: x\r\n\r\ntext\r\n.\r\n"


def connected(session: RecordingSession) -> tuple[Server, FakeTransport]:
    server, transport = Server(session), FakeTransport()
    server.connection_made(transport)
    return server, transport


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def read_all(port: int, octets: bytes) -> bytes:
    """Say it, close our direction, read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_replies_of_a_pipelined_group_leave_in_one_write() -> None:
    server, transport = connected(RecordingSession())
    server.data_received(HELLO)
    transport.written.clear()
    server.data_received(ENVELOPE + b"DATA\r\n")
    assert len(transport.written) == 1 and transport.written[0].count(b"\r\n") == 3


async def test_awaited_answers_keep_the_order_and_still_share_a_write() -> None:
    session = RecordingSession(slow=True)
    server, transport = connected(session)
    await turns()
    server.data_received(HELLO)
    await turns()
    transport.written.clear()
    server.data_received(ENVELOPE + b"RCPT TO:<nobody@lists.example>\r\nDATA\r\n")
    await turns()
    assert len(transport.written) == 1
    assert [line[:3] for line in transport.written[0].splitlines()] == [b"250", b"250", b"550", b"354"]


async def test_the_final_reply_does_not_wait_for_a_slow_next_command() -> None:
    session = RecordingSession()
    server, transport = connected(session)
    server.data_received(HELLO + ENVELOPE + b"DATA\r\n")
    transport.written.clear()
    server.data_received(MESSAGE + b"MAIL FROM:<>\r\nRCPT TO:<slow@lists.example>\r\n")
    assert transport.replies().startswith(b"250 2.6.0")


async def test_a_small_message_reaches_the_sink_in_one_write() -> None:
    session = RecordingSession()
    server, _ = connected(session)
    server.data_received(HELLO + ENVELOPE + b"DATA\r\n")
    for piece in (b"Subject", b": x\r", b"\n\r\nte", b"xt\r\n.", b"\r\n"):
        server.data_received(piece)
    assert session.sinks[0].chunks == [b"Subject: x\r\n\r\ntext\r\n"]


async def test_what_becomes_durable_is_not_cancelled_when_the_client_leaves() -> None:
    gate = asyncio.Event()
    session = RecordingSession(gate=gate)
    server, _ = connected(session)
    server.data_received(HELLO + ENVELOPE + b"DATA\r\n" + MESSAGE)
    await turns()
    pending = server._pending
    server.connection_lost(None)
    gate.set()
    await turns()
    assert pending is not None and pending.result() == catalogue.ACCEPTED
    assert session.sinks[0].aborted == 0


async def test_content_is_aborted_when_the_client_leaves_in_the_middle() -> None:
    session = RecordingSession()
    server, _ = connected(session)
    server.data_received(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n")
    server.connection_lost(ConnectionResetError("reset"))
    assert session.sinks[0].aborted == 1 and session.messages == []
    assert session.closings == ["connection lost: reset"]


async def test_a_client_that_talks_while_an_answer_is_awaited_is_held_back() -> None:
    gate = asyncio.Event()
    server, transport = connected(RecordingSession(gate=gate))
    server.data_received(HELLO + ENVELOPE + b"DATA\r\n" + MESSAGE)
    server.data_received(b"NOOP\r\n" * (BUFFER_LIMIT // 6 + 1))
    assert transport.paused
    gate.set()
    await turns()
    assert not transport.paused
    assert transport.replies().count(b"Still here") == BUFFER_LIMIT // 6 + 1


async def test_a_client_that_does_not_read_is_not_served_further() -> None:
    server, transport = connected(RecordingSession())
    server.pause_writing()
    transport.written.clear()
    server.data_received(b"NOOP\r\n" * (BUFFER_LIMIT // 6 + 1))
    assert transport.written == [] and transport.paused
    server.resume_writing()
    assert len(transport.written) == 1 and not transport.paused


async def test_a_failing_session_is_answered_451_and_reported() -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    server, transport = connected(RecordingSession())
    server.data_received(HELLO + b"MAIL FROM:<>\r\nRCPT TO:<broken@lists.example>\r\nNOOP\r\n")
    assert transport.replies().splitlines()[-2:] == [
        catalogue.TEMPORARILY_UNAVAILABLE.octets.strip(),
        catalogue.NOOP_OK.octets.strip(),
    ]
    assert [type(error) for error in reported] == [LookupError]


async def test_shutting_down_says_421_at_once_to_the_idle() -> None:
    session = RecordingSession()
    server, transport = connected(session)
    server.data_received(HELLO)
    server.shutdown()
    assert transport.replies().endswith(b"421 4.3.2 Shutting down; try again soon\r\n") and transport.closed


async def test_shutting_down_lets_a_running_transaction_finish() -> None:
    session = RecordingSession()
    server, transport = connected(session)
    server.data_received(HELLO + ENVELOPE)
    server.shutdown()
    server.data_received(b"DATA\r\n" + MESSAGE)
    assert len(session.messages) == 1 and transport.closed
    assert [line[:3] for line in transport.replies().splitlines()[-3:]] == [b"354", b"250", b"421"]


async def test_shutting_down_waits_for_the_answer_that_is_awaited() -> None:
    server, transport = connected(RecordingSession(slow=True))
    await turns()
    server.data_received(HELLO)
    server.shutdown()
    assert not transport.closed
    await turns()
    assert transport.closed and [line[:4] for line in transport.replies().splitlines()[-2:]] == [b"250 ", b"421 "]


@pytest.mark.parametrize(
    ("limits", "said", "last"),
    [
        (Limits(idle_seconds=0.05), HELLO, catalogue.IDLE),
        (Limits(data_seconds=0.05), HELLO + ENVELOPE + b"DATA\r\nx: y\r\n", catalogue.CONTENT_TOO_SLOW),
        (Limits(total_seconds=0.05), HELLO, catalogue.SESSION_TOO_LONG),
        (dataclasses.replace(LIMITS, hard_errors=3), b"EXPN a\r\n" * 3, catalogue.TOO_MANY_ERRORS),
        (Limits(unknown_commands=2), b"FOO\r\nBAR\r\n", catalogue.TOO_MANY_UNKNOWN),
        (
            dataclasses.replace(LIMITS, transactions=1),
            HELLO + ENVELOPE + b"BDAT 2 LAST\r\n\r\n" + ENVELOPE,
            catalogue.TOO_MANY_TRANSACTIONS,
        ),
    ],
    ids=["idle", "slow content", "too long", "errors", "unknown", "messages"],
)
async def test_every_bound_has_its_own_last_word(limits: Limits, said: bytes, last: object) -> None:
    async with listening(lambda: RecordingSession(limits=limits)) as (port, sessions, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        answer = await reader.read()
        writer.close()
        assert answer.endswith(last.octets)  # type: ignore[attr-defined]
        await sessions[0].gone.wait()
        assert sessions[0].closings == [str(last)]


async def test_content_that_trickles_below_the_rate_is_too_slow() -> None:
    limits = Limits(data_seconds=0.05, data_rate=1_000_000)
    async with listening(lambda: RecordingSession(limits=limits)) as (port, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HELLO + ENVELOPE + b"DATA\r\n")
        answer = b""
        while not (piece := await asyncio.wait_for(anext_piece(reader), 2)).endswith(catalogue.CONTENT_TOO_SLOW.octets):
            answer += piece
            writer.write(b"x")
        writer.close()


async def anext_piece(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(0.01):
            return await reader.read(1000)
    except TimeoutError:
        return b""


async def test_errors_beyond_the_soft_limit_are_answered_slowly() -> None:
    limits = dataclasses.replace(LIMITS, soft_errors=1, error_delay=0.05)
    server, transport = connected(RecordingSession(limits=limits))
    loop = asyncio.get_running_loop()
    transport.written.clear()
    begun = loop.time()
    server.data_received(b"EXPN a\r\n")
    assert transport.written
    transport.written.clear()
    server.data_received(b"EXPN a\r\nNOOP\r\n")
    assert transport.written == []
    while not transport.written:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert loop.time() - begun >= 0.04
    assert transport.replies().count(b"\r\n") == 2


async def test_who_talks_before_the_greeting_is_noticed() -> None:
    def make() -> RecordingSession:
        return RecordingSession(greet_delay=0.05)

    async with listening(make) as (port, sessions, _):
        assert (await read_all(port, HELLO)) == catalogue.TALKED_EARLY.octets
        assert sessions[0].peers[0].talked_early
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readline() == catalogue.GREETING.octets
        assert not sessions[1].peers[0].talked_early
        writer.close()


async def test_a_client_that_closes_its_direction_still_gets_its_replies() -> None:
    async with listening(lambda: RecordingSession(slow=True)) as (port, sessions, _):
        answer = await read_all(port, HELLO + ENVELOPE + b"DATA\r\n" + MESSAGE + b"NOOP\r\n")
        assert answer.endswith(catalogue.ACCEPTED.octets + catalogue.NOOP_OK.octets)
        assert len(sessions[0].messages) == 1


async def test_implicit_tls_is_known_from_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = str(tmp_path_factory.getbasetemp())

    def make() -> RecordingSession:
        return RecordingSession(extensions=Extensions(auth=True))

    async with listening(make, tls=server_context(directory)) as (port, sessions, _):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(directory), server_hostname="localhost"
        )
        writer.write(HELLO + b"QUIT\r\n")
        assert b"AUTH PLAIN LOGIN" in await reader.read()
        writer.close()
        tls = sessions[0].peers[0].tls
        assert tls is not None and tls.version.startswith("TLSv1") and tls.bits >= 128


async def test_a_failed_handshake_ends_the_session_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    context = server_context(str(tmp_path_factory.getbasetemp()))

    def make() -> RecordingSession:
        return RecordingSession(extensions=Extensions(starttls=context))

    async with listening(make) as (port, sessions, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        writer.write(b"STARTTLS\r\n")
        await reader.readline()
        writer.write(b"EHLO this is no handshake\r\nMAIL FROM:<eve@stranger.example>\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)):
            if await reader.read() is not None:
                raise ConnectionError
        await sessions[0].gone.wait()
        assert len(sessions[0].closings) == 1 and "TLS" in sessions[0].closings[0]
        assert sessions[0].mails == [] and sessions[0].hellos == []
        writer.close()


async def test_a_password_is_never_reported_as_refused_text() -> None:
    session = RecordingSession(extensions=Extensions(auth=True))
    server, _ = connected(session)
    server.data_received(b"AUTH PLAIN AGNsZW8AcmlnaHQ=\r\nAUTH PLAIN AGNsZW8A\ncmlnaHQ=\r\n")
    assert len(session.refusals) == 2
    assert all("AGNs" not in text for _, _, text in session.refusals)


def test_a_reply_keeps_to_its_lines_and_to_ascii(tmp_path: Path) -> None:
    long = catalogue.OK.with_text("word " * 300 + "\r\nend\nlast é")
    lines = long.octets.splitlines(keepends=True)
    assert all(len(line) <= 512 and line.endswith(b"\r\n") and line.isascii() for line in lines)
    assert all(line[:10] == b"250-2.0.0 " for line in lines[:-1]) and lines[-1] == b"250 2.0.0 last ?\r\n"
