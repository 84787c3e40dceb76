"""Facts: what has happened, in the past tense. The journal stores them; every figure is a fold over them.

Times are aware UTC datetimes. `at` is the moment the thing happened (Asterisk's own time stamp where Asterisk saw it),
not the moment we wrote it down. A fact never changes; `inferred` is True where it was reconstructed afterwards
(from Asterisk's own event log) because no bridge was there to see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cti.ids import AgentId, CallId, CustomerId, FlowName, NodeName, OfferId, QueueName
from cti.model.dial_facts import AgentTroubled, CallQuality, DialAsked, DialFailed, FarSideCalled, FarSideRang
from cti.model.fact import CallFact, Fact
from cti.model.kinds import (
    AgentState,
    Device,
    Direction,
    HangupBy,
    Match,
    OfferEnd,
    Outcome,
    SentBy,
)
from cti.model.requirement import Skills
from cti.model.talk_facts import (
    CallCameBack,
    CallPickedUp,
    CallTransferred,
    ConsultAnswered,
    ConsultEnd,
    ConsultEnded,
    ConsultRang,
    ConsultStarted,
    DestinationKind,
    PartyJoined,
    PartyLeft,
)

__all__ = [
    "AgentState", "AgentTroubled", "CallCameBack", "CallFact", "CallPickedUp", "CallQuality", "CallTransferred", "ConsultAnswered", "ConsultEnd",
    "ConsultEnded", "ConsultRang", "ConsultStarted", "DestinationKind", "Device", "DialAsked",
    "DialFailed", "Direction", "Fact", "FarSideCalled", "FarSideRang", "HangupBy", "Match",
    "OfferEnd", "Outcome", "PartyJoined", "PartyLeft", "SentBy",
]  # fmt: skip
"""Known from here, too: whoever reads a fact reads these words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(CallFact):
    """A caller arrived. `caller_number` is E.164 where it could be normalised, None when withheld."""

    node: NodeName
    direction: Direction = Direction.INBOUND
    caller_number: str | None = None
    did: str = ""
    channel: str = ""
    """Empty for a callback that has not been dialled yet."""
    parent: CallId | None = None
    """The call that asked to be called back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEntered(CallFact):
    """The call began (or resumed) a flow; it stays on that version, and in the edition of flows it began with."""

    flow: FlowName
    version: str
    step: str = ""
    edition: int = 0
    """0: from before there were editions."""
    draft: bool = False
    """A test call: it hears drafts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStepDone(CallFact):
    """One step of the flow was completed. `result` is the exit's name; digits are never stored."""

    flow: FlowName
    step: str
    verb: str
    result: str
    next_step: str | None = None
    seconds: float = 0.0
    choice: str = ""
    """The human label of a menu choice ("Orders"), for the screen pop; empty for other steps."""
    resume_at: str = ""
    """Where a later session takes the call up, if not at `next_step`: within a sub-flow, the step that called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFinished(CallFact):
    """The flow came to its own end (a hang-up step): the caller was served by the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecorded(CallFact):
    """A step of the flow recorded what the caller said, at `path` (relative to the recordings folder)."""

    kind: str
    """"message", or "comment" in a survey."""
    path: str
    flow: FlowName
    step: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyAnswered(CallFact):
    """The caller answered a question of a survey. Scores are no secret, unlike other keys."""

    flow: FlowName
    step: str
    question: str
    score: int
    least: int | None = None
    """The lowest and the highest key of the scale; None: told before scales were kept."""
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAttached(CallFact):
    """A flow gave the call what its agents should see: (label, text) in the order shown. Labels it has get the new text."""

    flow: FlowName
    data: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChosen(CallFact):
    """The caller's language, a BCP 47 tag of the centre ("en", "zh")."""

    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMatched(CallFact):
    """The look-up of the caller's number came back, or its deadline passed (`unavailable`)."""

    match: Match
    customer_id: CustomerId | None = None
    tier: str = ""
    candidates: tuple[CustomerId, ...] = ()
    by: str = ""
    """The agent who said which customer it is; empty: the look-up did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQueued(CallFact):
    """The call was given a ticket, or moved to another queue with it. `head_start` is seconds of priority; a call keeps
    this place whatever offers fail."""

    queue: QueueName
    head_start: float = 0.0
    skills: tuple[tuple[str, int], ...] = ()
    """Required (skill, least proficiency 1-5) pairs, all needed."""
    strict: int = 0
    """Class of strict priority, 0-99: a higher one is served first whatever the waits."""
    requires: tuple[Skills, ...] = ((),)
    """Alternatives, one of which is needed besides `skills` (see `cti.model.requirement`)."""
    since: datetime | None = None
    """From when on waiting counts, where that is not `at`: moved here from another queue, or the menus count."""
    preferred: AgentId | None = None
    """The agent the call is held for before others may serve it."""
    hold: float = 0.0
    """Seconds it is held for that agent, counted from `at`."""
    addressed: bool = False
    """`preferred` is who the caller was sent to by a colleague, or who asked for the caller: of whatever queue."""
    by: str = ""
    """Who moved a waiting call here: a rule ("overflow"), a key ("option"), a user's name. Empty: the flow."""
    reason: str = ""
    """What a user said why."""
    not_before: datetime | None = None
    """Of a callback: the customer asked not to be called before."""
    back_to: str = ""
    """Of a caller whom a flow sent to the agent `preferred`: the step to go back to when that agent does not take the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDequeued(CallFact):
    """The call left the queue for a reason other than an answer or a hang-up, or could not join it."""

    reason: str
    """"full", "late", "empty", "closed", "overflow", "option", "supervisor", ..."""
    to: str = ""
    """Where it went: "voicemail", "callback", "flow:after_hours", "number:+1555...", "queue:sales", "hang_up"."""
    queue: QueueName | None = None
    """The queue it left or could not join."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityChanged(CallFact):
    """Somebody changed the priority of a waiting call. The values replace what the call had."""

    head_start: float
    strict: int
    by: str
    """The user who did it."""
    reason: str = ""
    before: tuple[float, int] = (0.0, 0)
    """(head start, strict) until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(CallFact):
    """Why a call was offered to this agent, or to nobody, as things stood at `at`. For people; nothing is derived from it."""

    queue: QueueName
    offer_id: OfferId | None = None
    """The offer that was made; None: nobody could have the call."""
    agents: tuple[AgentId, ...] = ()
    """Whom it was offered to."""
    why: str = ""
    """Where nobody could have it: the reason (a `cti.acd.decisions.Why` value)."""
    score: float = 0.0
    """Seconds waited plus head start."""
    strict: int = 0
    relaxed: int = 0
    raised: bool = False
    strategy: str = ""
    candidates: tuple[tuple[AgentId, float], ...] = ()
    """(agent, score), best first."""
    more_candidates: int = 0
    excluded: tuple[tuple[AgentId, str], ...] = ()
    """(agent, reason)."""
    more_agents: int = 0
    """Agents of the queue who are neither among the candidates nor the excluded named here."""
    passed_over: tuple[CallId, ...] = ()
    """Calls before this one that nobody eligible was free for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPromised(CallFact):
    """What was expected for a waiting caller at `at`: seconds more to wait. What came of it is the call's own record."""

    queue: QueueName
    place: int
    low: float
    mean: float
    high: float
    told: bool = False
    """Whether the caller heard it; the first promise of each ticket is kept even unheard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAsked(CallFact):
    """The caller will be called back: the ticket goes over to the call `callback_id`, with its place."""

    callback_id: CallId
    number: str
    """E.164."""
    confirmed: bool = False
    """Whether the caller confirmed or keyed the number, rather than being called back where the call came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDialled(CallFact):
    """The customer of a callback is being called."""

    attempt: int
    """From 1."""
    channel: str
    """The unique id of the channel our command made, ours and known before it is there: what makes a repeated command
    harmless. The customer's; where the agent is called first, the agent's, from which the customer is dialled."""
    agent_id: AgentId | None = None
    """The agent who picked up and waits for the customer, where the agent is called first."""
    offer_until: datetime | None = None
    """Until when that agent's offer stands now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReached(CallFact):
    """The customer answered and said so by a key: not a machine. From now on it is a waiting call like any other."""

    channel: str
    """The channel's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFailed(CallFact):
    """The attempt reached nobody. `retry_at` None: it was the last."""

    attempt: int
    status: str
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSentOut(CallFact):
    """The caller was connected (or is being connected) to an outside number instead of an agent."""

    number: str
    step: str = ""
    """The step of the flow the call comes back to when nobody answers; empty: it does not come back."""
    by: str = ""
    """Who sent the caller there: an agent, or a supervisor's name; empty: a flow or a rule of the queue."""
    by_whom: SentBy = SentBy.NOT_TOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFailed(CallFact):
    """Nobody answered at the outside number, and the caller is in the flow again."""

    status: str
    """"busy", "no_answer" or "failure"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMade(CallFact):
    """A lease: this call and this agent are held for each other until `deadline`."""

    offer_id: OfferId
    agent_id: AgentId
    queue: QueueName
    device: Device
    deadline: datetime
    others: tuple[AgentId, ...] = ()
    """Agents who ring at the same time for the same offer (`ring_all`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDeclined(CallFact):
    """One of several agents of an offer is out of it; the others go on ringing."""

    offer_id: OfferId
    agent_id: AgentId
    end: OfferEnd
    pause_until: datetime | None = None
    """Until when the agent is offered nothing at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRang(CallFact):
    """The agent's device began to ring for the offer."""

    offer_id: OfferId
    agent_id: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferEnded(CallFact):
    """The lease was released, for exactly one reason, by all its agents.

    Answered: `agent_id` is who answered, the others were superseded. Otherwise each of them ended as `end` says.
    """

    offer_id: OfferId
    agent_id: AgentId
    end: OfferEnd
    others: tuple[AgentId, ...] = ()
    """Agents who were in the offer to its end, besides `agent_id`."""
    pause_until: datetime | None = None
    """Until when these agents are offered nothing at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered(CallFact):
    """Proof of talk: both legs were in one bridge. `offer_id` is None where survival routed the call."""

    agent_id: AgentId
    offer_id: OfferId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(CallFact):
    """The agent put the caller on hold."""

    agent_id: AgentId
    server: bool = False
    """The server did it: the caller is in the hold context, and who talks is in the call's room from then on. Otherwise
    the agent's device holds the line."""
    reason: str = ""
    """Why, where it was not the agent's wish: "page_gone" (the agent's browser telephone is away)."""
    until: datetime | None = None
    """With a reason: held so long at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRetrieved(CallFact):
    """The agent took the caller back from hold."""

    agent_id: AgentId
    server: bool = False
    """Back from the hold context, into the call's room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkEnded(CallFact):
    """The legs parted: talk with this agent is over."""

    agent_id: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(CallFact):
    """A recording of the call is being written at `path` (relative to the recordings folder)."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalEntered(CallFact):
    """The dialplan carried the call on without a bridge: native queue, then voicemail."""

    queue: QueueName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicemailLeft(CallFact):
    """The caller left a message at `path` (relative to the voicemail folder)."""

    path: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallFact):
    """The caller's leg is gone. The call is closed; nothing but its wrap-up may follow."""

    hangup_by: HangupBy
    cause: int = 16
    outcome: Outcome | None = None
    """Only set to overrule what the fold derives (rejected, failed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpEnded(CallFact):
    """The agent finished the work after the call."""

    agent_id: AgentId
    disposition: str = ""
    note: str = ""
    by: str = "agent"
    """"agent" or "timer"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpExtended(CallFact):
    """The work after the call may take until then."""

    agent_id: AgentId
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChanged(Fact):
    """An agent's state as they (or the system) chose it; offers and talk are told by call facts."""

    agent_id: AgentId
    state: AgentState
    reason: str = ""
    device: Device = Device.SIP
    until: datetime | None = None
    """Not ready until then; the agent is ready again by itself."""
    by: str = ""
    """The user who set it for the agent; empty: the agent, or the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreApplied(Fact):
    """A configuration of the centre took effect."""

    version: str
    by: str = ""
    changes: tuple[str, ...] = ()
    """One line for each thing that changed, in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachRepaired(Fact):
    """The books did not add up: what was found, of which calls and agents, and what was done about it."""

    kind: str
    calls: tuple[CallId, ...] = ()
    agents: tuple[AgentId, ...] = ()
    repair: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeStarted(Fact):
    """This process took up its work; what the journal says before it was another process's."""

    node: NodeName
    version: str
    fields: dict[str, str] = field(default_factory=dict)
