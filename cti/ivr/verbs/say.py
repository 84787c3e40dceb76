"""say: play prompts and go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.effects import ALL_KEYS, Heard, Play, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Step):
    """Play prompts. With `barge_in` a key stops them and is kept for the next question; # only skips."""

    verb: ClassVar[str] = "say"

    say: tuple[Spoken, ...]
    barge_in: bool
    go: Target

    def enter(self, scene: Scene) -> Move:
        """Play, unless the caller already typed ahead."""
        if scene.typed and self.barge_in:
            return self._done(scene)
        play = Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS if self.barge_in else "")
        return Perform(effect=play, scene=replace(scene, typed=""))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Played."""
        if not isinstance(result, Heard):
            raise self.confused(result)
        if result.digit is not None and result.digit != "#":
            scene = replace(scene, typed=result.digit)
        return self._done(scene)

    def _done(self, scene: Scene) -> Leave:
        return Leave(exit="done", scene=scene, to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """The one way on."""
        return (Exit(name="done", target=self.go, silent=True),)

    def spoken(self) -> tuple[Spoken, ...]:
        """The prompts."""
        return self.say


def read(name: str, at: Position, fields: Fields) -> Say:
    """Read a `say` step."""
    return Say(
        name=name,
        at=at,
        say=fields.spoken("say", required="name the prompts to play: `say: [welcome]`"),
        barge_in=fields.flag("barge_in", True),
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
    )
