"""What the web asks of the records of past calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol


class CallQueries(Protocol):
    """The stored calls. Rows are mappings with the columns of the SQL view `report.calls`.

    Both raise `cti.errors.RemoteError` when the database cannot be asked now.
    """

    async def recent(
        self, *, limit: int, before: datetime | None, queue: str | None, outcome: str | None
    ) -> Sequence[Mapping[str, object]]:
        """At most `limit` calls, latest start first; `before` keeps those started earlier than that."""
        ...

    async def one(self, call_id: str) -> tuple[Mapping[str, object], Sequence[Mapping[str, object]]] | None:
        """A call's row and its facts in order ("type", "at", and the fact's fields); None when there is no such call."""
        ...
