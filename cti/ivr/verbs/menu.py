"""menu: one key chooses one of several ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cti.ivr.document import Table
from cti.ivr.effects import Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.question import Answer, Answered, Asking, Question
from cti.ivr.reading import Fields
from cti.ivr.verbs.asked import check_key, read_question


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One item: the key, the words an agent sees ("Orders"), the step it leads to."""

    key: str
    label: str
    go: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu(Step):
    """Ask for one key. Traces carry the item's label, never the key."""

    verb: ClassVar[str] = "menu"

    question: Question
    choices: tuple[Choice, ...]

    def enter(self, scene: Scene) -> Move:
        """Ask."""
        return self._judge(self.question.begin(scene))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """A key, or silence."""
        answer = self.question.take(scene, memo, result) if isinstance(memo, Asking) else None
        if answer is None:
            raise self.confused(result)
        return self._judge(answer)

    def _judge(self, answer: Answer) -> Move:
        # A wrong key asks again, and that may be answered only by the caller: no loop here.
        if not isinstance(answer, Answered):
            return answer
        for choice in self.choices:
            if choice.key == answer.keys:
                return Leave(exit="choice", scene=answer.scene, to=choice.go.step, choice=choice.label)
        return self.question.refuse(answer.scene, answer.memo)

    def exits(self) -> tuple[Exit, ...]:
        """One for each item, then the two of failure."""
        items = tuple(
            Exit(name="choice", target=choice.go, silent=False, label=choice.label) for choice in self.choices
        )
        return items + self.question.exits()

    def spoken(self) -> tuple[Spoken, ...]:
        """What it may say."""
        return self.question.spoken()


def read(name: str, at: Position, fields: Fields) -> Menu:
    """Read a `menu` step."""
    question = read_question("menu", fields)
    choices = []
    rows = fields.rows("choices", required='list the keys: `choices: {1: {label: "Orders", go: orders}}`')
    for key, node in rows:
        check_key(key.text, key.at, fields)
        if not isinstance(node, Table):
            remedy = f'write `{key.text}: {{label: "Orders", go: orders}}`'
            fields.wrong(node.at, f"key {key.text} needs a label and a step", remedy, "shape")
            continue
        inner = Fields(node, f"{fields.what}, key {key.text}", fields.findings)
        label = inner.scalar("label", required="say in a word or two what it is, for the agent's screen")
        go = inner.exit("go", remedy="say which step comes next: `go: <step>`")
        inner.finish()
        choices.append(Choice(key=key.text, label=label.text if label else "", go=go))
    if not rows and fields.has("choices"):
        fields.wrong(fields.at, "a menu without choices", "list at least one key under `choices`", "missing_field")
    return Menu(name=name, at=at, question=question, choices=tuple(choices))
