"""What is counted one by one: rows with whole numbers to add up, and what they can be divided by.

Durations are whole milliseconds, so sums of any parts are the sum of the whole, to the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.ids import CallId, QueueName
from cti.model.centre import ServiceLevelOf
from cti.reports.call_record import DEFAULT_SHORT_ABANDON
from cti.reports.metric import Grain

CALL_AMOUNTS = (
    "calls", "inbound", "outbound", "internal", "outbound_reached", "answered_calls", "wanted", "reached", "self_served",
    "menu_hang_ups", "voicemails", "overflowed", "rejected", "failed", "survival_calls", "recorded", "transferred",
    "resolvable", "resolved", "repeatable", "repeats", "callbacks_promised", "callbacks_kept", "callbacks_late",
)  # fmt: skip
VISIT_AMOUNTS = (
    "offered", "answered", "abandoned", "short_abandoned", "sent_elsewhere", "lost", "turned_away", "in_time", "level_base",
    "decided", "answer_wait_ms", "abandon_wait_ms", "promises", "promise_error_ms", "promise_inside",
)  # fmt: skip
TALK_AMOUNTS = (
    "handled", "talk_ms", "hold_ms", "wrap_ms", "handle_ms", "transfers_out", "conferences", "consults",
)  # fmt: skip
ANSWER_AMOUNTS = ("answers", "ratings", "rating_sum", "satisfied", "nps_answers", "nps_net")
TIME_AMOUNTS = ("ms", "signed_in_ms", "ready_ms", "busy_ms", "not_ready_ms", "staffed_ms", "over_ms", "kept_ms")
COMPLAINT_AMOUNTS = ("complaints",)
AMOUNTS: Mapping[Grain, tuple[str, ...]] = {
    Grain.CALLS: CALL_AMOUNTS,
    Grain.VISITS: VISIT_AMOUNTS,
    Grain.TALKS: TALK_AMOUNTS,
    Grain.ANSWERS: ANSWER_AMOUNTS,
    Grain.TIMES: TIME_AMOUNTS,
    Grain.COMPLAINTS: COMPLAINT_AMOUNTS,
}
"""The numbers that every row of a grain has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """By what a queue's stays are judged."""

    service_level: timedelta = timedelta(seconds=20)
    short_abandon: timedelta = DEFAULT_SHORT_ABANDON
    level_of: ServiceLevelOf = ServiceLevelOf.DECIDED


RulesAt = Callable[[QueueName, datetime], QueueRules]
"""The rules of a queue as they were at a moment: a later change of the centre changes no figure of the past."""


def usual_rules(queue: QueueName, at: datetime) -> QueueRules:
    """The rules of a queue nothing is known of."""
    return QueueRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One row of a grain. `number` tells rows of one call apart."""

    grain: Grain
    call_id: CallId
    number: int
    at: datetime
    """By which it belongs to a half-hour."""
    queue: str | None
    agent: str | None
    tier: str | None
    did: str | None
    direction: str
    outcome: str | None
    flow_version: str | None
    amounts: Mapping[str, int]
    """Of `AMOUNTS`; what is not named is 0."""
    until: datetime | None = None
    """When it was over."""
    words: Mapping[str, str | None] = field(default_factory=dict)
    """What else is stored of it."""


def milliseconds(length: timedelta) -> int:
    """Whole milliseconds, never negative."""
    return max(0, round(length / timedelta(milliseconds=1)))
