"""Digests: gathered by reference, sent by size, in three kinds, with numbers; nobody loses a posting or a file."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from posthouse.content.models import Content
from posthouse.directory import preferences
from posthouse.lists import digests, roster, wording
from posthouse.lists.digest_models import DigestPosting, LastDigest
from posthouse.lists.models import HeldPosting, MailingList
from posthouse.queue.models import Delivery, Message
from tests.lists.scene import DAY, HOUR, NOW, arrives, copies, has_list, letter, posts, waiting
from tests.people import ANA, BEN, CLEO, EVE, GARDEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")

MASTHEAD = "list:member:digest:masthead"
PLAIN, MIME, SUMMARY = "plaintext_digests", "mime_digests", "summary_digests"
WITH_FILE = (
    f"From: Ana <{ANA}>\r\nTo: {GARDEN}\r\nSubject: Photo\r\nMessage-ID: <photo@far.example>\r\n"
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nDas Gemüse.\r\n"
    "--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n"
    'Content-Disposition: attachment; filename="my tomato.jpg"\r\n\r\naGVsbG8=\r\n--b--\r\n'
).encode()


def reads(member: str, mode: str) -> None:
    roster.add(GARDEN, member)
    roster.set_preferences(GARDEN, member, delivery_mode=mode)


def sent() -> list[tuple[EmailMessage, list[str]]]:
    """The digests that wait in the queue, read by Python's own parser, with their readers."""
    return [(opened(content), recipients) for _, content, recipients in waiting("digest")]


def opened(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def only_digest() -> EmailMessage:
    [(digest, _)] = sent()
    return digest


def text_of(part: EmailMessage) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


@both
def test_who_reads_digests_gets_no_copy_and_one_digest_of_their_kind() -> None:
    has_list(members=[ANA])
    reads(BEN, PLAIN)
    reads(CLEO, MIME)
    reads(EVE, SUMMARY)
    posts(ANA)
    assert copies() == [ANA]

    [issue] = digests.send(GARDEN, NOW + HOUR)

    assert (issue.volume, issue.number, issue.postings, issue.recipients) == (1, 1, 1, 3)
    kinds = {recipients[0]: digest.get_content_type() for digest, recipients in sent() if len(recipients) == 1}
    assert kinds == {BEN: "text/plain", CLEO: "multipart/mixed", EVE: "text/plain"}


@sqlite
@pytest.mark.parametrize("asks", ["list", "site"])
def test_a_digest_is_titled_and_told_in_the_language_of_the_list(asks: str) -> None:
    has_list(members=[ANA], preferred_language="fr" if asks == "list" else "", digest_footer="$title")
    preferences.set_site({"preferred_language": "fr"} if asks == "site" else {})
    for reader, kind in ((BEN, PLAIN), (CLEO, MIME), (EVE, SUMMARY)):
        reads(reader, kind)
    posts(ANA)
    arrives(WITH_FILE, GARDEN, ANA)
    digests.send(GARDEN, NOW + HOUR)

    title = "Recueil de Garden, vol. 1, numéro 1"
    found = {readers[0]: digest for digest, readers in sent()}
    assert {str(digest["subject"]) for digest in found.values()} == {title}
    plain, brief = text_of(found[BEN]), text_of(found[EVE])
    assert plain.startswith(f"{title}\n\nÉcrire à la liste :") and "Sujets de ce numéro (2 messages) :" in plain
    assert "[Pièce jointe: my tomato.jpg" in plain and f"\nFin : {title}\n****" in plain
    assert f"Subject: Pied du recueil\n\n{title}\n" in plain
    assert ", 1 pièce jointe\n" in brief and "Écrire à la liste :" in brief
    said = [part["content-description"] for part in found[CLEO].iter_parts() if part["content-description"]]
    assert said == [title, "Sujets de ce numéro (2 messages)", "Pied du recueil"]


@sqlite
def test_the_subject_of_digests_is_worded_by_the_mastheads_template() -> None:
    has_list(members=[ANA], hold_digest="yes")
    reads(BEN, PLAIN)
    wording.put(GARDEN, MASTHEAD, "en", "Subject: News of $display_name ($issue)\n\nThis is $title.", by="o", now=NOW)
    posts(ANA)
    digests.send(GARDEN, NOW + HOUR)
    assert only_digest()["subject"] == "News of Garden (1)"
    assert text_of(only_digest()).startswith("This is News of Garden (1).\n")
    posts(ANA, subject="Re: News of Garden (1)", to=GARDEN, now=NOW + HOUR)
    assert HeldPosting.objects.get().rule == "digests"


@sqlite
def test_a_masthead_worded_before_its_subject_counted_keeps_its_title() -> None:
    has_list(members=[ANA])
    reads(BEN, PLAIN)
    wording.put(GARDEN, MASTHEAD, "en", "Subject: $title\n\nHere is $title.", by="o", now=NOW)
    posts(ANA)
    digests.send(GARDEN, NOW + HOUR)
    assert only_digest()["subject"] == "Garden Digest, Vol 1, Issue 1"
    assert text_of(only_digest()).startswith("Here is Garden Digest, Vol 1, Issue 1.\n")


@both
def test_a_gathered_posting_is_kept_by_reference_and_let_go_with_the_digest() -> None:
    has_list(members=[ANA], archive_policy="never")
    reads(BEN, MIME)
    posts(ANA)
    [gathered] = DigestPosting.objects.all()
    assert Content.objects.get(pk=gathered.content_id).uses == 1

    digests.send(GARDEN, NOW)

    assert not Content.objects.filter(pk=gathered.content_id).exists()
    assert not DigestPosting.objects.exists()


@both
def test_each_copy_of_a_digest_is_one_row_of_one_content_with_the_lists_return_path() -> None:
    pk = has_list(members=[ANA])
    for member in (BEN, CLEO):
        reads(member, MIME)
    posts(ANA)
    digests.send(GARDEN, NOW)

    message = Message.objects.get(origin="digest")
    assert (message.list_id, message.return_path) == (pk, "garden-bounces@lists.example")
    assert Delivery.objects.filter(message=message).count() == 2


@both
def test_a_digest_goes_out_with_the_posting_that_makes_it_large_enough() -> None:
    has_list(members=[ANA], digest_size_threshold="1.5")
    reads(BEN, MIME)
    posts(ANA, "a" * 600)
    assert not sent()

    posts(ANA, "b" * 900, GARDEN, "Beans", NOW, "Message-ID: <beans@far.example>")

    assert "Issue 1" in only_digest()["subject"]


@sqlite
def test_with_threshold_zero_no_size_sends_a_digest() -> None:
    has_list(members=[ANA], digest_size_threshold="0")
    reads(BEN, MIME)
    posts(ANA, "a" * 100_000)
    assert not sent()
    assert digests.gathered(GARDEN).postings == 1


@sqlite
def test_the_list_fields_stay_away_where_copies_have_none() -> None:
    has_list(members=[ANA], include_rfc2369_headers="no")
    reads(BEN, MIME)
    posts(ANA)
    digests.send(GARDEN, NOW)
    assert only_digest()["list-id"] is None


@sqlite
@pytest.mark.parametrize("mode", [PLAIN, MIME, SUMMARY])
def test_an_anonymous_list_tells_no_author_in_a_digest_either(mode: str) -> None:
    has_list(members=[ANA], anonymous_list="yes")
    reads(BEN, mode)
    posts(f"Ana Secret <{ANA}>", "Ripe.", GARDEN, "Tomatoes", NOW, f"X-Sender: {ANA}")
    digests.send(GARDEN, NOW)
    [(_, content, _)] = waiting("digest")
    assert b"Secret" not in content and ANA.encode() not in content


@sqlite
def test_what_the_content_filter_removes_is_in_no_digest() -> None:
    has_list(members=[ANA], filter_content="yes", filter_types="image")
    reads(BEN, MIME)
    arrives(WITH_FILE, GARDEN, ANA)
    digests.send(GARDEN, NOW)
    [(_, content, _)] = waiting("digest")
    assert "Gemüse".encode() in content and b"image/jpeg" not in content


@sqlite
def test_without_digests_their_readers_get_copies() -> None:
    has_list(members=[ANA], digests_enabled="no")
    reads(BEN, MIME)
    posts(ANA)
    assert copies() == sorted([ANA, BEN])
    assert not DigestPosting.objects.exists()


@sqlite
def test_the_digest_comes_from_request_and_answers_go_to_the_list() -> None:
    has_list(members=[ANA])
    reads(BEN, MIME)
    posts(ANA)
    digests.send(GARDEN, NOW)
    digest = only_digest()

    assert digest["from"] == "Garden <garden-request@lists.example>"
    assert digest["reply-to"] == digest["to"] == f"Garden <{GARDEN}>"
    assert digest["subject"] == "Garden Digest, Vol 1, Issue 1"
    assert digest["list-id"] == "<garden.lists.example>"
    assert digest["precedence"] == "list"


@sqlite
def test_a_mime_digest_holds_masthead_contents_messages_and_footer() -> None:
    has_list(members=[ANA], digest_header="Frost tonight!", digest_footer="Bye from $display_name, issue $issue")
    reads(BEN, MIME)
    arrives(WITH_FILE, GARDEN, ANA)
    posts(ANA, "Ripe.", GARDEN, "Re: [Garden] Tomatoes", NOW, "X-Secret: no", "Received: from here", "Approved: pw")
    digests.send(GARDEN, NOW)

    digest = only_digest()
    assert digest.get_content_type() == "multipart/mixed"
    parts = list(digest.iter_parts())
    types = [part.get_content_type() for part in parts]
    assert types == ["text/plain", "text/plain", "text/plain", "multipart/digest", "text/plain"]
    assert "garden-owner@lists.example" in text_of(parts[0])
    assert text_of(parts[1]) == "Frost tonight!\n"
    assert text_of(parts[2]).splitlines()[2:] == ["   1. Photo (Ana)", f"   2. Re: Tomatoes ({ANA})"]
    assert text_of(parts[4]) == "Bye from Garden, issue 1\n"
    first, second = (part.get_content() for part in parts[3].iter_parts())
    assert [part.get_content_type() for part in first.iter_parts()] == ["text/plain", "image/jpeg"]
    assert "Das Gemüse." in next(iter(first.iter_parts())).get_content()
    assert second["subject"] == "Re: [Garden] Tomatoes"
    assert second["x-secret"] is second["received"] is second["approved"] is None
    assert second["archived-at"].startswith("<http://localhost:8000/archives/garden@lists.example/message/")


@sqlite
def test_an_eight_bit_posting_stays_whole_in_a_digest_that_says_so() -> None:
    has_list(members=[ANA])
    reads(BEN, MIME)
    arrives(WITH_FILE, GARDEN, ANA)
    digests.send(GARDEN, NOW)
    [(message, content, _)] = waiting("digest")
    assert "Das Gemüse.".encode() in content
    assert message.body8
    assert opened(content)["content-transfer-encoding"] == "8bit"


@sqlite
def test_a_plain_digest_is_rfc_1153_to_the_letter() -> None:
    has_list(members=[ANA], digest_footer="Bye.")
    reads(BEN, PLAIN)
    posts(
        ANA, "Ripe at last.\r\n\r\n" + "-" * 30 + "\r\n\r\nMore.", GARDEN, "Tomatoes", NOW, "Keywords: red", "X-No: y"
    )
    digests.send(GARDEN, NOW)
    text = text_of(only_digest())

    preamble, _, rest = text.partition("\n\n" + "-" * 70 + "\n\n")
    assert preamble.endswith(f"Topics in this issue (1 message):\n\n   1. Tomatoes ({ANA})")
    between = "\n\n" + "-" * 30 + "\n\n"
    message, footer, end = rest.split(between)
    assert message == (
        f"Message: 1\nDate: Tue, 14 Nov 2023 22:13:20 +0000\nFrom: {ANA}\nTo: {GARDEN}\nSubject: Tomatoes\n"
        "Message-ID: <tomatoes@far.example>\nKeywords: red\n\n"
        "Ripe at last.\n\n " + "-" * 30 + "\n\nMore."
    )
    assert footer == "Subject: Digest Footer\n\nBye."
    line = "End of Garden Digest, Vol 1, Issue 1"
    assert end == f"{line}\n{'*' * len(line)}\n"


@sqlite
def test_an_attachment_is_linked_from_the_plain_digest_to_the_archive() -> None:
    has_list(members=[ANA])
    reads(BEN, PLAIN)
    arrives(WITH_FILE, GARDEN, ANA)
    permalink = DigestPosting.objects.get().permalink
    digests.send(GARDEN, NOW)
    text = text_of(only_digest())
    assert "Das Gemüse." in text
    assert f"[Attachment: my tomato.jpg (image/jpeg, 1 KB)]\n<{permalink}attachment/1/my%20tomato.jpg>" in text


@sqlite
def test_without_an_archive_the_plain_digest_carries_its_attachments() -> None:
    has_list(members=[ANA], archive_policy="never")
    reads(BEN, PLAIN)
    arrives(WITH_FILE, GARDEN, ANA)
    digests.send(GARDEN, NOW)
    text, file = only_digest().iter_parts()
    assert "at the end of this digest" in text_of(text)
    assert (file.get_filename(), file.get_content()) == ("my tomato.jpg", b"hello")


@sqlite
def test_a_summary_links_each_posting_and_without_an_archive_is_a_mime_digest() -> None:
    has_list(members=[ANA])
    reads(BEN, SUMMARY)
    posts(ANA)
    permalink = DigestPosting.objects.get().permalink
    digests.send(GARDEN, NOW)
    summary = text_of(only_digest())
    assert f"   1. Tomatoes\n      {ANA}, Tue, 14 Nov 2023 22:13:20 +0000\n      {permalink}" in summary
    assert "Ripe at last." not in summary

    MailingList.objects.update(archive_policy="never")
    posts(ANA, "Beans.", GARDEN, "Beans", NOW, "Message-ID: <beans@far.example>")
    digests.send(GARDEN, NOW)
    assert sent()[1][0].get_content_type() == "multipart/mixed"


@both
def test_who_leaves_digests_gets_one_last_one_with_what_was_gathered() -> None:
    has_list(members=[ANA])
    reads(BEN, PLAIN)
    reads(CLEO, MIME)
    posts(ANA)
    roster.set_preferences(GARDEN, BEN, delivery_mode="regular")
    posts(ANA, "Beans.", GARDEN, "Beans", NOW, "Message-ID: <beans@far.example>")
    assert copies() == [ANA, ANA, BEN]

    [issue] = digests.send(GARDEN, NOW)
    assert issue.recipients == 2
    assert [(digest.get_content_type(), people) for digest, people in sent()] == [
        ("text/plain", [BEN]),
        ("multipart/mixed", [CLEO]),
    ]
    assert not LastDigest.objects.exists()
    posts(ANA, "Peas.", GARDEN, "Peas", NOW, "Message-ID: <peas@far.example>")
    [issue] = digests.send(GARDEN, NOW)
    assert issue.recipients == 1


@sqlite
def test_a_last_digest_comes_too_when_the_address_says_so_for_all_its_lists() -> None:
    has_list(members=[ANA, BEN])
    preferences.set_address(BEN, {"delivery_mode": MIME})
    posts(ANA)
    assert copies() == [ANA]
    digests.set_address_preferences(BEN, {"delivery_mode": None})
    assert LastDigest.objects.get().kind == MIME


@sqlite
def test_who_never_read_digests_gets_no_last_one() -> None:
    has_list(members=[ANA, BEN])
    posts(ANA)
    roster.set_preferences(GARDEN, BEN, delivery_mode=MIME)
    roster.set_preferences(GARDEN, BEN, delivery_mode="regular")
    assert LastDigest.objects.count() == 1  # for a moment Ben was a reader, and copies stopped
    roster.set_preferences(GARDEN, ANA, receive_own_postings=False)
    assert LastDigest.objects.count() == 1


@both
def test_whoever_joins_a_list_whose_default_is_digests_reads_digests() -> None:
    has_list(members=[ANA])
    MailingList.objects.update(digest_is_default=True)
    preferences.set_address(CLEO, {"delivery_mode": "regular"})
    for member in (BEN, CLEO):
        roster.add(GARDEN, member)
    roster.add(GARDEN, EVE, role="moderator")
    modes = {one.address: one.delivery_mode for one in roster.members(GARDEN)}
    assert modes == {ANA: "regular", BEN: MIME, CLEO: "regular"}


@sqlite
def test_nobody_reads_digests_so_nothing_is_sent_and_no_number_is_used() -> None:
    has_list(members=[ANA], digest_size_threshold="0.1")
    posts(ANA)
    assert not sent()
    assert not DigestPosting.objects.exists()
    assert MailingList.objects.get().next_digest_number == 1


@sqlite
def test_stopped_delivery_stops_digests_too() -> None:
    has_list(members=[ANA])
    reads(BEN, MIME)
    roster.set_preferences(GARDEN, BEN, delivery_status="by_user")
    posts(ANA)
    assert digests.send(GARDEN, NOW) == []


@sqlite
def test_much_mail_becomes_several_issues(monkeypatch: pytest.MonkeyPatch) -> None:
    from posthouse.lists.digests import sending

    monkeypatch.setattr(sending, "MOST_OCTETS", 1_000)
    has_list(members=[ANA])
    reads(BEN, MIME)
    for name in "abc":
        posts(ANA, name * 400, GARDEN, name, NOW, f"Message-ID: <{name}@far.example>")
    issues = digests.send(GARDEN, NOW)
    assert [(one.number, one.postings) for one in issues] == [(1, 1), (2, 1), (3, 1)]


@sqlite
def test_a_lost_content_is_a_note_in_the_digest_and_the_others_are_there() -> None:
    has_list(members=[ANA], archive_policy="never")
    reads(BEN, PLAIN)
    posts(ANA)
    posts(ANA, "Beans.", GARDEN, "Beans", NOW, "Message-ID: <beans@far.example>")
    first = DigestPosting.objects.order_by("id")[0]
    Content.objects.filter(pk=first.content_id).delete()
    digests.send(GARDEN, NOW)
    text = text_of(only_digest())
    assert "could not be read" in text
    assert "Beans." in text


@both
def test_a_digest_that_fails_never_stops_the_posting(monkeypatch: pytest.MonkeyPatch) -> None:
    from posthouse.lists.digests import mime, sending

    def breaks(issue: object) -> bytes:
        raise ValueError("broken")

    has_list(members=[ANA], digest_size_threshold="0.1")
    reads(BEN, MIME)
    monkeypatch.setattr(sending.mime, "body", breaks)
    assert mime.body is breaks
    assert posts(ANA).result == "delivered"
    assert copies() == [ANA]
    assert digests.gathered(GARDEN).postings == 1


HOSTILE = [
    b"",
    b"\r\n",
    b"no header at all",
    b"Subject: =?x-unknown?q?=FF?=\r\nFrom: \xff\xfe <a@b>\r\n\r\n\xff\xfe\x00 raw",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n",
    b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AGE-",
    b"From ana Tue\r\nSubject: pasted\r\n\r\nx\ry\nz",
    b"Subject: long\r\n\r\n" + b"x" * 5_000,
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nHello",
    b"Date: never\r\nDate: twice\r\nTo: " + b"a@b, " * 4_000 + b"\r\n\r\nx",
]


@sqlite
@pytest.mark.parametrize("mode", [PLAIN, MIME, SUMMARY])
def test_odd_letters_pass_through_every_kind_of_digest(mode: str) -> None:
    has_list(members=[ANA], display_name='Gärten "%d" $x')
    reads(BEN, mode)
    for number, content in enumerate(HOSTILE):
        head = f"From: {ANA}\r\nTo: {GARDEN}\r\n" if not content.startswith(b"From ") else ""
        mine = f"Message-ID: <{number}@far.example>\r\nTo: {GARDEN}\r\nFrom: {ANA}\r\n".encode() if head else b""
        arrives(mine + content, GARDEN, ANA, prefix=b"" if head else f"From: {ANA}\r\nTo: {GARDEN}\r\n".encode())
    from posthouse.lists import holding

    for one in holding.held():
        holding.release(one.id, "owen", NOW)
    assert DigestPosting.objects.count() == len(HOSTILE)
    [issue] = digests.send(GARDEN, NOW)
    assert issue.postings == len(HOSTILE)
    assert sent()


@sqlite
@pytest.mark.parametrize(
    ("frequency", "first", "same", "after"),
    [
        ("daily", "2023-11-14T00:30", "2023-11-14T23:30", "2023-11-15T00:10"),
        ("weekly", "2023-11-13T10:00", "2023-11-19T10:00", "2023-11-20T10:00"),
        ("monthly", "2023-11-01T10:00", "2023-11-30T10:00", "2023-12-01T00:00"),
        ("quarterly", "2023-10-01T10:00", "2023-12-31T10:00", "2024-01-01T10:00"),
        ("quarterly", "2023-01-02T10:00", "2023-03-31T10:00", "2023-04-01T10:00"),
        ("yearly", "2023-01-01T10:00", "2023-12-31T10:00", "2024-01-01T10:00"),
    ],
)
def test_the_first_digest_of_a_period_begins_a_volume(frequency: str, first: str, same: str, after: str) -> None:
    has_list(members=[ANA], digest_volume_frequency=frequency)
    reads(BEN, MIME)
    numbers = []
    for name, when in (("a", first), ("b", same), ("c", after)):
        posts(ANA, "x", GARDEN, name, NOW, f"Message-ID: <{name}@far.example>")
        [issue] = digests.send(GARDEN, milliseconds(when))
        numbers.append((issue.volume, issue.number))
    assert numbers == [(1, 1), (1, 2), (2, 1)]


def milliseconds(when: str) -> int:
    from datetime import UTC, datetime

    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)


@sqlite
def test_a_volume_is_begun_by_the_calendar_once_and_by_hand() -> None:
    has_list(members=[ANA])
    reads(BEN, MIME)
    posts(ANA)
    digests.send(GARDEN, NOW)
    assert digests.bump_due(NOW + DAY) == 0
    assert digests.bump_due(NOW + 31 * DAY) == 1
    assert digests.bump_due(NOW + 31 * DAY) == 0
    assert digests.bump(GARDEN) == (3, 1)


@both
def test_daily_digests_go_to_the_lists_that_want_them() -> None:
    has_list(members=[ANA])
    reads(BEN, MIME)
    has_list("chess@lists.example", members=[ANA], digest_send_periodic="no")
    roster.add("chess@lists.example", BEN)
    roster.set_preferences("chess@lists.example", BEN, delivery_mode=MIME)
    posts(ANA)
    arrives(letter(ANA, "chess@lists.example"), "chess@lists.example", ANA)

    assert digests.send_due(NOW) == 1
    assert digests.send_due(NOW) == 0
    assert digests.gathered("chess@lists.example").postings == 1
