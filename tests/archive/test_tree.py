"""Whatever messages claim to answer, a thread shows every posting exactly once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from posthouse.archive.tree import Leaf, ordered

KEYS = [f"k{number}" for number in range(8)]


def shape(leaves: list[Leaf], absent: dict[str, str] | None = None) -> list[tuple[str, int]]:
    return [(place.key, place.depth) for place in ordered(leaves, absent or {})]


def test_answers_stand_below_what_they_answer_in_the_order_of_their_dates() -> None:
    leaves = [Leaf(1, "a", "", False), Leaf(4, "b", "a", False), Leaf(3, "c", "a", False), Leaf(5, "d", "c", False)]

    assert shape(leaves) == [("a", 0), ("c", 1), ("d", 2), ("b", 1)]


def test_missing_messages_are_shown_where_somebody_answers_them_and_passed_over_elsewhere() -> None:
    leaves = [Leaf(1, "a", "", False), Leaf(2, "e", "d", False)]

    assert shape(leaves, {"b": "a", "c": "b", "d": "c", "x": "a"}) == [("a", 0), ("d", 1), ("e", 2)]


def test_messages_that_answer_each_other_are_shown_once() -> None:
    leaves = [Leaf(2, "a", "b", False), Leaf(1, "b", "a", False), Leaf(3, "c", "c", False)]

    assert shape(leaves) == [("b", 0), ("a", 1), ("c", 0)]


@given(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.sampled_from(["", "z", *KEYS]), st.booleans()), unique_by=lambda row: row[0]
    ),
    st.dictionaries(st.sampled_from(["z", *KEYS]), st.sampled_from(["", "z", *KEYS])),
)
def test_every_posting_comes_exactly_once_below_its_parent(
    rows: list[tuple[str, str, bool]], absent: dict[str, str]
) -> None:
    leaves = [Leaf(number, *row) for number, row in enumerate(rows)]

    places = ordered(leaves, absent)

    assert sorted(place.key for place in places if not place.missing) == sorted(leaf.key for leaf in leaves)
    assert len({place.key for place in places}) == len(places)
    before: list[str] = []
    for place in places:
        before[place.depth :] = [place.key]
        assert place.depth == 0 or before[place.depth - 1] == place.parent_key
