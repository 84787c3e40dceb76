"""When the floor is to be looked at: thresholds with a way back and a time they must hold, as pure machines.

Theory of operation: each threshold is a latch. It turns on when the figure has been at the threshold or beyond it for the
whole of `hold`, and off when it has been better than the threshold by more than `back` for the whole of `hold`. Between
the two nothing turns, so a figure that trembles around the threshold makes one alert, not twenty; and a latch turns at
most once in `hold`. An alert is a pair of latches, *warn* and *critical*. A figure that is not there (no calls, so no
service level) is no bad one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cti.ids import QueueName
from cti.model.outside_crm import Webhook


class Figure(StrEnum):
    """What can be watched. Shares are 0-1."""

    WAITING = "waiting"
    """Callers in the queue."""
    LONGEST_WAIT = "longest_wait"
    """Seconds; of those who wait now."""
    SERVICE_LEVEL = "service_level"
    """Of the last 30 minutes; of the whole centre, of today."""
    AGENTS_READY = "agents_ready"
    ABANDONED = "abandoned"
    """Share of today's calls that asked for an agent; of the whole centre."""
    SATISFACTION = "satisfaction"
    COMPLAINT_RATE = "complaint_rate"
    EFFECTIVE_ANSWER_RATE = "effective_answer_rate"
    RECORDINGS_FLAGGED = "recordings_flagged"
    """Recordings found short or missing in the last 24 hours, since somebody last saw to them; of the whole centre."""
    RECORDING_PLACE_AWAY = "recording_place_away"
    """Seconds for which the place where recordings are kept has not answered; of the whole centre."""
    OUTBOUND_CAPS = "outbound_caps"
    """The greatest share that is used of any cap of dialling out: of the queue; of the whole centre, of any other cap."""
    SIP_REFUSED = "sip_refused"
    """Requests refused at the SIP port in the last minute; of the whole centre."""


LESS_IS_WORSE = frozenset(
    {Figure.SERVICE_LEVEL, Figure.AGENTS_READY, Figure.SATISFACTION, Figure.EFFECTIVE_ANSWER_RATE}
)
OF_QUEUES = frozenset(
    {Figure.WAITING, Figure.LONGEST_WAIT, Figure.SERVICE_LEVEL, Figure.AGENTS_READY, Figure.OUTBOUND_CAPS}
)
"""What a queue has; the whole centre has all of them."""

USUAL_TARGETS: Mapping[str, float] = {
    "service_level": 0.8,
    "abandoned": 0.05,
    "longest_wait": 120.0,
    "satisfaction": 0.85,
    "complaint_rate": 0.01,
    "effective_answer_rate": 0.9,
}
"""What the figures of the day should be where the centre does not say."""


class Level(StrEnum):
    """How bad it is."""

    NONE = "none"
    WARN = "warn"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """When a figure is bad."""

    warn: float | None = None
    critical: float | None = None
    """At least as bad as `warn`."""
    back: float = 0.0
    """So much better than the threshold it must be to be good again."""
    hold: timedelta = timedelta(seconds=10)
    """So long it must be bad, or good again."""


CAPS_USED = Threshold(warn=0.8, critical=1.0, back=0.05, hold=timedelta())
ALWAYS: Mapping[Figure, Threshold] = {
    Figure.OUTBOUND_CAPS: CAPS_USED,
    Figure.RECORDINGS_FLAGGED: Threshold(warn=1, critical=5, hold=timedelta()),
    Figure.RECORDING_PLACE_AWAY: Threshold(warn=0, critical=600, hold=timedelta()),
    Figure.SIP_REFUSED: Threshold(warn=300, critical=3000, back=100, hold=timedelta(seconds=5)),
}
"""What is watched in every centre that says nothing else about it: nobody would ask for it, and everybody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """The `alerts` table of centre.yaml."""

    centre: Mapping[Figure, Threshold] = field(default_factory=dict)
    each_queue: Mapping[Figure, Threshold] = field(default_factory=dict)
    """Of every queue that says nothing else about the figure."""
    queues: Mapping[QueueName, Mapping[Figure, Threshold]] = field(default_factory=dict)
    webhook: Webhook | None = None
    """Who is told besides the pages."""

    def of(self, queue: QueueName | None) -> Mapping[Figure, Threshold]:
        """What is watched in a queue; None: in the whole centre."""
        if queue is None:
            return {**ALWAYS, **self.centre}
        return {Figure.OUTBOUND_CAPS: CAPS_USED, **self.each_queue, **self.queues.get(queue, {})}

    def any(self) -> bool:
        """Whether anything is watched besides `ALWAYS`."""
        return bool(self.centre or self.each_queue or self.queues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """One threshold: on or off, and since when the figure says otherwise."""

    on: bool = False
    turning: datetime | None = None

    def step(self, *, bad: bool, good: bool, hold: timedelta, now: datetime) -> Latch:
        """The figure is at the threshold or beyond (`bad`), better by more than the way back (`good`), or between."""
        if not (good if self.on else bad):
            return self if self.turning is None else replace(self, turning=None)
        turning = self.turning if self.turning is not None and self.turning <= now else now
        if now - turning >= hold:
            return Latch(on=not self.on)
        return self if turning == self.turning else replace(self, turning=turning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One figure under watch."""

    warn: Latch = Latch()
    critical: Latch = Latch()

    @property
    def level(self) -> Level:
        """How bad it is held to be."""
        return Level.CRITICAL if self.critical.on else Level.WARN if self.warn.on else Level.NONE

    @classmethod
    def at(cls, level: Level, threshold: Threshold) -> Watch:
        """As a level that is known leaves it."""
        critical = level is Level.CRITICAL
        return cls(warn=Latch(on=threshold.warn is not None and level is not Level.NONE), critical=Latch(on=critical))

    def step(self, figure: Figure, threshold: Threshold, value: float | None, now: datetime) -> Watch:
        """What `value` at `now` makes of it."""
        warn = _step(self.warn, figure, threshold, threshold.warn, value, now)
        critical = _step(self.critical, figure, threshold, threshold.critical, value, now)
        return self if warn is self.warn and critical is self.critical else Watch(warn=warn, critical=critical)


def _step(
    latch: Latch, figure: Figure, threshold: Threshold, limit: float | None, value: float | None, now: datetime
) -> Latch:
    if limit is None:
        return Latch() if latch.on or latch.turning else latch
    if value is None:
        return latch.step(bad=False, good=True, hold=threshold.hold, now=now)
    worse = limit - value if figure in LESS_IS_WORSE else value - limit
    # What is at the threshold is bad; with no way back what is better by anything is good.
    return latch.step(bad=worse >= 0, good=worse < 0 and worse <= -threshold.back, hold=threshold.hold, now=now)


def limit_of(threshold: Threshold, level: Level) -> float:
    """The threshold that a level is beyond."""
    limit = threshold.critical if level is Level.CRITICAL else threshold.warn
    return 0.0 if limit is None else limit
