"""What a call requires of an agent: skills with least levels, joined by "and" and "or", in one normal form.

Normal form: alternatives, each a set of (skill, least proficiency 1-5) pairs that are all needed; whoever meets one
alternative may serve. `ANYBODY`, one empty alternative, asks for nothing. As text: `en>=4 and (zh>=3 or interpreter)`;
a skill alone means level 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from cti.errors import CtiError

Skills: TypeAlias = tuple[tuple[str, int], ...]
"""(skill, least proficiency 1-5) pairs, sorted by skill, one a skill; all are needed."""
Requirement: TypeAlias = tuple[Skills, ...]
"""Alternatives, sorted, none of which asks for all that another asks for."""

ANYBODY: Requirement = ((),)
MOST_ALTERNATIVES = 32
"""An expression that multiplies out to more is refused: nobody could read why an agent fits."""
DEEPEST = 20

_TOKEN = re.compile(r"\s*(?:(?P<word>[a-z][a-z0-9_]{0,31})|(?P<level>>=\s*[0-9]+)|(?P<sign>[()]))", re.ASCII)


class RequirementError(CtiError):
    """A requirement that cannot be read. `column` counts from 1."""

    error_id = "requirement_invalid"

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message, remedy="write it as in: en>=4 and (zh>=3 or interpreter)", column=column)
        self.column = column


def all_of(skills: Mapping[str, int] | Iterable[tuple[str, int]]) -> Requirement:
    """All of these skills; of one named twice the higher level."""
    needed: dict[str, int] = {}
    for skill, level in skills.items() if isinstance(skills, Mapping) else skills:
        needed[skill] = max(level, needed.get(skill, level))
    return (tuple(sorted(needed.items())),)


def both(one: Requirement, other: Requirement) -> Requirement:
    """What meets `one` and `other`."""
    return _normal(all_of((*a, *b))[0] for a in one for b in other)


def either(one: Requirement, other: Requirement) -> Requirement:
    """What meets `one` or `other`."""
    return _normal((*one, *other))


def relaxed(needed: Requirement, step: Mapping[str, int]) -> Requirement:
    """What is still needed when no more than the step's levels is asked for; level 0: not at all."""
    return _normal(
        tuple((skill, lower) for skill, level in alternative if (lower := min(level, step.get(skill, level))) > 0)
        for alternative in needed
    )


def meets(skills: Mapping[str, int], needed: Requirement) -> bool:
    """Whether an agent with `skills` meets one of the alternatives."""
    return any(all(skills.get(skill, 0) >= level for skill, level in alternative) for alternative in needed)


def skills_in(needed: Requirement) -> frozenset[str]:
    """Every skill that is named."""
    return frozenset(skill for alternative in needed for skill, _ in alternative)


def text_of(needed: Requirement) -> str:
    """The requirement as text that `parse_requirement` reads back; empty for `ANYBODY`."""
    parts = [" and ".join(f"{skill}>={level}" for skill, level in alternative) for alternative in needed]
    if len(parts) == 1:
        return parts[0]
    return " or ".join(f"({part})" if " and " in part else part for part in parts)


def parse_requirement(text: str) -> Requirement:
    """Read an expression of `skill`, `skill>=level`, `and`, `or` and brackets ("and" binds tighter).

    Empty text is `ANYBODY`. Raises `RequirementError` with the column.
    """
    tokens = _tokens(text)
    if not tokens:
        return ANYBODY
    found, rest = _alternatives(tokens, 0)
    if rest:
        raise RequirementError(f'"{rest[0][0]}" is out of place', rest[0][1])
    return found


def _normal(alternatives: Iterable[Skills]) -> Requirement:
    kept = sorted(set(alternatives), key=lambda alternative: (len(alternative), alternative))
    least: list[Skills] = []
    for alternative in kept:
        levels = dict(alternative)
        if not any(all(levels.get(skill, 0) >= level for skill, level in other) for other in least):
            least = [other for other in least if not _covers(other, alternative)] + [alternative]
    if len(least) > MOST_ALTERNATIVES:
        raise RequirementError(f"this multiplies out to more than {MOST_ALTERNATIVES} alternatives", 1)
    return tuple(sorted(least))


def _covers(more: Skills, less: Skills) -> bool:
    levels = dict(more)
    return all(levels.get(skill, 0) >= level for skill, level in less)


Token = tuple[str, int]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            raise RequirementError(f'"{text[column - 1]}" means nothing here', column)
        tokens.append((match.group().strip(), match.end() - len(match.group().strip()) + 1))
        at = match.end()
    return tokens


def _alternatives(tokens: list[Token], depth: int) -> tuple[Requirement, list[Token]]:
    found, tokens = _conjunction(tokens, depth)
    while tokens and tokens[0][0] == "or":
        other, tokens = _conjunction(_after(tokens), depth)
        found = either(found, other)
    return found, tokens


def _conjunction(tokens: list[Token], depth: int) -> tuple[Requirement, list[Token]]:
    found, tokens = _single(tokens, depth)
    while tokens and tokens[0][0] == "and":
        other, tokens = _single(_after(tokens), depth)
        found = both(found, other)
    return found, tokens


def _after(tokens: list[Token]) -> list[Token]:
    if len(tokens) == 1:
        raise RequirementError(f'a skill is missing after "{tokens[0][0]}"', tokens[0][1] + len(tokens[0][0]))
    return tokens[1:]


def _single(tokens: list[Token], depth: int) -> tuple[Requirement, list[Token]]:
    (word, column), rest = tokens[0], tokens[1:]
    if word == "(":
        if depth == DEEPEST:
            raise RequirementError(f"more than {DEEPEST} brackets in one another", column)
        if not rest:
            raise RequirementError("the bracket is not closed", column)
        found, rest = _alternatives(rest, depth + 1)
        if not rest or rest[0][0] != ")":
            raise RequirementError("the bracket is not closed", column)
        return found, rest[1:]
    if not word[0].isalpha() or word in ("and", "or"):
        raise RequirementError(f'a skill is missing before "{word}"', column)
    level = 1
    if rest and rest[0][0].startswith(">="):
        level = int(rest[0][0][2:])
        if not 1 <= level <= 5:
            raise RequirementError("a level is 1 to 5", rest[0][1])
        rest = rest[1:]
    return all_of({word: level}), rest
