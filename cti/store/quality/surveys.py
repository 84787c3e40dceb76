"""Surveys: figures by question and group, low scores, recorded comments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

import asyncpg

from cti.quality.rows import Comment, LowScore, SurveyGroup, SurveyPoint, Surveys
from cti.quality.surveys import Scores, Votes, scores, share
from cti.reports.survey_scale import Scale, scale_of
from cti.store.pool import naming
from cti.store.quality.ground import QualityGround, Wanted, only

By = Literal["queue", "agent", "tier", "version", "flow"]

_VERSION = (
    "coalesce((SELECT e.body ->> 'flow' || ' ' || (e.body ->> 'version') FROM cti.facts e WHERE e.call_id = a.call_id"
    " AND e.kind = 'FlowEntered' AND e.at <= a.at ORDER BY (e.body ->> 'flow' = a.flow) DESC, e.at DESC LIMIT 1), '')"
)
_KEY = {
    "queue": "coalesce(c.queue, '')",
    "agent": "coalesce(c.agent, '')",
    "tier": "coalesce(c.tier, '')",
    "flow": "a.flow",
    "version": _VERSION,
}


_VOTES = (
    "count(*) AS n, sum(a.ratings)::integer AS ratings, sum(a.satisfied)::integer AS satisfied,"
    " sum(a.nps_answers)::integer AS recommendations, count(*) FILTER (WHERE a.nps_net = 1) AS promoters,"
    " count(*) FILTER (WHERE a.nps_net = -1) AS detractors"
)
"""As the reports count them, of calls that have ended."""


class StoredSurveys:
    """Satisfies `cti.services.inspections.SurveyFigures`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    async def figures(
        self,
        *,
        since: datetime,
        until: datetime,
        by: By,
        question: str | None,
        queue: str | None,
        agent: str | None,
        each: Literal["day", "week"],
        queues: Sequence[str] | None,
    ) -> Surveys:
        """See `SurveyFigures.figures`."""
        key = _KEY[by]
        with naming("answers cannot be counted"):
            async with self._ground.pool.acquire() as connection:
                scales = await self._scales(connection)
                wanted = self._wanted(since, until, queue, agent, queues)
                if question is not None:
                    wanted.add("a.question = {}", question)
                rows = await connection.fetch(
                    f"SELECT a.question, {key} AS key, a.score, {_VOTES} FROM cti.counted_answers a"  # noqa: S608
                    f" LEFT JOIN cti.calls c USING (call_id){wanted.where()} GROUP BY 1, 2, 3",
                    *wanted.values,
                )
                zone = wanted.value(self._ground.centre().time_zone)
                days = await connection.fetch(
                    f"SELECT a.question, date_trunc('{each}', a.at AT TIME ZONE {zone}::text)::date AS start, a.score,"  # noqa: S608
                    f" {_VOTES} FROM cti.counted_answers a LEFT JOIN cti.calls c USING (call_id){wanted.where()}"
                    " GROUP BY 1, 2, 3",
                    *wanted.values,
                )
                came = await self._came(connection, key, self._wanted(since, until, queue, agent, queues))
        groups: dict[tuple[str, str], list[asyncpg.Record]] = defaultdict(list)
        whole: dict[str, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            groups[row["question"], row["key"]].append(row)
            whole[row["question"]].append(row)
        points: dict[tuple[str, date], list[asyncpg.Record]] = defaultdict(list)
        for row in days:
            points[row["question"], row["start"]].append(row)
        return Surveys(
            questions=tuple(
                SurveyGroup(key="", question=name, scores=_scores(parts, scales[name]))
                for name, parts in sorted(whole.items())
            ),
            groups=tuple(
                SurveyGroup(key=group, question=name, scores=_scores(parts, scales[name]))
                for (name, group), parts in sorted(groups.items())
            ),
            trend=tuple(
                _point(name, start, _scores(parts, scales[name])) for (name, start), parts in sorted(points.items())
            ),
            response=share(sum(done for done, _ in came.values()), sum(all_ for _, all_ in came.values())),
            response_by={group: share(*counts) for group, counts in sorted(came.items())},
        )  # fmt: skip

    async def _came(self, connection: asyncpg.Connection, key: str, wanted: Wanted) -> dict[str, tuple[int, int]]:
        """By group: callers who answered something, and callers who came to the first question (answered or not)."""
        rows = await connection.fetch(
            f"SELECT {key} AS key, count(*) AS came, count(*) FILTER (WHERE a.answered) AS answered FROM (SELECT call_id,"  # noqa: S608
            " min(at) AS at, min(flow) AS flow, bool_or(answered) AS answered FROM (SELECT call_id, at, flow, true AS"
            " answered FROM report.survey_answers UNION ALL SELECT call_id, at, flow, false FROM report.flow_steps"
            " WHERE verb = 'survey') one WHERE one.at >= $1 AND one.at < $2 GROUP BY call_id) a"
            f" LEFT JOIN cti.calls c USING (call_id){wanted.where()} GROUP BY 1",
            *wanted.values,
        )
        return {row["key"]: (row["answered"], row["came"]) for row in rows}

    def _wanted(
        self, since: datetime, until: datetime, queue: str | None, agent: str | None, queues: Sequence[str] | None
    ) -> Wanted:
        wanted = Wanted()
        wanted.add("a.at >= {} AND a.at < {}", since, until)
        if queue is not None:
            wanted.add("c.queue = {}", queue)
        if agent is not None:
            wanted.add("c.agent = {}", agent)
        only(queues, wanted, "coalesce(c.queue, '')")
        return wanted

    async def _scales(self, connection: asyncpg.Connection) -> dict[str, Scale]:
        rows = await connection.fetch(
            "SELECT body->>'question' AS question, min((body->>'score')::integer) AS lowest, max((body->>'score')::integer)"
            " AS highest, min((body->>'least')::integer) AS least, max((body->>'most')::integer) AS most"
            " FROM cti.facts WHERE kind = 'SurveyAnswered' GROUP BY 1"
        )
        return {row["question"]: scale_of(*row) for row in rows}

    async def low(
        self, *, since: datetime, until: datetime, at_most: int, queues: Sequence[str] | None, limit: int
    ) -> Sequence[LowScore]:
        """See `SurveyFigures.low`."""
        wanted = Wanted(since, until, at_most)
        only(queues, wanted, "coalesce(c.queue, '')")
        with naming("low scores cannot be read"):
            rows = await self._ground.pool.fetch(
                "SELECT a.call_id, a.at, a.question, a.score, a.flow, coalesce(c.queue, '') AS queue,"  # noqa: S608
                " coalesce(c.agent, '') AS agent, coalesce(c.tier, '') AS tier, c.caller_number, u.customer_id,"
                " coalesce(u.name, '') AS customer_name,"
                " EXISTS (SELECT FROM report.messages m WHERE m.call_id = a.call_id AND m.kind = 'comment') AS comment,"
                " (SELECT max(k.complaint_id) FROM crm.complaints k WHERE k.call_id = a.call_id) AS complaint_id,"
                " EXISTS (SELECT FROM crm.complaints k WHERE k.call_id = a.call_id) OR EXISTS (SELECT FROM crm.tasks t"
                " WHERE t.call_id = a.call_id) AS handled FROM (SELECT DISTINCT ON (call_id) call_id, at, question,"
                " score, flow FROM report.survey_answers WHERE at >= $1 AND at < $2 AND score <= $3"
                " ORDER BY call_id, score, at) a LEFT JOIN cti.calls c USING (call_id)"
                " LEFT JOIN crm.identities i ON i.customer_id = c.customer_id"
                f" LEFT JOIN crm.customers u ON u.customer_id = i.current_id{wanted.where()}"
                f" ORDER BY a.at DESC, a.call_id LIMIT {wanted.value(limit)}",
                *wanted.values,
            )
        return tuple(LowScore(**row) for row in rows)

    async def comments(
        self, *, since: datetime, until: datetime, queues: Sequence[str] | None, limit: int
    ) -> Sequence[Comment]:
        """See `SurveyFigures.comments`."""
        wanted = Wanted(since, until)
        only(queues, wanted, "coalesce(c.queue, '')")
        with naming("comments cannot be read"):
            rows = await self._ground.pool.fetch(
                "SELECT a.call_id, a.recording_id, a.at, a.flow, a.seconds, coalesce(c.queue, '') AS queue, coalesce(c.agent,"  # noqa: S608
                " '') AS agent, (SELECT min(s.score) FROM report.survey_answers s WHERE s.call_id = a.call_id) AS lowest"
                " FROM (SELECT call_id, at, flow, seconds, cti.recording_id('message', path, call_id) AS recording_id"
                " FROM report.messages WHERE kind = 'comment' AND at >= $1 AND at < $2) a"
                f" LEFT JOIN cti.calls c USING (call_id){wanted.where()} ORDER BY a.at DESC LIMIT {wanted.value(limit)}",
                *wanted.values,
            )
        return tuple(Comment(**row) for row in rows)


def _scores(rows: Sequence[asyncpg.Record], scale: Scale) -> Scores:
    counts: dict[int, int] = defaultdict(int)
    votes = Votes()
    for row in rows:
        counts[row["score"]] += row["n"]
        votes += votes_of(row)
    return scores(counts, scale, votes)


def votes_of(row: Mapping[str, Any]) -> Votes:
    """What `_VOTES` counted."""
    names = ("ratings", "satisfied", "recommendations", "promoters", "detractors")
    return Votes(**{name: row[name] for name in names})


def _point(question: str, start: date, found: Scores) -> SurveyPoint:
    return SurveyPoint(
        question=question, start=start, answers=found.answers, mean=found.mean.value or 0.0, csat=found.csat.share
    )
