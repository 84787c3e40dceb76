"""What the floor shows and what may be asked of it: the seam between the dispatcher and everything with a face.

Rows are plain values, ready to be encoded as JSON (datetimes as ISO 8601 UTC with "Z"; enums by value). A row carries
moments ("since"), never running seconds: the page ticks by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from cti.errors import CtiError
from cti.ids import AgentId, CallId, CustomerId, OfferId, QueueName
from cti.model.facts import AgentState, Device, Direction
from cti.services.ports import CustomerCard
from cti.services.talk_view import TalkDesk, TalkView

CallState = Literal[
    "menu", "waiting", "offered", "talking", "held", "survival", "out", "voicemail", "dialling", "ended"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One queue, now and today (the centre's day)."""

    queue: QueueName
    title: Mapping[str, str]
    waiting: int
    longest_since: datetime | None
    """When the longest-waiting caller was queued."""
    agents_ready: int
    agents_busy: int
    agents_logged_in: int
    answered_today: int
    abandoned_today: int
    in_time_today: int
    service_level: float | None
    """As in the reports, of the calls of today that have ended (`service_level_of` says what it is a share of); None: of none."""
    target_seconds: float
    expected_wait: tuple[int, int] | None = None
    """What someone who joined now would wait, (least, most) in seconds, four times of five; None when nobody serves."""
    open: bool = True
    """Whether its calendar lets callers join; who waits is served all the same."""
    forced: str = ""
    """"open" or "closed" where a supervisor says so against the calendar, until `forced_until` (None: until taken back)."""
    forced_until: datetime | None = None
    emergency: str = ""
    """What callers are told before anything else; empty: nothing."""
    emergency_until: datetime | None = None
    service_level_now: float | None = None
    """The same share of the calls that ended in the last 30 minutes; None when there were none."""
    service_level_hour: float | None = None
    """The same of the last 60 minutes."""
    offered_now: int = 0
    """What `service_level_now` is a share of."""
    short_abandoned_today: int = 0
    """Hung up within the queue's short-abandon limit."""
    elsewhere_today: int = 0
    """Left for voicemail, another queue, a flow or a number."""
    turned_away_today: int = 0
    """Could not join: closed, full, nobody there, too long a wait."""
    agents: Mapping[str, int] = field(default_factory=dict)
    """State -> how many of its agents are in it; states of nobody are missing."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many are not ready for it; "" for none given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a supervisor tells an agent; it stands on the page until the agent has seen it, or `until`.

    From the centre itself `by` is empty and `text` an id of `CentreNotice`: pages have words for it.
    """

    message_id: str
    at: datetime
    by: str
    text: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassigned:
    """Other queues or skills that an agent has for a while."""

    since: datetime
    until: datetime | None
    """None: until the shift ends, or until taken back."""
    shift: bool
    """It ends when the agent goes offline."""
    by: str
    usual_queues: tuple[QueueName, ...]
    """Those of the centre's file, which come back then."""
    skills: Mapping[str, int] | None
    """Those for the while; None: the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One agent. `reachable` tells each device that can be called now."""

    agent_id: AgentId
    name: str
    state: AgentState
    reason: str
    since: datetime
    device: Device
    reachable: Mapping[Device, bool]
    page_connected: bool
    queues: tuple[QueueName, ...]
    call_id: CallId | None
    calls_today: int
    talk_seconds_today: float
    wrap_up_until: datetime | None = None
    not_ready_until: datetime | None = None
    """When *not ready* ends by itself."""
    paused_until: datetime | None = None
    """Ready, but offered nothing before this moment: an offer failed a moment ago."""
    problems: tuple[str, ...] = ()
    """What keeps the agent from being offered calls, though ready: "page", "phone", "microphone". It ends by itself."""
    hold_seconds_today: float = 0.0
    wrap_seconds_today: float = 0.0
    busy_seconds_today: float = 0.0
    """With offers, calls and the work after them, up to `since`; with `ready_seconds_today` the occupancy."""
    ready_seconds_today: float = 0.0
    not_ready_seconds_today: float = 0.0
    notices: tuple[Notice, ...] = ()
    """What the agent has been told and has not acknowledged."""
    watched: bool = False
    """A supervisor listens to the agent's call, and the centre wants agents to know (`supervision.told`)."""
    elsewhere: bool = False
    """Told to supervisors of certain queues: the agent is busy with a call that is of none of these, and nothing is told of it."""
    reassigned: Reassigned | None = None
    """Why `queues` are not the usual ones, or the skills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One live call."""

    call_id: CallId
    state: CallState
    since: datetime
    started_at: datetime
    caller_number: str | None
    did: str
    language: str
    customer_name: str
    tier: str
    queue: QueueName | None
    queued_at: datetime | None
    place: int | None
    """Place in its queue, 1 is next; None unless waiting."""
    head_start: float
    skills: tuple[tuple[str, int], ...]
    why_waiting: str
    """Why it is not served yet: a short reason id such as "no_agent_free", "no_agent_logged_in", "behind_others"."""
    choice: str
    """What the caller chose in the menus, "Support > Orders"."""
    agent_id: AgentId | None
    answered_at: datetime | None
    ringing: tuple[AgentId, ...] = ()
    """Everybody whose phone is rung, `agent_id` first, where the call is offered to several at once."""
    expected_wait: tuple[int, int] | None = None
    """How much longer it will wait, (least, most) in seconds, four times of five; None unless waiting and served."""
    callback: Literal["", "waiting", "dialling", "reached"] = ""
    """Of a callback: whether its turn has not come yet, its customer is being called, or is on the line. Others: empty."""
    attempt: int = 0
    """Of a callback: how often its customer was called so far."""
    retry_at: datetime | None = None
    """Of a callback whose customer was not reached: not called again before then."""
    direction: Direction = Direction.INBOUND
    colleague: AgentId | None = None
    """Of an internal call: the agent who is called; `agent_id` is who calls."""
    held_reason: str = ""
    """Why the caller is held, where that is not the agent's wish: "page_gone" until the agent's page is back."""
    held_until: datetime | None = None
    """Held so long for the page that is gone; then the caller goes back to the queue."""
    recording: bool = False
    """Whether the talk is recorded: a recording has begun. A pause in it is the recording's own matter."""
    talkers: tuple[AgentId, ...] = ()
    """Every agent who talks with the caller, `agent_id` among them; and who is consulted about the caller."""
    path: tuple[tuple[str, str], ...] = ()
    """The way so far, oldest first: ("flow", name), ("choice", text), ("queue", name), ("agent", id), ("flow_to", name),
    ("out", ""), ("survival", ""), ("callback", ""). The last `cti.services.call_paths.LONGEST` of it."""
    requires: tuple[tuple[tuple[str, int], ...], ...] = ()
    """Alternatives of skills, one of which an agent must have all of; empty where `skills` says it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreRow:
    """The whole centre today. Shares are 0-1, None without anything to share."""

    day_start: datetime
    """The local midnight from which today is counted."""
    calls: int
    """Inbound calls of today that have ended. All figures here are those of the reports (`cti.reports.metrics`) for today."""
    live: int
    """Calls there are now."""
    answered: int
    abandoned: int
    service_level: float | None
    longest_wait: float
    """Seconds; the longest stay in a queue."""
    satisfaction: float | None
    rated: int
    complaint_rate: float | None
    complaints: int
    effective_answer_rate: float | None
    rejected: int = 0
    """Turned away at the door."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Figure -> what it should be: "service_level", "abandoned" (a share of the calls), "longest_wait" (seconds),
    "satisfaction", "complaint_rate", "effective_answer_rate". A figure without one is missing."""
    series: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Figure -> its value in each half hour of today that has begun, from `day_start` on; also "answered"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """A figure that is beyond a threshold of the centre's `alerts`, and has been for as long as that asks."""

    alert: str
    """"support.longest_wait"; of the whole centre "-.service_level"."""
    queue: QueueName | None
    figure: str
    level: Literal["warn", "critical"]
    since: datetime
    """When it came to this level."""
    value: float
    """The figure then: calls, seconds, agents or a share."""
    limit: float
    acknowledged_by: str = ""
    """The user who has seen to it; an alert that becomes critical has to be seen to anew."""
    acknowledged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop:
    """The screen pop of one offer. Version 1. Sent at the moment of the offer; `looking_up` until the card is there."""

    version: int = 1
    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    queue: QueueName
    queue_title: Mapping[str, str]
    number: str | None
    match: Literal["looking_up", "found", "several", "unknown", "withheld", "unavailable"]
    customers: tuple[CustomerCard, ...]
    tier: str
    language: str
    choice: str
    queued_at: datetime
    offered_at: datetime
    deadline: datetime
    """When the device stops ringing."""
    dispositions: tuple[str, ...]
    callback: bool = False
    """The caller asked to be called back: the customer is called, or was."""
    kind: Literal["offer", "consult", "outbound", "internal"] = "offer"
    """"consult": a colleague asks about this caller; there is no offer to refuse (`offer_id` is 0), only a ringing phone.
    "outbound": the agent calls this customer. "internal": a colleague calls, `transferred_by` is the name."""
    transferred_from: AgentId | None = None
    """Who sent the caller here, or asks."""
    transferred_by: str = ""
    """That agent's name."""
    note: str = ""
    """What that agent wrote."""
    data: tuple[tuple[str, str], ...] = ()
    """What the call's flow wants the agent to see: (label, text), in this order."""
    returned: str = ""
    """Why the caller came back from where that agent sent them: an OfferEnd value, "late", "alone"; empty: has not."""
    open_url: str = ""
    """Address of the caller's page in the outside customer system, filled and encoded; empty: there is none."""
    open_automatically: bool = False
    """Whether that page is opened when the agent answers; otherwise by a button."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed at once. Rows replace rows; ids in `*_gone` disappear. `link` is None while unchanged."""

    queues: Mapping[QueueName, QueueRow] = field(default_factory=dict)
    agents: Mapping[AgentId, AgentRow] = field(default_factory=dict)
    calls: Mapping[CallId, CallRow] = field(default_factory=dict)
    calls_gone: tuple[CallId, ...] = ()
    queues_gone: tuple[QueueName, ...] = ()
    agents_gone: tuple[AgentId, ...] = ()
    """Taken out of the centre."""
    pops: Mapping[AgentId, Pop | None] = field(default_factory=dict)
    """An agent's screen pop; None withdraws it (see `withdrawn`)."""
    withdrawn: Mapping[AgentId, str] = field(default_factory=dict)
    """Why a pop was withdrawn: an OfferEnd value, "answered_elsewhere", "call_ended", or a ConsultEnd value."""
    talks: Mapping[AgentId, TalkView | None] = field(default_factory=dict)
    """The call an agent is in, as the phone panel shows it; None: in none any more."""
    link: LinkView | None = None
    centre: CentreRow | None = None
    """None while unchanged."""
    alerts: Mapping[str, AlertRow | None] = field(default_factory=dict)
    """By `AlertRow.alert`; None: it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """Whether we see the telephone system now. `unknown_since` is set while we do not."""

    connected: bool
    unknown_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorView:
    """Everything at one moment."""

    at: datetime
    queues: Mapping[QueueName, QueueRow]
    agents: Mapping[AgentId, AgentRow]
    calls: Mapping[CallId, CallRow]
    pops: Mapping[AgentId, Pop]
    link: LinkView
    talks: Mapping[AgentId, TalkView] = field(default_factory=dict)
    centre: CentreRow | None = None
    """None for those who do not manage the centre."""
    alerts: Mapping[str, AlertRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a waiting call stands after a change."""

    call_id: CallId
    queue: QueueName
    head_start: float
    strict: int
    place: int | None
    """Place in its queue, 1 is next; None when it is being offered to an agent."""


class Refused(CtiError):
    """The floor refused a request; `error_id` says why, nothing changed."""

    def __init__(self, error_id: str, message: str, *, remedy: str = "", **fields: object) -> None:
        super().__init__(message, remedy=remedy, **fields)
        self.error_id = error_id


class Floor(TalkDesk, Protocol):
    """The dispatcher, as the web sees it. Requests raise `Refused`."""

    def view(self) -> FloorView:
        """Everything now."""
        ...

    def agent_row(self, agent_id: AgentId) -> AgentRow | None:
        """One agent's row of it; None: not on the floor."""
        ...

    def changes(self) -> AsyncIterator[Change]:
        """Changes from now on, in order: take `view()` and this in the same loop turn and nothing is missed.

        Each subscriber has a bounded queue of its own; one that falls too far behind gets the iterator ended.
        """
        ...

    async def set_agent(
        self, agent_id: AgentId, state: AgentState, *, reason: str = "", device: Device | None = None
    ) -> None:
        """Ready, not ready (with a reason) or offline. While talking it takes effect after the call."""
        ...

    async def reject(self, agent_id: AgentId, offer_id: OfferId) -> None:
        """The agent does not take this offer; the caller keeps the place."""
        ...

    async def hang_up(self, agent_id: AgentId, call_id: CallId) -> None:
        """End the agent's call."""
        ...

    async def finish_wrap_up(
        self, agent_id: AgentId, call_id: CallId, *, disposition: str = "", note: str = ""
    ) -> None:
        """The work after the call is done; the agent is ready again (or what was asked for meanwhile)."""
        ...

    async def extend_wrap_up(self, agent_id: AgentId, call_id: CallId) -> None:
        """More time for the work after the call, by what its queue allows at a time."""
        ...

    async def choose_customer(self, agent_id: AgentId, call_id: CallId, customer_id: CustomerId) -> None:
        """The agent says which customer this call is with; while it is offered, talked or worked on. Again: no change."""
        ...

    async def change_priority(
        self,
        call_id: CallId,
        *,
        by: str,
        reason: str,
        head_start: timedelta | None = None,
        strict: int | None = None,
        front: bool = False,
    ) -> Standing:
        """Give a waiting call another priority; what is None stays. `by` is the user's name."""
        ...

    async def change_queue(self, call_id: CallId, queue: QueueName, *, by: str, reason: str) -> Standing:
        """Move a waiting call to another queue; it keeps the time it has waited."""
        ...

    async def cancel_callback(self, call_id: CallId, *, by: str) -> None:
        """Take a callback off the list whose customer is not on the line yet. `by` is the user's name."""
        ...

    async def acknowledge(self, alert: str, *, by: str) -> None:
        """Somebody has seen to an alert (`AlertRow.alert`). `by` is the user's name."""
        ...

    def page(self, agent_id: AgentId, *, connected: bool) -> None:
        """An agent page's feed opened or closed (counted: several pages may be open)."""
        ...
