"""Reports out of Postgres: `cti.services.reporting.Reports`. All raise `RemoteError` when Postgres is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from cti.clock import Clock, SystemClock
from cti.ids import CallId
from cti.model.centre import Centre
from cti.model.facts import AgentState
from cti.reports.agent_times import Stretch, amounts_of, by_half_hour
from cti.reports.folding import Keys, Sums, added
from cti.reports.metric import TIME_DIMENSIONS, Dimension, Grain, Metric
from cti.reports.metrics import DEFINITION_VERSION, METRICS
from cti.reports.slots import earlier, key_of, keys_between
from cti.services.reporting import (
    CallsQuery,
    Compare,
    CountedCall,
    CountedCalls,
    Figure,
    Figures,
    Filters,
    Funnel,
    Part,
    Report,
    ReportQuery,
    ReportRow,
    Spread,
    SpreadAnswer,
)
from cti.store.anew import progress
from cti.store.pool import naming
from cti.store.queries import COLUMNS
from cti.store.report_shapes import funnel_of, spread_of
from cti.store.report_sql import WHOLE_DAYS, Choice, Days, applies, choose

Parts = dict[Keys, dict[tuple[Grain, str], int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One report's frame."""

    by: tuple[Dimension, ...]
    filters: Filters
    since: datetime
    until: datetime
    zone: ZoneInfo
    teams: Mapping[str, str] = field(default_factory=dict)


class StoredReports:
    """The past in figures."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        centre: Callable[[], Centre],
        *,
        behind: Callable[[], bool] = lambda: False,
        lag: Callable[[], float] = lambda: 0.0,
        began: Callable[[], datetime | None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        """`behind`: whether facts of any time may be missing. `lag`: seconds since when facts wait to be stored. `began`: when
        the oldest call that is still there began."""
        self._pool = pool
        self._centre = centre
        self._behind = behind
        self._lag = lag
        self._began = began
        self._clock = clock or SystemClock()

    async def query(self, query: ReportQuery) -> Report:
        """See `Reports.query`."""
        zone = ZoneInfo(self._centre().time_zone)
        now = self._clock.now()
        teams = teams_of(self._centre())
        asked = _Asked(by=query.by, filters=query.filters, since=query.since, until=query.until, zone=zone, teams=teams)
        metrics = [METRICS[name] for name in query.metrics]
        with naming("figures cannot be read"):
            async with self._pool.acquire() as connection:
                parts = await self._parts(connection, asked, metrics, now)
                before: Parts | None = None
                since, until = _compared(query, zone)
                if query.compare is not None:
                    past = _Asked(by=query.by, filters=query.filters, since=since, until=until, zone=zone, teams=teams)
                    before = _moved(await self._parts(connection, past, metrics, now), past, asked)
                current = await connection.fetchval("SELECT definition_version FROM cti.report_state")
                anew = await progress(connection)
        ways = _ways(metrics, (*query.by, *query.filters))
        # In a thread: thousands of rows would hold up the calls themselves.
        rows = await asyncio.to_thread(_rows, ways, parts, before, asked)
        return Report(
            definition_version=DEFINITION_VERSION,
            zone=zone.key,
            since=query.since,
            until=query.until,
            rows=rows if query.by else (),
            totals=_figures(ways, added(parts.values())),
            totals_before=None if before is None else _figures(ways, added(before.values())),
            since_before=None if before is None else since,
            until_before=None if before is None else until,
            unfinished=self._unfinished(query.until, now) or current not in (None, DEFINITION_VERSION),
            anew=None if anew is None else min(1.0, anew.done / max(1, anew.of)),
        )

    def _unfinished(self, until: datetime, now: datetime) -> bool:
        lag, began = self._lag(), self._began()
        return (
            until > now
            or self._behind()
            or (lag > 0.0 and until > now - timedelta(seconds=lag))
            or (began is not None and until > began)
        )

    async def _parts(
        self, connection: asyncpg.Connection, asked: _Asked, metrics: Iterable[Metric], now: datetime
    ) -> Parts:
        wanted: dict[Grain, set[str]] = {}
        for metric in metrics:
            if applies(metric, (*asked.by, *asked.filters)):
                for amount in (metric.amount, metric.over):
                    if amount is not None:
                        wanted.setdefault(amount.grain, set()).add(amount.name)
        parts: Parts = {}
        for grain, names in sorted(wanted.items()):
            if grain is Grain.TIMES:
                found = await self._times(connection, asked, now)
            else:
                found = await self._sums(connection, grain, sorted(names), asked)
            if not parts:
                parts = found
                continue
            for keys, sums in found.items():
                parts.setdefault(keys, {}).update(sums)  # of another grain: nothing is in both
        return parts

    async def _sums(self, connection: asyncpg.Connection, grain: Grain, names: Sequence[str], asked: _Asked) -> Parts:
        choice = choose(grain, asked.since, asked.until, asked.by, asked.filters, zone=asked.zone, teams=asked.teams)
        days = Days(asked.since, asked.until, asked.zone)
        keys = [choice.group(dimension, days) for dimension in asked.by]
        totals = ["count(*)" if grain is Grain.COMPLAINTS else f"coalesce(sum({name}), 0)::bigint" for name in names]
        grouping = f" GROUP BY {', '.join(str(number) for number in range(1, len(keys) + 1))}" if keys else ""
        rows = await connection.fetch(
            f"SELECT {', '.join((*keys, *totals))} FROM {choice.table} WHERE {choice.text()}{grouping}",  # noqa: S608 - our names
            *choice.values,
        )
        told, amounts, first = _Keys(asked, days), [(grain, name) for name in names], len(keys)
        parts: Parts = {}
        for row in rows:
            found = told.of(row)
            part = parts.get(found)
            if part is None:
                parts[found] = dict(zip(amounts, row[first:], strict=True))
            else:  # several rows of one team
                for amount, total in zip(amounts, row[first:], strict=True):
                    part[amount] += total
        return parts

    async def _times(self, connection: asyncpg.Connection, asked: _Asked, now: datetime) -> Parts:
        choice = choose(
            Grain.TIMES, asked.since, asked.until, asked.by, asked.filters, zone=asked.zone, teams=asked.teams
        )
        days = Days(asked.since, asked.until, asked.zone)
        keys = [choice.group(dimension, days) for dimension in asked.by]
        names = ", ".join((*keys, "state", "sum(ms)::bigint", "sum(over_ms)::bigint"))
        rows = await connection.fetch(
            f"SELECT {names} FROM {choice.table} WHERE {choice.text()}"  # noqa: S608 - our names
            f" GROUP BY {', '.join(str(number) for number in range(1, len(keys) + 2))}",
            *choice.values,
        )
        told = _Keys(asked, days)
        parts: Parts = {}
        for row in rows:
            _add_time(parts, told.of(row), AgentState(row[len(keys)]), row[len(keys) + 1], row[len(keys) + 2])
        # What each agent has been doing since the last that is known of them.
        marks = await connection.fetch(
            "SELECT agent, until, state, reason FROM cti.agent_marks WHERE state <> 'offline'"
        )
        for mark in marks:
            began, ended = max(mark["until"], asked.since), min(now, asked.until)
            if began >= ended:
                continue
            state = AgentState(mark["state"])
            reason = mark["reason"] if state is AgentState.NOT_READY else ""
            stretch = Stretch(began_at=began, ended_at=ended, state=state, reason=reason)
            for (slot, _, _), ms in by_half_hour([stretch], asked.zone).items():
                values = {"agent": mark["agent"], "state": state.value, "reason": reason or None}
                if _inside(asked, values, slot):
                    found = tuple(_told(asked, dimension, values, slot) for dimension in asked.by)
                    _add_time(parts, found, state, ms)
        return parts

    async def calls(self, query: CallsQuery) -> CountedCalls:
        """See `Reports.calls`."""
        metric = METRICS[query.metric]
        amount = metric.amount if query.part is Part.COUNTED or metric.over is None else metric.over
        if not applies(metric, query.filters) or amount.grain in (Grain.TIMES, Grain.COMPLAINTS):
            return CountedCalls(calls=(), next="", total=0.0)
        choice = choose(
            amount.grain, query.since, query.until, (), query.filters,
            zone=ZoneInfo(self._centre().time_zone), teams=teams_of(self._centre()), rows=True,
        )  # fmt: skip
        scale = 1000.0 if amount.name.endswith("_ms") else 1.0
        choice.where.append(f"{amount.name} <> 0")
        with naming("calls cannot be read"):
            total = await self._pool.fetchval(
                f"SELECT sum({amount.name}) FROM {choice.table} WHERE {choice.text()}",  # noqa: S608 - our names
                *choice.values,
            )
            page = Choice(
                grain=choice.grain, summed=False, table=choice.table, where=list(choice.where),
                values=list(choice.values), zone=choice.zone,
            )  # fmt: skip
            if query.after:
                at, call_id, number = query.after.split("|")  # what `next` said
                page.where.append(
                    f"(at, call_id, number) > ({page.value(_moment(at))}, {page.value(call_id)},"
                    f" {page.value(int(number))})"
                )
            limit = page.value(query.limit + 1)
            rows = await self._pool.fetch(
                f"SELECT at, call_id, number, queue, agent, outcome, {amount.name} AS amount FROM {page.table}"  # noqa: S608 - our names
                f" WHERE {page.text()} ORDER BY at, call_id, number LIMIT {limit}",
                *page.values,
            )
            records = await self._pool.fetch(
                f"SELECT {', '.join(COLUMNS)} FROM report.calls WHERE call_id = ANY($1)",  # noqa: S608 - our names
                [row["call_id"] for row in rows],
            )
        told = {row["call_id"]: dict(row) for row in records}
        shown = rows[: query.limit]
        last = shown[-1] if len(rows) > query.limit else None
        return CountedCalls(
            calls=tuple(
                CountedCall(
                    call_id=CallId(row["call_id"]),
                    at=row["at"],
                    queue=row["queue"],
                    agent=row["agent"],
                    amount=row["amount"] / scale,
                    outcome=row["outcome"],
                    row=told.get(row["call_id"]),
                )
                for row in shown
            ),
            next="" if last is None else f"{last['at'].isoformat()}|{last['call_id']}|{last['number']}",
            total=(total or 0) / scale,
        )

    async def spread(self, what: Spread, *, since: datetime, until: datetime, filters: Filters) -> SpreadAnswer:
        """See `Reports.spread`."""
        grain = Grain.VISITS if what in (Spread.WAIT, Spread.ABANDON_WAIT) else Grain.TALKS
        try:
            choice = choose(
                grain, since, until, (), filters,
                zone=ZoneInfo(self._centre().time_zone), teams=teams_of(self._centre()), rows=True,
            )  # fmt: skip
        except ValueError:
            return await spread_of(self._pool, what, None)
        with naming("durations cannot be read"):
            return await spread_of(self._pool, what, choice)

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
        with naming("the steps of flows cannot be read"):
            return await funnel_of(self._pool, since=since, until=until, flow=flow, version=version, queues=queues)


def _rows(ways: Sequence[_Way], parts: Parts, before: Parts | None, asked: _Asked) -> tuple[ReportRow, ...]:
    names = [dimension.value for dimension in asked.by]
    return tuple(
        ReportRow(
            keys=dict(zip(names, part, strict=True)),
            figures=_figures(ways, parts.get(part, {})),
            before=None if before is None else _figures(ways, before.get(part, {})),
        )
        for part in _ordered(parts, before, asked)
    )


def teams_of(centre: Centre) -> dict[str, str]:
    """Agent -> the team they are counted in; without those who are in none."""
    return {agent_id: agent.team for agent_id, agent in centre.agents.items() if agent.team is not None}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class _Keys:
    """The keys of rows as reports name them; each value is looked at once."""

    def __init__(self, asked: _Asked, days: Days) -> None:
        self._asked = asked
        self._days = days
        self._known: list[dict[Any, str | None]] = [{} for _ in asked.by]

    def of(self, row: Sequence[Any]) -> Keys:
        """Keys of a row that begins with them."""
        found = []
        for place, known in enumerate(self._known):
            value = row[place]
            try:
                found.append(known[value])
            except KeyError:
                known[value] = name = self._name(self._asked.by[place], value)
                found.append(name)
        return tuple(found)

    def _name(self, dimension: Dimension, value: Any) -> str | None:
        if dimension in WHOLE_DAYS:
            name: str = self._days.names(dimension)[value - 1]
            return name
        if dimension in (Dimension.HALF_HOUR, Dimension.HOUR):
            return key_of(dimension, value, self._asked.zone)
        if dimension is Dimension.TEAM:
            return self._asked.teams.get(value) if value is not None else None
        text: str | None = value
        return text


def _told(asked: _Asked, dimension: Dimension, values: Mapping[str, str | None], slot: datetime) -> str | None:
    if dimension in TIME_DIMENSIONS:
        return key_of(dimension, slot, asked.zone)
    if dimension is Dimension.TEAM:
        return asked.teams.get(values["agent"] or "")
    return values[dimension.value]


def _inside(asked: _Asked, values: Mapping[str, str | None], slot: datetime) -> bool:
    return all(_told(asked, dimension, values, slot) in wanted for dimension, wanted in asked.filters.items())


def _add_time(parts: Parts, keys: Keys, state: AgentState, ms: int, over: int = 0) -> None:
    part = parts.setdefault(keys, {})
    for name, amount in amounts_of(state, ms, over).items():
        part[Grain.TIMES, name] = part.get((Grain.TIMES, name), 0) + amount


@dataclass(frozen=True, slots=True)
class _Way:
    """How a figure is read out of sums; worked out once for thousands of rows."""

    name: str
    metric: Metric | None
    """None: it cannot be divided or chosen so."""
    amount: tuple[Grain, str]
    over: tuple[Grain, str] | None

    def figure(self, sums: Sums) -> Figure:
        """The figure, as `cti.reports.folding.figure` has it."""
        if self.metric is None:
            return NOTHING
        total = sums.get(self.amount, 0)
        if self.over is None:
            return Figure(value=self.metric.value(total, None), n=total)
        base = sums.get(self.over, 0)
        return Figure(value=self.metric.value(total, base), n=base)


NOTHING = Figure(value=None, n=0)


def _ways(metrics: Iterable[Metric], dimensions: Iterable[Dimension]) -> list[_Way]:
    asked = tuple(dimensions)
    return [
        _Way(
            metric.name,
            metric if applies(metric, asked) else None,
            (metric.amount.grain, metric.amount.name),
            None if metric.over is None else (metric.over.grain, metric.over.name),
        )
        for metric in metrics
    ]


def _figures(ways: Iterable[_Way], sums: Sums) -> Figures:
    return {way.name: way.figure(sums) for way in ways}


def _compared(query: ReportQuery, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if query.compare is Compare.WEEK_BEFORE:
        return earlier(query.since, 7, zone), earlier(query.until, 7, zone)
    return query.since - (query.until - query.since), query.since


def _moved(parts: Parts, past: _Asked, now: _Asked) -> Parts:
    """The parts of the past under the keys of the time they are compared with: its first day is this one's first."""
    names: list[dict[str, str]] = []
    for dimension in past.by:
        moving = dimension in TIME_DIMENSIONS and dimension is not Dimension.WEEKDAY_HOUR
        old = keys_between(dimension, past.since, past.until, past.zone) if moving else []
        new = keys_between(dimension, now.since, now.until, now.zone) if moving else []
        names.append(dict(zip(old, new, strict=False)))
    moved: Parts = {}
    for keys, sums in parts.items():
        under = tuple(name if name is None else known.get(name, name) for name, known in zip(keys, names, strict=True))
        part = moved.setdefault(under, {})
        for amount, total in sums.items():
            part[amount] = part.get(amount, 0) + total
    return moved


def _ordered(parts: Parts, before: Parts | None, asked: _Asked) -> list[Keys]:
    """All keys in order; of one dimension of time every one there is, whether anything happened then or not."""
    found = {*parts, *(before or {})}
    if len(asked.by) == 1 and asked.by[0] in TIME_DIMENSIONS and Dimension.WEEKDAY_HOUR not in asked.filters:
        times = keys_between(asked.by[0], asked.since, asked.until, asked.zone)
        if asked.by[0] is not Dimension.WEEKDAY_HOUR:
            known = set(times)  # once: there are thousands
            rest = sorted(keys for keys in found if keys[0] not in known)
            return [*((key,) for key in times), *rest]
        found |= {(key,) for key in times}
    if any(None in keys for keys in found):
        return sorted(found, key=lambda keys: tuple((key is None, key or "") for key in keys))
    return sorted(found)
