"""open_hours: one way while a calendar of the centre is open, another while it is closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cti.ivr.effects import AskCalendar, CalendarSeen, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHours(Step):
    """Ask the calendar. Holidays and special days are in it."""

    verb: ClassVar[str] = "open_hours"

    calendar: str
    calendar_at: Position
    open: Target
    closed: Target

    def enter(self, scene: Scene) -> Move:
        """Ask."""
        return Perform(effect=AskCalendar(calendar=self.calendar), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Open or closed."""
        if not isinstance(result, CalendarSeen):
            raise self.confused(result)
        name, target = ("open", self.open) if result.is_open else ("closed", self.closed)
        return Leave(exit=name, scene=scene, to=target.step)

    def exits(self) -> tuple[Exit, ...]:
        """The two ways."""
        return (Exit(name="open", target=self.open, silent=True), Exit(name="closed", target=self.closed, silent=True))


def read(name: str, at: Position, fields: Fields) -> OpenHours:
    """Read an `open_hours` step."""
    calendar = fields.word("open_hours", required="name a calendar of the centre: `open_hours: office`")
    return OpenHours(
        name=name,
        at=at,
        calendar=calendar.text,
        calendar_at=calendar.at,
        open=fields.exit("open"),
        closed=fields.exit("closed"),
    )
