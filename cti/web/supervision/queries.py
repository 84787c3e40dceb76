"""What the web asks of the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol


class ActPage(Protocol):
    """One page of acts, the newest first. Rows are mappings with the columns of the SQL view `report.acts`."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The acts."""
        ...

    @property
    def next(self) -> str | None:
        """The `before` of the page after this one; None on the last."""
        ...


class ActQueries(Protocol):
    """The stored acts. Raises `cti.errors.RemoteError` when the database cannot be asked now."""

    async def acts(
        self,
        *,
        limit: int,
        before: str | None,
        by: str,
        act: str,
        subject: str,
        since: datetime | None,
        until: datetime | None,
        queues: Sequence[str] | None,
    ) -> ActPage:
        """At most `limit`; `queues`: only acts on these (None: all). Empty filters let all pass."""
        ...

    async def of_call(self, call_id: str) -> Sequence[Mapping[str, Any]]:
        """The acts on one call, the eldest first."""
        ...
