"""Scores: drafts, submission, revision, release, deletion, and what agents say to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import asyncpg

from cti.quality.forms import Form, QualityInvalid
from cti.quality.rows import QualityRefused, Reader, Remark, Reply, ScoreChange, Scored, ScoreDetail, ScoreRow
from cti.quality.scoring import Marks, marks, problems_of
from cti.store.pool import naming
from cti.store.quality.forms import form_in, use
from cti.store.quality.forms import read as read_form_row
from cti.store.quality.ground import QualityGround, Wanted, conflict, dumps, loads, only, unknown

_ROW = (
    "SELECT s.score_id, s.sample_id, s.call_id, s.agent, s.queue, s.tier, s.form_id, s.form_version,"
    " v.body -> 'titles' AS form_titles, s.scorer, s.state, s.revision, s.total, s.passed, s.failed, s.submitted_at,"
    " s.released_at, s.read_at, s.review, (SELECT count(*) FROM quality.replies r WHERE r.score_id = s.score_id) AS"
    " replies, s.call_at, s.calibration_id FROM quality.scores s"
    " JOIN quality.form_versions v ON v.form_id = s.form_id AND v.version = s.form_version"
)


class StoredScores:
    """Satisfies `cti.services.inspections.Scores`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    # -- looking ---------------------------------------------------------------------------------------------------

    async def list(
        self,
        who: Reader,
        *,
        agent: str | None = None,
        scorer: str | None = None,
        queue: str | None = None,
        form_id: int | None = None,
        item: str | None = None,
        review: str | None = None,
        states: Sequence[str] = ("submitted", "released"),
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[ScoreRow]:
        """See `Scores.list`."""
        wanted = Wanted()
        wanted.add("s.calibration_id IS NULL")
        if who.agent is not None:
            wanted.add("s.agent = {}", who.agent)
            wanted.add("s.state = 'released'")
        else:
            # Nobody sees another's draft.
            wanted.add("(s.state <> 'draft' OR s.scorer = {})", who.username)
            wanted.add("s.state = ANY({}::text[])", list(states))
            only(who.queues, wanted, "s.queue")
            if agent is not None:
                wanted.add("s.agent = {}", agent)
        for column, value in (("s.scorer", scorer), ("s.queue", queue), ("s.form_id", form_id), ("s.review", review)):
            if value is not None:
                wanted.add(column + " = {}", value)
        if item is not None:
            wanted.add(
                "EXISTS (SELECT FROM quality.score_items i WHERE i.score_id = s.score_id AND i.item = {}"
                " AND i.share < 1)",
                item,
            )
        if since is not None:
            wanted.add("s.submitted_at >= {}", since)
        if until is not None:
            wanted.add("s.submitted_at < {}", until)
        if before is not None:
            wanted.add("s.score_id < {}", before)
        with naming("scores cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW}{wanted.where()} ORDER BY s.score_id DESC LIMIT {wanted.value(limit)}", *wanted.values
            )
        return tuple(_row(row) for row in rows)

    async def one(self, score_id: int, who: Reader) -> ScoreDetail:
        """See `Scores.one`."""
        with naming("the score cannot be read"):
            async with self._ground.pool.acquire() as connection:
                return await self._detail(connection, score_id, who)

    async def _detail(self, connection: asyncpg.Connection, score_id: int, who: Reader) -> ScoreDetail:
        row = await connection.fetchrow(f"{_ROW} WHERE s.score_id = $1", score_id)
        if row is None or not await self._may_see(connection, row, who):
            raise unknown("score", score_id)
        more = await connection.fetchrow(
            "SELECT s.answers, s.remarks, s.comment, a.why, k.talk_seconds, k.recording IS NOT NULL AS recorded"
            " FROM quality.scores s JOIN quality.samples a USING (sample_id)"
            " LEFT JOIN cti.calls k ON k.call_id = s.call_id WHERE s.score_id = $1",
            score_id,
        )
        form = await read_form_row(connection, row["form_id"], row["form_version"])
        answers = loads(more["answers"])
        history = [] if not who.supervises else await connection.fetch(
            "SELECT revision, at, by, act, reason, total, body FROM quality.score_history WHERE score_id = $1"
            " ORDER BY revision",
            score_id,
        )  # fmt: skip
        replies = await connection.fetch(
            "SELECT reply_id, kind, author, text, at FROM quality.replies WHERE score_id = $1 ORDER BY reply_id",
            score_id,
        )
        return ScoreDetail(
            score=_row(row),
            form=form.body,
            answers=answers,
            remarks=tuple(Remark(**one) for one in loads(more["remarks"])),
            comment=more["comment"],
            marks=marks(await form_in(connection, row["form_id"], row["form_version"]), answers),
            why=loads(more["why"]) if who.supervises else {},
            history=tuple(
                ScoreChange(
                    revision=one["revision"], at=one["at"], by=one["by"], act=one["act"], reason=one["reason"],
                    total=one["total"], answers=loads(one["body"]).get("answers", {}),
                )
                for one in history
            ),
            replies=tuple(Reply(**one) for one in replies),
            talk_seconds=more["talk_seconds"],
            recorded=bool(more["recorded"]),
        )  # fmt: skip

    async def _may_see(self, connection: asyncpg.Connection, row: asyncpg.Record, who: Reader) -> bool:
        if who.agent is not None:
            return bool(row["agent"] == who.agent and row["state"] == "released" and row["calibration_id"] is None)
        if who.queues is not None and row["queue"] not in who.queues:
            return False
        if row["scorer"] == who.username:
            return True
        if row["state"] == "draft":
            return False
        # Blind: before the round is closed everybody sees their own only.
        return row["calibration_id"] is None or bool(
            await connection.fetchval(
                "SELECT closed_at IS NOT NULL FROM quality.calibrations WHERE calibration_id = $1",
                row["calibration_id"],
            )
        )

    # -- scoring ---------------------------------------------------------------------------------------------------

    async def begin(self, sample_id: int, who: Reader) -> ScoreDetail:
        """See `Scores.begin`."""
        now = self._ground.now()
        with naming("scoring cannot begin"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                sample = await connection.fetchrow(
                    "SELECT s.*, c.form_version, c.closed_at, k.started_at AS call_at FROM quality.samples s"
                    " LEFT JOIN quality.calibrations c USING (calibration_id)"
                    " LEFT JOIN cti.calls k ON k.call_id = s.call_id WHERE sample_id = $1 FOR UPDATE OF s",
                    sample_id,
                )
                if sample is None or (who.queues is not None and sample["queue"] not in who.queues):
                    raise unknown("sample", sample_id)
                known = await connection.fetchrow(
                    "SELECT score_id, scorer, state FROM quality.scores WHERE sample_id = $1", sample_id
                )
                if known is not None:
                    if known["state"] == "draft" and known["scorer"] != who.username:
                        raise QualityRefused(
                            "taken", f"{known['scorer']} is scoring this call", remedy="choose another call"
                        )
                    return await self._detail(connection, known["score_id"], who)
                if sample["state"] == "dropped":
                    raise QualityRefused("dropped", "this call is not to be scored", remedy="take it up again first")
                if sample["closed_at"] is not None:
                    raise QualityRefused("closed", "this calibration is closed", remedy="see its comparison")
                if sample["scorer"] not in (None, who.username):
                    raise QualityRefused(
                        "taken", f"this call is {sample['scorer']}'s to score", remedy="assign it to yourself first"
                    )
                version = sample["form_version"] or await use(connection, sample["form_id"])
                score_id = await connection.fetchval(
                    "INSERT INTO quality.scores (sample_id, calibration_id, call_id, agent, queue, tier, call_at, form_id,"
                    " form_version, scorer, begun_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
                    " $11) RETURNING score_id",
                    sample_id, sample["calibration_id"], sample["call_id"], sample["agent"], sample["queue"],
                    sample["tier"], sample["call_at"], sample["form_id"], version, who.username, now,
                )  # fmt: skip
                await connection.execute(
                    "UPDATE quality.samples SET state = 'begun', scorer = $2 WHERE sample_id = $1",
                    sample_id, who.username,
                )  # fmt: skip
                return await self._detail(connection, score_id, who)

    async def draft(self, score_id: int, scored: Scored, who: Reader) -> ScoreDetail:
        """See `Scores.draft`."""
        with naming("the draft cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._own(connection, score_id, scored.revision, who)
                if row["state"] != "draft":
                    raise QualityRefused("not_a_draft", "this score is submitted", remedy="revise it, with a reason")
                await self._write(connection, row, scored)
                return await self._detail(connection, score_id, who)

    async def submit(self, score_id: int, scored: Scored, who: Reader, *, release: bool | None) -> ScoreDetail:
        """See `Scores.submit`."""
        now = self._ground.now()
        with naming("the score cannot be submitted"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._own(connection, score_id, scored.revision, who)
                if row["state"] != "draft":
                    raise QualityRefused("not_a_draft", "this score is submitted", remedy="revise it, with a reason")
                counted = await self._write(connection, row, scored, whole=True)
                sample = await connection.fetchrow(
                    "UPDATE quality.samples SET state = 'done' WHERE sample_id = $1 RETURNING release", row["sample_id"]
                )
                seen = row["calibration_id"] is None and (sample["release"] if release is None else release)
                await connection.execute(
                    "UPDATE quality.scores SET state = $2, submitted_at = $3, released_at = $4 WHERE score_id = $1",
                    score_id, "released" if seen else "submitted", now, now if seen else None,
                )  # fmt: skip
                await self._note(connection, score_id, "submitted", who.username, "", counted)
                return await self._detail(connection, score_id, who)

    async def revise(self, score_id: int, scored: Scored, who: Reader, *, reason: str) -> ScoreDetail:
        """See `Scores.revise`."""
        with naming("the score cannot be revised"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._locked(connection, score_id, scored.revision, who)
                if row["state"] == "draft":
                    raise QualityRefused("a_draft", "this score is not submitted yet", remedy="submit it")
                if row["calibration_id"] is not None:
                    raise QualityRefused("blind", "scores of a calibration stay as they are", remedy="leave it")
                counted = await self._write(connection, row, scored, whole=True)
                # The agent is to see it again.
                await connection.execute("UPDATE quality.scores SET read_at = NULL WHERE score_id = $1", score_id)
                await self._note(connection, score_id, "revised", who.username, reason, counted)
                return await self._detail(connection, score_id, who)

    async def release(self, score_id: int, who: Reader, *, revision: int) -> ScoreDetail:
        """See `Scores.release`."""
        now = self._ground.now()
        with naming("the score cannot be released"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._locked(connection, score_id, revision, who)
                if row["state"] != "submitted" or row["calibration_id"] is not None:
                    raise QualityRefused(
                        "not_to_release", "only a submitted score is released", remedy="submit it first"
                    )
                await connection.execute(
                    "UPDATE quality.scores SET state = 'released', revision = revision + 1, released_at = $2,"
                    " changed_at = $2 WHERE score_id = $1",
                    score_id, now,
                )  # fmt: skip
                await self._note(connection, score_id, "released", who.username, "", row["total"])
                return await self._detail(connection, score_id, who)

    async def delete(self, score_id: int, who: Reader, *, revision: int, reason: str) -> ScoreRow:
        """See `Scores.delete`."""
        with naming("the score cannot be deleted"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._locked(connection, score_id, revision, who)
                if row["state"] != "draft":
                    await connection.execute(
                        "UPDATE quality.scores SET revision = revision + 1 WHERE score_id = $1", score_id
                    )
                    await self._note(connection, score_id, "deleted", who.username, reason, row["total"])
                gone = _row(await connection.fetchrow(f"{_ROW} WHERE s.score_id = $1", score_id))
                await connection.execute("DELETE FROM quality.scores WHERE score_id = $1", score_id)
                # A draft goes back onto the list; what had been submitted was not to be scored so.
                await connection.execute(
                    "UPDATE quality.samples SET state = 'open' WHERE sample_id = $1", row["sample_id"]
                )
                return gone

    async def _locked(
        self, connection: asyncpg.Connection, score_id: int, revision: int, who: Reader
    ) -> asyncpg.Record:
        row = await connection.fetchrow("SELECT * FROM quality.scores WHERE score_id = $1 FOR UPDATE", score_id)
        if row is None or not await self._may_see(connection, row, who):
            raise unknown("score", score_id)
        if row["revision"] != revision:
            raise conflict("score")
        return row

    async def _own(self, connection: asyncpg.Connection, score_id: int, revision: int, who: Reader) -> asyncpg.Record:
        row = await self._locked(connection, score_id, revision, who)
        if row["scorer"] != who.username:
            raise QualityRefused("not_yours", f"{row['scorer']} scores this call", status=403, remedy="ask them")
        return row

    async def _write(
        self, connection: asyncpg.Connection, row: asyncpg.Record, scored: Scored, *, whole: bool = False
    ) -> float | None:
        """Write answers and what they are worth; the total. `whole`: nothing may be missing. Raises `QualityInvalid`."""
        form = await form_in(connection, row["form_id"], row["form_version"])
        counted = checked(form, scored, whole=whole)
        remarks = [{"text": one.text, "second": one.second, "item": one.item} for one in scored.remarks]
        await connection.execute(
            "UPDATE quality.scores SET revision = revision + 1, answers = $2, remarks = $3, comment = $4, total = $5,"
            " passed = $6, failed = $7, changed_at = $8 WHERE score_id = $1",
            row["score_id"], dumps(dict(scored.answers)), dumps(remarks), scored.comment, counted.total, counted.passed,
            list(counted.failed), self._ground.now(),
        )  # fmt: skip
        if whole:
            await connection.execute("DELETE FROM quality.score_items WHERE score_id = $1", row["score_id"])
            await connection.executemany(
                "INSERT INTO quality.score_items (score_id, item, section, value, share, failed)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    (row["score_id"], one.name, one.section, str(one.value), one.share, one.failed)
                    for one in counted.items
                ],
            )
        return counted.total

    async def _note(
        self, connection: asyncpg.Connection, score_id: int, act: str, by: str, reason: str, total: float | None
    ) -> None:
        await connection.execute(
            "INSERT INTO quality.score_history (score_id, revision, at, by, act, reason, total, body)"
            " SELECT score_id, revision, $2, $3, $4, $5, $6, jsonb_build_object('answers', answers, 'remarks', remarks,"
            " 'comment', comment) FROM quality.scores WHERE score_id = $1",
            score_id, self._ground.now(), by, act, reason, total,
        )  # fmt: skip

    # -- answers of agents -----------------------------------------------------------------------------------------

    async def seen(self, score_id: int, who: Reader) -> ScoreDetail:
        """See `Scores.seen`."""
        with naming("the score cannot be read"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                found = await self._detail(connection, score_id, who)
                if who.agent is not None and found.score.read_at is None:
                    await connection.execute(
                        "UPDATE quality.scores SET read_at = $2 WHERE score_id = $1", score_id, self._ground.now()
                    )
                    found = await self._detail(connection, score_id, who)
                return found

    async def reply(
        self, score_id: int, who: Reader, *, kind: Literal["comment", "review", "answer"], text: str
    ) -> ScoreDetail:
        """See `Scores.reply`."""
        with naming("the answer cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow("SELECT * FROM quality.scores WHERE score_id = $1 FOR UPDATE", score_id)
                if row is None or not await self._may_see(connection, row, who):
                    raise unknown("score", score_id)
                if (kind == "answer") is not who.supervises:
                    raise QualityRefused(
                        "wrong_kind", "agents comment or ask for a review, others answer", status=400, remedy="see kind"
                    )
                if row["state"] != "released":
                    raise QualityRefused("not_released", "the agent does not see this score", remedy="release it first")
                if kind == "review" and row["review"] == "asked":
                    raise QualityRefused(
                        "already_asked", "a review was asked for already", remedy="wait for the answer"
                    )
                await connection.execute(
                    "INSERT INTO quality.replies (score_id, kind, author, text, at) VALUES ($1, $2, $3, $4, $5)",
                    score_id, kind, who.username, text, self._ground.now(),
                )  # fmt: skip
                review = {"review": "asked", "answer": "answered" if row["review"] == "asked" else row["review"]}
                await connection.execute(
                    "UPDATE quality.scores SET review = $2, read_at = CASE WHEN $3 THEN NULL ELSE read_at END"
                    " WHERE score_id = $1",
                    score_id, review.get(kind, row["review"]), kind == "answer",
                )  # fmt: skip
                return await self._detail(connection, score_id, who)


def checked(form: Form, scored: Scored, *, whole: bool) -> Marks:
    """What the answers are worth. Raises `QualityInvalid` where they do not fit the form, and `QualityRefused`
    (`incomplete`) where `whole` is wanted and something is missing."""
    if problems := problems_of(form, scored.answers):
        raise QualityInvalid(problems)
    counted = marks(form, scored.answers)
    if whole and counted.missing:
        raise QualityRefused(
            "incomplete", f"{len(counted.missing)} items are not answered: {', '.join(counted.missing[:5])}",
            status=400, remedy="answer them, or say that they do not apply",
        )  # fmt: skip
    if whole and counted.total is None:
        raise QualityRefused(
            "nothing_scored", "nothing that counts applies", status=400, remedy="drop the call from the list instead"
        )
    return counted


def _row(row: asyncpg.Record | Mapping[str, Any]) -> ScoreRow:
    return ScoreRow(**{**row, "form_titles": loads(row["form_titles"]), "failed": tuple(row["failed"])})
