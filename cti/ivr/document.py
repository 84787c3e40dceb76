"""YAML text to nodes that know where they stand.

Only what people need to write a flow: tables, lists and plain values. Anchors, aliases, tags and several documents in
one file are refused: they hide what a flow does, and aliases are how a small file becomes a huge one. Built from
parser events in a loop, so that deep nesting is a problem with a position and not a `RecursionError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from cti.ivr.problems import Position, Problem

MAX_CHARACTERS = 200_000
MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain value, as written. `quoted` tells `"no"` from `no`."""

    text: str
    at: Position
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    items: tuple[Node, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values in the order written; no key twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    at: Position

    def get(self, key: str) -> Node | None:
        """The value under `key`, None when absent."""
        return next((value for name, value in self.entries if name.text == key), None)


Node = Scalar | Listing | Table

# What YAML itself forbids; checked first because the library's reader reports these without line and column.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class _Bad(Exception):
    """Raised inside this file only."""

    def __init__(self, at: Position, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.fields = (at, code, message, remedy)


def read_document(text: str, file: str) -> Node | Problem:
    """The single document of `text`, or the first problem. Never raises."""
    try:
        return _read(text)
    except _Bad as bad:
        at, code, message, remedy = bad.fields
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at, code = _position(mark), "yaml"
        reason = getattr(error, "problem", None) or getattr(error, "context", None) or "not readable"
        message = f"not valid YAML: {reason}"
        remedy = "check indentation, colons and quotes at this place"
        if star := re.search(r"^[ \t]*([*&]):", text, re.MULTILINE):
            # A menu's star key without quotes: YAML reads an alias and stumbles a line later.
            before = text[: star.start(1)]
            at = Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
            remedy = f'write the key in quotes: `"{star[1]}":`'
    except (ValueError, IndexError, RecursionError, AttributeError, TypeError, AssertionError) as error:
        # The YAML library's own slips on hostile input (for example "%YAML x"): a problem of the text all the same.
        at, code, message = Position(), "yaml", f"not valid YAML ({type(error).__name__})"
        remedy = "start again from one of the shipped flows"
    return Problem(file=file, at=at, code=code, message=message, remedy=remedy)


def _position(mark: Any) -> Position:
    return Position() if mark is None else Position(int(mark.line) + 1, int(mark.column) + 1)


@dataclass(slots=True)
class _Open:
    """A collection being read. `key` is a table's key waiting for its value."""

    is_table: bool
    at: Position
    items: list[Node]
    entries: list[tuple[Scalar, Node]]
    names: set[str]
    key: Scalar | None = None


def _read(text: str) -> Node:
    if len(text) > MAX_CHARACTERS:
        raise _Bad(Position(), "too_large", f"longer than {MAX_CHARACTERS} characters", "split it into several files")
    if bad := _FORBIDDEN.search(text, 1 if text.startswith("\ufeff") else 0):
        before = text[: bad.start()]
        at = Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        raise _Bad(at, "yaml", "not valid YAML: a control character", "delete the invisible character at this place")
    if re.search(r"^%", text, re.MULTILINE):
        line = text[: next(re.finditer(r"^%", text, re.MULTILINE)).start()].count("\n") + 1
        raise _Bad(Position(line, 1), "yaml", "a YAML directive", "delete the line that begins with %")
    documents = 0
    stack: list[_Open] = []
    root: Node | None = None
    for event in YAML(typ="safe", pure=True).parse(text):
        at = _position(event.start_mark)
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _Bad(at, "several_documents", "a second document begins here", "one file holds one document")
            continue
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise _Bad(at, "anchor", "anchors and aliases (& and *) are not used here",
                       "write the value out; quote a key that begins with * or &")  # fmt: skip
        node: Node
        if isinstance(event, ScalarEvent):
            if event.tag:
                raise _Bad(at, "tag", "tags (!) are not used here", "quote the value if it begins with !")
            node = Scalar(event.value, at, event.style is not None)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            if event.tag:
                raise _Bad(at, "tag", "tags (!) are not used here", "quote the value if it begins with !")
            if len(stack) >= MAX_DEPTH:
                raise _Bad(at, "too_deep", f"nested more than {MAX_DEPTH} deep", "make it flatter")
            stack.append(_Open(isinstance(event, MappingStartEvent), at, [], [], set()))
            continue
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            done = stack.pop()
            node = Table(tuple(done.entries), done.at) if done.is_table else Listing(tuple(done.items), done.at)
        else:
            continue
        if not stack:
            root = node
        else:
            _put(stack[-1], node)
    if root is None or (isinstance(root, Scalar) and not root.text):
        raise _Bad(Position(), "empty", "the file is empty", "start from one of the shipped flows")
    return root


def _put(into: _Open, node: Node) -> None:
    if not into.is_table:
        into.items.append(node)
    elif into.key is None:
        if not isinstance(node, Scalar):
            raise _Bad(node.at, "shape", "a key must be a plain word", "write `name: value`")
        if node.text in into.names:
            raise _Bad(node.at, "duplicate_key", f'"{node.text}" is here twice', "rename one of them or delete it")
        into.names.add(node.text)
        into.key = node
    else:
        into.entries.append((into.key, node))
        into.key = None
