"""A private archive shows nothing to strangers, on no page and in no feed, and everything to its members."""

from __future__ import annotations

import time

from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import Browser, House

BOARD = "board@lists.example"
SECRET = "zyxquartz"


def board_talks(house: House, outside: Outside) -> str:
    """A private list with one posting; the path of its permalink."""
    house.has_list(BOARD, members=[ANA, BEN], style="private")
    house.has_list(GARDEN, members=[EVE])
    outside.posts(ANA, BOARD, f"{SECRET} plans", f"The {SECRET} is under the apple tree.")
    outside.posts(EVE, GARDEN, "Apples", "Apple tree in bloom.")
    house.settles()
    [(_, copy)] = outside.copies_for(BEN)
    return str(copy["Archived-At"]).strip("<>").removeprefix("https://lists.example")


def paths(permalink: str, house: House) -> list[str]:
    key = permalink.rstrip("/").rpartition("/")[2]
    base = f"/archives/{BOARD}/"
    month = time.strftime("%Y/%m", time.gmtime(house.clock()))
    return [
        base, f"{base}{month}/", f"{base}thread/{key}/", f"{base}thread/{key}/mbox", f"{base}thread/{key}/feed.atom",
        permalink, f"{permalink}raw", f"{permalink}headers", f"{base}search?q={SECRET}", f"{base}feed.atom",
    ]  # fmt: skip


def test_a_stranger_finds_nothing_anywhere(house: House, outside: Outside, browser: Browser) -> None:
    permalink = board_talks(house, outside)
    eve = Browser()
    eve.signs_in(EVE)

    for visitor in (browser, eve):
        for path in paths(permalink, house):
            page = visitor.visits(path)
            assert page.status == 404, path
            assert "under the apple tree" not in page.html and f"{SECRET} plans" not in page.html, path
        for path in (f"/search?q={SECRET}", "/search?q=from:ana", "/search?q=apple", "/"):
            page = visitor.visits(path)
            assert "under the apple tree" not in page.html and f"{SECRET} plans" not in page.html, path
            assert BOARD not in page.html, path
        assert "in bloom" in visitor.visits("/search?q=apple").text


def test_members_and_owners_read_all_of_it(house: House, outside: Outside) -> None:
    permalink = board_talks(house, outside)
    for person in (ANA, OWEN):
        browser = Browser()
        browser.signs_in(person)
        for path in paths(permalink, house):
            page = browser.visits(path)
            assert page.status == 200 and SECRET in page.html, path
        assert f"{SECRET} plans" in browser.visits(f"/search?q={SECRET}").text


def test_who_leaves_reads_no_more(house: House, outside: Outside, browser: Browser) -> None:
    permalink = board_talks(house, outside)
    browser.signs_in(BEN)
    assert browser.visits(permalink).status == 200

    assert house.runs("members", "remove", BOARD, BEN).exit_code == 0

    assert browser.visits(permalink).status == 404
    assert browser.visits(f"{permalink}raw").status == 404


def test_a_list_without_archive_keeps_nothing(house: House, outside: Outside, browser: Browser) -> None:
    house.has_list(BOARD, members=[ANA, BEN], archive_policy="never")
    outside.posts(ANA, BOARD, f"{SECRET} plans")
    house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy["Archived-At"] is None
    assert browser.visits(f"/archives/{BOARD}/").status == 404
    assert SECRET not in browser.visits(f"/search?q={SECRET}").text.replace(SECRET, "", 2)
