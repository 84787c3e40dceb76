"""A flow as a frozen value, and what every step of it can do.

A step is entered with a `Scene` and answers with a move: `Perform` an effect and be told the result, or `Leave` by one
of its exits. Steps hold no state; what a step must remember between two effects travels as its memo.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from cti.errors import CtiError
from cti.ids import FlowName
from cti.ivr.effects import Effect, Ending, Result, Sound
from cti.ivr.expression import Expression, ExpressionFault, Kind, Value, evaluate, names_in
from cti.ivr.names import NOBODY
from cti.ivr.problems import Position
from cti.ivr.spoken_values import SaidAs, say_value


class UnexpectedResult(CtiError):
    """The interpreter was given a result its last effect cannot have: a fault of the program, never of a caller."""

    error_id = "unexpected_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The step an exit leads to, and where the text says so."""

    step: str
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt of the manifest. `language` None means the caller's language."""

    name: str
    language: str | None
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsOf:
    """The digits a `collect` step kept under `answer`, read out one by one."""

    answer: str
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words written in the flow itself, by language; spoken by the voice under the name `name`."""

    name: str
    texts: Mapping[str, str]
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueOf:
    """A computed value, read out as `how` says. One that cannot be computed or said is left out."""

    written: Written
    how: SaidAs
    currency: str
    at: Position


Spoken = Prompt | DigitsOf | Text | ValueOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An expression and where the text has it. `kind` is what it must be, None for any; `gives` the name it is kept under."""

    tree: Expression
    at: Position
    """Where the expression's first character stands."""
    kind: Kind | None = None
    gives: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One way out of a step.

    `silent` is True when a caller who presses nothing may leave by it: a loop of such exits would never end.
    """

    name: str
    target: Target
    silent: bool
    label: str = ""
    """What people call it, where that is not its name: a menu's word for a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known of the call while its flow runs."""

    language: str
    languages: tuple[str, ...]
    typed: str = field(default="", repr=False)
    """Keys pressed ahead of the question they answer."""
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Digits collected, by the name the flow gave them."""
    values: Mapping[str, Value] = field(default_factory=lambda: dict(NOBODY), repr=False)
    """What expressions may use besides answers and the language: see `names`."""

    def compute(self, tree: Expression, more: Mapping[str, Value] = MappingProxyType({})) -> Value | None:
        """The value of an expression now, None where it cannot be computed."""
        answers = {f"answer.{name}": digits for name, digits in self.answers.items()}
        try:
            return evaluate(tree, {**self.values, **answers, "call.language": self.language, **more})
        except ExpressionFault:
            return None

    def sounds(self, spoken: tuple[Spoken, ...]) -> tuple[Sound, ...]:
        """The sound files for what is to be said, in the caller's language."""
        sounds: list[Sound] = []
        for part in spoken:
            if isinstance(part, Prompt):
                sounds.append(Sound(language=part.language or self.language, name=part.name))
            elif isinstance(part, Text):
                sounds.append(Sound(language=self.language, name=part.name))
            elif isinstance(part, ValueOf):
                value = self.compute(part.written.tree)
                words = () if value is None else say_value(value, part.how, part.currency, self.language)
                sounds.extend(Sound(language=self.language, name=word) for word in words)
            else:
                digits = self.answers.get(part.answer, "")
                sounds.extend(Sound(language=self.language, name=f"digit_{digit}") for digit in digits)
        return tuple(sounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """Base of what a step remembers between two effects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perform:
    """Stay in the step: perform `effect`, then `take` its result."""

    effect: Effect
    scene: Scene
    memo: Memo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Leave the step by `exit`: on to the step `to`, or to the end of the flow when `ending` is set."""

    exit: str
    scene: Scene
    to: str | None = None
    choice: str = ""
    ending: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Go into another flow; the step is told `CameBack` when that one returns."""

    flow: Flow
    scene: Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """The end of a sub-flow: back to the step that called it, which is told `word`. Elsewhere the end of the call."""

    word: str
    scene: Scene


Move = Perform | Leave | Begin | Return


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ABC):
    """One step of a flow. Subclasses are the verbs, one file each under `cti/ivr/verbs`."""

    verb: ClassVar[str]
    ends_flow: ClassVar[bool] = False
    """True for verbs that lead to no further step."""
    ends_call: ClassVar[bool] = False
    """True for verbs after which no flow goes on, not even the one that called this."""
    giving: ClassVar[frozenset[str]] = frozenset()
    """Names of the exits on which `gives` has been given."""

    name: str
    at: Position

    @abstractmethod
    def enter(self, scene: Scene) -> Move:
        """Begin the step."""

    @abstractmethod
    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Go on with the result of the effect last asked for (never `Gone`; the interpreter keeps that).

        Raises `UnexpectedResult`.
        """

    @abstractmethod
    def exits(self) -> tuple[Exit, ...]:
        """Every way out, in the order written."""

    def spoken(self) -> tuple[Spoken, ...]:
        """Everything the step may say."""
        return ()

    def gives(self) -> Mapping[str, Kind | None]:
        """Names that have a value after this step, with their types; None: the type of an expression."""
        return {}

    def expressions(self) -> tuple[Written, ...]:
        """Every expression the step computes."""
        return ()

    def written(self) -> tuple[Written, ...]:
        """Every expression of the step, those it reads out among them."""
        return (*self.expressions(), *(part.written for part in self.spoken() if isinstance(part, ValueOf)))

    def uses(self) -> frozenset[str]:
        """Names whose values the step asks for."""
        computed = (names_in(written.tree) for written in self.written())
        read_out = {f"answer.{part.answer}" for part in self.spoken() if isinstance(part, DigitsOf)}
        return frozenset().union(read_out, *computed)

    def confused(self, result: Result) -> UnexpectedResult:
        """The error for a result that fits no effect of this step."""
        return UnexpectedResult(
            f'step "{self.name}" ({self.verb}) was given {type(result).__name__}', step=self.name, verb=self.verb
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One version of one flow. `version` is derived from the text, so equal texts are equal versions."""

    name: FlowName
    title: str
    version: str
    file: str
    languages: tuple[str, ...]
    """The languages it speaks; the first is used when the caller's is none of them."""
    start: Target
    failure: Target
    """Where a call goes when the flow cannot go on. Always a step that ends the flow, so it always gets there."""
    steps: Mapping[str, Step]
    languages_at: tuple[Position, ...]
