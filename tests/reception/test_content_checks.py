"""What the content shows without a scanner: found wherever it hides, and nothing else is."""

from __future__ import annotations

import base64
import dataclasses
import io
import random
import zipfile
from pathlib import Path

import pytest

from posthouse.configuration import Policy
from posthouse.content.spool import Spool, Spooled, spooled_from
from posthouse.reception.content_checks import BLOCK, findings
from posthouse.reception.content_checks.looking import EICAR, GTUBE, Base64, QuotedPrintable
from posthouse.reception.content_checks.names import Endings
from posthouse.reception.content_checks.walking import Walker
from posthouse.reception.trace import header_of

HEADER = b"From: Ana <ana@far.example>\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@far.example>\r\n"


def found(content: bytes, **more: bool) -> list[tuple[str, str]]:
    return list(findings(header_of(content), spooled_from(content), Policy(), **more))


def checks(content: bytes) -> set[str]:
    return {check for check, _ in found(content)}


def with_parts(*parts: bytes, boundary: str = "b1") -> bytes:
    mark = boundary.encode()
    body = b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts)
    kind = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + mark + b'"\r\n\r\n'
    return HEADER + kind + b"preamble\r\n" + body + b"--" + mark + b"--\r\nepilogue\r\n"


def attached(name: str, octets: bytes, kind: str = "application/octet-stream") -> bytes:
    head = f'Content-Type: {kind}\r\nContent-Disposition: attachment; filename="{name}"\r\n'
    return (
        head.encode()
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(octets).replace(b"\n", b"\r\n")
    )


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 1000)
    return made.getvalue()


TEXT = b"Content-Type: text/plain\r\n\r\nHello.\r\n"


def test_an_ordinary_message_and_one_with_an_empty_body_have_nothing_wrong():
    assert found(HEADER + b"\r\nHello.\r\n") == []
    assert found(HEADER + b"Subject: unsubscribe\r\n\r\n") == []
    assert found(HEADER) == []
    assert found(with_parts(TEXT, attached("plan.pdf", b"%PDF-1.4" * 1000), attached("a.zip", zipped("a.txt")))) == []


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (b"Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n", "it has no From"),
        (HEADER + b"From: <ben@far.example>\r\n", "it has 2 From fields"),
        (HEADER.replace(b"Ana <ana@far.example>", b"nobody"), "its From holds no address"),
        (HEADER.replace(b"Ana <ana@far.example>", b"a@far.example, b@far.example"), "several authors and no Sender"),
        (b"From: ana@far.example\r\n", "it has no Date"),
        (HEADER.replace(b"Fri, 20 Nov 2026 10:00:00 +0000", b"yesterday"), "its Date cannot be read"),
        (HEADER + b"Subject: a\r\nSubject: b\r\n", "it has 2 Subject fields"),
        (HEADER + b"Message-ID: <2@far.example>\r\n", "it has 2 Message-ID fields"),
        (HEADER + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n", "it has 2 Content-Type fields"),
        (HEADER + b"To: a@x.example\r\nTo: b@x.example\r\n", "it has 2 To fields"),
        (HEADER + "Subject: Äpfel\r\n".encode(), "octets beyond ASCII"),
        (HEADER + b"this is no field\r\n", "a line of the header is no field: 'this is no field'"),
    ],
)
def test_a_header_that_rfc_5322_does_not_allow_is_named(header, fault):
    reasons = [reason for check, reason in found(header + b"\r\nHello.\r\n") if check == "header"]
    assert any(fault in reason for reason in reasons), reasons


def test_a_header_beyond_ascii_is_lawful_with_smtputf8():
    assert found(HEADER + "Subject: Äpfel\r\n\r\n".encode(), utf8=True) == []


@pytest.mark.parametrize(
    "name",
    [
        "a.exe",
        "invoice.pdf.EXE",
        "a.exe. ",
        "a.e\u200bxe",
        "C:\\x\\a.scr",
        "a.exe:zone",
        "a.\tjs",
        "..exe",
        ".exe",
        "a.exe/",
    ],
)
def test_an_ending_that_starts_a_program_is_seen_through_disguises(name):
    assert Endings(["exe", "scr", ".js"]).bad(name)


@pytest.mark.parametrize("name", ["a.txt", "exe", "a.exe.txt", "", "a.js1", "."])
def test_other_endings_are_let_be(name):
    assert not Endings(["exe", "scr", "js"]).bad(name)


@pytest.mark.parametrize(
    "part",
    [
        attached("a.exe", b"MZ"),
        b'Content-Type: application/x; name="a.exe"\r\n\r\nMZ',
        b'Content-Type: application/x; name="a.exe"\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nMZ',
        b"Content-Disposition: attachment; filename*0=a.e; filename*1=xe\r\n\r\nMZ",
        b"Content-Disposition: attachment; filename*=utf-8''a%2Eexe\r\n\r\nMZ",
        b'Content-Disposition: attachment;\r\n\tfilename="=?utf-8?Q?a=2Eexe?="\r\n\r\nMZ',
        b"Content-Disposition: attachment; filename=a.exe\r\n--b1",  # no empty line: the next delimiter ends the header
        b"Content-Type: text/plain\r\n\r\nSee:\r\nbegin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n",
    ],
)
def test_an_attachment_of_a_bad_type_is_found_however_its_name_is_written(part):
    assert "attachment" in checks(with_parts(TEXT, part))
    assert "attachment" in checks(HEADER + part.replace(b"--b1", b"\r\n"))  # and as the only part


def test_a_delimiter_that_looks_like_a_field_ends_a_header_that_has_no_empty_line():
    hidden = b"Content-Disposition: inline; filename=a.txt\r\n--a:b\r\n" + attached("a.exe", b"MZ")
    assert "attachment" in checks(with_parts(hidden, boundary="a:b"))


def test_a_test_string_that_lies_across_two_blocks_is_found():
    before = len(HEADER) + 2
    for inside in (1, 30, 67):
        assert checks(HEADER + b"\r\n" + b"x" * (BLOCK - before - inside) + GTUBE + b"y" * 1000) == {"spam"}


def test_names_inside_archives_count_also_in_archives_in_archives_and_whatever_the_archive_is_called():
    assert found(with_parts(TEXT, attached("a.zip", zipped("readme.txt", "setup.exe")))) == [
        ("attachment", "an archive lists setup.exe")
    ]
    nested = zipped("a.txt") + zipped("b.scr")  # something before the archive
    assert "attachment" in checks(with_parts(attached("photo.jpg", nested)))
    assert "attachment" in checks(with_parts(attached("x.zip", b"junk" + zipped("b.scr"))))
    assert found(with_parts(attached("document.docx", zipped("word/document.xml")))) == []


def test_an_archive_of_a_million_names_is_read_in_bounded_time_and_memory():
    entry = b"PK\x01\x02" + bytes(24) + (5).to_bytes(2, "little") + bytes(16) + b"a.txt"
    content = with_parts(attached("a.zip", b"PK\x03\x04" + entry * 100_000))
    assert found(content) == []


def test_a_part_in_a_message_in_a_message_is_found_even_where_that_is_encoded():
    inner = with_parts(TEXT, attached("a.exe", b"MZ"), boundary="inner")
    assert "attachment" in checks(with_parts(b"Content-Type: message/rfc822\r\n\r\n" + inner))
    coded = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(inner)
    assert "attachment" in checks(with_parts(coded.replace(b"\n", b"\r\n")))


@pytest.mark.parametrize("check, octets", [("spam", GTUBE), ("virus", EICAR)])
def test_the_test_strings_are_found_plain_in_base64_and_in_quoted_printable(check, octets):
    coded = b"".join(b"=%02X" % octet for octet in octets)
    soft = b"=\r\n".join(coded[start : start + 60] for start in range(0, len(coded), 60))
    base = base64.encodebytes(octets + b"\r\n").replace(b"\n", b"\r\n")
    qp = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n" + soft + b"\r\n"
    b64 = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base
    assert checks(HEADER + b"\r\n" + octets + b"\r\n") == {check}
    for part in (b"\r\n" + octets + b"\r\n", qp, b64):
        assert checks(with_parts(TEXT, part)) == {check}
        assert checks(HEADER + part) == {check}
    if check == "virus":
        assert checks(with_parts(TEXT, attached("test.dat", octets))) == {"virus"}
        assert checks(HEADER + b"\r\nThe string is " + octets + b"\r\n") == set()  # it is a file that begins so
    else:
        assert checks(HEADER + b"\r\n" + b"x" * 300_000 + b"\r\n" + octets) == {"spam"}


def test_what_is_found_does_not_depend_on_how_the_message_is_cut():
    chance = random.Random(4)
    archive = zipped(*[f"{n}.txt" for n in range(40)], "b.exe")
    content = with_parts(
        TEXT, b"\r\n" + GTUBE, attached("a.dat", EICAR), attached("z.zip", archive),
        b"Content-Type: message/rfc822\r\n\r\n" + with_parts(attached("c.vbs", b"x"), boundary="b1b"),
    )  # fmt: skip
    whole = found(content)
    assert {check for check, _ in whole} == {"spam", "virus", "attachment"} and len(whole) == 4
    for _ in range(60):
        walker = Walker(Endings(Policy().bad_attachments))
        position = 0
        while position < len(content):
            size = chance.choice([1, 2, 3, 7, 50, 900])
            walker.feed(content[position : position + size])
            position += size
        walker.close()
        assert walker.found == whole


def test_decoders_in_pieces_say_what_they_say_of_the_whole():
    chance = random.Random(7)
    octets = chance.randbytes(5000)
    coded = base64.encodebytes(octets)
    decode, out, position = Base64(), b"", 0
    while position < len(coded):
        size = chance.randint(1, 90)
        out += decode(coded[position : position + size], False)
        position += size
    assert out + decode(b"", True) == octets
    assert Base64()(b"YQ", True) == b"a"
    assert QuotedPrintable()(b"a=3", False) + QuotedPrintable()(b"a=3D=\r\nb", True) == b"a=b"


def test_hostile_structures_end_soon_and_are_named():
    deep = b"".join(b'--b%d\r\nContent-Type: multipart/mixed; boundary="b%d"\r\n\r\n' % (n, n + 1) for n in range(3000))
    kind = b'Content-Type: multipart/mixed; boundary="b0"\r\n\r\n'
    many = ("header", "it has more than 1000 parts")
    assert ("header", "its parts are nested more than 100 deep") in found(HEADER + kind + deep)
    assert many in found(HEADER + kind + b"--b0\r\n" * 200_000)
    assert many in found(HEADER + b"Content-Type: message/rfc822\r\n\r\n" * 5000)
    assert found(HEADER + kind + b"\r\n--" * 300_000) == []
    assert checks(HEADER + kind + b"--b0\r\n\r\nx\r\n" * 2000 + GTUBE) == {"header", "spam"}


def test_a_large_file_is_read_in_blocks(tmp_path: Path):
    spool = Spool(tmp_path, 1000)
    for block in (with_parts(TEXT)[:-20], b"\r\n--b1\r\n", b"Content-Type: text/plain\r\n\r\n", b"x" * 700_000, GTUBE):
        spool.write(block)
    spooled: Spooled = spool.finish()
    assert spooled.octets is None
    assert [check for check, _ in findings(header_of(spooled.head(500)), spooled, Policy())] == ["spam"]


def test_nobody_is_looked_for_where_no_ending_is_bad():
    policy = dataclasses.replace(Policy(), bad_attachments=[])
    content = with_parts(attached("a.exe", b"MZ"))
    assert findings(header_of(content), spooled_from(content), policy) == ()
