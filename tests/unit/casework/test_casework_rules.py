"""The rules of casework: the tables, the formulas, what people are told when their rules do not fit."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cti.casework import churn, complaints, follow_ups, tiers
from cti.casework.causes import Cause, by_choice, pareto, tree
from cti.casework.complaints import MOVES, OPEN, ComplaintRules, Move, Severity, State, after, escalation, moves_from
from cti.casework.follow_ups import Plan, after_attempt, check_answers, in_hours, next_time, read_plan, zones_for
from cti.casework.reading import RulesInvalid
from cti.casework.schedule import due_for
from cti.casework.tasks import hindrance, work_number
from cti.casework.tiers import Figures, assign, explain, read_rules
from cti.errors import IllegalTransition
from cti.ids import CustomerId, QueueName
from cti.model.kinds import AgentState

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TIERS = ("vip", "gold", "silver", "regular")


def someone(number: int, spent: float = 0.0, orders: int = 1, days: float = 10) -> Figures:
    return Figures(customer_id=CustomerId(number), orders=orders, spent=spent, last_at=NOW - timedelta(days=days))


def by(rules: object, people: list[Figures]) -> dict[int, str]:
    return {int(one.customer_id): one.tier for one in assign(read_rules(rules, TIERS), people, NOW)}


ABC = {"method": "abc", "tiers": [{"tier": "vip", "share": 0.5}, {"tier": "gold", "share": 0.8}]}


def test_abc_gives_the_best_to_those_who_bring_the_first_share() -> None:
    people = [someone(1, 50), someone(2, 30), someone(3, 15), someone(4, 5), someone(5, 0), someone(6, -3)]
    assert by(ABC, people) == {1: "vip", 2: "gold", 3: "regular", 4: "regular", 5: "regular", 6: "regular"}
    assert by(ABC, [someone(1, 10)]) == {1: "vip"}
    assert by(ABC, []) == {}


def test_a_pyramid_counts_from_the_top_and_parts_no_equals() -> None:
    rules = {"method": "pyramid", "tiers": [{"tier": "vip", "percent": 10}, {"tier": "gold", "percent": 50}]}
    people = [someone(number, 100 - number) for number in range(10)]
    assert list(by(rules, people).values()) == ["vip"] + ["gold"] * 4 + ["regular"] * 5
    assert set(by(rules, [someone(number, 7) for number in range(10)]).values()) == {"vip"}
    counts = {"method": "pyramid", "tiers": [{"tier": "vip", "count": 2}]}
    assert list(by(counts, people).values()).count("vip") == 2


def test_rfm_adds_points_and_may_ask_for_each() -> None:
    rules = {"method": "rfm", "tiers": [{"tier": "vip", "points": 13, "recency": 4}, {"tier": "gold", "points": 9}]}
    got = by(
        rules, [someone(1, 6000, 12, 30), someone(2, 6000, 12, 200), someone(3, 50, 1, 400), someone(4, 5000, 4, 31)]
    )
    assert got == {1: "vip", 2: "gold", 3: "regular", 4: "gold"}
    assert tiers.points(tiers.TierRules(), someone(1, 100, 2, 30), NOW) == (5, 2, 2)


def test_why_is_told_in_words() -> None:
    people = [someone(n, 1000 * (5 - n), orders=14) for n in range(5)]
    (found,) = [one for one in assign(read_rules(ABC, TIERS), people, NOW) if one.customer_id == 0]
    assert explain(found.tier, found.why.plain(), "en") == "vip: 14 orders / 5,000 in 12 months: in the top 20 %"
    assert explain(found.tier, found.why.plain(), "zh") == "vip：12 个月内 14 单 / 5,000，位于前 20 %"
    assert explain("gold", {}, "en") == "gold: as entered or imported"


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ([], ""),
        ({"method": "magic"}, "method"),
        ({**ABC, "surprise": 1}, "surprise"),
        ({**ABC, "tiers": []}, "tiers"),
        ({**ABC, "tiers": [{"tier": "platinum", "share": 0.5}]}, "tiers[0].tier"),
        ({**ABC, "tiers": [{"tier": "vip", "share": 0.8}, {"tier": "gold", "share": 0.5}]}, "tiers"),
        ({**ABC, "tiers": [{"tier": "vip", "share": 1.5}]}, "tiers[0].share"),
        ({**ABC, "tiers": [{"tier": "regular", "share": 0.5}]}, "tiers[0].tier"),
        ({**ABC, "window_days": 0.5}, "window_days"),
        ({"method": "pyramid", "tiers": [{"tier": "vip", "percent": 1}, {"tier": "gold", "count": 9}]}, "tiers"),
        ({"method": "rfm", "tiers": [{"tier": "vip", "points": 13}], "money": [1, 2, 2, 3]}, "money"),
        ({"method": "rfm", "tiers": [{"tier": "vip", "points": 13}], "money": [1, 2]}, "money"),
        ({**ABC, "enabled": "yes"}, "enabled"),
        ({**ABC, "otherwise": "a\0b"}, "otherwise"),
    ],
)
def test_tier_rules_that_do_not_fit_say_where(rules: object, where: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read_rules(rules, TIERS)
    assert where in [problem.field for problem in caught.value.problems]


def test_every_state_leads_somewhere_and_every_move_is_used() -> None:
    assert {move for _, move in MOVES} == set(Move)
    for state in State:
        assert moves_from(state), state
    with pytest.raises(IllegalTransition, match="possible now: assign, start, dismiss"):
        after(State.NEW, Move.RESOLVE)
    assert State.CLOSED not in OPEN


def test_a_deadline_reminds_the_owner_then_tells_the_supervisors() -> None:
    rules, due = ComplaintRules(), NOW
    term = rules.terms[Severity.HIGH]

    def at(state: State, moment: datetime) -> int:
        return escalation(rules, Severity.HIGH, state, due, moment)

    assert at(State.ASSIGNED, due - term.remind - timedelta(seconds=1)) == 0
    assert at(State.ASSIGNED, due - term.remind) == 1
    assert at(State.NEW, due - term.remind) == 2
    assert at(State.IN_PROGRESS, due + rules.escalate) == 2
    assert at(State.RESOLVED, due + timedelta(days=9)) == 0


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ({"causes": []}, "causes"),
        ({"causes": [{"name": "A b", "titles": "x"}]}, "causes[0].name"),
        ({"causes": [{"name": "a", "titles": "x"}, {"name": "a", "titles": "y"}]}, "causes[1].name"),
        ({"causes": [{"name": "a", "titles": {}}]}, "causes[0].titles"),
        (
            {"causes": [{"name": "a", "titles": "x", "below": [{"name": "b", "titles": "x", "below": [{"name": "c", "titles": "x", "below": [{"name": "d", "titles": "x"}]}]}]}]},
            "causes[0].below[0].below[0].below",
        ),
        ({"deadlines": {"low": {"hours": 1}}}, "deadlines"),
        ({"deadlines": {"low": {"hours": 200, "remind_hours": 300}}}, "deadlines.low.remind_hours"),
        ({"severity_by_tier": {"nobody": "high"}}, "severity_by_tier.nobody"),
        ({"queue": "nowhere"}, "queue"),
    ],
)  # fmt: skip
def test_complaint_rules_that_do_not_fit_say_where(rules: object, where: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        complaints.read_rules(rules, queues=("support",), tiers=TIERS)
    assert where in [problem.field for problem in caught.value.problems]


def test_rules_are_read_again_as_they_were_written() -> None:
    usual = ComplaintRules()
    assert complaints.read_rules(complaints.plain(usual), queues=(), tiers=TIERS) == usual
    assert read_rules(tiers.plain(tiers.TierRules()), TIERS) == tiers.TierRules()
    assert churn.read_rules(churn.plain(churn.ChurnRules())) == churn.ChurnRules()
    plan = read_plan({"name": "x", "trigger": "purchase", "after_days": 3}, queues=(), tiers=())
    assert read_plan(follow_ups.plain(plan), queues=(), tiers=()) == plan


def test_causes_are_counted_and_drawn() -> None:
    causes = (Cause(name="a", titles={"en": "Delivery"}, below=(Cause(name="b", titles={"en": "Late"}),)),)
    counts = {"a/b": 3, "a": 1, "": 2, "gone/x": 1}
    bars = pareto(counts, 1)
    assert [(bar.path, bar.count) for bar in bars] == [("a", 4), ("gone", 1), ("", 2)]
    assert bars[-1].cumulative == pytest.approx(1.0)
    root = tree(causes, counts)
    assert (root.count, root.own, [branch.count for branch in root.below]) == (7, 2, [4, 1])
    assert by_choice(causes, " delivery ") == "a"
    assert by_choice(causes, "nothing") == "" == by_choice(causes, "")


def test_calls_are_made_within_the_hours_of_every_zone_they_may_be_in() -> None:
    plan = Plan(name="x", trigger="purchase", after=timedelta())
    assert zones_for("", ("Europe/Paris",), "UTC") == (ZoneInfo("Europe/Paris"),)
    assert zones_for("Nowhere/Land", tuple("abcdefgh"), "Asia/Shanghai") == (ZoneInfo("Asia/Shanghai"),)
    assert zones_for("", (), "no zone") == (ZoneInfo("UTC"),)
    east_and_west = (ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles"))
    assert not in_hours(plan, east_and_west, NOW)
    assert next_time(plan, east_and_west, NOW) == datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
    friday_night = datetime(2026, 3, 6, 23, 7, 30, tzinfo=UTC)
    assert next_time(plan, (ZoneInfo("UTC"),), friday_night) == datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
    assert next_time(plan, (ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")), NOW) is None


def test_what_comes_after_an_attempt() -> None:
    plan = Plan(name="x", trigger="purchase", after=timedelta(), attempts=3)
    assert after_attempt(plan, 1, "no_answer", NOW).due_at == NOW + timedelta(hours=2)
    assert after_attempt(plan, 2, "busy", NOW).due_at == NOW + timedelta(days=1)
    assert after_attempt(plan, 3, "busy", NOW).state == "unreached"
    assert after_attempt(plan, 9, "call_later", NOW, NOW + timedelta(days=2)).due_at == NOW + timedelta(days=2)
    assert after_attempt(plan, 1, "wrong_number", NOW).state == "dropped"
    assert after_attempt(plan, 1, "reached", NOW).state == after_attempt(plan, 1, "refused", NOW).state == "done"


QUESTIONS = {
    "name": "x",
    "trigger": "purchase",
    "after_days": 1,
    "questions": [
        {"name": "s", "kind": "scale", "titles": "?", "least": 0, "most": 10},
        {"name": "y", "kind": "yes_no", "titles": "?"},
        {"name": "c", "kind": "choice", "titles": "?", "choices": [{"name": "a", "titles": "A"}, {"name": "b", "titles": "B"}]},
        {"name": "t", "kind": "text", "titles": "?", "needed": False},
    ],
}  # fmt: skip


def test_answers_must_fit_their_questions() -> None:
    plan = read_plan(QUESTIONS, queues=(), tiers=())
    assert check_answers(plan, {"s": 0, "y": False, "c": "b"}) == {"s": 0, "y": False, "c": "b"}
    for answers in ({}, {"s": 11, "y": True, "c": "a"}, {"s": 1, "y": 1, "c": "a"}, {"s": 1, "y": True, "c": "z"},
                    {"s": 1, "y": True, "c": "a", "more": 1}, [], None):  # fmt: skip
        with pytest.raises(RulesInvalid):
            check_answers(plan, answers)


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"from": "25:00"}, "from"),
        ({"from": "19:00", "to": "09:00"}, "to"),
        ({"days": [7]}, "days"),
        ({"days": []}, "days"),
        ({"tiers": ["nobody"]}, "tiers"),
        ({"attempts": 0}, "attempts"),
        ({"questions": [{"name": "c", "kind": "choice", "titles": "?"}]}, "questions[0].choices"),
        ({"questions": [{"name": "c", "kind": "scale", "titles": "?", "least": 5, "most": 5}]}, "questions[0].most"),
    ],
)
def test_plans_that_do_not_fit_say_where(more: dict[str, object], where: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read_plan({"name": "x", "trigger": "purchase", "after_days": 1, **more}, queues=(), tiers=TIERS)
    assert where in [problem.field for problem in caught.value.problems]


def test_callers_come_before_calls() -> None:
    waiting = {QueueName("a"): 0, QueueName("b"): 2}
    found = hindrance(AgentState.READY, waiting)
    assert found is not None
    assert (found.reason, found.queue, found.waiting) == ("callers_wait", "b", 2)
    assert hindrance(AgentState.READY, {QueueName("a"): 0}) is None
    assert hindrance(AgentState.NOT_READY, {}) is None
    busy = hindrance(AgentState.WRAP_UP, waiting)
    assert busy is not None
    assert busy.reason == "busy"
    assert work_number("follow-up-12") == ("follow-up", 12)
    assert work_number("task-") is work_number("x-1") is work_number("task-١") is None


def test_the_nights_work_is_due_once_a_day_however_late() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    night = datetime(2026, 3, 1, 19, 30, tzinfo=UTC)  # 03:30 on the 2nd over there
    assert due_for(None, night, zone) == date(2026, 3, 2)
    assert due_for(date(2026, 3, 2), night, zone) is None
    assert due_for(date(2026, 3, 1), night - timedelta(hours=1), zone) is None
    assert due_for(date(2026, 2, 20), night - timedelta(hours=1), zone) == date(2026, 3, 1)


def test_the_examples_of_the_docs_are_read_and_the_formula_is_what_they_say() -> None:
    text = (Path(__file__).parents[3] / "docs" / "casework.md").read_text(encoding="utf-8")
    rules, plan = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert read_rules(rules, TIERS).enabled
    assert read_plan(plan, queues=(), tiers=TIERS).own_agent
    usual = churn.ChurnRules()
    for sign in ("falling", "complaint", "score", "abandoned"):
        assert f"| `{sign}` | {getattr(usual, sign):.2f} |" in text
    told = (
        f"`window_days` ({usual.window.days}), `least_orders` ({usual.least_orders}), `bad_score` ({usual.bad_score:g})"
    )
    assert told in " ".join(text.split())
    assert f"`threshold` ({usual.threshold:g})" in text
    for state in State:
        moves = re.search(rf"^\| `{state}` \| (.*) \|$", text, re.MULTILINE)
        assert moves is not None
        assert set(re.findall(r"`(\w+)`", moves[1])) == set(moves_from(state))
