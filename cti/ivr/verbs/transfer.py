"""transfer: connect the caller to an outside number; the flow goes on only where nobody answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.document import Scalar, Table
from cti.ivr.effects import ALL_KEYS, GoElsewhere, Heard, NotAnswered, Play, Result, SendTo, Sent
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields
from cti.model.centre import Target as Place
from cti.model.centre import TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(Memo):
    """The words before were said; the caller is being sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Step):
    """Say something, then out over the trunk. The number stands in the flow: nothing a caller keys in is ever dialled."""

    verb: ClassVar[str] = "transfer"

    number: str
    number_at: Position
    say: tuple[Spoken, ...]
    busy: Target
    no_answer: Target
    failure: Target

    def enter(self, scene: Scene) -> Move:
        """Say it; a key skips that and means nothing else."""
        scene = replace(scene, typed="")
        if not self.say:
            return self._send(scene)
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Said, sent, or back."""
        if memo is None and isinstance(result, Heard):
            return self._send(scene)
        if isinstance(result, NotAnswered):
            to = {"busy": self.busy, "no_answer": self.no_answer, "failure": self.failure}[result.status]
            return Leave(exit=result.status, scene=scene, to=to.step)
        if isinstance(memo, Sending) and isinstance(result, Sent):
            if result.ok:
                return Leave(exit="sent", scene=scene, ending=GoElsewhere())
            return Leave(exit="failure", scene=scene, to=self.failure.step)
        raise self.confused(result)

    def _send(self, scene: Scene) -> Perform:
        return Perform(
            effect=SendTo(target=Place(kind=TargetKind.NUMBER, name=self.number)), scene=scene, memo=Sending()
        )

    def exits(self) -> tuple[Exit, ...]:
        """The three ways nobody answers."""
        return tuple(
            Exit(name=name, target=target, silent=True)
            for name, target in (("busy", self.busy), ("no_answer", self.no_answer), ("failure", self.failure))
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """What is said before."""
        return self.say


def read(name: str, at: Position, fields: Fields) -> Transfer:
    """Read a `transfer` step: `transfer: {number: "+15550100"}`."""
    remedy = 'write `transfer: {number: "+15550100042"}`'
    node = fields.node("transfer")
    found = node.get("number") if isinstance(node, Table) else None
    if not isinstance(node, Table) or not isinstance(found, Scalar) or len(node.entries) != 1:
        fields.wrong(node.at if node is not None else at, '"transfer" needs a number', remedy, "shape")
        found = Scalar("", at)
    failure = fields.exit("failure", remedy="say where the call goes when nobody can be reached: `failure: <step>`")
    return Transfer(
        name=name,
        at=at,
        number=found.text,
        number_at=found.at,
        say=fields.spoken("say"),
        busy=fields.target("busy") or failure,
        no_answer=fields.target("no_answer") or failure,
        failure=failure,
    )
