"""Attacks on the door: open relay in every known form, smuggled messages, injected headers, too much of everything."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from posthouse import database, maillog
from posthouse.configuration import Configuration
from posthouse.lists import creation
from posthouse.lists.errors import ListError
from tests.people import ANA, BEN, CLEO, DOMAIN, EVE, GARDEN
from tests.running_house import BACKED_UP, House, running

FAR = "victim@elsewhere.example"
OPEN_RELAY_FORMS = [  # RCPT TO, as the classic testers try them
    f"<{FAR}>",
    "<victim%elsewhere.example@lists.example>",
    "<victim%elsewhere.example@[127.0.0.1]>",
    "<victim%elsewhere.example@mx.lists.example>",
    "<victim%elsewhere.example>",
    '<"victim@elsewhere.example">',
    '<"victim%elsewhere.example">',
    '<"victim@elsewhere.example"@lists.example>',
    '<"victim%elsewhere.example"@lists.example>',
    '<"victim@elsewhere.example"@[127.0.0.1]>',
    "<victim@elsewhere.example@lists.example>",
    "<victim@elsewhere.example@[127.0.0.1]>",
    "<victim@elsewhere.example@mx.lists.example>",
    "<@lists.example:victim@elsewhere.example>",
    "<@mx.lists.example:victim@elsewhere.example>",
    "<@[127.0.0.1]:victim@elsewhere.example>",
    "<@elsewhere.example:victim@lists.example>",
    "<@lists.example,@near.example:victim@elsewhere.example>",
    "<elsewhere.example!victim>",
    "<elsewhere.example!victim@lists.example>",
    "<elsewhere.example!victim@[127.0.0.1]>",
    "<lists.example!elsewhere.example!victim@lists.example>",
    "<victim@[192.0.2.1]>",
    "<victim@[IPv6:2001:db8::1]>",
    "<victim@elsewhere.example.>",
    "<victim@elsewhere.example%00@lists.example>",
    "<garden@lists.example@elsewhere.example>",
    f"<postmaster@elsewhere.example> ORCPT=rfc822;{GARDEN}",
    f"<{GARDEN}>,<{FAR}>",
    f"<{GARDEN} {FAR}>",
    f"<{GARDEN}>\x0b<{FAR}>",
    f"{FAR}",
]
RETURN_PATHS = ["", ANA, FAR, GARDEN, f"postmaster@{DOMAIN}", f"eve@{DOMAIN}", "root", CLEO]
ENDS = (
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\r.\r\n", b"\r\n.\r\r\n",
    b"\n\n.\r\n", b"\r\n.\n\r\n", b"\n\r.\n\r", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\r\n . \r\n", b"\r\n.\x0b\r\n",
    b"\xe2\x80\xa8.\xe2\x80\xa8", b"\xc2\x85.\xc2\x85", b"\x85.\x85",
)  # fmt: skip


@pytest.fixture
def house(sqlite: Configuration) -> Iterator[House]:
    """A house that is not shut by the mere number of what is tried here."""
    with running(sqlite, policy={"flood": "off"}) as opened:
        yield opened


class Eve:
    """Somebody with a socket and no manners."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.socket.makefile("rb")
        assert self.reply().startswith("220")

    def reply(self) -> str:
        lines = []
        while line := self.file.readline():
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                break
        return "\n".join(lines)

    def says(self, line: str | bytes) -> str:
        self.socket.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def ended(self) -> bool:
        with contextlib.suppress(ConnectionError):
            while self.file.read(65536):
                pass
        return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextlib.contextmanager
def eve(port: int) -> Iterator[Eve]:
    made = Eve(port)
    try:
        yield made
    finally:
        made.close()


def recipients() -> list[str]:
    """Whom mail in the queue is for."""
    return [row[0] for row in database.fetch("SELECT recipient FROM queue_delivery")]


@pytest.mark.parametrize("door", ["transfer", "lmtp"])
def test_no_form_of_relaying_is_accepted_from_a_stranger(house: House, door: str) -> None:
    house.has_list(GARDEN, members=[ANA])
    house.holds()
    port = house.port if door == "transfer" else house.lmtp_port
    hello = "EHLO far.example" if door == "transfer" else "LHLO far.example"
    tried = 0
    for return_path in RETURN_PATHS:
        for start in range(0, len(OPEN_RELAY_FORMS), 4):  # too many refusals end a connection, and so they should
            with eve(port) as talker:
                talker.says(hello)
                for form in OPEN_RELAY_FORMS[start : start + 4]:
                    reply = talker.says(f"MAIL FROM:<{return_path}>")
                    if reply.startswith("250"):
                        reply = talker.says(f"RCPT TO:{form}")
                        assert reply[:1] in "45", (return_path, form, reply)
                        tried += 1
                    talker.says("RSET")
    assert tried > 5 * len(OPEN_RELAY_FORMS)
    assert recipients() == []


def test_a_domain_we_are_backup_for_is_no_way_to_others(house: House) -> None:
    house.holds()
    with eve(house.port) as talker:
        talker.says("EHLO far.example")
        for form in (f"<victim%elsewhere.example@{BACKED_UP}>", f"<@elsewhere.example:victim@{BACKED_UP}>",
                     f'<"victim@elsewhere.example"@{BACKED_UP}>'):  # fmt: skip
            talker.says(f"MAIL FROM:<{EVE}>")
            talker.says(f"RCPT TO:{form}")
            talker.says("RSET")
            talker.says(f"MAIL FROM:<{EVE}>")
            if talker.says(f"RCPT TO:{form}").startswith("250"):
                talker.says("DATA")
                talker.says(f"From: {EVE}\r\nSubject: x\r\n\r\nx\r\n.")
    # What was taken goes to the domain's own host as it was written; what that makes of a % is its own business.
    assert all(one.endswith(f"@{BACKED_UP}") for one in recipients())


@pytest.mark.parametrize("door", ["transfer", "lmtp"])
def test_no_end_but_the_one_makes_two_messages_of_one(house: House, door: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    port = house.port if door == "transfer" else house.lmtp_port
    smuggled = f"MAIL FROM:<{EVE}>\r\nRCPT TO:<{GARDEN}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n".encode()
    for number, end in enumerate(ENDS):
        with eve(port) as talker:
            talker.says("EHLO far.example" if door == "transfer" else "LHLO far.example")
            talker.says(f"MAIL FROM:<{ANA}>")
            talker.says(f"RCPT TO:<{GARDEN}>")
            assert talker.says("DATA").startswith("354")
            head = f"From: {ANA}\r\nTo: {GARDEN}\r\nSubject: form {number}\r\nMessage-ID: <{number}@x>\r\n\r\n".encode()
            talker.socket.sendall(head + b"one" + end + smuggled + b".\r\n")
            answer = talker.reply()
            assert answer[:3] in ("250", "550", "554", "500"), (end, answer)
            assert talker.says("NOOP").startswith("250"), end  # still in step: there was one answer
    maillog.flush()
    accepted = [
        str(row[0]) for row in database.fetch("SELECT address || detail FROM queue_event WHERE kind = 'accepted'")
    ]
    assert 0 < len(accepted) <= 5  # the forms that are plain text to everybody
    assert not any(EVE in one for one in accepted)


def test_behind_a_bare_cr_the_end_is_the_end_and_the_message_is_refused(house: House) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    with eve(house.port) as talker:
        talker.says("EHLO far.example")
        talker.says(f"MAIL FROM:<{ANA}>")
        talker.says(f"RCPT TO:<{GARDEN}>")
        talker.says("DATA")
        talker.socket.sendall(f"From: {ANA}\r\nSubject: x\r\n\r\none\r\r\n.\r\nMAIL FROM:<{EVE}>\r\n".encode())
        assert talker.reply().startswith("550 5.5.2")
        assert talker.reply().startswith("250")  # RFC 2920 §3.1: a transaction of the client's own, in its own name
        assert talker.says(f"MAIL FROM:<{ANA}>").startswith("503")
    assert database.fetch("SELECT 1 FROM queue_message") == []


def test_content_that_holds_an_end_arrives_whole_by_bdat_and_leaves_whole(house: House) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    content = (
        f"From: {ANA}\r\nTo: {GARDEN}\r\nSubject: dots\r\nMessage-ID: <d@x>\r\n\r\none\r\n.\r\ntwo\r\n..\r\n".encode()
    )
    with eve(house.port) as talker:
        talker.says("EHLO far.example")
        talker.says(f"MAIL FROM:<{ANA}>")
        talker.says(f"RCPT TO:<{GARDEN}>")
        talker.socket.sendall(b"BDAT %d LAST\r\n" % len(content) + content)
        assert talker.reply().startswith("250")
    house.settles()
    copies = [one.content for one in house.outside.taken if BEN in one.recipients]
    assert len(copies) == 1 and b"\r\none\r\n.\r\ntwo\r\n..\r\n" in copies[0]


def test_nothing_that_people_write_becomes_a_header_of_its_own(house: House) -> None:
    house.has_list(GARDEN, members=[ANA, BEN, EVE], subject_prefix="[garden] ")
    evil = "=?utf-8?q?x=0D=0AX-Injected=3A_yes=0D=0A=0D=0Abody?="
    folded = "x\r\n X-Injected: folded"
    for number, (name, subject) in enumerate([(evil, "plain"), ("Eve", evil), (evil, evil), ("Eve", folded)]):
        letter = (
            f"From: {name} <{EVE}>\r\nTo: {evil} <{GARDEN}>\r\nSubject: {subject}\r\nMessage-ID: <{number}@x>\r\n"
            f"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nReply-To: {evil} <{EVE}>\r\n\r\nText.\r\n"
        )
        house.outside.sends(EVE, [GARDEN], letter.encode())
    for address in (f"garden-join@{DOMAIN}", f"garden-request@{DOMAIN}", f"garden-owner@{DOMAIN}"):
        letter = (
            f"From: {evil} <new{len(address)}@far.example>\r\nTo: {address}\r\nSubject: join {evil}\r\n"
            f"Message-ID: <{address}>\r\n\r\njoin {evil}\r\nsubscribe x\r\n"
        )
        house.outside.sends(f"new{len(address)}@far.example", [address], letter.encode())
    house.settles()
    assert len(house.outside.taken) > 4
    for one in house.outside.taken:
        header = one.content.partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nx-injected" not in b"\r\n" + header, one.content.decode()
        assert one.content.count(b"\r\n") == one.content.count(b"\n") == one.content.count(b"\r")


def test_names_that_would_break_a_header_are_no_names(house: House) -> None:
    house.has_list(GARDEN)
    for name in ("a\r\nb", "a\nbcc: x", "a b", "a<b", "a>b", "a\x00b", "a,b", 'a"b', "a(b"):
        with pytest.raises((ListError, ValueError, LookupError)):
            creation.create(f"{name}@{DOMAIN}", [ANA])
    for setting in ("subject_prefix", "description"):
        with contextlib.suppress(ListError, ValueError):
            creation.set_settings(GARDEN, {setting: "x\r\nX-Injected: yes"})
    creation.set_settings(GARDEN, {"display_name": 'Gärten, <b>"x" (y)'})
    house.has_list(f"bees@{DOMAIN}", members=[BEN])
    from posthouse.lists import roster

    roster.add(GARDEN, ANA)
    house.outside.posts(ANA, GARDEN)
    house.settles()
    assert house.outside.taken
    for one in house.outside.taken:
        assert b"\nX-Injected" not in one.content.partition(b"\r\n\r\n")[0]
        assert one.message["From"] is not None


@pytest.mark.parametrize(
    "hello",
    [
        "EHLO evil) by mx.lists.example (x", "EHLO a;b", "EHLO a\tb", "EHLO \"x\"", "EHLO <x>", "EHLO (x)",
        "EHLO a\x0bb", "EHLO a\x85b", "EHLO " + "a" * 400, "HELO [127.0.0.1] by me", "EHLO ", "EHLO \xff",
    ],
)  # fmt: skip
def test_a_helo_cannot_write_our_received_field(house: House, hello: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    house.holds()
    with eve(house.port) as talker:
        reply = talker.says(hello.encode("latin-1"))
        if not reply.startswith("250"):
            talker.says("EHLO far.example")
        talker.says(f"MAIL FROM:<{ANA}>")
        talker.says(f"RCPT TO:<{GARDEN}>")
        talker.says("DATA")
        talker.says(f"From: {ANA}\r\nTo: {GARDEN}\r\nSubject: x\r\nMessage-ID: <h@x>\r\n\r\nx\r\n.")
    kept = database.fetch("SELECT prefix FROM queue_message")
    assert kept
    for (prefix,) in kept:
        lines = bytes(prefix).decode().split("\r\nReceived: ")[-1].split("\r\n")
        assert sum(line.count(" by mx.lists.example") + line.startswith("\tby mx.lists.example") for line in lines) == 1
        assert all(line.startswith("\t") or line == "" for line in lines[1:]), lines
        assert bytes(prefix).isascii()


@pytest.mark.parametrize(
    "flood",
    [
        b"X" * 2_000_000,
        b"EHLO far.example\r\nMAIL FROM:<" + b"a" * 1_000_000 + b"@x>\r\n",
        b"EHLO far.example\r\n" + b"RCPT TO:<x@y>\r\n" * 20_000,
        b"EHLO far.example\r\n" + b"VRFY root\r\nEXPN garden\r\n" * 20_000,
        b"EHLO far.example\r\n" + b"AUTH PLAIN " + b"A" * 1_000_000 + b"\r\n",
        b"EHLO far.example\r\nBDAT 99999999999999999999 LAST\r\n",
        b"EHLO far.example\r\nMAIL FROM:<a@far.example> SIZE=99999999999999999999999\r\n" + b"RSET\r\n" * 10,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
        b"\xff\xf4\xff\xfd\x06" * 1000,
    ],
    ids=["no line end", "an endless address", "recipients alone", "questions", "AUTH", "BDAT", "SIZE", "HTTP", "TLS",
         "telnet"],
)  # fmt: skip
def test_too_much_of_anything_hurts_nobody_else(house: House, flood: bytes) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    house.holds()
    with eve(house.port) as talker:
        with contextlib.suppress(OSError):
            talker.socket.sendall(flood)
            talker.socket.shutdown(socket.SHUT_WR)
        assert talker.ended()
    assert house.outside.posts(ANA, GARDEN).startswith("250")
    assert len(recipients()) == 1


def test_commands_sent_ahead_of_the_answer_to_data_are_content_or_nothing(house: House) -> None:
    """Whose recipients were all refused and who goes on with content: it is not read as commands."""
    house.has_list(GARDEN, members=[ANA, BEN])
    house.holds()
    with eve(house.port) as talker:
        talker.says("EHLO far.example")
        talker.socket.sendall(
            f"MAIL FROM:<{ANA}>\r\nRCPT TO:<{FAR}>\r\nDATA\r\nSubject: x\r\n\r\nMAIL FROM:<{EVE}>\r\n"
            f"RCPT TO:<{GARDEN}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n".encode()
        )
        talker.ended()
    assert recipients() == []
