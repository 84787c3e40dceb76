"""Playing a flow without a telephone: a caller made of keys, in a world that answers at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.expression import Value
from cti.ivr.flow import Flow
from cti.ivr.interpreter import StepTrace, Turn, advance, start
from cti.ivr.names import NOBODY
from cti.model.centre import TargetKind
from cti.model.facts import Match

WAIT, HANG_UP = ".", "!"
"""In the keys of a rehearsal: let the prompt or the wait run out; hang up."""

Press = Callable[[e.Play | e.AwaitDigit], str]
"""What the caller does now: a telephone key, `WAIT` or `HANG_UP`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a flow finds when it asks."""

    customer: e.LookedUp = field(default_factory=lambda: e.LookedUp(match=Match.UNKNOWN))
    local: datetime = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    """The centre's clock: a Monday."""
    closed: frozenset[str] = frozenset()
    """Calendars that are closed; all others are open."""
    services: Mapping[str, e.ServiceAnswered] = field(default_factory=dict)
    """What each service answers; others are gone."""
    known: Mapping[str, Value] = field(default_factory=lambda: dict(NOBODY))
    number: Literal["answered", "busy", "no_answer", "failure"] = "answered"
    """What becomes of a caller who is sent to an outside number."""
    agent: Literal["answered", "busy", "no_answer", "unknown"] = "answered"
    """What becomes of a caller who is sent to one agent."""
    callback: bool = True
    """Whether callers can be called back."""
    recording: Literal["recorded", "empty", "failure"] = "recorded"
    """What becomes of a recording."""
    flows: Mapping[FlowName, Flow] = field(default_factory=dict)
    """Flows that may be called."""
    scripts: Mapping[str, Literal["done", "failed", "overdue"]] = field(default_factory=dict)
    """How each script ends; others fail."""
    functions: Mapping[str, e.ServiceAnswered] = field(default_factory=dict)
    """What each function gives; others fail."""


@dataclass(slots=True)
class Rehearsal:
    """What happened in one dialogue."""

    effects: list[e.Effect] = field(default_factory=list)
    traces: list[StepTrace] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    @property
    def heard(self) -> list[str]:
        """The sounds played, `language/name`."""
        return [
            f"{sound.language}/{sound.name}"
            for effect in self.effects
            if isinstance(effect, e.Play)
            for sound in effect.sounds
        ]

    @property
    def exits(self) -> list[str]:
        """The way through the flow, `step.exit`."""
        return [f"{trace.step}.{trace.exit}" for trace in self.traces]

    @property
    def queue(self) -> str | None:
        """The queue the caller was given a place in."""
        return next((effect.queue for effect in self.effects if isinstance(effect, e.Enqueue)), None)

    @property
    def scores(self) -> dict[str, int]:
        """What was answered to questions of surveys."""
        return {effect.question: effect.score for effect in self.effects if isinstance(effect, e.KeepScore)}

    @property
    def language(self) -> str:
        """The language spoken at the end."""
        return self.turns[-1].state.scene.language

    @property
    def end(self) -> e.Effect:
        """The last effect."""
        return self.effects[-1]

    @property
    def ended(self) -> str:
        """How it ended: `queue support`, `agent 1003`, `voicemail`, `number +15550100`, `hang_up`, `gone`."""
        match self.end:
            case e.AwaitAgent():
                asked = [effect.agent for effect in self.effects if isinstance(effect, e.SendToAgent)]
                return f"queue {self.queue}" if self.queue is not None or not asked else f"agent {asked[-1]}"
            case e.GoElsewhere():
                sent = [effect.target for effect in self.effects if isinstance(effect, e.SendTo)][-1]
                return f"{sent.kind.value} {sent.name}".strip()
            case e.HangUp():
                return "hang_up"
            case _:
                return "gone"


def scripted(keys: Iterable[str]) -> Press:
    """A caller who presses these one after the other and is silent then. A key that may not interrupt a prompt is lost."""
    script = iter(keys)
    return lambda _effect: next(script, WAIT)


def rehearse(
    flow: Flow,
    press: Press,
    *,
    world: World = World(),
    language: str = "en",
    at: str | None = None,
    pace: timedelta = timedelta(seconds=1),
    limit: int = 5000,
    watch: Callable[[Turn], None] = lambda _turn: None,
) -> Rehearsal:
    """Play one dialogue to its end. `pace` is how long the caller thinks before a key; `watch` sees every turn.

    Raises `AssertionError` when it does not end within `limit` effects, which no checked flow does.
    """
    rehearsal = Rehearsal()
    turn = start(flow, language=language, at=at, known=world.known)
    for _ in range(limit):
        watch(turn)
        rehearsal.turns.append(turn)
        rehearsal.effects.append(turn.effect)
        rehearsal.traces += turn.traces
        if isinstance(turn.effect, e.Ending):
            return rehearsal
        turn = advance(turn.state, respond(turn.effect, press, world, pace))
    raise AssertionError("the dialogue does not end")


def respond(effect: e.Effect, press: Press, world: World, pace: timedelta = timedelta(seconds=1)) -> e.Result:
    """What comes of an effect in this world."""
    match effect:
        case e.Play() | e.AwaitDigit():
            key = press(effect)
            if key == HANG_UP:
                return e.Gone()
            if isinstance(effect, e.Play):
                return e.Heard(digit=key if key in effect.interrupt else None)
            return e.Silence() if key == WAIT else e.Key(digit=key, after=min(pace, effect.timeout))
        case e.LookUpCustomer():
            return world.customer
        case e.LookAtClock():
            return e.ClockSeen(local=world.local)
        case e.CallService():
            return world.services.get(effect.service, e.ServiceAnswered(status="failed"))
        case e.SendTo(target=target):
            if target.kind is not TargetKind.NUMBER or world.number == "answered":
                return e.Sent()
            return e.NotAnswered(status=world.number)
        case e.SendToAgent():
            return e.AgentAsked(status="sent" if world.agent == "answered" else world.agent)
        case e.AskCallback():
            return e.CallbackPromised(ok=world.callback, local=world.local if effect.window is not None else None)
        case e.Record():
            return e.Recorded(status=world.recording)
        case e.FindFlow():
            return e.FlowFound(flow=world.flows.get(effect.flow))
        case e.RunScript():
            return e.ScriptEnded(status=world.scripts.get(effect.script, "failed"))
        case e.CallFunction():
            return world.functions.get(effect.function, e.ServiceAnswered(status="failed"))
        case e.AskCalendar():
            return e.CalendarSeen(is_open=effect.calendar not in world.closed)
        case _:
            return e.Done()
