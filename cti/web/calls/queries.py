"""What the web asks of the records of past calls, and the shape of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cti.ids import CallId, QueueName


class CallPage(Protocol):
    """One page of calls, newest first. Rows are mappings with the columns of the SQL view `report.calls`."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The calls."""
        ...

    @property
    def next(self) -> CallId | None:
        """The `before` of the page after this one; None on the last."""
        ...


class StoredCall(Protocol):
    """One call. `row` is None while the call is open."""

    @property
    def row(self) -> Mapping[str, Any] | None:
        """The call's row of `report.calls`."""
        ...

    @property
    def disposition(self) -> str:
        """What the agent recorded after the call."""
        ...

    @property
    def note(self) -> str:
        """What the agent wrote after the call."""
        ...

    @property
    def facts(self) -> Sequence[Mapping[str, Any]]:
        """Every fact known of the call, in order."""
        ...


class CallQueries(Protocol):
    """The stored calls. Both raise `cti.errors.RemoteError` when the database cannot be asked now."""

    async def recent(
        self,
        *,
        limit: int,
        before: CallId | None,
        queue: QueueName | None,
        outcome: str | None,
        queues: Sequence[str] | None = None,
    ) -> CallPage:
        """At most `limit` calls; `before` is the last call of the page before it. `queues`: only calls of these."""
        ...

    async def one(self, call_id: CallId) -> StoredCall | None:
        """A call with its facts; None when nothing is known of it."""
        ...
