"""What holds of the rules of casework whatever the figures are."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from cti.casework import tiers
from cti.casework.causes import pareto, paths, tree
from cti.casework.churn import ChurnRules, Seen, warn
from cti.casework.complaints import MOVES, ComplaintRules, Severity, State, escalation, moves_from
from cti.casework.follow_ups import Plan, in_hours, next_time
from cti.casework.reading import RuleProblem, RulesInvalid
from cti.casework.tiers import Figures, TierRules, TierStep, assign, explain, worth
from cti.ids import CustomerId

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
people = st.lists(
    st.builds(
        Figures,
        customer_id=st.just(CustomerId(0)),
        orders=st.integers(0, 30),
        spent=st.floats(-500, 100_000, allow_nan=False),
        last_at=st.integers(0, 1000).map(lambda days: NOW - timedelta(days=days)),
        calls=st.integers(0, 40),
    ),
    max_size=40,
).map(lambda found: [Figures(customer_id=CustomerId(i), orders=f.orders, spent=f.spent, last_at=f.last_at, calls=f.calls) for i, f in enumerate(found)])  # fmt: skip

rising = st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True).map(sorted)
names = ("vip", "gold", "silver")
rules = st.one_of(
    rising.map(lambda limits: TierRules(method="abc", steps=tuple(TierStep(tier=names[i], share=n / 100) for i, n in enumerate(limits)))),
    rising.map(lambda limits: TierRules(method="pyramid", steps=tuple(TierStep(tier=names[i], percent=n) for i, n in enumerate(limits)))),
    rising.map(lambda limits: TierRules(method="pyramid", value="calls", steps=tuple(TierStep(tier=names[i], count=n) for i, n in enumerate(limits)))),
)  # fmt: skip


@given(rules, people)
def test_more_value_is_never_a_worse_tier_and_order_does_not_matter(
    given_rules: TierRules, given_people: list[Figures]
) -> None:
    found = {one.customer_id: one.tier for one in assign(given_rules, given_people, NOW)}
    rank = {tier: place for place, tier in enumerate(given_rules.tiers)}
    value = {one.customer_id: worth(one, given_rules.value) for one in given_people}
    ordered = sorted(value, key=lambda one: -value[one])
    for better, worse in itertools.pairwise(ordered):
        assert rank[found[better]] <= rank[found[worse]]
        if value[better] == value[worse]:
            assert found[better] == found[worse]
    again = {one.customer_id: one.tier for one in assign(given_rules, given_people[::-1], NOW)}
    assert again == found
    if any(value.values()):
        assert found[ordered[0]] == given_rules.steps[0].tier


@given(rules, people)
def test_every_tier_can_be_explained_in_both_languages(given_rules: TierRules, given_people: list[Figures]) -> None:
    for one in assign(given_rules, given_people, NOW):
        for language in ("en", "zh"):
            assert explain(one.tier, one.why.plain(), language).startswith(one.tier)


@given(people, st.integers(0, 29), st.integers(0, 14))
def test_rfm_points_rise_with_what_they_count(given_people: list[Figures], orders: int, points: int) -> None:
    usual = TierRules(method="rfm")
    for one in given_people:
        r, f, m = tiers.points(usual, one, NOW)
        assert all(1 <= value <= tiers.POINTS for value in (r, f, m))
        more = Figures(
            customer_id=one.customer_id, orders=one.orders + orders, spent=one.spent + orders, last_at=NOW, calls=0
        )
        assert all(after >= before for before, after in zip((r, f, m), tiers.points(usual, more, NOW), strict=True))


seen = st.builds(
    Seen,
    customer_id=st.just(CustomerId(1)),
    recent_orders=st.integers(0, 50),
    earlier_orders=st.integers(0, 150),
    complaint=st.one_of(st.none(), st.sampled_from(Severity)),
    complaint_overdue=st.booleans(),
    mean_score=st.one_of(st.none(), st.floats(0, 9)),
    abandoned=st.integers(0, 20),
)


@given(seen)
def test_a_churn_score_is_between_0_and_100_and_has_its_reasons(one: Seen) -> None:
    warning = warn(ChurnRules(), one)
    assert 0 <= warning.score <= 100
    assert (warning.score > 0) == bool(warning.reasons)
    assert warning.score <= sum(reason.points for reason in warning.reasons) + 0.06
    assert all(0 < reason.strength <= 1 for reason in warning.reasons)


@given(seen, st.integers(1, 20))
def test_a_worse_sign_never_lowers_the_score(one: Seen, more: int) -> None:
    worse = Seen(
        customer_id=one.customer_id, recent_orders=max(0, one.recent_orders - more), earlier_orders=one.earlier_orders,
        complaint=Severity.CRITICAL, complaint_overdue=True, mean_score=1.0, abandoned=one.abandoned + more,
    )  # fmt: skip
    assert warn(ChurnRules(), worse).score >= warn(ChurnRules(), one).score


@given(st.lists(st.integers(0, 99), max_size=30))
def test_a_complaint_never_leaves_the_table_and_can_always_be_ended(choices: list[int]) -> None:
    state = State.NEW
    for choice in choices:
        moves = moves_from(state)
        state = MOVES[state, moves[choice % len(moves)]]
    reachable, todo = {state}, [state]
    while todo:
        here = todo.pop()
        for move in moves_from(here):
            if (there := MOVES[here, move]) not in reachable:
                reachable.add(there)
                todo.append(there)
    assert State.CLOSED in reachable


@given(st.sampled_from(Severity), st.sampled_from(State), st.integers(-500, 500), st.integers(0, 100))
def test_escalation_only_rises_with_time(severity: Severity, state: State, hours: int, more: int) -> None:
    usual = ComplaintRules()
    before = escalation(usual, severity, state, NOW, NOW + timedelta(hours=hours))
    assert 0 <= before <= escalation(usual, severity, state, NOW, NOW + timedelta(hours=hours + more)) <= 2


CAUSES = ComplaintRules().causes
counts = st.dictionaries(
    st.sampled_from(["", "gone/for/good", *(path for path, _ in paths(CAUSES))]), st.integers(0, 50)
)


@given(counts, st.integers(1, 3))
def test_pareto_falls_and_both_pictures_count_everything(given_counts: dict[str, int], level: int) -> None:
    bars, root = pareto(given_counts, level), tree(CAUSES, given_counts)
    total = sum(given_counts.values())
    assert sum(bar.count for bar in bars) == total == root.count
    classified = [bar.count for bar in bars if bar.path]
    assert classified == sorted(classified, reverse=True)
    cumulative = [bar.cumulative for bar in bars]
    assert cumulative == sorted(cumulative)
    assert not bars or abs(cumulative[-1] - 1) < 1e-9


zones = st.lists(
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Europe/London", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    min_size=1, max_size=3,
).map(lambda found: tuple(ZoneInfo(name) for name in found))  # fmt: skip


@settings(max_examples=60)
@given(
    zones,
    st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: NOW - timedelta(days=365, minutes=-minutes)),
    st.integers(0, 22),
    st.integers(1, 14),
    st.frozensets(st.integers(0, 6), min_size=1),
)
def test_the_next_time_to_call_is_within_hours_and_nothing_sooner_is(
    where: tuple[ZoneInfo, ...], now: datetime, begins: int, length: int, days: frozenset[int]
) -> None:
    plan = Plan(
        name="x",
        trigger="purchase",
        after=timedelta(),
        begins=begins * 60,
        ends=min(24, begins + length) * 60,
        days=days,
    )
    found = next_time(plan, where, now)
    if found is None:
        return
    assert found >= now
    assert in_hours(plan, where, found)
    if found > now:
        assert not in_hours(plan, where, now)
        assert not in_hours(plan, where, found - timedelta(minutes=15)) or found - timedelta(minutes=15) < now


json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 500), st.floats(allow_nan=True), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["tiers", "tier", "share", "method", "money", "enabled", "points", "x"]), inner, max_size=5),
    ),
    max_leaves=12,
)  # fmt: skip


@given(json)
def test_any_json_is_read_or_refused_with_words(value: object) -> None:
    problems: tuple[RuleProblem, ...] = ()
    read = None
    try:
        read = tiers.read_rules(value, ("vip", "gold", "regular"))
    except RulesInvalid as error:
        problems = error.problems
    assert (read is None) == bool(problems)
    assert all(problem.message for problem in problems)
    if read is not None:
        assert tiers.read_rules(tiers.plain(read), ("vip", "gold", "regular")) == read
