"""A matcher so plain that it can be checked by reading: lists, scans and the rules as sentences.

It is given the engine's own inputs and answers with the same decisions, as plain tuples. Nothing of the engine's
machinery (classes, orders, heaps, fresh sets, stages) is used here; only its vocabulary.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.acd.inputs import (
    AcdInput,
    AgentBusy,
    AgentDeclined,
    AgentFree,
    AgentTallied,
    CallerJoined,
    CallerLeft,
    CallerMoved,
    CallerNotReady,
    CallerReady,
    CallerReprioritised,
    CentreChanged,
    LeaseRestored,
    OfferSettled,
)
from cti.model.centre import Centre, Queue, Strategy
from cti.model.facts import AgentState, OfferEnd

REFUSED = {OfferEnd.REJECTED, OfferEnd.BUSY, OfferEnd.NO_ANSWER, OfferEnd.UNREACHABLE, OfferEnd.EXPIRED}
RING_AT_MOST = 10


@dataclass
class Call:
    call_id: str
    queued_at: datetime
    queue: Queue
    head_start: timedelta
    strict: int
    skills: tuple
    requires: tuple
    preferred: str | None
    hold_until: datetime | None
    deliverable: bool
    offer: int | None = None
    over_ceiling: bool = False
    spurned: bool = False

    @property
    def key(self):
        """Serving order: who is over the ceiling, by arrival; then strict tiers, and by waiting with head start."""
        if self.over_ceiling:
            return (0, 0, self.queued_at, self.queued_at, self.call_id)
        return (1, -self.strict, self.queued_at - self.head_start, self.queued_at, self.call_id)


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
class Offered:
    call_id: str
    agents: list
    deadline: datetime


@dataclass
class Oracle:
    centre: Centre
    calls: dict = field(default_factory=dict)
    people: dict = field(default_factory=dict)
    offers: dict = field(default_factory=dict)
    pauses: dict = field(default_factory=dict)
    last: int = 999_999_999
    now: datetime | None = None
    known: dict = field(default_factory=dict)
    """Who fits whom: looked up once between two inputs, for the sake of a million steps."""

    def __post_init__(self):
        self.people = {agent_id: Person() for agent_id in self.centre.agents}

    def handle(self, event: AcdInput, now: datetime) -> list[tuple]:
        out: list[tuple] = []
        self.now = now
        self.take(event, now, out)
        for offer_id, offered in sorted(self.offers.items(), key=lambda o: (o[1].deadline, o[0])):
            if offered.deadline <= now:
                self.release(offer_id, OfferEnd.EXPIRED, now)
                out.append(("expired", offer_id, offered.call_id, tuple(offered.agents)))
        self.pauses = {pair: until for pair, until in self.pauses.items() if until > now}
        for call in self.calls.values():
            ceiling = call.queue.ceiling
            call.over_ceiling = ceiling is not None and now - call.queued_at >= ceiling
        self.known = {}
        while pair := self.next_pair():
            call_id, agents = pair
            offer_id = self.last = max(self.last + 1, int(now.timestamp()))
            deadline = now + self.calls[call_id].queue.ring_timeout + timedelta(seconds=5)
            self.bind(offer_id, call_id, agents, deadline)
            out.append(("offer", offer_id, call_id, tuple(agents), deadline))
        return out

    def take(self, event, now, out):
        match event:
            case CallerJoined():
                self.calls[event.call_id] = Call(
                    event.call_id,
                    event.queued_at,
                    self.centre.queues[event.queue],
                    event.head_start,
                    event.strict,
                    event.skills,
                    event.requires,
                    event.preferred,
                    event.hold_until,
                    event.deliverable,
                )
            case CallerReady() | CallerNotReady() | CallerReprioritised() | CallerMoved() | CallerLeft():
                if event.call_id in self.calls:
                    self.change(self.calls[event.call_id], event, now, out)
                else:
                    out.append(("ignored",))
            case AgentFree():
                self.people[event.agent_id].be(AgentState.READY, event.idle_since, now)
            case AgentBusy():
                if event.agent_id in self.people:
                    self.people[event.agent_id].be(event.state, None, now)
            case AgentTallied():
                if event.agent_id in self.people:
                    self.people[event.agent_id].calls = event.calls
                    self.people[event.agent_id].talk = event.talk
            case OfferSettled():
                if event.offer_id in self.offers:
                    winner = event.agent_id or self.offers[event.offer_id].agents[0]
                    self.release(event.offer_id, event.end, now, winner)
                else:
                    out.append(("ignored",))
            case AgentDeclined():
                self.decline(event, now, out)
            case LeaseRestored():
                self.bind(event.offer_id, event.call_id, [event.agent_id, *event.others], event.deadline)
                self.last = max(self.last, event.offer_id)
            case CentreChanged():
                self.change_centre(event.centre)

    def change(self, call, event, now, out):
        match event:
            case CallerReady() | CallerNotReady():
                call.deliverable = isinstance(event, CallerReady)
            case CallerReprioritised():
                call.head_start, call.strict = event.head_start, event.strict
            case CallerMoved():
                if event.preferred != call.preferred:
                    call.spurned = (call.call_id, event.preferred) in self.pauses
                call.queue = self.centre.queues[event.queue]
                call.head_start, call.strict = event.head_start, event.strict
                call.skills, call.requires = event.skills, event.requires
                call.preferred, call.hold_until = event.preferred, event.hold_until
            case CallerLeft() if call.offer is None:
                self.forget_call(call.call_id)
            case CallerLeft():
                offer_id, agents = call.offer, tuple(self.offers[call.offer].agents)
                self.release(offer_id, OfferEnd.CALLER_GONE, now)
                out.append(("released", offer_id, call.call_id, agents, OfferEnd.CALLER_GONE))

    def decline(self, event, now, out):
        offered = self.offers.get(event.offer_id)
        if offered is None or event.agent_id not in offered.agents:
            out.append(("ignored",))
        elif offered.agents == [event.agent_id]:
            self.release(event.offer_id, event.end, now)
            out.append(("released", event.offer_id, offered.call_id, (event.agent_id,), event.end))
        else:
            offered.agents.remove(event.agent_id)
            self.let_go(event.agent_id, self.calls[offered.call_id], event.end, now)

    def change_centre(self, centre):
        self.centre = centre
        for call in self.calls.values():
            call.queue = centre.queues.get(call.queue.name, call.queue)
        for agent_id in [a for a in self.people if a not in centre.agents]:
            self.people[agent_id].idle_since = None
            self.people[agent_id].state = AgentState.OFFLINE
            if self.people[agent_id].offer is None:
                self.forget_person(agent_id)
        for agent_id in centre.agents:
            self.people.setdefault(agent_id, Person())

    def bind(self, offer_id, call_id, agents, deadline):
        self.offers[offer_id] = Offered(call_id, list(agents), deadline)
        self.calls[call_id].offer = offer_id
        for agent_id in agents:
            self.people[agent_id].offer = self.people[agent_id].turn = offer_id

    def release(self, offer_id, end, now, winner=None):
        offered = self.offers.pop(offer_id)
        call = self.calls[offered.call_id]
        call.offer = None
        for agent_id in offered.agents:
            if end is OfferEnd.ANSWERED and agent_id == winner:
                self.people[agent_id].be(AgentState.TALKING, None, now)
                self.people[agent_id].calls += 1
            self.let_go(agent_id, call, end, now)
        if end in (OfferEnd.ANSWERED, OfferEnd.CALLER_GONE):
            self.forget_call(offered.call_id)

    def let_go(self, agent_id, call, end, now):
        """The agent is under no offer any more."""
        self.people[agent_id].offer = None
        if end in REFUSED:
            self.pauses[call.call_id, agent_id] = now + call.queue.refusal_pause
            call.spurned = call.spurned or agent_id == call.preferred
        if agent_id not in self.centre.agents:
            self.forget_person(agent_id)

    def forget_call(self, call_id):
        del self.calls[call_id]
        self.pauses = {pair: until for pair, until in self.pauses.items() if pair[0] != call_id}

    def forget_person(self, agent_id):
        del self.people[agent_id]
        self.pauses = {pair: until for pair, until in self.pauses.items() if pair[1] != agent_id}

    # --- who may have what

    def team(self, queue):
        return [agent_id for agent_id, agent in self.centre.agents.items() if queue.name in agent.queues]

    def is_here(self, agent_id):
        return self.people[agent_id].state is not AgentState.OFFLINE

    def has(self, agent_id, alternatives):
        skills = self.centre.agents[agent_id].skills
        return any(all(skills.get(skill, 0) >= level for skill, level in needed) for needed in alternatives)

    def at_first(self, call):
        """The alternatives of what the call and its queue require, multiplied out."""
        return [
            [*call.queue.skills.items(), *call.skills, *of_queue, *of_call]
            for of_queue in call.queue.requires
            for of_call in call.requires
        ]

    def fits(self, call):
        if call.call_id not in self.known:
            self.known[call.call_id] = self.whom_it_fits(call)
        return self.known[call.call_id]

    def whom_it_fits(self, call):
        """Whom the call may have: what it asks for now, and if nobody who is logged in has it, what it will ask next."""
        queue, team = call.queue, self.team(call.queue)
        tiers = {a: self.centre.agents[a].tiers.get(queue.name, 1) for a in team}
        changes = [(relaxation.after, 0, relaxation.skills) for relaxation in queue.relax]
        if queue.tier_wait:
            changes += [((t - 1) * queue.tier_wait, t, None) for t in sorted(set(tiers.values())) if t > 1]
        asked, top = self.at_first(call), (1 if queue.tier_wait else 9)
        past, stages = 0, [[a for a in team if self.has(a, asked) and tiers[a] <= top]]
        for after, tier, skills in sorted(changes, key=lambda change: change[:2]):
            if skills is None:
                top = tier
            else:
                asked = [[(skill, min(level, skills.get(skill, level))) for skill, level in one] for one in asked]
            past += self.now - call.queued_at >= after
            stages.append([a for a in team if self.has(a, asked) and tiers[a] <= top])
        for stage in stages[past:]:
            if any(self.is_here(a) for a in stage):
                return stage
        return stages[past]

    def good_enough_at_last(self, call):
        """Who could serve the call sooner or later."""
        asked = self.at_first(call)
        for relaxation in call.queue.relax:
            asked = [[(s, min(level, relaxation.skills.get(s, level))) for s, level in one] for one in asked]
        return [a for a in self.team(call.queue) if self.has(a, asked)]

    def holder(self, call):
        """The agent whom alone the call may go to now."""
        agent_id = call.preferred
        if agent_id is None or call.hold_until is None or self.now >= call.hold_until or call.spurned:
            return None
        if agent_id not in self.centre.agents or not self.is_here(agent_id):
            return None
        return agent_id if agent_id in self.good_enough_at_last(call) else None

    def might_have(self, call):
        """Who may have the call when free."""
        holder = self.holder(call)
        return self.fits(call) if holder is None else [holder]

    def is_available(self, agent_id):
        person = self.people[agent_id]
        return person.idle_since is not None and person.offer is None

    def in_order(self):
        return sorted((c for c, call in self.calls.items() if call.offer is None), key=lambda c: self.calls[c].key)

    def next_pair(self):
        """The first caller in serving order somebody may have now, and the best of those by tier and its strategy."""
        for call_id in self.in_order():
            call = self.calls[call_id]
            if not call.deliverable:
                continue
            free = [a for a in self.might_have(call) if self.is_available(a) and (call_id, a) not in self.pauses]
            if free:
                ranked = sorted(free, key=lambda a: (*self.rank(a, call), self.people[a].idle_since, a))
                if call.queue.strategy is not Strategy.RING_ALL:
                    return call_id, ranked[:1]
                best_tier = self.rank(ranked[0], call)[0]
                return call_id, [a for a in ranked if self.rank(a, call)[0] == best_tier][:RING_AT_MOST]
        return None

    def rank(self, agent_id, call):
        """The agent's tier, and what the queue's strategy wants least of."""
        agent, person = self.centre.agents[agent_id], self.people[agent_id]
        return agent.tiers.get(call.queue.name, 1), self.figure(agent, person, call)

    def figure(self, agent, person, call):
        match call.queue.strategy:
            case Strategy.LONGEST_IDLE | Strategy.RING_ALL:
                return 0
            case Strategy.FEWEST_CALLS:
                return person.calls
            case Strategy.LEAST_TALK_TIME:
                return person.talk
            case Strategy.ROUND_ROBIN:
                return person.turn
            case Strategy.LINEAR:
                return list(self.centre.agents).index(agent.agent_id)
            case Strategy.BEST_SKILL:
                ways = self.without_needless(self.at_first(call))
                met = [way for way in ways if all(agent.skills.get(s, 0) >= level for s, level in way)]
                return -max(sum(agent.skills.get(s, 0) for s in {s for s, _ in way}) for way in met or ways)
            case Strategy.LEAST_FLEXIBLE:
                return len(set(agent.queues)) + len(agent.skills)
            case Strategy.RANDOM:
                digest = hashlib.blake2b(f"{call.call_id}/{agent.agent_id}".encode(), digest_size=7).digest()
                return -math.log((int.from_bytes(digest, "big") + 1) / (2**56 + 1)) / agent.weight
        raise AssertionError(call.queue.strategy)

    def without_needless(self, ways):
        """The alternatives without those that ask for all that another asks for, and more."""
        levels = []
        for way in ways:
            needed = {}
            for skill, level in way:
                needed[skill] = max(level, needed.get(skill, 0))
            if needed not in levels:
                levels.append(needed)
        covers = lambda more, less: all(more.get(s, 0) >= level for s, level in less.items())  # noqa: E731
        kept = [one for one in levels if not any(covers(one, other) for other in levels if other is not one)]
        return [list(one.items()) for one in kept]

    def why(self, call_id):
        call = self.calls.get(call_id)
        if call is None or call.offer is not None:
            return ""
        if not any(self.is_here(a) for a in self.team(call.queue)):
            return "no_agent_logged_in"
        holder = self.holder(call)
        if holder is not None:
            return "not_deliverable" if self.is_available(holder) else "held_for_agent"
        able = [a for a in self.fits(call) if self.is_here(a)]
        if not able:
            return "nobody_has_skill"
        free = [a for a in able if self.is_available(a)]
        if free:
            return "not_deliverable" if any((call_id, a) not in self.pauses for a in free) else "refused_recently"
        before = [self.calls[c] for c in self.in_order() if self.calls[c].key < call.key]
        pool = [other for other in before if other.deliverable and self.holder(other) is None]
        if all(any(a in self.fits(other) for other in pool) for a in able):
            return "behind_others"
        return "no_agent_free"

    def staffing(self, call):
        counts = {}
        for agent_id in self.good_enough_at_last(call):
            person = self.people[agent_id]
            state = person.state if person.offer is None else AgentState.RESERVED
            counts[state] = counts.get(state, 0) + 1
        return counts
