"""Approved postings: the moderators' password lets a posting through, and nobody ever reads it."""

from __future__ import annotations

import base64
import quopri

import pytest

from posthouse.archive.models import Posting
from posthouse.content import keeping
from posthouse.content.models import Content
from posthouse.lists import creation
from posthouse.lists.models import HeldPosting
from posthouse.lists.moderation import approved
from posthouse.message.headers import Fields
from posthouse.message.parsing import read
from tests.lists.scene import DAY, NOW, arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

sqlite = pytest.mark.usefixtures("sqlite")
both = pytest.mark.usefixtures("database")
SECRET = "op<en & ses>ame"


def everything_kept() -> bytes:
    """Every byte the house keeps: archive, queue, held mail and notices."""
    return b"\n".join(keeping.read(row.pk).all() for row in Content.objects.all())


@both
@pytest.mark.parametrize("name", ["Approved", "Approve", "X-Approved", "X-APPROVE"])
def test_the_password_in_the_header_lets_a_stranger_post(name: str) -> None:
    has_list(members=[ANA, BEN], moderator_password=SECRET)
    posts(EVE, "Ripe", GARDEN, "Tomatoes", NOW, f"{name}: {SECRET}")
    assert copies() == [ANA, BEN]
    assert SECRET.encode() not in everything_kept()
    assert [row.uses for row in Content.objects.order_by("id")] == [
        2,
        1,
    ]  # of archive and next digest, and of the copies; none is left over
    assert Posting.objects.get().message_id == "tomatoes@far.example"


@both
def test_the_password_in_the_first_line_lets_a_stranger_post_and_the_line_goes() -> None:
    has_list(members=[ANA], moderator_password=SECRET, footer="")
    posts(EVE, f"\r\n  Approved: {SECRET}\r\nRipe at last.")
    [(_, content, _)] = waiting()
    assert read(content).text.strip() == "Ripe at last."
    assert SECRET.encode() not in everything_kept()


@sqlite
def test_a_wrong_password_lets_nobody_through_and_is_not_shown_either() -> None:
    has_list(members=[ANA], moderator_password=SECRET)
    posts(EVE, "Ripe", GARDEN, "Tomatoes", NOW, "Approved: open-sesami")
    posts(EVE, "Approved: open-sesami\r\nRipe")
    assert HeldPosting.objects.count() == 2
    assert b"open-sesami" not in everything_kept()
    creation.set_settings(GARDEN, {"moderator_password": ""})
    posts(EVE, "Ripe", GARDEN, "Tomatoes", NOW, f"Approved: {SECRET}")
    assert HeldPosting.objects.count() == 3
    assert SECRET.encode() not in everything_kept()


@sqlite
def test_a_sentence_in_the_first_line_stays() -> None:
    has_list(members=[ANA], moderator_password=SECRET)
    posts(ANA, "Approved: by the whole board\r\nSo we can begin.")
    [(_, content, _)] = waiting()
    assert b"Approved: by the whole board" in content


@sqlite
def test_guessing_ends_after_fifty_wrong_passwords_in_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    has_list(members=[ANA], moderator_password=SECRET)
    monkeypatch.setattr(approved, "MOST_WRONG", 3)
    for _ in range(3):
        posts(EVE, "x", GARDEN, "Tomatoes", NOW, "Approved: guess")
    posts(EVE, "x", GARDEN, "Tomatoes", NOW, f"Approved: {SECRET}")
    assert (HeldPosting.objects.count(), copies()) == (4, [])
    posts(EVE, "x", GARDEN, "Tomatoes", NOW + 2 * DAY, f"Approved: {SECRET}")
    assert copies() == [ANA]


PLAIN = f"Approved: {SECRET}\r\nRipe at last: café.\r\n"
HTML = f"<p><b>Approved:</b>&nbsp;{approved.html.escape(SECRET)}<br>Ripe at last: café. {SECRET}</p>\r\n"


@sqlite
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "utf-16"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_the_password_goes_from_every_text_however_it_is_encoded(charset: str, encoding: str) -> None:
    def part(kind: str, text: str) -> bytes:
        raw = text.encode(charset)
        if encoding == "base64":
            raw = base64.encodebytes(raw).replace(b"\n", b"\r\n")
        elif encoding == "quoted-printable":
            raw = quopri.encodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        return head.encode() + raw

    if charset == "utf-16" and encoding != "base64":
        pytest.skip("UTF-16 travels in base64 alone (RFC 2781 §4)")
    has_list(members=[ANA], moderator_password=SECRET, footer="")
    head = letter(EVE, GARDEN, "Tomatoes", "", 'Content-Type: multipart/alternative; boundary="b"', "MIME-Version: 1.0")
    untouched = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nQXBwcm92ZWQ6\r\n"
    body = (
        b"--b\r\n"
        + part("plain", PLAIN)
        + b"\r\n--b\r\n"
        + part("html", HTML)
        + b"\r\n--b\r\n"
        + untouched
        + b"--b--\r\n"
    )
    arrives(head + body, GARDEN, EVE)

    [(_, content, _)] = waiting()
    for attachment_or_text in (content, keeping.read(Posting.objects.get().content_id).all()):
        from posthouse.message.mime import part_tree

        root, _ = part_tree(attachment_or_text)
        for one in root.children[:2]:
            text = one.body(attachment_or_text).decode(charset)
            assert "Ripe at last: café." in text
            assert SECRET not in text and approved.html.escape(SECRET) not in text
        assert untouched in attachment_or_text


@sqlite
def test_an_html_mail_alone_can_be_approved_too() -> None:
    has_list(members=[ANA], moderator_password=SECRET)
    body = letter(EVE, GARDEN, "Tomatoes", HTML, "Content-Type: text/html; charset=utf-8", "MIME-Version: 1.0")
    arrives(body, GARDEN, EVE)
    assert copies() == [ANA]
    assert approved.html.escape(SECRET).encode() not in everything_kept()


@sqlite
def test_an_untouched_posting_keeps_its_bytes_and_its_content() -> None:
    has_list(members=[ANA], moderator_password=SECRET)
    posts(ANA)
    assert keeping.read(Posting.objects.get().content_id).all() == letter(ANA)
    assert Fields(letter(ANA)).first("approved") is None
    assert notices_for(OWEN) == []
