"""Queue ids and their names."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from posthouse.queue.identity import id_of, name_of, new_queue_id

NOW_US = 1_790_000_000_000_000


def test_ids_grow_even_when_the_clock_stands_or_goes_back() -> None:
    ids = [new_queue_id(NOW_US - number) for number in range(1000)]
    assert ids == sorted(set(ids))


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: new_queue_id(NOW_US), range(2000)))
    assert len(set(ids)) == 2000


@given(st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1))
def test_a_name_stands_for_its_id_and_sorts_like_it(one: int, other: int) -> None:
    assert len(name_of(one)) == 13
    assert id_of(name_of(one)) == one
    assert (name_of(one) < name_of(other)) == (one < other)


def test_a_name_is_read_as_people_write_it() -> None:
    name = name_of(new_queue_id(NOW_US))
    assert id_of(f" {name.lower()} ") == id_of(name)
    assert id_of(name.replace("0", "O").replace("1", "l")) == id_of(name)


@given(st.text())
def test_any_other_text_is_no_name(text: str) -> None:
    found = id_of(text)
    assert found is None or 0 <= found < 1 << 63


def test_what_is_too_long_or_too_large_is_no_name() -> None:
    assert id_of("ZZZZZZZZZZZZZ") is None
    assert id_of("0" * 14) is None
    assert id_of("U" * 13) is None
