"""What `cti doctor` finds, and what its checks tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cti.model.centre import Centre
from cti.places import Places
from cti.settings import Settings

Grade = Literal["ok", "note", "bad"]
"""`note`: not there yet, or worth knowing. `bad`: it keeps callers from being served as the settings say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `remedy` is the next step for a person; empty when there is none to take."""

    grade: Grade
    subject: str
    finding: str
    remedy: str = ""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What several checks need to know."""

    settings: Settings
    places: Places
    centre: Centre | None = None
    ami_secret: str = field(default="", repr=False)
    bridge: int | None = None
    """Process id of the bridge of this data folder."""
    answers: bool = False
    """Whether a bridge answers at the web port, ours or another's."""
    exists: bool = False
    """Whether a centre was ever started in this data folder."""


def some(names: list[str], limit: int = 6) -> str:
    """The first few of many names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
