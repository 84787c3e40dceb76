"""How durations are spread, and how far callers went in flows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from cti.services.reporting import Funnel, FunnelStep, Spread, SpreadAnswer, SpreadBin
from cti.store.report_sql import Choice

_WAITS = (0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200)
_TALKS = (0, 15, 30, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1800, 3600)
_OF = {
    Spread.WAIT: ("answer_wait_ms", "answered", _WAITS),
    Spread.ABANDON_WAIT: ("abandon_wait_ms", "abandoned", _WAITS),
    Spread.TALK: ("talk_ms", "handled", _TALKS),
    Spread.HANDLE: ("handle_ms", "handled", _TALKS),
}
"""(duration, whose rows have one, borders in seconds)."""


async def spread_of(pool: asyncpg.Pool, what: Spread, choice: Choice | None) -> SpreadAnswer:
    """How a duration is spread over the rows chosen; None: over none."""
    column, having, borders = _OF[what]
    counts: dict[int, int] = {}
    row = None
    if choice is not None:
        where = f"{choice.text()} AND {having} = 1"
        edges = f"${len(choice.values) + 1}::integer[]"
        in_order = f"percentile_disc(ARRAY[0.5, 0.8, 0.9, 0.95]) WITHIN GROUP (ORDER BY {column})"
        row = await pool.fetchrow(
            f"SELECT count(*) AS n, avg({column})::float8 AS mean, {in_order} AS p, max({column}) AS most"  # noqa: S608 - our names
            f" FROM {choice.table} WHERE {where}",
            *choice.values,
        )
        bins = await pool.fetch(
            f"SELECT width_bucket({column}, {edges}) AS bin, count(*) AS n FROM {choice.table}"  # noqa: S608 - our names
            f" WHERE {where} GROUP BY 1",
            *choice.values,
            [border * 1000 for border in borders],
        )
        counts = {found["bin"]: found["n"] for found in bins}
    shape = tuple(
        SpreadBin(
            low=float(low),
            high=float(borders[index + 1]) if index + 1 < len(borders) else None,
            count=counts.get(index + 1, 0),
        )
        for index, low in enumerate(borders)
    )
    if row is None or not row["n"]:
        return SpreadAnswer(n=0, mean=None, median=None, p80=None, p90=None, p95=None, most=None, bins=shape)
    median, p80, p90, p95 = (value / 1000 for value in row["p"])
    return SpreadAnswer(
        n=row["n"], mean=row["mean"] / 1000, median=median, p80=p80, p90=p90, p95=p95, most=row["most"] / 1000,
        bins=shape,
    )  # fmt: skip


async def funnel_of(
    pool: asyncpg.Pool,
    *,
    since: datetime,
    until: datetime,
    flow: str,
    version: str,
    queues: Sequence[str] | None = None,
) -> Funnel:
    """How far callers went; steps of calls that have not ended count too, unless a version is asked for."""
    where = (
        "f.kind = 'FlowStepDone' AND f.at >= $1 AND f.at < $2 AND ($3 = '' OR f.body->>'flow' = $3) AND ($4 = '' OR"
        " EXISTS (SELECT FROM cti.counted_calls c WHERE c.call_id = f.call_id"
        " AND split_part(c.flow_version, '@', 2) = $4 AND ($3 = '' OR split_part(c.flow_version, '@', 1) = $3)))"
        " AND ($5::text[] IS NULL OR EXISTS (SELECT FROM cti.counted_visits v WHERE v.call_id = f.call_id"
        " AND v.queue = ANY($5)))"
    )
    values = (since, until, flow, version, list(queues) if queues is not None else None)
    calls = await pool.fetchval(f"SELECT count(DISTINCT f.call_id) FROM cti.facts f WHERE {where}", *values)  # noqa: S608 - ours
    rows = await pool.fetch(
        "SELECT f.body->>'flow' AS flow, f.body->>'step' AS step, f.body->>'verb' AS verb,"  # noqa: S608 - our names
        " f.body->>'result' = 'gone' AS gone, coalesce(f.body->>'next_step', '') AS next_step, count(*) AS n,"
        " sum((f.body->>'seconds')::float8) AS seconds"
        f" FROM cti.facts f WHERE {where} GROUP BY 1, 2, 3, 4, 5",
        *values,
    )
    steps: dict[tuple[str, str, str], list[asyncpg.Record]] = {}
    for row in rows:
        steps.setdefault((row["flow"], row["step"], row["verb"]), []).append(row)
    found = []
    for (name, step, verb), parts in steps.items():
        came = sum(row["n"] for row in parts)
        to: dict[str, int] = {}
        for row in parts:
            if not row["gone"]:
                to[row["next_step"]] = to.get(row["next_step"], 0) + row["n"]
        found.append(
            FunnelStep(
                flow=name,
                step=step,
                verb=verb,
                came=came,
                gone=sum(row["n"] for row in parts if row["gone"]),
                seconds=sum(row["seconds"] or 0.0 for row in parts) / came,
                to=to,
            )
        )
    return Funnel(calls=calls, steps=tuple(sorted(found, key=lambda one: (-one.came, one.flow, one.step))))
