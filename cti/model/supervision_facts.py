"""What supervisors, and whoever else works with the pages, did: the audit log, as facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cti.ids import AgentId, QueueName
from cti.model.fact import CallFact, Fact


class WatchMode(StrEnum):
    """What a supervisor does in somebody else's call."""

    LISTEN = "listen"
    """Hears everybody, is heard by nobody."""
    WHISPER = "whisper"
    """Hears everybody, is heard by the agent alone."""
    BARGE = "barge"
    """Talks with everybody."""
    TAKE_OVER = "take_over"
    """Talks with the caller; the agent leaves."""


IN_TALK = frozenset({WatchMode.BARGE, WatchMode.TAKE_OVER})
"""Modes in which the supervisor is one of those who talk."""


class WatchEnd(StrEnum):
    """How a supervisor's part in a call ended."""

    STOPPED = "stopped"
    HUNG_UP = "hung_up"
    """By the supervisor's telephone."""
    CALL_ENDED = "call_ended"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    GONE = "gone"
    """It was found to be gone after a time in which nobody watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted(Fact):
    """Somebody did something that others must be able to look up: one line of the audit log. Never changed, never deleted.

    Names of customers, their numbers and what was said are not in it: ids only.
    """

    by: str
    """The user's name."""
    role: str
    act: str
    """The operation of the API ("call_listen"); a name of its own where it was done in another way."""
    subject: str
    """What it was done to, "call:pbx1-1700000000.1", "agent:1001", "queue:support", "recording:...", "form:3"."""
    queue: QueueName | None = None
    """The queue by which it was allowed."""
    before: tuple[tuple[str, str], ...] = ()
    """What was changed, as it was: (field, value)."""
    after: tuple[tuple[str, str], ...] = ()
    """The same as it is now."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFact(CallFact):
    """A fact about a supervisor's part in a call. The call's own state does not change by it."""

    by: str
    """The supervisor's user name."""
    leg_id: str
    """Unique id of the supervisor's channel, ours and known before it is there (see `watch_leg`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchBegan(WatchFact):
    """A supervisor's telephone is called, to have a part in this call."""

    mode: WatchMode
    account: str
    """The SIP account that is called."""
    watched: AgentId | None = None
    """Whose talk it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchAnswered(WatchFact):
    """The supervisor is on the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchChanged(WatchFact):
    """From now on the supervisor does something else in the call."""

    mode: WatchMode


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded(WatchFact):
    """The supervisor has no part in the call any more."""

    end: WatchEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOpened(CallFact):
    """Caller and agent were brought into the call's room, so that a supervisor can talk with both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(Fact):
    """A supervisor tells agents something; it stands on their pages until they have seen it, or `until`.

    `by` is empty where the centre itself does: `text` is an id then (`cti.services.centre_notices`).
    """

    message_id: str
    by: str
    text: str
    agents: tuple[AgentId, ...]
    """Everybody it was meant for at that moment."""
    queue: QueueName | None = None
    """The queue whose agents were meant; None: named agents."""
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSeen(Fact):
    """An agent has seen a message."""

    message_id: str
    agent_id: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueForced(Fact):
    """A supervisor opened or closed a queue against its calendar; None: the calendar counts again."""

    queue: QueueName
    open: bool | None
    until: datetime | None = None
    """None: until a supervisor says otherwise."""
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencySet(Fact):
    """What callers are told before anything else; an empty prompt takes it back."""

    queue: QueueName | None
    """None: callers of every queue."""
    prompt: str
    """Name of a prompt of the library."""
    text: str = ""
    """What it says, where it was made for this."""
    languages: tuple[str, ...] = ()
    """In which it can be heard; empty: in every language of the centre."""
    until: datetime | None = None
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReassigned(Fact):
    """For a while an agent has other queues, other skills, or both; None: what the centre's file says. Both None: it is over.

    It replaces what was said of this agent before, and ends by itself at `until`; with `shift` also when the agent goes offline.
    """

    agent_id: AgentId
    queues: tuple[QueueName, ...] | None = None
    skills: tuple[tuple[str, int], ...] | None = None
    until: datetime | None = None
    """None: until the shift ends, or until taken back."""
    shift: bool = False
    by: str
    reason: str = ""


FACTS = (
    Acted, WatchBegan, WatchAnswered, WatchChanged, WatchEnded, RoomOpened, MessageSent, MessageSeen, QueueForced, EmergencySet,
    AgentReassigned,
)  # fmt: skip
