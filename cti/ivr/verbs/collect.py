"""collect: take down a number the caller types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from cti.ivr.document import Scalar
from cti.ivr.effects import Result
from cti.ivr.expression import Kind
from cti.ivr.flow import Exit, Leave, Memo, Move, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.question import Answer, Answered, Asking, Question
from cti.ivr.reading import Fields
from cti.ivr.verbs.asked import LONGEST_WAIT, read_question


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect(Step):
    """Gather digits and keep them under `answer` for later steps. They are in no trace and no log."""

    verb: ClassVar[str] = "collect"
    giving: ClassVar[frozenset[str]] = frozenset({"collected"})

    question: Question
    answer: str
    go: Target

    def enter(self, scene: Scene) -> Move:
        """Ask."""
        return self._keep(self.question.begin(scene))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """A key, or silence."""
        answer = self.question.take(scene, memo, result) if isinstance(memo, Asking) else None
        if answer is None:
            raise self.confused(result)
        return self._keep(answer)

    def _keep(self, answer: Answer) -> Move:
        if not isinstance(answer, Answered):
            return answer
        scene = replace(answer.scene, answers={**answer.scene.answers, self.answer: answer.keys})
        return Leave(exit="collected", scene=scene, to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """The way on, then the two of failure."""
        return (Exit(name="collected", target=self.go, silent=False), *self.question.exits())

    def spoken(self) -> tuple[Spoken, ...]:
        """What it may say."""
        return self.question.spoken()

    def gives(self) -> Mapping[str, Kind | None]:
        """The digits."""
        return {f"answer.{self.answer}": Kind.TEXT}


def read(name: str, at: Position, fields: Fields) -> Collect:
    """Read a `collect` step."""
    least, most = _length(fields)
    terminator = fields.scalar("terminator")
    if terminator is not None and terminator.text not in ("#", "*", "none"):
        remedy = 'write `terminator: "#"`, `terminator: "*"` or `terminator: none`'
        fields.wrong(terminator.at, f'"{terminator.text}" cannot end an entry', remedy)
    question = replace(
        read_question("collect", fields),
        least=least,
        most=most,
        allowed="0123456789",
        terminator="#" if terminator is None else terminator.text.replace("none", ""),
        inter_digit=fields.duration("inter_digit", timedelta(seconds=3), most=LONGEST_WAIT),
        overall=fields.duration("overall", timedelta(seconds=30), most=LONGEST_WAIT),
    )
    answer = fields.word("as", required="give the digits a name for later steps: `as: order_number`")
    go = fields.exit("go", remedy="say which step comes next: `go: <step>`")
    return Collect(name=name, at=at, question=question, answer=answer.text, go=go)


def _length(fields: Fields) -> tuple[int, int]:
    """`length: 6` or `length: {min: 4, max: 8}`."""
    remedy = "say how many digits: `length: 6` or `length: {min: 4, max: 8}`"
    node = fields.node("length")
    if node is None:
        fields.missing("length", remedy)
        return 1, 1
    if isinstance(node, Scalar):
        length = fields.whole_of(node, "length", 1, least=1, most=32)
        return length, length
    rows = {key.text: value for key, value in fields.rows("length")}
    low, high = rows.get("min"), rows.get("max")
    if not isinstance(low, Scalar) or not isinstance(high, Scalar) or len(rows) != 2:
        fields.wrong(node.at, '"length" needs min and max', remedy)
        return 1, 1
    least, most = (fields.whole_of(value, "length", 1, least=1, most=32) for value in (low, high))
    if least > most:
        fields.wrong(low.at, '"min" is more than "max"', remedy)
        return 1, 1
    return least, most
