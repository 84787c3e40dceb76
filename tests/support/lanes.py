"""How the real tests are spread over processes: which files have any, and how long each takes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

REAL = "mark.real"
"""What a file with real tests has in it."""

SECONDS = {
    "test_moving_calls.py": 195,
}
"""What files of the lane that runs several at a time take, in seconds, where it is more than `USUAL`. They begin in this order."""
USUAL = 20.0


def without_real_tests(path: Path, expression: str) -> bool:
    """Whether a file of tests need not be read for the tests that this expression of marks chooses."""
    return (
        expression.startswith("real") and path.suffix == ".py" and path.name != "conftest.py" and not names_real(path)
    )


@cache
def names_real(path: Path) -> bool:
    """Whether a file has, or could have, real tests."""
    return path.is_file() and REAL in path.read_text(encoding="utf-8")


def seconds_of(name: str) -> float:
    """About how long the file of this name takes."""
    return SECONDS.get(name, USUAL)
