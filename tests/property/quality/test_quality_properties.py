"""Arithmetic of forms, the draw, agreement and surveys, for whatever forms, answers and calls there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product
from statistics import fmean
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cti.quality import surveys
from cti.quality.agreement import icc, percent_agreement, weighted_kappa
from cti.quality.forms import Choice, Fatal, Form, Item, ItemKind, Section, plain, read_form
from cti.quality.sampling import Candidate, Period, Plan, PlanKind, draw, owed, period_of, share_out
from cti.quality.scoring import marks, problems_of
from cti.reports.metrics import METRICS
from cti.reports.survey_scale import Scale, amounts_of

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
TITLES = {"en": "Something"}
weights = st.sampled_from([0.0, 0.5, 1.0, 3.0, 17.0])


@st.composite
def items(draw_: Any, name: str) -> Item:
    kind = draw_(st.sampled_from(list(ItemKind)))
    least = draw_(st.integers(0, 4))
    shares = draw_(st.lists(st.sampled_from([0.0, 0.25, 0.6, 1.0]), min_size=2, max_size=4))
    return Item(
        name=name,
        titles=TITLES,
        kind=kind,
        weight=draw_(weights),
        least=least if kind is ItemKind.SCALE else 0,
        most=least + draw_(st.integers(1, 5)) if kind is ItemKind.SCALE else 0,
        choices=tuple(Choice(name=f"c{n}", titles=TITLES, share=share) for n, share in enumerate(shares))
        if kind is ItemKind.CHOICE
        else (),
        fatal=draw_(st.sampled_from(list(Fatal))),
    )


@st.composite
def forms(draw_: Any) -> Form:
    sections = []
    for number in range(draw_(st.integers(1, 4))):
        inside = [draw_(items(f"i{number}_{n}")) for n in range(draw_(st.integers(1, 4)))]
        sections.append(Section(name=f"s{number}", titles=TITLES, items=tuple(inside), weight=draw_(weights)))
    form = Form(titles=TITLES, sections=tuple(sections), passing=draw_(st.sampled_from([0.0, 60.0, 80.0, 100.0])))
    assume(any(s.weight > 0 and any(i.weight > 0 for i in s.items) for s in form.sections))
    return form


def possible(item: Item) -> list[int | str]:
    """Answers from worst to best."""
    if item.kind is ItemKind.SCALE:
        return list(range(item.least, item.most + 1))
    if item.kind is ItemKind.YES_NO:
        return ["no", "yes"]
    return [choice.name for choice in sorted(item.choices, key=lambda one: one.share)]


@st.composite
def scored(draw_: Any, na: bool = True) -> tuple[Form, dict[str, int | str]]:
    form = draw_(forms())
    answers = {item.name: draw_(st.sampled_from([*possible(item), *(["na"] if na else [])])) for item in form.items}
    return form, answers


@given(forms())
def test_a_form_written_is_read_again_as_it_was(form: Form) -> None:
    assert read_form(plain(form)) == form


@given(scored())
def test_totals_and_sections_stay_within_their_bounds(one: tuple[Form, dict[str, int | str]]) -> None:
    form, answers = one
    assert problems_of(form, answers) == []
    found = marks(form, answers)
    assert found.total is None or 0 <= found.total <= 100
    assert all(section.score is None or 0 <= section.score <= 100 for section in found.sections)
    assert found.missing == ()
    if found.total is not None:
        assert found.passed is (found.total >= form.passing and not fatal(form, found.failed))


def fatal(form: Form, failed: tuple[str, ...]) -> bool:
    return any(item.fatal is Fatal.FORM for item in form.items if item.name in failed)


@given(scored(na=False), st.data())
def test_a_better_answer_never_lowers_the_total(one: tuple[Form, dict[str, int | str]], data: st.DataObject) -> None:
    form, answers = one
    item = data.draw(st.sampled_from(form.items))
    order = possible(item)
    place = data.draw(st.integers(0, len(order) - 2))
    worse = marks(form, {**answers, item.name: order[place]})
    better = marks(form, {**answers, item.name: order[place + 1]})
    assert worse.total is not None
    assert better.total is not None
    assert worse.total <= better.total


@given(scored())
def test_what_does_not_apply_counts_as_if_the_form_did_not_have_it(one: tuple[Form, dict[str, int | str]]) -> None:
    form, answers = one
    left = tuple(
        replace(section, items=inside)
        for section in form.sections
        if (inside := tuple(item for item in section.items if answers[item.name] != "na"))
    )
    without = marks(replace(form, sections=left), {k: v for k, v in answers.items() if v != "na"})
    assert without.total == marks(form, answers).total


@given(scored(na=False), st.data())
def test_failing_what_is_fatal_zeroes_its_part(one: tuple[Form, dict[str, int | str]], data: st.DataObject) -> None:
    form, answers = one
    section = data.draw(st.sampled_from(form.sections))
    item = data.draw(st.sampled_from(section.items))
    assume(item.fatal is not Fatal.NONE)
    assume(item.kind is not ItemKind.CHOICE or min(choice.share for choice in item.choices) == 0)
    found = marks(form, {**answers, item.name: possible(item)[0]})
    assert item.name in found.failed
    if item.fatal is Fatal.FORM:
        assert found.total == 0
        assert found.passed is False
    else:
        assert next(one.score for one in found.sections if one.name == section.name) == 0


@given(forms())
def test_all_best_is_a_hundred(form: Form) -> None:
    best = {item.name: possible(item)[-1] for item in form.items}
    assume(all(item.kind is not ItemKind.CHOICE or max(c.share for c in item.choices) == 1 for item in form.items))
    found = marks(form, best)
    assert (found.total, found.passed) == (100, True)


# -- the draw ----------------------------------------------------------------------------------------------------------

calls = st.lists(
    st.builds(
        Candidate,
        call_id=st.integers(0, 60).map(lambda n: f"c{n}"),
        agent=st.sampled_from(["1001", "1002", "1003", "1004"]),
        queue=st.sampled_from(["support", "sales"]),
        tier=st.sampled_from(["gold", "standard"]),
        at=st.integers(0, 10_000).map(lambda n: T0 + timedelta(minutes=n)),
        talk_seconds=st.sampled_from([5.0, 60.0, 400.0]),
        hold_seconds=st.sampled_from([0.0, 119.0, 120.0, 300.0]),
        question=st.just("friendly"),
        score=st.none() | st.integers(1, 5),
        complaint_id=st.none() | st.integers(1, 9),
        agent_since=st.none() | st.integers(0, 60).map(lambda n: T0 - timedelta(days=n)),
    ),
    max_size=80,
)
plans = st.builds(
    Plan,
    title=st.just("A plan"),
    kind=st.sampled_from(list(PlanKind)),
    form_id=st.just(1),
    per_agent=st.integers(1, 5),
    period=st.sampled_from(list(Period)),
    queues=st.sampled_from([(), ("support",)]),
    tiers=st.sampled_from([(), ("gold",)]),
)


@given(plans, calls, st.integers(0, 9), st.integers(0, 6), st.sets(st.tuples(st.just("c1"), st.just("1001"))))
def test_a_draw_is_fair_explained_without_doubles_and_the_same_again(
    plan: Plan, found: list[Candidate], seed: int, quota: int, taken: set[tuple[str, str]]
) -> None:
    start = date(2026, 3, 2)

    def drawing(candidates: list[Candidate]) -> Any:
        return draw(plan, candidates, seed=seed, plan_id=7, start=start, quota=quota, taken=taken)

    drawn = drawing(found)
    keys = [(one.call_id, one.agent) for one in drawn]
    assert len(keys) == len(set(keys))
    assert not set(keys) & taken
    by_agent = Counter(agent for _, agent in keys)
    assert all(n <= quota for n in by_agent.values())
    # Whoever has fewer than the others has no more calls that fit.
    for agent in {one.agent for one in found}:
        left = draw(
            plan, found, seed=seed, plan_id=7, start=start, quota=1000, taken={*taken, *keys},
        )  # fmt: skip
        assert by_agent[agent] == quota or not any(one.agent == agent for one in left)
    for one in drawn:
        assert one.why["kind"] == plan.kind
        assert 1 <= one.why["lot"] <= one.why["among"]  # type: ignore[operator]
    if len({(one.call_id, one.agent) for one in found}) == len(found):
        assert drawing(found[::-1]) == drawn


@given(
    st.integers(1, 20), st.sampled_from(list(Period)), st.dates(date(2025, 1, 1), date(2027, 1, 1)), st.integers(-3, 12)
)
def test_a_share_grows_day_by_day_to_the_whole(per_agent: int, period: Period, day: date, ahead: int) -> None:
    plan = Plan(title="x", kind=PlanKind.RANDOM, form_id=1, per_agent=per_agent, period=period)
    start, end = period_of(day, period)
    assert start <= day < end
    until = day + timedelta(days=ahead)
    assert 0 <= owed(plan, start, end, until) <= owed(plan, start, end, until + timedelta(days=1)) <= per_agent
    assert owed(plan, start, end, end) == per_agent


@given(
    calls,
    st.lists(st.sampled_from(["ann", "ben", "1001"]), unique=True),
    st.dictionaries(st.sampled_from(["ann", "ben"]), st.integers(0, 5)),
)
def test_work_is_shared_out_evenly_and_nobody_scores_themselves(
    found: list[Candidate], scorers: list[str], load: dict[str, int]
) -> None:
    drawn = draw(
        Plan(title="x", kind=PlanKind.RANDOM, form_id=1, least_talk_seconds=0), found,
        seed=1, plan_id=1, start=date(2026, 3, 2), quota=9,
    )  # fmt: skip
    to = share_out(drawn, scorers, load)
    assert all(agent != scorer for (_, agent), scorer in to.items())
    strangers = [one for one in scorers if not one.isdigit()]
    if strangers and strangers == scorers:
        assert len(to) == len(drawn)
        ends = {one: load.get(one, 0) + list(to.values()).count(one) for one in strangers}
        begun = [one for one in strangers if one in to.values()]
        assert all(ends[one] <= ends[other] + 1 for one in begun for other in strangers)


# -- agreement ---------------------------------------------------------------------------------------------------------

ratings = st.lists(st.tuples(st.integers(1, 5).map(float), st.integers(1, 5).map(float)), min_size=1, max_size=30)


@given(st.lists(st.none() | st.integers(1, 3), max_size=8))
def test_percent_agreement_is_the_share_of_equal_pairs(said: list[int | None]) -> None:
    given_ = [one for one in said if one is not None]
    pairs = list(combinations(given_, 2))
    found = percent_agreement(said)
    assert found == (sum(a == b for a, b in pairs) / len(pairs) if pairs else None)


@given(ratings)
def test_weighted_kappa_is_one_less_observed_over_chance(pairs: list[tuple[float, float]]) -> None:
    by_chance = fmean((a - b) ** 2 for (a, _), (_, b) in product(pairs, pairs))
    found = weighted_kappa(pairs)
    if by_chance == 0:
        assert found is None
    else:
        assert found == pytest.approx(1 - fmean((a - b) ** 2 for a, b in pairs) / by_chance)
        assert found <= 1 + 1e-9
        assert weighted_kappa([(b, a) for a, b in pairs]) == pytest.approx(found)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=10), st.integers(2, 5))
def test_whoever_says_the_same_agrees_wholly(values: list[int], raters: int) -> None:
    found = icc([[float(value)] * raters for value in values])
    assert found is None if len(set(values)) == 1 else found == pytest.approx(1)


@given(
    st.lists(st.lists(st.integers(1, 5).map(float), min_size=3, max_size=3), min_size=2, max_size=8),
    st.permutations([0, 1, 2]),
)
def test_the_order_of_raters_and_things_does_not_matter(table: list[list[float]], order: list[int]) -> None:
    found = icc(table)
    again = icc([[row[k] for k in order] for row in table[::-1]])
    assert (found is None) == (again is None)
    if found is not None:
        assert found <= 1 + 1e-9
        assert again == pytest.approx(found)


# -- surveys -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_lies_in_its_range(count: int, more: int) -> None:
    found = surveys.share(count, count + more)
    if count + more == 0:
        assert found.share is None
        return
    assert found.low is not None
    assert found.high is not None
    assert found.share is not None
    assert 0 <= found.low <= found.share <= found.high <= 1
    wider = surveys.share(count * 4, (count + more) * 4)
    assert wider.low is not None
    assert wider.high is not None
    assert wider.high - wider.low <= found.high - found.low + 1e-12


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(0, 9), st.integers(0, 40)),
    st.sampled_from([(1, 5), (0, 9)]),
    st.sampled_from(["solved", "nps"]),
)
def test_survey_figures_are_those_of_the_answers_one_by_one(
    counts: dict[int, int], ends: tuple[int, int], question: str
) -> None:
    """And the same as in the reports, which add up what each answer says."""
    least, most = ends
    each = [key for key, n in counts.items() if least <= key <= most for _ in range(n)]
    votes = surveys.Votes()
    told = [amounts_of(question, one, least, most) for one in each]
    for amounts in told:
        votes += surveys.Votes(
            ratings=amounts["ratings"], satisfied=amounts["satisfied"], recommendations=amounts["nps_answers"],
            promoters=int(amounts["nps_net"] == 1), detractors=int(amounts["nps_net"] == -1),
        )  # fmt: skip
    found = surveys.scores(counts, Scale(least=least, most=most), votes)
    assert found.answers == len(each) == sum(found.counts.values())
    assert set(found.counts) == set(range(least, most + 1))
    if not each:
        assert found.nps.value is found.mean.value is None
        return
    assert found.mean.value == pytest.approx(fmean(each))
    good = {(1, 5): {4, 5}, (0, 9): {7, 8, 9}}[ends]
    up = {(1, 5): {5}, (0, 9): {9}}[ends]
    down = {(1, 5): {1, 2, 3}, (0, 9): {0, 1, 2, 3, 4, 5, 6}}[ends]
    if question == "nps":
        assert found.csat.share is None
        assert found.nps.value == pytest.approx(100 * fmean((one in up) - (one in down) for one in each))
    else:
        assert found.nps.value is None
        assert found.csat.count == sum(one in good for one in each)
    sums: Counter[str] = Counter()
    for amounts in told:
        sums.update(amounts)
    for metric, value in (("satisfaction_rate", found.csat.share), ("nps", found.nps.value)):
        said = METRICS[metric]
        assert said.over is not None
        reported = said.value(sums[said.amount.name], sums[said.over.name])
        assert reported is value is None or reported == pytest.approx(value)
    for figure in (found.mean, found.nps):
        assert figure.low is None or figure.low <= figure.value <= figure.high  # type: ignore[operator]
