"""Every test that the threat model names is there, and no threat stands without one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w./]+)(?:::(\w+))?`", TEXT)


def test_every_named_test_exists() -> None:
    missing = []
    for path, function in NAMED:
        place = ROOT / path
        if not place.exists() or (function and f"def {function}(" not in place.read_text(encoding="utf-8")):
            missing.append(f"{path}::{function}")
    assert missing == []
    assert len(NAMED) > 35


def test_every_threat_has_a_defence_and_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("|") and line.count("|") == 4]
    threats = [line for line in rows if "tests/" in line]
    heads = {"threat", "attack or fault", "who"}
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in heads or set(cells[0]) <= {"-"} or line in threats:
            continue
        assert any(f"| {cells[0]} |" in row for row in TEXT.split("## The log-in")[0].splitlines()), line
    assert all(cell.strip() for line in threats for cell in line.strip("|").split("|"))
