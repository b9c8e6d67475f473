"""Reading an archive: its pages, and that whatever a message holds, it stays text."""

from __future__ import annotations

import hashlib
import mailbox
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from posthouse.archive import deleting
from posthouse.lists import creation
from tests.people import DOMAIN, GARDEN
from tests.web.neighbourhood import Neighbourhood

ATOM = "{http://www.w3.org/2005/Atom}"


def page(site: Neighbourhood, tail: str = "", status: int = 200) -> str:
    answer = site.as_("stranger").get(f"/archives/{GARDEN}/{tail}")
    assert answer.status_code == status, answer.status_code
    return answer.content.decode()


def conversation(site: Neighbourhood) -> None:
    """Six letters: 2 and 3 answer 1, 4 answers 2, 5 answers a letter that is not here, which answers 1."""
    site.letter(1)
    site.letter(
        2, answers=1, author="Ben <ben@far.example>", text="> Ripe at last.\r\n\r\nLucky you!\r\n-- \r\nBen\r\n"
    )
    site.letter(
        3,
        answers=1,
        author="Cleo <cleo@near.example>",
        text="See https://far.example/a?b=1&c=2, not ftp://far.example/x.\r\n",
    )
    site.letter(4, answers=2)
    raw = (
        b"From: Dan <dan@far.example>\r\nTo: all\r\nSubject: Re: Tomatoes\r\nDate: Thu, 28 May 2026 23:30:00 +0200\r\n"
        b"Message-ID: <5@far.example>\r\nReferences: <1@far.example> <lost@far.example>\r\n\r\nMine rot.\r\n"
    )
    site.letter(5, raw=raw)


def test_a_conversation_reads_as_a_tree_and_by_date(site: Neighbourhood) -> None:
    conversation(site)
    tree = page(site, f"thread/{site.key(1)}/")
    order = re.findall(r'<article class="post[^"]*" id="([A-Z2-7]{32})"', tree)
    assert [key for key in order if key in map(site.key, range(1, 6))] == [site.key(n) for n in (1, 2, 4, 3, 5)]
    assert "A message that is not in this archive" in tree
    assert "in reply to" in tree
    assert "2026-05-28 22:36 +0200" in tree  # in the author's own zone
    flat = page(site, f"thread/{site.key(1)}/?sort=date")
    assert re.findall(r'<article class="post[^"]*" id="([A-Z2-7]{32})"', flat) == [site.key(n) for n in range(1, 6)]


def test_a_conversation_is_found_by_any_of_its_messages(quick_site: Neighbourhood) -> None:
    conversation(quick_site)
    answer = quick_site.as_("stranger").get(f"/archives/{GARDEN}/thread/{quick_site.key(4)}/")
    assert (answer.status_code, answer.headers["Location"]) == (
        301,
        f"/archives/{GARDEN}/thread/{quick_site.key(1)}/#{quick_site.key(4)}",
    )


def test_quotes_signatures_and_links_are_told_apart(quick_site: Neighbourhood) -> None:
    conversation(quick_site)
    shown = page(quick_site, f"thread/{quick_site.key(1)}/")
    assert "<blockquote>Ripe at last.</blockquote>" in shown
    assert 'class="sig"' in shown
    assert '<a href="https://far.example/a?b=1&amp;c=2" rel="nofollow noopener ugc">' in shown
    assert "ftp://far.example/x" in shown and 'href="ftp' not in shown


def test_one_message_has_a_page_with_its_neighbours(site: Neighbourhood) -> None:
    conversation(site)
    shown = page(site, f"message/{site.key(2)}/")
    assert "Ben" in shown and "ben at far.example" in shown
    assert f"/archives/{GARDEN}/message/{site.key(1)}/" in shown
    assert f"/archives/{GARDEN}/message/{site.key(3)}/" in shown
    assert f"/archives/{GARDEN}/thread/{site.key(1)}/#{site.key(2)}" in shown
    assert "mailto:garden@lists.example?Subject=Re%3A%20Tomatoes&amp;In-Reply-To=%3C2%40far.example%3E" in shown


def test_the_archive_shows_months_and_the_newest_conversations(site: Neighbourhood) -> None:
    conversation(site)
    front = page(site)
    assert f"/archives/{GARDEN}/thread/{site.key(1)}/" in front
    assert f"/archives/{GARDEN}/2026/05/" in front
    month = page(site, "2026/05/")
    assert f"/archives/{GARDEN}/thread/{site.key(1)}/" in month
    assert "5 messages" in month
    assert "2026-05" in month
    page(site, "2026/13/", 404)


def test_raw_gives_back_exactly_what_came(site: Neighbourhood) -> None:
    octets = b"From: a@b.example\nSubject: x\r\nMessage-ID: <9@far.example>\n\n\xff\xfe bare LF, 8 bit \x00 NUL\r\r\n"
    key = site.letter(9, raw=octets)
    answer = site.as_("stranger").get(f"/archives/{GARDEN}/message/{key}/raw")
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(octets).digest()
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


HOSTILE = (
    b"From: \"<script>alert('f')</script>\" <eve@elsewhere.example>\r\nTo: all\r\n"
    b"Subject: <img src=x onerror=alert(1)> =?utf-8?q?=0D=0ASet-Cookie:_a=3Db?=\r\n"
    b"Date: Thu, 28 May 2026 20:26:40 +0000\r\nMessage-ID: <66@far.example>\r\nMIME-Version: 1.0\r\n"
    b"X-Evil: <script>alert(2)</script>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n"
    b"<script>alert(3)</script><p onclick=alert(4)>Hello <img src=http://evil.example/pixel.png>"
    b'<a href="javascript:alert(5)">click</a> <a href="data:text/html,x">d</a> <iframe src=//evil.example></iframe>\r\n'
    b"--b\r\nContent-Type: text/html; name=evil.html\r\n"
    b'Content-Disposition: attachment; filename="..\\\\../e\\"v\r\n il;\x01<b>.html"\r\n\r\n'
    b"<script>alert(6)</script>\r\n"
    b"--b\r\nContent-Type: image/svg+xml\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%0D%0ASet-Cookie%3A%20x.svg"
    b"\r\n\r\n<svg onload=alert(7)>\r\n--b--\r\n"
)


class Tags(HTMLParser):
    """What a browser would see of a page: its elements, their attributes, where they lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action") and value:
                self.targets.add(value)


def test_nothing_in_a_hostile_message_runs_or_loads(quick_site: Neighbourhood) -> None:
    key = quick_site.letter(66, raw=HOSTILE)
    client = quick_site.as_("stranger")
    for tail in (f"thread/{key}/", f"message/{key}/", f"message/{key}/headers", "", "2026/05/", "search?q=hello",
                 "search?q=%3Cscript%3Ealert(8)%3C/script%3E"):  # fmt: skip
        answer = client.get(f"/archives/{GARDEN}/{tail}")
        shown = answer.content.decode()
        assert answer.status_code == 200, tail
        tags = Tags(shown)
        assert not tags.names & {"script", "img", "iframe", "object", "embed"}, tail
        assert not [name for name in tags.attributes if name.startswith("on") or name == "style"], tail
        assert all(re.match(r"(?:/|#|\?|mailto:|https?://(?!evil))", target) for target in tags.targets), tail
        assert "Set-Cookie" not in answer.headers
    for tail in (f"thread/{key}/feed.atom", "feed.atom"):
        ElementTree.fromstring(client.get(f"/archives/{GARDEN}/{tail}").content)


def test_attachments_are_only_ever_downloaded(quick_site: Neighbourhood) -> None:
    key = quick_site.letter(66, raw=HOSTILE)
    client = quick_site.as_("stranger")
    paths = re.findall(r'href="(/archives/[^"]+/attachment/[^"]+)"', page(quick_site, f"message/{key}/"))
    assert len(paths) >= 2
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert not re.search(r"[\r\n\x00-\x1f]", answer.headers["Content-Disposition"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert not answer.headers["Content-Type"].startswith(
            ("text/html", "image/svg", "application/xhtml", "text/xml")
        )
    assert client.get(f"/archives/{GARDEN}/message/{key}/attachment/99/x").status_code == 404


def test_feeds_hold_the_newest_messages(site: Neighbourhood) -> None:
    conversation(site)
    client = site.as_("stranger")
    for tail in ("feed.atom", f"thread/{site.key(1)}/feed.atom"):
        answer = client.get(f"/archives/{GARDEN}/{tail}")
        assert answer.headers["Content-Type"].startswith("application/atom+xml")
        feed = ElementTree.fromstring(answer.content)
        entries = feed.findall(f"{ATOM}entry")
        assert len(entries) == 5
        link = entries[0].find(f"{ATOM}link")
        assert link is not None
        assert link.get("href") == f"http://localhost:8000/archives/{GARDEN}/message/{site.key(5)}/"
        assert entries[0].findtext(f"{ATOM}updated") == "2026-05-28T21:30:00Z"
        again = client.get(f"/archives/{GARDEN}/{tail}", headers={"if-none-match": answer.headers["ETag"]})
        assert again.status_code == 304


def test_the_mbox_of_a_thread_holds_its_messages(site: Neighbourhood, tmp_path: Path) -> None:
    conversation(site)
    site.letter(7, subject="Something else")
    answer = site.as_("stranger").get(f"/archives/{GARDEN}/thread/{site.key(1)}/mbox")
    octets = b"".join(answer) if answer.streaming else answer.content
    assert "attachment" in answer.headers["Content-Disposition"]
    (tmp_path / "thread.mbox").write_bytes(octets)
    ids = {found["Message-ID"] for found in mailbox.mbox(tmp_path / "thread.mbox")}
    assert ids == {f"<{number}@far.example>" for number in range(1, 6)}


@pytest.mark.parametrize("sort", ["", "&sort=rank"])
def test_search_finds_marks_and_leads_to_the_message(site: Neighbourhood, sort: str) -> None:
    conversation(site)
    shown = page(site, f"search?q=lucky{sort}")
    assert "1 message found" in shown
    assert "<mark>Lucky</mark> you!" in shown
    assert f"/archives/{GARDEN}/message/{site.key(2)}/" in shown
    assert "Nothing was found" in page(site, f"search?q=aubergine{sort}")


def test_search_says_what_it_did_not_understand(quick_site: Neighbourhood) -> None:
    assert 'role="status"' in page(quick_site, "search?q=after:yesterday+tomato")


def test_what_was_deleted_is_gone(site: Neighbourhood) -> None:
    conversation(site)
    deleting.delete_posting(GARDEN, site.key(2), 1_750_000_000)
    page(site, f"message/{site.key(2)}/", 410)
    page(site, f"message/{site.key(2)}/raw", 410)
    assert "Lucky you" not in page(site, f"thread/{site.key(1)}/")
    assert "Nothing was found" in page(site, "search?q=lucky")


def test_unknown_messages_threads_and_pages_are_not_found(quick_site: Neighbourhood) -> None:
    quick_site.letter(1)
    other = quick_site.key(77)
    for tail in (f"message/{other}/", f"thread/{other}/", f"message/{other}/raw", "message/short/", "1802/01/"):
        page(quick_site, tail, 404)


def test_odd_page_numbers_do_no_harm(quick_site: Neighbourhood) -> None:
    quick_site.letter(1)
    for number in ("0", "-1", "x", "99999999999999999999", "7"):
        for tail in (f"?page={number}", f"search?q=ripe&page={number}", f"2026/05/?page={number}"):
            assert quick_site.as_("stranger").get(f"/archives/{GARDEN}/{tail}").status_code in (200, 404), tail


def test_no_page_asks_the_database_more_for_more_messages(site: Neighbourhood) -> None:
    def questions() -> dict[str, int]:
        counted = {}
        for tail in ("", "2026/05/", f"thread/{site.key(1)}/", f"message/{site.key(1)}/", "search?q=ripe", "feed.atom",
                     f"thread/{site.key(1)}/mbox"):  # fmt: skip
            with CaptureQueriesContext(connection) as queries:
                answer = site.as_("stranger").get(f"/archives/{GARDEN}/{tail}")
                if answer.streaming:
                    list(answer)
            counted[tail] = len(queries)
        with CaptureQueriesContext(connection) as queries:
            site.as_("stranger").get("/")
        return {**counted, "front": len(queries)}

    site.letter(1)
    site.letter(2, answers=1)
    few = questions()
    for number in range(3, 30):
        site.letter(number, answers=number - 1 if number % 2 else None, subject=f"Letter {number // 2}")
    many = questions()
    assert max(many.values()) <= 10, many
    assert many == few


def test_an_empty_archive_has_pages_too(quick_site: Neighbourhood) -> None:
    assert "No message has been kept here yet" in page(quick_site)
    page(quick_site, "feed.atom")
    page(quick_site, "2026/05/")
    assert quick_site.as_("stranger").get(f"/archives/{GARDEN.upper()}/").status_code == 200
    assert quick_site.as_("stranger").get(f"/archives/garden%40{DOMAIN}/").status_code == 200


def test_large_messages_are_streamed_as_they_came(site: Neighbourhood) -> None:
    def large(number: int) -> bytes:
        head = f"From: a@b.example\r\nSubject: Large\r\nMessage-ID: <{number}@far.example>\r\n"
        answers = "" if number == 1 else "In-Reply-To: <1@far.example>\r\n"
        return f"{head}{answers}\r\n".encode() + b"0123456789 abcdef\r\n" * 40_000

    for number in (1, 2):
        site.letter(number, raw=large(number))
    client = site.as_("stranger")
    raw = client.get(f"/archives/{GARDEN}/message/{site.key(1)}/raw")
    assert raw.streaming
    assert hashlib.sha256(raw.getvalue()).digest() == hashlib.sha256(large(1)).digest()
    mbox = client.get(f"/archives/{GARDEN}/thread/{site.key(1)}/mbox")
    octets = mbox.getvalue()
    assert mbox.streaming and octets.count(b"0123456789 abcdef") == 80_000
    head = client.head(f"/archives/{GARDEN}/message/{site.key(1)}/raw")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(large(1))))
    head = client.head(f"/archives/{GARDEN}/thread/{site.key(1)}/mbox")  # its length is known when it is made
    assert head.getvalue() == b"" and "Content-Length" not in head.headers and head.headers["Content-Disposition"]
    assert "The message goes on" in page(site, f"thread/{site.key(1)}/")


def test_a_long_conversation_comes_in_pages_and_nests_without_end(quick_site: Neighbourhood) -> None:
    for number in range(1, 131):
        quick_site.letter(number, answers=number - 1 if number > 1 else None)
    first = page(quick_site, f"thread/{quick_site.key(1)}/")
    second = page(quick_site, f"thread/{quick_site.key(1)}/?page=2")
    assert first.count("<article") == 100 and second.count("<article") == 30
    assert "?page=2" in first
    for shown in (first, second):
        assert shown.count("<ol>") + shown.count("<ol ") == shown.count("</ol>")
        assert shown.count("<li>") + shown.count("<li ") == shown.count("</li>")
    assert f'href="/archives/{GARDEN}/message/{quick_site.key(100)}/"' in second  # what the first one here answers
    assert page(quick_site, f"thread/{quick_site.key(1)}/?sort=date").count("<article") == 130


def test_an_archive_that_outlived_its_list_offers_no_joining(site: Neighbourhood) -> None:
    site.letter(1)
    assert f'href="/lists/{GARDEN}/"' in site.as_("stranger").get("/").content.decode()
    creation.remove(GARDEN)
    page = site.as_("stranger").get("/").content.decode()
    assert f'href="/archives/{GARDEN}/"' in page and f'href="/lists/{GARDEN}/"' not in page
    assert "the list itself is gone" in page
