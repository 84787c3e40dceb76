"""Callers of the past, out of rows of `report.calls`: what they did then, and by chance what nobody knows of them.

Known of a call that was answered: when it came, how long it took (talk, hold and wrap-up), and that the caller was patient
for as long as it waited. Known of one that was not: when it came, and how long the caller was patient for. What is missing
is drawn, seeded: for how long somebody answered would have waited more (exponential, at the rate at which callers of that
queue gave up), and how long a call that was never answered would have taken (that of another call of the queue).
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cti.errors import ConfigError
from cti.ids import QueueName
from cti.simulate.scenario import Arrival, CallerKind, Law, Replay, Scenario, Times

USED = ("started_at", "queued_at", "queue", "tier", "language", "outcome", "wait_seconds", "talk_seconds", "hold_seconds",
        "wrap_seconds")  # fmt: skip
"""Columns of `report.calls` that a replay needs; an export may have more."""
UNKNOWN_HANDLING = 180.0
"""Seconds, where no call of the queue was ever answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """One call that once was queued. Times in seconds."""

    queued_at: datetime
    queue: QueueName
    tier: str
    language: str
    waited: float
    handling: float | None
    """None: it was not answered, and `waited` is how long the caller was patient for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What is to be run, and what of the past is not in it."""

    scenario: Scenario
    arrivals: tuple[Arrival, ...]
    left_out: Mapping[str, int]
    """Calls by the queue they wanted, which the scenario does not have."""


def past_calls(rows: Iterable[Mapping[str, Any]]) -> list[PastCall]:
    """Rows of `report.calls`, as the database or an export gives them, by the time they were queued.

    Calls that never were queued are left out, and those we made ourselves (callbacks). Raises `ConfigError` for a row without the columns, or one that cannot be
    read.
    """
    out = []
    for number, row in enumerate(rows, start=1):
        if missing := [name for name in USED if name not in row]:
            raise ConfigError(
                f"call {number} has no {missing[0]}", remedy=f"export the columns {', '.join(USED)} of report.calls"
            )
        try:
            call = _past_call(row)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"call {number}: {error}", remedy="export it again from report.calls") from None
        if call is not None:
            out.append(call)
    return sorted(out, key=lambda call: call.queued_at)


def replayed(scenario: Scenario, plan: Replay, calls: Sequence[PastCall]) -> Replayed:
    """The scenario with these callers instead of its own.

    Its clock begins at `plan.begin`, in the centre's time zone; rosters count as on any day. Raises `ConfigError` when no
    call is left.
    """
    chance = random.Random(f"{scenario.seed}/replay")  # noqa: S311 - a simulation, no secret
    kept = [call for call in calls if plan.begin <= call.queued_at < plan.end]
    left_out = Counter(str(call.queue) for call in kept if call.queue not in scenario.centre.queues)
    kept = [call for call in kept if call.queue in scenario.centre.queues]
    if not kept:
        raise ConfigError(
            f"no call was queued from {plan.begin.isoformat()} to {plan.end.isoformat()}"
            + (f" for a queue of {scenario.name}" if left_out else ""),
            remedy="give another range, or the queues these calls wanted",
        )
    handling: dict[QueueName, list[float]] = defaultdict(list)
    waited: dict[QueueName, float] = defaultdict(float)
    gave_up: Counter[QueueName] = Counter()
    for call in kept:
        waited[call.queue] += call.waited
        gave_up[call.queue] += call.handling is None
        if call.handling is not None:
            handling[call.queue].append(call.handling)
    kinds: dict[CallerKind, int] = {}
    arrivals = []
    for call in kept:
        known = handling[call.queue]
        kind = _kind(scenario, plan, call, sum(known) / len(known) if known else UNKNOWN_HANDLING)
        # Both are drawn for every call, so that what one did leaves the others as they are.
        other = chance.choice(known) if known else UNKNOWN_HANDLING
        longer = chance.expovariate(1.0)
        rate = gave_up[call.queue] / waited[call.queue] if waited[call.queue] > 0 else 0.0
        patience = call.waited if call.handling is None else call.waited + longer / rate if rate else math.inf
        arrivals.append(
            Arrival(
                (call.queued_at - plan.begin).total_seconds(),
                kinds.setdefault(kind, len(kinds)),
                other if call.handling is None else call.handling,
                patience,
            )
        )
    begin = plan.begin.astimezone(ZoneInfo(scenario.centre.time_zone))
    return Replayed(
        scenario=replace(
            scenario,
            callers=tuple(kinds),
            day=begin.date(),
            start=timedelta(hours=begin.hour, minutes=begin.minute, seconds=begin.second),
            length=plan.end - plan.begin,
        ),
        arrivals=tuple(arrivals),
        left_out=dict(sorted(left_out.items())),
    )


def _kind(scenario: Scenario, plan: Replay, call: PastCall, mean: float) -> CallerKind:
    level = plan.languages.get(call.language)
    return CallerKind(
        queue=call.queue,
        tier=call.tier if call.tier in scenario.centre.tiers else "",
        per_half_hour=(0.0,),
        handling=Times(law=Law.FIXED, mean=timedelta(seconds=mean)),
        skills=((call.language, level),) if level else (),
    )


def _past_call(row: Mapping[str, Any]) -> PastCall | None:
    queued_at, queue = _moment(row["queued_at"]), row["queue"]
    # A callback is the second half of a call that came: it would be counted twice.
    if queued_at is None or not queue or row.get("direction", "inbound") != "inbound":
        return None
    handling = None
    if row["outcome"] == "answered":
        handling = sum(_seconds(row[name]) for name in ("talk_seconds", "hold_seconds", "wrap_seconds"))
    return PastCall(
        queued_at=queued_at,
        queue=QueueName(str(queue)),
        tier=str(row["tier"] or ""),
        language=str(row["language"] or ""),
        waited=_seconds(row["wait_seconds"]),
        handling=handling,
    )


def _moment(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError(f"the time {value} has no time zone")
    return moment


def _seconds(value: Any) -> float:
    """NULL is nothing: the queue has no wrap-up, or it was not over."""
    seconds = float(value) if value not in (None, "") else 0.0
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{value} is no length of time")
    return seconds
