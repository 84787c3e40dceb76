"""The centre's day in half hours: what the lines of the pages are drawn from. A fold over closed calls, each counted once.

A call counts in the half hour in which it ended: what has been shown of an earlier half hour never changes, and the
half hours add up to the day's totals. Half hours are counted from the local midnight, so a day on which the clocks change
has 46 or 50 of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

HALF_HOUR = timedelta(minutes=30)


@dataclass(slots=True)
class Counts:
    """Calls counted together. All figures of the floor are quotients of these."""

    calls: int = 0
    """Inbound calls that ended."""
    asked: int = 0
    """Of these, those that asked for an agent: they were in a queue, or talked with somebody."""
    answered: int = 0
    abandoned: int = 0
    """Hung up in a queue after the short-abandon limit."""
    short: int = 0
    """Hung up in a queue within it."""
    in_time: int = 0
    rated: int = 0
    satisfied: int = 0
    complaints: int = 0
    longest: float = 0.0
    """Seconds; the longest wait, answered or not."""

    def add(self, other: Counts) -> None:
        """Count these, too."""
        self.calls += other.calls
        self.asked += other.asked
        self.answered += other.answered
        self.abandoned += other.abandoned
        self.short += other.short
        self.in_time += other.in_time
        self.rated += other.rated
        self.satisfied += other.satisfied
        self.complaints += other.complaints
        self.longest = max(self.longest, other.longest)

    @property
    def offered(self) -> int:
        """What the service level is a share of."""
        return self.answered + self.abandoned

    @property
    def service_level(self) -> float | None:
        """Answered in time over answered + abandoned; short abandons left out; None without calls."""
        return share(self.in_time, self.offered)

    @property
    def effective_answer_rate(self) -> float | None:
        """Answered over all that asked for an agent, short abandons left out; None without any."""
        return share(self.answered, self.asked - self.short)

    @property
    def satisfaction(self) -> float | None:
        """Satisfied answers over all answers of surveys; None without any."""
        return share(self.satisfied, self.rated)

    @property
    def complaint_rate(self) -> float | None:
        """Complaints over calls; None without calls."""
        return share(self.complaints, self.calls)


def share(part: float, whole: float) -> float | None:
    """`part` of `whole`, 0-1 and rounded; None of nothing."""
    return round(part / whole, 4) if whole > 0 else None


@dataclass(slots=True)
class HalfHours:
    """One day's half hours. `begins` is its local midnight."""

    begins: datetime
    version: int = 0
    """Changes with every figure."""
    _slots: list[Counts] = field(default_factory=list)

    def at(self, moment: datetime) -> Counts:
        """The half hour of a moment of this day; earlier ones count in its first."""
        index = max(0, (moment - self.begins) // HALF_HOUR)
        while len(self._slots) <= index:
            self._slots.append(Counts())
        self.version += 1
        return self._slots[index]

    def until(self, now: datetime) -> tuple[Counts, ...]:
        """Every half hour that has begun, empty ones too."""
        begun = max(0, (now - self.begins) // HALF_HOUR) + 1
        return (*self._slots[:begun], *(Counts() for _ in range(begun - len(self._slots))))
