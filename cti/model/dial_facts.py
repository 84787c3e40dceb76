"""Facts of calls that agents begin, of what keeps agents from being offered calls, and of how calls sound."""

from __future__ import annotations

from dataclasses import dataclass

from cti.ids import AgentId, CustomerId, QueueName
from cti.model.fact import CallFact, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class DialAsked(CallFact):
    """An agent wants to be connected with a number or a colleague; their own device rings first, or is off the hook."""

    agent_id: AgentId
    number: str = ""
    """E.164; empty for a colleague."""
    colleague: AgentId | None = None
    caller_id: str = ""
    """The number that is shown."""
    queue: QueueName | None = None
    """The queue it is done for: its wrap-up, its dispositions."""
    customer_id: CustomerId | None = None
    follow_up_id: str = ""
    override: str = ""
    """Why somebody is called who asked not to be."""
    key: str = ""
    """What the request was named by who asked."""
    keypad: bool = False
    """Dialled on the agent's own telephone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSideCalled(CallFact):
    """The number, or a device of the colleague, is being called."""

    channel: str
    leg_id: str
    """The unique id of that channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSideRang(CallFact):
    """The telephone of the number, or of the colleague, rings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialFailed(CallFact):
    """Nobody was reached. The end of the call follows."""

    agent_id: AgentId
    """Who dialled."""
    status: str
    """"busy", "no_answer", "rejected", "no_such_number", "line_down" (the line to the carrier, or beyond it, does not carry
    calls), "unreachable" (anything else), "agent_away" (the agent's own device was not taken), "cancelled" (the agent hung
    up)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTroubled(Fact):
    """What keeps an agent from being offered calls, though ready, changed; empty: nothing any more."""

    agent_id: AgentId
    problems: tuple[str, ...]
    """"page", "phone", "microphone"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuality(CallFact):
    """How a call sounded at an agent's page: a sample, or (`final`) all of it. None: not known."""

    agent_id: AgentId
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    loss: float | None = None
    """Share of packets that did not come, 0-1."""
    mos: float | None = None
    """Estimated mean opinion score, 1-5."""
    final: bool = False
