"""return: back to the flow that called this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cti.ivr.effects import Result
from cti.ivr.flow import Exit, Memo, Move, Return, Scene, Step
from cti.ivr.problems import Position
from cti.ivr.reading import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ComeBack(Step):
    """The end of a sub-flow. In a call whose own flow this is, the caller is hung up."""

    verb: ClassVar[str] = "return"
    ends_flow: ClassVar[bool] = True

    word: str

    def enter(self, scene: Scene) -> Move:
        """Back."""
        return Return(word=self.word, scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Nothing is asked for here."""
        raise self.confused(result)

    def exits(self) -> tuple[Exit, ...]:
        """None within this flow."""
        return ()


def read(name: str, at: Position, fields: Fields) -> ComeBack:
    """Read a `return` step."""
    word = fields.word("return", required="say with which word: `return: done`")
    return ComeBack(name=name, at=at, word=word.text)
