"""Opening hours as centre.yaml has them: the forms, and the calendar they make."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import Annotated

from pydantic import StringConstraints, field_validator, model_validator

from cti.form_types import Form
from cti.model.calendar import DAY, Calendar, Span

HOLIDAY_YEARS = range(2020, 2051)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(24:00|(?:[01][0-9]|2[0-3]):[0-5][0-9])")


class HolidaysForm(Form):
    """A country's public holidays."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    subdivision: str = ""

    @model_validator(mode="after")
    def _known(self) -> HolidaysForm:
        try:
            _holidays(self.country, self.subdivision)
        except NotImplementedError:
            raise ValueError(f"no holidays are known of {self.country} {self.subdivision}".rstrip()) from None
        return self


class CalendarForm(Form):
    """Opening hours."""

    hours: dict[str, str | list[str]]
    holidays: HolidaysForm | None = None
    closed: list[date] = []
    special: dict[date, str | list[str]] = {}

    @field_validator("hours")
    @classmethod
    def _days(cls, value: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        seen: set[int] = set()
        for days, spans in value.items():
            numbers = _days_of(days)
            if twice := seen & set(numbers):
                raise ValueError(f"{_WEEKDAYS[min(twice)]} is named twice")
            seen |= set(numbers)
            _spans(spans)
        return value

    @field_validator("special")
    @classmethod
    def _special(cls, value: dict[date, str | list[str]]) -> dict[date, str | list[str]]:
        for spans in value.values():
            _spans(spans)
        return value


def calendar_of(name: str, c: CalendarForm) -> Calendar:
    """The calendar a form tells of, its holidays as days of `HOLIDAY_YEARS`. A special day counts before a closed one."""
    week: list[tuple[Span, ...]] = [()] * 7
    for days, spans in c.hours.items():
        for number in _days_of(days):
            week[number] = _spans(spans)
    off = dict.fromkeys(c.closed, ())
    if c.holidays is not None:
        off |= dict.fromkeys(_holidays(c.holidays.country, c.holidays.subdivision), ())
    special = {day: _spans(spans) for day, spans in c.special.items()}
    return Calendar(name=name, week=tuple(week), days={**off, **special})


@cache
def _holidays(country: str, subdivision: str) -> tuple[date, ...]:
    from holidays import country_holidays

    return tuple(sorted(country_holidays(country, subdiv=subdivision or None, years=HOLIDAY_YEARS)))


def _days_of(text: str) -> range:
    first, _, last = text.partition("-")
    if first not in _WEEKDAYS or (last or first) not in _WEEKDAYS:
        raise ValueError(f"{text} is no day: write mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri")
    numbers = range(_WEEKDAYS.index(first), _WEEKDAYS.index(last or first) + 1)
    if not numbers:
        raise ValueError(f"{text}: the week begins on mon")
    return numbers


def _spans(value: str | list[str]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for text in [value] if isinstance(value, str) else value:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text} is no time of day: write 09:00-17:00, at the latest 24:00")
        opens = int(match[1]) * 60 + int(match[2])
        hours, minutes = match[3].split(":")
        closes = min(int(hours) * 60 + int(minutes), DAY)
        if closes <= opens:
            raise ValueError(f"{text} ends before it begins; over midnight write two days")
        if spans and opens < spans[-1][1]:
            raise ValueError(f"{text} begins before the span before it has ended")
        spans.append((opens, closes))
    return tuple(spans)
