"""request_callback: promise the caller a call back, at the number the call comes from or at one keyed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar

from cti.ids import QueueName
from cti.ivr.document import Scalar, Table
from cti.ivr.effects import AskCallback, CallbackPromised, Result
from cti.ivr.expression import Kind
from cti.ivr.flow import DigitsOf, Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.question import Answer, Asking, Question
from cti.ivr.reading import Fields
from cti.ivr.verbs.asked import LONGEST_WAIT, check_key
from cti.model.calendar import DAY
from cti.model.callback_window import CallbackWindow

DAY_OF, TIME_OF = "callback_day", "callback_time"
"""Values a step with windows gives: when the call may come at the earliest."""
NUMBER = "callback_number"
"""The answer that holds the digits, for prompts of later steps."""
RIGHT, OTHER = "1", "2"
"""Keys: this number is right; another one."""
SHORTEST, LONGEST = 5, 15
"""Digits of a number keyed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talking(Memo):
    """Where the conversation is: `asking` None while the callback is being asked for."""

    asking: Asking | None
    keying: bool = False
    """The number is being keyed in, rather than confirmed."""
    keyed: str = field(default="", repr=False)
    """The number keyed in; empty: where the call comes from."""
    changed: int = 0
    """How often another number was asked for."""
    choosing: bool = False
    """The number is right; the part of the day is being asked for."""
    label: str = ""
    """Of the part of the day chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A part of the day that is offered: its key, what people call it, when it is."""

    key: str
    label: str
    window: CallbackWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCallback(Step):
    """Read the number back, take 1 for right and 2 for another, which is keyed in and read back again."""

    verb: ClassVar[str] = "request_callback"
    giving: ClassVar[frozenset[str]] = frozenset({"done"})

    queue: QueueName
    queue_at: Position
    confirm: Question
    number: Question
    go: Target
    not_possible: Target
    windows: tuple[Offered, ...] = ()
    """Parts of the day the caller chooses from; empty: as soon as possible."""
    ask_when: Question | None = None
    """Asks for one of them; there with `windows`."""

    def enter(self, scene: Scene) -> Move:
        """Read back where the call comes from; a caller who withheld the number keys one in."""
        own = str(scene.values.get("caller.number", "")).removeprefix("+")
        return self._read_back(scene, own, Talking(asking=None)) if own else self._key_in(scene, Talking(asking=None))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """A key, silence, or whether it can be."""
        if isinstance(memo, Talking):
            if memo.asking is None and isinstance(result, CallbackPromised):
                return self._promised(scene, memo, result)
            if memo.asking is not None:
                question = self.number if memo.keying else self.confirm
                if memo.choosing and self.ask_when is not None:
                    question = self.ask_when
                answer = question.take(scene, memo.asking, result)
                if answer is not None:
                    return self._judge(answer, memo)
        raise self.confused(result)

    def _promised(self, scene: Scene, memo: Talking, result: CallbackPromised) -> Leave:
        if not result.ok:
            return Leave(exit="not_possible", scene=scene, to=self.not_possible.step)
        if self.windows and result.local is not None:
            when = {DAY_OF: result.local.strftime("%Y-%m-%d"), TIME_OF: result.local.strftime("%H:%M")}
            scene = replace(scene, values={**scene.values, **when})
        return Leave(exit="done", scene=scene, to=self.go.step, choice=memo.label)

    def _read_back(self, scene: Scene, digits: str, memo: Talking) -> Move:
        scene = replace(scene, answers={**scene.answers, NUMBER: digits})
        return self._judge(self.confirm.begin(scene), replace(memo, keying=False))

    def _key_in(self, scene: Scene, memo: Talking) -> Move:
        return self._judge(self.number.begin(scene), replace(memo, keying=True))

    def _judge(self, answer: Answer, memo: Talking) -> Move:
        if isinstance(answer, Leave):
            return answer
        if isinstance(answer, Perform):
            asking = answer.memo
            return replace(answer, memo=replace(memo, asking=asking if isinstance(asking, Asking) else None))
        if memo.choosing:
            chosen = next(one for one in self.windows if one.key == answer.keys)
            effect = AskCallback(queue=self.queue, number=memo.keyed or None, window=chosen.window)
            return Perform(effect=effect, scene=answer.scene, memo=replace(memo, asking=None, label=chosen.label))
        if memo.keying:
            return self._read_back(answer.scene, answer.keys, replace(memo, keyed=answer.keys))
        if answer.keys == RIGHT and self.ask_when is not None:
            return self._judge(self.ask_when.begin(answer.scene), replace(memo, choosing=True))
        if answer.keys == RIGHT:
            effect = AskCallback(queue=self.queue, number=memo.keyed or None)
            return Perform(effect=effect, scene=answer.scene, memo=replace(memo, asking=None))
        if memo.changed >= self.confirm.tries:
            return Leave(exit="invalid", scene=answer.scene, to=self.confirm.invalid.go.step)
        return self._key_in(answer.scene, replace(memo, changed=memo.changed + 1))

    def exits(self) -> tuple[Exit, ...]:
        """Promised, not possible, and the two of the questions."""
        return (
            Exit(name="done", target=self.go, silent=False),
            Exit(name="not_possible", target=self.not_possible, silent=False),
            *self.confirm.exits(),
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """Everything the questions may say."""
        return self.confirm.spoken() + self.number.say + (self.ask_when.say if self.ask_when is not None else ())

    def gives(self) -> Mapping[str, Kind | None]:
        """The number, and when the call may come."""
        when: dict[str, Kind | None] = {DAY_OF: Kind.TEXT, TIME_OF: Kind.TEXT} if self.windows else {}
        return {f"answer.{NUMBER}": Kind.TEXT, **when}

    def uses(self) -> frozenset[str]:
        """Its own number is no use of an earlier one."""
        return Step.uses(self) - {f"answer.{NUMBER}"}


def read(name: str, at: Position, fields: Fields) -> RequestCallback:
    """Read a `request_callback` step."""
    queue = fields.word(
        "request_callback", required="name the queue whose agents call back: `request_callback: support`"
    )
    say = fields.spoken("say")
    asked = fields.spoken("confirm", required="name the prompt that offers the keys 1 and 2: `confirm: right_or_other`")
    tries = fields.whole("tries", 3, least=1, most=9)
    first_digit = fields.duration("first_digit", timedelta(seconds=5), most=LONGEST_WAIT)
    no_input, invalid = fields.retry("no_input"), fields.retry("invalid")
    confirm = Question(
        say=(*say, DigitsOf(answer=NUMBER, at=at), *asked),
        barge_in=True,
        tries=tries,
        first_digit=first_digit,
        no_input=no_input,
        invalid=invalid,
        allowed=RIGHT + OTHER,
    )
    number = Question(
        say=fields.spoken("ask", required="name the prompts that ask for a number: `ask: key_in_your_number`"),
        barge_in=True,
        tries=tries,
        first_digit=first_digit,
        no_input=no_input,
        invalid=invalid,
        least=SHORTEST,
        most=LONGEST,
        allowed="0123456789",
        terminator="#",
        inter_digit=timedelta(seconds=5),
    )
    windows = _windows(fields)
    ask_when = fields.spoken("ask_when")
    if windows and not ask_when:
        fields.missing("ask_when", "name the prompts that offer the parts of the day: `ask_when: morning_or_afternoon`")
    elif ask_when and not windows:
        remedy = 'add `windows: {1: {label: In the morning, from: "09:00", to: "12:00"}}`'
        fields.wrong(at, '"ask_when" offers what is not there', remedy, "missing_field")
    choose = replace(confirm, say=ask_when, allowed="".join(one.key for one in windows)) if windows else None
    return RequestCallback(
        name=name,
        at=at,
        windows=windows,
        ask_when=choose,
        queue=QueueName(queue.text),
        queue_at=queue.at,
        confirm=confirm,
        number=number,
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
        not_possible=fields.exit(
            "not_possible", remedy="say where a caller goes whose number cannot be called: `not_possible: <step>`"
        ),
    )


_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)


def _windows(fields: Fields) -> tuple[Offered, ...]:
    """`windows: {2: {label: In the morning, from: "09:00", to: "12:00"}}`; without `from` and `to`: as soon as possible."""
    found: list[Offered] = []
    for key, node in fields.rows("windows"):
        check_key(key.text, key.at, fields)
        if not isinstance(node, Table):
            remedy = f'write `{key.text}: {{label: In the morning, from: "09:00", to: "12:00"}}`'
            fields.wrong(node.at, "a part of the day is a table", remedy, "shape")
            continue
        inner = Fields(node, f'{fields.what}, "windows"', fields.findings)
        label = inner.scalar("label", required="say what people call it: `label: In the morning`")
        begins, ends = _minute(inner, "from", 0), _minute(inner, "to", DAY)
        if begins >= ends:
            inner.wrong(node.at, "it ends before it begins", 'write `from: "09:00", to: "12:00"`')
        inner.finish()
        window = CallbackWindow(begins=begins, ends=ends)
        found.append(Offered(key=key.text, label=label.text if label is not None else "", window=window))
    return tuple(found)


def _minute(fields: Fields, key: str, default: int) -> int:
    found: Scalar | None = fields.scalar(key)
    if found is None:
        return default
    if not _TIME.fullmatch(found.text):
        fields.wrong(found.at, f'"{found.text}" is not a time of the day', f'write `{key}: "09:00"`, in quotes')
        return default
    hours, _, minutes = found.text.partition(":")
    return int(hours) * 60 + int(minutes)
