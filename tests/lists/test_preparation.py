"""What a list changes in a posting, and that it changes nothing else; whatever the bytes are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.archive.models import Posting
from posthouse.content.models import Content
from posthouse.database import transaction
from posthouse.directory.models import Domain
from posthouse.lists import notices
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.models import HeldPosting, MailingList
from posthouse.lists.preparation.steps import FOREIGN, Circumstances, prepare
from posthouse.message.headers import Fields
from tests.lists.scene import arrives, has_list, letter
from tests.people import ANA, GARDEN

LETTERS = sorted((Path(__file__).parent.parent / "letters").glob("*.eml"))
OURS = (
    b"message-id-hash list-id list-post list-help list-subscribe list-owner list-archive x-beenthere "
    b"archived-at precedence"
).split()


def garden(**values: str | bool) -> MailingList:
    """A list that is in no database."""
    values = {"display_name": "Garden", "subject_prefix": "", "footer": "", "preferred_language": "en", **values}
    return MailingList(
        list_name="garden", domain=Domain(name="lists.example"), list_id="garden.lists.example", **values
    )


def prepared(content: bytes, **values: str | bool) -> bytes:
    return prepare(garden(**values), content, Circumstances("made-up@posthouse.invalid", "http://localhost/x/"))


def untouched(content: bytes, *also: str) -> list[bytes]:
    """The fields a list leaves alone, as they are, without their line ends."""
    changed = {name.lower() for name in (*FOREIGN, *also)}
    return [raw.rstrip(b"\r\n") for name, raw in Fields(content) if name.lower() not in changed]


def body(content: bytes) -> bytes:
    return content[Fields(content).body_offset :]


def test_a_foreign_lists_words_and_wishes_for_receipts_are_removed_and_signatures_stay() -> None:
    content = letter(
        ANA, GARDEN, "Tomatoes", "Ripe",
        "DKIM-Signature: v=1; a=rsa-sha256;\r\n  d=far.example;   s=x; b=abc",
        *(f"{name}: something" for name in FOREIGN if name != "Precedence"),
        "List-Unsubscribe-Post: x", "X-BeenThere: other@lists.example",
    )  # fmt: skip
    fields = Fields(prepared(content))
    assert fields.raw("dkim-signature") == Fields(content).raw("dkim-signature")
    assert "something" not in str([fields.all(name) for name in FOREIGN])
    assert fields.all("x-beenthere") == ["other@lists.example", GARDEN]
    for name in ("return-path", "errors-to", "disposition-notification-to", "return-receipt-to", "approved"):
        assert name not in fields


def test_the_footer_is_filled_in_and_odd_placeholders_stay_as_written() -> None:
    out = prepared(letter(ANA), footer="$display_name costs $5 $unknown ${permalink}\n$list_id")
    assert b"Garden costs $5 $unknown http://localhost/x/\r\ngarden.lists.example\r\n" in out


def test_without_prefix_and_footer_the_body_is_the_same_bytes() -> None:
    content = letter(ANA, GARDEN, "Re:  Tomatoes ", "Ripe  \r\n\r\n.\r\n\r\n")
    assert body(prepared(content)) == body(content)
    assert Fields(prepared(content)).raw("subject") == Fields(content).raw("subject")


def test_a_description_with_letters_of_the_world_is_encoded_in_the_list_id() -> None:
    out = prepared(letter(ANA), description='Gärten, "alte" <und> neue')
    assert Fields(out).count("list-id") == 1
    raw = Fields(out).raw("list-id") or b""
    assert raw.isascii() and raw.rstrip().endswith(b"<garden.lists.example>")


@pytest.mark.parametrize("path", LETTERS, ids=lambda path: path.stem)
def test_odd_letters_keep_every_byte_that_need_not_change(path: Path) -> None:
    content = path.read_bytes()
    out = prepared(content)
    assert [raw for raw in untouched(out, "message-id") if raw.partition(b":")[0].lower() not in OURS] == [
        raw for raw in untouched(content, "message-id") if raw.partition(b":")[0].lower() not in OURS
    ]
    assert body(out) == body(content)
    for name in ("list-id", "list-post", "archived-at", "precedence"):
        assert Fields(out).count(name) == 1
    prepared(content, subject_prefix="[Gärten] ", footer="Grüße $listname")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_can_be_prepared_and_the_body_stays(content: bytes) -> None:
    out = prepared(content)
    assert body(out) == body(content)
    full = prepared(content, subject_prefix="[Garden] ", footer="Leave: $leave_address")
    assert Fields(full).count("list-id") == 1


_LINES = st.sampled_from(
    [
        b"From: ana@far.example", b"From: =?x?q?=FF?= <ana@far.example>", b"From: ", b"Subject: =?utf-8?b?//8=?=",
        b"Subject: \xff\xfe\x00", b"Message-ID: <\x00>", b"Message-ID: ", b"To: garden@lists.example, \xff@x",
        b"Auto-Submitted: no", b"Content-Type: multipart/mixed; boundary=x", b"--x", b"--x--", b"", b"text \xff",
        b" folded", b"\t", b"Date: Mon, 99 Foo 99999 99:99:99 +9999", b"Content-Transfer-Encoding: base64", b"From x",
        b"References: <a@b> <c@d>", b"List-Id: <other.example>", b"Precedence: bulk", b"\xed\xa0\x80: x",
    ]
)  # fmt: skip


@pytest.fixture
def odd_house(sqlite: object) -> None:
    """A list that holds what it does not know, with a member."""
    has_list(members=[ANA])


class _Undo(Exception):
    pass


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(_LINES, max_size=14), to=st.sampled_from(["", "-join", "-request", "-owner", "-bounces", "-confirm"])
)
def test_a_list_takes_any_message_at_any_address(odd_house: None, lines: list[bytes], to: str) -> None:
    content = b"\r\n".join(lines)
    with pytest.raises(_Undo), transaction():
        assert arrives(content, f"garden{to}@lists.example", ANA).result == "delivered"
        digest = hashlib.sha256(content).digest()
        needed = Posting.objects.count() + HeldPosting.objects.count() + (to == "-owner")
        uses = 1 + DigestPosting.objects.count()
        assert [row.uses for row in Content.objects.all() if bytes(row.digest) == digest] == [uses] * needed
        raise _Undo


@pytest.mark.parametrize(
    "path", sorted(notices.TEMPLATES.glob("*/*.txt")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
@pytest.mark.usefixtures("sqlite")
def test_every_notice_names_only_placeholders_that_are_filled(path: Path) -> None:
    offered = {
        "sign-in": "site link_url",
        "add-address": "site link_url by address",
        "held": "author subject reason message_size",
        "moderate": "author subject reason message_size held_url held_number release_url reject_url discard_url "
        "ban_url accept_url expires hits",
        "held-reply": "token",
        "no-more-today": "count",
        "news-refused": "author subject reason newsgroup",
        "discarded": "author subject reason",
        "forwarded": "author subject reason by",
        "bounce-disabled": "address member_url reason",
        "bounce-increment": "address member_url reason score threshold",
        "bounce-removal": "address reason",
        "bounce-unrecognized": "about subject",
        "bounce-warning": "address number reason removed_on restart_url since",
        "probe": "address reason",
        "pending": "count waiting",
        "digest-masthead": "title volume issue",
        "report-failed": "address arrived hostname recipients subject until",
        "report-delayed": "address arrived hostname recipients subject until",
        "report-delivered": "address arrived hostname recipients subject until",
        "report-relayed": "address arrived hostname recipients subject until",
        "autoresponse": "text",
        "rejected": "author subject reason",
        "confirm-join": "address token confirm_url expires",
        "confirm-leave": "address token confirm_url expires",
        "confirm-move": "address token confirm_url expires",
        "help": "complaint",
        "spent": "",
        "new-list": "owners style",
        "results": "address results",
        "closed": "address reason",
        "confirm-invite": "address token confirm_url expires words",
        "confirm-command": "address token confirm_url expires commands",
        "request-join": "address member number token confirm_url expires",
        "request-leave": "address member number token confirm_url expires",
        "refused-join": "address reason",
        "refused-leave": "address reason",
        "member-joined": "address member by",
        "member-left": "address member by",
        "state": "state means reason",
        "posted": "address subject permalink",
        "filtered": "author subject",
    }.get(path.stem, "address")
    subject, text = notices.render(garden(), path.stem, dict.fromkeys(offered.split(), "x"), path.parent.name)
    assert subject and text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 78
