"""Archives and conversations as files: who gets them, the bytes that came, and addresses hidden from strangers."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import pytest

from posthouse.archive import exporting
from posthouse.archive.obscuring import obscured
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.database import Unavailable
from posthouse.lists import creation
from posthouse.message import mbox
from posthouse.web import downloads, turns
from tests.people import BEN, GARDEN
from tests.web.neighbourhood import BOARD, Neighbourhood

MBOX = f"/archives/{GARDEN}/mbox"
TEXT = f"Ask {BEN} or me@localhost, see https://far.example/@ben\r\n--x@y.example\r\n"


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody downloads when a test begins."""
    monkeypatch.setattr(downloads, "turns", turns.Turns())


def octets(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def messages(answer: Any) -> list[bytes]:
    return [one.content for one in mbox.messages(io.BytesIO(octets(answer)))]


@pytest.mark.parametrize(
    ("whom", "allowed"),
    [("readers", ("stranger", "eve", "ana", "owen", "root")), ("members", ("ana", "owen", "root")),
     ("nobody", ("owen", "root"))],
)  # fmt: skip
def test_whole_archives_are_downloaded_by_whom_the_list_lets(site: Neighbourhood, whom: str, allowed: Any) -> None:
    for number in range(3):
        site.letter(number)
    creation.set_settings(GARDEN, {"archive_download": whom})
    for who in ("stranger", "eve", "ana", "owen", "root"):
        answer = site.as_(who).get(MBOX)
        assert answer.status_code == (200 if who in allowed else 302 if who == "stranger" else 403), who
        if who in allowed:
            assert len(messages(answer)) == 3
            assert answer.headers["Content-Disposition"] == 'attachment; filename="garden.mbox"'


def test_a_private_archive_is_downloaded_by_its_readers_alone(quick_site: Neighbourhood) -> None:
    quick_site.letter(1, archive=BOARD)
    statuses = {
        who: quick_site.as_(who).get(f"/archives/{BOARD}/mbox").status_code for who in ("stranger", "eve", "ana")
    }
    assert statuses == {"stranger": 404, "eve": 404, "ana": 200}


def test_strangers_download_addresses_for_people_and_members_the_bytes_that_came(site: Neighbourhood) -> None:
    key = site.letter(1, TEXT, answers=7)
    for path in (MBOX, f"/archives/{GARDEN}/thread/{key}/mbox"):
        [seen] = messages(site.as_("stranger").get(path))
        assert b"ben at far.example" in seen and BEN.encode() not in seen and b"ana at far.example" in seen
        assert b"Message-ID: <1@far.example>" in seen and b"In-Reply-To: <7@far.example>" in seen
        assert b"me@localhost" in seen and b"https://far.example/@ben" in seen and b"\r\n--x@y.example\r\n" in seen
        [whole] = messages(site.as_("ana").get(path))
        assert BEN.encode() in whole and b"<ana@far.example>" in whole
    creation.set_settings(GARDEN, {"obscure_addresses": "no"})
    assert BEN.encode() in octets(site.as_("stranger").get(MBOX))


def test_a_download_that_is_known_already_is_not_made_again(quick_site: Neighbourhood) -> None:
    quick_site.letter(1)
    client = quick_site.as_("stranger")
    answer = client.get(MBOX)
    assert client.get(MBOX, headers={"if-none-match": answer.headers["ETag"]}).status_code == 304
    head = client.head(MBOX)
    assert head.status_code == 200 and octets(head) == b""
    assert head.headers["Content-Length"] == str(len(octets(answer)))  # RFC 9110 §9.3.2: as of GET, where it is known
    quick_site.letter(2)
    assert client.get(MBOX, headers={"if-none-match": answer.headers["ETag"]}).status_code == 200


def test_search_results_hide_addresses_like_the_pages_they_lead_to(site: Neighbourhood) -> None:
    site.letter(1, TEXT)
    site.letter(2, TEXT, archive=BOARD)
    for path in ("/search?q=ask", f"/archives/{GARDEN}/search?q=ask"):
        page = site.as_("stranger").get(path).content.decode()
        assert "ben at far.example" in page and BEN not in page
    assert BEN in site.as_("ana").get(f"/archives/{BOARD}/search?q=ask").content.decode()
    creation.set_settings(GARDEN, {"obscure_addresses": "no"})
    assert BEN in site.as_("stranger").get("/search?q=ask").content.decode()


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (b"From: a@b.example\n\nc@d.example", b"From: a at b.example\n\nc at d.example"),
        (b"References: <a@b.example>\r\n <c@d.example>\r\nTo: e@f.example,\r\n g@h.example\r\n\r\n",
         b"References: <a@b.example>\r\n <c@d.example>\r\nTo: e at f.example,\r\n g at h.example\r\n\r\n"),
        (b"Subject: x\n\nContent-ID: <a@b.example>\n--b@c.example--\n", None),
        (b"Subject: x\n\n" + b"a@" * 50_000, None),
        (b"\xff@\xfe.example", None),
        (b"", None),
    ],
)  # fmt: skip
def test_addresses_are_obscured_in_any_bytes(message: bytes, wanted: bytes | None) -> None:
    assert obscured(message) == (message if wanted is None else wanted)


LONG = "Ripe at last, says me@far.example.\r\nFrom here on\r\n" * 7_000  # about 340 kB: a piece of its own


def test_a_large_archive_is_sent_while_it_is_made(site: Neighbourhood) -> None:
    for number in range(4):
        site.letter(number, LONG)
    client = site.as_("ana")
    answer = client.get(MBOX)
    assert answer.streaming and "Content-Length" not in answer.headers
    pieces = list(answer.streaming_content)
    assert len(pieces) >= 4 and max(map(len, pieces)) < 2 * exporting.PIECE
    kept = [site.letter(number, LONG) for number in range(4)]
    raw = [client.get(f"/archives/{GARDEN}/message/{key}/raw") for key in kept]
    assert [one.content for one in mbox.messages(io.BytesIO(b"".join(pieces)))] == [octets(one) for one in raw]
    head = client.head(MBOX)
    assert (head.status_code, octets(head)) == (200, b"") and "Content-Length" not in head.headers


def test_a_large_archive_is_packed_while_it_is_made_for_those_who_take_it(quick_site: Neighbourhood) -> None:
    for number in range(3):
        quick_site.letter(number, LONG)
    plain = quick_site.as_("ana").get(MBOX)
    packed = quick_site.as_("ana").get(MBOX, headers={"accept-encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in packed.headers["Vary"]
    assert packed.headers["ETag"] != plain.headers["ETag"]
    first, *rest = list(packed.streaming_content)
    assert b"From ana@far.example" in zlib.decompressobj(31).decompress(
        first
    )  # it can be read before the rest is there
    assert gzip.decompress(b"".join([first, *rest])) == octets(plain)
    etag = packed.headers["ETag"]
    assert quick_site.as_("ana").get(MBOX, headers={"if-none-match": etag}).status_code == 304


def test_so_many_downloads_run_at_once_and_the_next_is_told_when_to_come_again(quick_site: Neighbourhood) -> None:
    for number in range(3):
        quick_site.letter(number, LONG)
    running = [quick_site.as_("ana", REMOTE_ADDR=f"192.0.{number // 2}.7").get(MBOX) for number in range(4)]
    assert [answer.status_code for answer in running] == [200] * 4
    own = quick_site.as_("ana", REMOTE_ADDR="192.0.0.9").get(MBOX)
    assert (own.status_code, own.headers["Retry-After"]) == (429, "60")
    other = quick_site.as_("ana", REMOTE_ADDR="192.0.7.7").get(MBOX, headers={"accept-language": "fr"})
    assert (other.status_code, other.headers["Retry-After"]) == (503, "60")
    assert "téléchargements" in other.content.decode() and other.headers["Cache-Control"] == "no-store"
    running[0].close()  # its client is gone
    octets(running[1])  # it has ended
    assert quick_site.as_("ana", REMOTE_ADDR="192.0.7.7").get(MBOX).status_code == 200
    small = quick_site.letter(9)
    thread = quick_site.as_("ana", REMOTE_ADDR="192.0.7.7").get(f"/archives/{GARDEN}/thread/{small}/mbox")
    assert thread.status_code == 200 and thread.headers["Content-Length"]


def test_a_download_that_the_database_cuts_off_does_not_look_complete(
    quick_site: Neighbourhood, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        quick_site.letter(number, LONG)
    monkeypatch.setattr(exporting, "_OCTETS", 400_000)  # one message is read at a time
    answer = quick_site.as_("ana").get(MBOX)
    monkeypatch.setattr(exporting.keeping, "read_many", gone)
    with pytest.raises(Unavailable):
        octets(answer)
    assert "a download was cut off: it is gone" in caplog.text
    assert not downloads.turns._running


def gone(*arguments: Any) -> Any:
    raise Unavailable("it is gone")


@pytest.mark.parametrize("hidden", [False, True])
def test_a_message_larger_than_memory_should_hold_is_read_in_pieces(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hidden: bool
) -> None:
    monkeypatch.setattr(exporting, "_OCTETS", 5_000)
    whole = b"From: ana@far.example\nSubject: x\n\n" + b"".join(
        b"From me@far.example %d\n%s\n" % (number, b"y" * (number % 700)) for number in range(200)
    ) + b"z" * 20_000 + b"\nFrom the end"  # fmt: skip
    path = tmp_path / "large"
    path.write_bytes(whole)
    body = keeping.Body(len(whole), None, path)
    pieces = list(exporting._octets(body, hidden))
    assert len(pieces) >= 10 and max(map(len, pieces)) <= 10_000
    assert b"".join(pieces) == (obscured(whole) if hidden else whole)
    out = io.BytesIO()
    mbox.write_message(out, whole, "ana", 0)
    assert b"".join(mbox.written(exporting._octets(body, False), "ana", 0)) == out.getvalue()
    [back] = mbox.messages(io.BytesIO(out.getvalue()))
    assert back.content == whole + b"\n"
