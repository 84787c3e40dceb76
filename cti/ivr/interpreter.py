"""Walking a flow: state and result in, state and effect out.

`start` and `advance` return a `Turn`: the new state, the effect to perform, and a trace of each step completed on the
way (usually one or none; keys typed ahead can complete several at once). The walk never raises because of a caller
and always comes to an end: questions bound their tries, and a call that runs through more than `MAX_STEPS` steps is
sent to the flow's `failure` step, which ends it.

A state is rebuilt from (flow, step, language) after a crash: `start(flow, language=..., at=step)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cti.ivr.effects import Effect, Gone, HangUp, LeaveFlow, Result
from cti.ivr.expression import Value
from cti.ivr.flow import Flow, Leave, Memo, Move, Scene, UnexpectedResult
from cti.ivr.names import NOBODY, lost_at

MAX_STEPS = 200
"""Steps one call may complete. A caller who listens to the opening hours 60 times is still served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowState:
    """Where a call is in its flow. `step` is the step being performed, or the last one when `ended`."""

    flow: Flow
    step: str
    scene: Scene
    memo: Memo | None = None
    completed: int = 0
    """Steps completed in this session."""
    failing: bool = False
    """The call was sent to the failure step."""
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTrace:
    """A completed step. `exit` names the way out, `choice` the label chosen; keys are nowhere in it."""

    step: str
    verb: str
    exit: str
    next_step: str | None
    choice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What follows from one result."""

    state: FlowState
    effect: Effect
    traces: tuple[StepTrace, ...] = ()


def start(flow: Flow, *, language: str, at: str | None = None, known: Mapping[str, Value] = NOBODY) -> Turn:
    """Begin `flow` at its first step, or at the step `at`. `known` are values expressions may use (see `names`).

    `language` counts when the flow speaks it; otherwise the flow's first language does. A step `at` that this version
    does not have (the flow was changed meanwhile) means the beginning, and so does one behind which something is asked
    for that was learned before it: digits are kept nowhere, so after a restart the caller is asked again.
    """
    spoken = language if language in flow.languages else flow.languages[0]
    scene = Scene(language=spoken, languages=flow.languages, values={**NOBODY, **known})
    first = at if at is not None and at in flow.steps and not lost_at(flow, at) else flow.start.step
    return _enter(FlowState(flow=flow, step=first, scene=scene), ())


def advance(state: FlowState, result: Result) -> Turn:
    """Go on with the result of the effect last asked for.

    Raises `UnexpectedResult` for a result that effect cannot have, or when the flow has ended.
    """
    if state.ended:
        raise UnexpectedResult("the flow has ended", step=state.step)
    step = state.flow.steps[state.step]
    if isinstance(result, Gone):
        # The session ends, not necessarily the call: a resumed session takes the same step up again.
        trace = StepTrace(step=step.name, verb=step.verb, exit="gone", next_step=step.name)
        return Turn(state=replace(state, memo=None, ended=True), effect=LeaveFlow(), traces=(trace,))
    return _follow(state, step.take(state.scene, state.memo, result), ())


def _enter(state: FlowState, traces: tuple[StepTrace, ...]) -> Turn:
    step = state.flow.steps.get(state.step)
    if step is not None:
        return _follow(state, step.enter(state.scene), traces)
    # Only an unchecked flow gets here.
    failure = state.flow.failure.step
    if state.failing or failure not in state.flow.steps:
        return Turn(state=replace(state, ended=True), effect=HangUp(), traces=traces)
    return _enter(replace(state, step=failure, failing=True), traces)


def _follow(state: FlowState, move: Move, traces: tuple[StepTrace, ...]) -> Turn:
    """Carry out moves until one asks for an effect."""
    while isinstance(move, Leave):
        step = state.flow.steps[state.step]
        state = replace(state, scene=move.scene, memo=None, completed=state.completed + 1)
        if move.ending is not None:
            trace = StepTrace(step=step.name, verb=step.verb, exit=move.exit, next_step=None, choice=move.choice)
            return Turn(state=replace(state, ended=True), effect=move.ending, traces=(*traces, trace))
        exit_name, to = move.exit, move.to or ""
        if state.completed >= MAX_STEPS or state.failing or to not in state.flow.steps:
            if state.failing:
                # The failure step itself led on: an unchecked flow.
                return Turn(state=replace(state, ended=True), effect=HangUp(), traces=traces)
            exit_name, to = "runaway" if to in state.flow.steps else "failure", state.flow.failure.step
            state = replace(state, failing=True)
        trace = StepTrace(step=step.name, verb=step.verb, exit=exit_name, next_step=to, choice=move.choice)
        traces = (*traces, trace)
        state = replace(state, step=to)
        following = state.flow.steps.get(to)
        if following is None:
            return _enter(state, traces)
        move = following.enter(state.scene)
    return Turn(state=replace(state, scene=move.scene, memo=move.memo), effect=move.effect, traces=traces)
