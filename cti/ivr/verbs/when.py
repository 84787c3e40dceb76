"""when: the first of several conditions that holds decides where the call goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cti.ivr.document import Listing, Table
from cti.ivr.effects import ClockSeen, LookAtClock, Result
from cti.ivr.expression import Kind, Value
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Step, Target, Written
from cti.ivr.names import clock_values, needs_clock
from cti.ivr.problems import Position
from cti.ivr.reading import Fields

MOST_CASES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One condition and where it leads."""

    condition: Written
    go: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class When(Step):
    """Look at the conditions in order. One that cannot be computed does not hold."""

    verb: ClassVar[str] = "when"

    cases: tuple[Case, ...]
    otherwise: Target

    def enter(self, scene: Scene) -> Move:
        """Decide; the clock is asked for first where a condition needs it."""
        if needs_clock(case.condition.tree for case in self.cases):
            return Perform(effect=LookAtClock(), scene=scene)
        return self._decide(scene, {})

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """The time."""
        if not isinstance(result, ClockSeen):
            raise self.confused(result)
        return self._decide(scene, clock_values(result.local))

    def _decide(self, scene: Scene, clock: Mapping[str, Value]) -> Leave:
        for number, case in enumerate(self.cases, 1):
            if scene.compute(case.condition.tree, clock) is True:
                return Leave(exit=f"case_{number}", scene=scene, to=case.go.step)
        return Leave(exit="else", scene=scene, to=self.otherwise.step)

    def exits(self) -> tuple[Exit, ...]:
        """One for each condition, and `else`."""
        cases = [Exit(name=f"case_{n}", target=case.go, silent=True) for n, case in enumerate(self.cases, 1)]
        return (*cases, Exit(name="else", target=self.otherwise, silent=True))

    def expressions(self) -> tuple[Written, ...]:
        """The conditions."""
        return tuple(case.condition for case in self.cases)


def read(name: str, at: Position, fields: Fields) -> When:
    """Read a `when` step."""
    cases: list[Case] = []
    node = fields.node("when")
    rows = node.items if isinstance(node, Listing) else ()
    if not rows or len(rows) > MOST_CASES:
        remedy = "write `when: [{if: 'customer.tier == \"vip\"', go: vip_desk}]`"
        fields.wrong(node.at if node is not None else at, f'"when" needs 1 to {MOST_CASES} conditions', remedy, "shape")
    for row in rows:
        if not isinstance(row, Table):
            fields.wrong(row.at, "a condition is a table", "write `{if: .., go: ..}`", "shape")
            continue
        inner = Fields(row, f'{fields.what}, "when"', fields.findings)
        condition = inner.scalar("if", required="write the condition: `if: 'customer.tier == \"vip\"'`")
        go = inner.exit("go", remedy="say where it leads: `go: <step>`")
        inner.finish()
        if condition is not None:
            cases.append(Case(condition=inner.expression(condition, Kind.FLAG), go=go))
    otherwise = fields.exit("else", remedy="say where the call goes when no condition holds: `else: <step>`")
    return When(name=name, at=at, cases=tuple(cases), otherwise=otherwise)
