"""Walking a flow: state and result in, state and effect out.

`start` and `advance` return a `Turn`: the new state, the effect to perform, and a trace of each step completed on the
way (usually one or none; keys typed ahead can complete several at once). The walk never raises because of a caller
and always comes to an end: questions bound their tries, and a call that runs through more than `MAX_STEPS` steps is
sent to the flow's `failure` step, which ends it.

A flow that is called by a step of another one runs on a stack of its callers, with values of its own; language, customer and
keys typed ahead go in with the caller and come out again.

A state is rebuilt from (flow, step, language) after a crash: `start(flow, language=..., at=step)`. Within a sub-flow the
step is the one of the first flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cti.ids import FlowName
from cti.ivr.effects import CameBack, Effect, Gone, HangUp, LeaveFlow, Result
from cti.ivr.expression import Value
from cti.ivr.flow import Begin, Flow, Leave, Memo, Move, Perform, Return, Scene, Step, UnexpectedResult
from cti.ivr.names import NOBODY, lost_at

MAX_STEPS = 200
"""Steps one call may complete. A caller who listens to the opening hours 60 times is still served."""
MAX_DEPTH = 5
"""Flows that may have called one another. One more does not begin: the flow that calls it goes to its failure step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A flow that has called another: where it goes on, and what it knew."""

    flow: Flow
    step: str
    scene: Scene


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
    callers: tuple[Caller, ...] = ()
    """The flows this one was called from, the first first."""

    @property
    def resume_at(self) -> str:
        """The step of the call's own flow at which a later session takes it up; empty: where it is."""
        return self.callers[0].step if self.callers else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTrace:
    """A completed step. `exit` names the way out, `choice` the label chosen; keys are nowhere in it."""

    flow: FlowName
    step: str
    verb: str
    exit: str
    next_step: str | None
    choice: str = ""
    resume_at: str = ""
    """Where a later session takes the call up, if not at `next_step`: within a sub-flow."""


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
    return _enter(_first(flow, language=language, at=at, known=known), ())


def come_back(flow: Flow, *, language: str, at: str, result: Result, known: Mapping[str, Value] = NOBODY) -> Turn:
    """Take a call up that left the flow in the step `at`, to which `result` is told; a step that has no use for it begins."""
    state = _first(flow, language=language, at=at, known=known)
    if state.step == at:
        try:
            return advance(state, result)
        except UnexpectedResult:
            pass
    return _enter(state, ())


def _first(flow: Flow, *, language: str, at: str | None, known: Mapping[str, Value]) -> FlowState:
    spoken = language if language in flow.languages else flow.languages[0]
    scene = Scene(language=spoken, languages=flow.languages, values={**NOBODY, **known})
    first = at if at is not None and at in flow.steps and not lost_at(flow, at) else flow.start.step
    return FlowState(flow=flow, step=first, scene=scene)


def advance(state: FlowState, result: Result) -> Turn:
    """Go on with the result of the effect last asked for.

    Raises `UnexpectedResult` for a result that effect cannot have, or when the flow has ended.
    """
    if state.ended:
        raise UnexpectedResult("the flow has ended", step=state.step)
    step = state.flow.steps[state.step]
    if isinstance(result, Gone):
        # The session ends, not necessarily the call: a resumed session takes the same step up again.
        trace = _trace(state, step, "gone", step.name)
        return Turn(state=replace(state, memo=None, ended=True), effect=LeaveFlow(), traces=(trace,))
    return _follow(state, step.take(state.scene, state.memo, result), ())


def _trace(state: FlowState, step: Step, exit_name: str, next_step: str | None, choice: str = "") -> StepTrace:
    return StepTrace(
        flow=state.flow.name,
        step=step.name,
        verb=step.verb,
        exit=exit_name,
        next_step=next_step,
        choice=choice,
        resume_at=state.resume_at,
    )


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
    while not isinstance(move, Perform):
        step = state.flow.steps[state.step]
        if isinstance(move, Begin):
            if len(state.callers) < MAX_DEPTH:
                state = _inside(state, move)
                if state.step not in state.flow.steps:
                    return _enter(state, traces)
                move = state.flow.steps[state.step].enter(state.scene)
                continue
            move = Leave(exit="failure", scene=move.scene)
        state = replace(state, scene=move.scene, memo=None, completed=state.completed + 1)
        if isinstance(move, Return):
            if state.callers:
                traces = (*traces, _trace(state, step, move.word, None))
                state = _outside(state)
                move = state.flow.steps[state.step].take(state.scene, None, CameBack(word=move.word))
                continue
            move = Leave(exit=move.word, scene=move.scene, ending=HangUp())
        if move.ending is not None:
            traces = (*traces, _trace(state, step, move.exit, None, move.choice))
            return Turn(state=replace(state, ended=True), effect=move.ending, traces=traces)
        exit_name, to = move.exit, move.to or ""
        if state.completed >= MAX_STEPS or state.failing or to not in state.flow.steps:
            if state.failing:
                # The failure step itself led on: an unchecked flow.
                return Turn(state=replace(state, ended=True), effect=HangUp(), traces=traces)
            exit_name, to = "runaway" if to in state.flow.steps else "failure", state.flow.failure.step
            state = replace(state, failing=True)
        traces = (*traces, _trace(state, step, exit_name, to, move.choice))
        state = replace(state, step=to)
        following = state.flow.steps.get(to)
        if following is None:
            return _enter(state, traces)
        move = following.enter(state.scene)
    return Turn(state=replace(state, scene=move.scene, memo=move.memo), effect=move.effect, traces=traces)


def _inside(state: FlowState, move: Begin) -> FlowState:
    """At the first step of a sub-flow. It learns what is known of the call and the customer, and nothing of the flow's own."""
    flow, scene = move.flow, move.scene
    spoken = scene.language if scene.language in flow.languages else flow.languages[0]
    return replace(
        state,
        flow=flow,
        step=flow.start.step,
        scene=Scene(language=spoken, languages=flow.languages, typed=scene.typed, values=_of_call(scene)),
        memo=None,
        callers=(*state.callers, Caller(flow=state.flow, step=state.step, scene=scene)),
    )


def _outside(state: FlowState) -> FlowState:
    """Back in the step that called this flow."""
    caller, scene = state.callers[-1], state.scene
    spoken = scene.language if scene.language in caller.flow.languages else caller.scene.language
    return replace(
        state,
        flow=caller.flow,
        step=caller.step,
        scene=replace(
            caller.scene, language=spoken, typed=scene.typed, values={**caller.scene.values, **_of_call(scene)}
        ),
        callers=state.callers[:-1],
    )


def _of_call(scene: Scene) -> Mapping[str, Value]:
    return {name: value for name, value in scene.values.items() if name in NOBODY}
