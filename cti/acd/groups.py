"""The floor in classes: callers who want the same, agents who can do the same.

Two callers of one class are served by exactly the same agents, so only the first of a class needs looking at; likewise
agents. A decision therefore looks at classes, not at people. These are the engine's own books: mutable, never handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from operator import attrgetter
from typing import Any

from cti.acd.decisions import Lease, Ticket
from cti.acd.heap import LazyHeap
from cti.acd.order import Order
from cti.acd.ranking import AgentKey, CallerKey, Requirement, agent_key, caller_key, meets, relaxed, requirement
from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Agent, Centre, Queue, Strategy
from cti.model.facts import AgentState

ClassKey = tuple[QueueName, Requirement, int]
NAMED = 20
"""Agents of a queue that a decision record names; the others it counts."""


class CallerGroup:
    """Callers of one queue with one requirement, as many steps relaxed. `heap` has those who may be offered now."""

    __slots__ = ("effective", "fits", "heap", "members", "queue", "servers", "stages", "step", "strategy")

    def __init__(self, queue: QueueName, stages: tuple[Requirement, ...], step: int, strategy: Strategy) -> None:
        self.queue = queue
        self.stages = stages
        """What is needed at first, and after each step of the queue's `relax`."""
        self.step = step
        """Steps that time has brought."""
        self.effective = step
        """Steps that count: more than `step` while nobody is logged in who has what is needed before."""
        self.strategy = strategy
        self.heap: LazyHeap[CallerKey] = LazyHeap()
        self.members = 0
        """Tickets of the class, offered ones too; an empty class is dropped."""
        self.servers: dict[AgentGroup, None] = {}
        self.fits: tuple[bool, ...] = ()
        """Whether each of the queue's first agents (`Groups.first`) may serve these callers."""

    @property
    def key(self) -> ClassKey:
        """What distinguishes the class."""
        return (self.queue, self.stages[0], self.step)


class AgentGroup:
    """Agents with the same queues and skills. `idle` has those who are free and under no offer."""

    __slots__ = ("callers", "idle", "logged_in", "queues", "ranked", "size", "skills", "weights")

    def __init__(self, queues: frozenset[QueueName], skills: Mapping[str, int], strategies: Iterable[Strategy]) -> None:
        self.queues = queues
        self.skills = skills
        self.idle: LazyHeap[AgentKey] = LazyHeap()
        self.ranked: dict[Strategy, LazyHeap[AgentKey]] = {
            strategy: LazyHeap() for strategy in strategies if strategy in COUNTED
        }
        """Whoever is in `idle`, by what their queues' strategies count."""
        self.weights: dict[AgentId, float] = {}
        self.size = 0
        self.logged_in = 0
        self.callers: dict[CallerGroup, None] = {}

    def add(self, seat: Seat) -> None:
        """The agent, of this class, is available."""
        self.idle.add(seat.key)
        for strategy, heap in self.ranked.items():
            heap.add((COUNTED[strategy](seat), *seat.key))

    def discard(self, seat: Seat) -> None:
        """The agent is not available any more. To be told before anything its keys are made of changes."""
        self.idle.discard(seat.key)
        for strategy, heap in self.ranked.items():
            heap.discard((COUNTED[strategy](seat), *seat.key))


class Waiter:
    """One ticket's place in the books."""

    __slots__ = ("deliverable", "due", "group", "key", "lease", "refused", "ticket")

    def __init__(self, ticket: Ticket, group: CallerGroup, *, deliverable: bool) -> None:
        self.ticket = ticket
        self.key = caller_key(ticket.queued_at, ticket.head_start, ticket.call_id, ticket.strict)
        self.group = group
        self.deliverable = deliverable
        self.lease: Lease | None = None
        self.due: datetime | None = None
        """When the next of what changes with waiting alone is to be looked at."""
        self.refused: dict[AgentId, datetime] = {}
        """Agents who may not have this call again yet, and until when."""


class Seat:
    """One agent in the books. `idle_since` is set when the agent is free, whatever offer is under way."""

    __slots__ = (
        "agent_id",
        "calls",
        "group",
        "idle_since",
        "lease",
        "position",
        "refused",
        "state",
        "status",
        "talk",
        "talking_since",
        "turn",
    )

    def __init__(self, agent_id: AgentId, group: AgentGroup | None) -> None:
        self.agent_id = agent_id
        self.group = group
        """None when the agent was taken out of the centre but still has an offer."""
        self.state = AgentState.OFFLINE
        self.status: str = AgentState.OFFLINE
        """What a decision record says of the agent: the state, or `RESERVED` under an offer."""
        self.idle_since: datetime | None = None
        self.lease: Lease | None = None
        self.refused: set[CallId] = set()
        """Calls this agent may not have again yet; the mirror of `Waiter.refused`."""
        self.calls = 0
        """Offers answered, in all queues."""
        self.talk = timedelta()
        """Time talked, without the call under way."""
        self.talking_since: datetime | None = None
        self.turn = 0
        """The last offer made to the agent."""
        self.position = 0
        """Place in the centre's file."""

    @property
    def available(self) -> bool:
        """Free, in the centre and under no offer."""
        return self.idle_since is not None and self.lease is None and self.group is not None

    @property
    def key(self) -> AgentKey:
        """Sort key; only of a free agent."""
        if self.idle_since is None:
            raise AssertionError(f"agent {self.agent_id} is not free and has no key")
        return agent_key(self.idle_since, self.agent_id)


COUNTED: dict[Strategy, Callable[[Seat], Any]] = {
    Strategy.FEWEST_CALLS: attrgetter("calls"),
    Strategy.LEAST_TALK_TIME: attrgetter("talk"),
    Strategy.ROUND_ROBIN: attrgetter("turn"),
    Strategy.LINEAR: attrgetter("position"),
}
"""Strategies by a figure of the agent that stays as it is while the agent is free."""


class Groups:
    """All classes, and who serves whom."""

    __slots__ = ("_agents", "_queues", "callers", "first", "order", "staff", "teams")

    def __init__(self) -> None:
        self._queues: dict[QueueName, Queue] = {}
        self.callers: dict[ClassKey, CallerGroup] = {}
        """Every class of callers that has a ticket."""
        self._agents: dict[tuple[frozenset[QueueName], Requirement], AgentGroup] = {}
        self.order: dict[QueueName, Order[CallerKey]] = {}
        """Waiting callers of each queue in serving order, deliverable or not, without those under an offer."""
        self.teams: dict[QueueName, list[AgentGroup]] = {}
        """Classes of agents by queue, whatever their skills."""
        self.staff: dict[QueueName, tuple[AgentId, ...]] = {}
        """Agents by queue, sorted."""
        self.first: dict[QueueName, tuple[Seat, ...]] = {}
        """The first `NAMED` of them: those a decision record names."""

    def rebuild(self, centre: Centre, seats: dict[AgentId, Seat], waiters: Mapping[CallId, Waiter]) -> None:
        """Sort everyone anew by `centre`; places, offers and states stay. New agents get a seat, offline."""
        tickets = {waiter.ticket.queue for waiter in waiters.values()}
        # A queue taken out of the centre lives on until its last caller has gone: nobody is dropped.
        kept = {name: queue for name, queue in self._queues.items() if name in tickets}
        self._queues = kept | dict(centre.queues)
        self.callers, self._agents = {}, {}
        self.teams = {name: [] for name in self._queues}
        self.staff, self.first = {}, {}
        self.order = {name: Order() for name in self._queues}
        for agent_id in [agent_id for agent_id in seats if agent_id not in centre.agents]:
            seat = seats[agent_id]
            seat.group = None
            seat.idle_since = None
            seat.state = AgentState.OFFLINE
            if seat.lease is None:
                forget(seat, seats, waiters)
        for position, agent in enumerate(centre.agents.values()):
            self._seat(agent, seats, position)
        for queue in self._queues:
            self.staff[queue] = tuple(sorted(a.agent_id for a in centre.agents.values() if queue in a.queues))
            self.first[queue] = tuple(seats[agent_id] for agent_id in self.staff[queue][:NAMED])
        for waiter in waiters.values():
            waiter.group = self.group_for(waiter.ticket.queue, waiter.ticket.skills)
            self.put(waiter)

    def _seat(self, agent: Agent, seats: dict[AgentId, Seat], position: int) -> None:
        skills: Requirement = tuple(sorted(agent.skills.items()))
        key = (frozenset(agent.queues), skills)
        group = self._agents.get(key)
        if group is None:
            group = self._agents[key] = AgentGroup(
                key[0], dict(skills), dict.fromkeys(self._queues[q].strategy for q in agent.queues if q in self._queues)
            )
            for queue in key[0] & self.teams.keys():
                self.teams[queue].append(group)
        seat = seats.get(agent.agent_id)
        if seat is None:
            seat = seats[agent.agent_id] = Seat(agent.agent_id, group)
        seat.group = group
        seat.position = position
        group.weights[agent.agent_id] = agent.weight
        group.size += 1
        group.logged_in += seat.state is not AgentState.OFFLINE
        if seat.available:
            group.add(seat)

    def queue(self, name: QueueName) -> Queue:
        """The queue's settings; those it had last when it was taken out of the centre."""
        return self._queues[name]

    def group_for(self, queue: QueueName, skills: Requirement, step: int = 0) -> CallerGroup:
        """The class of callers of `queue` who require `skills` besides what the queue requires, `step` times relaxed."""
        settings = self._queues[queue]
        needed = requirement(settings.skills, skills)
        group = self.callers.get((queue, needed, step))
        if group is None:
            stages = tuple(accumulate((r.skills for r in settings.relax), relaxed, initial=needed))
            group = self.callers[queue, needed, step] = CallerGroup(queue, stages, step, settings.strategy)
            self.connect(group)
        return group

    def connect(self, group: CallerGroup) -> bool:
        """Find out who may serve the class, and whether that is somebody new.

        The first stage counts, from the class's step on, that somebody logged in is good enough for; its own if none is.
        """
        able: list[AgentGroup] = []
        for stage in (*range(group.step, len(group.stages)), group.step):
            able = [agents for agents in self.teams[group.queue] if meets(agents.skills, group.stages[stage])]
            group.effective = stage
            if any(agents.logged_in for agents in able):
                break
        if group.servers and list(group.servers) == able:
            return False
        for agents in group.servers:
            del agents.callers[group]
        group.servers = dict.fromkeys(able)
        for agents in able:
            agents.callers[group] = None
        group.fits = tuple(seat.group in group.servers for seat in self.first[group.queue])
        return True

    def reconnect(self, agents: AgentGroup) -> list[CallerGroup]:
        """The first of `agents` logged in, or the last left: the classes of callers somebody else may serve now."""
        return [
            group
            for group in self.callers.values()
            if group.step + 1 < len(group.stages) and group.queue in agents.queues and self.connect(group)
        ]

    def move(self, waiter: Waiter, step: int) -> bool:
        """Put the ticket among those who are `step` times relaxed; whether it was not there."""
        if waiter.group.step == step:
            return False
        if waiter.lease is None:
            self.hide(waiter)
        self.drop(waiter)
        waiter.group = self.group_for(waiter.ticket.queue, waiter.ticket.skills, step)
        self.put(waiter)
        return True

    def put(self, waiter: Waiter) -> None:
        """Enter a ticket: into its class, and into its queue's order unless it is under an offer."""
        waiter.group.members += 1
        if waiter.lease is None:
            self.show(waiter)

    def drop(self, waiter: Waiter) -> None:
        """Take a hidden ticket out for good."""
        group = waiter.group
        group.members -= 1
        if not group.members:
            del self.callers[group.key]
            for agents in group.servers:
                del agents.callers[group]

    def show(self, waiter: Waiter) -> None:
        """The ticket waits (again)."""
        self.order[waiter.ticket.queue].add(waiter.key)
        if waiter.deliverable:
            waiter.group.heap.add(waiter.key)

    def hide(self, waiter: Waiter) -> None:
        """The ticket does not wait any more, or is under an offer now."""
        self.order[waiter.ticket.queue].remove(waiter.key)
        waiter.group.heap.discard(waiter.key)


def forget(seat: Seat, seats: dict[AgentId, Seat], waiters: Mapping[CallId, Waiter]) -> None:
    """Clear the seat of an agent who left the centre, and what it refused."""
    for call_id in seat.refused:
        waiters[call_id].refused.pop(seat.agent_id)
    del seats[seat.agent_id]
