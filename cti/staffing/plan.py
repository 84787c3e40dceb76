"""A weekday planned: what each half hour brings, how many agents it needs, and how far that may be off."""

from __future__ import annotations

from dataclasses import dataclass

from cti.staffing.demand import DayForecast, Expected
from cti.staffing.need import Need, Target, needed


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSlot:
    """One half hour."""

    expected: Expected
    need: Need
    low: int
    """Agents at the phone if as few call as the band allows."""
    high: int
    """The same for as many as the band allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """A weekday."""

    forecast: DayForecast
    target: Target
    slots: tuple[PlannedSlot, ...]

    @property
    def agent_hours(self) -> float:
        """Hours at the phone over the day."""
        return sum(slot.need.agents for slot in self.slots) / 2

    @property
    def paid_hours(self) -> float:
        """Hours on the roster over the day."""
        return sum(slot.need.rostered for slot in self.slots) / 2


def plan(forecast: DayForecast, target: Target) -> DayPlan:
    """Agents for every half hour of a forecast."""
    slots = []
    for expected in forecast.slots:
        if expected.handling <= 0:
            nobody = needed(0.0, 1.0, target)
            slots.append(PlannedSlot(expected=expected, need=nobody, low=0, high=0))
            continue
        slots.append(
            PlannedSlot(
                expected=expected,
                need=needed(expected.load(), expected.handling, target),
                low=needed(expected.load(expected.low), expected.handling, target).agents,
                high=needed(expected.load(expected.high), expected.handling, target).agents,
            )
        )
    return DayPlan(forecast=forecast, target=target, slots=tuple(slots))
