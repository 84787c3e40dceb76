"""Which calls are looked at: plans, and the draw. Chance is a hash of seed, plan, period and call, so that the same calls
give the same draw on any machine, and one call more changes nothing about the others' lots."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Any

from cti.casework.reading import Fields, RuleProblem
from cti.quality.forms import QualityInvalid


class PlanKind(StrEnum):
    """What a plan looks for."""

    RANDOM = "random"
    """Any talk."""
    LOW_SURVEY = "low_survey"
    """The caller gave a low score."""
    COMPLAINT = "complaint"
    """A complaint is linked to the call."""
    NEW_AGENT = "new_agent"
    """Talks of an agent's first days."""
    LONG_HOLD = "long_hold"
    """The caller was on hold for long."""


class Period(StrEnum):
    """In which time an agent's share is counted."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sampling plan. `per_agent` calls an agent and period; empty collections: every queue, tier, agent."""

    title: str
    kind: PlanKind
    form_id: int
    per_agent: int = 2
    period: Period = Period.WEEK
    queues: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ()
    """Users among whom the calls are shared out; nobody: whoever takes one."""
    deadline_days: int = 7
    least_talk_seconds: int = 30
    question: str = ""
    """`low_survey`: of this question; empty: of any."""
    at_most: int = 2
    """`low_survey`: this score or less."""
    first_days: int = 30
    """`new_agent`: so many days from the agent's first talk."""
    hold_seconds: int = 120
    """`long_hold`: at least so long in all."""
    release: bool = False
    """Agents see scores as soon as they are submitted; otherwise when a person releases them."""


def read_plan(plain: object, *, queues: Collection[str], tiers: Collection[str], agents: Collection[str]) -> Plan:
    """The plan that the JSON describes (`docs/quality.md`). Raises `QualityInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(plain, problems)
    usual = Plan(title="", kind=PlanKind.RANDOM, form_id=0)
    plan = Plan(
        title=at.text("title"),
        kind=PlanKind(at.choice("kind", tuple(PlanKind))),
        form_id=at.whole("form_id", least=1),
        per_agent=at.whole("per_agent", usual.per_agent, least=1, most=100),
        period=Period(at.choice("period", tuple(Period), usual.period)),
        queues=_among(at, "queues", queues, "the centre has no such queue"),
        tiers=_among(at, "tiers", tiers, "the centre has no such tier"),
        agents=_among(at, "agents", agents, "the centre has no such agent"),
        scorers=at.texts("scorers"),
        deadline_days=at.whole("deadline_days", usual.deadline_days, least=1, most=365),
        least_talk_seconds=at.whole("least_talk_seconds", usual.least_talk_seconds, most=86_400),
        question=at.text("question", ""),
        at_most=at.whole("at_most", usual.at_most, most=10),
        first_days=at.whole("first_days", usual.first_days, least=1, most=365),
        hold_seconds=at.whole("hold_seconds", usual.hold_seconds, least=1, most=86_400),
        release=at.flag("release", usual.release),
    )
    at.done()
    if problems:
        raise QualityInvalid(problems)
    return plan


def _among(at: Fields, key: str, known: Collection[str], message: str) -> tuple[str, ...]:
    given = at.texts(key)
    for index, one in enumerate(given):
        if one not in known:
            at.wrong(f"{key}[{index}]", message)
    return tuple(dict.fromkeys(given))


def plain(plan: Plan) -> dict[str, Any]:
    """The plan as JSON: `read_plan` reads it again."""
    return {
        "title": plan.title, "kind": str(plan.kind), "form_id": plan.form_id, "per_agent": plan.per_agent,
        "period": str(plan.period), "queues": list(plan.queues), "tiers": list(plan.tiers), "agents": list(plan.agents),
        "scorers": list(plan.scorers), "deadline_days": plan.deadline_days,
        "least_talk_seconds": plan.least_talk_seconds, "question": plan.question, "at_most": plan.at_most,
        "first_days": plan.first_days, "hold_seconds": plan.hold_seconds, "release": plan.release,
    }  # fmt: skip


# -- the draw ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A talk that may be drawn, with what plans look at."""

    call_id: str
    agent: str
    queue: str
    tier: str
    at: datetime
    talk_seconds: float
    hold_seconds: float = 0.0
    question: str = ""
    score: int | None = None
    """The lowest answer of the survey, and to what question."""
    complaint_id: int | None = None
    agent_since: datetime | None = None
    """The agent's first talk of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A call that was drawn. `why` explains it: plain values, by name."""

    call_id: str
    agent: str
    queue: str
    why: Mapping[str, str | int | float]


def period_of(moment: date, period: Period) -> tuple[date, date]:
    """The first day of the period a day is in, and the first day after it. Weeks begin on Mondays."""
    if period is Period.DAY:
        return moment, moment + timedelta(days=1)
    start = moment - timedelta(days=moment.weekday())
    return start, start + timedelta(days=7)


def owed(plan: Plan, start: date, end: date, until: date) -> int:
    """How many calls an agent's share has come to when all days before `until` are over: it grows day by day, so that a
    week's calls are not all of its Monday, and nobody waits a week for them."""
    days = (min(until, end) - start).days
    return ceil(plan.per_agent * Fraction(max(days, 0), (end - start).days))


def lot(seed: int, plan_id: int, start: date, call_id: str) -> str:
    """The lot of a call: uniform, the same for ever, independent of other calls."""
    return hashlib.sha256(f"{seed}|{plan_id}|{start.isoformat()}|{call_id}".encode()).hexdigest()


def draw(
    plan: Plan,
    candidates: Sequence[Candidate],
    *,
    seed: int,
    plan_id: int,
    start: date,
    quota: int,
    taken: Collection[tuple[str, str]] = (),
    drawn_before: Mapping[str, int] | None = None,
) -> tuple[Drawn, ...]:
    """Draw an agent by agent, up to `quota` of each with what was drawn before in this period (by agent).

    `taken`: (call, agent) that have been drawn already, by whatever plan; never again. A call is drawn for one agent once.
    """
    before = drawn_before or {}
    gone = set(taken)
    pools: dict[str, list[Candidate]] = {}
    for one in candidates:
        if (one.call_id, one.agent) not in gone and fits(plan, one):
            gone.add((one.call_id, one.agent))
            pools.setdefault(one.agent, []).append(one)
    out = []
    for agent in sorted(pools):
        pool = sorted(pools[agent], key=lambda one: (lot(seed, plan_id, start, one.call_id), one.call_id))
        room = max(0, quota - before.get(agent, 0))
        out += [
            Drawn(call_id=one.call_id, agent=agent, queue=one.queue, why=_why(plan, one, place, len(pool), quota))
            for place, one in enumerate(pool[:room], start=1)
        ]
    return tuple(out)


def fits(plan: Plan, one: Candidate) -> bool:
    """Whether a plan looks for such a talk."""
    if (plan.queues and one.queue not in plan.queues) or (plan.tiers and one.tier not in plan.tiers):
        return False
    if (plan.agents and one.agent not in plan.agents) or one.talk_seconds < plan.least_talk_seconds:
        return False
    match plan.kind:
        case PlanKind.LOW_SURVEY:
            asked = not plan.question or one.question == plan.question
            return asked and one.score is not None and one.score <= plan.at_most
        case PlanKind.COMPLAINT:
            return one.complaint_id is not None
        case PlanKind.NEW_AGENT:
            since = one.agent_since
            return since is not None and since <= one.at < since + timedelta(days=plan.first_days)
        case PlanKind.LONG_HOLD:
            return one.hold_seconds >= plan.hold_seconds
        case PlanKind.RANDOM:
            return True


def _why(plan: Plan, one: Candidate, place: int, among: int, quota: int) -> Mapping[str, str | int | float]:
    why: dict[str, str | int | float] = {"kind": str(plan.kind), "lot": place, "among": among, "quota": quota}
    if plan.kind is PlanKind.LOW_SURVEY and one.score is not None:
        why |= {"question": one.question, "score": one.score, "at_most": plan.at_most}
    if plan.kind is PlanKind.COMPLAINT and one.complaint_id is not None:
        why |= {"complaint_id": one.complaint_id}
    if plan.kind is PlanKind.NEW_AGENT and one.agent_since is not None:
        why |= {"day": (one.at - one.agent_since).days + 1, "first_days": plan.first_days}
    if plan.kind is PlanKind.LONG_HOLD:
        why |= {"hold_seconds": round(one.hold_seconds), "at_least": plan.hold_seconds}
    return why


def share_out(drawn: Sequence[Drawn], scorers: Sequence[str], load: Mapping[str, int]) -> dict[tuple[str, str], str]:
    """Who scores what, by (call, agent): each goes to whoever has least to do (`load`), never to the agent who talked.
    What nobody can take is left out: whoever wants takes it."""
    busy = {scorer: load.get(scorer, 0) for scorer in scorers}
    out = {}
    for one in drawn:
        free = sorted((count, scorer) for scorer, count in busy.items() if scorer != one.agent)
        if free:
            out[one.call_id, one.agent] = free[0][1]
            busy[free[0][1]] += 1
    return out
