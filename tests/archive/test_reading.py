"""Pages get all they show in a handful of statements, whatever an archive holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from posthouse.archive import filing, reading
from posthouse.archive.errors import Gone, NoSuchArchive, NoSuchPosting
from posthouse.archive.views import MonthCount
from posthouse.configuration import Configuration
from posthouse.message.parsing import attachment
from tests.archive.letters import BEN, GARDEN, NOON, files, letter

DAY = 86_400


@pytest.fixture
def garden(database: Configuration) -> None:
    filing.open_archive(GARDEN, "Garden", "What grows")


def test_a_thread_is_read_in_order_with_a_place_for_what_is_missing(garden: None) -> None:
    one = files(letter(1))
    four = files(letter(4, "Re: Tomatoes", at=NOON + 40, answers=1))
    three = files(letter(3, "Re: Tomatoes", author=BEN, at=NOON + 30, answers=2, references="<m1@far.example>"))
    five = files(letter(5, "Re: Tomatoes", at=NOON + 50, answers=3))
    loose = files(letter(6, "Re: Tomatoes", at=NOON + 60))

    view = reading.thread(GARDEN, five.key)

    assert [(entry.depth, entry.posting.key if entry.posting else entry.message_id) for entry in view.entries] == [
        (0, one.key),
        (1, "m2@far.example"),
        (2, three.key),
        (3, five.key),
        (1, four.key),
        (1, loose.key),
    ]
    assert (view.key, view.postings, view.authors, view.pages) == (one.key, 5, 2, 1)
    assert view.entries[3].answers and view.entries[3].answers.author_name == "Ben Winter"
    assert view.entries[5].posting and view.entries[5].posting.by_subject


def test_a_long_thread_comes_in_pages_of_whole_entries(garden: None) -> None:
    for number in range(1, 8):
        files(letter(number, "Re: Tomatoes", at=NOON + number, answers=max(1, number - 1) if number > 1 else ""))

    pages = [reading.thread(GARDEN, filing.hash_of("m1@far.example"), page, size=3) for page in (1, 2, 3)]

    assert [len(page.entries) for page in pages] == [3, 3, 1] and pages[0].pages == 3
    assert [entry.depth for page in pages for entry in page.entries] == list(range(7))


def test_an_endless_thread_is_shown_by_date(garden: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_TREE", 5)
    keys = [files(letter(number, at=NOON + number, answers=1 if number > 1 else "")).key for number in range(1, 9)]

    pages = [reading.thread(GARDEN, keys[3], page, size=3) for page in (1, 2, 3)]
    assert [entry.key for page in pages for entry in page.entries] == keys
    assert all(entry.posting and entry.depth == 0 for page in pages for entry in page.entries)


def test_threads_stand_in_the_order_of_their_latest_posting(garden: None) -> None:
    one, two = files(letter(1)), files(letter(2, "Beans", at=NOON + 10))
    files(letter(3, "Re: Tomatoes", author=BEN, at=NOON + 20, answers=1))

    view = reading.latest_threads(GARDEN, size=1)
    assert [line.key for line in view.threads] == [one.key] and view.more
    [line] = view.threads
    assert (line.author_name, line.last_author, line.postings) == ("Ana Sommer", "Ben Winter", 2)
    assert [line.key for line in reading.latest_threads(GARDEN, 2, size=1).threads] == [two.key]
    thread = reading.thread(GARDEN, two.key)
    assert thread.newer and thread.newer.key == one.key and thread.older is None


def test_months_are_counted_and_lead_to_each_other(garden: None) -> None:
    files(letter(1, at=NOON))
    files(letter(2, "Re: Tomatoes", at=NOON + 40 * DAY, answers=1), at=NOON + 99 * DAY)
    files(letter(3, "Beans", at=NOON + 41 * DAY), at=NOON + 99 * DAY)

    assert reading.months(GARDEN) == [MonthCount(2024, 7, 2), MonthCount(2024, 6, 1)]
    july = reading.month(GARDEN, 2024, 7)
    assert [(line.subject, line.recent, line.postings) for line in july.threads] == [
        ("Beans", 1, 1),
        ("Tomatoes", 1, 2),
    ]
    assert july.earlier == MonthCount(2024, 6, 1) and july.later is None and july.postings == 2
    assert reading.month(GARDEN, 1999, 1).threads == ()
    with pytest.raises(NoSuchPosting):
        reading.month(GARDEN, 2024, 13)


def test_a_posting_is_shown_with_what_is_around_it_and_its_exact_bytes(garden: None) -> None:
    one = files(letter(1))
    between = files(letter(9, "Beans", at=NOON + 5))
    content = letter(
        2, "Re: Tomatoes", "> Ripe at last.\nSee https://far.example/x.\n-- \nBen", BEN, NOON + 10, answers=1
    )
    two = files(content)

    view = reading.posting(GARDEN, two.key)

    assert [block.kind for block in view.posting.blocks] == ["quote", "text", "signature"]
    assert view.answers and view.answers.key == one.key
    assert [found.key for found in reading.posting(GARDEN, one.key).answered_by] == [two.key]
    assert view.older and view.older.key == between.key and view.newer is None
    assert reading.content_of(GARDEN, two.key).all() == content
    assert [key for key, _ in reading.feed(GARDEN).entries] == [one.key, between.key, one.key]
    assert [posting.key for _, posting in reading.feed(GARDEN, 9, one.key).entries] == [two.key, one.key]


def test_an_attachment_is_listed_and_can_be_taken_out(garden: None) -> None:
    more = 'Content-Disposition: attachment; filename="plan.pdf"\r\nContent-Transfer-Encoding: base64'
    filed = files(letter(1, text="cGRm", more=more))

    [listed] = reading.posting(GARDEN, filed.key).posting.attachments
    assert (listed.number, listed.filename, listed.size) == (1, "plan.pdf", 3)
    taken = attachment(reading.content_of(GARDEN, filed.key).all(), 1)
    assert taken is not None and taken[2] == b"pdf"


@pytest.mark.parametrize(
    "ask",
    [
        lambda key: reading.posting(GARDEN, key),
        lambda key: reading.thread(GARDEN, key),
        lambda key: reading.content_of(GARDEN, key),
        lambda key: reading.feed(GARDEN, 5, key),
    ],
)
def test_what_was_deleted_is_gone_and_what_never_was_is_unknown(garden: None, ask: Callable[[str], Any]) -> None:
    filed = files(letter(1))
    filing.delete_posting(GARDEN, filed.key, NOON)

    with pytest.raises(Gone):
        ask(filed.key)
    with pytest.raises(NoSuchPosting):
        ask("A" * 32)
    assert reading.latest_threads(GARDEN).threads == () and reading.feed(GARDEN).entries == ()


def test_a_deleted_message_leaves_a_place_in_its_thread(garden: None) -> None:
    one = files(letter(1))
    two = files(letter(2, "Re: Tomatoes", at=NOON + 5, answers=1))
    filing.delete_posting(GARDEN, one.key, NOON)

    view = reading.thread(GARDEN, one.key)
    assert [(entry.depth, entry.posting is None) for entry in view.entries] == [(0, True), (1, False)]
    assert view.entries[1].posting and view.entries[1].posting.key == two.key


def test_unknown_archives_are_said_to_be_unknown(garden: None) -> None:
    for ask in (reading.archive, reading.months, reading.latest_threads, reading.feed):
        with pytest.raises(NoSuchArchive):
            ask("nowhere@lists.example")
    assert [facts.address for facts in reading.archives()] == [GARDEN]
    assert reading.archives([]) == [] and reading.archives([GARDEN, "x@y.example"])[0].display_name == "Garden"


def test_a_page_costs_as_many_statements_for_many_postings_as_for_few(garden: None) -> None:
    pages: dict[str, Callable[[], Any]] = {
        "archives": lambda: reading.archives(),
        "months": lambda: reading.months(GARDEN),
        "month": lambda: reading.month(GARDEN, 2024, 6),
        "threads": lambda: reading.latest_threads(GARDEN),
        "thread": lambda: reading.thread(GARDEN, filing.hash_of("m1@far.example")),
        "posting": lambda: reading.posting(GARDEN, filing.hash_of("m1@far.example")),
        "content": lambda: reading.content_of(GARDEN, filing.hash_of("m1@far.example")),
        "feed": lambda: reading.feed(GARDEN),
    }

    def statements() -> dict[str, int]:
        counts = {}
        for name, page in pages.items():
            with CaptureQueriesContext(connection) as captured:
                page()
            counts[name] = len(captured)
        return counts

    files(letter(1))
    files(letter(2, "Re: Tomatoes", at=NOON + 2, answers=1))
    few = statements()
    for number in range(3, 60):
        files(letter(number, "Re: Tomatoes" if number % 2 else f"S{number}", at=NOON + number, answers=number - 2))

    assert statements() == few
    assert max(few.values()) <= 7


def test_the_version_of_an_archive_grows_with_every_change(garden: None) -> None:
    seen = [reading.archive(GARDEN).version]
    filed = files(letter(1))
    seen.append(reading.archive(GARDEN).version)
    files(letter(1))
    assert reading.archive(GARDEN).version == seen[-1]
    filing.update_archive(GARDEN, policy="private")
    seen.append(reading.archive(GARDEN).version)
    filing.delete_posting(GARDEN, filed.key, NOON)
    seen.append(reading.archive(GARDEN).version)

    assert seen == sorted(set(seen))
    assert (
        filing.permalink("https://a.example/", GARDEN, "K")
        == "https://a.example/archives/garden@lists.example/message/K/"
    )
