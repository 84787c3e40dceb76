"""The floor's state and the one place where it changes: calls, agents and the engine's tickets, moved by facts.

Theory of operation: the switchboard is synchronous and is told the time, so a day of traffic replays in a second. Whoever
handles an input calls `record` (a fact happened) and `route` (the engine is told); what must be done about it in the world
gathers in `out`: facts to make durable, then commands to the telephone system. The dispatcher performs `out` and owns
the only instance; nothing else changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.acd.decisions import Decision, Expired, Offer
from cti.acd.engine import Engine
from cti.acd.inputs import (
    AcdInput,
    AgentBusy,
    AgentDeclined,
    AgentFree,
    AgentTallied,
    CallerJoined,
    CallerLeft,
    CallerNotReady,
    OfferSettled,
    Tick,
)
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, ChannelName, NodeName, QueueName
from cti.model import facts as f
from cti.model.agent import AgentStatus, apply_agent
from cti.model.call import Call, CallState, apply_call, begin_call
from cti.model.centre import Agent, Centre
from cti.model.commands import Command, ReturnToWait
from cti.model.facts import AgentState, Device, OfferEnd
from cti.model.requirement import Requirement, Skills
from cti.model.signals import DeviceReachable
from cti.services import agent_time, offers, recovery, screen_pops, tolls, trunk_lines
from cti.services.acquaintance import LastTalks
from cti.services.alarms import Alarms
from cti.services.concerned import concerned
from cti.services.floor import Pop
from cti.services.heartbeats import Presence
from cti.services.learning import Learning
from cti.services.looks import Looks
from cti.services.parties import Parties
from cti.services.ports import FlowEditions, LookUp, NoFlows
from cti.services.supervision_state import Supervision, WatchFact
from cti.services.tally import Tally

ANSWERED_ELSEWHERE = "answered_elsewhere"
"""Why a screen pop was withdrawn: the phone of somebody else in the offer was answered."""
CLOSED_KEPT = 50_000
"""Ended calls whose ids are remembered: days of a busy centre, where late signals are late by seconds."""


@dataclass(slots=True)
class Out:
    """What one turn asks of the world, in order: facts made durable first, then commands and look-ups."""

    facts: list[f.Fact] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    """Made in this turn: what explains them is written down after its facts."""
    commands: list[Command] = field(default_factory=list)
    look_ups: list[tuple[CallId, str | None]] = field(default_factory=list)


_LATE = (f.FlowStepDone, f.MessageRecorded, f.SurveyAnswered, f.DataAttached, f.CustomerMatched)
"""What a flow's session, or an agent in the work after it, may tell of a call after its end."""


class Switchboard:
    """Everything the floor knows now. See the module's theory of operation."""

    def __init__(
        self,
        centre: Centre,
        *,
        node: NodeName,
        now: datetime,
        flows: FlowEditions | None = None,
        normalise: Callable[[str | None], str | None] = lambda number: number,
    ) -> None:
        self.centre = centre
        """As configured, and what of a former configuration is still in use (`live_centre`)."""
        self.configured = centre
        self.retiring_since: dict[QueueName, datetime] = {}
        self.retiring_looked_at = now
        self.departed_agents: set[AgentId] = set()
        self.departed_queues: set[QueueName] = set()
        """Not yet told to the pages."""
        self.node = node
        self.flows: FlowEditions = flows or NoFlows()
        self.normalise = normalise
        """A caller's number as the line gave it -> E.164."""
        self.can_dial_out = False
        """Whether the trunk has an address to send calls to."""
        self.lines_taken = False
        """Whether as many calls that we began use the trunk as may: agents at outside numbers wait for one to end."""
        self.linked = False
        """Whether the telephone system is in sight: nobody is called back while it is not."""
        self.callbacks: dict[CallId, None] = {}
        """Live calls that are callbacks."""
        self.callbacks_looked_at: datetime | None = None
        self.engine = Engine(centre)
        self.calls: dict[CallId, Call] = {}
        self.agents: dict[AgentId, AgentStatus] = {
            agent_id: AgentStatus(agent_id=agent_id, since=now, idle_since=now) for agent_id in centre.agents
        }
        self.devices: dict[tuple[AgentId, Device], DeviceReachable] = {}
        self.bridges: dict[str, dict[ChannelName, datetime]] = {}
        self.legs: dict[ChannelName, tuple[CallId, AgentId]] = {}
        """Agents' channels that are, or are being, joined to a call."""
        self.parties, self.supervision = Parties(), Supervision()
        self.left_first: dict[CallId, f.HangupBy] = {}
        self.cards: dict[CallId, LookUp] = {}
        self.pops: dict[AgentId, Pop] = {}
        self.withdrawn: dict[AgentId, str] = {}
        self.wrap_until: dict[AgentId, datetime] = {}
        self.pauses: dict[AgentId, datetime] = {}
        """Agents to be looked at again when the pause after a failed offer is over."""
        self.wrap_queue: dict[AgentId, QueueName | None] = {}
        """Whose call the work is done for."""
        self.tally = Tally(centre, now)
        self.last_talks = LastTalks()
        """Who talked with which number last."""
        self.alarms, self.tolls = Alarms(), tolls.TollDesk()
        """Which figures are beyond their thresholds; what dialling out costs."""
        self.presence = Presence()
        self.looks = Looks()
        """Which waiting calls may have to go elsewhere, and when."""
        self.learning = Learning()
        """What the facts teach about waits."""
        self.able_of: Centre | None = None
        self.able: dict[tuple[QueueName, Skills, Requirement], tuple[tuple[float, tuple[Agent, ...]], ...]] = {}
        """Which agents of the centre `able_of` may serve what, from how many seconds on (`expected`)."""
        self.limited: set[AgentId] = set()
        """Agents whose *not ready* ends by itself."""
        self.history: dict[CallId, list[f.Fact]] = {}
        """Facts of the live calls, for the record that closes each."""
        self.closed: dict[CallId, None] = {}
        """Calls that are over, newest last: what comes late about them is not taken for a new call."""
        self.dirty_calls: set[CallId] = set()
        self.dirty_agents: set[AgentId] = set(self.agents)
        self.dirty_queues: set[QueueName] = set(centre.queues)
        self.dirty_pops: set[AgentId] = set()
        self.illegal = 0
        """Facts refused by a table while replaying; a metric, for it should stay 0."""
        self.out = Out()
        self._told: dict[AgentId, datetime | AgentState] = {}

    # -- facts ---------------------------------------------------------------------------------------------------

    def record(self, *facts: f.Fact) -> None:
        """These things happened: move the state, keep them for the journal. Raises `IllegalTransition`, changing nothing."""
        for fact in facts:
            self._apply(fact)
            self.out.facts.append(fact)
            tolls.follow(self, fact)

    def _apply(self, fact: f.Fact) -> None:
        if isinstance(fact, f.Decided):
            return
        self.supervision.fact(fact)
        before_call = self.calls.get(fact.call_id) if isinstance(fact, f.CallFact) else None
        if isinstance(fact, f.CallStarted):
            if fact.call_id not in self.calls and fact.call_id not in self.closed:
                self.calls[fact.call_id] = begin_call(fact)
                self.history[fact.call_id] = [fact]
                if fact.parent is not None:
                    self.callbacks[fact.call_id] = None
        elif isinstance(fact, f.CallFact):
            self._apply_to_call(fact)
        for agent_id in concerned(fact, self.agents):
            before = self.agents[agent_id]
            after = apply_agent(before, fact)
            if after != before:
                self.agents[agent_id] = after
                self.tally.moved(before, after)
                if after.until is not None:
                    self.limited.add(agent_id)
                self.dirty_agents.add(agent_id)
                self.dirty_queues.update(self.centre.agents[agent_id].queues)
                self.looks.staff(
                    name
                    for name in self.centre.agents[agent_id].queues
                    if after.state is not before.state and after.state in self.centre.queues[name].leave_empty
                )
        if isinstance(fact, f.TalkEnded):
            agent = self.agents.get(fact.agent_id)
            if agent is not None and agent.wrap_call == fact.call_id:
                agent_time.begin_wrap_up(self, fact)
        elif isinstance(fact, f.WrapUpEnded | f.CallAnswered):
            self.wrap_until.pop(fact.agent_id, None)
            self.wrap_queue.pop(fact.agent_id, None)
        elif isinstance(fact, f.WrapUpExtended) and fact.agent_id in self.wrap_until:
            self.wrap_until[fact.agent_id] = fact.until
            self.dirty_agents.add(fact.agent_id)
        self.learning.learn(fact, before_call)
        self.last_talks.learn(fact, before_call)
        self.alarms.learn(fact)
        self.tolls.book.learn(fact)

    def _apply_to_call(self, fact: f.CallFact) -> None:
        if isinstance(fact, f.WrapUpEnded | f.WrapUpExtended | f.WaitPromised | f.CallQuality | WatchFact):
            return
        call = self.calls.get(fact.call_id)
        if call is None and fact.call_id in self.closed and isinstance(fact, _LATE):
            return  # the caller hung up in the flow, and the call's end was seen first
        if call is None:
            raise IllegalTransition(
                f"call {fact.call_id} is not live: {type(fact).__name__} came late", call_id=fact.call_id
            )
        after = apply_call(call, fact)
        self.history[fact.call_id].append(fact)
        self.dirty_calls.add(fact.call_id)
        if after.queue is not None:
            self.dirty_queues.add(after.queue)
        self.looks.fact(fact, after)
        self.parties.fact(fact, after)
        if after.live:
            self.calls[fact.call_id] = after
            return
        del self.calls[fact.call_id]
        self.callbacks.pop(fact.call_id, None)
        self.closed[fact.call_id] = None
        if len(self.closed) > CLOSED_KEPT:
            del self.closed[next(iter(self.closed))]
        self.tally.close(self.history.pop(fact.call_id))
        self.cards.pop(fact.call_id, None)
        self.left_first.pop(fact.call_id, None)

    # -- the engine ----------------------------------------------------------------------------------------------

    def route(self, event: AcdInput, now: datetime) -> None:
        """Tell the engine, and carry out what it decides."""
        self.looks.heard(event, now)
        self._carry_out(self.engine.handle(event, now), now)

    def release_offers(self, now: datetime) -> None:
        """Carry out what the engine decides now that it need not hold offers back any more (`engine.hold`)."""
        self._carry_out(self.engine.release(now), now)

    def _carry_out(self, decisions: Sequence[Decision], now: datetime) -> None:
        expired = [decision for decision in decisions if isinstance(decision, Expired)]
        for lease in expired:
            self._expire(lease, now)
        made = []
        for decision in decisions:
            if isinstance(decision, Offer) and not trunk_lines.held_back(self, decision, now):
                self._offer(decision, now)
                made.append(decision)
        for lease in expired:
            self._bring_back(lease, now)
        for offer in made:
            for agent_id in [other for other in offer.others if other not in offers.rung(self, offer)]:
                self.route(AgentDeclined(offer_id=offer.offer_id, agent_id=agent_id, end=OfferEnd.SUPERSEDED), now)

    def _offer(self, offer: Offer, now: datetime) -> None:
        self.out.offers.append(offer)
        rung = offers.rung(self, offer)
        agent = self.agents[offer.agent_id]
        self.record(
            f.OfferMade(
                at=now,
                call_id=offer.call_id,
                offer_id=offer.offer_id,
                agent_id=offer.agent_id,
                queue=offer.queue,
                device=agent.device,
                deadline=offer.deadline,
                others=rung[1:],
            )
        )
        for agent_id in rung:
            self.pops[agent_id] = screen_pops.pop_of(self, self.calls[offer.call_id], offer, agent_id, now)
            self.withdrawn.pop(agent_id, None)
            self.dirty_pops.add(agent_id)
        self.out.commands.append(offers.command_of(self, offer, rung))

    def _expire(self, expired: Expired, now: datetime) -> None:
        call = self.calls.get(expired.call_id)
        if call is not None and call.offer_id == expired.offer_id:
            offers.call_off(self, call)
            self._release(call, OfferEnd.EXPIRED, now)

    def _bring_back(self, expired: Expired, now: datetime) -> None:
        """Nobody knows where the caller of an offer that ran out is: to the wait context, unless sent elsewhere already."""
        call = self.calls.get(expired.call_id)
        if call is not None and call.state is CallState.WAITING:
            self.route(CallerNotReady(call_id=call.call_id), now)
            if not call.absent:
                self.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))
        for agent_id in expired.agent_ids:
            if agent_id in self.agents:
                self.sync_agent(agent_id, now)

    def end_offer(
        self,
        call: Call,
        end: OfferEnd,
        now: datetime,
        *,
        at: datetime,
        deliverable: bool,
        by: AgentId | None = None,
        least: timedelta = timedelta(),
    ) -> None:
        """Release the call's offer, all its sides at once. `deliverable`: the caller can be offered again at once. `by` is who
        answered, where several could; `least`: how long who is asked first is offered nothing at least."""
        offer_id, agents = call.offer_id, call.offered_agents
        if offer_id is None or not agents:
            return
        self._release(call, end, at, by=by, least=least)
        if not deliverable and end is not OfferEnd.ANSWERED:
            self.route(CallerNotReady(call_id=call.call_id), now)
        # Busy first: the engine must not hand the agents the next call by the idle time of before the miss.
        for agent_id in agents:
            self.route(AgentBusy(agent_id=agent_id), now)
            self._told.pop(agent_id, None)
        answered = (by or agents[0]) if end is OfferEnd.ANSWERED else None
        self.route(OfferSettled(offer_id=offer_id, end=end, agent_id=answered), now)
        for agent_id in agents:
            self.sync_agent(agent_id, now)

    def _release(
        self, call: Call, end: OfferEnd, at: datetime, *, by: AgentId | None = None, least: timedelta = timedelta()
    ) -> None:
        offer_id, agents = call.offer_id, call.offered_agents
        if offer_id is None or not agents:
            return
        first = by if by in agents else agents[0]
        others = tuple(agent_id for agent_id in agents if agent_id != first)
        pause = self.pause_after(first, end, at, least)
        for agent_id in others:
            # Whose pause is another's is let go by a fact of their own; the fact of the end has only one.
            own = self.pause_after(agent_id, end, at)
            if own != pause:
                self.record(
                    f.OfferDeclined(
                        at=at, call_id=call.call_id, offer_id=offer_id, agent_id=agent_id, end=end, pause_until=own
                    )
                )
        left = self.calls[call.call_id].offered_agents
        self.record(
            f.OfferEnded(
                at=at,
                call_id=call.call_id,
                offer_id=offer_id,
                agent_id=first,
                end=end,
                others=tuple(agent_id for agent_id in others if agent_id in left),
                pause_until=pause,
            )
        )
        for agent_id in agents:
            if end is not OfferEnd.ANSWERED:
                self.withdraw_pop(agent_id, end.value)
            elif agent_id != first:
                self.withdraw_pop(agent_id, ANSWERED_ELSEWHERE)
            agent_time.limit_misses(self, agent_id, at)

    def pause_after(
        self, agent_id: AgentId, end: OfferEnd, at: datetime, least: timedelta = timedelta()
    ) -> datetime | None:
        """Until when this agent is offered nothing after an offer that ended so."""
        pause = agent_time.pause_after(self.centre.agents.get(agent_id), end, at)
        return max(pause or at, at + least) if least else pause

    def sync_agent(self, agent_id: AgentId, now: datetime) -> None:
        """Tell the engine whether this agent may be offered a call, if that has changed."""
        agent = self.agents[agent_id]
        if agent.paused_until is not None and agent.paused_until > now:
            self.pauses[agent_id] = agent.paused_until
        told = self.standing_of(agent_id, now)
        if self._told.get(agent_id) == told:
            return
        self._told[agent_id] = told
        if isinstance(told, datetime):
            trunk_lines.tell_free(self, AgentFree(agent_id=agent_id, idle_since=told), now)
        else:
            self.route(AgentBusy(agent_id=agent_id, state=told), now)

    def standing_of(self, agent_id: AgentId, now: datetime) -> datetime | AgentState:
        """Since when the agent may be offered a call; otherwise what the agent is doing."""
        agent = self.agents[agent_id]
        device = self.devices.get((agent_id, agent.device))
        usable = (
            device is not None and device.reachable and not device.in_use and agent_id not in self.presence.problems
        )
        if agent.device is Device.EXTERNAL and (
            self.lines_taken or agent_id in self.tolls.full or any(leg[1] == agent_id for leg in self.legs.values())
        ):
            usable = False  # no telephone system tells whether an outside number is in use: our own legs to it do
        paused = agent.paused_until is not None and agent.paused_until > now
        return agent.idle_since if agent.state is AgentState.READY and usable and not paused else agent.state

    def tell_again(self, agent_id: AgentId, now: datetime) -> None:
        """Tell the engine what the agent is doing, whatever it was told before."""
        self._told.pop(agent_id, None)
        self.sync_agent(agent_id, now)

    def join_queue(self, call: Call, now: datetime, *, deliverable: bool) -> None:
        """Give the engine the ticket of a waiting call; the place follows from when it was queued, not from now."""
        if call.queue is None or call.queued_at is None:
            return
        self.route(
            CallerJoined(
                call_id=call.call_id,
                queue=call.queue,
                queued_at=call.queued_at,
                head_start=timedelta(seconds=call.head_start),
                skills=call.skills,
                requires=call.requires,
                strict=call.strict,
                preferred=call.preferred,
                hold_until=call.hold_until,
                addressed=call.addressed,
                deliverable=deliverable,
            ),
            now,
        )

    def leave_queue(self, call_id: CallId, now: datetime) -> None:
        """Take the ticket back; harmless when there is none."""
        self.route(CallerLeft(call_id=call_id), now)

    # -- time ----------------------------------------------------------------------------------------------------

    def next_due(self, now: datetime) -> datetime | None:
        """When `tick` has something to do by the passing of time alone."""
        moments = (self.engine.next_due(now), self.tally.next_due(), *agent_time.due(self))
        return min((moment for moment in moments if moment is not None), default=None)

    def tick(self, now: datetime) -> None:
        """Do what is due: wrap-ups and breaks that ran out, leases, refusal pauses."""
        agent_time.tick(self, now)
        if self.tally.roll(now):
            self.begin_counting(now)
        self.dirty_queues.update(self.tally.passed(now))
        self.route(Tick(), now)

    def finish_wrap_up(
        self,
        agent_id: AgentId,
        now: datetime,
        *,
        disposition: str = "",
        note: str = "",
        by: str = "agent",
        at: datetime | None = None,
    ) -> None:
        """The work after the call is done; `at` is when, if it was before now."""
        self.wrap_until.pop(agent_id, None)
        call_id = self.agents[agent_id].wrap_call
        if call_id is None:
            return
        self.record(
            f.WrapUpEnded(at=at or now, call_id=call_id, agent_id=agent_id, disposition=disposition, note=note, by=by)
        )
        self.withdraw_pop(agent_id, "call_ended")
        self.sync_agent(agent_id, now)

    def begin_counting(self, now: datetime) -> None:
        """Today's figures changed other than by a call that ended now: a new day, or calls remembered at the start."""
        self.dirty_queues.update(self.centre.queues)
        self.dirty_agents.update(self.agents)
        for agent_id in self.centre.agents:
            day = self.tally.agent(agent_id)
            self.route(AgentTallied(agent_id=agent_id, calls=day.calls, talk=timedelta(seconds=day.talk_seconds)), now)

    # -- screen pops ---------------------------------------------------------------------------------------------

    def know_customer(self, call_id: CallId, answer: LookUp, now: datetime) -> None:
        """The directory answered: keep the cards with the call, fill an open pop."""
        screen_pops.know_customer(self, call_id, answer, now)

    def withdraw_pop(self, agent_id: AgentId, why: str) -> None:
        """Take the pop off the agent's screen, saying why."""
        if self.pops.pop(agent_id, None) is not None:
            self.withdrawn[agent_id] = why
            self.dirty_pops.add(agent_id)

    # -- restart -------------------------------------------------------------------------------------------------

    def recover(self, facts: Iterable[f.Fact], now: datetime) -> None:
        """Rebuild the state from the journal. Nothing goes to `out`; a snapshot of the telephone system corrects it next."""
        recovery.recover(self, facts, now)

    def replay(self, fact: f.Fact) -> None:
        """Take in a fact that was read back; what a table refuses is counted."""
        try:
            self._apply(fact)
        except IllegalTransition:
            self.illegal += 1

    def forget_told(self, agent_id: AgentId) -> None:
        """The engine has forgotten the agent, too."""
        self._told.pop(agent_id, None)
