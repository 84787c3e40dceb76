"""How the real tests are spread over processes: which files have any, and how long each takes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

REAL = "mark.real"
"""What a file with real tests has in it."""

SECONDS = {
    "test_moving_calls.py": 195,
    "test_callbacks.py": 146,
    "test_browser_line.py": 145,
    "test_supervise.py": 137,
    "test_recordings.py": 123,
    "asterisk_calls_test.py": 120,
    "test_up.py": 120,
    "test_ring_all.py": 112,
    "test_order_status.py": 110,
    "test_browser_reports.py": 102,
    "test_announcements.py": 65,
    "test_browser_desk.py": 94,
    "test_axe.py": 87,
    "test_serve.py": 86,
    "test_browser_agent.py": 43,
    "asterisk_redirect_test.py": 80,
    "test_limits.py": 68,
    "test_more_steps.py": 65,
    "agi_calls_test.py": 64,
    "test_browser_together.py": 64,
    "test_dialling.py": 63,
    "test_browser_supervise.py": 58,
    "test_work_page.py": 58,
    "test_drain_exactly_once.py": 51,
    "test_flow_versions.py": 50,
    "test_record_prompts.py": 47,
    "test_browser_floor.py": 47,
    "test_live_configuration.py": 41,
    "test_api_schema_floor.py": 39,
    # Two at a time:
    "test_walk.py": 95,
    "test_recount.py": 85,
    "test_browser_refresh.py": 79,
    "test_survival.py": 76,
    "test_calls.py": 75,
    "test_faults.py": 220,
    "test_standby.py": 75,
    "test_bridge_killed.py": 63,
    "asterisk_announce_test.py": 54,
    "test_browser_pop.py": 50,
}
"""What a file of real tests takes, in seconds, where it is more than `USUAL`; by and large. The longest of a lane begins first."""
USUAL = 30
"""A file that is not known is new, and may be long."""


def without_real_tests(path: Path, expression: str) -> bool:
    """Whether a file of tests need not be read for the tests that this expression of marks chooses."""
    return (
        expression.startswith("real") and path.suffix == ".py" and path.name != "conftest.py" and not names_real(path)
    )


@cache
def names_real(path: Path) -> bool:
    """Whether a file has, or could have, real tests."""
    return path.is_file() and REAL in path.read_text(encoding="utf-8")


def seconds_of(name: str) -> int:
    """About how long the file of this name takes."""
    return SECONDS.get(name, USUAL)
