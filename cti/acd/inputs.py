"""What the engine is told. Each input is a fact of the floor; the engine answers with decisions.

All datetimes are aware. An input the engine cannot accept raises `IllegalTransition` and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Centre
from cti.model.facts import AgentState, OfferEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerJoined:
    """A call got a ticket. Illegal when it has one already, or when the queue does not exist."""

    call_id: CallId
    queue: QueueName
    queued_at: datetime
    """When the waiting began; together with `head_start` it fixes the call's place for good."""
    head_start: timedelta = timedelta()
    """Priority as seconds of waiting the call is credited with; may be negative."""
    strict: int = 0
    """Strict priority: a higher number goes before every lower one; waiting and head start count among equals."""
    skills: tuple[tuple[str, int], ...] = ()
    """Required (skill, least proficiency 1-5) pairs, all needed, besides those of the queue."""
    deliverable: bool = False
    """Whether the channel can be redirected already (a call found waiting after a restart)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLeft:
    """The call gives up its ticket: hung up, or sent elsewhere. An offer of it ends as `caller_gone`."""

    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerReady:
    """The caller's channel is where it can be redirected from: from now on the call may be offered."""

    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerNotReady:
    """The caller's channel cannot be redirected now (a menu, an announcement): place kept, no new offers."""

    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFree:
    """The agent can take a call, and has been idle since `idle_since`. Illegal when the centre has no such agent.

    Under an offer it says what the agent is once that offer ends unanswered.
    """

    agent_id: AgentId
    idle_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBusy:
    """The agent cannot take a call, for whatever reason `state` names. An offer made to the agent stays."""

    agent_id: AgentId
    state: AgentState = AgentState.NOT_READY
    """Only for explanations: `offline` counts as not logged in, everything else as logged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTallied:
    """What the agent is ranked by from now on, for strategies that count: after a restart, or to begin a new day."""

    agent_id: AgentId
    calls: int = 0
    """Calls answered, in all queues."""
    talk: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSettled:
    """What became of an offer. Late or repeated: ignored. Illegal for an offer that was never made."""

    offer_id: OfferId
    end: OfferEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Only time has passed. To be sent at `Engine.next_due`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreChanged:
    """A new configuration. Nobody loses a place or an offer by it."""

    centre: Centre


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRestored:
    """An offer that was under way before a restart. The call's ticket must be there, both sides unbound."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    deadline: datetime


AcdInput = (
    CallerJoined
    | CallerLeft
    | CallerReady
    | CallerNotReady
    | AgentFree
    | AgentBusy
    | AgentTallied
    | OfferSettled
    | Tick
    | CentreChanged
    | LeaseRestored
)
