"""What is wrong with a flow or a manifest, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps a flow from going live; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text, both counted from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding. `code` is stable (tests and editors use it), `message` and `remedy` are for people."""

    file: str
    at: Position
    code: str
    message: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        kind = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.file}:{self.at.line}:{self.at.column}: {kind}{self.message}\n  what to do: {self.remedy}"


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for an unknown name: the nearest known one, or `otherwise`."""
    near = get_close_matches(word, sorted(known), n=1)
    return f'did you mean "{near[0]}"?' if near else otherwise
