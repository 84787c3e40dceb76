"""What a run came to: service level, waits, occupancy; in all, by kind of caller and by half hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cti.model.requirement import text_of
from cti.simulate.floor import ELSEWHERE, Log
from cti.simulate.scenario import HALF_HOUR, CallerKind, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of some callers. Times in seconds; shares from 0 to 1; nothing counted: 0."""

    title: str
    offered: int
    answered: int
    abandoned: int
    elsewhere: int
    """Sent elsewhere by a rule of the queue: voicemail, a callback, a flow, a number."""
    unserved: int
    """Still waiting when the run was over."""
    in_time: float
    """Answered within the queue's `service_level`, of all but those who hung up within its `short_abandon`."""
    waited: float
    """Share of callers who were not answered at once."""
    mean: float
    """Mean wait of those answered."""
    p50: float
    p95: float
    longest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one run."""

    name: str
    total: Row
    kinds: tuple[Row, ...]
    half_hours: tuple[Row, ...]
    """By time of arrival since the start, warm-up included."""
    occupancy: float
    """Time taken by calls, of all the time agents were there while callers came."""
    agents: int


def figures(scenario: Scenario, log: Log) -> Figures:
    """Sum up one run."""
    warm_up = scenario.warm_up.total_seconds()
    counted = [n for n, at in enumerate(log.at) if at >= warm_up]
    by_kind: list[list[int]] = [[] for _ in scenario.callers]
    for n in counted:
        by_kind[log.kind[n]].append(n)
    width = HALF_HOUR.total_seconds()
    halves = max(1, -int(-scenario.length.total_seconds() // width))
    by_half: list[list[int]] = [[] for _ in range(halves)]
    for n, at in enumerate(log.at):
        by_half[min(int(at // width), halves - 1)].append(n)
    return Figures(
        name=scenario.name,
        total=_row("all", scenario, log, counted),
        kinds=tuple(_row(title_of(scenario.callers[k]), scenario, log, some) for k, some in enumerate(by_kind)),
        half_hours=tuple(_row(_clock(scenario, h), scenario, log, some) for h, some in enumerate(by_half)),
        occupancy=_share(sum(log.busy.values()), sum(log.present.values())),
        agents=len(scenario.centre.agents),
    )


def _row(title: str, scenario: Scenario, log: Log, some: Sequence[int]) -> Row:
    waits = sorted(log.wait[n] for n in some if log.answered[n] == 1)
    in_time = short = 0
    queues = [scenario.centre.queues[kind.queue] for kind in scenario.callers]
    limits = [(q.service_level.total_seconds(), q.short_abandon.total_seconds()) for q in queues]
    for n in some:
        level, short_abandon = limits[log.kind[n]]
        in_time += log.answered[n] == 1 and log.wait[n] <= level
        short += log.answered[n] == 0 and log.wait[n] <= short_abandon
    return Row(
        title=title,
        offered=len(some),
        answered=len(waits),
        abandoned=sum(log.answered[n] == 0 for n in some),
        elsewhere=sum(log.answered[n] == ELSEWHERE for n in some),
        unserved=sum(log.answered[n] == -1 for n in some),
        in_time=_share(in_time, len(some) - short),
        waited=_share(sum(log.wait[n] > 0 or log.answered[n] != 1 for n in some), len(some)),
        mean=_share(sum(waits), len(waits)),
        p50=_quantile(waits, 0.5),
        p95=_quantile(waits, 0.95),
        longest=waits[-1] if waits else 0.0,
    )


def title_of(callers: CallerKind) -> str:
    """What a kind of callers is called: queue, tier, skills."""
    skills = " ".join(f"{skill}{level}" for skill, level in callers.skills)
    requires = text_of(callers.requires)
    return " ".join(part for part in (callers.queue, callers.tier, skills, requires) if part)


def _clock(scenario: Scenario, half: int) -> str:
    minutes = int((scenario.start + half * HALF_HOUR).total_seconds() // 60)
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _quantile(ranked: Sequence[float], share: float) -> float:
    return ranked[min(int(share * len(ranked)), len(ranked) - 1)] if ranked else 0.0
