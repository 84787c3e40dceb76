"""Reports of somebody who has certain queues: the same figures, over these queues only, and the answer says so.

What is told of no queue (how agents spend their time) is told of the agents of these queues.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from cti.model.centre import Centre
from cti.reports.metric import Dimension
from cti.reports.metrics import METRICS
from cti.services.reporting import (
    CallsQuery,
    CountedCalls,
    Filters,
    Funnel,
    Report,
    ReportQuery,
    ReportRow,
    Reports,
    Spread,
    SpreadAnswer,
)

_NOBODY = ""
"""No queue and no agent is called so: chosen alone, nothing fits."""


class OwnReports:
    """`Reports`, of certain queues."""

    def __init__(self, reports: Reports, queues: Collection[str], centre: Centre) -> None:
        self._reports = reports
        self._queues = tuple(sorted(queues))
        self._agents = tuple(
            sorted(agent_id for agent_id, agent in centre.agents.items() if not set(queues).isdisjoint(agent.queues))
        )

    def _within(self, filters: Filters, dimension: Dimension, own: tuple[str, ...]) -> Filters:
        """`filters`, with nothing but what is own; what is asked for besides has no rows."""
        asked = filters.get(dimension)
        kept = own if asked is None else tuple(one for one in own if one in asked)
        return {**filters, dimension: kept or (_NOBODY,)}

    def _of_queues(self, filters: Filters) -> Filters:
        return self._within(filters, Dimension.QUEUE, self._queues)

    async def query(self, query: ReportQuery) -> Report:
        """See `Reports.query`."""
        by_queue = Dimension.QUEUE in (*query.by, *query.filters)
        apart = [name for name in query.metrics if not by_queue and Dimension.QUEUE not in METRICS[name].dimensions]
        rest = tuple(name for name in query.metrics if name not in apart)
        parts: list[Report] = []
        if rest:
            parts.append(
                await self._reports.query(replace(query, metrics=rest, filters=self._of_queues(query.filters)))
            )
        if apart:
            mine = self._within(query.filters, Dimension.AGENT, self._agents)
            parts.append(await self._reports.query(replace(query, metrics=tuple(apart), filters=mine)))
        return replace(_together(parts, query), queues=self._queues)

    async def calls(self, query: CallsQuery) -> CountedCalls:
        """See `Reports.calls`. Of a call that went on to a queue of others, its stay is told and nothing else."""
        found = await self._reports.calls(replace(query, filters=self._of_queues(query.filters)))
        told = tuple(
            one if one.row is None or one.row.get("queue") in self._queues else replace(one, row=None)
            for one in found.calls
        )
        return replace(found, calls=told)

    async def spread(self, what: Spread, *, since: datetime, until: datetime, filters: Filters) -> SpreadAnswer:
        """See `Reports.spread`."""
        return await self._reports.spread(what, since=since, until=until, filters=self._of_queues(filters))

    async def funnel(
        self,
        *,
        since: datetime,
        until: datetime,
        flow: str = "",
        version: str = "",
        queues: Sequence[str] | None = None,
    ) -> Funnel:
        """See `Reports.funnel`."""
        own = self._queues if queues is None else tuple(one for one in self._queues if one in queues)
        return await self._reports.funnel(since=since, until=until, flow=flow, version=version, queues=own)


def _together(parts: Sequence[Report], query: ReportQuery) -> Report:
    """Reports of the same frame with other metrics, as one; every row has every figure that anybody told of it."""
    first = parts[0]
    if len(parts) == 1:
        return first
    rows: dict[tuple[str | None, ...], ReportRow] = {}
    keys_of_first = {tuple(row.keys[dimension.value] for dimension in query.by) for row in first.rows}
    for part in parts:
        for row in part.rows:
            keys = tuple(row.keys[dimension.value] for dimension in query.by)
            known = rows.get(keys)
            rows[keys] = row if known is None else replace(
                known,
                figures={**known.figures, **row.figures},
                before=None if known.before is None else {**known.before, **(row.before or {})},
            )  # fmt: skip
    # Keys of time are in the order of time, which is not that of their letters where clocks are put back.
    order = list(rows) if rows.keys() == keys_of_first else sorted(rows, key=_by_name)
    return replace(
        first,
        rows=tuple(rows[keys] for keys in order),
        totals={name: figure for part in parts for name, figure in part.totals.items()},
        totals_before=None if first.totals_before is None else {
            name: figure for part in parts for name, figure in (part.totals_before or {}).items()
        },
        unfinished=any(part.unfinished for part in parts),
    )  # fmt: skip


def _by_name(keys: tuple[str | None, ...]) -> tuple[tuple[bool, str], ...]:
    return tuple((key is None, key or "") for key in keys)
