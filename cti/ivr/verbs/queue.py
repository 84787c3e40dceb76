"""queue: give the caller a place in a queue; the end of the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from cti.ids import QueueName
from cti.ivr.document import Scalar
from cti.ivr.effects import (
    ALL_KEYS,
    Attach,
    AwaitAgent,
    ClockSeen,
    Done,
    Enqueue,
    Heard,
    LookAtClock,
    Play,
    Result,
)
from cti.ivr.expression import Value
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Written
from cti.ivr.names import clock_values, needs_clock
from cti.ivr.problems import Position
from cti.ivr.reading import Fields
from cti.model.requirement import ANYBODY, Requirement, RequirementError, parse_requirement

MOST_DATA, LONGEST_LABEL, LONGEST_TEXT = 10, 40, 200


def shown(value: Value) -> str:
    """A value as agents read it."""
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return text[:LONGEST_TEXT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced(Memo):
    """The announcement was played; the place in the queue is being taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(Memo):
    """What agents see is with the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue(Step):
    """Say what happens next, then queue. A key skips the announcement and means nothing else."""

    verb: ClassVar[str] = "queue"
    ends_flow: ClassVar[bool] = True
    ends_call: ClassVar[bool] = True

    queue: QueueName
    queue_at: Position
    say: tuple[Spoken, ...]
    skills: tuple[tuple[str, int], ...]
    requires: Requirement
    requires_at: Position
    head_start: timedelta
    data: tuple[Written, ...] = ()
    """What agents see with the call, by label; a value that cannot be computed is left out."""

    def enter(self, scene: Scene) -> Move:
        """Work out what agents see, then announce."""
        scene = replace(scene, typed="")
        if self.data:
            if needs_clock(written.tree for written in self.data):
                return Perform(effect=LookAtClock(), scene=scene)
            return self._attach(scene, {})
        return self._announce(scene)

    def _attach(self, scene: Scene, clock: Mapping[str, Value]) -> Move:
        found = ((written.gives, scene.compute(written.tree, clock)) for written in self.data)
        data = tuple((label, shown(value)) for label, value in found if value is not None)
        return Perform(effect=Attach(data=data), scene=scene, memo=Attached()) if data else self._announce(scene)

    def _announce(self, scene: Scene) -> Move:
        if not self.say:
            return self._enqueue(scene)
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """The time, attached, announced, or queued."""
        if memo is None and isinstance(result, ClockSeen):
            return self._attach(scene, clock_values(result.local))
        if isinstance(memo, Attached) and isinstance(result, Done):
            return self._announce(scene)
        if memo is None and isinstance(result, Heard):
            return self._enqueue(scene)
        if isinstance(memo, Announced) and isinstance(result, Done):
            return Leave(exit="queued", scene=scene, ending=AwaitAgent())
        raise self.confused(result)

    def _enqueue(self, scene: Scene) -> Perform:
        effect = Enqueue(queue=self.queue, skills=self.skills, requires=self.requires, head_start=self.head_start)
        return Perform(effect=effect, scene=scene, memo=Announced())

    def exits(self) -> tuple[Exit, ...]:
        """None: the flow ends here."""
        return ()

    def spoken(self) -> tuple[Spoken, ...]:
        """The announcement."""
        return self.say

    def expressions(self) -> tuple[Written, ...]:
        """What agents see."""
        return tuple(replace(written, gives="") for written in self.data)


def read(name: str, at: Position, fields: Fields) -> Queue:
    """Read a `queue` step."""
    queue = fields.word("queue", required="name the queue: `queue: support`")
    skills = []
    for key, node in fields.rows("skills"):
        if isinstance(node, Scalar):
            skills.append((key.text, fields.whole_of(node, key.text, 1, least=1, most=5)))
        else:
            fields.wrong(node.at, f'skill "{key.text}" needs a proficiency', f"write `{key.text}: 3`", "shape")
    requires_at, requires = _requirement(fields)
    data: list[Written] = []
    for key, node in fields.rows("data"):
        if not isinstance(node, Scalar):
            fields.wrong(node.at, f'"{key.text}" needs an expression', f"write `{key.text}: 'expression'`", "shape")
        elif not key.text.isprintable() or len(key.text) > LONGEST_LABEL or len(data) == MOST_DATA:
            remedy = f"at most {MOST_DATA} of them, each with a name of at most {LONGEST_LABEL} characters"
            fields.wrong(key.at, f'"{key.text[:LONGEST_LABEL]}" cannot be shown to agents', remedy)
        else:
            data.append(fields.expression(node, gives=key.text))
    return Queue(
        name=name,
        at=at,
        queue=QueueName(queue.text),
        queue_at=queue.at,
        say=fields.spoken("say"),
        skills=tuple(skills),
        requires=requires,
        requires_at=requires_at,
        data=tuple(data),
        head_start=fields.duration("head_start", timedelta(), least=timedelta(), most=timedelta(hours=4)),
    )


def _requirement(fields: Fields) -> tuple[Position, Requirement]:
    """What `requires` asks of an agent, and where it stands; a problem is noted at the column where it goes wrong."""
    found = fields.scalar("requires")
    if found is None:
        return fields.at, ANYBODY
    try:
        return found.at, parse_requirement(found.text)
    except RequirementError as error:
        at = Position(line=found.at.line, column=found.at.column + error.column - 1 + found.quoted)
        fields.wrong(at, error.message, error.remedy, "requirement")
        return at, ANYBODY
