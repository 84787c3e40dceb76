"""Which version of each flow was live when: a fold over the changes people made.

Every change makes a new edition, numbered from 1 without a gap: the whole set of live flows and of drafts, each in one
version. A call stays on the edition it began with, so the flows it calls are those that were live then, too. A test call
hears the drafts of its edition, and the live flows where there is no draft.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cti.ids import FlowName


class Action(StrEnum):
    """What was done."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled_back"
    REMOVED = "removed"
    DRAFTED = "drafted"
    """A draft was put where test calls hear it."""
    WITHDRAWN = "withdrawn"
    """A draft was taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, of one flow or of several at once."""

    edition: int
    """What it made."""
    at: datetime
    action: Action
    flows: Mapping[FlowName, str]
    """Flow -> version; of removed and withdrawn ones, the version that was there."""
    by: str = ""
    """Who wanted it; empty: found in the folder of flows at a start."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """All flows at one time."""

    number: int = 0
    live: Mapping[FlowName, str] = field(default_factory=dict)
    drafts: Mapping[FlowName, str] = field(default_factory=dict)
    """The draft put there last is the last."""

    def version(self, flow: FlowName, *, draft: bool = False) -> str:
        """The version of a flow; empty when there is no such flow."""
        return (self.drafts.get(flow, "") if draft else "") or self.live.get(flow, "")


def following(before: Edition, change: Change) -> Edition:
    """The edition a change makes. A draft that goes live is a draft no more."""
    live, drafts = dict(before.live), dict(before.drafts)
    for flow, version in change.flows.items():
        match change.action:
            case Action.APPLIED | Action.ROLLED_BACK:
                live[flow] = version
                if drafts.get(flow) == version:
                    del drafts[flow]
            case Action.REMOVED:
                live.pop(flow, None)
            case Action.DRAFTED:
                drafts.pop(flow, None)
                drafts[flow] = version
            case Action.WITHDRAWN:
                drafts.pop(flow, None)
    return Edition(number=change.edition, live=live, drafts=drafts)


class History:
    """All changes, the first first, and the edition each made."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._changes: list[Change] = []
        self._editions = [Edition()]
        for change in changes:
            self.add(change)

    @property
    def now(self) -> Edition:
        """The present edition; number 0 before the first change."""
        return self._editions[-1]

    def add(self, change: Change) -> Edition:
        """Go on to the next edition. Raises `ValueError` for a change that is not the next one."""
        if change.edition != self.now.number + 1:
            raise ValueError(f"edition {change.edition} does not follow {self.now.number}")
        edition = following(self.now, change)
        self._changes.append(change)
        self._editions.append(edition)
        return edition

    def at(self, number: int) -> Edition | None:
        """An edition; None for one there never was."""
        return self._editions[number] if 0 < number < len(self._editions) else None

    def of(self, flow: FlowName) -> tuple[Change, ...]:
        """The changes of one flow, the first first."""
        return tuple(change for change in self._changes if flow in change.flows)

    def knows(self, flow: FlowName, version: str | None = None) -> bool:
        """Whether a flow (in a certain version) was ever live or a draft."""
        return any(version in (None, change.flows[flow]) for change in self.of(flow))

    def former(self, flow: FlowName) -> str:
        """What was live before the present version of a flow, or before it was removed; empty when nothing was."""
        present = self.now.live.get(flow, "")
        versions = (edition.live.get(flow, "") for edition in reversed(self._editions))
        return next((version for version in versions if version not in ("", present)), "")

    def __iter__(self) -> Iterator[Change]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)
