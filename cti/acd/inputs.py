"""What the engine is told. Each input is a fact of the floor; the engine answers with decisions.

All datetimes are aware. An input the engine cannot accept raises `IllegalTransition` and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Centre
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import ANYBODY, Requirement, Skills


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
    skills: Skills = ()
    """Required (skill, least proficiency 1-5) pairs, all needed, besides what the queue requires."""
    requires: Requirement = ANYBODY
    """Alternatives, one of which is needed besides `skills` and what the queue requires."""
    preferred: AgentId | None = None
    """Until `hold_until` nobody else may have the call, while this agent is logged in, of the queue, and good enough for
    the last step of its `relax`. A refusal by the agent ends that. After it, and otherwise, everybody may."""
    hold_until: datetime | None = None
    """None: the call is not held."""
    addressed: bool = False
    """The call is `preferred`'s own: kept for that agent whatever queues and skills they have, logged in or not."""
    deliverable: bool = False
    """Whether the channel can be redirected already (a call found waiting after a restart)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLeft:
    """The call gives up its ticket: hung up, or sent elsewhere. An offer of it ends as `caller_gone`."""

    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerReprioritised:
    """The call's priority is another now; the values replace what it had. Its place follows; an offer of it stays."""

    call_id: CallId
    head_start: timedelta = timedelta()
    strict: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerMoved:
    """The ticket goes to another queue (or asks for something else in its own) and keeps `queued_at`; the rest replaces
    what it had. An offer of it stays as it is: answered, it served the call; otherwise the call waits in the new queue.

    Illegal when the queue does not exist.
    """

    call_id: CallId
    queue: QueueName
    head_start: timedelta = timedelta()
    strict: int = 0
    skills: Skills = ()
    requires: Requirement = ANYBODY
    preferred: AgentId | None = None
    hold_until: datetime | None = None
    addressed: bool = False


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
    """What became of an offer: all its agents are released. Late or repeated: ignored. Illegal for an offer never made."""

    offer_id: OfferId
    end: OfferEnd
    agent_id: AgentId | None = None
    """Who answered; must be given (and be in the offer) when several agents were. The others are free again as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDeclined:
    """One agent is out of an offer (`end`: not `answered`, not `caller_gone`); the others go on ringing.

    When it was the last of them the offer is over, and the engine answers `Released` with this `end`. Ignored when the
    offer is over or the agent out of it already. Illegal for an offer never made.
    """

    offer_id: OfferId
    agent_id: AgentId
    end: OfferEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseExtended:
    """An offer stands until another moment: its agent has taken it up, and the other side is still to come. Ignored when
    the offer is over. Illegal for an offer never made."""

    offer_id: OfferId
    deadline: datetime


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
    others: tuple[AgentId, ...] = ()
    """More agents who ring for the same offer."""


AcdInput = (
    CallerJoined
    | CallerLeft
    | CallerReprioritised
    | CallerMoved
    | CallerReady
    | CallerNotReady
    | AgentFree
    | AgentBusy
    | AgentTallied
    | OfferSettled
    | AgentDeclined
    | Tick
    | CentreChanged
    | LeaseRestored
    | LeaseExtended
)
