"""Agents' time in Postgres: `cti.agent_times`, counted again from the first half-hour that something new is known of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from cti.ids import AgentId
from cti.model.facts import AgentState
from cti.reports.agent_times import AllowedAt, Chosen, Used, beyond_allowed, by_half_hour, stretches
from cti.reports.slots import day_start, half_hour_of
from cti.reports.talks import Activity

WINDOW = timedelta(days=14)
"""How much of an agent's past is counted anew in one turn."""


def windows(first: datetime, last: datetime, zone: ZoneInfo) -> list[datetime]:
    """The beginnings of the turns in which an agent's time from `first` to `last` is counted anew: of whole days, so that
    nothing that is summed up by day or half-hour lies in two of them."""
    day = first.astimezone(zone).date()
    found = [day_start(day, zone)]
    while (begins := day_start(day := day + WINDOW, zone)) <= last:
        found.append(begins)
    return found


async def earliest_touched(connection: asyncpg.Connection, call_ids: Sequence[str]) -> dict[str, datetime]:
    """Since when these calls are part of agents' time, by agent."""
    rows = await connection.fetch(
        "SELECT agent, min(began_at) FROM cti.agent_activities WHERE call_id = ANY($1) GROUP BY agent", call_ids
    )
    return dict(rows)


async def recount(
    connection: asyncpg.Connection,
    touched: Mapping[str, datetime],
    zone: ZoneInfo,
    allowed: AllowedAt,
    *,
    until: datetime | None = None,
) -> None:
    """Count the time of these agents again, each from the half-hour of that moment on (or from where it was counted to).

    `until`: only what is before it, a half-hour's beginning that agents' time is known to reach; where it is counted to
    stays as it was.
    """
    if not touched:
        return
    agents = sorted(touched)
    marks: dict[str, datetime] = {}
    if until is None:
        marks = {
            row["agent"]: row["until"]
            for row in await connection.fetch("SELECT agent, until FROM cti.agent_marks WHERE agent = ANY($1)", agents)
        }
    since = {agent: half_hour_of(min(touched[agent], marks.get(agent, touched[agent])), zone) for agent in agents}
    moments = [since[agent] for agent in agents]
    chosen = await connection.fetch(
        "SELECT a.agent, f.at, f.body->>'state' AS state, coalesce(f.body->>'reason', '') AS reason"
        "  FROM unnest($1::text[], $2::timestamptz[]) AS a (agent, since)"
        "  JOIN cti.facts f ON f.kind = 'AgentChanged' AND f.body->>'agent_id' = a.agent"
        "   AND f.at >= coalesce((SELECT max(b.at) FROM cti.facts b WHERE b.kind = 'AgentChanged'"
        "                            AND b.body->>'agent_id' = a.agent AND b.at <= a.since), a.since)"
        " WHERE $3::timestamptz IS NULL OR f.at < $3"
        " ORDER BY a.agent, f.at, f.journal_id, f.position",
        agents,
        moments,
        until,
    )
    took = await connection.fetch(
        "SELECT t.agent, t.state, t.began_at, t.ended_at FROM unnest($1::text[], $2::timestamptz[]) AS a (agent, since)"
        " JOIN cti.agent_activities t ON t.agent = a.agent AND t.ended_at > a.since"
        " WHERE $3::timestamptz IS NULL OR t.began_at < $3",
        agents,
        moments,
        until,
    )
    used: dict[str, Used] = {}
    mornings = [day_start(moment.astimezone(zone).date(), zone) for moment in moments]
    for row in await connection.fetch(
        "SELECT t.agent, t.reason, sum(t.ms)::bigint AS ms, a.morning"
        "  FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS a (agent, since, morning)"
        "  JOIN cti.agent_times t ON t.agent = a.agent AND t.slot >= a.morning AND t.slot < a.since"
        " WHERE t.state = 'not_ready' GROUP BY t.agent, t.reason, a.morning",
        agents,
        moments,
        mornings,
    ):
        used.setdefault(row["agent"], {})[row["morning"].astimezone(zone).date(), row["reason"]] = row["ms"]
    # In a thread: agents with very many short calls would hold up the calls themselves.
    rows, ends = await asyncio.to_thread(_counted, since, until, marks, chosen, took, used, allowed, zone)
    await connection.execute(
        "DELETE FROM cti.agent_times t USING unnest($1::text[], $2::timestamptz[]) AS a (agent, since)"
        " WHERE t.agent = a.agent AND t.slot >= a.since AND ($3::timestamptz IS NULL OR t.slot < $3)",
        agents,
        moments,
        until,
    )
    await connection.copy_records_to_table(
        "agent_times", records=rows, columns=("slot", "agent", "state", "reason", "ms", "over_ms"), schema_name="cti"
    )
    if until is not None:
        return
    await connection.executemany(
        "INSERT INTO cti.agent_marks VALUES ($1, $2, $3, $4) ON CONFLICT (agent) DO UPDATE"
        " SET until = excluded.until, state = excluded.state, reason = excluded.reason",
        ends,
    )


def _counted(
    since: Mapping[str, datetime],
    window: datetime | None,
    marks: Mapping[str, datetime],
    chose: Sequence[asyncpg.Record],
    took: Sequence[asyncpg.Record],
    used: Mapping[str, Used],
    allowed: AllowedAt,
    zone: ZoneInfo,
) -> tuple[list[tuple[datetime, str, str, str, int, int]], list[tuple[str, datetime, str, str]]]:
    """Rows of agents' time, and where each agent's is counted to."""
    choices: dict[str, list[Chosen]] = {}
    for row in chose:
        choices.setdefault(row["agent"], []).append(
            Chosen(at=row["at"], state=AgentState(row["state"]), reason=row["reason"])
        )
    calls: dict[str, list[Activity]] = {}
    for row in took:
        calls.setdefault(row["agent"], []).append(
            Activity(
                agent=AgentId(row["agent"]),
                state=AgentState(row["state"]),
                began_at=row["began_at"],
                ended_at=row["ended_at"],
            )
        )
    rows: list[tuple[datetime, str, str, str, int, int]] = []
    ends: list[tuple[str, datetime, str, str]] = []
    for agent, begins in since.items():
        own, activities = choices.get(agent, ()), calls.get(agent, ())
        until = window or max(
            [begins, *(one.at for one in own), *(one.ended_at for one in activities)]
            + ([marks[agent]] if agent in marks else [])
        )
        found = by_half_hour(stretches(own, activities, since=begins, until=until), zone)
        over = beyond_allowed(found, used.get(agent, {}), allowed, zone)
        rows += [
            (slot, agent, state.value, reason, ms, over.get((slot, state, reason), 0))
            for (slot, state, reason), ms in found.items()
            if ms
        ]
        last = own[-1] if own else Chosen(at=until, state=AgentState.OFFLINE)
        ends.append((agent, until, last.state.value, last.reason))
    return rows, ends
