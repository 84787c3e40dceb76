"""The centre: its numbers, queues, agents and tiers, as values. Read from `centre.yaml`, checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from cti.ids import AgentId, FlowName, QueueName
from cti.model.alerts import USUAL_TARGETS, AlertRules
from cti.model.calendar import Calendar
from cti.model.desk import QueueDesk
from cti.model.facts import AgentState
from cti.model.outside_crm import OutsideCrm
from cti.model.recording_rule import ALWAYS, NEVER, RecordingRule
from cti.model.requirement import ANYBODY, Requirement
from cti.model.tolls import TollRules


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
    RING_ALL = "ring_all"
    """Everybody who is free rings at once; who answers first has the call, the others are let go."""


class TargetKind(StrEnum):
    """Where a call can go instead of waiting for an agent of its queue."""

    QUEUE = "queue"
    """Another queue; the time waited counts there."""
    FLOW = "flow"
    VOICEMAIL = "voicemail"
    CALLBACK = "callback"
    """The caller is called back when the place is reached; where that cannot be, voicemail."""
    NUMBER = "number"
    """An outside number, over the trunk; it must be on the list of numbers that may be dialled."""
    HANG_UP = "hang_up"


class ServiceLevelOf(StrEnum):
    """What the service level of a queue is a share of."""

    DECIDED = "answered_and_abandoned"
    OFFERED = "offered"
    OFFERED_WITHOUT_SHORT = "offered_without_short"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a call goes. `name` is the queue, the flow or the number; empty for the other kinds."""

    kind: TargetKind
    name: str = ""


PER_WEIGHT = 10
"""Classes of strict priority to one step of a queue's weight."""
STRICT_MOST = 99
"""The highest class of strict priority: weight 9, tier 9."""

VOICEMAIL = Target(kind=TargetKind.VOICEMAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """A rule by which a caller goes elsewhere. Exactly one of the three limits is set.

    `after` is watched while the caller waits; `expected` and `length` are looked at when the caller would join.
    """

    to: Target
    after: timedelta | None = None
    """Waited so long."""
    expected: timedelta | None = None
    """The expected wait is more than this."""
    length: int | None = None
    """So many wait already."""


class CallbackFirst(StrEnum):
    """Who is called first when a callback's turn has come."""

    CUSTOMER = "customer"
    """The customer is called, and waits at the head of the line until an agent is free."""
    AGENT = "agent"
    """An agent takes the callback as an offer; then the customer is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRules:
    """How a queue calls back those who gave up waiting on the line, but not their place."""

    first: CallbackFirst = CallbackFirst.CUSTOMER
    attempts: int = 3
    """Calls to the customer before it is given up."""
    retry: timedelta = timedelta(minutes=5)
    """From a call that reached nobody to the next."""
    ring_timeout: timedelta = timedelta(seconds=30)
    calendar: str = ""
    """When customers may be called; empty: whenever the queue is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Whether a caller is held for a certain agent before the others may serve."""

    own: bool = True
    """The agent who is named in the customer's record."""
    last: timedelta | None = None
    """The agent who talked with this caller last, if that was not longer ago than this; None: nobody."""
    hold: timedelta = timedelta(seconds=30)
    """How long the caller is held for that agent. Who is not logged in is not waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long an agent is offered no call at all after an offer that failed, by how it failed."""

    rejected: timedelta = timedelta()
    busy: timedelta = timedelta(seconds=10)
    no_answer: timedelta = timedelta()
    unreachable: timedelta = timedelta(seconds=10)


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
    service_level_of: ServiceLevelOf = ServiceLevelOf.DECIDED
    short_abandon: timedelta = timedelta(seconds=5)
    """Hanging up within this wait is a short abandon, not an abandon."""
    refusal_pause: timedelta = timedelta(seconds=10)
    """After a refused or unanswered offer the same agent is not offered the same call again for this long."""
    record: bool = False
    """Whether its talks are recorded. What is more than yes or no is in `recording`."""
    recording: RecordingRule | None = None
    """Which of its talks are recorded; None: as `record` says."""
    dispositions: tuple[str, ...] = ("resolved", "follow_up", "wrong_number", "other")
    """Those that can be chosen."""
    desk: QueueDesk = field(default_factory=QueueDesk)
    """What agents have before them."""
    skills: Mapping[str, int] = field(default_factory=dict)
    """Skills (proficiency 1-5) every call of this queue requires."""
    requires: Requirement = ANYBODY
    """What every call requires besides: alternatives."""
    announce: Announce = Announce()
    ceiling: timedelta | None = None
    """Whoever has waited so long goes before everybody who has not, strict tiers included; None: no ceiling."""
    relax: tuple[Relaxation, ...] = ()
    """By time. A step is skipped at once while nobody is logged in who has what is needed before it."""
    weight: int = 0
    """0-9. Callers of a heavier queue go before those of a lighter one, whatever their tiers and waits."""
    head_start: timedelta = timedelta()
    """Of all its callers, on top of tier, number and flow."""
    count_menu: bool = False
    """Whether the time in the menus counts as waiting."""
    tier_wait: timedelta = timedelta()
    """Agents of tier 2 are asked when the caller has waited so long, of tier 3 after twice that, and so on; at once while
    nobody of a lower tier is logged in. Zero: they are asked whenever nobody of a lower tier is free."""
    preference: Preference | None = None
    calendar: str = ""
    """Opening hours; empty: always open."""
    max_length: int | None = None
    """Callers waiting; who would be one more goes to `when_full`."""
    max_wait: timedelta | None = None
    """Who has waited so long goes to `when_late`."""
    join_empty: frozenset[AgentState] = frozenset()
    """Nobody may join while every agent who could serve the call is in one of these states, or there is none. Empty: no
    such limit."""
    leave_empty: frozenset[AgentState] = frozenset()
    """Whoever waits leaves when that comes about while they wait."""
    when_closed: Target = VOICEMAIL
    when_full: Target = VOICEMAIL
    when_late: Target = VOICEMAIL
    when_empty: Target = VOICEMAIL
    overflow: tuple[Overflow, ...] = ()
    """Tried in order, after the limits above."""
    options: Mapping[str, Target] = field(default_factory=dict)
    """What a waiting caller can have by a key (0-9, *, #)."""
    callback: CallbackRules = CallbackRules()
    wrap_up_extension: timedelta = timedelta(seconds=30)
    """By how much an agent may extend the work after a call, at a time."""
    wrap_up_longest: timedelta = timedelta(minutes=10)
    """Extended work after a call ends then at the latest."""

    caller_id: str = ""
    """The number that is shown in calls that agents make for this queue; empty: the centre's."""

    @property
    def recording_rule(self) -> RecordingRule:
        """Which of its talks are recorded."""
        return self.recording or (ALWAYS if self.record else NEVER)

    def targets(self) -> tuple[Target, ...]:
        """Everywhere a call of the queue may go instead of waiting."""
        limits = (self.when_closed, self.when_full, self.when_late, self.when_empty)
        return (*limits, *(rule.to for rule in self.overflow), *self.options.values())


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
    tiers: Mapping[QueueName, int] = field(default_factory=dict)
    """The agent's tier, 1-9, in queues where it is not 1: a lower number is asked first."""
    groups: tuple[str, ...] = ()
    """Teams the agent belongs to; what these gave (queues, skills) is in the fields above."""
    wrap_up: timedelta | None = None
    """Instead of the queues' own."""
    delays: Delays = Delays()
    number: str = ""
    """Where the device `external` rings: an outside number, digits with an optional plus."""
    recording: RecordingRule | None = None
    """Which of this agent's talks are recorded; None: as the queue says."""
    auto_answer: bool = False
    """The agent's telephone is asked to take calls by itself."""

    def tier(self, queue: QueueName) -> int:
        """The agent's tier in a queue, 1 is asked first."""
        return self.tiers.get(queue, 1)

    @property
    def team(self) -> str | None:
        """The one group that figures of teams count the agent in: the first. None: in none."""
        return self.groups[0] if self.groups else None


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
    draft: bool = False
    """A test number: its callers hear drafts of flows where there are some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpService:
    """A service that flows may ask. Its address is the centre's word alone: nothing of a caller's becomes part of it."""

    name: str
    url: str
    method: str = "GET"
    """GET: values travel in the query; POST: as a JSON body."""
    deadline: timedelta = timedelta(seconds=2)
    """Of one try."""
    retries: int = 1
    token_file: str = ""
    """A file with a bearer token; read each time, so that it can be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """What may be dialled over the trunk. Nothing else ever is."""

    allow: tuple[str, ...] = ()
    """Beginnings of E.164 numbers ("+1555"); empty: nothing may be dialled."""
    caller_id: str = ""
    """The number that is shown; empty: the first of the centre's."""
    caller_ids: tuple[str, ...] = ()
    """Other numbers that agents may show when they dial."""
    most_at_once: int = 10
    """Calls over the trunk at the same time that the bridge began."""
    tolls: TollRules = field(default_factory=TollRules)
    """What it costs, and how much there may be of it."""

    def may_dial(self, number: str) -> bool:
        """Whether an E.164 number is on the list."""
        return (
            number.startswith("+")
            and number[1:].isascii()
            and number[1:].isdigit()
            and 7 <= len(number) <= 16
            and any(number.startswith(beginning) for beginning in self.allow)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How long what belongs to an agent's browser telephone may be away."""

    resume: timedelta = timedelta(seconds=20)
    """A caller whose agent's page is gone is held so long for the page to come back."""
    grace: timedelta = timedelta(seconds=15)
    """An agent whose page, telephone or microphone fails for longer is offered nothing until it works again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionRules:
    """What agents are told of supervisors, and what supervisors may not hear."""

    told: bool = False
    """Whether an agent's page says that somebody listens."""
    paused_recording: Literal["silent", "refuse"] = "silent"
    """While the recording of a call is paused (payment data): nobody hears it, or beginning to listen is refused as well."""


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
    not_ready_limits: Mapping[str, timedelta] = field(default_factory=dict)
    not_ready_allowed: Mapping[str, timedelta] = field(default_factory=dict)
    """Reason -> how long a day an agent may be not ready for it; what is beyond counts against adherence. Others: without limit."""
    """Reasons that end by themselves: the agent is ready again then."""
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    outbound: Outbound = Outbound()
    presence: Presence = Presence()
    supervision: SupervisionRules = SupervisionRules()
    supervisors: Mapping[str, tuple[QueueName, ...]] = field(default_factory=dict)
    """User names of those who supervise, with the queues they act on; none: all of them."""
    walls: Mapping[str, tuple[QueueName, ...]] = field(default_factory=dict)
    """User names of screens on the wall, with the queues they show; none: all of them."""
    services: Mapping[str, HttpService] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    """Functions in Python that flows may call, `module:function` by name."""
    phone_book: Mapping[str, str] = field(default_factory=dict)
    """Outside numbers (E.164) that agents find by name."""
    transfer_flows: Mapping[FlowName, str] = field(default_factory=dict)
    """Flows agents may send callers to, with their names for people."""
    crm: OutsideCrm = field(default_factory=OutsideCrm)
    """Another customer system beside our own file."""
    targets: Mapping[str, float] = field(default_factory=lambda: dict(USUAL_TARGETS))
    """What the centre's figures of the day should be, by name."""
    alerts: AlertRules = field(default_factory=AlertRules)
    """When the floor is to be looked at, and who is told."""
