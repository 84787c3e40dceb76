"""What supervisors see and may ask of calls, agents and queues that are not their own: the seam for the web."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Agent
from cti.model.facts import AgentState
from cti.model.supervision_facts import EmergencySet, MessageSent, QueueForced, WatchMode
from cti.services.talk_view import SendTo

__all__ = ["EmergencySet", "MessageSent", "QueueForced", "SupervisionDesk", "WatchMode", "WatchRow"]

Scope = frozenset[QueueName]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRow:
    """A supervisor's part in a call."""

    call_id: CallId
    by: str
    mode: WatchMode
    state: Literal["calling", "there"]
    """`calling`: the supervisor's telephone rings."""
    since: datetime
    agent_id: AgentId | None
    """Whose leg is listened to."""
    silent: bool = False
    """Nobody is heard at the moment: the recording is paused, or nobody talks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What an act has changed, for the audit log: (field, value) as it was, and as it is."""

    before: Mapping[str, str]
    after: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageState:
    """A message to agents, and who has seen it."""

    message: MessageSent
    seen: tuple[AgentId, ...]


class SupervisionDesk(Protocol):
    """The dispatcher, as supervisors see it. Requests raise `cti.services.floor.Refused`; `by` is the user's name."""

    async def watch(self, call_id: CallId, *, by: str, account: str, mode: WatchMode, again: bool = False) -> WatchRow:
        """Call the SIP account of a supervisor, for a part in this call. `again`: by a new leg, where one has a part in it
        already and does not hear it any more."""
        ...

    async def change_watch(self, *, by: str, mode: WatchMode) -> WatchRow:
        """Do something else in the call one has a part in."""
        ...

    async def stop_watch(self, *, by: str) -> CallId:
        """Have no part in it any more."""
        ...

    def watches(self) -> Sequence[WatchRow]:
        """Every part of a supervisor in a call."""
        ...

    async def end_call(self, call_id: CallId, *, by: str) -> Changed:
        """Hang a live call up, whatever it does."""
        ...

    async def send_call(self, call_id: CallId, to: SendTo, *, by: str, note: str = "") -> Changed:
        """Send a live call elsewhere: from an agent who talks with it, or out of a queue."""
        ...

    async def set_agent_of(self, agent_id: AgentId, state: AgentState, *, by: str, reason: str = "") -> Changed:
        """Change an agent's state; during a call it takes effect after it."""
        ...

    async def reassign_agent(
        self,
        agent_id: AgentId,
        *,
        by: str,
        queues: Sequence[QueueName] | None,
        skills: Mapping[str, int] | None,
        until: datetime | None,
        shift: bool,
        reason: str,
    ) -> Changed:
        """Give an agent other queues or skills for a while: until then, until the agent goes offline (`shift`), or until
        taken back, which both None does."""
        ...

    def usual_agent(self, agent_id: AgentId) -> Agent | None:
        """The agent as the centre's file has them, whatever they were given for a while."""
        ...

    async def force_queue(
        self, queue: QueueName, open_: bool | None, *, by: str, until: datetime | None, reason: str
    ) -> Changed:
        """Open or close a queue against its calendar; None: as the calendar says."""
        ...

    async def set_emergency(
        self,
        queue: QueueName | None,
        prompt: str,
        *,
        by: str,
        until: datetime | None,
        text: str,
        reason: str,
        languages: Sequence[str] = (),
    ) -> Changed:
        """Tell callers something before anything else; an empty prompt takes it back."""
        ...

    def emergencies(self) -> Sequence[EmergencySet]:
        """What callers are told before anything else, now."""
        ...

    def forced_queues(self) -> Sequence[QueueForced]:
        """Queues that are open or closed against their calendars, now."""
        ...

    async def send_message(
        self, agents: Sequence[AgentId], queue: QueueName | None, text: str, *, by: str, lasts: timedelta
    ) -> MessageSent:
        """Tell these agents, or the agents of this queue who are logged in, something."""
        ...

    async def message_seen(self, agent_id: AgentId, message_id: str) -> None:
        """The agent has seen it; again: no change."""
        ...

    def messages(self) -> Sequence[MessageState]:
        """Messages of the last days, the newest first."""
        ...

    def notices_of(self, agent_id: AgentId) -> Sequence[MessageSent]:
        """Messages that this agent has not seen yet."""
        ...
