"""What clients may say, and which rule is named when they may not."""

from __future__ import annotations

import pytest

from posthouse.smtp import catalogue
from posthouse.smtp.authentication import Credentials, Exchange
from posthouse.smtp.command import BadCommand, parse_bdat, parse_mail, parse_rcpt
from posthouse.smtp.path import BadPath, parse_mailbox, valid_hello
from posthouse.smtp.reply import MalformedReply, Reply, parse_reply
from posthouse.smtp.session import ForwardPath, ReturnPath


@pytest.mark.parametrize(
    "address",
    [
        "ana@far.example",
        "garden-bounces+ben=far.example@lists.example",
        "a.b.c@d",
        '"ana smith"@far.example',
        '"a\\"b>c"@far.example',
        '""@far.example',
        "ana@[192.0.2.1]",
        "ana@[IPv6:2001:db8::1]",
        "anä@fär.example",
        "x" * 64 + "@" + ".".join(["y" * 63] * 3) + ".example",
        "o'brien!#$%&*/=?^_`{|}~@far.example",
    ],
)
def test_an_address_of_the_grammar_is_taken_as_it_is(address: str) -> None:
    assert parse_mailbox(address) == address
    line = f"RCPT TO:<{address}>".encode()
    assert parse_rcpt(line) == ForwardPath(address)


@pytest.mark.parametrize(
    "address",
    [
        "ana",
        "@far.example",
        "ana@",
        "ana@@far.example",
        ".ana@far.example",
        "ana.@far.example",
        "a..b@far.example",
        "ana@-far.example",
        "ana@far-.example",
        "ana@far..example",
        "ana@.far.example",
        "ana@far.example.",
        "ana smith@far.example",
        "ana@far_away.example",
        "ana@[300.1.1.1]",
        "ana@[2001:db8::1]",
        "ana@[IPv6:zz]",
        "ana@[]",
        "ana@" + "y" * 64 + ".example",
        "x" * 400 + "@far.example",
        '"ana@far.example',
        "a\x01b@far.example",
        "a\u0085b@far.example",
        "@relay.example ana@far.example",
        "@relay.example:",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadPath):
        parse_mailbox(address)
    with pytest.raises(BadCommand):
        parse_rcpt(f"RCPT TO:<{address}>".encode())


def test_a_source_route_is_ignored() -> None:
    assert parse_rcpt(b"RCPT TO:<@a.example,@b.example:ben@far.example>") == ForwardPath("ben@far.example")


def test_mail_carries_its_parameters() -> None:
    line = b"mail from: <ana@far.example>  SIZE=1000 body=8bitmime SMTPUTF8 RET=full ENVID=q+2B1 AUTH=<>"
    with pytest.raises(BadCommand):
        parse_mail(line.replace(b"AUTH=<>", b"AUTH=a=b"))
    path = parse_mail(line)
    assert path == ReturnPath("ana@far.example", 1000, "8BITMIME", True, "FULL", "q+1", "<>")
    assert parse_mail(b"MAIL FROM:<>") == ReturnPath("")
    assert parse_mail(b"Mail From:<ana@far.example> Size=5 Body=7bit") == ReturnPath("ana@far.example", 5, "7BIT")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"MAIL", catalogue.MAIL_SYNTAX),
        (b"MAIL TO:<a@b>", catalogue.MAIL_SYNTAX),
        (b"MAIL FROM:a@b", catalogue.MAIL_SYNTAX),
        (b"MAIL FROM:<a@b", catalogue.MAIL_SYNTAX),
        (b"MAIL FROM:<a@b>SIZE=1", catalogue.MAIL_SYNTAX),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=2", catalogue.REPEATED_PARAMETER),
        (b"MAIL FROM:<a@b> SIZE=x", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> SIZE=-1", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> SIZE=" + b"9" * 30, catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> SIZE=\xd9\xa1", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> BODY=BINARYMIME", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> RET=SOME", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> ENVID=" + b"x" * 101, catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> ENVID=a+0D+0Ab", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> ENVID=a+zz", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> SMTPUTF8=yes", catalogue.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> FOO", catalogue.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<a@b> =x", catalogue.SYNTAX_ERROR),
        (b"MAIL FROM:<postmaster>", catalogue.BAD_RETURN_PATH),
        ("MAIL FROM:<ä@b>".encode(), catalogue.NEEDS_SMTPUTF8),
        (b"MAIL FROM:<\xe4@b> SMTPUTF8", catalogue.NOT_UTF8),
    ],
)
def test_a_bad_mail_command_is_told_which_rule_it_breaks(line: bytes, reply: Reply) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_mail(line)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (reply.code, reply.enhanced)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"RCPT TO:<>", catalogue.BAD_RECIPIENT),
        (b"RCPT TO:<a@b> NOTIFY=", catalogue.SYNTAX_ERROR),
        (b"RCPT TO:<a@b> NOTIFY=NEVER,FAILURE", catalogue.BAD_PARAMETER),
        (b"RCPT TO:<a@b> NOTIFY=DELAY,DELAY", catalogue.BAD_PARAMETER),
        (b"RCPT TO:<a@b> ORCPT=ben", catalogue.BAD_PARAMETER),
        (b"RCPT TO:<a@b> ORCPT=rfc822;a+0Ab", catalogue.BAD_PARAMETER),
        (b"RCPT TO:<a@b> ORCPT=rfc822;" + b"x" * 600, catalogue.BAD_PARAMETER),
        (b"RCPT TO:<a@b> SIZE=1", catalogue.UNKNOWN_PARAMETER),
    ],
)
def test_a_bad_rcpt_command_is_told_which_rule_it_breaks(line: bytes, reply: Reply) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_rcpt(line)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (reply.code, reply.enhanced)


def test_dsn_parameters_are_unknown_where_dsn_is_not_offered() -> None:
    for parse, line in ((parse_mail, b"MAIL FROM:<a@b> RET=FULL"), (parse_rcpt, b"RCPT TO:<a@b> NOTIFY=NEVER")):
        with pytest.raises(BadCommand) as caught:
            parse(line, dsn=False)
        assert caught.value.reply.code == 555


def test_bdat_has_a_size_and_may_be_the_last() -> None:
    assert parse_bdat(b"BDAT 0 LAST") == (0, True)
    assert parse_bdat(b"bdat 123 ") == (123, False)
    for line in (b"BDAT", b"BDAT -1", b"BDAT 1 FIRST", b"BDAT 1LAST", b"BDAT 0x10", b"BDAT " + b"9" * 19):
        with pytest.raises(BadCommand):
            parse_bdat(line)


def test_a_name_for_hello_is_a_domain_or_a_literal() -> None:
    for name in ("far.example", "[192.0.2.1]", "[IPv6:::1]", "my_host", "localhost", "far.example."):
        assert valid_hello(name)
    for name in ("", "a b", "<eve>", "[x]", "[192.0.2.1", "a\tb", "x" * 300):
        assert not valid_hello(name)


def test_plain_and_login_take_only_what_they_expect() -> None:
    assert Exchange("PLAIN").begin(b"b3dlbgBjbGVvAHJpZ2h0") == Credentials("PLAIN", "cleo", "right", "owen")
    for bad in (b"=", b"Y2xlbw==", b"AAB4", b"!!!!", b"//8A"):
        assert Exchange("PLAIN").begin(bad) == catalogue.AUTH_BAD_RESPONSE
    login = Exchange("LOGIN")
    assert login.begin(b"Y2xlbw==") == catalogue.AUTH_PASSWORD
    assert login.answer(b"cmlnaHQ=") == Credentials("LOGIN", "cleo", "right")
    assert "right" not in repr(Credentials("LOGIN", "cleo", "right"))


def test_replies_come_back_from_their_octets() -> None:
    for reply in (catalogue.OK, catalogue.START_DATA, Reply(250, "", "a\nSIZE 5\nHELP"), Reply(550, "5.1.1", "a\nb")):
        assert parse_reply(reply.octets.splitlines()) == reply
    assert parse_reply([b"250"]) == Reply(250, "", "")
    assert parse_reply([b"550 5.7.1"]) == Reply(550, "5.7.1", "")
    for lines in ([b"25 x"], [b"650 x"], [b"250_x"], [b"250-a", b"251 b"], [b"abc def"]):
        with pytest.raises(MalformedReply):
            parse_reply(lines)


def test_every_reply_of_the_catalogue_is_well_formed() -> None:
    replies = [value for value in vars(catalogue).values() if isinstance(value, Reply)]
    assert len(replies) > 80
    for reply in replies:
        assert len(reply.octets) <= 512 and reply.octets.count(b"\r\n") == 1 and reply.octets.isascii()
        if reply.enhanced:
            assert reply.enhanced[0] == str(reply.code)[0]
        else:
            assert reply.code in (220, 250, 334, 354)
