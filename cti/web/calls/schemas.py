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
    """Which calls. `before` pages back: it is the `next_before` of the page that came last."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    before: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    queue: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    outcome: Outcome | None = None


class CallList(Answer):
    """Calls, latest first. `next_before` is the `before` of the next page; null on the last."""

    calls: list[CallRecord]
    next_before: str | None


class CallDetail(Answer):
    """One call, what the agent recorded after it, and every fact known of it. `call` is null while it is open."""

    call: CallRecord | None
    disposition: str
    note: str
    facts: list[dict[str, Any]]
