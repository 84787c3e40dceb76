"""What supervisors have under way: their parts in calls, queues opened or closed by hand, emergency announcements, messages.

Filled by facts alone, live and on replay; beside them only what the telephone system tells about legs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.model import facts as f
from cti.model.fact import Fact
from cti.model.recording_facts import RecordingHalted, RecordingPaused, RecordingResumed
from cti.model.supervision_facts import (
    AgentReassigned,
    EmergencySet,
    MessageSeen,
    MessageSent,
    QueueForced,
    WatchAnswered,
    WatchBegan,
    WatchChanged,
    WatchEnded,
    WatchFact,
    WatchMode,
)

__all__ = ["Supervision", "Watch", "WatchFact"]

MESSAGES_KEPT = 200
"""Messages remembered at most; older ones leave the pages."""


@dataclass(slots=True)
class Watch:
    """A supervisor's part in a call, from the command to call the supervisor's telephone to the end of that leg."""

    call_id: CallId
    by: str
    leg_id: str
    account: str
    mode: WatchMode
    since: datetime
    watched: AgentId | None = None
    answered: bool = False
    channel: ChannelName | None = None
    """The leg, once the telephone system has told of it."""
    target: ChannelName | None = None
    """The channel it was last sent to listen to; None: nobody, or not known."""
    sent: bool = False
    """Whether the leg was sent anywhere since we know it: after a restart of ours it is sent once more."""
    whispers: bool = False
    """Whether it was sent to whisper."""
    in_room: bool = False
    """Whether it was sent into the call's room."""
    replaces: str = ""
    """The leg this one takes the place of: the supervisor's page was loaded anew, and the leg of before is not heard any more."""
    let_go: tuple[AgentId, ...] = ()
    """Agents whose legs were ended because this supervisor takes over."""


@dataclass(slots=True)
class Supervision:
    """See the module."""

    watches: dict[str, Watch] = field(default_factory=dict)
    """By the leg's id."""
    legs: dict[CallId, int] = field(default_factory=dict)
    """How many supervisors' legs a call has had; for the calls that live or ended lately."""
    forced: dict[QueueName, QueueForced] = field(default_factory=dict)
    emergencies: dict[QueueName | None, EmergencySet] = field(default_factory=dict)
    reassigned: dict[AgentId, AgentReassigned] = field(default_factory=dict)
    """Agents who have other queues or skills for a while."""
    reassigned_anew: bool = False
    """Whether that changed, and the floor's centre is still the one of before (`live_centre.settle`)."""
    messages: dict[str, MessageSent] = field(default_factory=dict)
    seen: dict[str, set[AgentId]] = field(default_factory=dict)
    paused: set[CallId] = field(default_factory=set)
    """Calls whose recording is paused: nobody listens to what must not be kept."""
    wake: Callable[[], None] = lambda: None
    """Has the owner look at the legs at once: recordings pause beside its turns."""
    stray: list[ChannelName] = field(default_factory=list)
    """Legs that belong to nothing any more, to be ended."""

    def fact(self, fact: Fact) -> None:
        """A fact was taken in."""
        match fact:
            case WatchBegan():
                self.legs[fact.call_id] = self.legs.get(fact.call_id, 0) + 1
                former = self.of(fact.by)
                self.watches[fact.leg_id] = Watch(
                    call_id=fact.call_id,
                    by=fact.by,
                    leg_id=fact.leg_id,
                    account=fact.account,
                    mode=fact.mode,
                    since=fact.at,
                    watched=fact.watched,
                    replaces=former.leg_id if former is not None else "",
                )
            case WatchAnswered() | WatchChanged() if fact.leg_id in self.watches:
                watch = self.watches[fact.leg_id]
                if isinstance(fact, WatchChanged):
                    watch.mode = fact.mode
                else:
                    watch.answered = True
                watch.since = fact.at
            case WatchEnded():
                self.watches.pop(fact.leg_id, None)
            case f.CallEnded():
                self.paused.discard(fact.call_id)
                if len(self.legs) > 2_000:
                    self.legs.pop(fact.call_id, None)
            case QueueForced():
                if fact.open is None:
                    self.forced.pop(fact.queue, None)
                else:
                    self.forced[fact.queue] = fact
            case EmergencySet():
                if fact.prompt:
                    self.emergencies[fact.queue] = fact
                else:
                    self.emergencies.pop(fact.queue, None)
            case AgentReassigned():
                if fact.queues is None and fact.skills is None:
                    self.reassigned.pop(fact.agent_id, None)
                else:
                    self.reassigned[fact.agent_id] = fact
                self.reassigned_anew = True
            case f.AgentChanged() if fact.state is f.AgentState.OFFLINE:
                said = self.reassigned.get(fact.agent_id)
                if said is not None and said.shift:
                    del self.reassigned[fact.agent_id]
                    self.reassigned_anew = True
            case MessageSent():
                self.messages[fact.message_id] = fact
                self.seen[fact.message_id] = set()
                while len(self.messages) > MESSAGES_KEPT:
                    eldest = next(iter(self.messages))
                    del self.messages[eldest], self.seen[eldest]
            case MessageSeen() if fact.message_id in self.seen:
                self.seen[fact.message_id].add(fact.agent_id)
            case RecordingPaused():
                self.paused.add(fact.call_id)
                self.wake()
            case RecordingResumed() | RecordingHalted():
                self.paused.discard(fact.call_id)
                self.wake()
            case _:
                pass

    def of(self, by: str) -> Watch | None:
        """The part that this supervisor has in a call, if any; of one that is taken again, the new leg."""
        return next((watch for watch in reversed(self.watches.values()) if watch.by == by), None)

    def parts(self) -> list[Watch]:
        """Every supervisor's part, one each."""
        return [watch for watch in self.watches.values() if self.of(watch.by) is watch]

    def forced_open(self, queue: QueueName, now: datetime) -> bool | None:
        """Whether a supervisor has opened (True) or closed (False) the queue; None: the calendar counts."""
        forced = self.forced.get(queue)
        if forced is None or (forced.until is not None and forced.until <= now):
            return None
        return forced.open

    def emergency(self, queue: QueueName | None, now: datetime) -> EmergencySet | None:
        """What callers of this queue are told before anything else: the queue's own word before the centre's."""
        for scope in (queue, None):
            found = self.emergencies.get(scope)
            if found is not None and (found.until is None or now < found.until):
                return found
        return None

    def notices(self, agent_id: AgentId) -> tuple[MessageSent, ...]:
        """Messages that stand on this agent's page."""
        return tuple(
            message
            for message_id, message in self.messages.items()
            if agent_id in message.agents and agent_id not in self.seen[message_id]
        )

    def let_agents_back(self, now: datetime) -> None:
        """Whose time with other queues or skills is over has the usual ones again."""
        over = [one for one, said in self.reassigned.items() if said.until is not None and said.until <= now]
        for agent_id in over:
            del self.reassigned[agent_id]
            self.reassigned_anew = True

    def next_due(self) -> datetime | None:
        """When the first of these ends by itself."""
        if not (self.forced or self.emergencies or self.reassigned or self.messages):
            return None  # asked at every turn, and mostly there is nothing
        ends = [
            *(forced.until for forced in self.forced.values() if forced.until is not None),
            *(emergency.until for emergency in self.emergencies.values() if emergency.until is not None),
            *(said.until for said in self.reassigned.values() if said.until is not None),
            *(message.until for message in self.messages.values()),
        ]
        return min(ends, default=None)
