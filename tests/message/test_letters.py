"""Odd and hostile letters are read to what a person would say is in them (`tests/letters/README.md`)."""

from pathlib import Path

import pytest

from posthouse.message import parsing, report

LETTERS = Path(__file__).parent.parent / "letters"
ALL = sorted(path.name for path in LETTERS.glob("*.eml"))


def letter(name: str) -> bytes:
    return (LETTERS / name).read_bytes()


def read(name: str) -> parsing.Reading:
    return parsing.read(letter(name))


@pytest.mark.parametrize("name", ALL)
def test_every_letter_is_read_and_listed(name):
    reading = read(name)
    assert "\0" not in reading.text + reading.subject + reading.author_name + (reading.message_id or "")
    assert f"`{name}`" in (LETTERS / "README.md").read_text()
    for attachment in reading.attachments:
        filename, content_type, content = parsing.attachment(letter(name), attachment.number)
        assert (filename, content_type, len(content)) == (attachment.filename, attachment.content_type, attachment.size)
    assert parsing.attachment(letter(name), len(reading.attachments) + 1) is None


def test_a_plain_letter_is_read_whole():
    reading = read("plain.eml")
    assert reading == parsing.Reading(
        message_id="tomatoes@far.example",
        references=(),
        in_reply_to=None,
        author_name="Ana Lopez",
        author_address="ana@far.example",
        recipients_text="garden@lists.example",
        to_addresses=("garden@lists.example",),
        subject="Tomatoes",
        sent_at=1_071_122_225,
        sent_offset=0,
        text="Ripe at last.\n",
        attachments=(),
        oddities=(),
    )


def test_pipermails_hidden_address_is_found():
    reading = read("pipermail.eml")
    assert (reading.author_name, reading.author_address) == ("Ana Lopez", "ana@far.example")
    assert (reading.in_reply_to, reading.sent_offset) == ("old@far.example", -420)


def test_the_plain_alternative_is_read_and_files_are_listed():
    reading = read("outlook-rich.eml")
    assert reading.text == "Ripe at last – come and see.\n"
    assert [(a.number, a.filename, a.content_type) for a in reading.attachments] == [
        (1, "image001.png", "image/png"),
        (2, "Bäume.pdf", "application/pdf"),
    ]
    assert parsing.attachment(letter("outlook-rich.eml"), 2) == ("Bäume.pdf", "application/pdf", b"%PDF-")


def test_texts_before_and_after_a_picture_are_both_read():
    assert read("apple-two-texts.eml").text == "Before.\n\nAfter.\n"


def test_flowed_text_is_joined():
    assert read("flowed.eml").text == "> Are they ripe?\nThey are ripe at last.\n-- \nAna\n"


def test_a_lying_charset_is_survived_and_told():
    reading = read("latin1-says-ascii.eml")
    assert (reading.author_name, reading.subject, reading.text) == ("Élise", "Grüße", "Grüße aus dem Garten\n")
    assert reading.oddities == ("the text is not in the charset it names (us-ascii)",)
    assert read("unknown-charset.eml").oddities == ("the charset x-far-far-away is unknown",)


def test_a_broken_multipart_is_read_as_far_as_it_goes():
    assert "Ripe at last." in read("no-boundary.eml").text
    assert read("no-boundary.eml").oddities == ("a multipart has no boundary",)
    assert read("unclosed.eml").text == "Ripe at last.\n"
    assert read("unclosed.eml").oddities == ("a multipart has no end",)


def test_a_letter_without_header_or_body_tells_what_it_lacks():
    assert read("header-only.eml").oddities == ("it has no Message-ID", "it has no Date")
    assert read("empty.eml").oddities == ("it has no Message-ID", "it has no From", "it has no Date")
    assert read("no-header.eml").text == "Ripe at last.\nWithout any header.\n"


def test_html_alone_is_told_in_words_that_load_nothing():
    assert read("html-only.eml").text == "Ripe at last <https://far.example/>.\n"


def test_file_names_lead_nowhere():
    names = [attachment.filename for attachment in read("filename-tricks.eml").attachments]
    assert names[:5] == ["passwd", "run.exe", "gpj.exe", "Bäume .txt", "part-5.beans"]
    assert len(names[5]) <= 200 and names[5].endswith(".txt")


def test_boundaries_that_begin_alike_are_told_apart():
    assert read("nested-boundaries.eml").text == "inner one\n\ninner --b two\n\nouter --b-- here\n --b--\n"


def test_ids_are_found_behind_folds():
    reading = read("folded-id.eml")
    assert reading.message_id == "AM0PR01MB1234@AM0PR01.prod.far.example"
    assert reading.references == ("one@far.example", "two@far.example", "three@far.example")
    assert reading.subject == "Tomates 🍅 are ripe"


def test_groups_and_comments_among_the_recipients_are_understood():
    reading = read("group-recipients.eml")
    assert reading.to_addresses == ("ben@far.example", "cleo@house.example", "owen@house.example")
    assert reading.recipients_text.startswith("Ben ben@far.example, ")


def test_postfixs_bounce_is_understood():
    facts = report.read_dsn(letter("bounce-postfix.eml"))
    assert facts.recipients == (
        report.DsnRecipient(
            "ana@far.example", "Ana@far.example", "failed", "5.1.1",
            "550 5.1.1 <ana@far.example>: Recipient address rejected: User unknown", "mail.far.example",
        ),
        report.DsnRecipient("ben@far.example", "", "delayed", "4.4.1", "", ""),
    )  # fmt: skip
    assert (facts.reporting_mta, facts.original_message_id) == ("mx.far.example", "tomatoes@far.example")


def test_exchanges_bounce_is_understood():
    facts = report.read_dsn(letter("bounce-exchange.eml"))
    assert facts.recipients == (report.DsnRecipient("ana@far.example", "", "failed", "5.2.2", "552 mailbox full", ""),)
    assert facts.original_message_id == "tomatoes@far.example"


def test_a_letter_that_reports_nothing_is_no_report():
    assert all(report.read_dsn(letter(name)) is None for name in ALL if not name.startswith("bounce-"))
