"""Writes down which tests take longest: those that `make check` leaves to `make test`.

    CTI_HYPOTHESIS=brief python -m pytest -n logical -m "not real" --junit-xml=.build/check.xml
    python -m tests.longest .build/check.xml

Functions are left out, longest first, until what is left is `--leave` seconds of work. A list in the tree, and not what took long on
this machine the last time: everybody's `make check` says the same.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from collections import Counter

from tests.support.lanes import LONGEST, TESTS

KEPT = "tests/architecture/"
"""What the house stands on is looked at every time."""
HEAD = "# The tests that take longest, which `make check` leaves to `make test`; written by tests/longest.py.\n"


def nodeid(classname: str, name: str) -> str:
    """`tests/unit/a_test.py::test_b` of JUnit's `tests.unit.a_test` and `test_b[of this]`."""
    parts = classname.split(".")
    for length in range(len(parts), 0, -1):
        file = "/".join(parts[:length]) + ".py"
        if (TESTS.parent / file).is_file():
            return "::".join([file, *parts[length:], name.partition("[")[0]])
    raise SystemExit(f"{classname} is no file of tests here")


def main() -> None:
    """Read the run's file, write the list."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("report", help="the JUnit file of a run of all tests that need nothing real")
    asked.add_argument(
        "--leave", type=float, default=55.0, help="seconds of work that stay in `make check` (%(default)s)"
    )
    given = asked.parse_args()
    took: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for case in ET.parse(given.report).getroot().iter("testcase"):
        which = nodeid(case.get("classname", ""), case.get("name", ""))
        took[which] += float(case.get("time", 0))
        tests[which] += 1
    left, long = sum(took.values()), []
    # Those that take longest for what they look at: many short ones of one function are worth more than one long one.
    for which in sorted(took, key=lambda one: -took[one] / tests[one] ** 0.5):
        if left <= given.leave:
            break
        if which.startswith(KEPT):
            continue
        left -= took[which]
        long.append(which)
    LONGEST.write_text(HEAD + "".join(f"{which}\n" for which in sorted(long)), encoding="utf-8")
    print(f"{sum(tests[one] for one in long)} tests of {len(long)} functions are long; {left:.0f} s of work are left")


if __name__ == "__main__":
    main()
