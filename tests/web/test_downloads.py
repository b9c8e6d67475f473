"""Archives and conversations as files: who gets them, the bytes that came, and addresses hidden from strangers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from posthouse.archive.obscuring import obscured
from posthouse.lists import creation
from posthouse.message import mbox
from tests.people import BEN, GARDEN
from tests.web.neighbourhood import BOARD, Neighbourhood

MBOX = f"/archives/{GARDEN}/mbox"
TEXT = f"Ask {BEN} or me@localhost, see https://far.example/@ben\r\n--x@y.example\r\n"


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
    assert head.status_code == 200 and octets(head) == b"" and "Content-Length" not in head.headers
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
