"""A little of the fuzzing in every run; `python -m tests.fuzz.fuzz` is the long one."""

from __future__ import annotations

import pytest

from tests.fuzz.fuzz import fuzz
from tests.fuzz.fuzz_targets import TARGETS

RUNS = {"flow_text": 25}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_documented_errors_and_nothing_slow(name: str) -> None:
    tried, _ = fuzz(TARGETS[name], runs=RUNS.get(name, 1500), seconds=0, seed=1)
    assert tried >= RUNS.get(name, 1500)
