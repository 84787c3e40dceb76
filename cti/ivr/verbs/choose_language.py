"""choose_language: one key chooses the language of everything that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.document import Scalar
from cti.ivr.effects import ChooseLanguage as SetLanguage
from cti.ivr.effects import Done, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.question import Answer, Answered, Asking, Question
from cti.ivr.reading import Fields
from cti.ivr.verbs.asked import check_key, read_question


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageKey:
    """The key that stands for a language."""

    key: str
    language: str
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing(Memo):
    """The language is being made known; this is how the step ends then."""

    leave: Leave


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseLanguage(Step):
    """Ask for the language. A caller who gives no usable answer gets `default` and leaves by the exit of failure."""

    verb: ClassVar[str] = "choose_language"

    question: Question
    choices: tuple[LanguageKey, ...]
    default: str
    default_at: Position
    go: Target

    def enter(self, scene: Scene) -> Move:
        """Ask."""
        return self._judge(self.question.begin(scene))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """A key, or silence, or the language is set."""
        if isinstance(memo, Choosing) and isinstance(result, Done):
            return memo.leave
        answer = self.question.take(scene, memo, result) if isinstance(memo, Asking) else None
        if answer is None:
            raise self.confused(result)
        return self._judge(answer)

    def _judge(self, answer: Answer) -> Move:
        if isinstance(answer, Answered):
            for choice in self.choices:
                if choice.key == answer.keys:
                    leave = Leave(exit="chosen", scene=answer.scene, to=self.go.step)
                    return self._set(choice.language, leave)
            answer = self.question.refuse(answer.scene, answer.memo)
        return self._set(self.default, answer) if isinstance(answer, Leave) else answer

    def _set(self, language: str, leave: Leave) -> Perform:
        scene = replace(leave.scene, language=language)
        memo = Choosing(leave=replace(leave, scene=scene))
        return Perform(effect=SetLanguage(language=language), scene=scene, memo=memo)

    def exits(self) -> tuple[Exit, ...]:
        """The way on, then the two of failure."""
        return (Exit(name="chosen", target=self.go, silent=False), *self.question.exits())

    def spoken(self) -> tuple[Spoken, ...]:
        """What it may say."""
        return self.question.spoken()


def read(name: str, at: Position, fields: Fields) -> ChooseLanguage:
    """Read a `choose_language` step."""
    question = read_question("choose_language", fields)
    choices = []
    for key, node in fields.rows("choices", required="list the keys: `choices: {1: en, 2: zh}`"):
        check_key(key.text, key.at, fields)
        if isinstance(node, Scalar):
            choices.append(LanguageKey(key=key.text, language=node.text, at=node.at))
        else:
            fields.wrong(node.at, f"key {key.text} must name a language", f"write `{key.text}: en`", "shape")
    default = fields.scalar("default", required="name the language of callers who press nothing: `default: en`")
    return ChooseLanguage(
        name=name,
        at=at,
        question=question,
        choices=tuple(choices),
        default=default.text if default else "",
        default_at=default.at if default else at,
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
    )
