"""python: call a function in Python, and keep parts of what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from cti.ivr.effects import CallFunction
from cti.ivr.effects import CallService as Effect
from cti.ivr.expression import Value
from cti.ivr.problems import Position
from cti.ivr.reading import Fields
from cti.ivr.verbs.call_service import Service, read_asking

LONGEST = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(Service):
    """As `call_service`, but what is asked is a function of the centre's list. One that gives None has not found it."""

    verb: ClassVar[str] = "python"

    deadline: timedelta

    def asking(self, values: Mapping[str, Value]) -> Effect | CallFunction:
        """The call."""
        return CallFunction(function=self.service, values=values, deadline=self.deadline)


def read(name: str, at: Position, fields: Fields) -> Function:
    """Read a `python` step."""
    asked = read_asking("python", fields, "name a function of the centre: `python: discount`")
    deadline = fields.duration("deadline", timedelta(seconds=2), most=LONGEST)
    return Function(name=name, at=at, deadline=deadline, **asked)
