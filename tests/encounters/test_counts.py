"""Counters that decay, that every host adds to, and that are forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.encounters import counts, sweeping
from posthouse.encounters.counts import Addition, Rate, Total, below_in, rate_at

RATE = Rate("client 192.0.2.1", "messages", 10, 60)


def added(*additions: Addition) -> Total:
    with bridge.transaction():
        return counts.add_many(list(additions))[RATE.id]


def test_what_several_hosts_add_comes_together(database: Configuration) -> None:
    assert added(Addition(RATE, 100, 3)) == Total(100, 3, 0)
    assert added(Addition(RATE, 100, 4), Addition(RATE, 100, 1)) == Total(100, 8, 0)
    assert added(Addition(RATE, 101, 2)) == Total(101, 2, 8), "the window before is kept beside the present one"
    assert added(Addition(RATE, 100, 5)) == Total(101, 2, 13), "who is late adds to the window that was meant"
    assert added(Addition(RATE, 90, 5)) == Total(101, 2, 13), "who is much too late adds nothing"
    assert added(Addition(RATE, 104, 1)) == Total(104, 1, 0), "what is older than two windows is gone"


def test_a_counter_is_swept_when_both_its_windows_are_over(database: Configuration) -> None:
    added(Addition(RATE, 100, 3))
    assert sweeping.sweep(101 * 60_000 + 59_999) == 0
    assert sweeping.sweep(102 * 60_000) == 1
    assert counts.totals([RATE.id]) == {}


def test_an_operator_sees_the_highest_first_and_can_begin_anew(database: Configuration) -> None:
    other = Rate("network 192.0.2.0/24", "messages", 10, 60)
    odd = Rate("sender domain 100%_a.example", "messages", 10, 60)
    with bridge.transaction():
        counts.add_many([Addition(RATE, 100, 3), Addition(other, 100, 7), Addition(odd, 100, 5)])
    now = 100 * 60.0 + 30
    assert [(one.whose, one.now) for one in counts.listing(now)] == [(other.whose, 7), (odd.whose, 5), (RATE.whose, 3)]
    assert [one.now for one in counts.listing(now + 60)] == [4, 2, 2], "half of each is still in the sliding window"
    assert counts.forget("100%_a.example") == 1
    assert counts.forget("client 192.0.2.1") == 1
    assert counts.forget("%") == 0
    assert counts.forget("") == 1


@given(
    st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 5_000), st.integers(1, 3_600), st.floats(0, 0.999),
    st.integers(-2, 0),
)  # fmt: skip
def test_a_rate_that_is_exceeded_is_free_again_when_it_says_so(
    fresh: int, earlier: int, most: int, seconds: int, part: float, shift: int
) -> None:
    now, total = (1_000_000 + part) * seconds, Total(1_000_000 + shift, fresh, earlier)
    wait = below_in(now, seconds, total, most)
    assert rate_at(now + wait, seconds, total) < most + 1e-6
    assert wait <= 2 * seconds + 2, "never longer than two windows"
    assert (wait == 0) == (rate_at(now, seconds, total) < most)
