"""The client against far servers that refuse, vanish and lie: its results must match what really happened."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from posthouse.smtp import catalogue
from posthouse.smtp.client import Client, ClientError, ConnectFailed, ConnectionBroken, Timeouts, TlsFailed
from posthouse.smtp.data import stuff
from posthouse.smtp.outgoing import (
    FileBody,
    Outcome,
    OutgoingRecipient,
    OutgoingTransaction,
    TransactionResult,
    UnsafeAddress,
)
from posthouse.smtp.session import Extensions
from tests.smtp.far import Far, listening_far
from tests.smtp.recording import LIMITS, RecordingSession, client_context, listening, server_context

BODY = b"Subject: x\r\n\r\n.a dot\r\n..\r\ntext\r\n"
MODES = {
    "chunking": ("PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000000"),
    "pipelining": ("PIPELINING", "8BITMIME", "SIZE 1000000"),
    "step by step": ("8BITMIME",),
}


def copy(number: int, *recipients: str, body: bytes = BODY) -> OutgoingTransaction:
    return OutgoingTransaction(
        f"garden-bounces+{number}@lists.example",
        tuple(OutgoingRecipient(address) for address in recipients or (f"ben{number}@far.example",)),
        prefix=b"X-Copy: %d\r\n" % number,
        body=body,
        stuffed=stuff(body),
    )


def content(number: int, body: bytes = BODY) -> bytes:
    return b"X-Copy: %d\r\n" % number + body


def outcomes(result: TransactionResult) -> list[Outcome]:
    return [recipient.outcome for recipient in result.recipients]


async def connected(port: int, *, lmtp: bool = False) -> Client:
    client = Client(Timeouts(connect=5, greeting=5, helo=5, mail=5, rcpt=5, data_init=5, data_block=5, data_done=5))
    await client.connect("127.0.0.1", port)
    await client.hello("lists.example", lmtp=lmtp)
    return client


@pytest.mark.parametrize("chunking", [True, False], ids=["BDAT", "DATA"])
async def test_copies_reach_our_own_server_as_they_are(chunking: bool) -> None:
    def make() -> RecordingSession:
        limits = dataclasses.replace(LIMITS, hard_errors=0)
        return RecordingSession(extensions=Extensions(chunking=chunking), limits=limits, slow=True)

    async with listening(make) as (port, sessions, _):
        client = await connected(port)
        results = await asyncio.gather(*(client.submit(copy(number)) for number in range(50)))
        await client.quit()
    assert all(outcomes(result) == [Outcome.ACCEPTED] and not result.lost for result in results)
    assert sessions[0].messages == [
        (f"garden-bounces+{number}@lists.example", (f"ben{number}@far.example",), content(number))
        for number in range(50)
    ]


@pytest.mark.parametrize("mode", MODES)
async def test_refusals_stay_with_their_recipients(mode: str) -> None:
    far = Far(keywords=MODES[mode])
    async with listening_far(far) as port:
        client = await connected(port)
        transactions = [
            copy(1, "ben@far.example", "nobody@far.example", "later@far.example"),
            copy(2, "nobody@far.example"),
            dataclasses.replace(copy(3), return_path="nobody@lists.example"),
            copy(4, body=b"reject me\r\n"),
            copy(5, "nobody@far.example", "later@far.example"),
            copy(6),
        ]
        results = await asyncio.gather(*map(client.submit, transactions))
        await client.quit()
    accepted, refused = Outcome.ACCEPTED, Outcome.REFUSED
    assert [outcomes(result) for result in results] == [
        [accepted, refused, refused], [refused], [refused], [refused], [refused, refused], [accepted],
    ]  # fmt: skip
    assert [[recipient.stage for recipient in result.recipients] for result in results] == [
        ["content", "rcpt", "rcpt"], ["rcpt"], ["mail"], ["content"], ["rcpt", "rcpt"], ["content"],
    ]  # fmt: skip
    assert str(results[0].recipients[2].reply) == "450 4.2.0 no"
    # The return path is that of the copy, whatever was refused before it.
    assert far.messages == [
        ("garden-bounces+1@lists.example", ["ben@far.example"], content(1)),
        ("garden-bounces+6@lists.example", ["ben6@far.example"], content(6)),
    ]


@pytest.mark.parametrize("replies", range(2, 22))
@pytest.mark.parametrize("mode", MODES)
async def test_a_lost_connection_never_leads_to_a_wrong_claim(mode: str, replies: int) -> None:
    far = Far(keywords=MODES[mode], vanish_after=replies)
    async with listening_far(far) as port:
        client = await connected(port)
        numbers = range(4)
        results = await asyncio.gather(
            *(client.submit(copy(number, f"ben{number}@far.example", "nobody@far.example")) for number in numbers)
        )
        client.close()
    kept = {return_path for return_path, _, _ in far.messages}
    for number, result in zip(numbers, results, strict=True):
        outcome = result.recipients[0].outcome
        has_it = f"garden-bounces+{number}@lists.example" in kept
        assert outcome is Outcome.UNKNOWN or (outcome is Outcome.ACCEPTED) == has_it, (number, result)
        assert (result.lost == "maybe") == (outcome is Outcome.UNKNOWN)
        assert result.recipients[1].outcome is not Outcome.ACCEPTED
        if mode == "step by step" and outcome is Outcome.UNKNOWN:
            assert has_it  # only the copy whose content had been sent
    if mode != "chunking":
        assert sum(Outcome.UNKNOWN in outcomes(result) for result in results) <= 1


async def test_behind_a_421_nothing_is_unknown() -> None:
    far = Far(overrides={"BDAT": b"421 4.3.2 going down"})
    async with listening_far(far) as port:
        client = await connected(port)
        futures = [client.submit(copy(number)) for number in range(20)]
        first = await futures[0]
        assert first.recipients[0].outcome is Outcome.REFUSED and not client.usable
        rest = await asyncio.gather(*futures[1:])
    assert {result.recipients[0].outcome for result in rest} == {Outcome.UNSENT}
    late = await client.submit(copy(99))
    assert outcomes(late) == [Outcome.UNSENT] and late.lost == "before"


async def test_chunked_copies_do_not_wait_for_each_other() -> None:
    far = Far(overrides={"BDAT": b"250 never mind"})
    async with listening_far(far) as port:
        client = await connected(port)
        before = len(far.commands)
        futures = [client.submit(copy(number, body=b"")) for number in range(8)]
        assert client.in_flight == 8
        # Everything is written before the loop has turned once, so before any reply can have come.
        assert all(flight.handed for flight in client._flying) and len(client._flying) == 8
        await asyncio.gather(*futures)
        assert len(far.commands) - before > 8 * 3
        client.close()


async def test_the_next_envelope_travels_with_the_content_before_it() -> None:
    far = Far(keywords=MODES["pipelining"])
    async with listening_far(far) as port:
        client = await connected(port)
        await asyncio.gather(*(client.submit(copy(number)) for number in range(3)))
        client.close()
    assert [line.split(":")[0] for line in far.commands[1:]] == ["MAIL FROM", "RCPT TO", "DATA"] * 3


@pytest.mark.parametrize("mode", MODES)
async def test_a_large_file_is_streamed(mode: str, tmp_path: Path) -> None:
    body = b"Subject: big\r\n\r\n" + (b"." + b"l" * 900 + b"\r\n..\r\n") * 2_000
    path = tmp_path / "content"
    path.write_bytes(b"skip" + body)
    far = Far(keywords=tuple(word for word in MODES[mode] if "SIZE" not in word))
    async with listening_far(far) as port:
        client = await connected(port)
        transaction = dataclasses.replace(copy(1), body=FileBody(str(path), 4, len(body), ascii=True), stuffed=None)
        results = await asyncio.gather(client.submit(transaction), client.submit(copy(2)))
        await client.quit()
    assert [outcomes(result) for result in results] == [[Outcome.ACCEPTED], [Outcome.ACCEPTED]]
    assert [message[2] for message in far.messages] == [content(1, body), content(2)]


async def test_a_file_that_is_too_short_is_never_taken_for_a_message(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"short\r\n")
    far = Far()
    async with listening_far(far) as port:
        client = await connected(port)
        result = await client.submit(dataclasses.replace(copy(1), body=FileBody(str(path), 0, 100), stuffed=None))
    assert outcomes(result) == [Outcome.UNSENT] and "shorter" in result.trouble and far.messages == []


async def test_what_the_far_server_cannot_take_is_not_tried() -> None:
    far = Far(keywords=("PIPELINING", "SIZE 100"))
    async with listening_far(far) as port:
        client = await connected(port)
        eight = await client.submit(copy(1, body="Grüße\r\n".encode()))
        wide = await client.submit(copy(2, "bén@far.example"))
        big = await client.submit(copy(3, body=b"x\r\n" * 100))
        seven = await client.submit(copy(4))
        client.close()
    assert eight.recipients[0].reply == catalogue.EIGHT_BIT_NOT_OFFERED
    assert wide.recipients[0].reply == catalogue.SMTPUTF8_NOT_OFFERED
    assert big.recipients[0].reply == catalogue.TOO_BIG_FOR_THEM
    assert outcomes(seven) == [Outcome.ACCEPTED] and len(far.messages) == 1


async def test_parameters_are_said_where_they_are_offered() -> None:
    transaction = dataclasses.replace(
        copy(1),
        ret="HDRS",
        envid="a b+c",
        recipients=(OutgoingRecipient("bén@far.example", "NEVER", "rfc822;ben=x@far.example"),),
    )
    full, bare = Far(), Far(keywords=("SMTPUTF8", "8BITMIME"))
    for far in (full, bare):
        async with listening_far(far) as port:
            client = await connected(port)
            await client.submit(transaction)
            client.close()
    size = len(content(1))
    assert full.commands[1:3] == [
        f"MAIL FROM:<garden-bounces+1@lists.example> SIZE={size} BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b+2Bc",
        "RCPT TO:<bén@far.example> NOTIFY=NEVER ORCPT=rfc822;ben+3Dx@far.example",
    ]
    assert bare.commands[1:3] == [
        "MAIL FROM:<garden-bounces+1@lists.example> BODY=8BITMIME SMTPUTF8",
        "RCPT TO:<bén@far.example>",
    ]


async def test_helo_is_said_where_ehlo_is_not_understood() -> None:
    far = Far(esmtp=False)
    async with listening_far(far) as port:
        client = await connected(port)
        result = await client.submit(copy(1))
        client.close()
    assert far.commands[:2] == ["EHLO lists.example", "HELO lists.example"]
    assert outcomes(result) == [Outcome.ACCEPTED]


async def test_lmtp_gives_every_recipient_its_own_reply() -> None:
    far = Far(lmtp=True)
    async with listening_far(far) as port:
        client = await connected(port, lmtp=True)
        results = await asyncio.gather(
            client.submit(copy(1, "cleo@a.example", "nobody@a.example", "full@a.example")),
            client.submit(copy(2, "nobody@a.example")),
            client.submit(copy(3, "owen@a.example")),
        )
        client.close()
    accepted, refused = Outcome.ACCEPTED, Outcome.REFUSED
    assert [outcomes(result) for result in results] == [[accepted, refused, refused], [refused], [accepted]]
    assert str(results[0].recipients[2].reply) == "452 4.2.2 full"


@pytest.mark.parametrize(
    "lie",
    [
        b"hello?",
        b"999 x",
        b"250-a\r\n251 b",
        b"250x",
        b"354 go",
        b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e\r\n250 f\r\n250 g\r\n250 h\r\n250 i",
        b"250-" + b"x" * 5000,
        b"x" * 100_000,
        b"250-x\r\n" * 1000,
    ],
    ids=["garbage", "code", "codes", "separator", "354", "unasked", "long", "endless", "lines"],
)
async def test_lies_break_the_connection_and_claim_nothing(lie: bytes) -> None:
    far = Far(overrides={"MAIL": lie})
    async with listening_far(far) as port:
        client = await connected(port)
        result = await client.submit(copy(1))
        client.close()
    assert client.broken and (
        result.recipients[0].outcome in (Outcome.UNKNOWN, Outcome.REFUSED) or lie.startswith(b"250 a")
    )


async def test_silence_ends_in_time() -> None:
    far = Far(overrides={"MAIL": b"silence", "RCPT": b"silence", "BDAT": b"silence"})
    async with listening_far(far) as port:
        client = Client(Timeouts(mail=0.05))
        await client.connect("127.0.0.1", port)
        await client.hello("lists.example")
        result = await client.submit(copy(1))
    assert outcomes(result) == [Outcome.UNKNOWN] and "timed out" in result.trouble


async def test_endings_before_the_greeting_are_client_errors() -> None:
    far = Far(overrides={"GREETING": b"nonsense"})
    async with listening_far(far) as port:
        with pytest.raises(ConnectionBroken, match="not a reply"):
            await Client().connect("127.0.0.1", port)
    with pytest.raises(ConnectFailed):
        await Client(Timeouts(connect=2)).connect("127.0.0.1", port)
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    with pytest.raises(ConnectionBroken, match="timed out"):
        await Client(Timeouts(greeting=0.05)).connect("127.0.0.1", silent.sockets[0].getsockname()[1])
    silent.close()
    with pytest.raises(UnsafeAddress):
        await Client().hello("far.example\r\nMAIL")


async def test_starttls_encrypts_and_authenticates(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = str(tmp_path_factory.getbasetemp())

    def make() -> RecordingSession:
        return RecordingSession(extensions=Extensions(starttls=server_context(directory), auth=True))

    async with listening(make) as (port, sessions, _):
        client = await connected(port)
        with pytest.raises(ClientError, match="unencrypted"):
            await client.auth_plain("cleo", "right")
        assert "STARTTLS" in client.capabilities
        assert (await client.starttls(client_context(directory), "localhost")).code == 220
        assert client.capabilities == {} and client.tls is not None and client.certificate
        await client.hello("lists.example")
        assert "STARTTLS" not in client.capabilities
        assert (await client.auth_plain("cleo", "wrong")).code == 535
        assert (await client.auth_plain("cleo", "right", authorization="owen")).code == 235
        results = await asyncio.gather(*(client.submit(copy(number)) for number in range(20)))
        await client.quit()
    assert sessions[0].logins[-1] == ("PLAIN", "cleo", "right", "owen") and sessions[0].facts
    assert all(outcomes(result) == [Outcome.ACCEPTED] for result in results) and len(sessions[0].messages) == 20


async def test_a_certificate_for_another_name_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = str(tmp_path_factory.getbasetemp())

    def make() -> RecordingSession:
        return RecordingSession(extensions=Extensions(starttls=server_context(directory)))

    async with listening(make) as (port, _, _):
        client = await connected(port)
        with pytest.raises(TlsFailed):
            await client.starttls(client_context(directory), "elsewhere.example")
        assert client.broken


async def test_clear_text_behind_the_answer_to_starttls_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    far = Far(overrides={"STAR": b"220 go\r\n250 injected"})
    async with listening_far(far) as port:
        client = await connected(port)
        with pytest.raises(ConnectionBroken, match="clear text"):
            await client.starttls(client_context(str(tmp_path_factory.getbasetemp())), "localhost")


async def test_a_refused_starttls_leaves_the_connection_usable(tmp_path_factory: pytest.TempPathFactory) -> None:
    far = Far(overrides={"STAR": b"454 4.7.0 not now"})
    async with listening_far(far) as port:
        client = await connected(port)
        reply = await client.starttls(client_context(str(tmp_path_factory.getbasetemp())), "localhost")
        assert reply.code == 454
        assert outcomes(await client.submit(copy(1))) == [Outcome.ACCEPTED]
        assert [reply.code for reply in await client.probe("", "nobody@far.example")] == [250, 550]
        assert (await client.noop()).code == 250
        await client.quit()


@pytest.mark.parametrize(
    "address", ["a\r\nRCPT TO:<b@c>", "a\0@b", "a b@c", "a>@b", "<a@b", "a@b\n", "a\x7f@b", "a\t@b"]
)
def test_an_address_that_could_be_a_command_is_refused(address: str) -> None:
    with pytest.raises(UnsafeAddress):
        OutgoingTransaction(address, (OutgoingRecipient("ben@far.example"),))
    with pytest.raises(UnsafeAddress):
        OutgoingTransaction("", (OutgoingRecipient("ben@far.example"), OutgoingRecipient(address)))
    with pytest.raises(UnsafeAddress):
        OutgoingTransaction("", (OutgoingRecipient("ben@far.example", notify=address),))


def test_a_prefix_with_a_bare_newline_is_refused() -> None:
    for prefix in (b"X: y\n", b"X: y\r", b"X: y"):
        with pytest.raises(ValueError, match="CRLF"):
            OutgoingTransaction("", (OutgoingRecipient("ben@far.example"),), prefix=prefix)
