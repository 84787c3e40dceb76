"""An agent on the floor as a fold over facts: what the agent chose, and what the calls make of it.

The agent chooses ready, not ready or offline; offers and calls go on top, so a choice made while talking takes effect
when the work after the call is done, and nothing has to be remembered elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cti.ids import AgentId, CallId, OfferId
from cti.model import facts as f
from cti.model.changed import replacer
from cti.model.facts import AgentState, Device, OfferEnd

CHOSEN_STATES = frozenset({AgentState.OFFLINE, AgentState.NOT_READY, AgentState.READY})
MISSES = frozenset({OfferEnd.NO_ANSWER, OfferEnd.REJECTED, OfferEnd.UNREACHABLE, OfferEnd.BUSY, OfferEnd.EXPIRED})
"""Ends of an offer that were the agent's side's doing."""

FREES_OFFER = frozenset({"agent_reserved_without_offer"})
FREES_ASKED = frozenset({"agent_asked_by_nobody"})
FREES_CALL = frozenset({"agent_in_no_call"})
SEATS = frozenset({"talk_without_agent"})
"""Kinds of breaches whose repair changes the agent beyond what other facts can say (see `cti.services.audit`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """One agent now."""

    agent_id: AgentId
    chosen: AgentState = AgentState.OFFLINE
    reason: str = ""
    device: Device = Device.SIP
    since: datetime
    """Since when the present `state` holds."""
    idle_since: datetime
    """Since when the agent waits for a call: the key of longest idle."""
    offer_id: OfferId | None = None
    offer_call: CallId | None = None
    ringing: bool = False
    call_id: CallId | None = None
    dialling: bool = False
    """The call is one that the agent makes, and nobody has answered yet."""
    held: bool = False
    wrap_call: CallId | None = None
    asked_call: CallId | None = None
    """The call a colleague consults this agent about."""
    asked_rings: bool = False
    asked_talks: bool = False
    missed: int = 0
    """Offers missed in a row."""
    until: datetime | None = None
    """When *not ready* ends by itself."""
    paused_until: datetime | None = None
    """Nothing is offered to the agent before this moment, after an offer that failed."""

    @property
    def state(self) -> AgentState:
        """What the agent is doing: the call first, then the offer, then the work after, then the choice."""
        if self.dialling:
            return AgentState.DIALLING
        if self.call_id is not None:
            return AgentState.HELD if self.held else AgentState.TALKING
        if self.offer_id is not None:
            return AgentState.RINGING if self.ringing else AgentState.RESERVED
        if self.asked_call is not None:
            if self.asked_talks:
                return AgentState.TALKING
            return AgentState.RINGING if self.asked_rings else AgentState.RESERVED
        if self.wrap_call is not None:
            return AgentState.WRAP_UP
        return self.chosen


replace = replacer(AgentStatus)


def apply_agent(agent: AgentStatus, fact: f.Fact) -> AgentStatus:
    """The agent after `fact`; facts about others, and late facts about an older offer or call, change nothing."""
    after = _changed(agent, fact)
    return replace(after, since=fact.at) if after.state is not agent.state else after


def _changed(agent: AgentStatus, fact: f.Fact) -> AgentStatus:
    match fact:
        case f.AgentChanged() if fact.state in CHOSEN_STATES:
            agent = replace(
                agent,
                chosen=fact.state,
                reason=fact.reason,
                device=fact.device,
                missed=0,
                until=fact.until,
                paused_until=None,
            )
            return replace(agent, idle_since=fact.at, since=fact.at) if agent.state in CHOSEN_STATES else agent
        case f.OfferMade():
            return replace(agent, offer_id=fact.offer_id, offer_call=fact.call_id, ringing=False)
        case f.OfferRang() if fact.offer_id == agent.offer_id:
            return replace(agent, ringing=True)
        case f.OfferEnded() | f.OfferDeclined() if fact.offer_id == agent.offer_id:
            agent = replace(agent, offer_id=None, offer_call=None, ringing=False)
            if fact.end in MISSES:
                return replace(agent, missed=agent.missed + 1, idle_since=fact.at, paused_until=fact.pause_until)
            return agent
        case f.CallbackDialled() if fact.call_id == agent.offer_call:
            return replace(agent, ringing=False)
        case f.CallAnswered():
            return replace(
                agent,
                call_id=fact.call_id,
                dialling=False,
                held=False,
                missed=0,
                wrap_call=None,
                asked_call=None,
                asked_rings=False,
                asked_talks=False,
            )
        case f.ConsultStarted() if fact.consulted == agent.agent_id:
            return replace(agent, asked_call=fact.call_id, asked_rings=False, asked_talks=False)
        case f.ConsultRang() if fact.call_id == agent.asked_call:
            return replace(agent, asked_rings=True)
        case f.ConsultAnswered() if fact.call_id == agent.asked_call:
            return replace(agent, asked_talks=True)
        case f.ConsultEnded() if fact.call_id == agent.asked_call and not _stays(fact):
            return replace(agent, asked_call=None, asked_rings=False, asked_talks=False)
        case f.BreachRepaired() if fact.kind in FREES_ASKED:
            return replace(agent, asked_call=None, asked_rings=False, asked_talks=False)
        case f.DialAsked():
            return replace(agent, call_id=fact.call_id, dialling=True, held=False)
        case f.DialFailed() if fact.call_id == agent.call_id:
            return replace(agent, call_id=None, dialling=False)
        case f.CallHeld() if fact.call_id == agent.call_id:
            return replace(agent, held=True)
        case f.CallRetrieved() if fact.call_id == agent.call_id:
            return replace(agent, held=False)
        case f.TalkEnded() if fact.call_id == agent.call_id:
            return replace(agent, call_id=None, held=False, wrap_call=fact.call_id)
        case f.BreachRepaired() if fact.kind in FREES_OFFER:
            return replace(agent, offer_id=None, offer_call=None, ringing=False)
        case f.BreachRepaired() if fact.kind in FREES_CALL:
            return replace(agent, call_id=None, dialling=False, held=False, idle_since=fact.at)
        case f.BreachRepaired() if fact.kind in SEATS and fact.calls:
            return replace(agent, call_id=fact.calls[0], held=False, wrap_call=None)
        case f.WrapUpEnded() if fact.call_id == agent.wrap_call:
            return replace(agent, wrap_call=None, idle_since=fact.at)
        case _:
            return agent


def _stays(fact: f.ConsultEnded) -> bool:
    """Whether who was asked goes on to the caller: then the talk with the caller follows."""
    return fact.end in (f.ConsultEnd.COMPLETED, f.ConsultEnd.JOINED)
