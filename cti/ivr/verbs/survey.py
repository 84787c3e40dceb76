"""survey: questions the caller answers by a key each, and a comment in the caller's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from cti.ivr.document import Listing, Table
from cti.ivr.effects import ALL_KEYS, Done, Heard, KeepScore, Play, Record, Recorded, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.question import Answer, Answered, Asking, Question, Retry
from cti.ivr.reading import Fields
from cti.ivr.verbs.asked import LONGEST_WAIT
from cti.ivr.verbs.record import read_limits

MOST_QUESTIONS = 10
COMMENT = "comment"
"""The kind of what is recorded here."""
_SCALE = re.compile(r"([0-9])-([0-9])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: the name its scores are kept under, and the lowest and highest key."""

    name: str
    question: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What the caller may say in the end."""

    say: tuple[Spoken, ...]
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside(Memo):
    """In question `number` (from 0); `asking` None: its score is being kept."""

    number: int
    asking: Asking | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commenting(Memo):
    """The request for a comment is played, or the comment is recorded."""

    speaking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey(Step):
    """Ask one question after the other. Each answer is kept at once, so who hangs up early has still answered some."""

    verb: ClassVar[str] = "survey"

    questions: tuple[Asked, ...]
    again: tuple[Spoken, ...]
    comment: Comment | None
    go: Target
    left: Target

    def enter(self, scene: Scene) -> Move:
        """The first question."""
        return self._ask(scene, 0)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """A key, silence, a score kept, a comment."""
        if isinstance(memo, Inside):
            if memo.asking is None:
                if isinstance(result, Done):
                    return self._ask(scene, memo.number + 1)
                raise self.confused(result)
            answer = self.questions[memo.number].question.take(scene, memo.asking, result)
            if answer is not None:
                return self._judge(answer, memo.number)
        if isinstance(memo, Commenting) and self.comment is not None:
            if not memo.speaking and isinstance(result, Heard):
                return Perform(effect=self.comment.record, scene=scene, memo=Commenting(speaking=True))
            if memo.speaking and isinstance(result, Recorded):
                return self._done(scene)
        raise self.confused(result)

    def _ask(self, scene: Scene, number: int) -> Move:
        if number < len(self.questions):
            return self._judge(self.questions[number].question.begin(scene), number)
        if self.comment is None:
            return self._done(scene)
        play = Play(sounds=scene.sounds(self.comment.say), interrupt=ALL_KEYS)
        return Perform(effect=play, scene=replace(scene, typed=""), memo=Commenting(speaking=False))

    def _judge(self, answer: Answer, number: int) -> Move:
        if isinstance(answer, Answered):
            asked = self.questions[number]
            keys = [int(key) for key in asked.question.allowed]
            effect = KeepScore(question=asked.name, score=int(answer.keys), least=min(keys), most=max(keys))
            return Perform(effect=effect, scene=answer.scene, memo=Inside(number=number, asking=None))
        if isinstance(answer, Leave):
            return replace(answer, exit="left")
        asking = answer.memo
        return replace(answer, memo=Inside(number=number, asking=asking if isinstance(asking, Asking) else None))

    def _done(self, scene: Scene) -> Leave:
        return Leave(exit="done", scene=scene, to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """All questions answered, or left before."""
        return (Exit(name="done", target=self.go, silent=False), Exit(name="left", target=self.left, silent=True))

    def spoken(self) -> tuple[Spoken, ...]:
        """The questions, what is said before one is asked again, and the request for a comment."""
        asked = tuple(part for one in self.questions for part in one.question.say)
        return asked + self.again + (self.comment.say if self.comment is not None else ())


def read(name: str, at: Position, fields: Fields) -> Survey:
    """Read a `survey` step."""
    again = fields.spoken("again")
    tries = fields.whole("tries", 2, least=1, most=9)
    first_digit = fields.duration("first_digit", timedelta(seconds=5), most=LONGEST_WAIT)
    go = fields.exit("go", remedy="say which step comes next: `go: <step>`")
    left = fields.exit("left", remedy="say where a caller goes who stops answering: `left: <step>`")
    node = fields.node("survey")
    rows = node.items if isinstance(node, Listing) else ()
    if not 1 <= len(rows) <= MOST_QUESTIONS:
        remedy = "write `survey: [{name: friendly, ask: how_friendly, scale: 1-5}]`"
        place = node.at if node is not None else at
        fields.wrong(place, f'"survey" needs 1 to {MOST_QUESTIONS} questions', remedy, "shape")
    questions: list[Asked] = []
    for row in rows:
        if not isinstance(row, Table):
            fields.wrong(row.at, "a question is a table", "write `{name: .., ask: .., scale: 1-5}`", "shape")
            continue
        inner = Fields(row, f"{fields.what}, a question", fields.findings)
        called = inner.word("name", required="say under which name the answers are kept: `name: friendly`")
        if called.text in [one.name for one in questions]:
            inner.wrong(called.at, f'two questions are called "{called.text}"', "use another name")
        question = Question(
            say=inner.spoken("ask", required="name the prompts that ask: `ask: [how_friendly]`"),
            barge_in=True,
            tries=tries,
            first_digit=first_digit,
            no_input=Retry(say=again, go=left),
            invalid=Retry(say=again, go=left),
            allowed=_scale(inner),
        )
        inner.finish()
        questions.append(Asked(name=called.text, question=question))
    return Survey(name=name, at=at, questions=tuple(questions), again=again, comment=_comment(fields), go=go, left=left)


def _scale(fields: Fields) -> str:
    """The keys from the lowest to the highest."""
    found = fields.scalar("scale")
    text = found.text if found is not None else "1-5"
    match = _SCALE.fullmatch(text)
    if match is None or match[1] >= match[2]:
        fields.wrong(found.at if found is not None else fields.at, f'"{text}" is not a scale', "write `scale: 1-5`")
        return "12345"
    return "".join(str(key) for key in range(int(match[1]), int(match[2]) + 1))


def _comment(fields: Fields) -> Comment | None:
    node = fields.node("comment")
    if node is None:
        return None
    if not isinstance(node, Table):
        fields.wrong(node.at, '"comment" must be a table', "write `comment: {say: [your_comment]}`", "shape")
        return None
    inner = Fields(node, f'{fields.what}, "comment"', fields.findings)
    say = inner.spoken("say", required="name the prompts that ask for it: `say: [your_comment]`")
    most, silence, terminator = read_limits(inner)
    inner.finish()
    return Comment(say=say, record=Record(kind=COMMENT, most=most, silence=silence, terminators=terminator))
