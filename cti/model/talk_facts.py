"""Facts of a talk that is more than two people on two legs: hold by the server, transfers, consultations, conferences.

A call keeps its id through all of it. Who talks with the caller is told as ever by `CallAnswered` and `TalkEnded`, one pair
for each agent and stretch; these facts say why legs moved in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cti.ids import AgentId
from cti.model.fact import CallFact


class DestinationKind(StrEnum):
    """Where an agent may send a caller."""

    AGENT = "agent"
    QUEUE = "queue"
    NUMBER = "number"
    FLOW = "flow"
    VOICEMAIL = "voicemail"


class ConsultEnd(StrEnum):
    """What became of a consultation."""

    COMPLETED = "completed"
    """The caller went over to the third party."""
    JOINED = "joined"
    """All talk together."""
    CANCELLED = "cancelled"
    REFUSED = "refused"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    GONE = "gone"
    """The third party hung up."""
    CALLER_GONE = "caller_gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred(CallFact):
    """An agent sent the caller on. The end of the agent's talk, and where the call is then, are facts of their own."""

    agent_id: AgentId
    kind: DestinationKind
    to: str
    """The agent, the queue, the flow, or the number (E.164); "voicemail" for itself."""
    note: str = ""
    """What the agent writes to whoever gets the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCameBack(CallFact):
    """Nobody took a transferred caller: kept for `to` next, or (None) for whoever of the queue is free first."""

    reason: str
    """How the last try ended: an OfferEnd value, "late", "alone" (nobody was left on the line with the caller)."""
    to: AgentId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPickedUp(CallFact):
    """An agent asked for this waiting caller by name: it is kept for that agent before everybody else."""

    agent_id: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultStarted(CallFact):
    """An agent calls somebody about the caller, who is on hold."""

    agent_id: AgentId
    """Who asks."""
    party: str
    """Names the third party within the call: the agent's id or the number."""
    kind: DestinationKind
    """`AGENT` or `NUMBER`."""
    leg_id: str
    """The unique id of the third party's channel, ours and known before it is there."""
    consulted: AgentId | None = None
    """The agent who is asked; None for a number."""
    deadline: datetime
    """When nobody has answered by then, nobody does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultRang(CallFact):
    """The third party's device rings."""

    party: str
    consulted: AgentId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultAnswered(CallFact):
    """The third party is on the line."""

    party: str
    consulted: AgentId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultEnded(CallFact):
    """The consultation is over; with `JOINED` and `COMPLETED` the third party stays with the caller."""

    party: str
    end: ConsultEnd
    consulted: AgentId | None = None
    by: AgentId | None = None
    """With `COMPLETED`: who leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyJoined(CallFact):
    """Somebody at an outside number talks with the caller: both were in one bridge."""

    party: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLeft(CallFact):
    """Somebody at an outside number is out of the talk."""

    party: str
