"""Each fuzzing target runs for a moment, so that a fault that is easy to find is found by every run of the tests."""

from __future__ import annotations

import os

import pytest

from tests.properties import fuzz


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_nothing_is_found_within_a_second(target: str) -> None:
    rounds, found = fuzz.fuzz(target, 1.0, int(os.environ.get("POSTHOUSE_SEED", "1")))
    assert found == ""
    assert rounds > 20
