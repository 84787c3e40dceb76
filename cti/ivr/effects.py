"""Effects: what a flow asks for. Results: what came of it. One effect, one result, in turn.

Keys a caller pressed are never shown by `repr`, so no log line or traceback can carry them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from cti.ids import FlowName, QueueName
from cti.ivr.expression import Value
from cti.model.callback_window import CallbackWindow
from cti.model.centre import Target
from cti.model.facts import Match
from cti.model.requirement import ANYBODY, Requirement

if TYPE_CHECKING:
    from cti.ivr.flow import Flow

ALL_KEYS = "0123456789*#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One sound file, `<prompts>/<language>/<name>`."""

    language: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play `sounds` in order; a key of `interrupt` stops them. Result: `Heard`."""

    sounds: tuple[Sound, ...] = field(repr=False)
    """Not in `repr`: digits read back to the caller are among them."""
    interrupt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitDigit:
    """Wait for one key, at most `timeout` (always positive). Result: `Key` or `Silence`."""

    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpCustomer:
    """Ask who calls. Result: `LookedUp`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtClock:
    """Ask for the centre's local time. Result: `ClockSeen`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCalendar:
    """Ask whether a calendar of the centre is open now. Result: `CalendarSeen`."""

    calendar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallService:
    """Ask an HTTP service of the centre, sending these values. Result: `ServiceAnswered`."""

    service: str
    values: Mapping[str, Value] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseLanguage:
    """The caller's language is now this. Result: `Done`."""

    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue:
    """Give the caller a place in the queue. Result: `Done`."""

    queue: QueueName
    skills: Sequence[tuple[str, int]]
    head_start: timedelta
    requires: Requirement = ANYBODY
    """Alternatives, one of which is needed besides `skills`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Give the call what its agents should see. Result: `Done`."""

    data: Sequence[tuple[str, str]] = field(repr=False)
    """(Label, text), in the order they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTo:
    """Send the caller to voicemail, or to an outside number. Result: `Sent`; of a number that nobody answers, in a later
    session, `NotAnswered`."""

    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToAgent:
    """Let the caller wait for one agent alone. Result: `AgentAsked`; of one who does not take the call, in a later session,
    `NotAnswered`."""

    agent: str = field(repr=False)
    """The extension, or "own" for the customer's own agent. A caller may have keyed it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCallback:
    """Promise the caller a call back, with a place in this queue. Result: `CallbackPromised`."""

    queue: QueueName
    number: str | None = field(repr=False)
    """As keyed in; None: where the call comes from."""
    window: CallbackWindow | None = None
    """The part of the day the caller chose; None: none was offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A tone, then take down what the caller says: until silence, a key of `terminators`, or `most`. Result: `Recorded`."""

    kind: str
    """"message", or "comment" in a survey."""
    most: timedelta
    silence: timedelta
    """So long a silence ends it."""
    terminators: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepScore:
    """Keep the answer to a question of a survey. Result: `Done`."""

    question: str
    score: int
    least: int
    """The lowest and the highest key that could be pressed."""
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindFlow:
    """Ask for another flow, in its live version. Result: `FlowFound`."""

    flow: FlowName


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScript:
    """Hand the caller to a synchronous AGI script until it ends. Result: `ScriptEnded`."""

    script: str
    deadline: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFunction:
    """Call a function of the centre's list with these values. Result: `ServiceAnswered`."""

    function: str
    values: Mapping[str, Value] = field(repr=False)
    deadline: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class GoElsewhere:
    """The end: the caller has been sent elsewhere. No result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitAgent:
    """The end: the caller is queued and goes on to wait. No result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The end: the machine has served the caller. No result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveFlow:
    """The end: the session is over, because the caller left or the channel was taken elsewhere. No result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The sounds ended, or `digit` stopped them."""

    digit: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key, pressed `after` the wait began."""

    digit: str = field(repr=False)
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No key in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """Who calls. `tier` and `language` are empty unless exactly one customer was found."""

    match: Match
    tier: str = ""
    language: str = ""
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen:
    """The centre's local time."""

    local: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSeen:
    """Whether the calendar is open."""

    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswered:
    """What the service said. `failed`: slow, wrong or gone."""

    status: Literal["ok", "not_found", "failed"]
    body: Any = field(default=None, repr=False)
    """JSON as Python values; only with `ok`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Whether the caller goes there; `ok` False: the number may not be dialled, or every line out is taken."""

    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAsked:
    """What came of sending the caller to an agent. Unless "sent", the caller is where they were."""

    status: Literal["sent", "busy", "no_answer", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """The caller is back from a number where nobody answered."""

    status: Literal["busy", "no_answer", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackPromised:
    """Whether the caller will be called back; `ok` False: that number cannot be called."""

    ok: bool
    local: datetime | None = None
    """The first moment it may come, by the centre's clock; only where a part of the day was chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What came of a recording. `empty`: nothing was said; then no file is kept."""

    status: Literal["recorded", "empty", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFound:
    """The flow asked for; None: there is none of that name."""

    flow: Flow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """The sub-flow is over; `word` is what its `return` step says."""

    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnded:
    """How a script ended. `overdue`: its time was up; the session is over, and the caller comes back in another."""

    status: Literal["done", "failed", "overdue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The session is over. May answer any effect."""


Ending = AwaitAgent | GoElsewhere | HangUp | LeaveFlow
Effect = (
    Play
    | AwaitDigit
    | LookUpCustomer
    | LookAtClock
    | AskCalendar
    | CallService
    | CallFunction
    | RunScript
    | ChooseLanguage
    | Enqueue
    | Attach
    | SendTo
    | SendToAgent
    | AskCallback
    | Record
    | KeepScore
    | FindFlow
    | Ending
)
Result = (
    Heard
    | Key
    | Silence
    | LookedUp
    | ClockSeen
    | CalendarSeen
    | ServiceAnswered
    | Sent
    | AgentAsked
    | NotAnswered
    | CallbackPromised
    | Recorded
    | FlowFound
    | CameBack
    | ScriptEnded
    | Done
    | Gone
)
