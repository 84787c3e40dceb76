"""record: take down what the caller says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from cti.ivr.effects import ALL_KEYS, Heard, Play, Record, Recorded, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields

LONGEST = timedelta(minutes=3)
"""Of one recording. A session of a flow may take five minutes, then the bridge counts as hung."""
MESSAGE = "message"
"""The kind of what this step records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking(Memo):
    """The tone was given, or is about to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMessage(Step):
    """Say what to do, a tone, then record. A caller who hangs up while speaking has left the message all the same."""

    verb: ClassVar[str] = "record"

    say: tuple[Spoken, ...]
    most: timedelta
    silence: timedelta
    terminator: str
    go: Target
    empty: Target
    failure: Target

    def enter(self, scene: Scene) -> Move:
        """Say it; a key skips that and means nothing else."""
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=replace(scene, typed=""))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Said, or recorded."""
        if memo is None and isinstance(result, Heard):
            effect = Record(kind=MESSAGE, most=self.most, silence=self.silence, terminators=self.terminator)
            return Perform(effect=effect, scene=scene, memo=Speaking())
        if isinstance(memo, Speaking) and isinstance(result, Recorded):
            to = {"recorded": self.go, "empty": self.empty, "failure": self.failure}[result.status]
            return Leave(exit=result.status, scene=scene, to=to.step)
        raise self.confused(result)

    def exits(self) -> tuple[Exit, ...]:
        """Recorded, nothing said, not possible. Noise is taken for speech, so a silent caller may leave by any of them."""
        return tuple(
            Exit(name=name, target=target, silent=True)
            for name, target in (("recorded", self.go), ("empty", self.empty), ("failure", self.failure))
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """What is said before the tone."""
        return self.say


def read(name: str, at: Position, fields: Fields) -> RecordMessage:
    """Read a `record` step."""
    say = fields.spoken("record", required="name the prompts that say what to do: `record: [speak_after_the_tone]`")
    most, silence, terminator = read_limits(fields)
    return RecordMessage(
        name=name,
        at=at,
        say=say,
        most=most,
        silence=silence,
        terminator=terminator,
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
        empty=fields.exit("empty", remedy="say where a caller goes who said nothing: `empty: <step>`"),
        failure=fields.exit(
            "failure", remedy="say where the call goes when nothing can be recorded: `failure: <step>`"
        ),
    )


def read_limits(fields: Fields) -> tuple[timedelta, timedelta, str]:
    """The longest, the silence that ends it, and the keys that do."""
    terminator = fields.scalar("terminator")
    if terminator is not None and terminator.text not in ("#", "*", "any", "none"):
        fields.wrong(
            terminator.at, f'"{terminator.text}" cannot end a recording', 'use "#", "*", any or none', "bad_key"
        )
    keys = {"any": ALL_KEYS, "none": ""}
    return (
        fields.duration("most", timedelta(seconds=90), least=timedelta(seconds=2), most=LONGEST),
        fields.duration("silence", timedelta(seconds=4), least=timedelta(seconds=2), most=timedelta(seconds=30)),
        keys.get(terminator.text, terminator.text) if terminator is not None else "#",
    )
