"""Each fuzzing target runs for a moment, so that a fault that is easy to find is found by every run of the tests."""

from __future__ import annotations

import math
import os

import pytest

from tests.properties import fuzz

ROUNDS = {"parser": 1000, "headers": 1000, "query": 3000, "addresses": 3000}


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_nothing_is_found_in_a_thousand_rounds(target: str) -> None:
    rounds, found = fuzz.fuzz(target, math.inf, int(os.environ.get("POSTHOUSE_SEED", "1")), ROUNDS[target])
    assert found == ""
    assert rounds == ROUNDS[target]
