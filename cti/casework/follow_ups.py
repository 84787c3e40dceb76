"""Follow-up calls: which occasions lead to one, when it may be made, what comes of an attempt."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from cti.casework.reading import Fields, RuleProblem, RulesInvalid

Trigger = Literal["purchase", "last_contact", "complaint_closed"]
Outcome = Literal["reached", "no_answer", "busy", "call_later", "wrong_number", "refused"]
OUTCOMES: tuple[Outcome, ...] = ("reached", "no_answer", "busy", "call_later", "wrong_number", "refused")

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_STEP = timedelta(minutes=15)
_AHEAD = timedelta(days=15)
MOST_ZONES = 6
"""A number that may be in more time zones than these tells nothing of where its owner is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the result form."""

    name: str
    kind: Literal["scale", "yes_no", "choice", "text"]
    titles: Mapping[str, str]
    least: int = 1
    most: int = 5
    """Of a scale."""
    choices: tuple[tuple[str, Mapping[str, str]], ...] = ()
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whom to call, when, and what to ask."""

    name: str
    trigger: Trigger
    after: timedelta
    tiers: tuple[str, ...] = ()
    """Customers of these tiers only; empty: all."""
    queue: str = ""
    """Whose agents call; empty: everybody."""
    needs_consent: bool = False
    """Whether only customers are called who said that they may be; who said no never is."""
    own_agent: bool = False
    """Whether the customer's own agent is to call, where there is one."""
    attempts: int = 3
    spacing: tuple[timedelta, ...] = (timedelta(hours=2), timedelta(days=1))
    """From an attempt that reached nobody to the next; the last one goes on."""
    begins: int = 9 * 60
    ends: int = 19 * 60
    """Minutes of the customer's day between which may be called, `ends` outside."""
    days: frozenset[int] = frozenset({0, 1, 2, 3, 4})
    """Weekdays, Monday is 0."""
    expires: timedelta = timedelta(days=14)
    """Not made any more so long after it was due first."""
    script: Mapping[str, str] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What comes after an attempt."""

    state: Literal["due", "done", "unreached", "dropped"]
    due_at: datetime | None = None
    """Of `due`: not before then."""


def zones_for(own: str, of_number: Sequence[str], centre: str) -> tuple[ZoneInfo, ...]:
    """The time zones the customer may be in: the one in the record, else those of the number, else the centre's."""
    for names in ((own,), of_number if len(of_number) <= MOST_ZONES else (), (centre,)):
        zones = tuple(zone for zone in map(_zone, names) if zone is not None)
        if zones:
            return zones
    return (ZoneInfo("UTC"),)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def in_hours(plan: Plan, zones: Sequence[ZoneInfo], now: datetime) -> bool:
    """Whether the customer may be called at `now`: within the hours of every zone they may be in."""
    for zone in zones:
        local = now.astimezone(zone)
        minute = local.hour * 60 + local.minute
        if local.weekday() not in plan.days or not plan.begins <= minute < plan.ends:
            return False
    return True


def next_time(plan: Plan, zones: Sequence[ZoneInfo], now: datetime) -> datetime | None:
    """The first moment from `now` on (to a quarter of an hour) at which the customer may be called; None: none within
    two weeks, as where the zones leave no hour in common."""
    if in_hours(plan, zones, now):
        return now
    moment = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0) + _STEP
    while moment - now <= _AHEAD:
        if in_hours(plan, zones, moment):
            return moment
        moment += _STEP
    return None


def after_attempt(plan: Plan, attempts: int, outcome: Outcome, now: datetime, again_at: datetime | None = None) -> Next:
    """What comes after attempt number `attempts`. `again_at` is what was agreed on with `call_later`."""
    if outcome in ("reached", "refused"):
        return Next(state="done")
    if outcome == "wrong_number":
        return Next(state="dropped")
    if outcome == "call_later" and again_at is not None:
        return Next(state="due", due_at=max(again_at, now))
    if attempts >= plan.attempts:
        return Next(state="unreached")
    spacing = plan.spacing[min(attempts, len(plan.spacing)) - 1] if plan.spacing else timedelta(hours=2)
    return Next(state="due", due_at=now + spacing)


# -- result forms ------------------------------------------------------------------------------------------------------


def check_answers(plan: Plan, answers: object) -> dict[str, Any]:
    """The answers to the plan's questions, as they are kept. Raises `RulesInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(answers, problems, "answers")
    kept: dict[str, Any] = {}
    for question in plan.questions:
        if not at.has(question.name):
            if question.needed:
                at.wrong(question.name, "this question needs an answer")
            continue
        match question.kind:
            case "scale":
                kept[question.name] = at.whole(question.name, least=question.least, most=question.most)
            case "yes_no":
                kept[question.name] = at.flag(question.name, False)
            case "choice":
                kept[question.name] = at.choice(question.name, tuple(name for name, _ in question.choices))
            case "text":
                kept[question.name] = at.text(question.name, "", most=4000)
    at.done()
    if problems:
        raise RulesInvalid(problems)
    return kept


# -- reading -----------------------------------------------------------------------------------------------------------


def read_plan(plain: object, *, queues: Collection[str], tiers: Collection[str]) -> Plan:
    """A plan as `docs/casework.md` describes it. Raises `RulesInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(plain, problems)
    usual = Plan(name="x", trigger="purchase", after=timedelta())
    asked = at.texts("tiers")
    for tier in asked:
        if tier not in tiers:
            at.wrong("tiers", f"the centre has no tier {tier!r}")
    queue = at.text("queue", "")
    if queue and queue not in queues:
        at.wrong("queue", "the centre has no such queue")
    begins, ends = _minute(at, "from", "09:00"), _minute(at, "to", "19:00")
    if ends <= begins:
        at.wrong("to", "must be later than from")
    days = frozenset(int(day) for day in at.numbers("days")) if at.has("days") else usual.days
    if not days or not days <= frozenset(range(7)):
        at.wrong("days", "weekdays from 0 (Monday) to 6, at least one")
    spacing = at.numbers("spacing_minutes", least=1) if at.has("spacing_minutes") else ()
    plan = Plan(
        name=at.text("name", most=100),
        trigger=cast(Trigger, at.choice("trigger", ("purchase", "last_contact", "complaint_closed"))),
        after=timedelta(days=at.number("after_days", least=0, most=3660)),
        tiers=asked,
        queue=queue,
        needs_consent=at.flag("needs_consent", usual.needs_consent),
        own_agent=at.flag("own_agent", usual.own_agent),
        attempts=at.whole("attempts", usual.attempts, least=1, most=20),
        spacing=tuple(timedelta(minutes=one) for one in spacing) or usual.spacing,
        begins=begins,
        ends=ends,
        days=days,
        expires=timedelta(days=at.number("expires_days", usual.expires.days, least=0.5, most=365)),
        script=at.words("script", most=4000) if at.has("script") else {},
        questions=_questions(at),
    )
    at.done()
    if problems:
        raise RulesInvalid(problems)
    return plan


def _minute(at: Fields, key: str, default: str) -> int:
    text = at.text(key, default)
    if _CLOCK.fullmatch(text) is None:
        at.wrong(key, "a time of day is needed here, as 09:00")
        return 0 if key == "from" else 24 * 60
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _questions(at: Fields) -> tuple[Question, ...]:
    found: list[Question] = []
    for index, item in enumerate(at.objects("questions", most=30)):
        name = item.text("name", most=40)
        if name and _NAME.fullmatch(name) is None:
            item.wrong("name", "small letters, digits and _ only, beginning with a letter")
        if any(name == other.name for other in found):
            at.wrong(f"questions[{index}].name", f"{name!r} is there twice")
        kind = item.choice("kind", ("scale", "yes_no", "choice", "text"))
        least = item.whole("least", 1, least=0, most=100) if kind == "scale" else 1
        most = item.whole("most", 5, least=1, most=100) if kind == "scale" else 5
        if least >= most:
            item.wrong("most", "must be above least")
        choices = []
        for one in item.objects("choices", most=30) if kind == "choice" else ():
            choices.append((one.text("name", most=40), one.words("titles")))
            one.done()
        if kind == "choice" and len(choices) < 2:
            item.wrong("choices", "at least two are needed")
        found.append(
            Question(
                name=name,
                kind=cast(Literal["scale", "yes_no", "choice", "text"], kind),
                titles=item.words("titles"),
                least=least,
                most=most,
                choices=tuple(choices),
                needed=item.flag("needed", True),
            )
        )
        item.done()
    return tuple(found)


def plain(plan: Plan) -> dict[str, Any]:
    """The plan as JSON: `read_plan` reads it again."""

    def clock(minute: int) -> str:
        return "24:00" if minute == 24 * 60 else time(minute // 60, minute % 60).strftime("%H:%M")

    def days(span: timedelta) -> float:
        value = span / timedelta(days=1)
        return int(value) if value == int(value) else value

    return {
        "name": plan.name,
        "trigger": plan.trigger,
        "after_days": days(plan.after),
        "tiers": list(plan.tiers),
        "queue": plan.queue,
        "needs_consent": plan.needs_consent,
        "own_agent": plan.own_agent,
        "attempts": plan.attempts,
        "spacing_minutes": [span / timedelta(minutes=1) for span in plan.spacing],
        "from": clock(plan.begins),
        "to": clock(plan.ends),
        "days": sorted(plan.days),
        "expires_days": days(plan.expires),
        **({"script": dict(plan.script)} if plan.script else {}),
        "questions": [_plain_question(question) for question in plan.questions],
    }


def _plain_question(question: Question) -> dict[str, Any]:
    body: dict[str, Any] = {"name": question.name, "kind": question.kind, "titles": dict(question.titles)}
    if question.kind == "scale":
        body |= {"least": question.least, "most": question.most}
    if question.kind == "choice":
        body["choices"] = [{"name": name, "titles": dict(titles)} for name, titles in question.choices]
    return {**body, "needed": question.needed}
