"""Forms, scores, agreement and surveys by example."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cti.quality.agreement import compare, icc, weighted_kappa
from cti.quality.example import EXAMPLE
from cti.quality.forms import QualityInvalid, read_form
from cti.quality.sampling import PlanKind, read_plan
from cti.quality.sampling import plain as plain_plan
from cti.quality.scoring import marks, problems_of
from cti.quality.surveys import Votes, scores, share
from cti.reports.survey_scale import Scale, scale_of

GOOD: dict[str, int | str] = {
    "greeting": "yes", "identity": "yes", "listening": 5, "questions": 5, "correct": "right", "solved": 5, "hold": "na",
    "friendly": 5, "respect": "yes", "summary": "yes", "farewell": "yes",
}  # fmt: skip


def test_the_shipped_form_speaks_both_languages_everywhere() -> None:
    form = read_form(EXAMPLE)
    told: list[Any] = [form, *form.sections, *form.items, *(choice for item in form.items for choice in item.choices)]
    assert all(set(one.titles) == {"en", "zh"} for one in told)
    assert all(set(item.hint) in (set(), {"en", "zh"}) for item in form.items)
    assert {item.kind for item in form.items} == {"scale", "yes_no", "choice"}
    assert {item.fatal for item in form.items} == {"none", "section", "form"}
    assert sum(section.weight for section in form.sections) == 100


@pytest.mark.parametrize(
    ("change", "total", "passed"),
    [
        ({}, 100.0, True),
        ({"farewell": "no"}, 95.0, True),  # half of a section of 10
        ({"identity": "no"}, 85.0, True),  # fatal: the section of 15 is lost
        ({"identity": "na", "greeting": "no"}, 85.0, True),
        ({"correct": "incomplete"}, 93.0, True),  # 35 x 0.4 x 2 of 4
        ({"listening": 3}, 93.75, True),  # 25 x half of half
        ({"correct": "wrong", "solved": 1}, 65.0, False),
        ({"respect": "no"}, 0.0, False),
    ],
)
def test_what_a_call_is_worth(change: dict[str, Any], total: float, passed: bool) -> None:
    found = marks(read_form(EXAMPLE), {**GOOD, **change})
    assert (found.total, found.passed) == (total, passed)


def test_a_draft_counts_what_is_there() -> None:
    form = read_form(EXAMPLE)
    assert marks(form, {}).total is None
    found = marks(form, {"listening": 5, "friendly": 1})
    assert found.total == pytest.approx(100 * 25 / 40)
    assert len(found.missing) == len(form.items) - 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("listening", 0), ("listening", 6), ("listening", "5"), ("listening", "na"), ("greeting", "na"), ("greeting", 1),
     ("greeting", "YES"), ("correct", "best"), ("nothing", 1), ("questions", True)],
)  # fmt: skip
def test_answers_that_do_not_fit_are_told(name: str, value: object) -> None:
    assert [one.field for one in problems_of(read_form(EXAMPLE), {**GOOD, name: value})] == [f"answers.{name}"]


@pytest.mark.parametrize(
    ("place", "value", "field"),
    [
        ("passing", 101, "passing"),
        ("sections", [], "sections"),
        ("sections.0.items", [], "sections[0].items"),
        ("sections.0.weight", -1, "sections[0].weight"),
        ("sections.0.items.1.name", "greeting", "sections[0].items[1].name"),
        ("sections.0.items.0.name", "Gré", "sections[0].items[0].name"),
        ("sections.0.items.0.fatal", "very", "sections[0].items[0].fatal"),
        ("sections.1.items.0.most", 1, "sections[1].items[0].most"),
        ("sections.2.items.0.choices", [], "sections[2].items[0].choices"),
        ("sections.2.items.0.choices.0.name", "na", "sections[2].items[0].choices"),
        ("sections.2.items.0.choices.0.share", 2, "sections[2].items[0].choices[0].share"),
        ("titles", {"fr": "Appel"}, "titles.fr"),
        ("colour", "red", "colour"),
    ],
)
def test_what_is_wrong_with_a_form_is_named_by_its_place(place: str, value: Any, field: str) -> None:
    body: Any = copy.deepcopy(EXAMPLE)
    at = body
    *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in path:
        at = at[part]
    at[last] = value
    with pytest.raises(QualityInvalid) as raised:
        read_form(body)
    assert field in [one.field for one in raised.value.problems]
    assert raised.value.remedy


@pytest.mark.parametrize(
    "body", [None, [], 7, "form", {}, {"sections": 3}, {"sections": [3]}, {"sections": [{"items": [None]}]}]
)
def test_what_is_no_form_at_all_is_refused(body: object) -> None:
    with pytest.raises(QualityInvalid):
        read_form(body)


def test_something_must_count() -> None:
    body = copy.deepcopy(EXAMPLE)
    for section in body["sections"]:
        section["weight"] = 0
    with pytest.raises(QualityInvalid, match="something must count"):
        read_form(body)


def test_plans_are_read_and_what_the_centre_does_not_have_is_told() -> None:
    known: dict[str, Any] = {"queues": ["support"], "tiers": ["gold"], "agents": ["1001"]}
    body = {"title": "Weekly", "kind": "random", "form_id": 1, "queues": ["support"], "agents": ["1001"]}
    plan = read_plan(body, **known)
    assert (plan.kind, plan.per_agent, plan.period) == (PlanKind.RANDOM, 2, "week")
    assert read_plan(plain_plan(plan), **known) == plan
    with pytest.raises(QualityInvalid) as raised:
        read_plan({**body, "queues": ["nowhere"], "kind": "some", "per_agent": 0, "x": 1}, **known)
    assert [one.field for one in raised.value.problems] == ["kind", "per_agent", "queues[0]", "x"]


def test_icc_and_kappa_of_the_books() -> None:
    # Shrout and Fleiss 1979, table 2: six targets, four judges; ICC(2,1) = 0.29.
    table = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert icc([[float(value) for value in row] for row in table]) == pytest.approx(0.2898, abs=1e-4)
    # Two raters, one always a step higher: chance would do worse.
    assert weighted_kappa([(1, 2), (2, 3), (3, 4), (4, 5)]) == pytest.approx(1 - 1 / 3.5)
    assert weighted_kappa([(1, 1), (5, 5)]) == 1
    assert weighted_kappa([(1, 5), (5, 1)]) == pytest.approx(-1)
    assert weighted_kappa([(3, 3), (3, 3)]) is None


def test_scorers_are_compared_item_by_item() -> None:
    found = compare(
        ["a", "b", "c"],
        {"ann": {"a": 5, "b": "yes", "c": "na"}, "ben": {"a": 3, "b": "yes", "c": "na"}, "cleo": {"a": 5, "b": "no"}},
        {"ann": {"a": 1.0, "b": 1.0, "c": None}, "ben": {"a": 0.5, "b": 1.0, "c": None}, "cleo": {"a": 1.0, "b": 0.0}},
        {"ann": 100.0, "ben": 75.0, "cleo": 50.0},
    )
    assert [one.agreement for one in found.items] == [pytest.approx(1 / 3), pytest.approx(1 / 3), 1.0]
    assert [one.spread for one in found.items] == [0.5, 1.0, None]
    assert [(pair.one, pair.other, pair.items, pair.agreement) for pair in found.pairs] == [
        ("ann", "ben", 3, pytest.approx(2 / 3)), ("ann", "cleo", 2, 0.5), ("ben", "cleo", 2, 0.0),
    ]  # fmt: skip
    assert found.spread == 50.0
    assert found.icc is not None


def test_survey_scales_and_ranges() -> None:
    usual, long = Scale(least=1, most=5), Scale(least=0, most=9)
    assert scale_of("q", 1, 4) == usual
    assert scale_of("q", 0, 5) == scale_of("q", 3, 9) == scale_of("nps", 3, 4) == long
    assert scale_of("q", 1, 3, 1, 3) == Scale(least=1, most=3)
    few = scores({5: 3, 1: 1}, usual, Votes(ratings=4, satisfied=3))
    assert (few.mean.value, few.mean.low, few.csat.share, few.nps.value) == (4.0, None, 0.75, None)
    asked = scores({9: 3, 1: 1}, long, Votes(recommendations=4, promoters=3, detractors=1))
    assert (asked.csat.share, asked.nps.value) == (None, 50.0)
    # Wilson's interval of 8 in 10, as the books have it.
    found = share(8, 10)
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)
    assert share(0, 20).low == 0
