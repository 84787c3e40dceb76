"""What a start loads, counted in modules: every restart after a fault pays for each of them while callers wait."""

from __future__ import annotations

import subprocess
import sys

import pytest

WHEN_USED = (
    "alembic", "cryptography.x509", "holidays", "jinja2", "joserfc", "numpy", "openpyxl", "playwright", "reportlab",
    "sqlalchemy", "typer",
)  # fmt: skip
"""Libraries that answer no call: the first use loads them, not the start."""
MOST_OF_OTHERS = 780
"""Modules of others (the standard library, too) that a bridge loads: 722 when this was written."""
MOST_FOR_HELP = 420
"""Modules that `cti --help` loads: 364 when this was written."""


def loaded(statement: str) -> list[str]:
    """What a fresh process has loaded after that statement."""
    told = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sorted(sys.modules), sep='\\n')"],
        capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    return told.stdout.split()


@pytest.fixture(scope="module")
def of_the_bridge():
    return loaded("import cti.app")


def test_a_bridge_loads_nothing_that_answers_no_call(of_the_bridge):
    assert set(WHEN_USED) & set(of_the_bridge) == set()


def test_what_a_bridge_loads_of_others_does_not_grow_unseen(of_the_bridge):
    others = [name for name in of_the_bridge if name.split(".")[0] != "cti"]
    assert len(others) < MOST_OF_OTHERS


def test_help_loads_neither_the_bridge_nor_what_it_is_made_of():
    found = loaded("import cti.cli")
    assert {"cti.app", "cti.up", "aiohttp", "asyncpg", "cti.services", "cti.store", "cti.web"} & set(found) == set()
    assert len(found) < MOST_FOR_HELP
