"""set: give names to values, for conditions and prompts later on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.document import Scalar
from cti.ivr.effects import ClockSeen, LookAtClock, Result
from cti.ivr.expression import Kind, Value
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Step, Target, Written
from cti.ivr.names import clock_values, needs_clock
from cti.ivr.problems import Position
from cti.ivr.reading import WORD, Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(Step):
    """Compute the values in order; each may use those before it. One that cannot be computed leads to `failure`."""

    verb: ClassVar[str] = "set"
    giving: ClassVar[frozenset[str]] = frozenset({"done"})

    values: tuple[Written, ...]
    go: Target
    failure: Target

    def enter(self, scene: Scene) -> Move:
        """Compute; the clock is asked for first where an expression needs it."""
        if needs_clock(value.tree for value in self.values):
            return Perform(effect=LookAtClock(), scene=scene)
        return self._compute(scene, {})

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """The time."""
        if not isinstance(result, ClockSeen):
            raise self.confused(result)
        return self._compute(scene, clock_values(result.local))

    def _compute(self, scene: Scene, clock: Mapping[str, Value]) -> Leave:
        after = scene
        for written in self.values:
            value = after.compute(written.tree, clock)
            if value is None:
                return Leave(exit="failure", scene=scene, to=self.failure.step)
            after = replace(after, values={**after.values, written.gives: value})
        return Leave(exit="done", scene=after, to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """On, or failed."""
        return (Exit(name="done", target=self.go, silent=True), Exit(name="failure", target=self.failure, silent=True))

    def gives(self) -> Mapping[str, Kind | None]:
        """The names."""
        return {written.gives: None for written in self.values}

    def expressions(self) -> tuple[Written, ...]:
        """The values."""
        return self.values


def read(name: str, at: Position, fields: Fields) -> Set:
    """Read a `set` step."""
    values: list[Written] = []
    for key, node in fields.rows("set", required="write `set: {name: 'expression'}`"):
        if not WORD.fullmatch(key.text):
            fields.wrong(key.at, f'"{key.text}" is not a name', "use small letters, digits and _")
        elif isinstance(node, Scalar):
            values.append(fields.expression(node, gives=key.text))
        else:
            fields.wrong(node.at, f'"{key.text}" needs an expression', f"write `{key.text}: 'expression'`", "shape")
    go = fields.exit("go", remedy="say which step comes next: `go: <step>`")
    failure = fields.exit(
        "failure", remedy="say where the call goes when a value cannot be computed: `failure: <step>`"
    )
    return Set(name=name, at=at, values=tuple(values), go=go, failure=failure)
