"""What is different between two versions of a flow: in words, step by step, and as text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from cti.ivr.document import Listing, Node, Scalar, Table, read_document
from cti.ivr.problems import Problem

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"
LONGEST_TOLD = 60
"""Characters of a value that are told."""


def differences(before: str, after: str) -> tuple[str, ...]:
    """The changes from one text of a flow to another, one line each, in the order of the newer text.

    Comments and layout are no difference. A text that cannot be read counts as empty.
    """
    old, new = _table(before), _table(after)
    steps_before, steps_after = _part(old, "steps"), _part(new, "steps")
    head = {key: value for key, value in old.items() if key != "steps"}
    return (
        *_keys("", head, {key: value for key, value in new.items() if key != "steps"}),
        *_steps(steps_before, steps_after),
    )


def text_difference(before: str, after: str, *, names: tuple[str, str]) -> str:
    """The changes as a unified diff; `names` are what the two texts are called. Empty: the same text."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _table(text: str) -> Mapping[str, Plain]:
    document = read_document(text, "")
    plain = {} if isinstance(document, Problem) else _plain(document)
    return plain if isinstance(plain, dict) else {}


def _plain(node: Node) -> Plain:
    match node:
        case Scalar():
            return node.text
        case Listing():
            return [_plain(item) for item in node.items]
        case Table():
            return {key.text: _plain(value) for key, value in node.entries}


def _part(table: Mapping[str, Plain], key: str) -> Mapping[str, Plain]:
    part = table.get(key)
    return part if isinstance(part, dict) else {}


def _steps(before: Mapping[str, Plain], after: Mapping[str, Plain]) -> Iterator[str]:
    for name, step in after.items():
        if name not in before:
            verb = next(iter(step), "") if isinstance(step, dict) else ""
            yield f"step {name} is new" + (f" ({verb})" if verb else "")
        else:
            yield from _value(f"step {name}", before[name], step)
    for name in before:
        if name not in after:
            yield f"step {name} goes"


def _keys(where: str, before: Mapping[str, Plain], after: Mapping[str, Plain]) -> Iterator[str]:
    for key, value in after.items():
        place = f"{where}.{key}" if where else key
        if key in before:
            yield from _value(place, before[key], value)
        else:
            yield f"{_told_place(place)} is new: {_told(value)}"
    for key, value in before.items():
        if key not in after:
            yield f"{_told_place(f'{where}.{key}' if where else key)} goes: it was {_told(value)}"


def _value(place: str, before: Plain, after: Plain) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _keys(place, before, after)
    else:
        yield f"{_told_place(place)}: {_told(before)} -> {_told(after)}"


def _told_place(place: str) -> str:
    """`step menu.choices.1.go` -> `step menu: choices.1.go`."""
    step, dot, rest = place.partition(".")
    return f"{step}: {rest}" if dot and step.startswith("step ") else place


def _told(value: Plain) -> str:
    match value:
        case str():
            told = value or "nothing"
        case list():
            told = f"[{', '.join(map(_told, value))}]"
        case _:
            told = f"{{{', '.join(f'{key}: {_told(item)}' for key, item in value.items())}}}"
    return told if len(told) <= LONGEST_TOLD else f"{told[: LONGEST_TOLD - 1]}…"
