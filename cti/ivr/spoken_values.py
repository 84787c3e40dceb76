"""Amounts, money, dates and times of day as people say them: sequences of prompt names, by language.

What is said on the line about data: "your balance is one hundred five dollars and ninety cents". Small counts, places and
waits are in `spoken`. English groups by thousands, Mandarin by ten thousands (万, 亿), with 零 for what is empty between,
两 before 千, 万, 亿 and measure words, and a year digit by digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from typing import Protocol

from cti.ivr.spoken import English, Mandarin, Words


class SaidAs(StrEnum):
    """How a value is read out."""

    NUMBER = "number"
    DIGITS = "digits"
    """One by one: a text or a number."""
    MONEY = "money"
    DATE = "date"
    """A text as 2026-03-05, or one that begins so."""
    TIME = "time"
    """A text as 14:30, or a date and time in ISO 8601."""


LARGEST_SAID = Decimal(10) ** 12
"""Amounts are said up to here, exclusive."""
MOST_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """How a currency is divided. Its prompts are `money_<code>`, `money_<code>_one` (small letters), and the same with `_minor`."""

    code: str
    minor: int = 100
    """Minor units in one; 1 where there are none."""


CURRENCIES: Mapping[str, Currency] = {
    code: Currency(code=code, minor=1 if code == "JPY" else 100) for code in ("CNY", "EUR", "GBP", "JPY", "USD")
}


class ValueGrammar(Protocol):
    """How one language says values. Methods raise `ValueError` for what is out of bounds."""

    def amount(self, value: Decimal) -> Words:
        """A number, with up to `MOST_DECIMALS` places and a sign."""
        ...

    def money(self, value: Decimal, currency: Currency) -> Words:
        """An amount of money, rounded to the minor unit."""
        ...

    def date(self, value: date) -> Words:
        """A date with its weekday."""
        ...

    def clock(self, value: time) -> Words:
        """A time of day, to the minute."""
        ...


def _split(value: Decimal) -> tuple[bool, int, str]:
    """Sign, whole part and decimal digits without trailing zeros."""
    if not value.is_finite() or abs(value) >= LARGEST_SAID:
        raise ValueError("too large to be said")
    value = value.quantize(Decimal(1).scaleb(-MOST_DECIMALS), rounding=ROUND_HALF_UP)
    whole, _, decimals = f"{abs(value):f}".partition(".")
    return value < 0, int(whole), decimals.rstrip("0")


def _minor_units(value: Decimal, currency: Currency) -> tuple[bool, int, int]:
    if not value.is_finite() or abs(value) >= LARGEST_SAID:
        raise ValueError("too large to be said")
    units = int((abs(value) * currency.minor).to_integral_value(rounding=ROUND_HALF_UP))
    return value < 0 and units > 0, *divmod(units, currency.minor)


def _digits(text: str) -> Words:
    return tuple(f"number_{digit}" for digit in text)


class EnglishValues:
    """American English."""

    _small = English()

    def _whole(self, value: int) -> Words:
        said: list[str] = []
        for size, name in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
            if value >= size:
                said += [*self._small.number(value // size), name]
                value %= size
        if value or not said:
            said += self._small.number(value)
        return tuple(said)

    def amount(self, value: Decimal) -> Words:
        """See `ValueGrammar.amount`."""
        negative, whole, decimals = _split(value)
        said = (*(("minus",) if negative and (whole or decimals) else ()), *self._whole(whole))
        return (*said, "point", *_digits(decimals)) if decimals else said

    def money(self, value: Decimal, currency: Currency) -> Words:
        """See `ValueGrammar.money`."""
        negative, whole, minor = _minor_units(value, currency)
        said: Words = ("minus",) if negative else ()
        if whole or not minor:
            said += (*self._whole(whole), _unit(currency, "", one=whole == 1))
        if minor:
            said += (*(("and",) if whole else ()), *self._whole(minor), _unit(currency, "_minor", one=minor == 1))
        return said

    def date(self, value: date) -> Words:
        """See `ValueGrammar.date`."""
        said: Words = (f"weekday_{value.isoweekday()}", f"month_{value.month}", f"ordinal_{value.day}")
        century, rest = divmod(value.year, 100)
        if value.year < 1000 or (century % 10 == 0 and rest < 10):
            return (*said, *self._whole(value.year))
        if not rest:
            return (*said, *self._whole(century), "hundred")
        return (*said, *self._whole(century), *(("oh",) if rest < 10 else ()), *self._whole(rest))

    def clock(self, value: time) -> Words:
        """See `ValueGrammar.clock`."""
        said = self._small.number(value.hour % 12 or 12)
        if value.minute:
            said = (*said, *(("oh",) if value.minute < 10 else ()), *self._small.number(value.minute))
        return (*said, "am" if value.hour < 12 else "pm")


class MandarinValues:
    """Standard Mandarin."""

    _small = Mandarin()

    def _group(self, value: int, *, leading: bool) -> Words:
        """0-9999 within a number; `leading`: nothing stands before it, so that ten is 十 and not 一十."""
        thousands, rest = divmod(value, 1000)
        if not thousands:
            if leading:
                return self._small.number(rest)
            return self._small.number(rest) if rest >= 20 or rest < 10 else ("number_1", *self._teens(rest))
        said: Words = ("number_2_counted" if thousands == 2 else f"number_{thousands}", "thousand")
        if not rest:
            return said
        if rest < 100:
            return (*said, "number_0", *self._group(rest, leading=False))
        return (*said, *self._small.number(rest))

    @staticmethod
    def _teens(value: int) -> Words:
        return ("number_10", f"number_{value - 10}") if value > 10 else ("number_10",)

    def _whole(self, value: int) -> Words:
        said: Words = ()
        gap = False
        for size, name in ((10**8, "hundred_million"), (10**4, "ten_thousand"), (1, "")):
            group, value = divmod(value, size)
            if not group:
                gap = bool(said)
                continue
            # Empty places between what was said and this group are told by one 零, however many they are.
            zero = ("number_0",) if said and (gap or group < 1000) else ()
            own = ("number_2_counted",) if group == 2 and name else self._group(group, leading=not said)
            said = (*said, *zero, *own, *((name,) if name else ()))
            gap = False
        return said or ("number_0",)

    def _counted(self, value: int) -> Words:
        return ("number_2_counted",) if value == 2 else self._whole(value)

    def amount(self, value: Decimal) -> Words:
        """See `ValueGrammar.amount`."""
        negative, whole, decimals = _split(value)
        said = (*(("minus",) if negative and (whole or decimals) else ()), *self._whole(whole))
        return (*said, "point", *_digits(decimals)) if decimals else said

    def money(self, value: Decimal, currency: Currency) -> Words:
        """See `ValueGrammar.money`. The renminbi has tenths: 九角五分."""
        negative, whole, minor = _minor_units(value, currency)
        said: Words = ("minus",) if negative else ()
        if whole or not minor:
            said += (*self._counted(whole), _unit(currency, "", one=False))
        if not minor:
            return said
        if currency.code != "CNY":
            return (*said, *self._counted(minor), _unit(currency, "_minor", one=False))
        tenths, hundredths = divmod(minor, 10)
        if tenths:
            said += (*self._counted(tenths), "money_cny_tenth")
        elif whole:
            said += ("number_0",)
        return (*said, *self._counted(hundredths), "money_cny_minor") if hundredths else said

    def date(self, value: date) -> Words:
        """See `ValueGrammar.date`."""
        return (
            *_digits(str(value.year)),
            "year",
            *self._small.number(value.month),
            "month",
            *self._small.number(value.day),
            "day_of_month",
            f"weekday_{value.isoweekday()}",
        )

    def clock(self, value: time) -> Words:
        """See `ValueGrammar.clock`."""
        hour = value.hour % 12 or 12
        part = next(name for end, name in _DAY_PARTS if value.hour < end)
        # Midnight is 零点, not 十二点 of the night.
        spoken = ("number_0",) if value.hour == 0 else self._counted(hour)
        said = (part, *spoken, "hour_point")
        if not value.minute:
            return said
        return (
            *said,
            *(("number_0",) if value.minute < 10 else ()),
            *self._small.number(value.minute),
            "minute_of_hour",
        )


_DAY_PARTS = ((6, "night_part"), (9, "early_part"), (12, "morning_part"), (13, "noon_part"), (18, "afternoon_part"),
              (24, "evening_part"))  # fmt: skip


def _unit(currency: Currency, part: str, *, one: bool) -> str:
    return f"money_{currency.code.lower()}{part}{'_one' if one else ''}"


VALUE_GRAMMARS: Mapping[str, ValueGrammar] = {"en": EnglishValues(), "zh": MandarinValues()}
"""By language tag."""


@cache
def value_words(language: str) -> frozenset[str]:
    """Every prompt the value grammar of `language` may name; empty for a language without one."""
    grammar = VALUE_GRAMMARS.get(language)
    if grammar is None:
        return frozenset()
    said: set[str] = set()
    for value in (*range(1000), 1001, 20_000, 20_002, 10**6, 10**8, 2 * 10**9, 10**9):
        said |= {*grammar.amount(Decimal(value))}
    said |= {*grammar.amount(Decimal("-3.1415"))}
    for currency in CURRENCIES.values():
        for text in ("1", "2", "0.01", "0.02", "1.95", "3.05", "-7.20"):
            said |= {*grammar.money(Decimal(text), currency)}
    for day in range(1, 32):
        said |= {*grammar.date(date(2026, 1, day)), *grammar.date(date(2005, (day - 1) % 12 + 1, 1))}
    said |= {*grammar.date(date(1900, 1, 1)), *grammar.date(date(1905, 1, 1))}
    for hour in range(24):
        said |= {word for minute in (0, 5, 30) for word in grammar.clock(time(hour, minute))}
    return frozenset(said)


def say_value(value: str | Decimal | bool, how: SaidAs, currency: str, language: str) -> Words:
    """The prompts that read a value out; none for what cannot be said (a text that is no date, a language without grammar)."""
    grammar = VALUE_GRAMMARS.get(language)
    try:
        if how is SaidAs.DIGITS:
            return tuple(f"digit_{sign}" for sign in str(value) if sign in "0123456789")
        if grammar is None or isinstance(value, bool):
            return ()
        if how is SaidAs.MONEY and isinstance(value, Decimal):
            return grammar.money(value, CURRENCIES[currency])
        if how is SaidAs.NUMBER and isinstance(value, Decimal):
            return grammar.amount(value)
        if how is SaidAs.DATE and isinstance(value, str):
            return grammar.date(date.fromisoformat(value[:10]))
        if how is SaidAs.TIME and isinstance(value, str):
            return grammar.clock(time.fromisoformat(value[value.find("T") + 1 :].removesuffix("Z")))
    except (ValueError, KeyError):
        pass
    return ()
