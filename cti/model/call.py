"""A live call as a fold over its facts, and the table of the moves it may make.

Theory of operation: every change of a call is a fact; `apply_call` is the only way a call changes, live and on replay,
so what a restarted bridge reads from the journal equals what the old one knew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, ChannelName, CustomerId, FlowName, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.model.changed import replacer
from cti.model.requirement import ANYBODY, Requirement
from cti.model.supervision_facts import RoomOpened
from cti.model.talk import Consult, Transfer, replace_consult, replace_transfer


class CallState(StrEnum):
    """Where a live call is. Each live call is in exactly one."""

    MENU = "menu"
    WAITING = "waiting"
    OFFERED = "offered"
    TALKING = "talking"
    HELD = "held"
    AFTER = "after"
    """The agent has left and the caller's leg is still there."""
    SURVIVAL = "survival"
    DIALLING = "dialling"
    """An agent has dialled, and nobody has answered yet."""
    OUT = "out"
    """Connected, or being connected, to an outside number."""
    ENDED = "ended"


S = CallState
CALL_TRANSITIONS: dict[tuple[CallState, type[f.Fact]], CallState] = {
    (S.MENU, f.FlowEntered): S.MENU,
    (S.MENU, f.FlowStepDone): S.MENU,
    (S.MENU, f.FlowFinished): S.MENU,
    (S.MENU, f.CallQueued): S.WAITING,
    (S.MENU, f.CallDequeued): S.MENU,
    (S.WAITING, f.FlowStepDone): S.WAITING,
    (S.WAITING, f.CallQueued): S.WAITING,
    (S.WAITING, f.PriorityChanged): S.WAITING,
    (S.WAITING, f.CallDequeued): S.MENU,
    (S.WAITING, f.OfferMade): S.OFFERED,
    (S.WAITING, f.CallAnswered): S.TALKING,
    (S.OFFERED, f.FlowStepDone): S.OFFERED,
    (S.OFFERED, f.PriorityChanged): S.OFFERED,
    (S.OFFERED, f.OfferRang): S.OFFERED,
    (S.OFFERED, f.OfferDeclined): S.OFFERED,
    (S.OFFERED, f.OfferEnded): S.WAITING,
    (S.OFFERED, f.CallAnswered): S.TALKING,
    (S.TALKING, f.OfferEnded): S.TALKING,
    (S.TALKING, f.CallHeld): S.HELD,
    (S.TALKING, f.TalkEnded): S.AFTER,
    (S.HELD, f.CallRetrieved): S.TALKING,
    (S.HELD, f.CallHeld): S.HELD,
    (S.HELD, f.TalkEnded): S.AFTER,
    (S.TALKING, f.CallAnswered): S.TALKING,
    (S.HELD, f.CallAnswered): S.TALKING,
    (S.AFTER, f.CallAnswered): S.TALKING,
    (S.AFTER, f.CallQueued): S.WAITING,
    (S.AFTER, f.CallDequeued): S.MENU,
    (S.AFTER, f.CallCameBack): S.AFTER,
    (S.WAITING, f.CallCameBack): S.WAITING,
    (S.OUT, f.CallCameBack): S.AFTER,
    (S.WAITING, f.CallPickedUp): S.WAITING,
    (S.SURVIVAL, f.FlowEntered): S.MENU,
    (S.SURVIVAL, f.CallAnswered): S.TALKING,
    (S.AFTER, f.OfferEnded): S.AFTER,
    (S.MENU, f.CallbackAsked): S.MENU,
    (S.MENU, f.CallSentOut): S.OUT,
    (S.OUT, f.FlowStepDone): S.OUT,
    (S.OUT, f.TransferFailed): S.MENU,
    (S.WAITING, f.CallbackDialled): S.WAITING,
    (S.WAITING, f.CallbackReached): S.WAITING,
    (S.WAITING, f.CallbackFailed): S.WAITING,
    (S.OFFERED, f.CallbackDialled): S.OFFERED,
    (S.OFFERED, f.CallbackReached): S.OFFERED,
    (S.OFFERED, f.CallbackFailed): S.OFFERED,
}
CALL_TRANSITIONS |= {
    (S.MENU, f.DialAsked): S.DIALLING,
    (S.DIALLING, f.FarSideCalled): S.DIALLING,
    (S.DIALLING, f.FarSideRang): S.DIALLING,
    (S.DIALLING, f.DialFailed): S.AFTER,
    (S.DIALLING, f.CallAnswered): S.TALKING,
    # The customer of a callback that called its agent first, when that agent's leg is gone: the far side is the call now.
    (S.HELD, f.FarSideCalled): S.HELD,
}
for _live in (S.MENU, S.WAITING, S.OFFERED, S.DIALLING, S.TALKING, S.HELD, S.AFTER, S.SURVIVAL, S.OUT):
    CALL_TRANSITIONS[_live, f.CallEnded] = S.ENDED
    for _same in (
        f.LanguageChosen,
        f.CustomerMatched,
        f.RecordingStarted,
        f.VoicemailLeft,
        f.MessageRecorded,
        f.SurveyAnswered,
        f.DataAttached,
    ):
        CALL_TRANSITIONS[_live, _same] = _live
for _talk in (S.TALKING, S.HELD):
    for _move in (
        f.CallTransferred,
        f.ConsultStarted,
        f.ConsultRang,
        f.ConsultAnswered,
        f.ConsultEnded,
        f.PartyJoined,
        f.PartyLeft,
        RoomOpened,
    ):
        CALL_TRANSITIONS[_talk, _move] = _talk
    CALL_TRANSITIONS[_talk, f.CallCameBack] = S.AFTER
for _late in (f.ConsultEnded, f.PartyLeft):
    CALL_TRANSITIONS[S.AFTER, _late] = S.AFTER
for _apart in (S.MENU, S.WAITING, S.SURVIVAL, S.AFTER):
    CALL_TRANSITIONS[_apart, f.SurvivalEntered] = S.SURVIVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One live call."""

    call_id: CallId
    node: NodeName
    channel: ChannelName
    direction: f.Direction
    caller_number: str | None
    did: str
    started_at: datetime
    state: CallState = CallState.MENU
    since: datetime
    language: str = ""
    flow: FlowName | None = None
    edition: int = 0
    """Of the flows: what the call began with. 0: it was in none yet."""
    draft: bool = False
    """A test call: it hears the drafts of its edition."""
    next_step: str | None = None
    """Where the flow resumes after a bridge restart."""
    choices: tuple[str, ...] = ()
    flow_finished: bool = False
    data: tuple[tuple[str, str], ...] = ()
    """What its flow wants agents to see: (label, text)."""
    match: f.Match | None = None
    customer_id: CustomerId | None = None
    tier: str = ""
    queue: QueueName | None = None
    queued_at: datetime | None = None
    """Since when it waits, as far as its place goes: the menus may count, and a move to another queue changes nothing."""
    joined_at: datetime | None = None
    """Since when it has a ticket of its present queue."""
    head_start: float = 0.0
    skills: tuple[tuple[str, int], ...] = ()
    """What the call itself asks of an agent; the queue's own requirements come on top."""
    requires: Requirement = ANYBODY
    """Alternatives, one of which is needed besides."""
    strict: int = 0
    preferred: AgentId | None = None
    """Whom the call is held for until `hold_until`."""
    hold_until: datetime | None = None
    addressed: bool = False
    """`preferred` is who the caller was sent to, or who asked for the caller: of whatever queue."""
    offer_id: OfferId | None = None
    offered_agent: AgentId | None = None
    others: tuple[AgentId, ...] = ()
    """Agents who are in the offer besides `offered_agent`."""
    several: bool = False
    """The offer was made to several agents at once, however many are left in it."""
    device: f.Device | None = None
    offered_at: datetime | None = None
    offer_deadline: datetime | None = None
    agent_id: AgentId | None = None
    """The agent who talks, or talked last."""
    talkers: tuple[AgentId, ...] = ()
    """Every agent in talk with the caller, hold included, in the order they came."""
    outsiders: tuple[str, ...] = ()
    """Outside numbers in talk with the caller besides."""
    room: bool = False
    """The talk has been in the call's room since its first hold by the server: legs that leave a bridge end nothing there."""
    held_by_server: bool = False
    consult: Consult | None = None
    consults: int = 0
    """How many there were: each has a leg with an id of its own."""
    leaving: AgentId | None = None
    """Who goes as soon as the caller and the third party hear each other."""
    transfer: Transfer | None = None
    waited: float = 0.0
    """Seconds waited in queues before the talk began: a transferred caller brings them along."""
    held_reason: str = ""
    """Why the caller is held, where that is not the agent's wish ("page_gone"); until `held_until`."""
    held_until: datetime | None = None
    answered_at: datetime | None = None
    outcome: f.Outcome | None = None
    destination: str = ""
    """Where a call that left its queue, or could not join, was sent (`CallDequeued.to`), until it is in a flow or a queue
    again. Whoever finds the caller elsewhere sends them there."""
    parent: CallId | None = None
    """Of a callback: the call that asked for it."""
    callback: CallId | None = None
    """The callback that took over this call's place."""
    attempt: int = 0
    """Of a callback: how often the customer was called so far."""
    leg_id: str = ""
    """Of a callback: the unique id of the customer's channel, from the command to dial it to its end. Where the agent is
    called first, the agent's, from when the customer is dialled from it."""
    dialled_at: datetime | None = None
    retry_at: datetime | None = None
    """Of a callback: not called before then."""
    sent_to: str = ""
    """The outside number the caller was connected to."""
    dialled_by: AgentId | None = None
    """Of a call that an agent made: who. The call's id is then the unique id of that agent's channel; `channel` and `leg_id`
    are the far side's."""
    colleague: AgentId | None = None
    """Whom an internal call was made to."""
    recording: bool = False
    """Whether its talk is (or was) recorded: a recording has begun."""
    sent_from: str = ""
    """The step of the flow the call comes back to when nobody answers there."""

    @property
    def absent(self) -> bool:
        """Whether nobody is on the line: a callback whose customer has not been reached. It waits, and cannot be moved,
        announced to or offered."""
        return self.parent is not None and not self.channel

    @property
    def dialling(self) -> bool:
        """Whether the customer of a callback is being called."""
        return self.absent and bool(self.leg_id)

    @property
    def offered_agents(self) -> tuple[AgentId, ...]:
        """Everybody who is in the offer now; empty when there is none."""
        return (self.offered_agent, *self.others) if self.offered_agent is not None else ()

    @property
    def live(self) -> bool:
        """Whether the caller is still there."""
        return self.state is not CallState.ENDED


replace = replacer(Call)


def begin_call(fact: f.CallStarted) -> Call:
    """The call that a `CallStarted` fact begins."""
    return Call(
        call_id=fact.call_id,
        node=fact.node,
        channel=ChannelName(fact.channel),
        direction=fact.direction,
        caller_number=fact.caller_number,
        did=fact.did,
        parent=fact.parent,
        started_at=fact.at,
        since=fact.at,
    )


def next_state(call: Call, fact: f.CallFact) -> CallState:
    """The state the table gives; raises `IllegalTransition` naming state and fact."""
    try:
        return CALL_TRANSITIONS[call.state, type(fact)]
    except KeyError:
        raise IllegalTransition(
            f"call {call.call_id} is {call.state.value}: {type(fact).__name__} is no move from there",
            call_id=call.call_id,
            state=call.state.value,
            fact=type(fact).__name__,
        ) from None


def apply_call(call: Call, fact: f.CallFact) -> Call:
    """The call after `fact`. Raises `IllegalTransition` and changes nothing where the table has no such move."""
    before, state = call.state, next_state(call, fact)
    if isinstance(fact, f.TalkEnded) and _goes_on_without(call, fact.agent_id):
        state = call.state
    if state is not call.state:
        call = replace(call, state=state, since=fact.at)
    if isinstance(fact, f.CallHeld):
        # Whoever is held for a page is in no room any more, and comes back to two legs in one bridge.
        call = replace(call, held_reason=fact.reason, held_until=fact.until, room=call.room and not fact.reason)
    elif call.held_reason and isinstance(fact, f.CallRetrieved | f.CallAnswered | f.TalkEnded):
        call = replace(call, held_reason="", held_until=None)
    match fact:
        case f.FlowEntered():
            resumed = call.next_step if fact.flow == call.flow else None
            step = fact.step or resumed
            return replace(call, flow=fact.flow, edition=fact.edition, draft=fact.draft, next_step=step, destination="")
        case f.FlowStepDone():
            choices = (*call.choices, fact.choice) if fact.choice else call.choices
            return replace(call, next_step=fact.resume_at or fact.next_step, choices=choices)
        case f.FlowFinished():
            return replace(call, flow_finished=True)
        case f.DataAttached():
            return replace(call, data=tuple({**dict(call.data), **dict(fact.data)}.items()))
        case f.LanguageChosen():
            return replace(call, language=fact.language)
        case f.CustomerMatched():
            return replace(call, match=fact.match, customer_id=fact.customer_id, tier=fact.tier)
        case f.CallQueued():
            return replace(
                call,
                queue=fact.queue,
                queued_at=fact.since or fact.at,
                joined_at=fact.at,
                head_start=fact.head_start,
                skills=fact.skills,
                requires=fact.requires,
                strict=fact.strict,
                preferred=fact.preferred,
                hold_until=fact.at + timedelta(seconds=fact.hold) if fact.preferred is not None else None,
                addressed=fact.addressed,
                retry_at=fact.not_before,
                sent_from=fact.back_to,
                next_step=None,
                destination="",
            )
        case f.CallDequeued():
            return replace(call, destination=fact.to)
        case f.PriorityChanged():
            return replace(call, head_start=fact.head_start, strict=fact.strict)
        case f.OfferMade():
            return replace(
                call,
                offer_id=fact.offer_id,
                offered_agent=fact.agent_id,
                others=fact.others,
                several=bool(fact.others),
                device=fact.device,
                offered_at=fact.at,
                offer_deadline=fact.deadline,
            )
        case f.OfferEnded():
            return replace(call, offer_id=None, offered_agent=None, others=(), several=False, offer_deadline=None)
        case f.OfferDeclined() if fact.offer_id == call.offer_id:
            left = tuple(agent_id for agent_id in call.offered_agents if agent_id != fact.agent_id)
            return replace(call, offered_agent=left[0], others=left[1:]) if left else call
        case f.CallAnswered() | f.TalkEnded() | f.CallHeld() | f.CallRetrieved():
            return _talked(call, fact, before)
        case f.CallTransferred():
            sent = Transfer(by=fact.agent_id, kind=fact.kind, to=fact.to, note=fact.note)
            return replace(call, transfer=sent)
        case f.CallCameBack():
            came = replace_transfer(call.transfer, returned=fact.reason) if call.transfer is not None else None
            return replace(call, transfer=came, destination="", sent_to="", room=False, held_by_server=False)
        case f.ConsultStarted() | f.ConsultRang() | f.ConsultAnswered() | f.ConsultEnded():
            return _consulted(call, fact)
        case RoomOpened():
            return replace(call, room=True)
        case f.PartyJoined():
            return replace(call, outsiders=(*call.outsiders, fact.party))
        case f.PartyLeft():
            left_outside = tuple(party for party in call.outsiders if party != fact.party)
            return replace(call, outsiders=left_outside)
        case f.SurvivalEntered():
            return replace(call, queue=call.queue or fact.queue)
        case f.CallbackAsked():
            return replace(call, callback=fact.callback_id)
        case f.CallbackDialled():
            return replace(
                call,
                attempt=fact.attempt,
                leg_id=fact.channel,
                dialled_at=fact.at,
                retry_at=None,
                channel=ChannelName(""),
                offer_deadline=fact.offer_until or call.offer_deadline,
            )
        case f.CallbackReached():
            return replace(call, channel=ChannelName(fact.channel))
        case f.CallbackFailed():
            return replace(call, leg_id="", channel=ChannelName(""), retry_at=fact.retry_at)
        case f.DialAsked():
            return replace(
                call,
                dialled_by=fact.agent_id,
                agent_id=fact.agent_id,
                colleague=fact.colleague,
                queue=fact.queue,
                customer_id=fact.customer_id,
            )
        case f.FarSideCalled():
            return replace(call, channel=ChannelName(fact.channel), leg_id=fact.leg_id)
        case f.RecordingStarted():
            return replace(call, recording=True)
        case f.CallSentOut():
            return replace(call, sent_to=fact.number, sent_from=fact.step)
        case f.TransferFailed():
            return replace(call, destination="", sent_to="", next_step=call.sent_from or None)
        case f.CallEnded():
            return replace(call, outcome=fact.outcome)
        case _:
            return call


def _goes_on_without(call: Call, agent_id: AgentId) -> bool:
    """Whether somebody is, or may still come to be, in talk with the caller when this agent leaves."""
    return bool(call.outsiders or call.consult) or any(other != agent_id for other in call.talkers)


def _talked(call: Call, fact: f.CallAnswered | f.TalkEnded | f.CallHeld | f.CallRetrieved, before: CallState) -> Call:
    match fact:
        case f.CallAnswered():
            # In a talk, or after it, whoever was asked takes the caller over, in the same room: that is no new delivery.
            # (In a talk with nobody: who asked hung up, and the caller is just brought to whom they asked.)
            alone = not call.talkers and not call.outsiders and call.consult is None
            first = alone and before not in (CallState.TALKING, CallState.HELD, CallState.AFTER)
            return replace(
                call,
                agent_id=fact.agent_id,
                talkers=(*(other for other in call.talkers if other != fact.agent_id), fact.agent_id),
                answered_at=call.answered_at or fact.at,
                held_by_server=False,
                room=call.room and not first,
                waited=(fact.at - call.queued_at).total_seconds() if first and call.queued_at else call.waited,
            )
        case f.TalkEnded():
            talkers = tuple(other for other in call.talkers if other != fact.agent_id)
            leaving = None if call.leaving == fact.agent_id else call.leaving
            agent_id = talkers[-1] if talkers and call.agent_id == fact.agent_id else call.agent_id
            return replace(call, talkers=talkers, agent_id=agent_id, leaving=leaving)
        case f.CallHeld():
            # Held for a page that is gone: the agent is brought back to the caller by a new delivery, out of the room.
            room = (call.room or fact.server) and not fact.reason
            return replace(call, room=room, held_by_server=fact.server)
        case f.CallRetrieved():
            return replace(call, held_by_server=False)


def _consulted(call: Call, fact: f.ConsultStarted | f.ConsultRang | f.ConsultAnswered | f.ConsultEnded) -> Call:
    if isinstance(fact, f.ConsultStarted):
        begun = Consult(
            by=fact.agent_id,
            party=fact.party,
            kind=fact.kind,
            leg_id=fact.leg_id,
            consulted=fact.consulted,
            since=fact.at,
            deadline=fact.deadline,
        )
        return replace(call, consult=begun, room=True, consults=call.consults + 1)
    consult = call.consult
    if consult is None or consult.party != fact.party:
        return call
    if isinstance(fact, f.ConsultRang):
        return replace(call, consult=replace_consult(consult, ringing=True))
    if isinstance(fact, f.ConsultAnswered):
        return replace(call, consult=replace_consult(consult, answered_at=fact.at, since=fact.at))
    completed = fact.end is f.ConsultEnd.COMPLETED
    return replace(call, consult=None, leaving=fact.by if completed else call.leaving)
