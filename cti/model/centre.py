"""The centre: its numbers, queues, agents and tiers, as values. Read from `centre.yaml`, checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from cti.ids import AgentId, FlowName, QueueName


class Strategy(StrEnum):
    """How a queue ranks the agents who may take a call."""

    LONGEST_IDLE = "longest_idle"
    FEWEST_CALLS = "fewest_calls"
    LEAST_TALK_TIME = "least_talk_time"
    ROUND_ROBIN = "round_robin"
    """Whoever was offered a call least recently, whether or not it was answered."""
    LINEAR = "linear"
    """In the order of the centre's file."""
    RANDOM = "random"
    """Drawn by the agents' weights; the same call always draws the same."""
    BEST_SKILL = "best_skill"
    """The highest proficiency in what the call needs."""
    LEAST_FLEXIBLE = "least_flexible"
    """Who has the fewest queues and skills, so that the versatile stay free for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """What waiting callers are told, in their language."""

    place: bool = True
    wait: bool = True
    """The expected wait; never a longer one than was told before, unless somebody with more priority came."""
    every: timedelta = timedelta(seconds=30)
    """From one announcement to the next; the first comes with the first visit."""
    comfort: tuple[str, ...] = ("thank_you_for_waiting",)
    """Prompts said in turn, halfway between the announcements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """A step by which a queue asks for less of its agents the longer a caller waits."""

    after: timedelta
    """Of waiting."""
    skills: Mapping[str, int]
    """No more than this level is needed from then on; 0: the skill is not needed at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue. `titles` are names for people by language."""

    name: QueueName
    titles: Mapping[str, str]
    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_timeout: timedelta = timedelta(seconds=15)
    wrap_up: timedelta = timedelta(seconds=30)
    service_level: timedelta = timedelta(seconds=20)
    """A call answered within this wait counts as served in time."""
    short_abandon: timedelta = timedelta(seconds=5)
    """Hanging up within this wait is a short abandon, not an abandon."""
    refusal_pause: timedelta = timedelta(seconds=10)
    """After a refused or unanswered offer the same agent is not offered the same call again for this long."""
    record: bool = False
    dispositions: tuple[str, ...] = ("resolved", "follow_up", "wrong_number", "other")
    skills: Mapping[str, int] = field(default_factory=dict)
    """Skills (proficiency 1-5) every call of this queue requires."""
    announce: Announce = Announce()
    ceiling: timedelta | None = None
    """Whoever has waited so long goes before everybody who has not, strict tiers included; None: no ceiling."""
    relax: tuple[Relaxation, ...] = ()
    """By time. A step is skipped at once while nobody is logged in who has what is needed before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent. `skills` maps a skill (languages too) to proficiency 1-5."""

    agent_id: AgentId
    name: str
    queues: tuple[QueueName, ...]
    skills: Mapping[str, int] = field(default_factory=dict)
    miss_limit: int = 3
    """After so many offers missed in a row the agent is set not ready."""
    weight: float = 1.0
    """The agent's share in queues whose strategy is `random`; above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A customer tier and what it is worth in waiting: seconds of head start, or strict priority."""

    name: str
    head_start: timedelta = timedelta()
    strict: int = 0
    """Callers of a higher number go before all of a lower, however long these have waited; head start counts within."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A dialled number of the centre (DID, digits with an optional leading +)."""

    did: str
    flow: FlowName
    title: str = ""
    survival_queue: QueueName
    """Where the dialplan queues these callers when no bridge is there."""
    head_start: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The whole configuration of the floor. Immutable; a change makes a new one."""

    name: str
    region: str = "US"
    """ISO 3166 region that national numbers are read in."""
    time_zone: str = "UTC"
    languages: tuple[str, ...] = ("en", "zh")
    queues: Mapping[QueueName, Queue]
    agents: Mapping[AgentId, Agent]
    tiers: Mapping[str, Tier]
    numbers: Mapping[str, Number]
    not_ready_reasons: tuple[str, ...] = ("break", "lunch", "meeting", "training", "admin")
