"""collect: take down a number the caller types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar

from cti.ivr.document import Scalar
from cti.ivr.effects import Result
from cti.ivr.expression import Kind
from cti.ivr.flow import DigitsOf, Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.question import Answer, Asking, Question
from cti.ivr.reading import Fields
from cti.ivr.verbs.asked import LONGEST_WAIT, read_question

RIGHT, AGAIN = "1", "2"
"""Keys of `confirm`: what was read back is right; ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirming(Memo):
    """A question with `confirm`: the digits are being asked for, or, once there are any, read back."""

    asking: Asking
    digits: str = field(default="", repr=False)
    again: int = 0
    """How often other digits were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect(Step):
    """Gather digits and keep them under `answer` for later steps. They are in no trace and no log."""

    verb: ClassVar[str] = "collect"
    giving: ClassVar[frozenset[str]] = frozenset({"collected"})

    question: Question
    answer: str
    go: Target
    confirm: Question | None = None
    """Reads the digits back and takes 1 or 2; None: they count as they are."""
    masked: bool = False
    """Whether nobody may hear or see them: no read-out, and nothing that is shown to agents."""

    def enter(self, scene: Scene) -> Move:
        """Ask."""
        return self._judge(self.question.begin(scene), "", 0)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """A key, or silence."""
        digits, again, asking = "", 0, memo
        if isinstance(memo, Confirming):
            digits, again, asking = memo.digits, memo.again, memo.asking
        question = self.confirm if digits and self.confirm is not None else self.question
        answer = question.take(scene, asking, result) if isinstance(asking, Asking) else None
        if answer is None:
            raise self.confused(result)
        return self._judge(answer, digits, again)

    def _judge(self, answer: Answer, digits: str, again: int) -> Move:
        if isinstance(answer, Leave):
            return answer
        if isinstance(answer, Perform):
            if self.confirm is None or not isinstance(answer.memo, Asking):
                return answer
            return replace(answer, memo=Confirming(asking=answer.memo, digits=digits, again=again))
        if not digits:
            scene = replace(answer.scene, answers={**answer.scene.answers, self.answer: answer.keys})
            if self.confirm is not None:
                return self._judge(self.confirm.begin(scene), answer.keys, again)
        elif answer.keys == RIGHT:
            scene = answer.scene
        elif again + 1 < self.question.tries:
            return self._judge(self.question.begin(answer.scene), "", again + 1)
        else:
            return Leave(exit="invalid", scene=answer.scene, to=self.question.invalid.go.step)
        return Leave(exit="collected", scene=scene, to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """The way on, then the two of failure."""
        return (Exit(name="collected", target=self.go, silent=False), *self.question.exits())

    def spoken(self) -> tuple[Spoken, ...]:
        """What it may say."""
        return self.question.spoken() + (self.confirm.say if self.confirm is not None else ())

    def gives(self) -> Mapping[str, Kind | None]:
        """The digits."""
        return {f"answer.{self.answer}": Kind.TEXT}

    def uses(self) -> frozenset[str]:
        """Reading its own digits back is no use of earlier ones."""
        return Step.uses(self) - {f"answer.{self.answer}"}


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
    masked = fields.flag("mask", False)
    said = fields.spoken("confirm")
    confirm = None
    if said:
        if masked:
            fields.wrong(at, "masked digits cannot be read back", "leave out confirm, or mask", "masked")
        confirm = replace(
            question,
            say=(DigitsOf(answer=answer.text, at=at), *said),
            least=1,
            most=1,
            allowed=RIGHT + AGAIN,
            terminator="",
        )
    return Collect(name=name, at=at, question=question, answer=answer.text, go=go, confirm=confirm, masked=masked)


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
