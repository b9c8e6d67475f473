"""A list's edits change what they must and no byte more: the prefix once, the footer readable, signatures whole."""

import pytest

from posthouse.message import parsing
from posthouse.message.decoration import decorated
from posthouse.message.headers import Fields, HeaderEditor
from posthouse.message.rewrite import add_subject_prefix, addressed_to
from posthouse.message.words import decode_words

FOOTER = "_______\ngarden list\nhttps://lists.example/garden\n"
TAIL = "_______\ngarden list\nhttps://lists.example/garden\n"


def with_footer(content: bytes, footer: str) -> bytes:
    return decorated(content, "", footer)


def prefixed(raw: str, prefix: str = "[garden] ") -> str:
    editor = HeaderEditor(f"From: a@b\r\nSubject: {raw}\r\nX: y\r\n".encode() if raw else b"From: a@b\r\nX: y\r\n")
    add_subject_prefix(editor, prefix)
    return decode_words(Fields(editor.to_bytes()).first("subject") or "")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Beans", "[garden] Beans"),
        ("Re: Beans", "[garden] Re: Beans"),
        ("[garden] Beans", "[garden] Beans"),
        ("Re: [garden] Beans", "Re: [garden] Beans"),
        ("AW: Re: [GARDEN] Beans", "AW: Re: [GARDEN] Beans"),
        ("[garden] Re: [garden] Beans", "[garden] Re: Beans"),
        ("Re: [garden] Re: [garden] Re: Beans", "[garden] Re: Beans"),
        ("Beans [garden]", "[garden] Beans [garden]"),
        ("AW: SV: Re[2]: Beans", "[garden] Re: Beans"),
        ("回复：豆", "[garden] Re: 豆"),
        ("RES: ENC: Beans", "[garden] Re: ENC: Beans"),  # ENC: forwarded
        ("RE\u00a0: Réf. : Beans", "[garden] Re: Réf. : Beans"),
        ("Odg: Ats: Răsp: VÁLASZ: Відп: Отг: Beans", "[garden] Re: Beans"),
        ("رد: פול", "[garden] Re: פול"),
        ("תגובה: پاسخ: 답장: 返信： Beans", "[garden] Re: Beans"),
        ("=?utf-8?b?UkU6IA==?= =?utf-8?q?[garden]_Gr=C3=BC=C3=9Fe?=", "RE: [garden] Grüße"),
        ("=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "[garden] Grüße"),
        ("Re=3A Beans =?utf-8?q?broken", "[garden] Re=3A Beans =?utf-8?q?broken"),
        ("R: [garden] Beans", "R: [garden] Beans"),
        ("Ref: Beans", "[garden] Ref: Beans"),
        ("Re:", "[garden] Re: (no subject)"),
        ("", "[garden] (no subject)"),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[garden] Grüße"),
        ("=?utf-8?q?=5Bgarden=5D_Gr=C3=BC=C3=9Fe?=", "[garden] Grüße"),
        ("Grüße", "[garden] Grüße"),
    ],
)
def test_the_prefix_stands_there_once(subject, expected):
    assert prefixed(subject) == expected


def test_a_prefix_in_letters_of_its_own_keeps_its_distance():
    assert prefixed("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[Gärten] ") == "[Gärten] Grüße"
    assert prefixed("Beans", "[Gärten]") == "[Gärten] Beans"


@pytest.mark.parametrize(
    ("prefix", "subject", "expected"),
    [
        ("[garden %d]", "Beans", "[garden 12] Beans"),
        ("[garden %05d] ", "Beans", "[garden 00012] Beans"),
        ("[garden %d]", "Re: [garden 7] Beans", "[garden 12] Re: Beans"),
        ("[garden %d]", "[GARDEN 7] AW: [garden 8] Beans 100% [garden 7]", "[garden 12] Re: Beans 100% [garden 7]"),
        ("100% %s %q %", "Beans", "100% %s %q % Beans"),
        ("[Gärten %d]", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[Gärten 12] Grüße"),
        ("[x (%d]", "=?koi8-r?b?8NLJ18XU?=", "[x (12] Привет"),
        ("[x] ", "=?x-nobody?q?=FF?=", "[x] ÿ"),
    ],
)
def test_a_prefix_may_be_numbered_and_other_percents_are_themselves(prefix, subject, expected):
    editor = HeaderEditor(f"Subject: {subject}\r\n".encode())
    add_subject_prefix(editor, prefix, 12)
    assert decode_words(Fields(editor.to_bytes()).first("subject") or "") == expected


def test_encoded_words_behind_the_prefix_stay_as_their_author_wrote_them():
    editor = HeaderEditor(b"Subject: Re: =?koi8-r?b?8NLJ18XU?=\r\n")
    add_subject_prefix(editor, "[garden]")
    assert editor.to_bytes() == b"Subject: [garden] Re: =?koi8-r?b?8NLJ18XU?=\r\n"


def test_a_reply_that_has_the_prefix_keeps_its_bytes():
    header = b"Subject:  Re:  [garden]\r\n\tBeans\r\nX: y\r\n"
    editor = HeaderEditor(header)
    add_subject_prefix(editor, "[garden]")
    assert editor.to_bytes() == header


QP = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
ALTERNATIVE = (
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nRipe.\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>Ripe.</p>\r\n--b--\r\n"
)
HEAD = b"From: ana@far.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


@pytest.mark.parametrize(
    "entity",
    [
        b"\r\nRipe.\r\n",
        b"\r\nRipe.",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nRipe.\r\n",
        QP + b"Ri=\r\npe.=\r\n",
        QP + b"Ripe.",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nUmlwZS4NCg==\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nUmlwZS4\r\n",
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\nRipe.\r\n",
    ],
)
def test_a_text_is_continued_in_place(entity):
    changed = with_footer(HEAD + entity, FOOTER)
    reading = parsing.read(changed)
    assert reading.text.replace("\r", "") == "Ripe.\n" + TAIL
    assert reading.attachments == ()
    assert changed.startswith(HEAD + entity.split(b"\r\n\r\n")[0].removesuffix(b"Ripe.").rstrip(b"\r\n"))
    assert b"multipart" not in changed


def test_a_soft_line_does_not_draw_the_footer_in():
    changed = with_footer(HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\nRipe \r\n", FOOTER)
    assert parsing.read(changed).text.endswith("\n" + TAIL)


@pytest.mark.parametrize(
    ("entity", "footer"),
    [
        (b"Content-Type: text/plain; charset=x-nobody\r\n\r\nRipe.\r\n", "plain\n"),
        (b"Content-Type: text/html\r\n\r\n<p>Ripe.</p>\r\n", "plain\n"),
        (ALTERNATIVE, "plain\n"),
    ],
)
def test_what_cannot_hold_the_footer_is_wrapped_unchanged(entity, footer):
    changed = with_footer(HEAD + entity, footer)
    assert parsing.read(changed).text == "Ripe.\n\n" + footer
    assert entity in changed
    assert changed.startswith(HEAD)
    assert Fields(changed).first("content-type").startswith("multipart/mixed;")
    assert Fields(changed).count("content-type") == 1


LATIN = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
SIGNED_TEXT = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n%b\r\n"
    b"-----BEGIN PGP SIGNATURE-----\r\n\r\nx\r\n-----END PGP SIGNATURE-----\r\n"
)


@pytest.mark.parametrize(
    ("entity", "footer", "text"),
    [
        (b"\r\nRipe.\r\n", "Grüße\n", "Ripe.\n"),
        (b"Content-Type: text/plain; charset=us-ascii\r\n\r\nRipe.", "Grüße\n", "Ripe.\n"),
        (b"Content-Type: text/plain; charset=utf-8\r\n\r\nRipe.\r\n", "Grüße\n", "Ripe.\n"),
        (LATIN + b"M\xfcsli = gut\r\n", "Ваш сад, 日本\n", "Müsli = gut\n"),
        (QP.replace(b"utf-8", b"iso-8859-15") + b"M=FCsli\r\n", "Ваш сад\n", "Müsli\n"),
        (b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BF|K\\\x1b(B\r\n", "Grüße\n", "日本\n"),
        (LATIN + b"M\xfcsli \x80\r\n", "L\u2019ail\n", "Müsli €\n"),  # mailers say Latin-1 and mean more
        (LATIN.replace(b"8bit", b"base64") + b"TfxzbGk=\r\n", "日本\n", "Müsli\n"),
        (b"\r\n" + SIGNED_TEXT % b"Ripe.", "Grüße\n", ""),
    ],
)
def test_a_charset_that_cannot_hold_the_footer_gives_way_to_utf_8(entity, footer, text):
    changed = with_footer(HEAD + entity, footer)
    reading, fields = parsing.read(changed), Fields(changed)
    assert reading.text.replace("\r", "").endswith((text or "-----END PGP SIGNATURE-----\n") + footer)
    assert reading.attachments == () and b"multipart" not in changed and changed.isascii()
    assert "utf-8" in fields.first("content-type") and fields.count("content-type") == 1
    assert fields.count("content-transfer-encoding") == fields.count("mime-version") == 1
    assert changed.startswith(HEAD.partition(b"MIME")[0])


def test_a_text_that_is_signed_in_its_own_charset_keeps_its_octets():
    entity = LATIN + SIGNED_TEXT % b"M\xfcsli"
    changed = with_footer(HEAD + entity, "日本\n")
    assert entity in changed and parsing.read(changed).text.endswith("日本\n")
    assert SIGNED_TEXT % b"M\xfcsli" in with_footer(HEAD + entity, "Gr\xfc\xdfe\n")


@pytest.mark.parametrize(
    "kind",
    [
        b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="s"',
        b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
        b"application/x-pkcs7-mime; smime-type=signed-data",
    ],
)
def test_what_is_sealed_as_a_whole_stays_as_it_is(kind):
    content = HEAD + b"Content-Type: " + kind + b"\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n"
    assert decorated(content, "Above", "Below") == content


def test_the_mark_above_a_signature_keeps_its_blank_and_flowed_lines_are_stuffed():
    changed = with_footer(
        HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\nRipe\r\n", "-- \n> a \n From b\nFrom c"
    )
    assert changed.endswith(b"Ripe\r\n-- \r\n > a\r\n  From b\r\n From c\r\n")
    assert with_footer(HEAD + QP + b"Ripe\r\n", "-- \nx").endswith(b"Ripe\r\n--=20\r\nx\r\n")
    assert with_footer(HEAD + b"\r\nRipe\r\n", "> a\nFrom b").endswith(b"Ripe\r\n> a\r\nFrom b\r\n")
    wide = with_footer(HEAD + b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nRipe\r\n", " Grüße")
    assert "format=flowed; delsp=yes" in Fields(wide).first("content-type") and b"\r\n  Gr=C3=BC=C3=9Fe" in wide


def test_a_footer_with_a_very_long_line_is_encoded():
    changed = with_footer(HEAD + b"\r\nRipe.\r\n", "x" * 2000)
    assert parsing.read(changed).text == "Ripe.\n" + "x" * 2000 + "\n" and b"multipart" not in changed
    assert max(map(len, changed.split(b"\r\n"))) < 100


MIXED = (
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\npreamble\r\n--m\r\n\r\nRipe.\r\n'
    b"--m\r\nContent-Type: image/png\r\n\r\nx\r\n--m--"
)


@pytest.mark.parametrize("end", [b"\r\n", b"", b"\r\nepilogue --m--\r\n"])
def test_a_mixed_message_gets_one_more_part(end):
    changed = with_footer(HEAD + MIXED + end, FOOTER)
    reading = parsing.read(changed)
    assert reading.text == "Ripe.\n\n" + TAIL
    assert (len(reading.attachments), reading.oddities[-1:]) == (1, ("it has no Date",))
    assert changed.startswith(HEAD + MIXED[:-5])
    assert changed.endswith(b"\r\n--m--" + end)


def test_a_mixed_message_without_end_gets_one():
    changed = with_footer(HEAD + MIXED[:-7], FOOTER)
    assert parsing.read(changed).text == "Ripe.\n\n" + TAIL
    assert "a multipart has no end" not in parsing.read(changed).oddities


SIGNED = (
    b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="s"\r\n\r\n'
    b"--s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nRipe \xc3\xbc  \r\n\r\n--s\r\n"
    b"Content-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n"
)


def test_a_signed_message_is_wrapped_byte_for_byte():
    changed = with_footer(HEAD + SIGNED, FOOTER)
    assert SIGNED in changed
    assert parsing.read(changed).text.endswith(TAIL)


def test_a_signed_part_inside_a_mixed_message_stays_byte_for_byte():
    mixed = b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + SIGNED + b"\r\n--m--\r\n"
    assert SIGNED in with_footer(HEAD + mixed, FOOTER)


def test_line_ends_of_an_import_are_kept():
    for entity in (b"\r\nRipe.\r\n", MIXED + b"\r\n", SIGNED):
        assert b"\r" not in with_footer((HEAD + entity).replace(b"\r\n", b"\n"), FOOTER)
        assert with_footer(HEAD + entity, FOOTER).count(b"\n") == with_footer(HEAD + entity, FOOTER).count(b"\r\n")


@pytest.mark.parametrize(
    "entity",
    [
        b"\r\nRipe.\r\n",
        QP + b"Ri=\r\npe.=\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nUmlwZS4NCg==\r\n",
        b"Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n\r\nRipe.",
    ],
)
def test_a_header_stands_above_a_text_and_the_footer_below(entity):
    changed = decorated(HEAD + entity, "Of the garden:\n", "Bye\n")
    assert parsing.read(changed).text.replace("\r", "") == "Of the garden:\nRipe.\nBye\n"
    assert b"multipart" not in changed


@pytest.mark.parametrize(
    "entity", [SIGNED, ALTERNATIVE, MIXED + b"\r\n", b"Content-Type: text/html\r\n\r\n<p>Ripe.</p>\r\n"]
)
def test_above_all_else_a_header_is_a_part_of_its_own(entity):
    changed = decorated(HEAD + entity, "Grüße:", "Bye")
    text = parsing.read(changed).text
    assert text.startswith("Grüße:\n\nRipe") and text.endswith("\n\nBye\n")
    assert len(parsing.read(changed).attachments) == len(parsing.read(HEAD + entity).attachments)
    if entity != MIXED + b"\r\n":
        assert entity in changed


def test_an_empty_footer_changes_nothing():
    assert with_footer(HEAD + b"\r\nRipe.", " \n") == HEAD + b"\r\nRipe."


def test_the_addresses_in_to_and_cc_are_known_by_key():
    fields = Fields(b"To: Ana <ANA@Far.example>, broken@, x\r\nCc: ben at far.example\r\nBcc: eve@far.example\r\n\r\n")
    assert addressed_to(fields) == {"ana@far.example", "ben@far.example"}
