"""What the house writes itself is clean mail: short lines, CRLF, 7 bits, marked as automatic."""

import email
import email.policy

import pytest

from posthouse.message import compose, parsing
from posthouse.message.headers import Fields, HeaderError, encode_phrase


def notice(**changes) -> bytes:
    settings = {
        "author": f"{encode_phrase('Gärten')} <garden-owner@lists.example>",
        "to": "ana@far.example",
        "subject": "Welcome",
        "text": "Hello Ana.\n",
        "message_id": "<n1@lists.example>",
        "date": 1_071_122_225,
    }
    return compose.notice(**(settings | changes))


def is_clean(content: bytes) -> bool:
    lines = content.split(b"\r\n")
    return all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines) and content.endswith(
        b"\r\n"
    )


def test_a_notice_reads_back_as_it_was_said():
    content = notice()
    reading = parsing.read(content)
    assert is_clean(content) and content.isascii()
    assert (reading.author_name, reading.author_address) == ("Gärten", "garden-owner@lists.example")
    assert (reading.subject, reading.text, reading.sent_at) == ("Welcome", "Hello Ana.\n", 1_071_122_225)
    assert reading.oddities == ()
    assert Fields(content).first("auto-submitted") == "auto-generated"


@pytest.mark.parametrize(
    "text",
    [
        "Grüße\nund mehr\n",
        "日本語\n" * 50,
        "x" * 5_000 + "\n",
        ".\n..\nFrom me\n",
        "a\r\nb\rc\n",
        "trailing  \n\n\n=3D\n",
        "",
        "no end",
    ],
)
def test_any_text_survives_in_seven_bits(text):
    content = notice(text=text)
    assert content.isascii() and is_clean(content)
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert parsing.read(content).text.rstrip("\n") == expected.rstrip("\n")


def test_html_stands_beside_the_text_and_files_behind_it():
    forwarded = b"Subject: held\n\nbare line ends \xfc\n"
    content = notice(
        html="<p>Hello <b>Ana</b></p>",
        attachments=[
            compose.Attached("Bäume.pdf", "application/pdf", b"%PDF" * 999),
            compose.Attached("held.eml", "message/rfc822", forwarded),
            compose.Attached("../x\r\ny", "not a type\r\n", b"x"),
        ],
    )
    assert is_clean(content)
    reading = parsing.read(content)
    assert reading.text == "Hello Ana.\n"
    assert [(a.filename, a.content_type, a.size) for a in reading.attachments] == [
        ("Bäume.pdf", "application/pdf", 3_996),
        ("held.eml", "message/rfc822", len(forwarded) + 3),
        ("xy", "application/octet-stream", 1),
    ]
    assert parsing.attachment(content, 2)[2] == forwarded.replace(b"\n", b"\r\n")
    kinds = [part.get_content_type() for part in email.message_from_bytes(content, policy=email.policy.default).walk()]
    assert kinds[:4] == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html"]


def test_extra_fields_are_added_and_the_mark_can_be_left_out():
    content = notice(auto_submitted="no", extra_headers=[("List-Id", "<garden.lists.example>"), ("Precedence", "list")])
    fields = Fields(content)
    assert fields.first("list-id") == "<garden.lists.example>"
    assert "auto-submitted" not in fields


@pytest.mark.parametrize("place", ["author", "to", "subject", "message_id", "date"])
def test_a_line_break_in_any_header_is_refused(place):
    with pytest.raises(HeaderError):
        notice(**{place: "x\r\nBcc: eve@far.example"})
