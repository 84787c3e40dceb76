"""People and their classes: callers who want the same, agents who can do the same.

Two callers of one class are served by exactly the same agents, so only the first of a class needs looking at; likewise
agents. A decision therefore looks at classes, not at people. These are the engine's own books: mutable, never handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from cti.acd.decisions import Lease, Ticket
from cti.acd.order import Order
from cti.acd.ranking import LEASE_MARGIN, AgentKey, CallerKey, agent_key, caller_key
from cti.acd.stages import Stage
from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Queue, Strategy
from cti.model.facts import AgentState
from cti.model.requirement import Requirement

BY_IDLENESS = frozenset({Strategy.LONGEST_IDLE, Strategy.RING_ALL})
"""Strategies that rank by nothing else."""

ClassKey = tuple[QueueName, Requirement, int]


class CallerGroup:
    """Callers of one queue with one requirement, as many steps on.

    `ready` has those who may be offered to anybody now, `aside` the others who wait: not deliverable, or held for an agent.
    """

    __slots__ = (
        "aside",
        "by_idleness",
        "effective",
        "key",
        "lease_time",
        "members",
        "named",
        "queue",
        "ranks",
        "ready",
        "relaxed",
        "servers",
        "slot",
        "stages",
        "statuses",
        "step",
        "strategy",
        "unfit",
        "unnamed",
    )

    def __init__(self, queue: Queue, stages: tuple[Stage, ...], step: int, slot: int) -> None:
        self.queue = queue.name
        self.stages = stages
        self.step = step
        """Steps that time has brought."""
        self.key: ClassKey = (queue.name, stages[0].needed, step)
        """What distinguishes the class."""
        self.effective = step
        """Steps that count: more than `step` while nobody is logged in who fits the stage before."""
        self.relaxed = 0
        """Steps of `relax` among these."""
        self.strategy = queue.strategy
        self.by_idleness = queue.strategy in BY_IDLENESS
        self.lease_time = queue.ring_timeout + LEASE_MARGIN
        self.slot = slot
        """Where `Groups.heads` has the first of `ready`."""
        self.ready: Order[CallerKey] = Order()
        self.aside: Order[CallerKey] = Order()
        self.members = 0
        """Tickets of the class, offered ones too."""
        self.servers: dict[AgentGroup, int] = {}
        """Who may serve the class, with their tier."""
        self.ranks: tuple[Rank, ...] = ()
        """The same in ranks, best first."""
        self.named: tuple[AgentId, ...] = ()
        """The first of the queue's agents: those a decision record names."""
        self.statuses: list[str] = []
        """What each of them is doing."""
        self.unfit: tuple[str, ...] = ()
        """Why each of them may not serve these callers; empty for who may."""
        self.unnamed = 0
        """The queue's other agents."""

    @property
    def stage(self) -> Stage:
        """The stage that counts."""
        return self.stages[self.effective]


class Rank(NamedTuple):
    """Classes of agents whom a class of callers prefers alike: who is best among them, their orders know."""

    tier: int
    figure: int
    """What a strategy by class wants least of; 0 for the others."""
    classes: tuple[AgentGroup, ...]
    orders: tuple[Order[AgentKey], ...]
    """Who is free of each class, by the strategy."""


class AgentGroup:
    """Agents with the same queues, tiers and skills. `idle` has those who are free and under no offer."""

    __slots__ = ("callers", "counts", "idle", "logged_in", "queues", "ranked", "size", "skills", "tiers", "weights")

    def __init__(
        self,
        queues: frozenset[QueueName],
        skills: Mapping[str, int],
        tiers: Mapping[QueueName, int],
        strategies: Iterable[Strategy],
    ) -> None:
        self.queues = queues
        self.skills = skills
        self.tiers = tiers
        """By queue."""
        self.idle: Order[AgentKey] = Order()
        self.ranked: dict[Strategy, Order[AgentKey]] = {
            strategy: Order() for strategy in strategies if strategy in COUNTED
        }
        """Whoever is in `idle`, by what their queues' strategies count."""
        self.weights: dict[AgentId, float] = {}
        self.size = 0
        self.logged_in = 0
        self.counts: dict[AgentState, int] = dict.fromkeys(AgentState, 0)
        """Agents by what they are doing (`Seat.status`)."""
        self.callers: dict[CallerGroup, None] = {}

    def add(self, seat: Seat) -> None:
        """The agent, of this class, is available."""
        self.idle.add(seat.key)
        for strategy, order in self.ranked.items():
            order.add((COUNTED[strategy](seat), *seat.key))

    def discard(self, seat: Seat) -> None:
        """The agent is not available any more. To be told before anything its keys are made of changes."""
        self.idle.remove(seat.key)
        for strategy, order in self.ranked.items():
            order.remove((COUNTED[strategy](seat), *seat.key))


class Waiter:
    """One ticket's place in the books."""

    __slots__ = ("deliverable", "due", "group", "held", "key", "lease", "line", "refused", "spurned", "ticket")

    def __init__(self, ticket: Ticket, *, deliverable: bool) -> None:
        self.ticket = ticket
        self.key = caller_key(ticket.queued_at, ticket.head_start, ticket.call_id, ticket.strict)
        self.group: CallerGroup | None = None
        """None only while the ticket is between two classes."""
        self.deliverable = deliverable
        self.lease: Lease | None = None
        self.line: Order[CallerKey] | None = None
        """The order of the class the ticket waits in; None under an offer."""
        self.held: Seat | None = None
        """The preferred agent, while nobody else may have the call."""
        self.spurned = False
        """The preferred agent has refused the call."""
        self.due: datetime | None = None
        """When the next of what changes with waiting alone is to be looked at."""
        self.refused: dict[AgentId, datetime] = {}
        """Agents who may not have this call again yet, and until when."""

    @property
    def home(self) -> CallerGroup:
        """The ticket's class."""
        if self.group is None:
            raise AssertionError(f"call {self.ticket.call_id} is in no class")
        return self.group


class Seat:
    """One agent in the books. `idle_since` is set when the agent is free, whatever offer is under way."""

    __slots__ = (
        "agent_id",
        "calls",
        "group",
        "held",
        "idle_since",
        "lease",
        "listed",
        "position",
        "posts",
        "refused",
        "state",
        "status",
        "talk",
        "talking_since",
        "turn",
        "wanted",
    )

    def __init__(self, agent_id: AgentId) -> None:
        self.agent_id = agent_id
        self.group: AgentGroup | None = None
        """None when the agent was taken out of the centre but still has an offer."""
        self.state = AgentState.OFFLINE
        self.status = AgentState.OFFLINE
        """What a decision record says of the agent: the state, or `RESERVED` under an offer."""
        self.posts: list[tuple[list[str], int]] = []
        """Where `Groups.statuses` has the status."""
        self.idle_since: datetime | None = None
        self.lease: Lease | None = None
        self.listed = False
        """Whether the agent is in the orders of the class."""
        self.wanted: dict[CallId, None] = {}
        """Tickets that name this agent as the preferred one."""
        self.held: Order[CallerKey] = Order()
        """Deliverable callers whom nobody else may have now."""
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

    def show(self, status: AgentState) -> None:
        """Note what the agent is doing wherever it is counted."""
        if status is self.status:
            return
        if self.group is not None:
            counts = self.group.counts
            counts[self.status] -= 1
            counts[status] += 1
        self.status = status
        for statuses, at in self.posts:
            statuses[at] = status

    def enlist(self) -> None:
        """Into the orders of the class, if available."""
        if not self.listed and self.available and self.group is not None:
            self.show(self.state)
            self.group.add(self)
            self.listed = True

    def unlist(self) -> None:
        """Out of the orders. To be told before anything the keys are made of changes."""
        if self.listed and self.group is not None:
            self.group.discard(self)
        self.listed = False


COUNTED: dict[Strategy, Callable[[Seat], Any]] = {
    Strategy.FEWEST_CALLS: attrgetter("calls"),
    Strategy.LEAST_TALK_TIME: attrgetter("talk"),
    Strategy.ROUND_ROBIN: attrgetter("turn"),
    Strategy.LINEAR: attrgetter("position"),
}
"""Strategies by a figure of the agent that stays as it is while the agent is free."""
