"""Figures of scores by agent, item, team, queue, form or scorer; and a team's day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from math import sqrt
from statistics import fmean, variance
from typing import Any, Literal

import asyncpg

from cti.quality.rows import AgentDay, FigurePoint, FigureRow, Figures, LookAt, Note, Reader, TeamSummary
from cti.quality.surveys import Figure, Z, share
from cti.store.pool import naming
from cti.store.quality.feedback import NO_CALL_OR, NOTE, agents_of
from cti.store.quality.ground import QualityGround, Wanted, only

By = Literal["agent", "item", "team", "queue", "form", "scorer"]
LOW_MEAN = 60.0
"""An agent whose scores of four weeks are below it on average is looked at."""
LOW_SURVEY = 2


class StoredFigures:
    """Satisfies `cti.services.inspections.QualityFigures`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    async def figures(
        self, who: Reader, *, by: By, since: datetime, until: datetime, agent: str | None, queue: str | None,
        form_id: int | None, each: Literal["day", "week"],
    ) -> Figures:  # fmt: skip
        """See `QualityFigures.figures`."""
        wanted = Wanted(self._ground.centre().time_zone)
        wanted.add("s.submitted_at >= {}", since)
        wanted.add("s.submitted_at < {}", until)
        if who.agent is not None:
            wanted.add("s.agent = {}", who.agent)
            wanted.add("s.released_at IS NOT NULL")
        only(who.queues, wanted, "s.queue")
        for column, value in (("s.agent", agent), ("s.queue", queue), ("s.form_id", form_id)):
            if value is not None:
                wanted.add(column + " = {}", value)
        start = f"date_trunc('{each}', s.submitted_at AT TIME ZONE $1::text)::date AS start"
        with naming("scores cannot be counted"):
            rows = await self._ground.pool.fetch(
                "SELECT s.agent, s.queue, s.form_id::text AS form, s.scorer, s.total, s.passed,"  # noqa: S608
                f" cardinality(s.failed) > 0 AS failed, {start} FROM report.quality_scores s{wanted.where()}"
                " ORDER BY s.submitted_at DESC LIMIT 100000",
                *wanted.values,
            )
            items = (
                await self._ground.pool.fetch(
                    f"SELECT i.item AS key, i.share * 100 AS total, i.share = 1 AS passed, i.failed, {start}"  # noqa: S608
                    " FROM report.quality_items i JOIN report.quality_scores s USING (score_id)"
                    f"{wanted.where()} AND i.share IS NOT NULL LIMIT 1000000",
                    *wanted.values,
                )
                if by == "item"
                else []
            )
        # A score counts once: in the team of the reports, or in none ("").
        teams = {str(name): one.team or "" for name, one in self._ground.centre().agents.items()}
        groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in items if by == "item" else rows:
            key = row["key"] if by == "item" else teams.get(row["agent"], "") if by == "team" else row[by]
            groups[key].append(row)
        trend = []
        for key, members in sorted(groups.items()):
            points: dict[date, list[float]] = defaultdict(list)
            for row in members:
                points[row["start"]].append(row["total"])
            trend += [
                FigurePoint(key=key, start=day, scores=len(values), mean=round(fmean(values), 2))
                for day, values in sorted(points.items())
            ]
        return Figures(
            overall=_figure("", rows),
            rows=tuple(_figure(key, members) for key, members in sorted(groups.items())),
            trend=tuple(trend),
        )

    # -- the day ---------------------------------------------------------------------------------------------------

    async def summary(self, who: Reader, *, day: date, team: str) -> TeamSummary:
        """See `QualityFigures.summary`."""
        centre = self._ground.centre()
        # The reports' teams; without one everybody who had calls, whether they are still of the centre or not.
        of_team: list[str] | None = None
        if team:
            of_team = [name for name, one in centre.agents.items() if one.team == team]
        names = of_team
        if who.queues is not None:
            # What is about no call is told of the agents of the queues only.
            names = [name for name in agents_of(centre, who.queues) if of_team is None or name in of_team]
        queues = None if who.queues is None else list(who.queues)
        since, until = self._ground.start_of(day), self._ground.start_of(day + timedelta(days=1))
        with naming("the day cannot be summed up"):
            async with self._ground.pool.acquire() as connection:
                # `handled`, `aht` and `satisfaction_rate` of the reports.
                calls = await connection.fetch(
                    "SELECT agent, sum(handled)::integer AS n, sum(handle_ms)::float8 / 1000 / sum(handled) AS seconds"
                    " FROM cti.counted_talks WHERE at >= $1 AND at < $2 AND agent IS NOT NULL"
                    " AND ($3::text[] IS NULL OR agent = ANY($3))"
                    " AND ($4::text[] IS NULL OR queue = ANY($4)) GROUP BY agent HAVING sum(handled) > 0",
                    since, until, of_team, queues,
                )  # fmt: skip
                answers = await connection.fetch(
                    "SELECT agent, call_id, question, score, ratings, satisfied FROM cti.counted_answers"
                    " WHERE at >= $1 AND at < $2 AND agent IS NOT NULL"
                    " AND ($3::text[] IS NULL OR agent = ANY($3)) AND ($4::text[] IS NULL OR queue = ANY($4))",
                    since, until, of_team, queues,
                )  # fmt: skip
                scores = await connection.fetch(
                    "SELECT score_id, call_id, agent, total, failed FROM report.quality_scores WHERE submitted_at >= $1"
                    " AND submitted_at < $2 AND agent IS NOT NULL AND ($3::text[] IS NULL OR agent = ANY($3))"
                    " AND ($4::text[] IS NULL OR queue = ANY($4)) ORDER BY score_id",
                    since, until, of_team, queues,
                )  # fmt: skip
                praise = await connection.fetch(
                    f"{NOTE} WHERE kind = 'praise' AND withdrawn_at IS NULL AND written_at >= $1 AND written_at < $2"
                    " AND ($3::text[] IS NULL OR agent = ANY($3))"
                    f" AND ($4::text[] IS NULL OR {NO_CALL_OR} = ANY($4)) ORDER BY note_id",
                    since, until, names, queues,
                )  # fmt: skip
                look_at = await self._look_at(connection, scores, answers, names, until, queues)
        handled = {row["agent"]: row for row in calls}
        by_agent: dict[str, list[float]] = defaultdict(list)
        for row in scores:
            by_agent[row["agent"]].append(row["total"])
        good: dict[str, list[bool]] = defaultdict(list)
        for row in answers:
            if row["ratings"]:
                good[row["agent"]].append(bool(row["satisfied"]))
        thanks: dict[str, int] = defaultdict(int)
        for row in praise:
            thanks[row["agent"]] += 1
        number = sum(row["n"] for row in calls)
        totals = [row["total"] for row in scores]
        return TeamSummary(
            day=day,
            team=team,
            calls=number,
            handling_seconds=sum(row["seconds"] * row["n"] for row in calls) / number if number else None,
            csat=share(sum(map(sum, good.values())), sum(map(len, good.values()))),
            scores=len(totals),
            mean=round(fmean(totals), 2) if totals else None,
            agents=tuple(
                AgentDay(
                    agent=name,
                    calls=handled[name]["n"] if name in handled else 0,
                    handling_seconds=handled[name]["seconds"] if name in handled else None,
                    csat=share(sum(good[name]), len(good[name])),
                    scores=len(by_agent[name]),
                    mean=round(fmean(by_agent[name]), 2) if by_agent[name] else None,
                    praise=thanks[name],
                )
                for name in sorted({*handled, *by_agent, *good, *thanks})
            ),
            praise=tuple(Note(**row) for row in praise),
            look_at=look_at,
        )

    async def _look_at(
        self,
        connection: asyncpg.Connection,
        scores: Sequence[asyncpg.Record],
        answers: Sequence[asyncpg.Record],
        names: Sequence[str] | None,
        until: datetime,
        queues: Sequence[str] | None,
    ) -> tuple[LookAt, ...]:
        out = [
            LookAt(kind="fatal", count=len(row["failed"]), agent=row["agent"], call_id=row["call_id"],
                   score_id=row["score_id"], value=row["total"])
            for row in scores if row["failed"]
        ]  # fmt: skip
        low: dict[str, list[asyncpg.Record]] = defaultdict(list)
        for row in answers:
            if row["score"] <= LOW_SURVEY:
                low[row["agent"]].append(row)
        out += [
            LookAt(kind="low_survey", count=len({one["call_id"] for one in rows}), agent=agent,
                   call_id=min(rows, key=lambda one: one["score"])["call_id"],
                   value=float(min(one["score"] for one in rows)))
            for agent, rows in sorted(low.items())
        ]  # fmt: skip
        asked = await connection.fetch(
            "SELECT score_id, call_id, agent, total FROM quality.scores WHERE review = 'asked'"
            " AND ($1::text[] IS NULL OR agent = ANY($1))"
            " AND ($2::text[] IS NULL OR queue = ANY($2)) ORDER BY score_id",
            names,
            queues,
        )
        out += [
            LookAt(kind="review", count=1, agent=row["agent"], call_id=row["call_id"], score_id=row["score_id"],
                   value=row["total"])
            for row in asked
        ]  # fmt: skip
        means = await connection.fetch(
            "SELECT agent, avg(total) AS mean, count(*) AS n FROM report.quality_scores"
            " WHERE ($1::text[] IS NULL OR agent = ANY($1))"
            " AND submitted_at >= $2 AND submitted_at < $3 AND ($5::text[] IS NULL OR queue = ANY($5))"
            " GROUP BY agent HAVING avg(total) < $4 ORDER BY agent",
            names, until - timedelta(days=28), until, LOW_MEAN, queues,
        )  # fmt: skip
        out += [
            LookAt(kind="low_mean", count=row["n"], agent=row["agent"], value=round(row["mean"], 2)) for row in means
        ]
        late = await connection.fetchval(
            "SELECT count(*) FROM quality.samples WHERE state IN ('open', 'begun') AND due_at < $1"
            " AND ($2::text[] IS NULL OR agent = ANY($2)) AND ($3::text[] IS NULL OR queue = ANY($3))",
            self._ground.now(), names, queues,
        )  # fmt: skip
        return (*out, *((LookAt(kind="overdue", count=late),) if late else ()))


def _figure(key: str, rows: Sequence[Mapping[str, Any]]) -> FigureRow:
    totals = [row["total"] for row in rows if row["total"] is not None]
    mean = Figure(value=None, low=None, high=None)
    if totals:
        middle = fmean(totals)
        half = Z * sqrt(variance(totals) / len(totals)) if len(totals) >= 5 else None
        mean = Figure(
            value=round(middle, 2),
            low=None if half is None else round(max(0.0, middle - half), 2),
            high=None if half is None else round(min(100.0, middle + half), 2),
        )
    return FigureRow(
        key=key,
        scores=len(rows),
        mean=mean,
        passed=share(sum(bool(row["passed"]) for row in rows), len(rows)),
        failed=sum(bool(row["failed"]) for row in rows),
    )
