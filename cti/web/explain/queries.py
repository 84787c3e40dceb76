"""What the web asks about decisions and promises, and the shape of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from cti.ids import CallId, QueueName
from cti.model.fact import Fact
from cti.model.facts import CallFact, Decided


class LiveCalls(Protocol):
    """The floor's own memory: live calls, and those that ended a moment ago."""

    def facts_of(self, call_id: CallId) -> Sequence[CallFact]:
        """The call's facts in the order they were recorded; empty for a call that is not remembered."""
        ...

    def present(self, call_id: CallId) -> Decided | None:
        """Why a waiting call is not served at this moment, everybody named; None when it does not wait."""
        ...


class Accuracy(Protocol):
    """How promises came out that were followed by an answer; seconds, None without any."""

    @property
    def promises(self) -> int:
        """How many."""
        ...

    @property
    def mean_error(self) -> float | None:
        """Mean of expected less real wait."""
        ...

    @property
    def mean_absolute_error(self) -> float | None:
        """Mean difference of expected and real wait."""
        ...

    @property
    def inside(self) -> float | None:
        """Share of real waits within the range."""
        ...

    @property
    def mean_wait(self) -> float | None:
        """Mean real wait."""
        ...


class QueueAccuracy(Protocol):
    """One queue's promises."""

    @property
    def joined(self) -> Accuracy:
        """Those made when callers joined."""
        ...

    @property
    def told(self) -> Accuracy:
        """Those callers heard."""
        ...


class Explanations(Protocol):
    """What is stored. Both raise `cti.errors.RemoteError` when the database cannot be asked now."""

    async def facts_of(self, call_id: CallId) -> Sequence[CallFact]:
        """Every stored fact of a call, in the order of their time."""
        ...

    async def story_of(self, call_id: CallId) -> Sequence[Fact]:
        """Every stored fact that is about a call, of its recording, too, in the order of their time."""
        ...

    async def accuracy(self, *, since: datetime, until: datetime) -> Mapping[QueueName, QueueAccuracy]:
        """By queue: promises made within `since` <= then < `until`."""
        ...
