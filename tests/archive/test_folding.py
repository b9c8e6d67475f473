"""Words are compared without case and accents, and subjects without what mailers put before them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.archive.folding import composed, fold, indexed, topic, words


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("Tomatoes", ("tomatoes", False)),
        ("Re: Tomatoes", ("tomatoes", True)),
        ("RE[2]: AW: Fwd: [garden] Re: Tómatoes!", ("tomatoes", True)),
        ("[garden] Tomatoes", ("tomatoes", False)),
        ("回复：番茄", ("番茄", True)),
        ("Re:", ("", True)),
        ("[garden]", ("garden", False)),
        ("Regarding: tomatoes", ("regarding tomatoes", False)),
        ("", ("", False)),
    ],
)
def test_the_topic_of_a_subject(subject: str, wanted: tuple[str, bool]) -> None:
    assert topic(subject) == wanted


def test_words_are_runs_of_letters_and_digits() -> None:
    assert words("naïve E\u0301TE\u0301 x1") == ["naive", "ete", "x1"]
    assert indexed("A-b_c d").split() == ["a", "b", "c", "d"] and indexed("É-b").split() == ["e", "b"]


@given(st.text())
def test_folding_keeps_every_place(text: str) -> None:
    whole = composed(text)

    assert len(fold(whole)) == len(whole)
    assert indexed(text).split() == words(text)
    assert len(topic(text)[0]) <= 120
