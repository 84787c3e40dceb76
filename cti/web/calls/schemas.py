"""Past calls on the wire: the columns of the SQL view `report.calls`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from cti.model.facts import Outcome
from cti.web.operations import Answer, Params


class CallRecord(Answer):
    """One call, closed or still open (`ended_at` null). Seconds are numbers with a fraction."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    call_id: str
    node: str | None = None
    direction: str | None = None
    started_at: datetime
    queued_at: datetime | None = None
    offered_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    caller_number: str | None = None
    did: str | None = None
    language: str | None = None
    customer_id: int | None = None
    tier: str | None = None
    queue: str | None = None
    agent: str | None = None
    outcome: str | None = None
    wait_seconds: float | None = None
    ring_seconds: float | None = None
    talk_seconds: float | None = None
    hold_seconds: float | None = None
    wrap_seconds: float | None = None
    hangup_by: str | None = None
    recording: str | None = None


class CallsQuery(Params):
    """Which calls. `before` (an ISO 8601 time with its zone) pages back: calls started earlier than that."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    before: datetime | None = None
    queue: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    outcome: Outcome | None = None


class CallList(Answer):
    """Calls, latest first. `next_before` is the `before` of the next page; null on the last."""

    calls: list[CallRecord]
    next_before: datetime | None


class CallDetail(Answer):
    """One call and every fact known of it, in order."""

    call: CallRecord
    facts: list[dict[str, Any]]
