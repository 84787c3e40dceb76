"""Ports: what the services need from the outside, as Protocols. Adapters satisfy them and never import each other."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from cti.ids import AgentId, CallId, CustomerId, FlowName, QueueName
from cti.model.callback_window import CallbackWindow
from cti.model.centre import Target
from cti.model.commands import Command
from cti.model.facts import DataAttached, Fact, FlowStepDone, Match, MessageRecorded, SurveyAnswered
from cti.model.requirement import ANYBODY, Requirement


class Journal(Protocol):
    """The durable log of facts."""

    def append(self, facts: Sequence[Fact]) -> Awaitable[None]:
        """Queue facts in order, at once; the awaitable ends when they are on the disk (fsync), or raises `JournalError`.

        Order is the order of the calls to `append`, awaited or not.
        """
        ...

    def written(self) -> bool:
        """Whether all that was appended so far is in the file: the end of this process loses nothing of it, a power cut
        might."""
        ...


class Telephony(Protocol):
    """The telephone system, as far as the dispatcher commands it."""

    async def perform(self, command: Command) -> None:
        """Carry the command out.

        Raises `cti.errors.RemoteError`; `outcome_unknown` tells a deadline from a refusal ("no such channel").
        """
        ...

    def connected(self) -> bool:
        """Whether the link is up and the last snapshot was delivered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSummary:
    """One earlier contact, for the screen pop."""

    at: str
    """ISO 8601, UTC."""
    queue: str
    outcome: str
    agent: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCard:
    """What the screen pop shows of one customer."""

    customer_id: CustomerId
    name: str
    tier: str
    language: str
    phones: tuple[str, ...]
    company: str
    notes: str
    contacts: tuple[ContactSummary, ...] = ()
    own_agent: str = ""
    """The agent who looks after this customer; empty: nobody in particular."""
    tags: tuple[str, ...] = ()
    kind: str = "person"
    """person or company."""
    tier_reason: str = ""
    """Why the customer has this tier."""
    do_not_call: bool = False
    """The customer does not want to be called by us."""
    reference: str = ""
    """The customer's number in another system."""
    url: str = ""
    """The customer's page in that system, where it told; http or https."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A talk of an agent with a caller; `at` is when it ended."""

    agent_id: AgentId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """The answer of the customer directory."""

    match: Match
    cards: tuple[CustomerCard, ...] = ()
    """One card when found, up to ten when several, none otherwise."""
    last_talk: Talk | None = None
    """The last talk with somebody at this number, customer or not."""


class Directory(Protocol):
    """The customer file, behind a cache and a deadline."""

    async def look_up(self, number: str | None) -> LookUp:
        """Who calls from this number (E.164, or None when withheld)? Never raises; never longer than its deadline."""
        ...

    async def card(self, customer_id: CustomerId) -> CustomerCard | None:
        """The card of one customer; None: there is none. Raises `cti.errors.RemoteError` when the file does not answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What an HTTP service said. `failed`: slow, wrong or gone. `body` is JSON as Python values, only with `ok`."""

    status: Literal["ok", "not_found", "failed"]
    body: Any = field(default=None, repr=False)


class FlowEditions(Protocol):
    """The flows in their versions, as far as the floor needs to know them."""

    def edition(self) -> int:
        """The number of the present edition: what a call that begins now stays on."""
        ...

    def version_at(self, name: FlowName, edition: int, *, draft: bool = False) -> str:
        """A flow's version in an edition; empty when there is no such flow."""
        ...

    def test_entry(self, name: FlowName) -> FlowName:
        """The flow a test call begins in whose number leads to the flow `name`."""
        ...


class NoFlows:
    """Where there are none to ask."""

    def edition(self) -> int:
        """None."""
        return 0

    def version_at(self, name: FlowName, edition: int, *, draft: bool = False) -> str:
        """Unknown."""
        return ""

    def test_entry(self, name: FlowName) -> FlowName:
        """There."""
        return name


class Services(Protocol):
    """The centre's HTTP services, with deadlines."""

    async def ask(self, name: str, values: Mapping[str, str | Decimal | bool], *, key: str) -> Answered:
        """Ask the service `name`. `key` names this one question, so that the service can tell a repetition. Never raises."""
        ...


class Functions(Protocol):
    """The centre's functions in Python, in threads of their own."""

    async def call(self, name: str, values: Mapping[str, str | Decimal | bool], *, deadline: float) -> Answered:
        """Call the function `name`, and wait at most `deadline` seconds. Never raises."""
        ...


class NoServices:
    """Where there are none."""

    async def ask(self, name: str, values: Mapping[str, str | Decimal | bool], *, key: str) -> Answered:
        """Gone."""
        return Answered(status="failed")

    async def call(self, name: str, values: Mapping[str, str | Decimal | bool], *, deadline: float) -> Answered:
        """Gone."""
        return Answered(status="failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Prompts were played to their end, or until `digit` was pressed."""

    digit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """The caller pressed a key: one of 0-9, *, #."""

    digit: str


class NoDigit:
    """Nothing was pressed in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TookDown:
    """What came of a recording: `seconds` of sound are in the file. `gone`: the caller hung up while speaking."""

    seconds: float
    failed: bool = False
    """It could not be written."""
    gone: bool = False


class LegGone:
    """This AGI session is over: the caller hung up, or the channel was redirected. Ask the call's state which."""


class CallerLeg(Protocol):
    """The caller's channel while a flow runs on it. A hang-up is an outcome (`LegGone`), never an exception."""

    async def play(self, sounds: Sequence[str], *, interrupt: str) -> Played | LegGone:
        """Play sound files in order (paths without extension); a key of `interrupt` stops them and is returned."""
        ...

    async def digit(self, timeout: timedelta) -> Pressed | NoDigit | LegGone:
        """Wait for one key."""
        ...

    async def record(self, path: str, *, most: timedelta, silence: timedelta, terminators: str) -> TookDown | LegGone:
        """A tone, then write what the caller says to `path`.wav: until `silence`, a key of `terminators`, or `most`."""
        ...

    async def run_script(self, name: str, *, deadline: timedelta) -> Literal["done", "failed", "overdue"] | LegGone:
        """Hand the caller to a synchronous script until it ends. "overdue": its time was up, and the leg is gone, too."""
        ...

    async def music(self, on: bool) -> bool:
        """Begin or end music while somebody else is asked; False when the leg is gone."""
        ...

    async def set_variables(self, values: Sequence[tuple[str, str]]) -> bool:
        """Set channel variables in order; False when the leg is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCall:
    """What a flow session is told about the call it serves, new or resumed."""

    call_id: CallId
    caller_number: str | None
    did: str
    language: str
    flow: FlowName
    resume_at: str | None
    """Step to resume at after a bridge restart; None for a new call."""
    finished: bool
    """The call is already queued (or further): the session only sends the channel on to wait."""
    edition: int = 0
    """Of the flows: what the call began with. 0: the present one."""
    draft: bool = False
    """A test call: it hears drafts."""
    returned: str = ""
    """Why nobody answered at the outside number the caller comes back from, for the step `resume_at`: "busy",
    "no_answer", "failure". Empty: the caller was sent to none."""


AgentAsked: TypeAlias = Literal["sent", "busy", "no_answer", "unknown"]
"""What comes of sending a caller to one agent; "sent": the caller waits for that agent now."""


class CallDesk(Protocol):
    """The dispatcher, as a flow session sees it. What is awaited here is in the journal when it returns."""

    async def caller_arrived(
        self, call_id: CallId, *, channel: str, number: str | None, did: str, returned: str = ""
    ) -> FlowCall:
        """A channel reached the inbound AGI; idempotent, so a session after a crash resumes the same call.

        `returned`: what Dial said (DIALSTATUS) of the outside number the caller comes back from; empty otherwise.
        """
        ...

    async def choose_language(self, call_id: CallId, language: str) -> None:
        """The caller chose a language."""
        ...

    async def step_done(self, fact: FlowStepDone) -> None:
        """Trace one completed step."""
        ...

    async def keep(self, fact: MessageRecorded | SurveyAnswered | DataAttached) -> None:
        """Keep what the caller said or answered, even if the call has ended meanwhile."""
        ...

    async def look_up_customer(self, call_id: CallId) -> LookUp:
        """Ask the directory for the caller's number and keep the answer with the call."""
        ...

    async def enqueue(
        self,
        call_id: CallId,
        queue: QueueName,
        *,
        skills: Sequence[tuple[str, int]],
        head_start: timedelta,
        requires: Requirement = ANYBODY,
    ) -> Target | None:
        """Give the call a ticket. What the tier, the number and the queue are worth is added by the desk. Idempotent.

        `skills` are all needed, and one of the alternatives of `requires`. None: it waits. Otherwise the queue would not have it, and this is where it goes instead; a flow is entered already.
        """
        ...

    async def send_to(self, call_id: CallId, target: Target, *, step: str = "") -> bool:
        """Send the call to voicemail or an outside number when this session ends. False, and nothing changed: it cannot be.

        Where nobody answers at the number, the call comes back to `step` of its flow.
        """
        ...

    async def send_to_agent(self, call_id: CallId, name: str, *, step: str) -> AgentAsked:
        """Let the call wait for one agent alone: `name` is the extension, or "own" for the customer's own. Idempotent.

        Where that agent does not take the call, it comes back to `step` of its flow. Nothing changed unless "sent".
        """
        ...

    async def ask_callback(self, call_id: CallId, queue: QueueName, number: str | None) -> bool:
        """Promise a call back, with the place a caller would get in `queue` now. `number` as keyed in; None: the caller's own.

        The caller stays in the flow. False, and nothing changed, where that number cannot be called.
        """
        ...

    async def ask_callback_in(
        self, call_id: CallId, queue: QueueName, number: str | None, window: CallbackWindow
    ) -> datetime | None:
        """As `ask_callback`, in a part of the day. Gives the first moment it may come, in the centre's local time.

        None, and nothing changed, where that number cannot be called, or not in that part of any day to come.
        """
        ...

    async def flow_finished(self, call_id: CallId) -> None:
        """The flow reached a hang-up step."""
        ...

    def may_wait(self, call_id: CallId) -> bool:
        """Whether the call has a ticket or an offer: the periodic visit from the wait context asks this."""
        ...
