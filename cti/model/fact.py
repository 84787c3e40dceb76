"""What every fact is. The facts themselves: `facts`, and those of calls that agents move about in `talk_facts`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cti.ids import CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened at `at`."""

    at: datetime
    inferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFact(Fact):
    """A fact about one call."""

    call_id: CallId
