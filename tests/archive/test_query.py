"""The search box understands what people type, never fails, and says what it could not understand."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.archive import filing
from posthouse.archive.query import MAX_TERMS, Term, day_of, parse
from posthouse.archive.search import search
from posthouse.archive.snippets import LENGTH, snippet
from posthouse.configuration import Configuration
from tests.archive.letters import BEN, GARDEN, NOON, files, letter

KITCHEN = "kitchen@lists.example"


@pytest.fixture
def house(database: Configuration) -> None:
    filing.open_archive(GARDEN)
    filing.open_archive(KITCHEN)
    files(letter(1, "Tomatoes", "The late blight came early.\nNothing ripe yet, deferred."))
    files(letter(2, "Café Übung", "Les légumes, früh und naïve: foo-bar_baz.", BEN, NOON + 86_400), at=NOON + 90_000)
    attachment = 'Content-Disposition: attachment; filename="harvest plan.pdf"'
    files(letter(3, "Plan", "cGRm", at=NOON + 172_800, more=attachment), at=NOON + 172_800)
    files(letter(4, "Soup", "Ripe tomatoes, early light.", BEN, to="cleo@lists.example"), KITCHEN)


def found(text: str, archives: list[str] | None = None, sort: str = "date") -> list[str]:
    return [hit.subject for hit in search(text, archives, sort).hits]


ASKED = [
    ("tomatoes", ["Tomatoes", "Soup"]),
    ("ripe early", ["Tomatoes", "Soup"]),
    ('"late blight"', ["Tomatoes"]),
    ('"blight late"', []),
    ("ripe -blight", ["Soup"]),
    ("blight OR legumes", ["Café Übung", "Tomatoes"]),
    ("early blight OR light", ["Tomatoes", "Soup"]),
    ("defer*", ["Tomatoes"]),
    ("defer", []),
    ("CAFE ubung", ["Café Übung"]),
    ("NAÏVE", ["Café Übung"]),
    ("foo-bar_baz", ["Café Übung"]),
    ("bar-foo", []),
    ("from:ben", ["Café Übung", "Soup"]),
    ("from:ben@far.example", ["Café Übung", "Soup"]),
    ('from:"ben winter"', ["Café Übung", "Soup"]),
    ("from:win*", ["Café Übung", "Soup"]),
    ("-from:ben", ["Plan", "Tomatoes"]),
    ("to:cleo", ["Soup"]),
    ("subject:soup", ["Soup"]),
    ("subject:ripe", []),
    ("after:2024-06-02", ["Plan", "Café Übung"]),
    ("before:2024-06-02", ["Tomatoes", "Soup"]),
    ("after:2024-06-02 before:2024-06-03", ["Café Übung"]),
    ("after:2025", []),
    ("has:attachment", ["Plan"]),
    ("-has:attachment ripe", ["Tomatoes", "Soup"]),
    ("-has:attachment", ["Café Übung", "Tomatoes", "Soup"]),
    ("harvest", ["Plan"]),
    ("list:kitchen ripe", ["Soup"]),
    ("-list:kitchen ripe", ["Tomatoes"]),
    ("list:nowhere ripe", []),
    ("list:kitchen", ["Soup"]),
    ("a1", []),
    ("withfile", []),
    ("-ripe -has:attachment", ["Café Übung"]),
]


def test_what_is_asked_for_is_found_newest_first(house: None) -> None:
    for text, subjects in ASKED:
        results = search(text, None)
        assert sorted(hit.subject for hit in results.hits) == sorted(subjects), text
        times = [hit.sent_at for hit in results.hits]
        assert times == sorted(times, reverse=True), text
        assert results.complaints == (), text
        assert sorted(found(text, [GARDEN, KITCHEN], "rank")) == sorted(subjects), text


@pytest.mark.parametrize("text", ["語" * 900, "from:" + "語" * 900, "-" + "語" * 900, f'"ripe {"語" * 900}"'])
def test_words_longer_than_any_index_holds_find_nothing_and_break_nothing(house: None, text: str) -> None:
    for sees in (None, lambda address: False):
        hits = search(text, [GARDEN, KITCHEN], "rank", sees=sees).hits
        assert len(hits) == (4 if text.startswith("-") else 0)


def test_only_the_archives_that_may_be_read_are_searched(house: None) -> None:
    assert found("ripe", [GARDEN]) == ["Tomatoes"]
    assert found("ripe", []) == []
    assert found("list:kitchen ripe", [GARDEN]) == []
    assert found("-ripe", [KITCHEN]) == []


def test_among_very_many_archives_only_the_allowed_ones_are_searched(house: None) -> None:
    many = [f"l{number}@lists.example" for number in range(50)]
    for address in many:
        filing.open_archive(address)
    filing.open_archive("hidden@lists.example")
    files(letter(50, "Hidden", "ripe"), "hidden@lists.example")

    for sort in ("date", "rank"):
        assert sorted(found("ripe", [GARDEN, KITCHEN, *many], sort)) == ["Soup", "Tomatoes"]
        assert found("-ripe has:attachment", [GARDEN, KITCHEN, *many], sort) == ["Plan"]
        assert found("-ripe -list:garden", [KITCHEN, *many], sort) == []
        assert sorted(found("-ripe", [GARDEN, *many], sort)) == ["Café Übung", "Plan"]


def test_by_rank_a_word_in_the_subject_counts_most(house: None) -> None:
    assert found("tomatoes", None, "rank") == ["Tomatoes", "Soup"]
    files(letter(7, "Compost", "Tomatoes once", at=NOON + 500_000), at=NOON + 500_000)
    assert found("tomatoes")[0] == "Compost"
    assert found("tomatoes", None, "rank")[0] == "Tomatoes"


def test_hits_are_shown_with_the_words_around_them(house: None) -> None:
    [hit] = search("legumes", None).hits

    assert hit.snippet == (("Les ", False), ("légumes", True), (", früh und naïve: foo-bar_baz.", False))
    [hit] = search("has:attachment", None).hits
    assert hit.attachments == 1


def test_totals_are_counted_up_to_a_bound_and_pages_go_on_behind_it(
    house: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from posthouse.archive import search as room

    monkeypatch.setattr(room, "MOST_COUNTED", 3)
    for number in range(10, 20):
        files(letter(number, f"Beans {number}", "climbing", at=NOON - number))

    results = search("climbing", None, page=1, size=2)
    assert (results.total, results.more, len(results.hits)) == (3, True, 2)
    assert [hit.subject for hit in search("climbing", None, page=4, size=2).hits] == ["Beans 16", "Beans 17"]
    assert search("climbing", None, page=9, size=2).hits == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('"late blight', "quotation mark"),
        ("OR ripe", "OR needs"),
        ("ripe OR", "OR needs"),
        ("after:yesterday", "after: wants a date"),
        ("before:2024-13", "before: wants a date"),
        ("-after:2024", "after: wants a date"),
        ("has:soul", "has: knows only"),
        ("r* ripe", "letters must stand before"),
        ("ripe OR -blight", "minus"),
        ("ripe OR list:garden", "OR joins words only"),
        ("!!! ripe", "Nothing can be searched for"),
        ("x" * 2_000, "first 1,000 characters"),
        (" ".join(f"w{number}" for number in range(50)), f"At most {MAX_TERMS}"),
    ],
)
def test_what_is_not_understood_is_said(text: str, complaint: str) -> None:
    assert any(complaint in sentence for sentence in parse(text).complaints)


def test_a_wish_that_cannot_be_kept_is_searched_as_words() -> None:
    assert parse("after:yesterday").wanted == ((Term(("after", "yesterday")),),)
    assert parse("https://far.example/x").wanted == ((Term(("https", "far", "example", "x")),),)
    assert parse("").empty and parse("  ").empty and parse('"').empty


def test_dates_are_days_of_the_calendar() -> None:
    assert day_of("1970") == 0 and day_of("2024-02-29") == 1_709_164_800 and day_of("2024-02") == 1_706_745_600
    assert day_of("2023-02-29") is None and day_of("1969") is None and day_of("٢٠٢٤") is None


def test_a_snippet_starts_near_the_first_match_and_is_short() -> None:
    pieces = snippet("word " * 1_000 + "needle in " + "hay " * 1_000, parse("needle").wanted[0])

    text = "".join(piece for piece, _ in pieces)
    assert ("needle", True) in pieces and len(text) < LENGTH + 10 and text.startswith("…") and text.endswith("…")


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    text=st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                ['"', "OR", "AND", "NOT", "NEAR(", ")", "-", "*", "from:", "to:", "subject:", "after:2024", "has:",
                 "list:", "^", ":", "+", "{", "}", "'", "\\", "ripe", "ri*", "\0", "a1", "%s", "%", "&", "|", "!",
                 "<->", "日本*", "ﬁ", "İ", "½", "²", "e\u0301", "\ud800"]
            )
        ).map("".join),
        st.lists(st.sampled_from(['"', " ", "OR", "-", "ripe", "from:ben", "*", "🍅", "1e5", "0x1f"])).map(" ".join),
    )
)  # fmt: skip
def test_any_string_can_be_searched_for(house: None, text: str) -> None:
    for sort in ("date", "rank"):
        results = search(text, [GARDEN], sort)
        assert all(hit.archive == GARDEN for hit in results.hits)
        assert all(isinstance(sentence, str) for sentence in results.complaints)


def test_the_worst_query_is_read_in_no_time() -> None:
    started = time.thread_time()
    for text in ('"' * 1_000_000, "-" * 1_000_000, "a:" * 500_000, "OR " * 300_000, "x" * 1_000_000):
        parse(text)
    assert time.thread_time() - started < 10
