"""Addresses on pages that everybody reads are written for people, unless the list wants it otherwise."""

from __future__ import annotations

import pytest

from posthouse.archive import filing
from posthouse.archive.folding import apart
from posthouse.configuration import Configuration
from posthouse.lists import creation, roster
from posthouse.message.identity import message_id_hash
from tests.lists.scene import has_list, letter, posts
from tests.people import ANA, BEN, GARDEN
from tests.running_house import Browser
from tests.web.neighbourhood import BOARD, Neighbourhood

KEY = message_id_hash("tomatoes@far.example")
WORDS = f"Ben <{BEN}> wrote:\n> See https://far.example/@ben and user@localhost"


@pytest.mark.parametrize(("wanted", "shown"), [("yes", False), ("no", True)])
def test_addresses_on_public_pages_are_for_people(sqlite: Configuration, wanted: str, shown: bool) -> None:
    has_list(obscure_addresses=wanted, members=[ANA])
    posts(ANA, WORDS)

    browser = Browser()
    for page in ("message", "thread", "feed"):
        path = "feed.atom" if page == "feed" else f"{page}/{KEY}/"
        html = browser.visits(f"/archives/{GARDEN}/{path}").html
        assert (BEN in html) == shown, page
        assert ("ben at far.example" in html) != shown, page
        assert "https://far.example/@ben" in html and "user@localhost" in html
    header = browser.visits(f"/archives/{GARDEN}/message/{KEY}/headers").html
    assert (ANA in header) == shown
    raw = browser.visits(f"/archives/{GARDEN}/message/{KEY}/raw").content
    assert raw == letter(ANA, GARDEN, "Tomatoes", WORDS)


def test_names_of_files_hide_addresses_too(site: Neighbourhood) -> None:
    site.letter(1, raw=WITH_CARD)
    for path in (f"message/{site.key(1)}/", f"thread/{site.key(1)}/"):
        shown = site.as_("stranger").get(f"/archives/{GARDEN}/{path}").content.decode()
        assert "ben at far.example.vcf" in shown and "ben@far" not in shown and "ben%40far" not in shown


def test_members_of_a_private_list_see_them(sqlite: Configuration) -> None:
    has_list(style="private", members=[ANA])
    creation.set_settings(GARDEN, {"archive_policy": "private"})
    posts(ANA, WORDS)
    from posthouse.directory import accounts

    accounts.create(BEN)
    roster.add(GARDEN, BEN)
    browser = Browser()
    browser.signs_in(BEN)
    assert f"{BEN}" in browser.visits(f"/archives/{GARDEN}/message/{KEY}/").html


# What a stranger may try to have an address confirmed by, and words that are no address
GUESSES = (
    "from:ana@far.example", "ana@far.example", "from:far.example", "from:far", "from:ana@far.exam*",
    '"ana far example"',
    "from:example", "to:cleo@lists.example", "cleo@lists.example", "to:lists", "ben@far.example", '"ben far example"',
    "nobody OR ben@far.example", "subject:ben@far.example", "mona@far.example",
)  # fmt: skip
NAMES = ("from:ana", "from:gärtner", 'from:"ana gärtner"', "to:cleopatra", "ripe", '"ripe at last"', "subject:tomatoes")
FROM_ANA = (
    b"From: Ana G\xc3\xa4rtner <ana@far.example>\r\nTo: Cleopatra <cleo@lists.example>\r\nSubject: Tomatoes of "
    b"ben@far.example\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@far.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nRipe at last, ben@far.example says.\r\n"
)
WITH_CARD = (
    b"From: ana@far.example\r\nSubject: Card\r\nMIME-Version: 1.0\r\nMessage-ID: <1@far.example>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHere.\r\n--b\r\n"
    b'Content-Type: text/vcard\r\nContent-Disposition: attachment; filename="ben@far.example.vcf"\r\n\r\nx\r\n--b--\r\n'
)
FROM_NOBODY = (
    b'From: "mona@far.example" <mona@far.example>\r\nSubject: Peas\r\nIn-Reply-To: <1@far.example>\r\n'
    b"Date: Fri, 20 Nov 2026 13:00:00 +0000\r\nMessage-ID: <2@far.example>\r\n\r\nGreen\r\n"
)


@pytest.mark.parametrize("path", ["/search", f"/archives/{GARDEN}/search"])
@pytest.mark.parametrize("sort", ["date", "rank"])
def test_a_stranger_cannot_have_a_guessed_address_confirmed_by_searching(
    site: Neighbourhood, path: str, sort: str
) -> None:
    site.letter(1, raw=FROM_ANA)
    site.letter(2, raw=FROM_NOBODY)

    def hits(who: str, words: str) -> int:
        answer = site.as_(who).get(path, {"q": words, "sort": sort})
        assert answer.status_code == 200
        return answer.content.decode().count('class="title"')

    strangers = site.as_("stranger")
    found = {words: hits("stranger", words) for words in GUESSES}
    assert not any(found.values()), found
    assert {words: hits("eve", words) for words in GUESSES[:2]} == dict.fromkeys(GUESSES[:2], 0)
    assert {words: hits("stranger", words) for words in NAMES} == dict.fromkeys(NAMES, 1)
    # leaving out what has the address leaves out nothing: that would confirm it, too
    for words in ("-from:ana@far.example", "-ben@far.example", "-from:far"):
        assert hits("stranger", f"list:garden {words}") == 2, words
        assert hits("ana", f"list:garden {words}") == (0 if words == "-from:far" else 1), words
    assert {words: hits("ana", words) for words in GUESSES[:5]} == {
        words: 2 if words in ("from:far.example", "from:far") else 1 for words in GUESSES[:5]
    }
    assert all(hits("ana", words) for words in (*GUESSES, *NAMES))
    creation.set_settings(GARDEN, {"obscure_addresses": "no"})
    assert "ana" in strangers.get(path, {"q": "from:ana@far.example"}).content.decode()
    assert hits("stranger", "from:ana@far.example") == 1


def test_among_many_archives_addresses_are_found_in_those_where_they_are_seen(site: Neighbourhood) -> None:
    site.letter(1, raw=FROM_ANA)
    site.letter(2, raw=FROM_ANA, archive=BOARD)
    for number in range(45):  # more than the index is told by name
        filing.open_archive(f"other{number}@lists.example", policy="public", obscure_addresses=True)
    roster.remove(GARDEN, ANA)
    for words in ("from:ana@far.example", "ben@far.example", "to:cleo@lists.example"):
        page = site.as_("ana").get("/search", {"q": words}).content.decode()
        assert page.count('class="title"') == 1 and f"/archives/{BOARD}/message/" in page, words
    page = site.as_("ana").get("/search", {"q": "-from:ana@far.example"}).content.decode()
    assert f"/archives/{GARDEN}/message/" in page and f"/archives/{BOARD}/" not in page


def test_no_page_shows_a_whole_address_where_they_are_hidden(quick_site: Neighbourhood) -> None:
    first = quick_site.letter(1, raw=FROM_ANA)
    second = quick_site.letter(2, raw=FROM_NOBODY)
    here = f"/archives/{GARDEN}"
    paths = [
        "/", f"{here}/", f"{here}/2026/11/", f"{here}/feed.atom", f"{here}/mbox", "/search?q=ripe", "/search?q=peas",
        *(f"{here}/{page}" for key in (first, second) for page in (
            f"thread/{key}/", f"thread/{key}/?sort=date", f"message/{key}/", f"message/{key}/headers",
            f"thread/{key}/mbox", f"thread/{key}/feed.atom")),
    ]  # fmt: skip
    for path in paths:
        answer = quick_site.as_("stranger").get(path, follow=True)
        text = (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()
        assert answer.status_code == 200, path
        for address in ("ana@far.example", "ben@far.example", "mona@far.example", "cleo@lists.example"):
            for found in (address, address.replace("@", "%40"), address.replace("@", "&#64;")):
                assert found not in text.replace("<1@", "").replace("%3C1%40far", ""), (path, found)


@pytest.mark.parametrize(
    ("text", "names", "addresses"),
    [
        ("Ana", "Ana", ""),
        ("Ana <ana@far.example>, ben@far.example", "Ana < >,  ", "ana@far.example ben@far.example"),
        ("user@localhost Ben a@b@c", "  Ben  ", "user@localhost a@b@c"),
        ("@", " ", "@"),
        ("a" * 200_000 + " @", "a" * 200_000 + "  ", "@"),
    ],
)
def test_names_and_addresses_are_told_apart(text: str, names: str, addresses: str) -> None:
    assert apart(text) == (names, addresses)
