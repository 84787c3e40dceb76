"""All classes of callers and agents, and who serves whom (see `classes`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from operator import itemgetter

from cti.acd.classes import AgentGroup, CallerGroup, ClassKey, Rank, Seat, Waiter
from cti.acd.decisions import Exclusion, Ticket
from cti.acd.ranking import CallerKey
from cti.acd.stages import Timeline, timeline
from cti.acd.strategies import figure_of_class
from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Agent, Centre, Queue
from cti.model.facts import AgentState
from cti.model.requirement import Requirement, Skills, all_of, both

NAMED = 20
"""Agents of a queue that a decision record names; the others it counts."""
EMPTY_KEPT = 64
"""Classes without callers that are kept, so that one need not be made for every call of a quiet queue."""

MOST_WISHES = 10_000
"""Requirements that are remembered as joined."""

Wish = tuple[QueueName, Skills, Requirement]


class Groups:
    """All classes, and who serves whom."""

    __slots__ = (
        "_agents",
        "_callers",
        "_empty",
        "_needed",
        "_queues",
        "_slots",
        "first",
        "heads",
        "lines",
        "named",
        "staff",
        "statuses",
        "teams",
        "timelines",
    )

    def __init__(self) -> None:
        self._queues: dict[QueueName, Queue] = {}
        self._callers: dict[ClassKey, CallerGroup] = {}
        self._empty: dict[CallerGroup, None] = {}
        self._agents: dict[tuple[frozenset[QueueName], Skills, tuple[tuple[QueueName, int], ...]], AgentGroup] = {}
        self._needed: dict[Wish, Requirement] = {}
        self._slots: list[int] = []
        """Places in `heads` that are free."""
        self.heads: list[CallerKey | None] = []
        """The first deliverable caller of each class, by `CallerGroup.slot`: a record takes them all at once."""
        self.lines: dict[QueueName, dict[CallerGroup, None]] = {}
        """Classes of callers by queue."""
        self.timelines: dict[QueueName, Timeline] = {}
        self.teams: dict[QueueName, list[AgentGroup]] = {}
        """Classes of agents by queue, whatever their skills."""
        self.staff: dict[QueueName, tuple[AgentId, ...]] = {}
        """Agents by queue, sorted."""
        self.first: dict[QueueName, tuple[Seat, ...]] = {}
        """The first `NAMED` of them: those a decision record names."""
        self.named: dict[QueueName, tuple[AgentId, ...]] = {}
        self.statuses: dict[QueueName, list[str]] = {}
        """What each of these is doing."""

    # --- the centre

    def rebuild(self, centre: Centre, seats: dict[AgentId, Seat], waiters: Mapping[CallId, Waiter]) -> None:
        """Sort everyone anew by `centre`; offers and states stay. New agents get a seat, offline.

        Tickets are taken out of their classes: whoever calls puts each in again. Raises `RequirementError`, having changed
        nothing, when what a ticket requires cannot be joined with what its queue requires now.
        """
        tickets = {waiter.ticket.queue for waiter in waiters.values()}
        # A queue taken out of the centre lives on until its last caller has gone: nobody is dropped.
        kept = {name: queue for name, queue in self._queues.items() if name in tickets}
        queues = kept | dict(centre.queues)
        needed: dict[Wish, Requirement] = {}
        for waiter in waiters.values():
            wish = _wish(waiter.ticket)
            if wish not in needed:
                needed[wish] = _joined(queues[waiter.ticket.queue], wish)
        self._queues, self._needed = queues, needed
        self._callers, self._empty, self._agents = {}, {}, {}
        self._slots, self.heads = [], []
        self.lines = {name: {} for name in queues}
        self.teams = {name: [] for name in queues}
        for waiter in waiters.values():
            waiter.group = waiter.line = waiter.held = None
        for agent_id, seat in list(seats.items()):
            seat.unlist()
            seat.wanted, seat.posts = {}, []
            for key in list(seat.held):
                seat.held.remove(key)
            if agent_id not in centre.agents:
                seat.group = None
                seat.idle_since = None
                seat.state = AgentState.OFFLINE
                if seat.lease is None:
                    forget(seat, seats, waiters)
        for position, agent in enumerate(centre.agents.values()):
            self._seat(agent, seats, position)
        for queue, settings in queues.items():
            serving = [agent for agent in centre.agents.values() if queue in agent.queues]
            self.timelines[queue] = timeline(settings, {agent.tier(queue) for agent in serving})
            self.staff[queue] = tuple(sorted(agent.agent_id for agent in serving))
            self.named[queue] = self.staff[queue][:NAMED]
            self.first[queue] = tuple(seats[agent_id] for agent_id in self.named[queue])
            self.statuses[queue] = [seat.status for seat in self.first[queue]]
            for at, seat in enumerate(self.first[queue]):
                seat.posts.append((self.statuses[queue], at))

    def _seat(self, agent: Agent, seats: dict[AgentId, Seat], position: int) -> None:
        skills: Skills = tuple(sorted(agent.skills.items()))
        tiers = {queue: agent.tier(queue) for queue in agent.queues}
        key = (frozenset(agent.queues), skills, tuple(sorted(tiers.items())))
        group = self._agents.get(key)
        if group is None:
            strategies = dict.fromkeys(self._queues[q].strategy for q in agent.queues if q in self._queues)
            group = self._agents[key] = AgentGroup(key[0], dict(skills), tiers, strategies)
            for queue in key[0].intersection(self.teams):
                self.teams[queue].append(group)
        seat = seats.get(agent.agent_id)
        if seat is None:
            seat = seats[agent.agent_id] = Seat(agent.agent_id)
        seat.group = group
        seat.position = position
        group.weights[agent.agent_id] = agent.weight
        group.size += 1
        group.logged_in += seat.state is not AgentState.OFFLINE
        group.counts[seat.status] += 1
        seat.enlist()

    def queue(self, name: QueueName) -> Queue:
        """The queue's settings; those it had last when it was taken out of the centre."""
        return self._queues[name]

    # --- classes of callers

    def needed(self, queue: QueueName, skills: Skills, requires: Requirement) -> Requirement:
        """What the queue and a call require together. Raises `RequirementError` when that is too much to join."""
        wish = (queue, skills, requires)
        needed = self._needed.get(wish)
        if needed is None:
            if len(self._needed) >= MOST_WISHES:
                self._needed.clear()
            needed = self._needed[wish] = _joined(self._queues[queue], wish)
        return needed

    def group_for(self, ticket: Ticket, step: int) -> CallerGroup:
        """The class of the callers who want what this one wants and have come as many steps far."""
        needed = self.needed(ticket.queue, ticket.skills, ticket.requires)
        group = self._callers.get((ticket.queue, needed, step))
        if group is None:
            if self._slots:
                slot = self._slots.pop()
            else:
                slot = len(self.heads)
                self.heads.append(None)
            stages = self.timelines[ticket.queue].stages(needed)
            queue = ticket.queue
            group = CallerGroup(self._queues[queue], stages, step, slot)
            group.named, group.statuses = self.named[queue], self.statuses[queue]
            group.unnamed = len(self.staff[queue]) - len(group.named)
            self._callers[group.key] = group
            self.lines[group.queue][group] = None
            self.connect(group)
        return group

    def connect(self, group: CallerGroup) -> bool:
        """Find out who may serve the class, and whether that is somebody new.

        The first stage counts, from the class's step on, that somebody logged in fits; its own if nobody fits any.
        """
        team = self.teams[group.queue]
        able: dict[AgentGroup, int] = {}
        for at in (*range(group.step, len(group.stages)), group.step):
            stage = group.stages[at]
            able = {agents: tier for agents in team if stage.admits(agents.skills, tier := agents.tiers[group.queue])}
            group.effective = at
            if any(agents.logged_in for agents in able):
                break
        group.relaxed = group.stage.relaxed
        before, group.servers = group.servers, able
        group.unfit = tuple(self.unfit(seat, group) for seat in self.first[group.queue])
        if list(before) == list(able):
            return False
        for agents in before:
            del agents.callers[group]
        ranks: dict[tuple[int, int], list[AgentGroup]] = {}
        for agents, tier in able.items():
            agents.callers[group] = None
            ranks.setdefault((tier, figure_of_class(group, agents)), []).append(agents)
        group.ranks = tuple(
            Rank(*rank, tuple(classes), tuple(agents.ranked.get(group.strategy, agents.idle) for agents in classes))
            for rank, classes in sorted(ranks.items(), key=itemgetter(0))
        )
        return True

    def unfit(self, seat: Seat, group: CallerGroup) -> str:
        """Why the agent may not serve the class however free; empty for who may."""
        if seat.group is None or seat.group in group.servers:
            return ""
        return Exclusion.TIER_LATER if group.stage.admits(seat.group.skills, 0) else Exclusion.LACKS_SKILL

    def reconnect(self, agents: AgentGroup) -> list[CallerGroup]:
        """The first of `agents` logged in, or the last left: the classes of callers somebody else may serve now."""
        return [
            group
            for queue in agents.queues
            for group in self.lines.get(queue, ())
            if group.step + 1 < len(group.stages) and self.connect(group)
        ]

    def able(self, queue: QueueName, skills: Skills, requires: Requirement) -> list[AgentGroup]:
        """Classes of agents who may have such a call in time: good enough for the last stage, of whatever tier."""
        if queue not in self._queues:
            return []
        last = self.timelines[queue].stages(self.needed(queue, skills, requires))[-1]
        return [agents for agents in self.teams[queue] if last.admits(agents.skills, 0)]

    # --- tickets

    def enter(self, waiter: Waiter, step: int) -> None:
        """The ticket belongs to the class of those who are `step` steps on. It is not shown yet."""
        group = waiter.group = self.group_for(waiter.ticket, step)
        if not group.members:
            self._empty.pop(group, None)
        group.members += 1

    def drop(self, waiter: Waiter) -> None:
        """Take a hidden ticket out of its class."""
        group = waiter.home
        waiter.group = None
        group.members -= 1
        if group.members:
            return
        self._empty[group] = None
        if len(self._empty) > EMPTY_KEPT:
            oldest = next(iter(self._empty))
            del self._empty[oldest], self._callers[oldest.key], self.lines[oldest.queue][oldest]
            self._slots.append(oldest.slot)
            for agents in oldest.servers:
                del agents.callers[oldest]

    def show(self, waiter: Waiter) -> None:
        """The ticket waits (again)."""
        group, key = waiter.home, waiter.key
        if waiter.deliverable and waiter.held is None:
            waiter.line = group.ready
            group.ready.add(key)
            self.heads[group.slot] = group.ready.head
        else:
            waiter.line = group.aside
            group.aside.add(key)
            if waiter.deliverable and waiter.held is not None:
                waiter.held.held.add(key)

    def hide(self, waiter: Waiter) -> None:
        """The ticket does not wait any more, or is under an offer now, or is to be shown elsewhere."""
        line = waiter.line
        if line is None:
            return
        waiter.line = None
        line.remove(waiter.key)
        group = waiter.group
        if group is not None and line is group.ready:
            self.heads[group.slot] = line.head
        elif waiter.deliverable and waiter.held is not None:
            waiter.held.held.remove(waiter.key)

    # --- the order of a queue

    def in_line(self, queue: QueueName) -> Iterator[CallerKey]:
        """Who waits in the queue, deliverable or not, without those under an offer, in serving order."""
        return merge(*(line for group in self.lines.get(queue, ()) for line in (group.ready, group.aside)))

    def place(self, waiter: Waiter) -> int:
        """How many wait in the ticket's queue before it."""
        key = waiter.key
        return sum(group.ready.rank(key) + group.aside.rank(key) for group in self.lines[waiter.ticket.queue])

    def length(self, queue: QueueName) -> int:
        """How many wait in the queue, without those under an offer."""
        return sum(len(group.ready) + len(group.aside) for group in self.lines.get(queue, ()))


def _wish(ticket: Ticket) -> Wish:
    return (ticket.queue, ticket.skills, ticket.requires)


def _joined(queue: Queue, wish: Wish) -> Requirement:
    return both(both(all_of(queue.skills), queue.requires), both(all_of(wish[1]), wish[2]))


def forget(seat: Seat, seats: dict[AgentId, Seat], waiters: Mapping[CallId, Waiter]) -> None:
    """Clear the seat of an agent who left the centre, and what it refused."""
    for call_id in seat.refused:
        waiters[call_id].refused.pop(seat.agent_id)
    del seats[seat.agent_id]
