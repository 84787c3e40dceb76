"""queue: give the caller a place in a queue; the end of the flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from cti.ids import QueueName
from cti.ivr.document import Scalar
from cti.ivr.effects import ALL_KEYS, AwaitAgent, Done, Enqueue, Heard, Play, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step
from cti.ivr.problems import Position
from cti.ivr.reading import Fields
from cti.model.requirement import ANYBODY, Requirement, RequirementError, parse_requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced(Memo):
    """The announcement was played; the place in the queue is being taken."""


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

    def enter(self, scene: Scene) -> Move:
        """Announce."""
        scene = replace(scene, typed="")
        if not self.say:
            return self._enqueue(scene)
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Announced, or queued."""
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
    return Queue(
        name=name,
        at=at,
        queue=QueueName(queue.text),
        queue_at=queue.at,
        say=fields.spoken("say"),
        skills=tuple(skills),
        requires=requires,
        requires_at=requires_at,
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
