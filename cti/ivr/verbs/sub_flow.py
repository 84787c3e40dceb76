"""sub_flow: go through another flow and come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cti.ids import FlowName
from cti.ivr.effects import CameBack, FindFlow, FlowFound, Result
from cti.ivr.flow import Begin, Exit, Leave, Memo, Move, Perform, Scene, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Where the call goes when the sub-flow returns with this word."""

    word: str
    at: Position
    go: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class SubFlow(Step):
    """Call another flow. What it collects and sets stays in it; the language, the customer and keys typed ahead come out."""

    verb: ClassVar[str] = "sub_flow"

    flow: FlowName
    flow_at: Position
    words: tuple[Word, ...]
    go: Target

    def enter(self, scene: Scene) -> Move:
        """Ask for the flow, in its live version."""
        return Perform(effect=FindFlow(flow=self.flow), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """The flow is there, or is over."""
        if isinstance(result, FlowFound):
            # Without one the interpreter leads to the failure step: an exit without a step.
            return Leave(exit="failure", scene=scene) if result.flow is None else Begin(flow=result.flow, scene=scene)
        if isinstance(result, CameBack):
            named = next((word for word in self.words if word.word == result.word), None)
            if named is None:
                return Leave(exit="returned", scene=scene, to=self.go.step)
            return Leave(exit=named.word, scene=scene, to=named.go.step)
        raise self.confused(result)

    def exits(self) -> tuple[Exit, ...]:
        """One for each word of its own, and the way on for all others."""
        named = [Exit(name=word.word, target=word.go, silent=True) for word in self.words]
        return (*named, Exit(name="returned", target=self.go, silent=True))


def read(name: str, at: Position, fields: Fields) -> SubFlow:
    """Read a `sub_flow` step."""
    flow = fields.word("sub_flow", required="name the flow: `sub_flow: identify`")
    words = [Word(word=key.text, at=key.at, go=fields.target_of(key, node)) for key, node in fields.rows("returns")]
    return SubFlow(
        name=name,
        at=at,
        flow=FlowName(flow.text),
        flow_at=flow.at,
        words=tuple(words),
        go=fields.exit("go", remedy="say which step comes next when the flow returns: `go: <step>`"),
    )
