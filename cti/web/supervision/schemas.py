"""What goes in and out when supervisors act."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from cti.services.floor import AgentRow
from cti.services.supervision import WatchMode, WatchRow
from cti.web.agent.talk_schemas import To
from cti.web.operations import Answer, Body, Moment, Params

Reason = Annotated[str, Field(max_length=200)]
QueueField = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AgentField = Annotated[str, Field(pattern=r"^[0-9]{2,6}$")]


class AgentParams(Params):
    """Names an agent."""

    agent_id: AgentField


class QueueOnly(Params):
    """Names a queue."""

    queue: QueueField


class MessageParams(Params):
    """Names a message."""

    message_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")]


class WatchBody(Body):
    """A part in a call: listen, whisper, barge or take over. `device`: the telephone in the page, or one of another make.
    `again`: one has a part in this call, and its leg is lost (a page that was loaded anew)."""

    mode: WatchMode = Field(strict=False)
    device: Literal["browser", "sip"] = "browser"
    again: bool = False
    reason: Reason = ""


class ModeBody(Body):
    """What to do from now on in the call one has a part in."""

    mode: WatchMode = Field(strict=False)


class EndBody(Body):
    """Why."""

    reason: Reason = ""


class SendBody(Body):
    """Where the caller goes, and what whoever gets the caller should know."""

    to: To
    note: Annotated[str, Field(max_length=1000)] = ""
    reason: Reason = ""


class AgentSetBody(Body):
    """An agent's state. `reason` is one of the centre's, for not ready; `why` is for the audit log."""

    state: Literal["ready", "not_ready", "offline"]
    reason: Annotated[str, Field(max_length=64)] = ""
    why: Reason = ""


class AgentChangeBody(Body):
    """An agent's queues and skills from now on; what is left out stays. It becomes a version of the centre's file."""

    queues: list[QueueField] | None = None
    skills: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Annotated[int, Field(ge=1, le=5)]] | None = (
        None
    )
    reason: Reason = ""


class AgentForAWhileBody(Body):
    """Other queues, other skills, or both, for a while; what is left out is as usual, and without either the usual counts again.

    It lasts until `until`, until the agent goes offline (`shift`), whichever is first; with neither, until taken back.
    """

    queues: Annotated[list[QueueField], Field(min_length=1, max_length=100)] | None = None
    skills: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Annotated[int, Field(ge=1, le=5)]] | None = (
        None
    )
    until: Moment | None = Field(default=None, strict=False)
    shift: bool = False
    reason: Reason = ""


class ForceBody(Body):
    """Open or closed whatever the calendar says; null: as the calendar says. Without `until` until taken back."""

    open: bool | None
    until: Moment | None = Field(default=None, strict=False)
    reason: Reason = ""


class AnnounceBody(Body):
    """What callers are told before anything else: a prompt of the library, or words by language, said by the voice. Neither
    takes it back."""

    prompt: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,63})?$")] = ""
    text: dict[
        Annotated[str, Field(pattern=r"^[a-z]{2}([_-][A-Za-z]{2})?$")],
        Annotated[str, Field(min_length=1, max_length=400)],
    ] = Field(default_factory=dict)
    until: Moment | None = Field(default=None, strict=False)
    reason: Reason = ""


class MessageBody(Body):
    """A message to named agents, or to the agents of a queue who are logged in."""

    agents: list[AgentField] = Field(default_factory=list)
    queue: QueueField | None = None
    text: Annotated[str, Field(min_length=1, max_length=500)]
    minutes: Annotated[float, Field(gt=0, le=2880, allow_inf_nan=False)] = 480.0


class Watched(Answer):
    """A supervisor's part in a call."""

    watch: WatchRow


class WatchedStill(Answer):
    """The same; null: one had no part in any call, or it was over already."""

    watch: WatchRow | None


class Stopped(Answer):
    """Which call it was; null: one had no part in any, or it was over already."""

    call_id: str | None


class ForcedRow(Answer):
    """A queue that a supervisor opened or closed."""

    queue: str
    open: bool
    until: datetime | None
    by: str
    at: datetime
    reason: str


class EmergencyRow(Answer):
    """What callers are told; `queue` null: those of every queue."""

    queue: str | None
    prompt: str
    text: str
    until: datetime | None
    by: str
    at: datetime


class MessageRow(Answer):
    """A message to agents."""

    message_id: str
    at: datetime
    by: str
    text: str
    queue: str | None
    agents: tuple[str, ...]
    seen: tuple[str, ...]
    until: datetime


class Supervised(Answer):
    """What supervisors have under way."""

    watches: tuple[WatchRow, ...]
    forced: tuple[ForcedRow, ...]
    emergencies: tuple[EmergencyRow, ...]
    queues: tuple[str, ...] | None
    """The queues the asking supervisor acts on; null: all."""
    flows: Mapping[str, str] = {}
    """Flows that callers may be sent to, with their names for people."""
    reasons: tuple[str, ...] = ()
    """The centre's reasons for not ready."""


class Messages(Answer):
    """The newest first."""

    messages: tuple[MessageRow, ...]


class SupervisorPhone(Answer):
    """The supervisor's own telephone accounts: in the page, and for one of another make."""

    ws_url: str
    uri: str
    username: str
    password: str
    display_name: str
    sip: Mapping[str, str]


class AgentAfter(Answer):
    """The agent, and what was changed in the centre's file."""

    agent: AgentRow
    version: str = ""
    changes: tuple[str, ...] = ()


class ActRow(Answer):
    """One line of the audit log."""

    act_id: str
    at: datetime
    by: str
    role: str
    act: str
    subject: str
    queue: str | None
    before: Mapping[str, str]
    after: Mapping[str, str]
    reason: str


class ActList(Answer):
    """The newest first; `next_before` is the `before` of the page after this one, null on the last."""

    acts: tuple[ActRow, ...]
    next_before: str | None


class ActsQuery(Params):
    """Which acts. `subject` is the beginning of one ("call:", "agent:1001")."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    before: Annotated[str, Field(pattern=r"^[A-Za-z0-9:._-]{1,100}$")] | None = None
    by: Annotated[str, Field(max_length=64)] = ""
    act: Annotated[str, Field(pattern=r"^[a-z_]{0,64}$")] = ""
    subject: Annotated[str, Field(max_length=100)] = ""
    since: Moment | None = None
    until: Moment | None = None
