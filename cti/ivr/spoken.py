"""Numbers, places and waits as people say them: sequences of prompt names, by language.

Each language has a grammar of its own, because more than the words differ: Mandarin counts things with measure words,
says 两 before them and 二 in an ordinal, keeps a 零 for the empty place of ten (一百零五) and the 一 of a ten inside a
hundred (一百一十). The words themselves are in the manifest of prompts; `words` lists every prompt a language needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

MOST = 999
"""The highest number that can be said."""

Words = tuple[str, ...]
"""Names of prompts, in the order they are played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRange:
    """An expected wait as callers are told it, in whole minutes. `above` counts when it is more than can be promised."""

    least: int
    """0 when it may be over at once."""
    most: int
    above: bool = False
    """The wait is more than `most`; then `least` says nothing."""


class Grammar(Protocol):
    """How one language says it. Every method raises `ValueError` for a number outside 0..`MOST`."""

    def number(self, value: int) -> Words:
        """A bare number, as one counts."""
        ...

    def minutes(self, value: int) -> Words:
        """A length of time in whole minutes."""
        ...

    def place(self, value: int) -> Words:
        """A whole sentence: the caller's place in line, 1 is next."""
        ...

    def wait(self, value: WaitRange) -> Words:
        """A whole sentence: how long the caller will wait."""
        ...


def _check(value: int) -> None:
    if not 0 <= value <= MOST:
        raise ValueError(f"{value} cannot be said: numbers go from 0 to {MOST}")


class English:
    """American English: no "and" inside a number."""

    def number(self, value: int) -> Words:
        """See `Grammar.number`."""
        _check(value)
        hundreds, rest = divmod(value, 100)
        said = [f"number_{hundreds}", "hundred"] if hundreds else []
        if rest > 20:
            tens, ones = divmod(rest, 10)
            said.append(f"number_{tens * 10}")
            if ones:
                said.append(f"number_{ones}")
        elif rest or not hundreds:
            said.append(f"number_{rest}")
        return tuple(said)

    def minutes(self, value: int) -> Words:
        """See `Grammar.minutes`."""
        return (*self.number(value), "minute" if value == 1 else "minutes")

    def place(self, value: int) -> Words:
        """See `Grammar.place`."""
        _check(value)
        return ("you_are_next",) if value == 1 else ("you_are_number", *self.number(value), "in_line")

    def wait(self, value: WaitRange) -> Words:
        """See `Grammar.wait`."""
        if value.above:
            return ("wait_more_than", *self.minutes(value.most))
        if value.least == value.most:
            return ("wait_about", *self.minutes(value.most))
        if value.least == 0:
            return ("wait_less_than", *self.minutes(value.most))
        return ("wait_between", *self.number(value.least), "wait_to", *self.minutes(value.most))


class Mandarin:
    """Standard Mandarin."""

    def number(self, value: int) -> Words:
        """See `Grammar.number`. 二 throughout."""
        _check(value)
        hundreds, rest = divmod(value, 100)
        if not hundreds:
            return self._below_hundred(rest)
        said: Words = (f"number_{hundreds}", "hundred")
        if not rest:
            return said
        if rest < 10:
            return (*said, "number_0", f"number_{rest}")
        # Inside a hundred a ten keeps its one: 一百一十五, never 一百十五.
        return (*said, "number_1", *_teen(rest)) if rest < 20 else (*said, *self._below_hundred(rest))

    def _below_hundred(self, value: int) -> Words:
        if value <= 20:
            return (f"number_{value}",)
        tens, ones = divmod(value, 10)
        return (f"number_{tens * 10}", f"number_{ones}") if ones else (f"number_{tens * 10}",)

    def _counted(self, value: int) -> Words:
        """The number before a measure word: a lone two is 两, in 十二 and 二十二 it stays 二."""
        return ("number_2_counted",) if value == 2 else self.number(value)

    def minutes(self, value: int) -> Words:
        """See `Grammar.minutes`."""
        return (*self._counted(value), "minutes")

    def place(self, value: int) -> Words:
        """See `Grammar.place`. An ordinal (第二位) keeps 二."""
        _check(value)
        return ("you_are_next",) if value == 1 else ("you_are_number", *self.number(value), "in_line")

    def wait(self, value: WaitRange) -> Words:
        """See `Grammar.wait`."""
        if value.above:
            return ("wait_more_than", *self.minutes(value.most))
        if value.least == value.most:
            return ("wait_about", *self.minutes(value.most))
        if value.least == 0:
            return ("wait_less_than", *self.minutes(value.most))
        return ("wait_between", *self._counted(value.least), "wait_to", *self.minutes(value.most))


def _teen(value: int) -> Words:
    return ("number_10", f"number_{value - 10}") if value > 10 else ("number_10",)


GRAMMARS: Mapping[str, Grammar] = {"en": English(), "zh": Mandarin()}
"""By language tag. A language without a grammar is told no numbers."""


def words(language: str) -> frozenset[str]:
    """Every prompt the grammar of `language` may name; empty for a language without one."""
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return frozenset()
    said = {word for value in range(MOST + 1) for word in (*grammar.number(value), *grammar.minutes(value))}
    said.update((*grammar.place(1), *grammar.place(2)))
    for wait in ((0, 2, False), (2, 3, False), (1, 1, False), (0, 60, True)):
        said.update(grammar.wait(WaitRange(least=wait[0], most=wait[1], above=wait[2])))
    return frozenset(said)
