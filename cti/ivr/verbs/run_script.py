"""run_script: hand the caller to a synchronous AGI script, and go on when it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from cti.ivr.effects import Result, RunScript, ScriptEnded
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields

LONGEST = timedelta(minutes=4)
"""A session of a flow may take five minutes, then the bridge counts as hung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Step):
    """Run a script. It speaks with the caller itself; what it learns it may leave in channel variables, not in the flow."""

    verb: ClassVar[str] = "run_script"

    script: str
    script_at: Position
    deadline: timedelta
    go: Target
    failed: Target
    overdue: Target

    def enter(self, scene: Scene) -> Move:
        """Run it."""
        return Perform(effect=RunScript(script=self.script, deadline=self.deadline), scene=replace(scene, typed=""))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """It ended."""
        if not isinstance(result, ScriptEnded):
            raise self.confused(result)
        to = {"done": self.go, "failed": self.failed, "overdue": self.overdue}[result.status]
        return Leave(exit=result.status, scene=scene, to=to.step)

    def exits(self) -> tuple[Exit, ...]:
        """It ended by itself, it failed, its time was up. It may ask nothing, so a silent caller may leave by any."""
        return tuple(
            Exit(name=name, target=target, silent=True)
            for name, target in (("done", self.go), ("failed", self.failed), ("overdue", self.overdue))
        )


def read(name: str, at: Position, fields: Fields) -> Script:
    """Read a `run_script` step."""
    script = fields.word("run_script", required="name a script of the folder `scripts`: `run_script: check_pin`")
    failed = fields.exit("failed", remedy="say where the call goes when the script fails: `failed: <step>`")
    return Script(
        name=name,
        at=at,
        script=script.text,
        script_at=script.at,
        deadline=fields.duration("deadline", timedelta(seconds=60), least=timedelta(seconds=1), most=LONGEST),
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
        failed=failed,
        overdue=fields.target("overdue") or failed,
    )
