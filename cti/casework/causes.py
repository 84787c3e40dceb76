"""Why people complain: a tree of causes, and how often each one was it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cti.casework.reading import Fields

DEEPEST = 3
"""Levels of the tree."""
MOST = 200
"""Causes in all."""
UNCLASSIFIED = ""
"""The path of what has no cause yet."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause. Its path is the names from the root, with slashes: "delivery/late"."""

    name: str
    titles: Mapping[str, str]
    """Name for people by language."""
    choices: tuple[str, ...] = ()
    """Labels of menu choices that mean this cause, where a flow recorded the complaint; its title counts, too."""
    below: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a Pareto chart."""

    path: str
    count: int
    share: float
    """Of all, 0-1."""
    cumulative: float
    """With all bars before it, 0-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A cause with what was counted of it and of everything below."""

    path: str
    titles: Mapping[str, str]
    count: int
    """With all below."""
    own: int
    """Of exactly this cause."""
    below: tuple[Branch, ...] = field(default_factory=tuple)


def paths(causes: Iterable[Cause], above: str = "") -> Iterator[tuple[str, Cause]]:
    """Every cause with its path, parents first."""
    for cause in causes:
        path = f"{above}/{cause.name}" if above else cause.name
        yield path, cause
        yield from paths(cause.below, path)


def knows(causes: Iterable[Cause], path: str) -> bool:
    """Whether there is such a cause; "not classified" always is."""
    return path == UNCLASSIFIED or any(known == path for known, _ in paths(causes))


def by_choice(causes: Iterable[Cause], label: str) -> str:
    """The cause a caller chose in a menu; empty where none goes by that label."""
    wanted = label.strip().casefold()
    if not wanted:
        return UNCLASSIFIED
    for path, cause in paths(causes):
        if wanted in {word.casefold() for word in (*cause.choices, *cause.titles.values())}:
            return path
    return UNCLASSIFIED


def pareto(counts: Mapping[str, int], level: int = DEEPEST) -> list[Bar]:
    """The bars, highest first, of causes cut off at `level` (1: only the first of their names). Not classified: last.

    Shares are of all complaints, classified or not.
    """
    cut: dict[str, int] = {}
    for path, count in counts.items():
        if count > 0:
            short = "/".join(path.split("/")[:level])
            cut[short] = cut.get(short, 0) + count
    total = sum(cut.values())
    bars: list[Bar] = []
    so_far = 0
    for path, count in sorted(cut.items(), key=lambda item: (item[0] == UNCLASSIFIED, -item[1], item[0])):
        so_far += count
        bars.append(Bar(path=path, count=count, share=count / total, cumulative=so_far / total))
    return bars


def tree(causes: Sequence[Cause], counts: Mapping[str, int]) -> Branch:
    """The whole tree with its counts. What is counted of causes that are no more stands beside the others by its path."""
    known = {path for path, _ in paths(causes)}
    branches = [_branch(cause, cause.name, counts) for cause in causes]
    branches += [
        Branch(path=path, titles={}, count=count, own=count)
        for path, count in sorted(counts.items())
        if path not in known and path != UNCLASSIFIED and count > 0
    ]
    own = counts.get(UNCLASSIFIED, 0)
    return Branch(
        path="", titles={}, count=own + sum(branch.count for branch in branches), own=own, below=tuple(branches)
    )


def _branch(cause: Cause, path: str, counts: Mapping[str, int]) -> Branch:
    below = tuple(_branch(child, f"{path}/{child.name}", counts) for child in cause.below)
    own = counts.get(path, 0)
    return Branch(path=path, titles=cause.titles, count=own + sum(child.count for child in below), own=own, below=below)


def read_causes(at: Fields, key: str, depth: int = 1) -> tuple[Cause, ...]:
    """The causes in the list `key`, and those below them."""
    found: list[Cause] = []
    for index, item in enumerate(at.objects(key, most=MOST)):
        name = item.text("name", most=40)
        if name and _NAME.fullmatch(name) is None:
            item.wrong("name", "small letters, digits and _ only, beginning with a letter")
        if any(name == other.name for other in found):
            at.wrong(f"{key}[{index}].name", f"{name!r} is there twice")
        below: tuple[Cause, ...] = ()
        if item.has("below"):
            if depth == DEEPEST:
                item.wrong("below", f"at most {DEEPEST} levels")
            else:
                below = read_causes(item, "below", depth + 1)
        found.append(Cause(name=name, titles=item.words("titles"), choices=item.texts("choices"), below=below))
        item.done()
    if depth == 1:
        if not found:
            at.wrong(key, "at least one cause is needed")
        if sum(1 for _ in paths(found)) > MOST:
            at.wrong(key, f"at most {MOST} causes in all")
    return tuple(found)
