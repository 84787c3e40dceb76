"""voicemail: the caller leaves a message in the voicemail box; the end of the flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.document import Scalar
from cti.ivr.effects import ALL_KEYS, GoElsewhere, Heard, Play, Result, SendTo, Sent
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step
from cti.ivr.problems import Position
from cti.ivr.reading import Fields
from cti.model.centre import VOICEMAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(Memo):
    """The words before were said; the caller is being sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail(Step):
    """Say something, then to the voicemail box, which has words and a tone of its own and works without the bridge."""

    verb: ClassVar[str] = "voicemail"
    ends_flow: ClassVar[bool] = True
    ends_call: ClassVar[bool] = True

    say: tuple[Spoken, ...]

    def enter(self, scene: Scene) -> Move:
        """Say it; a key skips that and means nothing else."""
        scene = replace(scene, typed="")
        if not self.say:
            return self._send(scene)
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Said, or sent."""
        if memo is None and isinstance(result, Heard):
            return self._send(scene)
        if isinstance(memo, Sending) and isinstance(result, Sent):
            return Leave(exit="sent", scene=scene, ending=GoElsewhere())
        raise self.confused(result)

    def _send(self, scene: Scene) -> Perform:
        return Perform(effect=SendTo(target=VOICEMAIL), scene=scene, memo=Sending())

    def exits(self) -> tuple[Exit, ...]:
        """None: the flow ends here."""
        return ()

    def spoken(self) -> tuple[Spoken, ...]:
        """What is said before."""
        return self.say


def read(name: str, at: Position, fields: Fields) -> Voicemail:
    """Read a `voicemail` step: `voicemail: [sorry]`, or `voicemail: silently`."""
    node = fields.node("voicemail")
    silent = isinstance(node, Scalar) and node.text == "silently"
    required = "write `voicemail: silently`, or what is said before: `voicemail: [sorry]`"
    return Voicemail(name=name, at=at, say=() if silent else fields.spoken("voicemail", required=required))
