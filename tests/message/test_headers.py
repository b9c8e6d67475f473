"""Header fields are found, read and edited in place; what nobody touched stays byte for byte."""

import pytest

from posthouse.message.headers import Fields, HeaderEditor, HeaderError, count_hops, encode_field, encode_phrase, split
from posthouse.message.words import decode_words, encode_words

LETTER = (
    b"Received: from a\r\n\tby b; Mon, 1 Jan 2024 00:00:00 +0000\r\nReceived: from c by d\r\n"
    b"From:Ana <ana@far.example>\r\nSUBJECT:   Beans\r\n  and\r\n\tpeas  \r\nX-Raw: caf\xe9 \xff\r\n"
    b"\r\nBody\r\n\r\nmore\r\n"
)


@pytest.mark.parametrize(
    ("content", "header", "body"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n", b"body"),
        (b"A: b\n\nbody", b"A: b\n", b"body"),
        (b"A: b\n\r\nbody", b"A: b\n", b"body"),
        (b"From ana Mon Jan  1 00:00:00 2024\nA: b\n\nbody", b"A: b\n", b"body"),
        (b">From ana Mon Jan  1 00:00:00 2024\nA: b\n\nbody", b"A: b\n", b"body"),
        (b"A: b\nno field here\nA: c\n", b"A: b\n", b"no field here\nA: c\n"),
        (b"A: b", b"A: b", b""),
        (b"A: b\r\n", b"A: b\r\n", b""),
        (b"\r\nbody", b"", b"body"),
        (b"just words", b"", b"just words"),
        (b"", b"", b""),
        (b"A: b\n \n c\n\nbody", b"A: b\n \n c\n", b"body"),
    ],
)
def test_header_and_body_are_told_apart_in_real_letters(content, header, body):
    found, offset = split(content)
    assert (found, content[offset:]) == (header, body)


def test_values_come_unfolded_and_names_in_any_case():
    fields = Fields(LETTER)
    assert fields.first("subject") == "Beans  and\tpeas"
    assert fields.first("FROM") == "Ana <ana@far.example>"
    assert fields.all("received") == ["from a\tby b; Mon, 1 Jan 2024 00:00:00 +0000", "from c by d"]
    assert fields.first("x-raw") == "café ÿ"
    assert fields.first("none") is None
    assert fields.raw("subject") == b"SUBJECT:   Beans\r\n  and\r\n\tpeas  \r\n"
    assert [name for name, _ in fields] == ["Received", "Received", "From", "SUBJECT", "X-Raw"]
    assert b"".join(raw for _, raw in fields) == split(LETTER)[0]


def test_hops_are_counted():
    assert count_hops(Fields(LETTER)) == 2


def test_an_edit_leaves_every_other_byte_alone():
    editor = HeaderEditor.on(LETTER)
    assert editor.content() == LETTER
    editor.replace("Subject", "[garden] Beans")
    editor.append("List-Id", "<garden.lists.example>")
    editor.remove("x-none")
    expected = LETTER.replace(b"SUBJECT:   Beans\r\n  and\r\n\tpeas  \r\n", b"Subject: [garden] Beans\r\n").replace(
        b"\xff\r\n\r\n", b"\xff\r\nList-Id: <garden.lists.example>\r\n\r\n"
    )
    assert editor.content() == expected


def test_replace_keeps_one_field_where_the_first_stood_and_remove_takes_all():
    editor = HeaderEditor(b"A: 1\r\nB: 2\r\na: 3\r\nC: 4\r\n")
    editor.replace("A", "5")
    assert editor.to_bytes() == b"A: 5\r\nB: 2\r\nC: 4\r\n"
    editor.remove("a", "C")
    assert editor.to_bytes() == b"B: 2\r\n"


def test_an_editor_uses_the_line_ends_it_finds_and_closes_an_open_line():
    editor = HeaderEditor.on(b"A: 1\nB: 2")
    editor.append("C", "3")
    assert editor.content() == b"A: 1\nB: 2\nC: 3\n"


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@far.example", "a\nb", "a\rb", "a\0b"])
def test_a_value_that_would_end_its_line_is_refused(value):
    with pytest.raises(HeaderError):
        encode_field("Subject", value)
    with pytest.raises(HeaderError):
        encode_phrase(value)


@pytest.mark.parametrize("name", ["", "A B", "A:", "Sübject", "A\r\n", "x" * 100])
def test_a_name_that_is_no_field_name_is_refused(name):
    with pytest.raises(HeaderError):
        encode_field(name, "value")


@pytest.mark.parametrize(
    "text",
    [
        "Grüße aus dem Garten " * 20,
        "日本語" * 80,
        "plain words " * 30,
        "x" * 3_000,
        "ein wörtchen",
        "€ " * 100,
        "a" * 900 + " é",
    ],
)
def test_any_text_survives_its_field_in_short_lines(text):
    raw = encode_field("Subject", text)
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert decode_words(Fields(raw).first("subject") or "") == text.strip()


def test_lines_fold_at_78_columns():
    assert all(len(line) <= 78 for line in encode_field("Subject", "Beans and pêas " * 40).split(b"\r\n"))
    assert all(len(word) <= 75 for word in encode_words("Grüße " * 99))


def test_the_name_in_an_address_field_is_encoded_and_the_address_is_not():
    assert encode_field("To", "Élise <elise@far.example>") == b"To: =?utf-8?q?=C3=89lise?= <elise@far.example>\r\n"


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("Ana Lopez", "Ana Lopez"),
        ("Lopez, Ana", '"Lopez, Ana"'),
        ('A "x" B', '"A \\"x\\" B"'),
        ("Élise", "=?utf-8?q?=C3=89lise?="),
    ],
)
def test_a_display_name_is_made_safe(name, phrase):
    assert encode_phrase(name) == phrase


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?= x", "Grüße x"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        ("=?utf-8?b?w7w=?= =?utf-8?b?w5?=", "ü\ufffd"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("=?iso-8859-1*de?q?=FC?=", "ü"),
        ("=?x-nobody-knows?q?=FC?=", "ü"),
        ("=?utf-8?q?a b?=", "a b"),
        ("=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q?abc", "=?utf-8?q?abc"),
        ("=?utf-8?q?a=0D=0ABcc=3A_x?=", "a  Bcc: x"),
        ("=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?utf-7?q?+2AA-x?=", "\ufffdx"),
        ("=?rot13?q?abc?=", "abc"),
    ],
)
def test_encoded_words_are_read_as_mailers_write_them(value, text):
    assert decode_words(value) == text


def test_a_header_of_a_megabyte_and_of_ten_thousand_fields_is_read():
    fields = Fields(b"X: y\r\n" * 20_000 + b"\r\nbody")
    assert len(fields) == 10_000
    huge = b"A: " + b"x" * 2_000_000 + b"\r\nB: c\r\n\r\nbody"
    assert len(Fields(huge).first("a") or "") <= 1024 * 1024
    assert HeaderEditor.on(huge).content().endswith(huge[-1_000:])
