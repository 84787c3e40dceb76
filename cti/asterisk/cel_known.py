"""What the journal already says about the calls of the ledger: enough to see which of the ledger's facts are news. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model.call import CALL_TRANSITIONS, CallState
from cti.model.callback import agents_leg, agents_leg_of
from cti.model.facts import Fact
from cti.model.supervision_facts import RoomOpened

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTalk:
    """A talk the journal has."""

    agent_id: AgentId
    answered_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCall:
    """What the journal says about one call: enough to see which of the ledger's facts are news."""

    call_id: CallId
    closed: bool = False
    state: CallState = CallState.MENU
    channel: str = ""
    callback: bool = False
    leg_id: str = ""
    """Of a callback: the unique id of the customer's channel, from the command to dial it on; where the agent is called
    first, the agent's, from the offer on."""
    attempt: int = 0
    dialled: bool = False
    """Of a callback: the customer was dialled on that leg, or from it."""
    talks: tuple[KnownTalk, ...] = ()
    room: bool = False
    """The talk is in a room: legs that leave a bridge say nothing there, only legs that end do."""
    survivals: tuple[datetime, ...] = ()
    voicemails: tuple[str, ...] = ()
    recorded: bool = False
    """A recording of it has begun."""
    last_at: datetime = EPOCH

    @property
    def callers_leg(self) -> str:
        """The unique id of the caller's channel; empty for a callback that is not being dialled. Of a call that an agent made
        it is the far side's, once that is called."""
        return self.leg_id if self.callback else self.leg_id or self.call_id

    @property
    def first_agent(self) -> AgentId | None:
        """Whose leg the caller's leg is in truth: the agent whom the callback called first."""
        own = agents_leg_of(self.call_id, self.leg_id)
        return own[1] if own is not None else None

    def dialling(self, at: datetime) -> f.CallbackDialled:
        """The fact that the agent who was called first has picked up."""
        return f.CallbackDialled(
            at=at,
            call_id=self.call_id,
            attempt=self.attempt + 1,
            channel=self.leg_id,
            agent_id=self.first_agent,
            inferred=True,
        )

    @property
    def talking(self) -> KnownTalk | None:
        """The talk that has not ended; of several the last."""
        return next((talk for talk in reversed(self.talks) if talk.ended_at is None), None)

    def after(self, fact: f.CallFact) -> KnownCall:
        """This call when `fact` is in the journal too. A move the table does not have leaves the state as it was."""
        known = replace(
            self,
            state=CALL_TRANSITIONS.get((self.state, type(fact)), self.state),
            last_at=max(self.last_at, fact.at),
        )
        match fact:
            case f.CallStarted():
                return replace(known, channel=fact.channel, callback=fact.parent is not None)
            case f.OfferMade() if known.callback and not known.channel:
                leg = agents_leg(known.call_id, fact.offer_id, fact.agent_id)
                return replace(known, leg_id=leg, dialled=False)
            case f.OfferEnded() if known.callback and not known.channel:
                return replace(known, leg_id="", dialled=False)
            case f.CallbackDialled():
                return replace(known, leg_id=fact.channel, channel="", attempt=fact.attempt, dialled=True)
            case f.CallbackReached():
                return replace(known, channel=fact.channel)
            case f.FarSideCalled():
                return replace(known, channel=fact.channel, leg_id=fact.leg_id)
            case f.CallbackFailed():
                return replace(known, leg_id="", channel="", dialled=False)
            case f.CallAnswered():
                talk = KnownTalk(agent_id=fact.agent_id, answered_at=fact.at)
                return replace(known, talks=(*known.talks, talk))
            case f.TalkEnded():
                open_talks = [n for n, talk in enumerate(known.talks) if talk.ended_at is None]
                own = [n for n in open_talks if known.talks[n].agent_id == fact.agent_id] or open_talks
                if not own:
                    return known
                ended = replace(known.talks[own[-1]], ended_at=fact.at)
                return replace(known, talks=(*known.talks[: own[-1]], ended, *known.talks[own[-1] + 1 :]))
            case f.CallHeld() if fact.server or fact.reason:
                return replace(known, room=fact.server)
            case f.ConsultStarted() | RoomOpened():
                return replace(known, room=True)
            case f.CallQueued():
                return replace(known, room=False)
            case f.SurvivalEntered():
                return replace(known, survivals=(*known.survivals, fact.at))
            case f.VoicemailLeft():
                return replace(known, voicemails=(*known.voicemails, fact.path))
            case f.RecordingStarted():
                return replace(known, recorded=True)
            case f.CallEnded():
                return replace(known, closed=True)
            case _:
                return known


def known_calls(facts: Iterable[Fact], closed: Iterable[CallId] = ()) -> dict[CallId, KnownCall]:
    """What `facts` (the journal, or the histories of the live calls) say; `closed` are calls known to be over besides."""
    known = {call_id: KnownCall(call_id=call_id, closed=True) for call_id in closed}
    for fact in facts:
        if isinstance(fact, f.CallFact):
            known[fact.call_id] = known.get(fact.call_id, KnownCall(call_id=fact.call_id)).after(fact)
    return known
