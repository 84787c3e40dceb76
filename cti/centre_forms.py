"""The tables of centre.yaml as forms: each key with its bounds, and the value of the model it makes.

What needs to know more than one table (a queue that is named must exist) is checked by `centre_file`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from cti.alert_forms import AlertsForm, TargetFigure
from cti.calendar_forms import CalendarForm
from cti.desk_forms import CrmForm, DeskForm, desk_of, plain_names
from cti.form_types import Did, DisplayName, Extension, Form, Key, Level, Name, Seconds
from cti.ids import AgentId, FlowName, QueueName
from cti.model.centre import (
    VOICEMAIL,
    Agent,
    Announce,
    CallbackFirst,
    CallbackRules,
    Delays,
    HttpService,
    Number,
    Overflow,
    Preference,
    Presence,
    Queue,
    Relaxation,
    ServiceLevelOf,
    Strategy,
    SupervisionRules,
    Target,
    TargetKind,
    Tier,
)
from cti.model.facts import AgentState
from cti.model.recording_rule import ALWAYS, NEVER, RecordingRule, RecordWhen
from cti.model.requirement import Requirement, RequirementError, parse_requirement
from cti.outbound_forms import OutboundForm

_OUTSIDE = re.compile(r"\+[0-9]{7,15}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
TARGET_FORMS = 'voicemail, callback, hang_up, {queue: NAME}, {flow: NAME} or {number: "+1555..."}'
F = TypeVar("F", bound="Form")


def _target(value: object) -> Target:
    if isinstance(value, Target):
        return value
    if isinstance(value, str) and value in ("voicemail", "callback", "hang_up"):
        return Target(kind=TargetKind(value))
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        pattern = {"queue": _NAME, "flow": _NAME, "number": _OUTSIDE}.get(str(kind))
        if pattern is not None and pattern.fullmatch(str(name)):
            return Target(kind=TargetKind(kind), name=str(name))
    raise ValueError(f"a target is {TARGET_FORMS}")


def _requirement(value: object) -> Requirement:
    if isinstance(value, tuple):
        return value
    try:
        return parse_requirement(str(value))
    except RequirementError as error:
        raise ValueError(f"column {error.column}: {error.message}") from None


TargetField = Annotated[Target, BeforeValidator(_target)]
RequirementField = Annotated[Any, BeforeValidator(_requirement)]


def _record(value: object) -> RecordingRule:
    if isinstance(value, RecordingRule):
        return value
    if isinstance(value, bool):
        return ALWAYS if value else NEVER
    try:
        if isinstance(value, str):
            return RecordingRule(when=RecordWhen(value))
        if isinstance(value, dict) and value.keys() <= {"when", "share"}:
            share, when = value.get("share", 1.0), RecordWhen(value.get("when", RecordWhen.ALWAYS))
            if isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1:
                return RecordingRule(when=when, share=float(share))
    except ValueError:
        pass
    raise ValueError("use true, false, always, never, on_demand, after_consent, or {share: 0.2}")


RecordField = Annotated[Any, BeforeValidator(_record)]
"""When talks are recorded, see `RecordingRule`."""


class AnnounceForm(Form):
    """What waiting callers are told."""

    place: bool = True
    wait: bool = True
    every: Annotated[float, Field(ge=10, le=600)] = 30
    comfort: list[Name] = ["thank_you_for_waiting"]


class RelaxationForm(Form):
    """A step by which less skill is asked for."""

    after: Annotated[float, Field(gt=0, le=86400)]
    skills: dict[Name, Annotated[int, Field(ge=0, le=5)]] = Field(min_length=1)


class OverflowForm(Form):
    """A rule by which a caller goes elsewhere."""

    to: TargetField
    after: Annotated[float, Field(gt=0, le=86400)] | None = None
    expected: Annotated[float, Field(gt=0, le=86400)] | None = None
    length: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> OverflowForm:
        if sum(limit is not None for limit in (self.after, self.expected, self.length)) != 1:
            raise ValueError("give exactly one of after, expected and length")
        return self


class PreferenceForm(Form):
    """Whether a caller is held for a certain agent first."""

    own: bool = True
    last: Annotated[float, Field(gt=0, le=400 * 86400)] | None = None
    hold: Seconds = 30


class CallbackForm(Form):
    """How callers are called back."""

    first: CallbackFirst = CallbackFirst.CUSTOMER
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    retry: Annotated[float, Field(ge=5, le=86400)] = 300
    ring_timeout: Annotated[float, Field(ge=5, le=120)] = 30
    calendar: str = ""


class DelaysForm(Form):
    """How long an agent is offered nothing after an offer that failed."""

    rejected: Annotated[float, Field(ge=0, le=3600)] = 0
    busy: Annotated[float, Field(ge=0, le=3600)] = 10
    no_answer: Annotated[float, Field(ge=0, le=3600)] = 0
    unreachable: Annotated[float, Field(ge=0, le=3600)] = 10


class QueueForm(DeskForm):
    """A queue. Times are seconds."""

    titles: dict[str, DisplayName]
    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_timeout: Annotated[float, Field(ge=3, le=120)] = 15
    wrap_up: Seconds = 30
    wrap_up_extension: Annotated[float, Field(ge=0, le=3600)] = 30
    wrap_up_longest: Seconds = 600
    service_level: Seconds = 20
    service_level_of: ServiceLevelOf = ServiceLevelOf.DECIDED
    short_abandon: Seconds = 5
    refusal_pause: Seconds = 10
    record: RecordField = False
    skills: dict[Name, Level] = {}
    requires: RequirementField = ""
    relax: list[RelaxationForm] = []
    weight: Annotated[int, Field(ge=0, le=9)] = 0
    head_start: Seconds = 0
    count_menu: bool = False
    ceiling: Annotated[float, Field(gt=0, le=86400)] | None = None
    tier_wait: Seconds = 0
    preferred: PreferenceForm | None = None
    announce: AnnounceForm = AnnounceForm()
    calendar: str = ""
    max_length: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_wait: Annotated[float, Field(gt=0, le=86400)] | None = None
    join_empty: list[AgentState] = []
    leave_empty: list[AgentState] = []
    when_closed: TargetField = VOICEMAIL
    when_full: TargetField = VOICEMAIL
    when_late: TargetField = VOICEMAIL
    when_empty: TargetField = VOICEMAIL
    overflow: list[OverflowForm] = []
    options: dict[Key, TargetField] = {}
    callback: CallbackForm = CallbackForm()
    caller_id: Annotated[str, StringConstraints(pattern=r"^(\+[0-9]{7,15})?$")] = ""

    @field_validator("relax")
    @classmethod
    def _by_time(cls, value: list[RelaxationForm]) -> list[RelaxationForm]:
        times = [step.after for step in value]
        if times != sorted(set(times)):
            raise ValueError("each step must come later than the one before it")
        return value

    @field_validator("join_empty", "leave_empty")
    @classmethod
    def _not_ready_ones(cls, value: list[AgentState]) -> list[AgentState]:
        if AgentState.READY in value:
            raise ValueError("whoever is ready can take the call: ready cannot be in this list")
        return value

    def targets(self) -> list[tuple[tuple[str | int, ...], Target]]:
        """Every target with its place in the table."""
        found: list[tuple[tuple[str | int, ...], Target]] = [
            ((key,), getattr(self, key)) for key in ("when_closed", "when_full", "when_late", "when_empty")
        ]
        found += [(("overflow", n, "to"), rule.to) for n, rule in enumerate(self.overflow)]
        return found + [(("options", key), target) for key, target in self.options.items()]


class GroupForm(Form):
    """A team: what its members get besides their own."""

    queues: list[Name] = []
    skills: dict[Name, Level] = {}
    tiers: dict[Name, Annotated[int, Field(ge=1, le=9)]] = {}


class AgentForm(Form):
    """An agent."""

    name: DisplayName
    queues: list[Name] = []
    skills: dict[Name, Level] = {}
    groups: list[Name] = []
    tiers: dict[Name, Annotated[int, Field(ge=1, le=9)]] = {}
    miss_limit: Annotated[int, Field(ge=0, le=100)] = 3
    weight: Annotated[float, Field(ge=0.01, le=100)] = 1
    wrap_up: Seconds | None = None
    delays: DelaysForm = DelaysForm()
    number: Annotated[str, StringConstraints(pattern=r"^(\+[0-9]{7,15})?$")] = ""
    auto_answer: bool = False
    record: RecordField | None = None


class TierForm(Form):
    """A customer tier."""

    head_start: Seconds = 0
    strict: Annotated[int, Field(ge=0, le=9)] = 0


class NumberForm(Form):
    """A dialled number."""

    flow: Name
    survival_queue: Name
    title: str = ""
    head_start: Seconds = 0
    draft: bool = False


class PresenceForm(Form):
    """How long what belongs to an agent's browser telephone may be away."""

    resume: Annotated[float, Field(ge=5, le=300)] = 20
    grace: Annotated[float, Field(ge=5, le=300)] = 15


class SupervisionForm(Form):
    """What agents are told of supervisors, and what supervisors may not hear."""

    told: bool = False
    paused_recording: Literal["silent", "refuse"] = "silent"


class ServiceForm(Form):
    """An HTTP service."""

    url: Annotated[
        str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/%-]*)?$", max_length=500)
    ]
    method: Literal["GET", "POST"] = "GET"
    deadline: Annotated[float, Field(ge=0.1, le=30)] = 2
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    token_file: Annotated[str, StringConstraints(pattern=r"^(/[^\x00-\x1f]*)?$")] = ""


class CentreForm(Form):
    """The whole file."""

    name: DisplayName
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "US"
    time_zone: str = "UTC"
    languages: list[Name] = ["en", "zh"]
    queues: dict[Name, QueueForm] = Field(min_length=1)
    agents: dict[Extension, AgentForm] = {}
    groups: dict[Name, GroupForm] = {}
    tiers: dict[Name, TierForm] = {}
    numbers: dict[Did, NumberForm] = Field(min_length=1)
    calendars: dict[Name, CalendarForm] = {}
    outbound: OutboundForm = OutboundForm()
    presence: PresenceForm = PresenceForm()
    supervision: SupervisionForm = SupervisionForm()
    crm: CrmForm = CrmForm()
    alerts: AlertsForm = AlertsForm()
    targets: dict[TargetFigure, Annotated[float, Field(ge=0, le=86400)]] = {}
    services: dict[Name, ServiceForm] = {}
    functions: dict[
        Name, Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=200)]
    ] = {}
    phone_book: dict[DisplayName, Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{5,14}$")]] = {}
    transfer_flows: dict[Name, DisplayName] = {}
    supervisors: dict[Name, list[Name]] = {}
    walls: dict[Name, list[Name]] = {}
    not_ready_reasons: list[Name] = ["break", "lunch", "meeting", "training", "admin"]
    not_ready_limits: dict[Name, Annotated[float, Field(ge=10, le=86400)]] = {}
    not_ready_allowed: dict[Name, Annotated[float, Field(ge=0, le=86400)]] = {}

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except Exception as error:
            raise ValueError(f"{value} is no time zone of the IANA data base, such as Asia/Shanghai") from error
        return value


# ---- from forms to the model


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def queue_of(name: str, q: QueueForm) -> Queue:
    """The queue a form tells of."""
    return Queue(
        name=QueueName(name),
        titles=dict(q.titles),
        strategy=q.strategy,
        ring_timeout=timedelta(seconds=q.ring_timeout),
        wrap_up=timedelta(seconds=q.wrap_up),
        wrap_up_extension=timedelta(seconds=q.wrap_up_extension),
        wrap_up_longest=timedelta(seconds=q.wrap_up_longest),
        service_level=timedelta(seconds=q.service_level),
        service_level_of=q.service_level_of,
        short_abandon=timedelta(seconds=q.short_abandon),
        refusal_pause=timedelta(seconds=q.refusal_pause),
        record=_record(q.record) == ALWAYS,
        recording=None if _record(q.record) in (ALWAYS, NEVER) else q.record,
        dispositions=plain_names(q),
        desk=desk_of(q),
        skills=dict(q.skills),
        requires=_requirement(q.requires),
        relax=tuple(Relaxation(after=timedelta(seconds=r.after), skills=dict(r.skills)) for r in q.relax),
        weight=q.weight,
        head_start=timedelta(seconds=q.head_start),
        count_menu=q.count_menu,
        ceiling=_seconds(q.ceiling),
        tier_wait=timedelta(seconds=q.tier_wait),
        preference=_preference(q.preferred),
        announce=Announce(
            place=q.announce.place,
            wait=q.announce.wait,
            every=timedelta(seconds=q.announce.every),
            comfort=tuple(q.announce.comfort),
        ),
        calendar=q.calendar,
        max_length=q.max_length,
        max_wait=_seconds(q.max_wait),
        join_empty=frozenset(q.join_empty),
        leave_empty=frozenset(q.leave_empty),
        when_closed=q.when_closed,
        when_full=q.when_full,
        when_late=q.when_late,
        when_empty=q.when_empty,
        overflow=tuple(
            Overflow(to=o.to, after=_seconds(o.after), expected=_seconds(o.expected), length=o.length)
            for o in q.overflow
        ),
        options=dict(q.options),
        callback=CallbackRules(
            first=q.callback.first,
            attempts=q.callback.attempts,
            retry=timedelta(seconds=q.callback.retry),
            ring_timeout=timedelta(seconds=q.callback.ring_timeout),
            calendar=q.callback.calendar,
        ),
        caller_id=q.caller_id,
    )


def _preference(form: PreferenceForm | None) -> Preference | None:
    if form is None:
        return None
    return Preference(own=form.own, last=_seconds(form.last), hold=timedelta(seconds=form.hold))


def agent_of(extension: str, a: AgentForm, groups: Mapping[str, GroupForm]) -> Agent:
    """The agent a form tells of, with what the groups give. The agent's own word counts before a group's."""
    teams = [groups[name] for name in a.groups if name in groups]
    skills = dict(a.skills)
    tiers = dict(a.tiers)
    for team in teams:
        for skill, level in team.skills.items():
            if skill not in a.skills:
                skills[skill] = max(level, skills.get(skill, 0))
        for queue, tier in team.tiers.items():
            if queue not in a.tiers:
                tiers[queue] = min(tier, tiers.get(queue, tier))
    queues = dict.fromkeys([*a.queues, *(queue for team in teams for queue in team.queues)])
    return Agent(
        agent_id=AgentId(extension),
        name=a.name,
        queues=tuple(QueueName(queue) for queue in queues),
        skills=skills,
        groups=tuple(a.groups),
        tiers={QueueName(queue): tier for queue, tier in tiers.items() if queue in queues},
        miss_limit=a.miss_limit,
        weight=a.weight,
        wrap_up=_seconds(a.wrap_up),
        delays=Delays(
            rejected=timedelta(seconds=a.delays.rejected),
            busy=timedelta(seconds=a.delays.busy),
            no_answer=timedelta(seconds=a.delays.no_answer),
            unreachable=timedelta(seconds=a.delays.unreachable),
        ),
        number=a.number,
        auto_answer=a.auto_answer,
        recording=a.record,
    )


def tier_of(name: str, t: TierForm) -> Tier:
    """The tier a form tells of."""
    return Tier(name=name, head_start=timedelta(seconds=t.head_start), strict=t.strict)


def number_of(did: str, n: NumberForm) -> Number:
    """The dialled number a form tells of."""
    return Number(
        did=did,
        flow=FlowName(n.flow),
        title=n.title,
        survival_queue=QueueName(n.survival_queue),
        head_start=timedelta(seconds=n.head_start),
        draft=n.draft,
    )


def presence_of(p: PresenceForm) -> Presence:
    """How long what belongs to a browser telephone may be away, as a form tells it."""
    return Presence(resume=timedelta(seconds=p.resume), grace=timedelta(seconds=p.grace))


def supervision_of(s: SupervisionForm) -> SupervisionRules:
    """What agents are told of supervisors, as a form tells it."""
    return SupervisionRules(told=s.told, paused_recording=s.paused_recording)


def service_of(name: str, s: ServiceForm) -> HttpService:
    """The HTTP service a form tells of."""
    return HttpService(
        name=name,
        url=s.url,
        method=s.method,
        deadline=timedelta(seconds=s.deadline),
        retries=s.retries,
        token_file=s.token_file,
    )
