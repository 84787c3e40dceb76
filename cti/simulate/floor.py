"""The simulated floor: callers and agents meet the production engine, event by event, on a virtual clock.

Times inside are seconds since the start of the run; the engine is told datetimes. Nothing here is drawn by chance.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from heapq import heappop, heappush

from cti.acd.decisions import Decision, Expired, Offer, Released
from cti.acd.engine import Engine
from cti.acd.inputs import AcdInput, AgentBusy, AgentFree, CallerJoined, CallerLeft, CallerMoved, OfferSettled, Tick
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import PER_WEIGHT, STRICT_MOST
from cti.model.facts import AgentState, OfferEnd
from cti.simulate.doors import Doors, Leaves
from cti.simulate.scenario import DAY, Arrival, CallerKind, Scenario

ANSWER, END, GIVE_UP, DUTY, LOOK = range(5)
ELSEWHERE = 2
AGAIN = 5.0
"""Seconds after which an overflow is tried again that could not be taken, as on the live floor (services.departures)."""


class Log:
    """What came of every caller, in columns, and how long agents were there and taken. Times in seconds."""

    __slots__ = ("answered", "at", "busy", "kind", "present", "wait")

    def __init__(self) -> None:
        self.at = array("d")
        self.kind = array("H")
        self.wait = array("d")
        """Until the answer, the hang-up, or the end of the run."""
        self.answered = array("b")
        """1 answered, 0 hung up, 2 sent elsewhere by a rule of the queue, -1 still waiting when the run was over."""
        self.busy: dict[AgentId, float] = {}
        """Seconds of handling (ringing too) while callers came."""
        self.present: dict[AgentId, float] = {}
        """Seconds on duty, or kept by a call after it, while callers came."""

    def _note(self, arrival: Arrival, wait: float, answered: int) -> None:
        self.at.append(arrival.at)
        self.kind.append(arrival.kind)
        self.wait.append(wait)
        self.answered.append(answered)


class Floor:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._engine = Engine(scenario.centre)
        self._zero = datetime.combine(scenario.day, time(), UTC) + scenario.start
        self._ring = scenario.ring.total_seconds()
        self._end = scenario.length.total_seconds()
        self._events: list[tuple[float, int, int, object]] = []
        self._number = 0
        self._calls: dict[CallId, Arrival] = {}
        self._offers: dict[OfferId, tuple[CallId, tuple[AgentId, ...], float]] = {}
        """Offers that ring: the call, the agents (the best first: with `ring_all` it is they who answer), since when."""
        self._on_duty: dict[AgentId, bool] = dict.fromkeys(scenario.centre.agents, False)
        self._taken: set[AgentId] = set()
        self._since: dict[AgentId, float] = {}
        self.log = Log()
        self._terms = [_terms(scenario, kind.queue, kind) for kind in scenario.callers]
        """Of each kind of callers in the queue they want."""
        self._doors = Doors(scenario.centre, self._engine, lambda q, kind: _terms(scenario, q, kind), self._state_of)
        self._queues: dict[CallId, list[QueueName]] = {}
        """Where a caller has waited, the present queue last; only of those somebody has to look after."""

    def run(self, calls: Iterable[Arrival]) -> Log:
        """Let all `calls` (by time of arrival) come and be served. To be called once."""
        log = self.log
        for agent_id in self._on_duty:
            log.busy[agent_id] = log.present[agent_id] = 0.0
            self._roster(agent_id)
        coming = iter(calls)
        arrival = next(coming, None)
        events, engine = self._events, self._engine
        now = 0.0
        while arrival is not None or self._calls or self._taken or (events and events[0][0] <= self._end):
            at = events[0][0] if events else math.inf
            if arrival is not None and arrival.at < at:
                at = arrival.at
            due = engine.next_due(self._moment(now))
            if due is not None and (passed := (due - self._zero).total_seconds()) < at:
                now = max(now, passed)
                self._tell(Tick(), now)
                continue
            if at == math.inf:
                break
            now = at
            # Who comes at the very moment at which an agent comes, or is free again, finds the agent there.
            if arrival is not None and arrival.at == at and not (events and events[0][0] == at):
                self._join(arrival)
                arrival = next(coming, None)
            else:
                _, _, what, subject = heappop(events)
                self._happen(what, subject, now)
        for arrival in self._calls.values():
            log._note(arrival, now - arrival.at, -1)
        for agent_id, on_duty in self._on_duty.items():
            if on_duty:
                log.present[agent_id] += max(self._end - self._since[agent_id], 0.0)
        return log

    # --- time

    def _moment(self, at: float) -> datetime:
        return self._zero + timedelta(seconds=at)

    def _later(self, at: float, what: int, subject: object) -> None:
        self._number += 1
        heappush(self._events, (at, self._number, what, subject))

    def _roster(self, agent_id: AgentId) -> None:
        """Note when the agent comes and goes. Who has no shifts comes at once and stays."""
        shifts = self._scenario.rosters.get(agent_id, ())
        if not shifts:
            self._later(0.0, DUTY, (agent_id, True))
        day = timedelta()
        while shifts and day < self._scenario.start + self._scenario.length:
            for shift in shifts:
                begin = (day + shift.begin - self._scenario.start).total_seconds()
                end = (day + shift.end - self._scenario.start).total_seconds()
                if end > 0 and begin < self._end:
                    self._later(max(begin, 0.0), DUTY, (agent_id, True))
                    self._later(end, DUTY, (agent_id, False))
            day += DAY

    # --- what happens

    def _join(self, arrival: Arrival) -> None:
        kind, moment, doors = self._scenario.callers[arrival.kind], self._moment(arrival.at), self._doors
        queue: QueueName | None = kind.queue
        if kind.queue in doors.guarded:
            queue = doors.enter(kind.queue, kind, moment)
        if queue is None:
            self.log._note(arrival, 0.0, ELSEWHERE)
            return
        # Where the way led to another queue, its terms count.
        own = queue == kind.queue
        head_start, strict = self._terms[arrival.kind] if own else _terms(self._scenario, queue, kind)
        self._number += 1
        call_id = CallId(f"{self._number:012}")
        self._calls[call_id] = arrival
        if doors.guarded:
            self._queues[call_id] = [queue]
        self._tell(
            CallerJoined(
                call_id=call_id,
                queue=queue,
                queued_at=moment,
                head_start=head_start,
                strict=strict,
                skills=kind.skills,
                requires=kind.requires,
                deliverable=True,
            ),
            arrival.at,
        )
        if call_id in self._calls:
            if arrival.patience < math.inf:
                self._later(arrival.at + arrival.patience, GIVE_UP, call_id)
            if queue in doors.guarded:
                self._look_later(call_id, arrival.at)

    def _look_later(self, call_id: CallId, now: float) -> None:
        """Note when the caller has waited for as long as a rule of the queue allows."""
        at = self._calls[call_id].at
        limit = self._doors.limit(self._queues[call_id][-1], timedelta(seconds=now - at))
        if limit is not None:
            self._later(max(at + limit.total_seconds(), now), LOOK, call_id)

    def _look(self, call_id: CallId, now: float) -> None:
        """Whether the caller has to leave the queue. Who is under an offer is answered: agents here never refuse."""
        arrival = self._calls.get(call_id)
        if arrival is None or self._engine.lease_of_call(call_id) is not None:
            return
        kind, been, moment = self._scenario.callers[arrival.kind], self._queues[call_id], self._moment(now)
        if been[-1] not in self._doors.guarded:
            return
        waited = timedelta(seconds=now - arrival.at)
        does, queue = self._doors.leave(been[-1], kind, waited, been, moment)
        if does is Leaves.NOT_NOW:
            self._later(now + AGAIN, LOOK, call_id)
        elif does is Leaves.GOES and queue is None:
            self._gone(call_id, now, ELSEWHERE)
        elif queue is not None:
            been.append(queue)
            head_start, strict = _terms(self._scenario, queue, kind)
            self._tell(
                CallerMoved(
                    call_id=call_id,
                    queue=queue,
                    head_start=head_start,
                    strict=strict,
                    skills=kind.skills,
                    requires=kind.requires,
                ),
                now,
            )
        if call_id in self._calls and self._queues[call_id][-1] in self._doors.guarded:
            self._look_later(call_id, now)

    def _gone(self, call_id: CallId, now: float, how: int) -> None:
        """The caller leaves unanswered."""
        arrival = self._calls.pop(call_id)
        self.log._note(arrival, now - arrival.at, how)
        if self._doors.told:
            self._doors.estimates.left(self._queues[call_id][-1], now - arrival.at, abandoned=how == 0)
        self._queues.pop(call_id, None)
        self._tell(CallerLeft(call_id=call_id), now)

    def _state_of(self, agent_id: AgentId) -> AgentState:
        if agent_id in self._taken:
            return AgentState.TALKING
        if self._engine.lease_of_agent(agent_id) is not None:
            return AgentState.RESERVED
        return AgentState.READY if self._on_duty[agent_id] else AgentState.OFFLINE

    def _happen(self, what: int, subject: object, now: float) -> None:
        match what, subject:
            case 0, int(offer_id):  # ANSWER
                self._answer(OfferId(offer_id), now)
            case 1, str(agent_id):  # END
                self._be_free(AgentId(agent_id), now)
            case 2, str(call_id):  # GIVE_UP
                if call_id in self._calls:
                    self._gone(CallId(call_id), now, 0)
            case 3, (str(agent_id), bool(comes)):  # DUTY
                self._duty(AgentId(agent_id), comes, now)
            case 4, str(call_id):  # LOOK
                self._look(CallId(call_id), now)

    def _tell(self, event: AcdInput, now: float) -> None:
        decisions = self._engine.handle(event, self._moment(now))
        if decisions:
            self._perform(decisions, now)

    def _perform(self, decisions: tuple[Decision, ...], now: float) -> None:
        for decision in decisions:
            if isinstance(decision, Offer):
                self._offers[decision.offer_id] = (decision.call_id, decision.agent_ids, now)
                if self._ring:
                    self._later(now + self._ring, ANSWER, decision.offer_id)
                else:
                    self._answer(decision.offer_id, now)
            elif isinstance(decision, Released | Expired):
                _, agent_ids, since = self._offers.pop(decision.offer_id)
                for agent_id in agent_ids:
                    self.log.busy[agent_id] += self._within(since, now)

    def _answer(self, offer_id: OfferId, now: float) -> None:
        offer = self._offers.pop(offer_id, None)
        if offer is None:
            return
        call_id, (agent_id, *others), since = offer
        arrival = self._calls.pop(call_id)
        self.log._note(arrival, now - arrival.at, 1)
        over = now + arrival.handling
        been = self._queues.pop(call_id, None)
        if been is not None and self._doors.told:
            self._doors.estimates.left(been[-1], now - arrival.at, abandoned=False)
            self._doors.estimates.handled(been[-1], arrival.handling)
        self.log.busy[agent_id] += self._within(since, over)
        for other in others:
            self.log.busy[other] += self._within(since, now)
        self._taken.add(agent_id)
        self._later(over, END, agent_id)
        self._tell(OfferSettled(offer_id=offer_id, end=OfferEnd.ANSWERED, agent_id=agent_id), now)

    def _be_free(self, agent_id: AgentId, now: float) -> None:
        self._taken.discard(agent_id)
        if self._on_duty[agent_id]:
            self._tell(AgentFree(agent_id=agent_id, idle_since=self._moment(now)), now)
        else:
            self.log.present[agent_id] += self._within(self._since[agent_id], now)
            self._tell(AgentBusy(agent_id=agent_id, state=AgentState.OFFLINE), now)
            self._empty(agent_id, now)

    def _duty(self, agent_id: AgentId, comes: bool, now: float) -> None:
        if self._on_duty[agent_id] == comes:
            return
        self._on_duty[agent_id] = comes
        if agent_id in self._taken:
            return  # goes, or stays, when the call is over
        if comes:
            self._since[agent_id] = now
            self._tell(AgentFree(agent_id=agent_id, idle_since=self._moment(now)), now)
        else:
            self.log.present[agent_id] += self._within(self._since[agent_id], now)
            self._tell(AgentBusy(agent_id=agent_id, state=AgentState.OFFLINE), now)
            self._empty(agent_id, now)

    def _empty(self, agent_id: AgentId, now: float) -> None:
        """The agent went off duty: who waits in a queue that must not be without agents may have to leave."""
        centre = self._scenario.centre
        for queue in centre.agents[agent_id].queues:
            if queue in centre.queues and centre.queues[queue].leave_empty:
                for ticket in self._engine.waiting(queue):
                    self._look(ticket.call_id, now)

    def _within(self, begin: float, end: float) -> float:
        """Seconds from `begin` to `end` that are before the last caller may come."""
        return max(min(end, self._end) - min(begin, self._end), 0.0)


def _terms(scenario: Scenario, name: QueueName, kind: CallerKind) -> tuple[timedelta, int]:
    """Head start and strict priority, as a call of this tier is given them in the queue on the live floor."""
    tier, queue = scenario.centre.tiers.get(kind.tier), scenario.centre.queues[name]
    head_start, strict = (tier.head_start, tier.strict) if tier is not None else (timedelta(), 0)
    return head_start + queue.head_start, min(STRICT_MOST, strict + PER_WEIGHT * queue.weight)


def simulate(scenario: Scenario, calls: Iterable[Arrival]) -> Log:
    """Run the scenario with these callers."""
    return Floor(scenario).run(calls)
