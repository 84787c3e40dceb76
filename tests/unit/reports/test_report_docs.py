"""docs/figures.md, the comments in the database and the definitions say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cti.reports.metrics import METRICS

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
SQL = "\n".join(
    (ROOT / "cti" / "store" / "migrations" / name).read_text(encoding="utf-8")
    for name in ("0010_reports.sql", "0017_recount.sql")
)


def table(heading: str) -> list[list[str]]:
    """The first table under a heading."""
    part = DOCS.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_figure_is_in_the_docs_as_it_is_defined() -> None:
    assert table("Figures\n") == [
        [f"`{metric.name}`", metric.unit.value, metric.amount.grain.value, metric.texts["en"]]
        for metric in METRICS.values()
    ]


@pytest.mark.parametrize("view", ["visits", "talks", "agent_times", "half_hours"])
def test_columns_of_views_are_documented_and_commented_in_the_same_words(view: str) -> None:
    commented = re.findall(rf"COMMENT ON COLUMN report\.{view}\.(\w+) IS '((?:[^']|'')*)';", SQL)
    assert [[f"`{name}`", text.replace("''", "'")] for name, text in commented] == table(f"`report.{view}`")
    # The last definition counts: columns are only ever added at the end.
    defined = re.split(rf"CREATE (?:OR REPLACE )?VIEW report\.{view} AS\nSELECT ", SQL)[-1].split("\n  FROM ", 1)[0]
    names = [column.strip().split(" AS ")[-1] for column in defined.split(",\n")]
    assert names == [name for name, _ in commented]


def test_every_table_and_column_has_a_comment() -> None:
    for name, body in re.findall(r"CREATE TABLE (cti\.\w+) \(\n(.*?)\n\);", SQL, re.DOTALL):
        assert f"COMMENT ON TABLE {name} IS" in SQL
        columns = [line.split()[0] for line in body.splitlines() if not line.strip().startswith("PRIMARY KEY")]
        for column in columns:
            assert f"COMMENT ON COLUMN {name}.{column} IS" in SQL, f"{name}.{column}"
