"""What may be asked of the flows while they run: the seam between who changes them and everything with a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cti.errors import CtiError
from cti.ids import FlowName
from cti.ivr.editions import Change
from cti.ivr.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStanding:
    """A flow as it stands: what is live, and the draft."""

    flow: FlowName
    version: str
    """The live one; empty: there is only a draft, or it was removed."""
    draft: str
    """Empty: there is none."""
    former: str
    """What was live before, and a roll-back goes to; empty: nothing."""
    changes: tuple[Change, ...]
    """The first first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDifference:
    """What is different between two versions. `steps`: in words, one line a change; `text`: a unified diff."""

    before: str
    after: str
    steps: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsChanged:
    """A change took effect."""

    edition: int
    flows: Mapping[FlowName, str]
    """Flow -> version now; none: everything was so already, nothing happened."""
    changes: tuple[str, ...] = ()
    """In words, against what was there before."""
    warnings: tuple[Problem, ...] = ()


class FlowInvalid(CtiError):
    """A flow cannot go live, nor be a draft; `problems` is not empty. Nothing happened: what ran goes on."""

    error_id = "flow_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)), remedy="correct these; what ran goes on")
        self.problems = tuple(problems)


class FlowConflict(CtiError):
    """A flow is in another version than the one this change was made from. Nothing happened."""

    error_id = "flow_conflict"


class UnknownFlow(CtiError):
    """There is no such flow, or it never had this version."""

    error_id = "unknown_flow"


class FlowChanges(Protocol):
    """The flows of a centre, and their versions.

    Everything that changes something raises `FlowInvalid`, `FlowConflict`, `UnknownFlow`, or `ConfigError` when a file
    cannot be written; nothing happened then. `expected` is the live version a change was made from, empty for a flow
    that is not live; None: whatever it is.
    """

    def standings(self) -> Sequence[FlowStanding]:
        """Every flow there is or was, by name."""
        ...

    def standing(self, flow: FlowName) -> FlowStanding:
        """One flow. Raises `UnknownFlow`."""
        ...

    def test_numbers(self) -> Sequence[str]:
        """Dialled numbers whose callers hear drafts."""
        ...

    async def text(self, flow: FlowName, version: str) -> str:
        """The text of a version. Raises `UnknownFlow`."""
        ...

    async def diff(self, flow: FlowName, before: str, after: str) -> FlowDifference:
        """What is different between two versions. Raises `UnknownFlow`."""
        ...

    async def check(self, texts: Mapping[FlowName, str], *, draft: bool = False) -> Sequence[Problem]:
        """Everything wrong with these texts, and with the live flows (as a draft: the drafts) if they were taken up."""
        ...

    async def apply(
        self, texts: Mapping[FlowName, str], *, expected: Mapping[FlowName, str | None], by: str, note: str = ""
    ) -> FlowsChanged:
        """Take texts live, all or none. Calls that are in a flow stay on what they began with."""
        ...

    async def roll_back(
        self, flow: FlowName, version: str | None, *, expected: str | None, by: str, note: str = ""
    ) -> FlowsChanged:
        """Make an earlier version live again; None: the one before the present one."""
        ...

    async def remove(self, flow: FlowName, *, expected: str | None, by: str, note: str = "") -> FlowsChanged:
        """Take a flow away that no number, queue or other flow leads to."""
        ...

    async def put_draft(self, flow: FlowName, text: str, *, by: str, note: str = "") -> FlowsChanged:
        """Let test calls hear this text."""
        ...

    async def withdraw(self, flow: FlowName, *, by: str, note: str = "") -> FlowsChanged:
        """Take the draft away."""
        ...
