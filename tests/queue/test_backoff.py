"""When to try again."""

from hypothesis import given
from hypothesis import strategies as st

from posthouse.queue.backoff import SCHEDULE, next_attempt

DAYS_5 = 5 * 86_400
NOW = 1_790_000_000_000


def test_the_waits_grow_from_a_minute_to_six_hours() -> None:
    waits = [(next_attempt(attempts, NOW, NOW, DAYS_5, 0.5) or 0) - NOW for attempts in range(1, 13)]
    assert [wait // 60_000 for wait in waits] == [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 360, 360]


def test_two_attempts_fall_in_the_first_hour_as_rfc_5321_asks() -> None:
    assert sum(SCHEDULE[:2]) * 1.25 < 3600


def test_it_gives_up_when_the_time_is_over_and_not_before() -> None:
    end = NOW + DAYS_5 * 1000
    assert next_attempt(20, NOW, end - 1, DAYS_5, 1.0) == end
    assert next_attempt(21, NOW, end, DAYS_5, 0.0) is None
    assert next_attempt(1, NOW, NOW, 0, 0.5) is None


@given(st.integers(0, 40_000), st.integers(0, 10**9), st.integers(0, 10**6), st.floats(0, 1))
def test_an_attempt_is_always_ahead_and_within_the_time(
    attempts: int, passed: int, give_up_after: int, random: float
) -> None:
    due = next_attempt(attempts, NOW, NOW + passed, give_up_after, random)
    if due is None:
        assert passed >= give_up_after * 1000
    else:
        assert NOW + passed < due <= NOW + give_up_after * 1000
        assert due - NOW - passed <= SCHEDULE[-1] * 1250
