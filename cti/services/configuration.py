"""What may be asked of the centre's configuration while it runs: the seam between who changes it and everything with a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cti.errors import CtiError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """Something that keeps a text from being the centre's configuration. `place` is "file:line", or a flow's."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigText:
    """The configuration the centre runs on. `version` is made from the text alone: same text, same version."""

    text: str
    version: str
    since: datetime
    by: str = ""
    """Who applied it; empty: it was there at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A configuration took effect."""

    version: str
    changes: tuple[str, ...]
    """In plain words, one line a change; none when the new text means the same."""
    notes: tuple[str, ...] = ()
    """What is left for a person to do, or to know."""
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """New log-ins with their passwords."""


class ConfigInvalid(CtiError):
    """The text cannot be the centre's configuration; `problems` is not empty. Nothing happened."""

    error_id = "config_invalid"

    def __init__(self, problems: Sequence[ConfigProblem], *, remedy: str = "") -> None:
        super().__init__("\n".join(map(str, problems)), remedy=remedy or "correct these; docs/centre.md has every key")
        self.problems = tuple(problems)


class ConfigConflict(CtiError):
    """The configuration is another than the one this change was made from. Nothing happened."""

    error_id = "config_conflict"


class Configuration(Protocol):
    """The configuration of a running centre."""

    def current(self) -> ConfigText:
        """What it runs on."""
        ...

    async def check(self, text: str) -> Sequence[ConfigProblem]:
        """Everything that is wrong with a text, that it names flows and prompts that are not there, too."""
        ...

    async def diff(self, text: str) -> Sequence[str]:
        """What would change. Raises `ConfigInvalid`."""
        ...

    async def apply(self, text: str, *, expected: str, by: str) -> Applied:
        """Make it the centre's configuration. `expected`: the version it was made from.

        Raises `ConfigConflict`, `ConfigInvalid`, or `ConfigError` when a file cannot be written; nothing happened then.
        """
        ...
