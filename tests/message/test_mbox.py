"""An mbox is read as a stream that can be resumed, and written so that the same bytes come back."""

import gzip
import io
import tracemalloc

import pytest

from posthouse.message import mbox

PIPERMAIL = (
    b"From ana at far.example  Thu Dec 11 05:57:05 2003\nFrom: ana at far.example (Ana)\nSubject: One\n\n"
    b"Body.\n\nFrom what I see, beans are ripe.\n\n>From here on\nFrom eve Thu Dec 11 05:57:05 2003\nnot a message\n"
    b"Url : http://far.example/x.bin\nFrom ben@far.example  Fri Dec 12 05:57:05 2003\n"
    b"From: ben@far.example\nSubject: Two\n\nBody 2.\n\n"
)


def read(content: bytes, start: int = 0) -> list[mbox.MboxMessage]:
    return list(mbox.messages(io.BytesIO(content), start))


def test_messages_begin_only_where_a_separator_stands():
    one, two = read(PIPERMAIL)
    assert one.content.startswith(b"From: ana at far.example") and one.content.endswith(b"x.bin\n")
    assert b"\nFrom here on\n" in one.content
    assert b"\nFrom what I see" in one.content
    assert b"\nFrom eve Thu" in one.content
    assert two.content == b"From: ben@far.example\nSubject: Two\n\nBody 2.\n"
    assert (one.offset, one.end, two.offset, two.end) == (0, two.offset, PIPERMAIL.index(b"From ben@"), len(PIPERMAIL))
    assert (one.envelope_line, one.received_at) == (
        "From ana at far.example  Thu Dec 11 05:57:05 2003",
        (1_071_122_225, 0),
    )


@pytest.mark.parametrize(
    "separator",
    [
        b"From ana@far.example Thu Dec 11 05:57:05 2003",
        b"From ana@far.example  Thu Dec  1 05:57:05 2003",
        b"From ana at far.example Thu Dec 11 05:57:05 CET 2003",
        b"From ana@far.example Thu Dec 11 05:57:05 2003 +0100",
        b"From MAILER-DAEMON Thu Dec 11 05:57 2003",
        b"From - Thu Dec 11 05:57:05 2003",
        b"From 1776@xxx Thu Dec 11 05:57:05 +0000 2003",
        b"From ana@far.example Thu, 11 Dec 2003 05:57:05 +0000",
        b"From  Thu Dec 11 05:57:05 2003",
    ],
)
def test_every_kind_of_separator_is_known(separator):
    content = (separator + b"\nSubject: x\n\ny\n\n") * 2
    assert [message.content for message in read(content)] == [b"Subject: x\n\ny\n"] * 2
    crlf = content.replace(b"\n", b"\r\n")
    assert [message.content for message in read(crlf)] == [b"Subject: x\r\n\r\ny\r\n"] * 2


def test_reading_goes_on_where_it_stopped():
    content = b"".join(b"From ana Thu Dec 11 05:57:05 2003\nSubject: %d\n\nx\n\n" % number for number in range(50))
    whole = read(content)
    for message in whole[:-1:7]:
        assert [later.content for later in read(content, message.end)] == [
            later.content for later in whole if later.offset >= message.end
        ]
    assert read(content, whole[-1].end) == []


def test_a_compressed_file_is_read_with_the_same_offsets():
    packed = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(PIPERMAIL)))
    assert list(mbox.messages(packed)) == read(PIPERMAIL)


def test_what_stands_before_the_first_separator_is_passed_over():
    assert len(read(b"\n\n" + PIPERMAIL)) == 2
    assert len(read(b"\xef\xbb\xbf" + PIPERMAIL)) == 2
    assert len(read(b"An export of the garden list\n\n" + PIPERMAIL)) == 2


@pytest.mark.parametrize("content", [b"no mbox at all\n", b"PK\x03\x04" * 100, b"From the garden\n\nwith love\n"])
def test_a_file_that_is_no_mbox_is_refused_in_words(content):
    with pytest.raises(mbox.MboxError, match="no mbox"):
        read(content)


def test_an_empty_file_has_no_messages():
    assert read(b"") == read(b"\n\n") == []


def test_a_message_beyond_the_bound_is_refused(monkeypatch):
    monkeypatch.setattr(mbox, "MAX_MESSAGE", 3_000_000)
    with pytest.raises(mbox.MboxError, match="longer than"):
        read(b"From ana Thu Dec 11 05:57:05 2003\n\n" + b"x\n" * 5_000_000)


LETTERS = [
    b"Subject: x\n\nbody\n",
    b"Subject: x\r\n\r\nbody\r\n",
    b"Subject: x\r\n\r\nmixed\n",
    b"Subject: x\n\nmixed\r\n",
    b"Subject: x\n\n\n\n\n",
    b"Subject: x\n\nFrom ana Thu Dec 11 05:57:05 2003\n>From\n>>From me\n>From me\n From me\n",
    b"From me\n",
    b">From me\nSubject: y\n\nz\n",
    b"\n",
    b"\r\n",
    b"Subject: \xff\0\xfe\n\n\x80\r\r\n",
]


def test_what_is_written_comes_back_byte_for_byte():
    out = io.BytesIO()
    for content in LETTERS:
        mbox.write_message(out, content, "ana@far.example", 1_071_122_225)
    assert [message.content for message in read(out.getvalue())] == LETTERS


def test_only_an_open_last_line_is_closed():
    out = io.BytesIO()
    mbox.write_message(out, b"Subject: x\r\n\r\nopen", "", 0)
    [message] = read(out.getvalue())
    assert message.content == b"Subject: x\r\n\r\nopen\r\n"
    assert message.envelope_line == "From MAILER-DAEMON Thu Jan  1 00:00:00 1970"


def test_separators_are_found_wherever_a_read_ends(monkeypatch):
    content = b"".join(b"From ana Thu Dec 11 05:57:05 2003\nSubject: %d\n\n%s\n\n" % (n, b"x" * n) for n in range(300))
    monkeypatch.setattr(mbox, "_READ_SIZE", 997)
    assert all(content[message.offset :].startswith(b"From ana Thu") for message in read(content))
    assert [message.end for message in read(content)][:-1] == [message.offset for message in read(content)][1:]
    assert [len(message.content) for message in read(content)] == [
        len(b"Subject: %d\n\n\n" % n) + n for n in range(300)
    ]


class Endless(io.RawIOBase):
    """64 MB of small messages that exist only while they are read."""

    def __init__(self) -> None:
        self.left = 64 * 1024 * 1024

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = b"From ana Thu Dec 11 05:57:05 2003\nSubject: x\n\n" + b"beans\n" * 1_000 + b"\n"
        count = min(size, self.left) // len(piece)
        self.left -= count * len(piece) or self.left
        return piece * count


def test_memory_stays_flat_over_a_large_file():
    tracemalloc.start()
    try:
        count = sum(1 for _ in mbox.messages(Endless()))
        assert count > 10_000
        assert tracemalloc.get_traced_memory()[1] < 10 * 1024 * 1024
    finally:
        tracemalloc.stop()
