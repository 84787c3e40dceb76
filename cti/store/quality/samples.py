"""Sampling plans, the draw, and the list of calls to be scored."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from cti.quality.rows import DrawnRow, PlanRow, QualityRefused, SampleRow
from cti.quality.sampling import Candidate, Drawn, Plan, PlanKind, draw, owed, period_of, plain, read_plan, share_out
from cti.store.pool import naming
from cti.store.quality.forms import read as read_form_row
from cti.store.quality.ground import QualityGround, Wanted, conflict, dumps, loads, only, unknown

MOST_CANDIDATES = 100_000
"""Of one period; of more, the latest."""
CATCH_UP = timedelta(days=56)
"""What lies further back than this is not drawn from any more."""

_PLAN = (
    "SELECT p.plan_id, p.revision, p.active, p.body, p.seed, p.author, p.changed_at, p.drawn_until,"
    " (SELECT count(*) FROM quality.samples s WHERE s.plan_id = p.plan_id AND s.state IN ('open', 'begun')) AS waiting,"
    " (SELECT count(*) FROM quality.samples s WHERE s.plan_id = p.plan_id AND s.state = 'done') AS scored"
    " FROM quality.plans p"
)
_SAMPLE = (
    "SELECT s.sample_id, s.plan_id, coalesce(p.body ->> 'title', c.title, '') AS plan, s.calibration_id, s.call_id,"
    " s.agent, s.queue, s.tier, s.form_id, v.body -> 'titles' AS form_titles, s.why, s.scorer, s.drawn_at, s.due_at,"
    " s.state IN ('open', 'begun') AND s.due_at < $1 AS overdue, s.state, o.score_id, o.total, o.passed,"
    " k.started_at AS call_at, k.talk_seconds, k.recording IS NOT NULL AS recorded"
    " FROM quality.samples s JOIN quality.forms f USING (form_id)"
    " JOIN quality.form_versions v ON v.form_id = f.form_id AND v.version = f.version"
    " LEFT JOIN quality.plans p USING (plan_id) LEFT JOIN quality.calibrations c USING (calibration_id)"
    " LEFT JOIN quality.scores o USING (sample_id) LEFT JOIN cti.calls k ON k.call_id = s.call_id"
)
_FOUND = (
    "c.call_id, c.agent, coalesce(c.queue, '') AS queue, coalesce(c.tier, '') AS tier, c.at,"
    " c.talk_ms::float8 / 1000 AS talk_seconds, c.hold_ms::float8 / 1000 AS hold_seconds"
)
"""Of everybody who talked in a call, each with their own part of it."""


class StoredSamples:
    """Satisfies `cti.services.inspections.Samples`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    # -- plans -----------------------------------------------------------------------------------------------------

    async def plans(self) -> Sequence[PlanRow]:
        """See `Samples.plans`."""
        with naming("plans cannot be read"):
            rows = await self._ground.pool.fetch(f"{_PLAN} ORDER BY p.active DESC, p.plan_id")
        return tuple(_plan(row) for row in rows)

    async def keep_plan(
        self,
        body: Mapping[str, Any],
        *,
        by: str,
        plan_id: int | None = None,
        revision: int = 0,
        active: bool = True,
    ) -> PlanRow:
        """See `Samples.keep_plan`."""
        plan, now = self._read(body), self._ground.now()
        with naming("the plan cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                form = await read_form_row(connection, plan.form_id)
                if form.archived and active:
                    raise QualityRefused(
                        "form_archived", "this form was put aside", status=409, remedy="choose another"
                    )
                if plan_id is None:
                    plan_id = await connection.fetchval(
                        "INSERT INTO quality.plans (active, body, form_id, seed, author, made_at, changed_at)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING plan_id",
                        active, dumps(plain(plan)), plan.form_id, secrets.randbits(31), by, now,
                    )  # fmt: skip
                else:
                    row = await connection.fetchrow(
                        "SELECT * FROM quality.plans WHERE plan_id = $1 FOR UPDATE", plan_id
                    )
                    if row is None:
                        raise unknown("plan", plan_id)
                    if row["revision"] != revision:
                        raise conflict("plan")
                    await connection.execute(
                        "UPDATE quality.plans SET revision = revision + 1, active = $2, body = $3, form_id = $4,"
                        " author = $5, changed_at = $6 WHERE plan_id = $1",
                        plan_id, active, dumps(plain(plan)), plan.form_id, by, now,
                    )  # fmt: skip
                return _plan(await connection.fetchrow(f"{_PLAN} WHERE p.plan_id = $1", plan_id))

    def _read(self, body: object) -> Plan:
        centre = self._ground.centre()
        return read_plan(body, queues=tuple(centre.queues), tiers=tuple(centre.tiers), agents=tuple(centre.agents))

    # -- the draw --------------------------------------------------------------------------------------------------

    async def preview(self, plan_id: int) -> Sequence[DrawnRow]:
        """See `Samples.preview`."""
        with naming("calls cannot be drawn"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._locked(connection, plan_id)
                return await self._draw(connection, row, self._ground.today() + timedelta(days=1), keep=False)

    async def draw(self, plan_id: int) -> Sequence[DrawnRow]:
        """See `Samples.draw`."""
        with naming("calls cannot be drawn"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._locked(connection, plan_id)
                return await self._draw(connection, row, self._ground.today() + timedelta(days=1), keep=True)

    async def draw_due(self) -> int:
        """Draw from the days that are over, for every active plan; how many calls."""
        drawn, today = 0, self._ground.today()
        with naming("calls cannot be drawn"):
            due = await self._ground.pool.fetch(
                "SELECT plan_id FROM quality.plans WHERE active AND (drawn_until IS NULL OR drawn_until < $1)"
                " ORDER BY plan_id",
                today,
            )
            for one in due:
                async with self._ground.pool.acquire() as connection, connection.transaction():
                    row = await self._locked(connection, one["plan_id"])
                    if not row["active"] or (row["drawn_until"] is not None and row["drawn_until"] >= today):
                        continue  # another bridge was here meanwhile
                    drawn += len(await self._draw(connection, row, today, keep=True))
                    await connection.execute(
                        "UPDATE quality.plans SET drawn_until = $2 WHERE plan_id = $1", one["plan_id"], today
                    )
        return drawn

    async def _locked(self, connection: asyncpg.Connection, plan_id: int) -> asyncpg.Record:
        # Plans draw one after the other: what one has taken the next must know.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('cti quality draw'))")
        row = await connection.fetchrow("SELECT * FROM quality.plans WHERE plan_id = $1 FOR UPDATE", plan_id)
        if row is None:
            raise unknown("plan", plan_id)
        return row

    async def _draw(
        self, connection: asyncpg.Connection, row: asyncpg.Record, until: date, *, keep: bool
    ) -> tuple[DrawnRow, ...]:
        """Draw from the days before `until` that the plan has not drawn from yet."""
        plan = self._usable(row)
        if plan is None:
            return ()
        made = row["made_at"].astimezone(self._ground.zone()).date()
        first = max(row["drawn_until"] or made, until - CATCH_UP)
        start, end = period_of(min(first, until - timedelta(days=1)), plan.period)
        load = {
            one["scorer"]: one["n"]
            for one in await connection.fetch(
                "SELECT scorer, count(*) AS n FROM quality.samples WHERE state IN ('open', 'begun')"
                " AND scorer IS NOT NULL GROUP BY scorer"
            )
        }
        out: list[DrawnRow] = []
        while start < until:
            found = await self._candidates(connection, plan, start, min(end, until))
            before, taken = await self._before(connection, row["plan_id"], start, found)
            drawn = draw(
                plan, found, seed=row["seed"], plan_id=row["plan_id"], start=start,
                quota=owed(plan, start, end, until), taken=taken, drawn_before=before,
            )  # fmt: skip
            to = share_out(drawn, plan.scorers, load)
            for scorer in to.values():
                load[scorer] = load.get(scorer, 0) + 1
            tiers = {(one.call_id, one.agent): one.tier for one in found}
            if keep:
                await self._keep(connection, row, plan, start, drawn, to, tiers)
            out += [
                DrawnRow(
                    call_id=one.call_id, agent=one.agent, queue=one.queue, scorer=to.get((one.call_id, one.agent)),
                    why=one.why,
                )
                for one in drawn
            ]  # fmt: skip
            start, end = period_of(end, plan.period)
        return tuple(out)

    def _usable(self, row: asyncpg.Record) -> Plan | None:
        """The plan; queues, tiers and agents that the centre no longer has are no reason to stop: nobody fits them."""
        body = loads(row["body"])
        return read_plan(body, queues=body["queues"], tiers=body["tiers"], agents=body["agents"])

    async def _candidates(
        self, connection: asyncpg.Connection, plan: Plan, start: date, until: date
    ) -> tuple[Candidate, ...]:
        since, to = self._ground.start_of(start), self._ground.start_of(until)
        match plan.kind:
            case PlanKind.COMPLAINT:  # by when it was made: that may be long after the call
                query = (
                    f"SELECT {_FOUND}, k.complaint_id FROM (SELECT call_id, min(complaint_id) AS complaint_id"  # noqa: S608
                    " FROM crm.complaints WHERE opened_at >= $1 AND opened_at < $2 AND call_id IS NOT NULL"
                    f" AND state <> 'dismissed' GROUP BY call_id) k JOIN cti.counted_talks c USING (call_id)"
                )
            case PlanKind.LOW_SURVEY:
                query = (
                    f"SELECT {_FOUND}, a.question, a.score FROM (SELECT DISTINCT ON (call_id) call_id, question, score"  # noqa: S608
                    " FROM report.survey_answers WHERE at >= $1 AND at < $2 AND ($3 = '' OR question = $3)"
                    f" ORDER BY call_id, score, at) a JOIN cti.counted_talks c USING (call_id)"
                )
            case PlanKind.NEW_AGENT:
                query = (
                    f"SELECT {_FOUND}, n.agent_since FROM (SELECT agent, (SELECT min(o.at) FROM cti.counted_talks o"  # noqa: S608
                    " WHERE o.agent = g.agent) AS agent_since FROM (SELECT DISTINCT agent"
                    " FROM cti.counted_talks WHERE at >= $1 AND at < $2) g) n"
                    " JOIN cti.counted_talks c USING (agent) WHERE c.at >= $1 AND c.at < $2"
                    " AND n.agent_since > $1 - make_interval(days => $3)"
                )
            case _:
                query = f"SELECT {_FOUND} FROM cti.counted_talks c WHERE c.at >= $1 AND c.at < $2"  # noqa: S608
        values: list[Any] = [since, to]
        if plan.kind is PlanKind.LOW_SURVEY:
            values.append(plan.question)
        if plan.kind is PlanKind.NEW_AGENT:
            values.append(plan.first_days)
        rows = await connection.fetch(f"{query} ORDER BY c.at DESC LIMIT {MOST_CANDIDATES}", *values)
        return tuple(Candidate(**row) for row in rows)

    async def _before(
        self, connection: asyncpg.Connection, plan_id: int, start: date, found: Sequence[Candidate]
    ) -> tuple[dict[str, int], set[tuple[str, str]]]:
        """How many of each agent were drawn in the period, and which of these calls were drawn by anybody."""
        counts = await connection.fetch(
            "SELECT agent, count(*) AS n FROM quality.samples WHERE plan_id = $1 AND period_start = $2 GROUP BY agent",
            plan_id, start,
        )  # fmt: skip
        taken = await connection.fetch(
            "SELECT call_id, agent FROM quality.samples WHERE call_id = ANY($1::text[]) AND calibration_id IS NULL",
            [one.call_id for one in found],
        )
        return {row["agent"]: row["n"] for row in counts}, {(row["call_id"], row["agent"]) for row in taken}

    async def _keep(
        self,
        connection: asyncpg.Connection,
        row: asyncpg.Record,
        plan: Plan,
        start: date,
        drawn: Sequence[Drawn],
        to: Mapping[tuple[str, str], str],
        tiers: Mapping[tuple[str, str], str],
    ) -> None:
        now = self._ground.now()
        await connection.executemany(
            "INSERT INTO quality.samples (plan_id, period_start, call_id, agent, queue, tier, form_id, why, scorer,"
            " drawn_at, due_at, release) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
            " ON CONFLICT (call_id, agent) WHERE calibration_id IS NULL DO NOTHING",
            [
                (
                    row["plan_id"], start, one.call_id, one.agent, one.queue, tiers[one.call_id, one.agent],
                    plan.form_id, dumps(dict(one.why)), to.get((one.call_id, one.agent)), now,
                    now + timedelta(days=plan.deadline_days), plan.release,
                )
                for one in drawn
            ],
        )  # fmt: skip

    # -- samples ---------------------------------------------------------------------------------------------------

    async def list(
        self,
        *,
        states: Sequence[str],
        scorer: str | None,
        agent: str | None,
        plan_id: int | None,
        queues: Sequence[str] | None,
        before: int | None,
        limit: int,
    ) -> Sequence[SampleRow]:
        """See `Samples.list`."""
        wanted = Wanted(self._ground.now())
        if states:
            wanted.add("s.state = ANY({}::text[])", list(states))
        if scorer is not None:
            # Who scores blind must not see what the others of the round have.
            wanted.add("(s.scorer = {} OR s.scorer IS NULL)", scorer)
        if agent is not None:
            wanted.add("s.agent = {}", agent)
        if plan_id is not None:
            wanted.add("s.plan_id = {}", plan_id)
        if before is not None:
            wanted.add("s.sample_id < {}", before)
        only(queues, wanted, "s.queue")
        order = "s.due_at, s.sample_id" if set(states) <= {"open", "begun"} and states else "s.sample_id DESC"
        with naming("samples cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_SAMPLE}{wanted.where()} ORDER BY {order} LIMIT {wanted.value(limit)}", *wanted.values
            )
        return tuple(_sample(row) for row in rows)

    async def one(self, sample_id: int) -> SampleRow:
        """See `Samples.one`."""
        with naming("the sample cannot be read"):
            return await self._one(self._ground.pool, sample_id)

    async def _one(self, connection: asyncpg.Connection | asyncpg.Pool, sample_id: int) -> SampleRow:
        row = await connection.fetchrow(f"{_SAMPLE} WHERE s.sample_id = $2", self._ground.now(), sample_id)
        if row is None:
            raise unknown("sample", sample_id)
        return _sample(row)

    async def choose(
        self, call_id: str, *, agent: str | None, form_id: int, scorer: str | None, by: str, note: str, due_at: datetime
    ) -> SampleRow:
        """See `Samples.choose`."""
        with naming("the call cannot be chosen"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                call = await talk(connection, call_id, agent)
                form = await read_form_row(connection, form_id)
                if form.archived:
                    raise QualityRefused("form_archived", "this form was put aside", remedy="choose another")
                why = {"kind": "chosen", "by": by, **({"note": note} if note else {})}
                sample_id = await connection.fetchval(
                    "INSERT INTO quality.samples (call_id, agent, queue, tier, form_id, why, scorer, drawn_at, due_at)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                    " ON CONFLICT (call_id, agent) WHERE calibration_id IS NULL DO UPDATE SET state = 'open',"
                    " form_id = excluded.form_id, why = excluded.why, scorer = excluded.scorer, due_at = excluded.due_at"
                    " WHERE samples.state = 'dropped' RETURNING sample_id",
                    call_id, call["agent"], call["queue"] or "", call["tier"] or "", form_id, dumps(why), scorer,
                    self._ground.now(), due_at,
                )  # fmt: skip
                if sample_id is None:
                    raise QualityRefused(
                        "already_chosen", "this talk is among the calls to be scored already", remedy="see the list"
                    )
                return await self._one(connection, sample_id)

    async def change(
        self, sample_id: int, *, scorer: str | None, due_at: datetime | None, dropped: bool | None
    ) -> SampleRow:
        """See `Samples.change`."""
        with naming("the sample cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(
                    "SELECT * FROM quality.samples WHERE sample_id = $1 FOR UPDATE", sample_id
                )
                if row is None:
                    raise unknown("sample", sample_id)
                state = row["state"]
                if state == "done" or (state == "begun" and (scorer is not None or dropped)):
                    raise QualityRefused(
                        "already_begun", "scoring has begun", remedy="the scorer finishes it, or deletes the draft"
                    )
                if row["calibration_id"] is not None and scorer is not None:
                    raise QualityRefused("blind", "in a calibration everybody scores for themselves", remedy="leave it")
                if dropped is not None:
                    state = "dropped" if dropped else "open"
                await connection.execute(
                    "UPDATE quality.samples SET scorer = coalesce($2, scorer), due_at = coalesce($3, due_at), state = $4"
                    " WHERE sample_id = $1",
                    sample_id, scorer, due_at, state,
                )  # fmt: skip
                return await self._one(connection, sample_id)


async def talk(connection: asyncpg.Connection, call_id: str, agent: str | None) -> asyncpg.Record:
    """A call's agent (the one asked for, or the first), queue, tier, beginning. Raises `QualityRefused`."""
    row = await connection.fetchrow(
        "SELECT coalesce($2, c.agent) AS agent, c.queue, c.tier, c.started_at, c.talk_seconds FROM cti.calls c"
        " WHERE c.call_id = $1 AND c.answered_at IS NOT NULL",
        call_id, agent,
    )  # fmt: skip
    if row is None or row["agent"] is None:
        raise QualityRefused("unknown_call", "no answered call has this id", status=404, remedy="see the list of calls")
    if agent is not None and not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM cti.calls WHERE call_id = $1 AND agent = $2) OR EXISTS (SELECT FROM cti.facts"
        " WHERE call_id = $1 AND kind = 'TalkEnded' AND body ->> 'agent_id' = $2)",
        call_id, agent,
    ):  # fmt: skip
        raise QualityRefused(
            "not_in_call", f"{agent} did not talk in this call", status=400, remedy="leave the agent out"
        )
    return row


def _plan(row: asyncpg.Record) -> PlanRow:
    return PlanRow(**{**row, "body": loads(row["body"])})


def _sample(row: asyncpg.Record) -> SampleRow:
    return SampleRow(**{**row, "form_titles": loads(row["form_titles"]), "why": loads(row["why"])})
