"""What became of the centre's alerts, as facts: so they outlive the bridge, and whoever is to be told is told once."""

from __future__ import annotations

from dataclasses import dataclass

from cti.ids import QueueName
from cti.model.alerts import Figure, Level
from cti.model.fact import Fact


def name_of(queue: QueueName | None, figure: Figure) -> str:
    """What an alert is called: "support.longest_wait"; of the whole centre "-.service_level"."""
    return f"{'-' if queue is None else queue}.{figure.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChanged(Fact):
    """A figure has been beyond a threshold for long enough, or (level none) better for long enough."""

    queue: QueueName | None
    """None: of the whole centre."""
    figure: Figure
    level: Level
    value: float
    """The figure at that moment; 0 when there was none."""
    limit: float = 0.0
    """The threshold of the level; 0 when it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledged(Fact):
    """Somebody has seen to an alert."""

    queue: QueueName | None
    figure: Figure
    by: str
    """The user's name."""


FACTS = (AlertChanged, AlertAcknowledged)
