"""What the tests of messages share: a deadline in processor time, for promises of linear cost."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest


@pytest.fixture
def deadline() -> Callable[[float], AbstractContextManager[None]]:
    """`with deadline(seconds):` fails when the block takes more processor time than that."""

    @contextmanager
    def within(seconds: float) -> Iterator[None]:
        start = time.process_time()
        yield
        taken = time.process_time() - start
        assert taken < seconds, f"took {taken:.1f} s of processor time, allowed are {seconds}"

    return within
