"""The content filter: what a list does not want is cut out, what stays keeps its bytes, and nothing is simply lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.archive.models import Posting
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.directory import accounts
from posthouse.lists import holding
from posthouse.lists.preparation import filtering
from posthouse.lists.preparation.filtering import Filter
from posthouse.message import parsing
from posthouse.message.headers import Fields
from tests.lists.scene import NOW, arrives, copies, has_list, notices_for, waiting
from tests.people import ANA, BEN, GARDEN, OWEN

LETTERS = sorted((Path(__file__).parent.parent / "letters").glob("*.eml"))

HEAD = (
    b"From: ana@far.example\r\nTo: garden@lists.example\r\nSubject:  Odd   spacing\r\nMessage-ID: <a@b>\r\n"
    b"MIME-Version: 1.0\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nRipe  \r\n.at last.\r\n"
HTML = b"Content-Type: text/html\r\n\r\n<p>Ripe, <a href='https://far.example/'>look</a></p>\r\n"
IMAGE = b"Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\nQUFB\r\n"
PROGRAM = (
    b'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="a.txt.EXE"\r\n\r\nMZ\r\n'
)


def multipart(subtype: str, *parts: bytes, boundary: str = "b") -> bytes:
    delimiter = b"--" + boundary.encode()
    middle = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/%b; boundary=%b\r\n\r\npreamble\r\n%b%b--\r\n" % (
        subtype.encode(), boundary.encode(), middle, delimiter,
    )  # fmt: skip


def wanted(collapse: bool = False, to_text: bool = False, **named: str) -> Filter:
    sets = {
        name: frozenset(named.get(name, "").split())
        for name in ("filter_types", "pass_types", "filter_extensions", "pass_extensions")
    }
    return Filter(**sets, collapse=collapse, to_text=to_text)


MIXED = HEAD + multipart("mixed", TEXT, IMAGE, PROGRAM)
ALTERNATIVE = HEAD + multipart("alternative", TEXT, HTML)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (wanted(filter_types="image"), (TEXT, PROGRAM)),
        (wanted(filter_types="image/png"), (TEXT, PROGRAM)),
        (wanted(filter_types="image/gif"), (TEXT, IMAGE, PROGRAM)),
        (wanted(pass_types="text/plain"), (TEXT,)),
        (wanted(pass_types="text image"), (TEXT, IMAGE)),
        (wanted(filter_extensions="exe"), (TEXT, IMAGE)),
        (wanted(pass_extensions="png"), (TEXT, IMAGE)),
        (wanted(filter_types="application image"), (TEXT,)),
    ],
)
def test_unwanted_parts_go_and_the_others_keep_their_bytes(rule: Filter, kept: tuple[bytes, ...]) -> None:
    out = filtering.filtered(MIXED, rule)
    assert out is not None
    assert Fields(out).raw("subject") == b"Subject:  Odd   spacing\r\n"
    assert out[Fields(out).body_offset :] == multipart("mixed", *kept).partition(b"\r\n\r\n")[2]
    assert (out is MIXED) == (len(kept) == 3) == (filtering.MARK not in Fields(out))


def test_nothing_is_changed_where_nothing_is_unwanted() -> None:
    for content in (MIXED, ALTERNATIVE, HEAD + TEXT, HEAD + b"\r\nplain", b"", b"no header"):
        assert filtering.filtered(content, wanted(filter_types="video")) is content


def test_of_alternatives_the_first_that_says_something_stays() -> None:
    out = filtering.filtered(ALTERNATIVE, wanted(collapse=True)) or b""
    assert out.endswith(TEXT) and Fields(out).all("content-type") == ["text/plain; charset=utf-8"]
    empty = HEAD + multipart("alternative", b"\r\n \r\n", HTML)
    assert (filtering.filtered(empty, wanted(collapse=True)) or b"").endswith(HTML)
    nested = HEAD + multipart("mixed", multipart("alternative", TEXT, HTML, boundary="c"), IMAGE)
    assert filtering.filtered(nested, wanted(collapse=True)) == HEAD + (
        multipart("mixed", TEXT.removesuffix(b"\r\n") + b"\r\n", IMAGE)
    ).replace(b"boundary=b\r\n", b"boundary=b\r\n").replace(
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"X-Content-Filtered-By: Posthouse\r\nContent-Type: multipart/mixed; boundary=b\r\n",
    )


def test_html_is_told_as_plain_text() -> None:
    out = filtering.filtered(HEAD + HTML, wanted(to_text=True)) or b""
    assert Fields(out).first("content-type") == 'text/plain; charset="us-ascii"'
    assert "Ripe, look" in parsing.read(out).text and "https://far.example/" in parsing.read(out).text
    both = filtering.filtered(ALTERNATIVE, wanted(to_text=True)) or b""
    assert TEXT in both and b"text/html" not in both


def test_forwarded_messages_are_looked_into() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\n" + MIXED
    out = (
        filtering.filtered(HEAD + multipart("mixed", TEXT, inner, boundary="o"), wanted(filter_extensions="exe")) or b""
    )
    assert b"MZ" not in out and IMAGE in out and TEXT in out


@pytest.mark.parametrize(
    "content", [HEAD + HTML, HEAD + IMAGE, HEAD + multipart("mixed", IMAGE, multipart("related", HTML, boundary="c"))]
)
def test_a_posting_may_be_unwanted_as_a_whole(content: bytes) -> None:
    assert filtering.filtered(content, wanted(pass_types="text/plain")) is None


def test_more_parts_than_can_be_looked_at_are_unwanted() -> None:
    content = HEAD + multipart("mixed", *[TEXT] * 1500)
    assert filtering.filtered(content, wanted(filter_types="image")) is None
    deep = IMAGE
    for number in range(120):
        deep = multipart("mixed", TEXT, deep, boundary=f"b{number}x")
    assert filtering.filtered(HEAD + deep, wanted(filter_types="image")) is None


@pytest.mark.parametrize("path", LETTERS, ids=lambda path: path.stem)
def test_odd_letters_survive_every_filter(path: Path) -> None:
    content = path.read_bytes()
    for rule in (wanted(pass_types="text"), wanted(True, True, filter_types="image"), wanted(filter_types="multipart")):
        out = filtering.filtered(content, rule)
        assert out is None or filtering.filtered(out, rule) is not None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"--b", b"--b--", TEXT, HTML, b"", b"Content-Type: multipart/alternative; boundary=b"]))
)
def test_any_lines_can_be_filtered(lines: list[bytes]) -> None:
    content = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n".join(lines)
    out = filtering.filtered(content, wanted(True, True, pass_types="text/plain"))
    assert out is None or filtering.filtered(out, wanted(True, True, pass_types="text/plain")) is not None


def test_copies_and_the_archive_have_what_the_filter_left(sqlite: Configuration) -> None:
    has_list(members=[BEN], owners=[ANA], filter_content="yes", filter_types="image", footer="")
    arrives(MIXED, GARDEN, ANA)
    [(_, content, _)] = waiting()
    assert IMAGE not in content and PROGRAM in content
    kept = keeping.read(Posting.objects.get().content_id).all()
    assert IMAGE not in kept and PROGRAM in kept


@pytest.mark.parametrize("action", ["hold", "reject", "discard", "forward", "preserve", "accept", "defer"])
def test_what_happens_to_a_posting_of_which_nothing_remains(sqlite: Configuration, action: str) -> None:
    admin = "admin@far.example"
    accounts.create(admin, superuser=True)
    has_list(members=[BEN, ANA], filter_content="yes", pass_types="text/plain", filter_action=action, footer="")
    arrives(HEAD + IMAGE, GARDEN, ANA)

    assert copies() == ([ANA, BEN] if action in ("accept", "defer") else [])
    assert len(holding.held(GARDEN)) == (action == "hold")
    assert len(notices_for(ANA)) == (action in ("hold", "reject"))
    assert any(b"QUFB" in one for one in notices_for(OWEN)) == (action in ("hold", "forward"))
    assert any(b"QUFB" in one for one in notices_for(admin)) == (action == "preserve")


def test_what_a_moderator_lets_pass_goes_out_as_it_came(sqlite: Configuration) -> None:
    has_list(members=[BEN, ANA], filter_content="yes", pass_types="text/plain", filter_action="hold", footer="")
    arrives(HEAD + IMAGE, GARDEN, ANA)
    [held] = holding.held(GARDEN)
    assert held.rule == "content-filter"
    assert holding.release(held.id, "owen", NOW) == 2
    assert b"QUFB" in waiting()[0][1]


# (settings, what stays of a posting with a text, an image and a program; what goes)
SET = [
    ({"filter_types": "image"}, (TEXT, PROGRAM), (IMAGE,)),
    ({"pass_types": "text\nimage/png"}, (TEXT, IMAGE), (PROGRAM,)),
    ({"filter_extensions": "exe"}, (TEXT, IMAGE), (PROGRAM,)),
    ({"pass_extensions": "png"}, (TEXT, IMAGE), (PROGRAM,)),
]


@pytest.mark.parametrize(("values", "stays", "goes"), SET)
def test_each_setting_of_the_filter_cuts_what_it_names(
    sqlite: Configuration, values: dict[str, str], stays: tuple[bytes, ...], goes: tuple[bytes, ...]
) -> None:
    has_list(members=[ANA, BEN], filter_content="yes", footer="", collapse_alternatives="no", **values)
    arrives(MIXED, GARDEN, ANA)
    [(_, copy, _)] = waiting()
    for part in stays:
        assert part.partition(b"\r\n\r\n")[2].strip() in copy
    for part in goes:
        assert part.partition(b"\r\n\r\n")[2].strip() not in copy


@pytest.mark.parametrize(("collapse", "both"), [("yes", False), ("no", True)])
def test_alternatives_collapse_where_owners_want_it(sqlite: Configuration, collapse: str, both: bool) -> None:
    has_list(members=[ANA, BEN], filter_content="yes", footer="", collapse_alternatives=collapse)
    arrives(ALTERNATIVE, GARDEN, ANA)
    [(_, copy, _)] = waiting()
    assert b"Ripe  \r\n.at last." in copy and (b"<p>Ripe" in copy) == both


@pytest.mark.parametrize(("to_text", "told"), [("yes", True), ("no", False)])
def test_html_is_told_as_text_where_owners_want_it(sqlite: Configuration, to_text: str, told: bool) -> None:
    has_list(members=[ANA, BEN], filter_content="yes", footer="", convert_html_to_plaintext=to_text)
    arrives(HEAD + HTML, GARDEN, ANA)
    [(_, copy, _)] = waiting()
    assert (b"<p>" not in copy) == told and b"Ripe" in copy
