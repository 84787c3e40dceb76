"""A little of the fuzzing in every run; `python -m tests.fuzz.fuzz` is the long one."""

from __future__ import annotations

import pytest

from tests.fuzz.decoder_targets import TARGETS
from tests.fuzz.fuzz import fuzz

RUNS = 600


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_documented_errors_and_nothing_slow(name: str) -> None:
    runs = max(25, RUNS // TARGETS[name].share)
    tried, _ = fuzz(TARGETS[name], runs=runs, seconds=0, seed=1)
    assert tried == runs
