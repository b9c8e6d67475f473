"""Whatever the bytes are, mail is read without an exception, edited without harm, and written so that it reads back."""

import io
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse import address
from posthouse.message import mbox, parsing, report
from posthouse.message.compose import notice
from posthouse.message.dates import format_date, parse_date
from posthouse.message.decoration import decorated
from posthouse.message.headers import Fields, HeaderEditor, encode_field, encode_phrase, split
from posthouse.message.rewrite import add_subject_prefix, addressed_to
from posthouse.message.text import decode, flowed, html_to_text
from posthouse.message.words import decode_words

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = st.sampled_from(
    [
        b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"References: ", b"In-Reply-To: ",
        b"Cc: ", b"Content-Type: ", b"Content-Transfer-Encoding: ",
        b"Content-Disposition: attachment; filename=", b"Final-Recipient: ", b"multipart/mixed; boundary=b",
        b"multipart/alternative; boundary=c", b"text/plain; charset=", b"text/html", b"message/rfc822",
        b"message/delivery-status", b"multipart/report; boundary=b", b"; format=flowed; delsp=yes", b"utf-8",
        b"utf-7", b"utf-16", b"iso-2022-jp", b"hz", b"x-no", b"base64", b"quoted-printable", b"x-uuencode",
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\r\n ", b"\t", b" ", b"\0", b"\xff", b"\xc3",
        b"\xed\xa0\x80", b"--b", b"--c", b"--b--", b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"=?utf-7?q?+2AA-?=",
        b"<", b">", b"@", b"a@b.example", b"(", b")", b'"', b"\\", b",", b";", b":", b"=", b"=C3", b"=\r\n",
        b"begin 644 x\n", b"name*0*=utf-8''%ff", b"name*=x'", b"+2AA-", b"\x1b$B", b"<a href=x>",
        b"<blockquote>", b"<!--", b"&#xD800;", b"&#99999999999;", b"> ", b">From ",
        b"From a Thu Dec 11 05:57:05 2003\n", b"Thu, 11 Dec 2003 05:57:05 +0000", b"99", b"rfc822;", b"5.1.1",
        b" at ", b"word",
    ]
)  # fmt: skip
MAIL = st.lists(st.one_of(PIECES, PIECES, st.binary(max_size=8)), max_size=60).map(b"".join)
CLEAN = st.text(st.characters(exclude_characters="\r\n\0"), max_size=200)


@quick
@given(MAIL)
def test_any_bytes_are_read_to_text_a_database_takes(content):
    reading = parsing.read(content)
    texts = [reading.text, reading.subject, reading.author_name, reading.author_address, reading.recipients_text]
    texts += [reading.message_id or "", *reading.references, *(a.filename for a in reading.attachments)]
    for text in [*texts, *reading.oddities]:
        assert "\0" not in text
        text.encode("utf-8")
    for attachment in reading.attachments:
        assert len(parsing.attachment(content, attachment.number)[2]) == attachment.size
    assert parsing.read(content) == reading
    report.read_dsn(content)
    addressed_to(Fields(content))


@quick
@given(MAIL)
def test_header_and_body_together_are_the_message(content):
    header, body = split(content)
    fields = Fields(content)
    assert b"".join(raw for _, raw in fields) == header
    assert content[fields.header_start : fields.header_end] == header
    assert content[fields.header_end : body] in (b"", b"\n", b"\r\n")
    assert HeaderEditor(header).to_bytes() == header
    if not fields.header_start:
        assert HeaderEditor.on(content).content().replace(b"\r\n", b"\n") in (
            content.replace(b"\r\n", b"\n"),
            (header + b"\n" + content[body:]).replace(b"\r\n", b"\n"),
            (header + b"\n\n" + content[body:]).replace(b"\r\n", b"\n"),
        )


@quick
@given(MAIL, CLEAN, st.sampled_from(["Subject", "X-New", "From"]))
def test_an_edit_leaves_all_other_fields_byte_for_byte(content, value, name):
    editor = HeaderEditor.on(content)
    editor.replace(name, value)
    editor.append("X-Last", value)
    edited = editor.content()

    def others(message: bytes) -> list[bytes]:
        mine = (name.lower(), "x-last")
        return [raw.rstrip(b"\r\n") for field, raw in Fields(message) if field.lower() not in mine]

    assert others(edited) == others(content)
    assert edited[Fields(edited).body_offset :] == content[Fields(content).body_offset :]
    assert Fields(edited).count(name) == 1


@quick
@given(CLEAN)
def test_any_text_survives_being_a_field(text):
    raw = encode_field("X-Text", text)
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert len(Fields(raw + b"\r\n")) == 1
    if "=?" not in text and text.isprintable():
        shown = decode_words(Fields(raw).first("x-text") or "")
        assert shown.split() == text.split()


@quick
@given(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=60))
def test_any_name_survives_being_a_phrase(name):
    raw = encode_field("From", f"{encode_phrase(name)} <ana@far.example>")
    [(shown, found)] = address.mailboxes(Fields(raw).first("from"), decode_words)
    assert found == "ana@far.example"
    assert shown.split() == name.strip("\"' ").split() or shown.strip("\"' \\").split() == name.strip("\"' \\").split()


@quick
@given(MAIL, st.text(max_size=80))
def test_a_footer_is_always_readable_and_never_loses_a_body(content, footer):
    changed = decorated(content, "", footer)
    parsing.read(changed)
    if not footer.strip():
        return
    words = [word for word in footer.split() if word.isascii() and word.isalnum()]
    if Fields(content).header_end and b"Content" not in content and b">" not in content[:1]:
        text = parsing.read(changed).text
        assert all(word in text for word in words)


@quick
@given(MAIL, CLEAN)
def test_a_prefix_is_added_once_and_for_all(content, prefix):
    editor = HeaderEditor.on(content)
    add_subject_prefix(editor, "[garden]")
    once = editor.content()
    again = HeaderEditor.on(once)
    add_subject_prefix(again, "[garden]")
    assert again.content() == once
    assert "[garden]" in (Fields(once).decoded("subject") or "")
    add_subject_prefix(again, prefix)


@quick
@given(st.lists(MAIL, max_size=6))
def test_an_exported_mbox_imports_to_the_same_bytes(letters):
    letters = [letter if letter.endswith(b"\n") else letter + b"\n" for letter in letters]
    out = io.BytesIO()
    for letter in letters:
        mbox.write_message(out, letter, "ana@far.example", 1_071_122_225)
    assert [message.content for message in mbox.messages(io.BytesIO(out.getvalue()))] == letters


@quick
@given(MAIL)
def test_any_bytes_are_an_mbox_or_refused_in_words(content):
    try:
        found = list(mbox.messages(io.BytesIO(content)))
    except mbox.MboxError as refused:
        assert len(str(refused).split()) > 5
        return
    assert all(message.offset < message.end <= len(content) for message in found)
    assert all(one.end == two.offset for one, two in pairwise(found))


@quick
@given(
    st.binary(max_size=200),
    st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["utf-7", "utf-16", "hz", "idna", "zip"])),
)
def test_any_bytes_in_any_charset_become_text(content, charset):
    text = decode(content, charset)
    assert "\0" not in text
    text.encode("utf-8")


@quick
@given(MAIL)
def test_any_html_and_any_flowed_text_become_text(content):
    text = content.decode("latin-1")
    html_to_text(text).encode("utf-8")
    flowed(text)
    flowed(text, delsp=True)


@quick
@given(st.text(max_size=80))
def test_any_text_is_an_address_with_a_stable_key_or_refused(text):
    for candidate in (text, f"{text}@far.example", f"ana@{text}", f'"{text}"@far.example'):
        try:
            parsed = address.parse(candidate)
        except address.AddressError:
            continue
        assert address.parse(str(parsed)) == parsed
        assert address.key_of(candidate) == parsed.key == address.parse(parsed.key).key
    address.mailboxes(text)


@quick
@given(st.integers(0, 253_402_214_400), st.integers(-14 * 60, 14 * 60))
def test_any_moment_survives_being_a_date(epoch, offset):
    if epoch + offset * 60 >= 0:
        assert parse_date(format_date(epoch, offset)) == (epoch, offset)


@quick
@given(st.text(max_size=60))
def test_any_text_may_stand_where_a_date_should(text):
    parse_date(text)


@quick
@given(st.text(max_size=300), CLEAN)
def test_any_notice_reads_back(text, subject):
    content = notice(
        author="owen@lists.example",
        to="ana@far.example",
        subject=subject,
        text=text,
        message_id="<n@lists.example>",
        date=0,
    )
    assert content.isascii()
    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
    assert parsing.read(content).message_id == "n@lists.example"
