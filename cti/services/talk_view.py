"""What an agent sees of the talk they are in, and where they may send its caller. Plain values, as in `floor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from cti.ids import AgentId, CallId, FlowName, QueueName
from cti.model.facts import AgentState, Device, Direction
from cti.model.talk_facts import DestinationKind

PartyKind = Literal["caller", "agent", "number"]
PartyState = Literal["ringing", "talking", "held", "failed"]
TalkState = Literal["talking", "held", "consulting", "conference"]

CALLER = "caller"
"""The name of the caller among the parties of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyView:
    """Somebody in a call besides the agent who looks at it."""

    party: str
    """The name to drop them by: "caller", an agent's id, or a number."""
    kind: PartyKind
    agent_id: AgentId | None
    name: str
    number: str | None
    state: PartyState
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultView:
    """A consultation: the caller is on hold, somebody is asked about them; or (`held`) the other way round."""

    party: str
    kind: Literal["agent", "number"]
    agent_id: AgentId | None
    name: str
    number: str | None
    state: PartyState
    since: datetime
    by: AgentId
    """Who asks. The agent who is asked sees the same consultation."""
    reason: str = ""
    """Why it failed: a `ConsultEnd` value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkView:
    """The call an agent is in, as the agent's phone panel needs it."""

    call_id: CallId
    direction: Direction
    number: str | None
    customer_name: str
    state: TalkState
    """"consulting": the caller is on hold, and somebody else is being called or talked to."""
    parties: tuple[PartyView, ...]
    """Everybody else in the call, the caller first."""
    consult: ConsultView | None
    conference: bool
    """More than one besides the agent, and all hear each other."""
    transferred_from: AgentId | None
    """Who sent the caller here."""
    note: str
    """What that agent wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDestination:
    """A colleague. `why_not` is empty where they can be called now; otherwise the reason ("busy", "offline",
    "unreachable", "wrap_up"). A caller can be transferred to anybody who is not offline, and waits for them then."""

    agent_id: AgentId
    name: str
    state: AgentState
    device: Device
    reachable: bool
    queues: tuple[QueueName, ...]
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDestination:
    """A queue. `open` as its calendar says."""

    queue: QueueName
    title: Mapping[str, str]
    waiting: int
    agents_ready: int
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberDestination:
    """An entry of the centre's phone book."""

    name: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDestination:
    """A flow that is open to transfers."""

    flow: FlowName
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where an agent may send a caller, and whom they may consult."""

    agents: tuple[AgentDestination, ...]
    queues: tuple[QueueDestination, ...]
    flows: tuple[FlowDestination, ...]
    numbers: tuple[NumberDestination, ...]
    caller_ids: tuple[str, ...] = ()
    """Numbers of the centre that may be shown in calls the agent makes; the first is the usual one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTo:
    """Where a caller is sent, or who is asked."""

    kind: DestinationKind
    name: str
    """The agent, the queue, the flow, or the number (E.164); of voicemail nothing is asked."""


class TalkDesk(Protocol):
    """What an agent may do with the call they are in. Every request raises `Refused`, and then nothing has changed."""

    async def hold(self, agent_id: AgentId, call_id: CallId, *, on: bool) -> None:
        """Put the caller on hold (music), whatever the agent's device; or take them back. Already so: no change."""
        ...

    async def transfer(self, agent_id: AgentId, call_id: CallId, to: SendTo, *, note: str = "") -> None:
        """Send the caller on and leave the call (blind transfer)."""
        ...

    async def consult(self, agent_id: AgentId, call_id: CallId, to: SendTo) -> None:
        """Put the caller on hold and call an agent or a number."""
        ...

    async def complete_consult(self, agent_id: AgentId, call_id: CallId, *, note: str = "") -> None:
        """Leave the call to the caller and the third party (attended transfer)."""
        ...

    async def cancel_consult(self, agent_id: AgentId, call_id: CallId) -> None:
        """Let the third party go and take the caller back."""
        ...

    async def swap(self, agent_id: AgentId, call_id: CallId) -> None:
        """Talk with the other of the two; the first is on hold meanwhile."""
        ...

    async def join(self, agent_id: AgentId, call_id: CallId) -> None:
        """Everybody talks together (conference)."""
        ...

    async def drop(self, agent_id: AgentId, call_id: CallId, party: str) -> None:
        """Take one party out of the call."""
        ...

    async def send_keys(self, agent_id: AgentId, call_id: CallId, keys: str) -> None:
        """Press keys (0-9, *, #) towards whoever the agent talks with."""
        ...

    async def pick_up(self, agent_id: AgentId, call_id: CallId) -> None:
        """Take a caller who waits, or rings elsewhere, before everybody else."""
        ...

    async def destinations(self, agent_id: AgentId) -> Destinations:
        """Where this agent may send callers now."""
        ...
