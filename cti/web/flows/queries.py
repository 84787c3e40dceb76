"""What the web asks of flows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from cti.ids import FlowName
from cti.ivr.drawing import Traffic
from cti.ivr.flow import Flow


class Flows(Protocol):
    """The flows that are live."""

    def __iter__(self) -> Iterator[Flow]:
        """Each in its live version."""
        ...


class FlowTraffic(Protocol):
    """What calls did in flows. Raises `cti.errors.RemoteError` when the database is away."""

    async def traffic(self, flow: FlowName, *, since: datetime, until: datetime) -> Traffic:
        """Counts within `since` <= then < `until`."""
        ...
