"""What goes in and out where an agent dials, says that the page is there, and tells how a call sounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cti.services.floor import AgentRow
from cti.web.operations import Answer, Body


class DialBody(Body):
    """Whom to call: exactly one of `number` and `agent_id`."""

    number: Annotated[str, Field(max_length=40)] = ""
    """As it was written; national numbers are read in the centre's region."""
    agent_id: Annotated[str, Field(pattern=r"^([0-9]{2,6})?$")] = ""
    """A colleague."""
    customer_id: Annotated[int, Field(ge=1)] | None = None
    """The customer whom the number was taken from."""
    caller_id: Annotated[str, Field(pattern=r"^(\+[0-9]{7,15})?$")] = ""
    """The number to show: one of those the centre or the queue allows."""
    queue: Annotated[str, Field(max_length=32)] = ""
    """The queue it is done for; empty: the agent's first."""
    follow_up_id: Annotated[str, Field(max_length=64)] = ""
    override_reason: Annotated[str, Field(max_length=200)] = ""
    """Why a customer is called who asked not to be."""
    idempotency_key: Annotated[str, Field(max_length=64)] = ""
    """Names this request: sent again, the answer is the same call."""

    @model_validator(mode="after")
    def _one_of_both(self) -> DialBody:
        if bool(self.number) == bool(self.agent_id):
            raise ValueError("give exactly one of number and agent_id")
        return self


class DialAnswer(Answer):
    """The call that begins. The agent's own device rings first."""

    call_id: str
    agent: AgentRow


class HeartbeatBody(Body):
    """What the page knows of itself; send it every 5 seconds, and at once when something changes."""

    microphone: Literal["ok", "denied", "silent", "none"] = "ok"
    registered: bool = True
    visible: bool = True


class HeartbeatAnswer(Answer):
    """The agent; `agent.problems` names what is missing."""

    agent: AgentRow


class QualityBody(Body):
    """How the call sounds; null where it is not known."""

    rtt_ms: Annotated[float, Field(ge=0, le=60_000)] | None = None
    jitter_ms: Annotated[float, Field(ge=0, le=60_000)] | None = None
    loss: Annotated[float, Field(ge=0, le=1)] | None = None
    mos: Annotated[float, Field(ge=1, le=5)] | None = None
    final: bool = False
    """The last report of the call: of all of it."""


class QualityAnswer(Answer):
    """Whether the report was kept in the call's record: the worst, the last and one a minute are."""

    kept: bool
