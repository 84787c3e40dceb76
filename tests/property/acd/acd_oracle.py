"""A matcher so plain that it can be checked by reading: lists, scans and the rules as sentences.

It is given the engine's own inputs and answers with the same decisions, as plain tuples. Nothing of the engine's
machinery (classes, heaps, fresh sets) is used here; only its vocabulary.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.acd.inputs import (
    AcdInput,
    AgentBusy,
    AgentFree,
    AgentTallied,
    CallerJoined,
    CallerLeft,
    CallerNotReady,
    CallerReady,
    CentreChanged,
    LeaseRestored,
    OfferSettled,
)
from cti.model.centre import Centre, Queue, Strategy
from cti.model.facts import AgentState, OfferEnd

REFUSED = {OfferEnd.REJECTED, OfferEnd.BUSY, OfferEnd.NO_ANSWER, OfferEnd.UNREACHABLE, OfferEnd.EXPIRED}


@dataclass
class Call:
    joined: CallerJoined
    queue: Queue
    deliverable: bool
    offer: int | None = None
    over_ceiling: bool = False

    @property
    def key(self):
        """Serving order: who is over the ceiling, by arrival; then strict tiers, and by waiting with head start."""
        arrived = self.joined.queued_at
        if self.over_ceiling:
            return (0, 0, arrived, arrived, self.joined.call_id)
        return (1, -self.joined.strict, arrived - self.joined.head_start, arrived, self.joined.call_id)


@dataclass
class Person:
    idle_since: datetime | None = None
    state: AgentState = AgentState.OFFLINE
    offer: int | None = None
    calls: int = 0
    talk: timedelta = timedelta()
    talking_since: datetime | None = None
    turn: int = 0

    def be(self, state, idle_since, now):
        talks = (AgentState.TALKING, AgentState.HELD)
        if self.state not in talks and state in talks:
            self.talking_since = now
        if self.state in talks and state not in talks:
            self.talk += now - self.talking_since
        self.state, self.idle_since = state, idle_since


@dataclass
class Oracle:
    centre: Centre
    calls: dict = field(default_factory=dict)
    people: dict = field(default_factory=dict)
    offers: dict = field(default_factory=dict)
    pauses: dict = field(default_factory=dict)
    last: int = 999_999_999
    now: datetime | None = None

    def __post_init__(self):
        self.people = {agent_id: Person() for agent_id in self.centre.agents}

    def handle(self, event: AcdInput, now: datetime) -> list[tuple]:
        out: list[tuple] = []
        self.now = now
        self.take(event, now, out)
        for offer_id, (call_id, agent_id, deadline) in sorted(self.offers.items(), key=lambda o: (o[1][2], o[0])):
            if deadline <= now:
                self.release(offer_id, OfferEnd.EXPIRED, now)
                out.append(("expired", offer_id, call_id, agent_id))
        self.pauses = {pair: until for pair, until in self.pauses.items() if until > now}
        for call in self.calls.values():
            ceiling = call.queue.ceiling
            call.over_ceiling = ceiling is not None and now - call.joined.queued_at >= ceiling
        while pair := self.next_pair():
            call_id, agent_id = pair
            offer_id = self.last = max(self.last + 1, int(now.timestamp()))
            deadline = now + self.queue_of(call_id).ring_timeout + timedelta(seconds=5)
            self.bind(offer_id, call_id, agent_id, deadline)
            out.append(("offer", offer_id, call_id, agent_id, deadline))
        return out

    def take(self, event, now, out):
        match event:
            case CallerJoined():
                queue = self.centre.queues[event.queue]
                self.calls[event.call_id] = Call(event, queue, event.deliverable)
            case CallerReady() | CallerNotReady():
                if event.call_id in self.calls:
                    self.calls[event.call_id].deliverable = isinstance(event, CallerReady)
                else:
                    out.append(("ignored",))
            case CallerLeft():
                call = self.calls.get(event.call_id)
                if call is None:
                    out.append(("ignored",))
                elif call.offer is None:
                    self.forget_call(event.call_id)
                else:
                    offer_id = call.offer
                    agent_id = self.offers[offer_id][1]
                    self.release(offer_id, OfferEnd.CALLER_GONE, now)
                    out.append(("released", offer_id, event.call_id, agent_id, OfferEnd.CALLER_GONE))
            case AgentFree():
                person = self.people[event.agent_id]
                person.be(AgentState.READY, event.idle_since, now)
            case AgentBusy():
                person = self.people.get(event.agent_id)
                if person is not None:
                    person.be(event.state, None, now)
            case AgentTallied():
                person = self.people.get(event.agent_id)
                if person is not None:
                    person.calls, person.talk = event.calls, event.talk
            case OfferSettled():
                if event.offer_id in self.offers:
                    self.release(event.offer_id, event.end, now)
                else:
                    out.append(("ignored",))
            case LeaseRestored():
                self.bind(event.offer_id, event.call_id, event.agent_id, event.deadline)
                self.last = max(self.last, event.offer_id)
            case CentreChanged():
                self.change_centre(event.centre)

    def change_centre(self, centre):
        self.centre = centre
        for call in self.calls.values():
            call.queue = centre.queues.get(call.joined.queue, call.queue)
        for agent_id in [a for a in self.people if a not in centre.agents]:
            self.people[agent_id].idle_since = None
            self.people[agent_id].state = AgentState.OFFLINE
            if self.people[agent_id].offer is None:
                self.forget_person(agent_id)
        for agent_id in centre.agents:
            self.people.setdefault(agent_id, Person())

    def bind(self, offer_id, call_id, agent_id, deadline):
        self.offers[offer_id] = (call_id, agent_id, deadline)
        self.calls[call_id].offer = self.people[agent_id].offer = self.people[agent_id].turn = offer_id

    def release(self, offer_id, end, now):
        call_id, agent_id, _ = self.offers.pop(offer_id)
        call, person = self.calls[call_id], self.people[agent_id]
        call.offer = person.offer = None
        if end in REFUSED:
            self.pauses[call_id, agent_id] = now + call.queue.refusal_pause
        if end is OfferEnd.ANSWERED:
            person.be(AgentState.TALKING, None, now)
            person.calls += 1
        if end in (OfferEnd.ANSWERED, OfferEnd.CALLER_GONE):
            self.forget_call(call_id)
        if agent_id not in self.centre.agents:
            self.forget_person(agent_id)

    def forget_call(self, call_id):
        del self.calls[call_id]
        self.pauses = {pair: until for pair, until in self.pauses.items() if pair[0] != call_id}

    def forget_person(self, agent_id):
        del self.people[agent_id]
        self.pauses = {pair: until for pair, until in self.pauses.items() if pair[1] != agent_id}

    def queue_of(self, call_id):
        return self.calls[call_id].queue

    def qualifies(self, agent_id, call_id):
        call, agent = self.calls[call_id], self.centre.agents.get(agent_id)
        if agent is None or call.joined.queue not in agent.queues:
            return False
        return self.has(agent_id, self.needed(call_id))

    def has(self, agent_id, needed):
        return all(self.centre.agents[agent_id].skills.get(skill, 0) >= level for skill, level in needed)

    def needed(self, call_id):
        """What the call asks for now, and if nobody who is logged in has it, what it will ask for next."""
        call = self.calls[call_id]
        needed, stages = [*call.queue.skills.items(), *call.joined.skills], []
        past = 0
        for step in (None, *call.queue.relax):
            if step is not None:
                needed = [(skill, min(level, step.skills.get(skill, level))) for skill, level in needed]
                past += self.now - call.joined.queued_at >= step.after
            stages.append(needed)
        here = [
            a
            for a, agent in self.centre.agents.items()
            if call.joined.queue in agent.queues and self.people[a].state is not AgentState.OFFLINE
        ]
        for stage in stages[past:]:
            if any(self.has(a, stage) for a in here):
                return stage
        return stages[past]

    def is_available(self, agent_id):
        person = self.people[agent_id]
        return person.idle_since is not None and person.offer is None

    def may_have(self, agent_id, call_id):
        return (
            self.is_available(agent_id) and self.qualifies(agent_id, call_id) and (call_id, agent_id) not in self.pauses
        )

    def in_order(self):
        return sorted((c for c, call in self.calls.items() if call.offer is None), key=lambda c: self.calls[c].key)

    def next_pair(self):
        """The first caller in serving order somebody may have now, and the best of those by its queue's strategy."""
        for call_id in self.in_order():
            if self.calls[call_id].deliverable:
                fitting = [a for a in self.people if self.may_have(a, call_id)]
                if fitting:
                    return call_id, min(fitting, key=lambda a: (self.figure(a, call_id), self.people[a].idle_since, a))
        return None

    def figure(self, agent_id, call_id):
        """What the queue's strategy wants least of."""
        call, agent, person = self.calls[call_id], self.centre.agents[agent_id], self.people[agent_id]
        match call.queue.strategy:
            case Strategy.LONGEST_IDLE:
                return 0
            case Strategy.FEWEST_CALLS:
                return person.calls
            case Strategy.LEAST_TALK_TIME:
                return person.talk
            case Strategy.ROUND_ROBIN:
                return person.turn
            case Strategy.LINEAR:
                return list(self.centre.agents).index(agent_id)
            case Strategy.BEST_SKILL:
                needed = {*call.queue.skills, *(skill for skill, _ in call.joined.skills)}
                return -sum(agent.skills.get(skill, 0) for skill in needed)
            case Strategy.LEAST_FLEXIBLE:
                return len(set(agent.queues)) + len(agent.skills)
            case Strategy.RANDOM:
                digest = hashlib.blake2b(f"{call_id}/{agent_id}".encode(), digest_size=7).digest()
                return -math.log((int.from_bytes(digest, "big") + 1) / (2**56 + 1)) / agent.weight
        raise AssertionError(call.queue.strategy)

    def why(self, call_id):
        call = self.calls.get(call_id)
        if call is None or call.offer is not None:
            return ""
        here = [a for a, p in self.people.items() if a in self.centre.agents and p.state is not AgentState.OFFLINE]
        if not any(call.joined.queue in self.centre.agents[a].queues for a in here):
            return "no_agent_logged_in"
        able = [a for a in here if self.qualifies(a, call_id)]
        if not able:
            return "nobody_has_skill"
        free = [a for a in able if self.is_available(a)]
        if free:
            return "not_deliverable" if any((call_id, a) not in self.pauses for a in free) else "refused_recently"
        before = [c for c in self.in_order() if self.calls[c].deliverable and self.calls[c].key < call.key]
        if all(any(self.qualifies(a, c) for c in before) for a in able):
            return "behind_others"
        return "no_agent_free"
