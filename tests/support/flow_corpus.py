"""The corpora of good and bad flows, the centre and prompts they are checked against, and a caller made of a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cti.centre_file import load_centre
from cti.ivr import effects as e
from cti.ivr.flow import Flow
from cti.ivr.interpreter import StepTrace, Turn, advance, start
from cti.ivr.parser import parse_flow
from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.model.centre import Centre
from cti.model.facts import Match

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "tests" / "flows"
CLOCK = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""What the clock on the wall says in played dialogues: a Monday."""
SHIPPED = ROOT / "ivr_flows"


@cache
def demo_centre() -> Centre:
    return load_centre(ROOT / "cti" / "demo" / "centre.yaml")


@cache
def corpus_prompts() -> PromptBook:
    book = parse_prompts((FLOWS / "prompts.yaml").read_text(encoding="utf-8"), "prompts.yaml")
    assert isinstance(book, PromptBook)
    return book


def flow_of(text: str, name: str = "test") -> Flow:
    flow = parse_flow(text, f"{name}.yaml")
    assert isinstance(flow, Flow), "\n".join(map(str, flow))
    return flow


@cache
def shipped(name: str) -> Flow:
    return flow_of((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"), name)


@dataclass
class Dialogue:
    """What happened in one played dialogue."""

    effects: list[e.Effect] = field(default_factory=list)
    traces: list[StepTrace] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    @property
    def heard(self) -> list[str]:
        """The sounds played, `language/name`."""
        return [
            f"{s.language}/{s.name}" for effect in self.effects if isinstance(effect, e.Play) for s in effect.sounds
        ]

    @property
    def exits(self) -> list[str]:
        return [f"{trace.step}.{trace.exit}" for trace in self.traces]

    @property
    def queue(self) -> str | None:
        return next((effect.queue for effect in self.effects if isinstance(effect, e.Enqueue)), None)

    @property
    def language(self) -> str:
        return self.turns[-1].state.scene.language

    @property
    def end(self) -> e.Effect:
        return self.effects[-1]


def talk(
    flow: Flow,
    keys: str = "",
    *,
    customer: e.LookedUp | None = None,
    language: str = "en",
    at: str | None = None,
    pace: timedelta = timedelta(seconds=1),
    limit: int = 5000,
    open_now: bool = True,
) -> Dialogue:
    """Play a dialogue. In `keys` a telephone key is pressed, "." lets the prompt or the wait run out, "!" hangs up.

    Behind the end of `keys` the caller is silent. A key that may not interrupt a prompt is lost, as on the line.
    """
    script = iter(keys)
    dialogue = Dialogue()
    turn = start(flow, language=language, at=at)
    for _ in range(limit):
        dialogue.turns.append(turn)
        dialogue.effects.append(turn.effect)
        dialogue.traces += turn.traces
        effect = turn.effect
        if isinstance(effect, e.AwaitAgent | e.HangUp | e.LeaveFlow):
            return dialogue
        result: e.Result
        if isinstance(effect, e.Play | e.AwaitDigit):
            key = next(script, ".")
            if key == "!":
                result = e.Gone()
            elif isinstance(effect, e.Play):
                result = e.Heard(digit=key if key in effect.interrupt else None)
            else:
                result = e.Silence() if key == "." else e.Key(digit=key, after=min(pace, effect.timeout))
        elif isinstance(effect, e.LookUpCustomer):
            result = customer or e.LookedUp(match=Match.UNKNOWN)
        elif isinstance(effect, e.LookAtClock):
            result = e.ClockSeen(local=CLOCK)
        elif isinstance(effect, e.AskCalendar):
            result = e.CalendarSeen(is_open=open_now)
        else:
            result = e.Done()
        turn = advance(turn.state, result)
    raise AssertionError("the dialogue does not end")
