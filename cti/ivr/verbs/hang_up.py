"""hang_up: say goodbye; the end of the flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.document import Scalar
from cti.ivr.effects import ALL_KEYS, HangUp, Heard, Play, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step
from cti.ivr.problems import Position
from cti.ivr.reading import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye(Step):
    """Say the last words and hang up: the machine has served the caller."""

    verb: ClassVar[str] = "hang_up"
    ends_flow: ClassVar[bool] = True
    ends_call: ClassVar[bool] = True

    say: tuple[Spoken, ...]

    def enter(self, scene: Scene) -> Move:
        """Say it, or end at once when there is nothing to say."""
        scene = replace(scene, typed="")
        if not self.say:
            return self._end(scene)
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Said."""
        if not isinstance(result, Heard):
            raise self.confused(result)
        return self._end(scene)

    def _end(self, scene: Scene) -> Leave:
        return Leave(exit="done", scene=scene, ending=HangUp())

    def exits(self) -> tuple[Exit, ...]:
        """None: the flow ends here."""
        return ()

    def spoken(self) -> tuple[Spoken, ...]:
        """The last words."""
        return self.say


def read(name: str, at: Position, fields: Fields) -> Goodbye:
    """Read a `hang_up` step: `hang_up: [goodbye]`, or `hang_up: silently`."""
    node = fields.node("hang_up")
    silent = isinstance(node, Scalar) and node.text == "silently"
    return Goodbye(
        name=name, at=at, say=() if silent else fields.spoken("hang_up", required="write `hang_up: [goodbye]`")
    )
