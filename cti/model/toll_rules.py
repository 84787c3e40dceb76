"""What numbers cost, and how much may be dialled and spent by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a number costs. Money is millionths of the currency, times are seconds."""

    per_minute: int = 0
    connection: int = 0
    first: int = 60
    then: int = 60

    def unit(self, seconds: int) -> int:
        """What so many seconds cost, rounded up."""
        return -(-self.per_minute * seconds // 60)

    @property
    def least(self) -> int:
        """What it costs as soon as somebody answers."""
        return self.connection + self.unit(self.first)

    def of(self, milliseconds: int) -> int:
        """What a talk of so long costs."""
        further = max(0, -(-(milliseconds - self.first * 1000) // (self.then * 1000)))
        return self.least + further * self.unit(self.then)


class Unknown(StrEnum):
    """What is done about numbers that the price list does not have."""

    DEAREST = "dearest"
    """They count as the dearest of the list."""
    REFUSE = "refuse"
    """They are not dialled."""
    FREE = "free"
    """They count as free."""


class Beyond(StrEnum):
    """What is done about calls that go on when a cap is reached."""

    WARN = "warn"
    END = "end"


class Limit(StrEnum):
    """What a cap is of. The value is the key of centre.yaml."""

    DIALS = "dials_an_hour"
    MINUTES = "minutes_a_day"
    COST_HOUR = "cost_an_hour"
    COST_DAY = "cost_a_day"


Caps = Mapping[Limit, int]
"""Dials, minutes, or millionths of the currency."""


class Scope(StrEnum):
    """For whom a cap is."""

    CENTRE = "centre"
    QUEUE = "queue"
    AGENT = "agent"
    SUPERVISOR = "supervisor"


Who = tuple[Scope, str]
"""A scope and the name in it; the centre has none."""
CENTRE: Who = (Scope.CENTRE, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TollRules:
    """Prices and caps of a centre."""

    currency: str = ""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By the beginning of the number ("+49"); the longest that fits counts."""
    unknown: Unknown = Unknown.DEAREST
    caps: Mapping[Who, Caps] = field(default_factory=dict)
    """Of the centre, and of queues, agents and supervisors by name."""
    each: Mapping[Scope, Caps] = field(default_factory=dict)
    """Of every queue, agent or supervisor who has no cap of the same kind of their own."""
    beyond: Beyond = Beyond.WARN

    def any(self) -> bool:
        """Whether there is any cap."""
        return bool(self.caps or self.each) and (any(self.caps.values()) or any(self.each.values()))

    def of(self, who: Who) -> Caps:
        """The caps of one scope."""
        return {**self.each.get(who[0], {}), **self.caps.get(who, {})}

    def price_of(self, number: str) -> tuple[str, Price] | None:
        """The beginning that fits best and its price; None: it must not be dialled. Without a list everything is free."""
        for length in range(len(number), 0, -1):
            found = self.prices.get(number[:length])
            if found is not None:
                return number[:length], found
        if not self.prices or self.unknown is Unknown.FREE:
            return "", Price()
        if self.unknown is Unknown.REFUSE:
            return None
        # For each way of counting there may be another one that is dearest: no known price is above this.
        known = self.prices.values()
        return "", Price(
            per_minute=max(price.per_minute for price in known),
            connection=max(price.connection for price in known),
            first=max(price.first for price in known),
            then=max(price.then for price in known),
        )
