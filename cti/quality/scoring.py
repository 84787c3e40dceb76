"""What answers on a form are worth. Exact in between (fractions), rounded once at the end.

- An item is worth a share of 0 to 1. One that does not apply is left out, as if the form did not have it.
- A section is the weighted mean of its items; 0 when an item failed that is fatal to the section.
- The total is the weighted mean of the sections that have something to count, times 100; 0 when an item failed that is
  fatal to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cti.casework.reading import RuleProblem
from cti.quality.forms import Fatal, Form, Item, ItemKind, Section

NOT_APPLICABLE = "na"
YES, NO = "yes", "no"

Answer = int | str
"""A scale's number, "yes" or "no", a choice's name, or "na"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMark:
    """What one item is worth. `share` None: it does not apply, or is not answered."""

    name: str
    section: str
    value: Answer | None
    share: float | None
    failed: bool
    """Failed an item that is fatal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionMark:
    """What a section is worth, 0 to 100. None: nothing in it counts."""

    name: str
    score: float | None
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What answers are worth. `total` None: nothing that counts is answered (yet)."""

    total: float | None
    passed: bool | None
    sections: tuple[SectionMark, ...]
    items: tuple[ItemMark, ...]
    missing: tuple[str, ...]
    """Items that are not answered."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Fatal items that were failed."""
        return tuple(mark.name for mark in self.items if mark.failed)


def share_of(item: Item, value: Answer) -> Fraction | None:
    """The share of an item's points, 0 to 1; None when it does not apply. The answer must fit the item."""
    if value == NOT_APPLICABLE:
        return None
    if item.kind is ItemKind.SCALE:
        return Fraction(int(value) - item.least, item.most - item.least)
    if item.kind is ItemKind.YES_NO:
        return Fraction(1 if value == YES else 0)
    return next(Fraction(choice.share) for choice in item.choices if choice.name == value)


def problems_of(form: Form, answers: Mapping[str, object]) -> Sequence[RuleProblem]:
    """What does not fit the form. Answers may be missing: a draft is not whole."""
    items = {item.name: item for item in form.items}
    out = []
    for name, value in answers.items():
        item = items.get(name)
        if item is None:
            out.append(RuleProblem(field=f"answers.{name[:60]}", message="the form has no such item"))
        elif (message := _misfit(item, value)) != "":
            out.append(RuleProblem(field=f"answers.{name}", message=message))
    return out


def _misfit(item: Item, value: object) -> str:
    if value == NOT_APPLICABLE:
        return "" if item.may_not_apply else "this item always applies"
    if item.kind is ItemKind.SCALE:
        fits = isinstance(value, int) and not isinstance(value, bool) and item.least <= value <= item.most
        return "" if fits else f"a whole number from {item.least} to {item.most} is needed"
    among = (YES, NO) if item.kind is ItemKind.YES_NO else tuple(choice.name for choice in item.choices)
    return "" if value in among else f"one of {', '.join(among)} is needed"


def marks(form: Form, answers: Mapping[str, Answer]) -> Marks:
    """What the answers are worth; they must fit the form (`problems_of`)."""
    items: list[ItemMark] = []
    sections: list[SectionMark] = []
    weights, points = Fraction(0), Fraction(0)
    all_failed = False
    for section in form.sections:
        mine, score, failed = _section(section, answers)
        items += mine
        all_failed |= any(
            mark.failed and item.fatal is Fatal.FORM for mark, item in zip(mine, section.items, strict=True)
        )
        if score is not None:
            weights += Fraction(section.weight)
            points += Fraction(section.weight) * score
        sections.append(SectionMark(name=section.name, score=_percent(score), failed=failed))
    whole = Fraction(0) if all_failed else points / weights if weights else None
    total = _percent(whole)
    return Marks(
        total=total,
        passed=None if total is None else not all_failed and total >= form.passing,
        sections=tuple(sections),
        items=tuple(items),
        missing=tuple(item.name for item in form.items if item.name not in answers),
    )


def _section(section: Section, answers: Mapping[str, Answer]) -> tuple[list[ItemMark], Fraction | None, bool]:
    out: list[ItemMark] = []
    weights, points = Fraction(0), Fraction(0)
    zero = False
    for item in section.items:
        value = answers.get(item.name)
        share = None if value is None else share_of(item, value)
        failed = share == 0 and item.fatal is not Fatal.NONE
        zero |= failed and item.fatal is Fatal.SECTION
        if share is not None:
            weights += Fraction(item.weight)
            points += Fraction(item.weight) * share
        out.append(
            ItemMark(
                name=item.name,
                section=section.name,
                value=value,
                share=None if share is None else float(share),
                failed=failed,
            )
        )
    if zero:
        return out, Fraction(0), True
    return out, points / weights if weights else None, any(mark.failed for mark in out)


def _percent(share: Fraction | None) -> float | None:
    return None if share is None else round(float(share * 100), 2)
