"""How tests wait for what a page says."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = "wait_for_" + "function("


def test_no_page_is_had_to_read_a_text_as_a_program() -> None:
    """The pages' policy forbids it from the second look on: such a wait passes where the page was ready at the first, and only there.
    `tests.support.pages.comes_true` asks from outside."""
    files = [file for folder in ("tests", "benchmarks", "docs") for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    assert [str(file) for file in files if FORBIDDEN in file.read_text(encoding="utf-8")] == []
