"""Fakes of the two sides of a flow session: the dispatcher's desk and the caller's leg."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cti.ids import CallId, QueueName
from cti.ivr.effects import ALL_KEYS
from cti.model.callback_window import CallbackWindow
from cti.model.centre import Target
from cti.model.facts import FlowStepDone, Match, MessageRecorded, SurveyAnswered
from cti.model.requirement import ANYBODY, Requirement
from cti.services.desk import CallOver
from cti.services.ports import AgentAsked, FlowCall, LegGone, LookUp, NoDigit, Played, Pressed, TookDown


class TickingClock:
    """Moves on only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class ScriptedLeg:
    """A caller who does what the script says: a key, "." to wait, "!" to hang up; silent behind its end."""

    def __init__(self, keys: str, clock: TickingClock) -> None:
        self._keys = iter(keys)
        self._clock = clock
        self.gone = False
        self.played: list[str] = []
        self.recorded: list[str] = []
        self.recordings: list[TookDown | LegGone] = []
        """What comes of the next recordings; then five seconds each."""
        self.scripts: list[str] = []
        self.script_ends: Literal["done", "failed", "overdue"] = "done"
        self.operations = 0

    async def play(self, sounds: Sequence[str], *, interrupt: str) -> Played | LegGone:
        assert sounds
        assert set(interrupt) <= set(ALL_KEYS)
        key = self._next()
        if self.gone:
            return LegGone()
        self.played += sounds
        self._clock.seconds += 0.5
        return Played(digit=key if key in interrupt and key != "." else None)

    async def digit(self, timeout: timedelta) -> Pressed | NoDigit | LegGone:
        assert timeout > timedelta()
        key = self._next()
        if self.gone:
            return LegGone()
        if key == ".":
            self._clock.seconds += timeout.total_seconds()
            return NoDigit()
        self._clock.seconds += 0.25
        return Pressed(digit=key)

    async def record(self, path: str, *, most: timedelta, silence: timedelta, terminators: str) -> TookDown | LegGone:
        self.recorded.append(path)
        outcome = self.recordings.pop(0) if self.recordings else TookDown(seconds=5.0)
        if isinstance(outcome, LegGone) or outcome.seconds:
            Path(f"{path}.wav").write_bytes(b"\0" * (44 + round(16_000 * getattr(outcome, "seconds", 3.0))))
        self.gone = isinstance(outcome, LegGone) or outcome.gone
        return outcome

    async def run_script(self, name: str, *, deadline: timedelta) -> Literal["done", "failed", "overdue"] | LegGone:
        self.scripts.append(name)
        self.gone = self.script_ends == "overdue"
        return self.script_ends

    async def music(self, on: bool) -> bool:
        self.played.append("music on" if on else "music off")
        return not self.gone

    async def set_variables(self, values: Sequence[tuple[str, str]]) -> bool:
        raise AssertionError("a flow sets no channel variables")

    def _next(self) -> str:
        self.operations += 1
        key = next(self._keys, ".")
        self.gone = self.gone or key == "!"
        return key


class RecordingDesk:
    """Writes down what a session asks of it, in order."""

    def __init__(self, look_up: LookUp | None = None) -> None:
        self.log: list[tuple[str, object]] = []
        self.steps: list[FlowStepDone] = []
        self.answer = look_up or LookUp(match=Match.UNKNOWN)
        self.over = False
        """The call has ended: everything is refused, as the dispatcher does."""
        self.fail: Exception | None = None
        self.possible = True
        """Whether numbers can be dialled."""
        self.agent: AgentAsked = "sent"
        """What comes of sending a caller to an agent."""
        self.turned_away: list[Target] = []
        """Where the next callers go who would be queued; then the queues have room."""

    def _say(self, what: str, value: object) -> None:
        if self.fail is not None:
            raise self.fail
        if self.over:
            raise CallOver("the call is over")
        self.log.append((what, value))

    async def caller_arrived(
        self, call_id: CallId, *, channel: str, number: str | None, did: str, returned: str = ""
    ) -> FlowCall:
        raise AssertionError("the server asks this, not the flow")

    async def choose_language(self, call_id: CallId, language: str) -> None:
        self._say("language", language)

    async def step_done(self, fact: FlowStepDone) -> None:
        self._say("step", f"{fact.step}.{fact.result}")
        self.steps.append(fact)

    async def look_up_customer(self, call_id: CallId) -> LookUp:
        self._say("look_up", call_id)
        return self.answer

    async def enqueue(
        self,
        call_id: CallId,
        queue: QueueName,
        *,
        skills: Sequence[tuple[str, int]],
        head_start: timedelta,
        requires: Requirement = ANYBODY,
    ) -> Target | None:
        asked = (queue, tuple(skills), head_start)
        self._say("enqueue", asked if requires == ANYBODY else (*asked, requires))
        return self.turned_away.pop(0) if self.turned_away else None

    async def keep(self, fact: MessageRecorded | SurveyAnswered) -> None:
        self._say("keep", fact)

    async def send_to(self, call_id: CallId, target: Target, *, step: str = "") -> bool:
        self._say("send_to", (target, step))
        return self.possible

    async def send_to_agent(self, call_id: CallId, name: str, *, step: str) -> AgentAsked:
        self._say("agent", (name, step))
        return self.agent

    async def ask_callback(self, call_id: CallId, queue: QueueName, number: str | None) -> bool:
        self._say("callback", (queue, number))
        return self.possible

    async def ask_callback_in(
        self, call_id: CallId, queue: QueueName, number: str | None, window: CallbackWindow
    ) -> datetime | None:
        self._say("callback", (queue, number, window))
        return datetime(2026, 3, 5, 13, tzinfo=UTC) if self.possible else None

    async def flow_finished(self, call_id: CallId) -> None:
        self._say("finished", call_id)

    def may_wait(self, call_id: CallId) -> bool:
        raise AssertionError("the wait visit asks this, not the flow")
