"""Telling somebody outside of alerts: signed, durable and tried again like what is told of calls, see `webhook`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cti.model.alert_facts import AlertAcknowledged, AlertChanged, name_of
from cti.model.alerts import Level
from cti.model.fact import Fact
from cti.model.outside_crm import Webhook
from cti.outside.webhook import FactWebhook

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """What became of an alert."""

    fact: AlertChanged | AlertAcknowledged

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.fact.at

    @property
    def lane(self) -> str:
        """The alert."""
        return name_of(self.fact.queue, self.fact.figure)


class Reading:
    """Makes events of the facts of alerts."""

    def take(self, fact: Fact, /) -> AlertEvent | None:
        """The event this fact makes, None for all others."""
        return AlertEvent(fact=fact) if isinstance(fact, AlertChanged | AlertAcknowledged) else None


def message(event: AlertEvent, *, event_id: str) -> dict[str, Any]:
    """The event as it is sent. `event_id` is the same each time the event is sent."""
    fact = event.fact
    told: dict[str, Any] = {
        "version": VERSION,
        "event_id": event_id,
        "at": fact.at.isoformat(),
        "alert": event.lane,
        "queue": fact.queue,
        "figure": fact.figure.value,
    }
    if isinstance(fact, AlertAcknowledged):
        return {**told, "event": "acknowledged", "by": fact.by}
    over = fact.level is Level.NONE
    return {
        **told,
        "event": "over" if over else "raised",
        "level": fact.level.value,
        "value": fact.value,
        "limit": None if over else fact.limit,
    }


class AlertWebhook(FactWebhook[AlertEvent]):
    """Tells of alerts that are raised, change their level, are over or are acknowledged."""

    ABOUT = "alerts"

    def _reading(self) -> Reading:
        return Reading()

    def _wanted(self, hook: Webhook, event: AlertEvent) -> bool:
        return True

    async def _message(self, event: AlertEvent, event_id: str) -> dict[str, Any]:
        return message(event, event_id=event_id)
