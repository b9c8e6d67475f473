"""The same postings under every combination of settings, beside the facts of what Mailman 3.3.10 does to them.

Each fact is a function of settings and letter that says what a copy must look like; where Posthouse does better on
purpose, the fact says so. All facts are asked of every combination.
"""

from __future__ import annotations

import email
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from posthouse.archive.models import Posting
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.directory.models import Domain
from posthouse.lists import creation, roster
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.mitigation import MUNGE_FROM, NOTHING, WRAP_MESSAGE
from posthouse.lists.models import MailingList
from posthouse.lists.news_models import NewsArticle
from posthouse.lists.preparation.steps import FOREIGN, Circumstances, prepare
from posthouse.message.identity import message_id_hash
from tests.lists.scene import NOW, arrives, has_list, notices_for, posts, waiting
from tests.people import ANA, BEN, CLEO, EVE, GARDEN, OWEN

LIST = f"Garden <{GARDEN}>"
KEY = message_id_hash("a@far.example")
PERMALINK = f"http://localhost/archives/{GARDEN}/message/{KEY}/"
FOOTER = "Bye from $display_name, $permalink"
FILLED = f"Bye from Garden, {PERMALINK}"

HEAD = (
    b"Received: from home.example\r\nFrom: Ana Apple <ana@far.example>\r\nTo: garden@lists.example, ben@far.example\r\n"
    b"Cc: cleo@near.example\r\nMessage-ID: <a@far.example>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"DKIM-Signature: v=1; d=far.example; b=abc=\r\nX-Mailer: Ana's\r\nReferences: <q@ben.example>\r\n"
    b"List-Id: <other.far.example>\r\nList-Post: <mailto:other@far.example>\r\nList-Unsubscribe-Post: x\r\n"
    b"Approved: secret\r\nX-Approve: secret\r\nUrgent: yes\r\nReturn-Receipt-To: ana@far.example\r\n"
    b"Disposition-Notification-To: ana@far.example\r\nX-Confirm-Reading-To: a@far.example\r\nX-PMRQC: 1\r\n"
    b"Archived-At: <http://far.example/>\r\nPrecedence: bulk\r\nErrors-To: ana@far.example\r\nMIME-Version: 1.0\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReif, sch\xc3\xb6n.  \r\n"
HTML = b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Ripe.</p>\r\n"


def _multipart(subtype: bytes, *parts: bytes, more: bytes = b"") -> bytes:
    head = b"Content-Type: multipart/" + subtype + more + b"; boundary=b\r\n\r\npreamble\r\n"
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\nepilogue\r\n"


IMAGE = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nQUFB\r\n"
BODIES: Mapping[str, bytes] = {
    "plain": TEXT,
    "no charset": b"\r\nRipe \xfc.\r\n",
    "base64": b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nUmVpZi4K\r\n",
    "html": HTML,
    "alternative": _multipart(b"alternative", TEXT, HTML),
    "mixed": _multipart(b"mixed", TEXT, IMAGE),
    "signed": _multipart(b"signed", TEXT, b"Content-Type: application/pgp-signature\r\n\r\n--x\r\n",
                         more=b'; protocol="application/pgp-signature"'),
}  # fmt: skip
SUBJECTS: Mapping[str, str] = {  # what comes -> what the prefix [g] makes of it
    "Subject: Beans\r\n": "[g] Beans",
    "Subject: AW: Beans\r\n": "[g] Re: Beans",
    "Subject: Re: [g] Beans\r\n": "Re: [g] Beans",  # better: a subject that has it keeps its bytes
    "": "[g] (no subject)",
    "Subject: =?utf-8?q?Sch=C3=B6n?=\r\n": "[g] Schön",
}


@dataclass(frozen=True)
class Seen:
    """A copy beside the posting it was made of and the settings it was made under."""

    row: MailingList
    action: str
    posting: bytes
    subject: str
    raw: bytes
    copy: EmailMessage

    @property
    def body(self) -> bytes:
        return self.posting.partition(b"\r\n\r\n")[2]


def _addresses(copy: EmailMessage, name: str) -> list[str]:
    return [one.addr_spec for value in copy.get_all(name, []) for one in value.addresses]


def fields_of_the_list_stand_once_and_are_its_own(seen: Seen) -> None:
    """4.4: the List- fields with include_rfc2369_headers, Precedence, the hash of the Message-ID, Archived-At."""
    copy, on = seen.copy, seen.row.include_rfc2369_headers
    expected = {
        "List-Id": "Beans and more <garden.lists.example>",
        "List-Post": f"<mailto:{GARDEN}>" if seen.row.allow_list_posts else "NO (posting is not allowed)",
        "List-Help": "<mailto:garden-request@lists.example?subject=help>",
        "List-Subscribe": "<mailto:garden-join@lists.example>",
        "List-Owner": "<mailto:garden-owner@lists.example>",
        "List-Archive": "/archives/garden@lists.example/>",
    }
    for name, value in expected.items():
        assert len(copy.get_all(name, [])) == on
        assert not on or value in " ".join(str(copy[name]).split()), name
    for name, value in {"Precedence": "list", "Message-ID-Hash": KEY, "Archived-At": f"<{PERMALINK}>"}.items():
        assert copy.get_all(name) == [value]
    assert "List-Unsubscribe-Post" not in copy  # it stands in front of each copy
    assert copy["X-BeenThere"] == GARDEN


def what_others_said_of_lists_and_wishes_for_receipts_are_gone(seen: Seen) -> None:
    """4.4: removed always."""
    for name in ("Approved", "X-Approve", "Urgent", "Return-Receipt-To", "Disposition-Notification-To",
                 "X-Confirm-Reading-To", "X-PMRQC", "Errors-To"):  # fmt: skip
        assert name in FOREIGN and name not in seen.copy
    assert b"other@far.example" not in seen.raw.partition(b"\r\n\r\n")[0]


def the_subject_has_its_prefix_once(seen: Seen) -> None:
    """4.4: prefix, replies as Re: behind it, an empty subject gets words."""
    expected = SUBJECTS[seen.subject] if seen.row.subject_prefix else None
    if expected is not None:
        assert seen.copy["Subject"] == expected
    elif seen.subject:
        assert seen.subject.encode() in seen.raw


def the_visible_author_is_as_the_policy_wants(seen: Seen) -> None:
    """4.6: munge_from names the list; wrap_message attaches the posting whole; else From keeps its bytes."""
    copy = seen.copy
    if seen.action == NOTHING:
        assert b"From: Ana Apple <ana@far.example>\r\n" in seen.raw
        return
    assert copy["From"] == f"Ana Apple via Garden <{GARDEN}>"
    if seen.action == WRAP_MESSAGE:
        assert seen.posting in seen.raw  # byte for byte, as no other field of it may be lost
        assert copy["X-Mailer"] is None and copy["References"] == "<q@ben.example>"
        assert _addresses(copy, "To") == [GARDEN, BEN]


def answers_go_where_list_and_policy_say(seen: Seen) -> None:
    """4.6 and section 1: Reply-To by reply_goes_to_list, its author beside it, or in Cc of a munged copy."""
    kind, strip = seen.row.reply_goes_to_list, seen.row.first_strip_reply_to
    changed = seen.action != NOTHING
    has_own = b"\r\nReply-To: home@ana.example" in seen.posting.partition(b"\r\n\r\n")[0]
    own = ["home@ana.example"] if has_own and not strip else []
    if seen.action == WRAP_MESSAGE and kind == "no_munging":
        assert ANA in _addresses(seen.copy, "Reply-To")
        return
    expected = {
        "no_munging": [*own, ANA] if changed else own,
        "point_to_list": [GARDEN, *own],
        "explicit_header": ["talk@far.example", *own],
        "explicit_header_only": ["talk@far.example"],  # better: Mailman keeps the author's beside it
    }[kind]
    assert _addresses(seen.copy, "Reply-To") == expected
    assert (ANA in _addresses(seen.copy, "Cc")) == (changed and kind != "no_munging")
    assert CLEO in _addresses(seen.copy, "Cc")  # better: Mailman rewrites Cc


def the_footer_stands_once_where_it_can_be_read(seen: Seen) -> None:
    """4.5: below plain text in its charset, a part beside other parts, around what is signed."""
    texts = "\n".join(
        part.get_payload(decode=True).decode("utf-8", "replace")
        for part in seen.copy.walk()
        if part.get_content_type() == "text/plain"
    )
    assert texts.count(FILLED) == bool(seen.row.footer), texts
    if not seen.row.footer and seen.action != WRAP_MESSAGE:
        assert seen.raw.partition(b"\r\n\r\n")[2] == seen.body  # not a byte of the body


def what_is_signed_or_no_text_keeps_its_bytes(seen: Seen) -> None:
    """Every part that need not change stands in the copy as it came."""
    for part in (TEXT, HTML) if b"boundary=b" in seen.posting else ():
        if part in seen.body:
            assert part.rstrip(b"\r\n") in seen.raw or (part is TEXT and b"multipart/mixed" not in seen.posting)
    if b"multipart/signed" in seen.posting:
        start, end = seen.body.index(b"--b\r\n"), seen.body.index(b"--b--")
        assert seen.body[start:end] in seen.raw


def fields_that_nobody_must_touch_keep_their_bytes(seen: Seen) -> None:
    """The signature of the author's host above all: copies of which only the header grew pass it still."""
    if seen.action == WRAP_MESSAGE:
        return
    for line in (b"DKIM-Signature: v=1; d=far.example; b=abc=\r\n", b"X-Mailer: Ana's\r\n",
                 b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n", b"References: <q@ben.example>\r\n",
                 b"To: garden@lists.example, ben@far.example\r\n", b"Message-ID: <a@far.example>\r\n"):  # fmt: skip
        assert seen.raw.count(line) == 1


FACTS: tuple[Callable[[Seen], None], ...] = (
    fields_of_the_list_stand_once_and_are_its_own, what_others_said_of_lists_and_wishes_for_receipts_are_gone,
    the_subject_has_its_prefix_once, the_visible_author_is_as_the_policy_wants, answers_go_where_list_and_policy_say,
    the_footer_stands_once_where_it_can_be_read, what_is_signed_or_no_text_keeps_its_bytes,
    fields_that_nobody_must_touch_keep_their_bytes,
)  # fmt: skip
KINDS = ("no_munging", "point_to_list", "explicit_header", "explicit_header_only")
SETTINGS = [
    {"subject_prefix": prefix, "footer": footer, "reply_goes_to_list": kind, "first_strip_reply_to": strip,
     "include_rfc2369_headers": number % 3 > 0, "allow_list_posts": number % 3 == 1}
    for number, (prefix, footer, kind, strip) in enumerate(
        itertools.product(("", "[g] "), ("", FOOTER), KINDS, (False, True))
    )
]  # fmt: skip


def _rows(values: Mapping[str, str | bool]) -> MailingList:
    return MailingList(
        list_name="garden", domain=Domain(name="lists.example"), list_id="garden.lists.example",
        display_name="Garden", description="Beans and more", reply_to_address="talk@far.example", **values,
    )  # fmt: skip


@pytest.mark.parametrize("action", [NOTHING, MUNGE_FROM, WRAP_MESSAGE])
@pytest.mark.parametrize("kind", BODIES)
def test_every_fact_holds_under_every_combination_of_settings(kind: str, action: str) -> None:
    own_answers = b"Reply-To: home@ana.example\r\n"
    letters = [*((subject, b"") for subject in SUBJECTS), (next(iter(SUBJECTS)), own_answers)]
    for values, (subject, own) in itertools.product(SETTINGS, letters):
        posting = HEAD + subject.encode() + own + BODIES[kind]
        row = _rows(values)
        raw = prepare(row, posting, Circumstances("a@far.example", PERMALINK, 1, action))
        wrapped = action == WRAP_MESSAGE
        if wrapped and subject == "" and not values["subject_prefix"]:
            continue
        copy = email.message_from_bytes(raw, policy=SMTP)
        plain = posting
        if wrapped:  # what must not be shown to members is gone from what is wrapped, too
            plain = re.sub(
                rb"(?m)^(?:" + b"|".join(name.encode() for name in FOREIGN) + rb"):[^\r]*\r\n", b"", posting, flags=re.I
            )
        seen = Seen(row, action, plain, subject, raw, copy)  # type: ignore[arg-type]
        for fact in FACTS:
            try:
                fact(seen)
            except AssertionError as error:
                shown = raw.decode("utf-8", "replace")
                raise AssertionError(
                    f"{fact.__name__} under {values}, {subject!r}, {own!r}: {error}\n{shown}"
                ) from error


def test_archive_digest_and_news_have_the_posting_before_it_is_munged_and_decorated(sqlite: Configuration) -> None:
    """4.3: to-archive, to-digest and to-usenet stand before dmarc and decorate; the tagger before all of them."""
    has_list(
        members=[ANA, BEN], dmarc_mitigate_unconditionally="yes", footer="Bye", topics_enabled="yes",
        topics="Beans: beans", linked_newsgroup="rec.gardens", gateway_to_news="yes",
    )  # fmt: skip
    posts(ANA, "Ripe.", GARDEN, "Beans")
    [(_, copy, _)] = waiting()
    assert b"via Garden" in copy and b"Bye" in copy and b"X-Topics: Beans" in copy
    for one in (Posting.objects.get().content_id, DigestPosting.objects.get().content_id,
                NewsArticle.objects.get().content_id):  # fmt: skip
        kept = bytes(keeping.read(one).all())
        assert b"via Garden" not in kept and b"Bye" not in kept and ANA.encode() in kept


def test_bookkeeping_follows_each_posting(sqlite: Configuration) -> None:
    """4.3: after-delivery counts the posting and remembers when it was."""
    has_list(members=[ANA])
    for number in (1, 2, 3):
        posts(ANA, "x", GARDEN, "Beans", NOW, f"Message-ID: <{number}@far.example>")
    row = MailingList.objects.get()
    assert row.post_id == 4 and row.last_post_at is not None and row.last_post_at.timestamp() * 1000 == NOW


def test_who_is_named_in_to_or_cc_gets_no_second_copy_where_they_want_none(sqlite: Configuration) -> None:
    """4.3: avoid-duplicates; better: Cc keeps its names, since it is signed."""
    pk = has_list(members=[ANA, BEN, CLEO])
    roster.set_preferences(pk, BEN, receive_list_copy=False)
    roster.set_preferences(pk, CLEO, receive_list_copy=False)
    arrives(HEAD.replace(b"List-Id: <other.far.example>\r\n", b"") + b"Subject: x\r\n" + TEXT, GARDEN, ANA)
    [(_, copy, recipients)] = waiting()
    assert recipients == [ANA] and b"Cc: cleo@near.example\r\n" in copy


def test_mail_for_the_owners_goes_to_them_without_footer_and_prefix(sqlite: Configuration) -> None:
    """4.3: default-owner-pipeline."""
    has_list(footer="Bye")
    to = "garden-owner@lists.example"
    arrives(HEAD + b"Subject: Help\r\n" + TEXT, to, EVE)
    [(message, content, recipients)] = waiting()
    assert recipients == [OWEN] and message.return_path == "garden-bounces@lists.example"
    assert b"Bye" not in content and content.endswith(TEXT)


def test_notices_say_that_a_machine_wrote_them_and_which_list(sqlite: Configuration) -> None:
    """4.4: Precedence bulk, List-Id without List-Post; better: Auto-Submitted on all, the null return path."""
    has_list()
    posts(EVE)
    for who in (EVE, OWEN):
        fields = email.message_from_bytes(notices_for(who)[0])
        assert (fields["Precedence"], fields["List-Id"]) == ("bulk", "<garden.lists.example>")
        assert fields["Auto-Submitted"] in ("auto-replied", "auto-generated") and fields["List-Post"] is None
    assert {message.return_path for message, _, _ in waiting("notice")} <= {"", "<>"}


@pytest.mark.parametrize("word", ["X-No-Archive: yes", "X-Archive: no"])
def test_an_author_who_wants_no_archive_gets_no_permalink(sqlite: Configuration, word: str) -> None:
    """4.9."""
    has_list(members=[ANA])
    posts(ANA, "x", GARDEN, "Beans", NOW, word)
    assert b"Archived-At" not in waiting()[0][1] and Posting.objects.count() == 0


def test_anonymous_lists_are_neither_munged_nor_do_they_tell_the_author(sqlite: Configuration) -> None:
    """4.4 and 4.6: mitigation is skipped; From is the list; better: the signature and every unknown field go."""
    has_list(members=[ANA, BEN], anonymous_list="yes", dmarc_mitigate_unconditionally="yes", footer="")
    arrives(HEAD.replace(b"List-Id: <other.far.example>\r\n", b"") + b"Subject: Beans\r\n" + TEXT, GARDEN, ANA)
    [(_, copy, _)] = waiting()
    header = copy.partition(b"\r\n\r\n")[0]
    assert f"From: {LIST}".encode() in header and b"via" not in header
    assert ANA.encode() not in header and b"DKIM" not in header and b"X-Mailer" not in header


NAMES = (
    "listname", "list_id", "display_name", "short_listname", "domain",
    "description", "info", "request_email", "owner_email", "site_email",
    "language", "fqdn_listname", "list_name", "mail_host", "request_address",
    "hyperkitty_url", "domain_url", "mailinglist_url", "held_message_url", "pending_subscriptions_url",
    "pending_unsubscriptions_url",
)  # fmt: skip
OF_READERS = (
    "member", "user_email", "user_delivered_to", "user_language", "user_name", "user_name_or_email", "user_address",
)  # fmt: skip


def test_names_of_placeholders_are_mailmans(sqlite: Configuration) -> None:
    """4.5: the site's, the list's and the decoration's names."""
    has_list(members=[ANA, BEN])
    creation.set_settings(GARDEN, {"footer": "\n".join(f"{name}=${name}" for name in (*NAMES, *OF_READERS))})
    posts(ANA)
    text = waiting()[0][1].decode()
    for name in NAMES:
        assert f"\n{name}=$" not in text, name
    for name in OF_READERS:  # kept as it is until the copy leaves
        assert f"{name}=${name}" in text
