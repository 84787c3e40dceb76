"""Inspection forms: what a supervisor designs, read from JSON with every problem named, and written as JSON again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cti.casework.reading import Fields, RuleProblem
from cti.errors import CtiError

MOST_SECTIONS = 20
MOST_ITEMS = 60
"""Of a whole form."""
MOST_CHOICES = 10
LANGUAGES = ("en", "zh")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


class QualityInvalid(CtiError):
    """A form, a plan or answers cannot be used as they are. Nothing was changed."""

    error_id = "rules_invalid"

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        first = problems[0]
        super().__init__(
            f"{first.field}: {first.message}" if first.field else first.message,
            remedy="correct what details names; docs/quality.md describes every key",
        )
        self.problems = tuple(problems)


class ItemKind(StrEnum):
    """How an item is answered."""

    SCALE = "scale"
    """A whole number from `least` to `most`; most is best."""
    YES_NO = "yes_no"
    CHOICE = "choice"


class Fatal(StrEnum):
    """What failing an item does."""

    NONE = "none"
    SECTION = "section"
    """The section counts 0."""
    FORM = "form"
    """The whole counts 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of an item's answers; `share` of the item's points, 0 to 1."""

    name: str
    titles: Mapping[str, str]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that is looked at. Its name stays the same over versions: trends go by it."""

    name: str
    titles: Mapping[str, str]
    kind: ItemKind
    weight: float = 1.0
    """Within its section; 0 tells something and counts nothing."""
    least: int = 1
    most: int = 5
    choices: tuple[Choice, ...] = ()
    may_not_apply: bool = True
    fatal: Fatal = Fatal.NONE
    """Failed is the worst answer: `least`, no, or a choice with share 0."""
    hint: Mapping[str, str] = field(default_factory=dict)
    """What to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Items that belong together, and what they weigh together."""

    name: str
    titles: Mapping[str, str]
    items: tuple[Item, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An inspection form. `passing`: the total, 0 to 100, from which a call passes."""

    titles: Mapping[str, str]
    sections: tuple[Section, ...]
    passing: float = 80.0

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item, in order."""
        return tuple(item for section in self.sections for item in section.items)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_form(plain: object) -> Form:
    """The form that the JSON describes (`docs/quality.md`). Raises `QualityInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(plain, problems)
    names: set[str] = set()
    sections = tuple(_section(inner, names) for inner in at.objects("sections", most=MOST_SECTIONS))
    form = Form(titles=_titles(at, "titles"), sections=sections, passing=at.number("passing", 80.0, most=100.0))
    at.done()
    if not sections:
        at.wrong("sections", "at least one section is needed")
    if len({section.name for section in sections}) < len(sections):
        at.wrong("sections", "two sections have the same name")
    if len(form.items) > MOST_ITEMS:
        at.wrong("sections", f"at most {MOST_ITEMS} items in all")
    if sections and not any(
        section.weight > 0 and any(item.weight > 0 for item in section.items) for section in sections
    ):
        at.wrong("sections", "something must count: an item with a weight, in a section with a weight")
    if problems:
        raise QualityInvalid(problems)
    return form


def _titles(at: Fields, key: str) -> Mapping[str, str]:
    titles = at.words(key)
    if unknown := [language for language in titles if language not in LANGUAGES]:
        at.wrong(f"{key}.{unknown[0]}", f"languages are {', '.join(LANGUAGES)}")
    return titles


def _name(at: Fields) -> str:
    name = at.text("name", most=40)
    if name and not _NAME.fullmatch(name):
        at.wrong("name", "small letters, digits and _ are needed, a letter first")
    return name


def _section(at: Fields, names: set[str]) -> Section:
    items = []
    for inner in at.objects("items", most=MOST_ITEMS):
        item = _item(inner)
        if item.name in names:
            inner.wrong("name", f"two items are called {item.name!r}")
        names.add(item.name)
        items.append(item)
    if not items:
        at.wrong("items", "a section has at least one item")
    section = Section(
        name=_name(at), titles=_titles(at, "titles"), items=tuple(items), weight=at.number("weight", 1.0, most=1000.0)
    )
    at.done()
    return section


def _item(at: Fields) -> Item:
    kind = ItemKind(at.choice("kind", tuple(ItemKind)))
    least = most = 0
    choices: tuple[Choice, ...] = ()
    if kind is ItemKind.SCALE:
        least, most = at.whole("least", 1, most=9), at.whole("most", 5, most=10)
        if most <= least:
            at.wrong("most", "must be more than least")
    if kind is ItemKind.CHOICE:
        choices = tuple(_choice(inner) for inner in at.objects("choices", most=MOST_CHOICES))
        if len(choices) < 2:
            at.wrong("choices", "at least two choices are needed")
        if len({choice.name for choice in choices}) < len(choices):
            at.wrong("choices", "two choices have the same name")
        if any(choice.name in ("na", "") for choice in choices):
            at.wrong("choices", "no choice may be called na: that is for what does not apply")
    item = Item(
        name=_name(at),
        titles=_titles(at, "titles"),
        kind=kind,
        weight=at.number("weight", 1.0, most=1000.0),
        least=least,
        most=most,
        choices=choices,
        may_not_apply=at.flag("may_not_apply", True),
        fatal=Fatal(at.choice("fatal", tuple(Fatal), Fatal.NONE)),
        hint=_titles(at, "hint") if at.has("hint") else {},
    )
    at.done()
    return item


def _choice(at: Fields) -> Choice:
    choice = Choice(name=_name(at), titles=_titles(at, "titles"), share=at.number("share", most=1.0))
    at.done()
    return choice


def plain(form: Form) -> dict[str, Any]:
    """The form as JSON: `read_form` reads it again."""
    return {
        "titles": dict(form.titles),
        "passing": form.passing,
        "sections": [
            {
                "name": section.name,
                "titles": dict(section.titles),
                "weight": section.weight,
                "items": [_plain_item(item) for item in section.items],
            }
            for section in form.sections
        ],
    }


def _plain_item(item: Item) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": item.name,
        "titles": dict(item.titles),
        "kind": str(item.kind),
        "weight": item.weight,
        "may_not_apply": item.may_not_apply,
        "fatal": str(item.fatal),
    }
    if item.kind is ItemKind.SCALE:
        out |= {"least": item.least, "most": item.most}
    if item.kind is ItemKind.CHOICE:
        out["choices"] = [
            {"name": choice.name, "titles": dict(choice.titles), "share": choice.share} for choice in item.choices
        ]
    if item.hint:
        out["hint"] = dict(item.hint)
    return out
