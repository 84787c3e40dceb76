"""How tests are spread over processes: which files have real ones and how long each takes, and which only compute; and which tests
take so long that who wants to know quickly does without."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

REAL = "mark.real"
"""What a file with real tests has in it."""

SECONDS = {
    "test_browser_reports.py": 285,
    "test_axe.py": 218,
    "test_moving_calls.py": 195,
    "test_order_status.py": 177,
    "test_browser_desk.py": 159,
    "test_callbacks.py": 146,
    "test_browser_line.py": 145,
    "test_supervise.py": 137,
    "test_recordings.py": 123,
    "asterisk_calls_test.py": 120,
    "test_ring_all.py": 112,
    "test_record_prompts.py": 108,
    "test_api_schema_floor.py": 106,
    "test_recording_kinds.py": 97,
    "test_serve.py": 86,
    "test_more_steps.py": 85,
    "agi_calls_test.py": 84,
    "asterisk_redirect_test.py": 80,
    "test_browser_together.py": 80,
    "test_live_configuration.py": 80,
    "test_drain_exactly_once.py": 78,
    "test_browser_floor.py": 78,
    "test_work_page.py": 77,
    "test_up.py": 76,
    "test_flow_versions.py": 69,
    "test_units.py": 69,
    "test_sip_flood.py": 69,
    "test_limits.py": 68,
    "test_hostile_texts.py": 66,
    "test_announcements.py": 65,
    "test_dialling.py": 63,
    "test_browser_supervise.py": 58,
    "test_browser_agent.py": 43,
    # Two at a time:
    "test_walk.py": 95,
    "test_recount.py": 85,
    "test_browser_refresh.py": 79,
    "test_survival.py": 76,
    "test_calls.py": 75,
    "test_faults.py": 220,
    "test_standby.py": 75,
    "test_chains.py": 40,
    "test_bridge_killed.py": 63,
    "asterisk_announce_test.py": 54,
    "test_browser_pop.py": 50,
}
"""What a file of real tests takes, in seconds, where it is more than `USUAL`; by and large. The longest of a lane begins first."""
USUAL = 30
"""A file that is not known is new, and may be long."""


TESTS = Path(__file__).resolve().parents[1]
COMPUTING = (
    "property/acd", "property/casework", "property/ivr", "property/model", "property/quality", "property/reports", "property/services",
    "unit/acd", "unit/casework", "unit/ivr", "unit/model", "unit/quality", "unit/report_office", "unit/reports", "unit/simulate",
    "unit/staffing",
)  # fmt: skip
"""Folders whose tests only compute. They may be interrupted for as long as one likes, and get the time that no other wants."""
CLOCKS = ("monotonic()", "perf_counter", "process_time", "sleep(", "subprocess", "asyncio.timeout", "wait_for(", REAL)
"""What a file of tests that only compute has none of."""


LONGEST = TESTS / "longest_tests.txt"
"""What `make check` leaves to `make test`; written by `tests/longest.py`."""


@cache
def longest() -> frozenset[str]:
    """The names of the functions in `LONGEST`, as pytest writes them without what they are given."""
    lines = LONGEST.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def is_long(nodeid: str) -> bool:
    """Whether a test is one of those."""
    return nodeid.partition("[")[0] in longest()


def not_chosen(path: Path, expression: str) -> bool:
    """Whether a file of tests need not be read for the tests that this expression of marks chooses."""
    if path.suffix != ".py" or path.name == "conftest.py":
        return False
    if expression.startswith("real"):
        return not names_real(path)
    if expression.startswith("not real") and wholly_real(path):
        return True
    if gets_what_is_left(expression):
        return not only_computes(path)
    return "not computing" in expression and only_computes(path)


def gets_what_is_left(expression: str) -> bool:
    """Whether the tests chosen by this expression of marks run in the time that no other wants."""
    return expression.startswith("computing")


@cache
def only_computes(path: Path) -> bool:
    """Whether the tests of a file only compute. Raises `ValueError` for a file in such a folder that looks at a clock."""
    if not any(path.is_relative_to(TESTS / folder) for folder in COMPUTING):
        return False
    text = path.read_text(encoding="utf-8")
    if found := [word for word in CLOCKS if word in text]:
        raise ValueError(f"{path}: tests that only compute have no {found[0]} (tests/support/lanes.py)")
    return True


@cache
def names_real(path: Path) -> bool:
    """Whether a file has, or could have, real tests."""
    return path.is_file() and REAL in path.read_text(encoding="utf-8")


@cache
def wholly_real(path: Path) -> bool:
    """Whether a file says that every test in it is real."""
    return (
        path.is_file() and re.search(rf"^pytestmark = .*{REAL}\b", path.read_text(encoding="utf-8"), re.M) is not None
    )


def seconds_of(name: str) -> int:
    """About how long the file of this name takes."""
    return SECONDS.get(name, USUAL)
