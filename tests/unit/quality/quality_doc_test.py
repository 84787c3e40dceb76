"""What docs/quality.md says is so: keys, columns and the example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cti.quality.forms import plain, read_form
from cti.quality.sampling import Plan, PlanKind
from cti.quality.sampling import plain as plain_plan

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")


def test_the_example_of_a_form_is_read_and_every_key_is_told() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    form = read_form(json.loads(example))
    body = plain(form)
    keys = {*body, *body["sections"][0], *(key for item in body["sections"][0]["items"] for key in item), "hint"}
    assert {key for key in keys if f"`{key}`" not in TEXT} == set()


def test_every_key_of_a_plan_and_every_kind_is_told() -> None:
    keys = set(plain_plan(Plan(title="x", kind=PlanKind.RANDOM, form_id=1))) - {"title"}
    assert {key for key in {*keys, *PlanKind} if f"`{key}`" not in TEXT} == set()


@pytest.mark.parametrize("view", ["quality_scores", "quality_items"])
def test_columns_of_the_views_are_all_there_in_their_order(view: str) -> None:
    sql = (ROOT / "cti" / "store" / "migrations" / "0012_quality.sql").read_text(encoding="utf-8")
    section = TEXT.partition(f"## `report.{view}`")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert told == re.findall(rf"COMMENT ON COLUMN report\.{view}\.(\w+) IS", sql)
