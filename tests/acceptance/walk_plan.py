"""What a walk must meet, worked out from an example dialogue beside the flow: what is heard, pressed and traced, in order.

A plan is the dialogue played by the interpreter alone (`cti.ivr.rehearsal`), every effect kept with what the caller did
about it. With `cut` the caller hangs up at that effect instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.dialogues import Dialogue, Dialogues, parse_dialogues, play
from cti.ivr.flow import Flow
from cti.ivr.interpreter import StepTrace, advance, start
from cti.ivr.parser import parse_flow
from cti.ivr.rehearsal import HANG_UP, World, respond, scripted
from cti.model.facts import Match

ON_THE_LINE = (e.Play, e.AwaitDigit, e.Record)
"""Effects that speak with the caller: those at which a hang-up is noticed."""
WAITS = (*ON_THE_LINE, e.CallService)
"""Effects at which a caller spends time, and may hang up."""


SLOWLY, SLOW_PACE = "slowly", timedelta(seconds=0.9)
"""A dialogue with this word in its name is walked at this pace."""
ALLOWED = "+1555"
"""What the demo centre may call back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One effect, what came of it, and the key pressed for it ("" none, "." waits, "!" hangs up)."""

    step: str
    language: str
    effect: e.Effect
    result: e.Result
    key: str

    @property
    def answers(self) -> bool:
        """Whether a key was pressed here that counts."""
        return isinstance(self.result, e.Key) or (isinstance(self.result, e.Heard) and self.result.digit is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One call."""

    name: str
    flow: Flow
    world: World
    language: str
    """The language the call begins in, where the dialogue says one."""
    moments: tuple[Moment, ...]
    traces: tuple[StepTrace, ...]
    end: e.Effect
    cut: int | None = None
    pace: float | None = None
    """Seconds from one key to the next, where that matters."""

    @property
    def number(self) -> str:
        """Where the call comes from; empty: withheld."""
        return str(self.world.known["caller.number"])

    @property
    def outcome(self) -> frozenset[str]:
        """Outcomes the call's record may have."""
        results = [moment.result for moment in self.moments]
        messages = [m for m in self.moments if isinstance(m.effect, e.Record) and m.effect.kind == "message"]
        if any(isinstance(result, e.CallbackPromised) and result.ok for result in results):
            return frozenset({"callback"})
        if any(isinstance(m.result, e.Recorded) and m.result.status == "recorded" for m in messages):
            return frozenset({"voicemail"})
        match self.end:
            case e.HangUp():
                return frozenset({"self_served"})
            case e.AwaitAgent():
                return frozenset({"abandoned", "short_abandon"})
            case _:
                return frozenset({"abandoned"})

    @property
    def seconds(self) -> float:
        """How long it takes at most, by the timeouts in it (sounds come besides)."""
        waits = [m.effect.timeout for m in self.moments if isinstance(m.effect, e.AwaitDigit)]
        return sum(waits, timedelta()).total_seconds()


def make_plan(
    flow: Flow,
    dialogue: Dialogue,
    *,
    number: str,
    did: str,
    flows: Mapping[FlowName, Flow],
    cut: int | None = None,
) -> Plan:
    """The dialogue as the caller `number` lives it on the line `did`."""
    customer = dialogue.world.customer
    if not number and customer.match is Match.UNKNOWN:
        customer = replace(customer, match=Match.WITHHELD)
    known = {**dialogue.world.known, "caller.number": number, "call.did": did}
    world = replace(dialogue.world, customer=customer, known=known, flows=flows)
    key = ""
    script = scripted(dialogue.keys)

    def press(effect: e.Play | e.AwaitDigit) -> str:
        nonlocal key
        key = script(effect)
        return key

    pace = SLOW_PACE if SLOWLY in dialogue.name else timedelta(seconds=1)
    turn = start(flow, language=dialogue.language or flow.languages[0], known=known)
    moments: list[Moment] = []
    traces = list(turn.traces)
    while not isinstance(turn.effect, e.Ending):
        key = ""
        gone = cut is not None and len(moments) >= cut and isinstance(turn.effect, ON_THE_LINE)
        result = e.Gone() if gone else respond(turn.effect, press, world, pace)
        moments.append(
            Moment(
                step=turn.state.step,
                language=turn.state.scene.language,
                effect=turn.effect,
                result=result,
                key=HANG_UP if gone else key,
            )
        )
        turn = advance(turn.state, result)
        traces += turn.traces
    if cut is None and moments and isinstance(moments[-1].result, e.Gone):
        cut = len(moments) - 1
    return Plan(
        name=f"{flow.name}: {dialogue.name}" + ("" if cut is None else f" / hangs up at {cut}"),
        flow=flow,
        world=world,
        language=dialogue.language,
        moments=tuple(moments),
        traces=tuple(traces),
        end=turn.effect,
        cut=cut,
        pace=pace.total_seconds() if SLOWLY in dialogue.name else None,
    )


def planned(
    flow: Flow, dialogue: Dialogue, *, number: str, did: str, flows: Mapping[FlowName, Flow], cut: int | None = None
) -> Plan:
    """As `make_plan`, from a number of the same kind as the dialogue's: one that is called back, one that is not, or none.

    A dialogue that says no number, and only comes true without one, is walked by a caller who withholds it.
    """
    meant = str(dialogue.world.known["caller.number"])
    if meant and not meant.startswith(ALLOWED):
        number = f"+4930{number[-7:]}"
    steps = play(flow, dialogue, flows).exits
    plan = make_plan(flow, dialogue, number=number, did=did, flows=flows)
    if [f"{trace.step}.{trace.exit}" for trace in plan.traces] != steps:
        number = ""
    return make_plan(flow, dialogue, number=number, did=did, flows=flows, cut=cut)


def cuts(plan: Plan) -> Iterator[tuple[int, tuple[str, str, str, str]]]:
    """Where a caller on this way may hang up, each with what it is: flow, step, language, kind of effect."""
    for number, moment in enumerate(plan.moments):
        if isinstance(moment.effect, WAITS) and not (isinstance(moment.effect, e.Play) and not moment.effect.sounds):
            yield number, (str(plan.flow.name), moment.step, moment.language, type(moment.effect).__name__)


def not_staged(plan: Plan) -> str:
    """What of a plan the walk cannot set up on real parts, in a few words; empty: nothing."""
    for moment in plan.moments:
        match moment.effect:
            case e.SendTo() | e.CallFunction() | e.RunScript() | e.LookAtClock():
                return type(moment.effect).__name__
            case e.AskCalendar() if isinstance(moment.result, e.CalendarSeen) and not moment.result.is_open:
                return "a closed calendar"
    return ""


def read_flows(folder: Path) -> dict[FlowName, Flow]:
    """The flows of a folder."""
    flows = {}
    for file in sorted(folder.glob("*.yaml")):
        if file.name != "prompts.yaml":
            flow = parse_flow(file.read_text(encoding="utf-8"), str(file))
            assert isinstance(flow, Flow), "\n".join(map(str, flow))
            flows[flow.name] = flow
    return flows


def read_dialogues(folder: Path) -> list[Dialogues]:
    """The dialogues of a folder."""
    found = []
    for file in sorted(folder.glob("*.yaml")):
        read = parse_dialogues(file.read_text(encoding="utf-8"), str(file))
        assert isinstance(read, Dialogues), "\n".join(map(str, read))
        found.append(read)
    return found
