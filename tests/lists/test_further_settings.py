"""Settings that Mailman 2 had, or that Mailman keeps without obeying them."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header

import pytest

from posthouse.archive.models import Posting
from posthouse.configuration import Configuration
from posthouse.directory import accounts, preferences
from posthouse.lists import creation, placeholders, roster, subscription, texts
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.errors import BadSetting
from posthouse.lists.models import MailingList, Pending
from posthouse.message.parsing import read
from tests.databases import both_databases
from tests.lists.scene import NOW, arrives, copies, has_list, letter, posts, waiting
from tests.people import ANA, BEN, CLEO, EVE, GARDEN, OWEN

database = both_databases

MIXED = (
    b"From: ana@far.example\r\nTo: garden@lists.example\r\nSubject: Photo\r\nMessage-ID: <photo@far.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nLook.\r\n"
    b'--x\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="b ean.png"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--x--\r\n"
)


def test_a_virgin_posting_goes_out_as_it_came_and_is_kept_nowhere(database: Configuration) -> None:
    has_list(members=[ANA, BEN], posting_pipeline="virgin", header="Above", footer="Below", personalize="full",
             filter_content="yes", filter_types="image", reply_goes_to_list="point_to_list",
             dmarc_mitigate_unconditionally="yes")  # fmt: skip
    arrives(MIXED, GARDEN, ANA)
    [(message, content, recipients)] = waiting()
    assert recipients == [ANA, BEN] and message.origin == "list"
    fields = message_from_bytes(content)
    assert (fields["Subject"], fields["From"], fields["Reply-To"]) == ("Photo", ANA, f"Garden <{GARDEN}>")
    assert fields["List-Id"] and fields["X-BeenThere"] == GARDEN
    assert content.partition(b"\r\n\r\n")[2] == MIXED.partition(b"\r\n\r\n")[2]
    assert (Posting.objects.count(), DigestPosting.objects.count()) == (0, 0)


def test_the_owners_pipeline_shows_postings_to_owners_and_moderators_alone(database: Configuration) -> None:
    pk = has_list(members=[ANA, BEN], posting_pipeline="default-owner-pipeline")
    roster.add(pk, CLEO, role="moderator")
    roster.add(pk, OWEN, role="moderator")
    posts(ANA)
    assert copies() == sorted([CLEO, OWEN])
    creation.set_settings(GARDEN, {"posting_pipeline": "default-posting-pipeline"})
    posts(ANA, "x", GARDEN, "Other", NOW, "Message-ID: <other@far.example>")
    assert copies() == sorted([CLEO, OWEN, ANA, BEN])
    with pytest.raises(BadSetting):
        creation.set_settings(GARDEN, {"posting_pipeline": "pickles"})


@pytest.mark.parametrize(("wanted", "begins"), [("no", "[Garden] =?utf-8?"), ("yes", "=?utf-8?")])
def test_a_plain_prefix_is_encoded_like_its_subject_where_owners_want_it(
    database: Configuration, wanted: str, begins: str
) -> None:
    has_list(members=[ANA, BEN], encode_ascii_prefixes=wanted)
    posts(ANA, "x", GARDEN, "=?utf-8?q?Ros=C3=A9?=")
    [(_, content, _)] = waiting()
    subject = message_from_bytes(content)["Subject"].replace("\r\n", "").replace("\n", "")
    assert subject.startswith(begins)
    shown = "".join(
        part.decode(charset or "ascii") if isinstance(part, bytes) else part for part, charset in decode_header(subject)
    )
    assert shown == "[Garden] Rosé"


def test_a_plain_subject_needs_no_encoding(database: Configuration) -> None:
    has_list(members=[ANA, BEN], encode_ascii_prefixes="yes")
    posts(ANA)
    assert b"Subject: [Garden] Tomatoes\r\n" in waiting()[0][1]


@pytest.mark.parametrize(
    ("wanted", "policy", "stays"), [("yes", "public", False), ("no", "public", True), ("yes", "never", True)]
)
def test_attachments_of_copies_are_links_where_owners_want_it(
    database: Configuration, wanted: str, policy: str, stays: bool
) -> None:
    has_list(members=[ANA, BEN], scrub_nondigest=wanted, archive_policy=policy)
    arrives(MIXED, GARDEN, ANA)
    [(_, content, _)] = waiting()
    assert (b"iVBORw0KGgo=" in content) == stays
    assert b"Look." in content and message_from_bytes(content)["Message-ID"] == "<photo@far.example>"
    if not stays:
        assert b"/attachment/1/b%20ean.png>" in content and b"image/png" in content
        assert message_from_bytes(content).get_content_type() == "text/plain"
    if policy == "public":
        assert b"b ean.png" in Posting.objects.get().attachments.encode()


def test_scrubbing_leaves_a_plain_posting_alone(database: Configuration) -> None:
    has_list(members=[ANA, BEN], footer="")
    posts(ANA, "Ripe.\r\n-- \r\nAna")
    creation.set_settings(GARDEN, {"scrub_nondigest": "yes"})
    posts(ANA, "Ripe.\r\n-- \r\nAna", GARDEN, "Tomatoes", NOW)
    first, second = (content for _, content, _ in waiting())
    assert first == second


def test_new_members_begin_with_the_lists_options_unless_they_said_otherwise(database: Configuration) -> None:
    pk = has_list(new_member_options="acknowledge_posts=yes, receive_own_postings=no\nhide_address")
    ben = accounts.create(BEN)
    preferences.set_account(ben.id, {"receive_own_postings": True})
    for one in (ANA, BEN):
        roster.add(pk, one)
    roster.add(pk, OWEN, role="moderator")
    ana, said = (roster.find(one)[0] for one in (ANA, BEN))
    assert (ana.acknowledge_posts, ana.receive_own_postings, ana.hide_address) == (True, False, True)
    assert (said.acknowledge_posts, said.receive_own_postings, said.hide_address) == (True, True, True)
    moderator = next(one for one in roster.find(OWEN) if one.role == "moderator")
    assert not moderator.acknowledge_posts
    creation.set_settings(GARDEN, {"new_member_options": ""})
    roster.add(pk, CLEO)
    assert not roster.find(CLEO)[0].acknowledge_posts


@pytest.mark.parametrize("text", ["delivery_mode=regular", "acknowledge_posts=maybe", "acknowledge_posts=", "x"])
def test_only_known_options_are_kept(database: Configuration, text: str) -> None:
    has_list()
    with pytest.raises(BadSetting, match="new_member_options"):
        creation.set_settings(GARDEN, {"new_member_options": text})


@pytest.mark.parametrize(("mime", "mode"), [("yes", "mime_digests"), ("no", "plaintext_digests")])
def test_the_default_digest_is_of_the_kind_the_list_names(database: Configuration, mime: str, mode: str) -> None:
    pk = has_list(digest_is_default="yes", mime_is_default_digest=mime)
    roster.add(pk, ANA)
    assert roster.find(ANA)[0].delivery_mode == mode


@pytest.mark.parametrize(
    ("entry", "waits"),
    [
        (EVE, False), ("@elsewhere.example", False), ("^eve.*@", False), ("@park@lists.example", False),
        ("@far.example", True), ("^ana@", True), ("", True),
    ],
)  # fmt: skip
def test_who_is_named_joins_without_a_moderator(database: Configuration, entry: str, waits: bool) -> None:
    has_list("park@lists.example", members=[EVE])
    pk = has_list(subscription_policy="moderate", subscribe_auto_approval=entry)
    assert EVE.endswith("@elsewhere.example")
    done = subscription.request_join(pk, EVE, "", NOW, verified=True)
    assert done == (subscription.WAITS if waits else subscription.JOINED)
    assert Pending.objects.filter(waits_for="moderator").exists() == waits


@pytest.mark.parametrize(
    "name",
    ["header", "footer", "digest_header", "digest_footer", "autoresponse_owner_text", "autoresponse_postings_text",
     "autoresponse_request_text"],
)  # fmt: skip
def test_words_that_nothing_fills_are_refused_with_their_names(database: Configuration, name: str) -> None:
    has_list()
    with pytest.raises(BadSetting, match=rf"{name}.*\$leave_url, \$nobody"):
        creation.set_settings(GARDEN, {name: "Leave: $leave_url or ${nobody}"})
    with pytest.raises(BadSetting, match=rf"{name}.*stands alone"):
        creation.set_settings(GARDEN, {name: "It costs $ 5"})
    text = " It costs $$5.\n$listname\n\n"
    assert creation.set_settings(GARDEN, {name: text}).settings[name] == text


def test_every_placeholder_of_a_text_is_filled(database: Configuration) -> None:
    has_list(members=[ANA, BEN])
    row = MailingList.objects.select_related("domain").get()
    assert set(texts.placeholders(row)) == placeholders.ALWAYS
    every = " ".join(f"${name}" for name in sorted(placeholders.OF_COPIES - set(placeholders.OF_READERS)))
    creation.set_settings(GARDEN, {"footer": every})
    posts(ANA)
    assert b"$" not in waiting()[0][1].partition(b"\r\n\r\n")[2]


def test_letters_keep_their_form() -> None:
    assert b"boundary=x" in MIXED and letter(ANA)


@pytest.mark.parametrize("asks", ["list", "site"])
def test_what_a_list_writes_into_copies_is_in_its_language(database: Configuration, asks: str) -> None:
    has_list(members=[ANA, BEN], scrub_nondigest="yes", preferred_language="fr" if asks == "list" else "")
    preferences.set_site({"preferred_language": "fr"} if asks == "site" else {})
    arrives(MIXED, GARDEN, ANA)
    creation.set_settings(GARDEN, {"default_member_action": "accept"})
    arrives(letter(ANA, GARDEN, ""), GARDEN, ANA)
    first, second = (content for _, content, _ in waiting())
    assert "[Pièce jointe: b ean.png (image/png, 1 KB)]" in read(first).text
    assert read(second).subject == "[Garden] (sans objet)"
