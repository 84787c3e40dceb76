"""Rules come as JSON from people: read with every problem named at once, in plain words, by its place."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cti.errors import CtiError


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleProblem:
    """One thing that is wrong: where (`tiers[1].share`), and what."""

    field: str
    message: str


class RulesInvalid(CtiError):
    """Rules cannot be used as they are. Nothing was changed."""

    error_id = "rules_invalid"

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        first = problems[0]
        super().__init__(
            f"{first.field}: {first.message}" if first.field else first.message,
            remedy="correct what details names; docs/casework.md describes every key",
        )
        self.problems = tuple(problems)


def _storable(text: str) -> bool:
    """Whether a database can keep the text: no NUL, no half of a character."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


class Fields:
    """The fields of one JSON object. What is wrong is noted in `problems` and replaced by something that can be used, so
    that reading goes on to the end; `done` notes the keys nobody asked for."""

    def __init__(self, value: object, problems: list[RuleProblem], place: str = "") -> None:
        self._place = place
        self.problems = problems
        self._asked: set[str] = set()
        self._values: Mapping[str, object] = {}
        if isinstance(value, Mapping):
            self._values = {str(key): item for key, item in value.items()}
        else:
            self.wrong("", "an object with keys is needed here")

    def wrong(self, key: str, message: str) -> None:
        """Note a problem with the field `key`, or with the whole object."""
        place = ".".join(part for part in (self._place, key) if part)
        self.problems.append(RuleProblem(field=place, message=message))

    def has(self, key: str) -> bool:
        """Whether the key is there with a value."""
        self._asked.add(key)
        return self._values.get(key) is not None

    def text(self, key: str, default: str | None = None, *, most: int = 200) -> str:
        """Text of at most `most` characters; without a default it must be there and not empty."""
        if not self.has(key):
            if default is None:
                self.wrong(key, "this key is missing")
            return default or ""
        value = self._values[key]
        if not isinstance(value, str):
            self.wrong(key, "text is needed here")
            return default or ""
        if default is None and not value.strip():
            self.wrong(key, "this must not be empty")
        if len(value) > most:
            self.wrong(key, f"at most {most} characters")
        if not _storable(value):
            self.wrong(key, "there is a character in it that cannot be kept")
            return default or ""
        return value[:most].strip()

    def choice(self, key: str, among: Collection[str], default: str | None = None) -> str:
        """One of the words of `among`."""
        value = self.text(key, default)
        if value in among:
            return value
        if self.has(key):
            self.wrong(key, f"{value!r} is not one of {', '.join(among)}")
        return default if default is not None else next(iter(among), "")

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        if not self.has(key):
            return default
        value = self._values[key]
        if not isinstance(value, bool):
            self.wrong(key, "true or false is needed here")
            return default
        return value

    def number(self, key: str, default: float | None = None, *, least: float = 0.0, most: float = 1e12) -> float:
        """A number within `least` and `most`, both included."""
        fallback = default if default is not None else least
        if not self.has(key):
            if default is None:
                self.wrong(key, "this key is missing")
            return fallback
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(key, "a number is needed here")
            return fallback
        if not least <= value <= most:
            self.wrong(key, f"must be from {least:g} to {most:g}")
            return fallback
        return value

    def whole(self, key: str, default: int | None = None, *, least: int = 0, most: int = 1_000_000_000) -> int:
        """A whole number within `least` and `most`, both included."""
        value = self.number(key, default, least=least, most=most)
        if value != int(value):
            self.wrong(key, "a whole number is needed here")
        return int(value)

    def objects(self, key: str, *, most: int = 100) -> list[Fields]:
        """A list of objects; a missing one is empty."""
        return [
            Fields(item, self.problems, f"{self._named(key)}[{index}]")
            for index, item in enumerate(self._list(key, most))
        ]

    def texts(self, key: str, *, most: int = 100) -> tuple[str, ...]:
        """A list of texts; a missing one is empty."""
        out = []
        for index, item in enumerate(self._list(key, most)):
            if isinstance(item, str) and item.strip() and len(item) <= 200 and _storable(item):
                out.append(item.strip())
            else:
                self.wrong(f"{key}[{index}]", "text of at most 200 characters is needed here")
        return tuple(out)

    def numbers(self, key: str, *, least: float = 0.0, count: int | None = None) -> tuple[float, ...]:
        """A list of numbers, of `count` items where that is given."""
        items = self._list(key, 100)
        out: list[float] = []
        for index, item in enumerate(items):
            if isinstance(item, bool) or not isinstance(item, int | float) or not math.isfinite(item) or item < least:
                self.wrong(f"{key}[{index}]", f"a number of at least {least:g} is needed here")
                out.append(least)
            else:
                out.append(float(item))
        if count is not None and len(items) != count:
            self.wrong(key, f"{count} numbers are needed here, not {len(items)}")
            out = [*out, *([least] * count)][:count]
        return tuple(out)

    def words(self, key: str, languages: Iterable[str] = (), *, most: int = 500) -> Mapping[str, str]:
        """Text by language, each of at most `most` characters; one text alone stands for every language."""
        self._asked.add(key)
        value = self._values.get(key)
        if isinstance(value, str):
            value = {"en": value}
        if not isinstance(value, Mapping) or not value:
            self.wrong(key, "text is needed here, or text by language")
            return {}
        out = {}
        for language, text in value.items():
            if isinstance(text, str) and text.strip() and len(text) <= most and _storable(text + str(language)):
                out[str(language)] = text.strip()
            else:
                self.wrong(f"{key}.{language}", f"text of at most {most} characters is needed here")
        return out

    def inside(self, key: str) -> Fields:
        """An object; a missing one is empty."""
        self._asked.add(key)
        return Fields(self._values.get(key, {}), self.problems, self._named(key))

    def keys(self) -> tuple[str, ...]:
        """Every key that is there."""
        return tuple(self._values)

    def done(self) -> None:
        """Note the keys that nobody asked for: most often slips of the pen."""
        for key in self._values:
            if key not in self._asked:
                self.wrong(key, "there is no such key")

    def _named(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def _list(self, key: str, most: int) -> list[object]:
        if not self.has(key):
            return []
        value = self._values[key]
        if not isinstance(value, list | tuple):
            self.wrong(key, "a list is needed here")
            return []
        if len(value) > most:
            self.wrong(key, f"at most {most} items")
        return list(value[:most])
