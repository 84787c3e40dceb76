"""What every part of quality in the database shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import orjson

from cti.clock import Clock
from cti.model.centre import Centre
from cti.quality.rows import QualityRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityGround:
    """What the parts stand on."""

    pool: asyncpg.Pool
    clock: Clock
    centre: Callable[[], Centre]

    def now(self) -> datetime:
        """The time."""
        return self.clock.now()

    def zone(self) -> ZoneInfo:
        """The centre's time zone: its days are what counts."""
        return ZoneInfo(self.centre().time_zone)

    def today(self) -> date:
        """The centre's day."""
        return self.now().astimezone(self.zone()).date()

    def start_of(self, day: date) -> datetime:
        """The moment a day of the centre begins."""
        return datetime.combine(day, time(), tzinfo=self.zone())


class Wanted:
    """Conditions of a query, and the values they name: "$1", "$2" in the order they are given."""

    def __init__(self, *values: Any) -> None:
        self.values: list[Any] = list(values)
        self._parts: list[str] = []

    def value(self, value: Any) -> str:
        """The place of a value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str, *values: Any) -> None:
        """A condition; each {} in it stands for the next value."""
        self._parts.append(condition.format(*(self.value(value) for value in values)))

    def where(self) -> str:
        """WHERE and everything that was added; empty for nothing."""
        return f" WHERE {' AND '.join(self._parts)}" if self._parts else ""


def dumps(value: object) -> str:
    """JSON text for a jsonb column."""
    return orjson.dumps(value).decode()


def loads(text: str) -> Any:
    """A jsonb column's value."""
    return orjson.loads(text)


def conflict(what: str) -> QualityRefused:
    """Somebody else changed it meanwhile."""
    return QualityRefused(
        "edit_conflict", f"somebody changed this {what} meanwhile", remedy="read it again, then decide"
    )


def unknown(what: str, number: int) -> QualityRefused:
    """There is no such thing."""
    return QualityRefused(f"unknown_{what}", f"there is no {what} {number}", status=404, remedy="see the list")


def only(queues: Sequence[str] | None, wanted: Wanted, column: str) -> None:
    """Leave out what is not of these queues; None: nothing is left out."""
    if queues is not None:
        wanted.add(column + " = ANY({}::text[])", list(queues))
