"""Calibration: several people score one call blind, then see how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from cti.quality.agreement import Comparison, compare
from cti.quality.rows import CalibrationDetail, CalibrationRow, QualityRefused, Reader
from cti.quality.scoring import marks
from cti.store.pool import naming
from cti.store.quality.forms import form_in, use
from cti.store.quality.forms import read as read_form_row
from cti.store.quality.ground import QualityGround, Wanted, dumps, loads, only, unknown
from cti.store.quality.samples import talk

_ROW = (
    "SELECT c.calibration_id, c.title, c.call_id, c.agent, c.form_id, v.body -> 'titles' AS form_titles, c.scorers,"
    " ARRAY(SELECT s.scorer FROM quality.scores s WHERE s.calibration_id = c.calibration_id AND s.state <> 'draft'"
    " ORDER BY s.scorer) AS submitted, c.author, c.opened_at, c.due_at, c.closed_at FROM quality.calibrations c"
    " JOIN quality.form_versions v ON v.form_id = c.form_id AND v.version = c.form_version"
)
_QUEUE = "(SELECT k.queue FROM cti.calls k WHERE k.call_id = c.call_id)"
"""Of which queue the call is."""


class StoredCalibrations:
    """Satisfies `cti.services.inspections.Calibrations`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    async def list(self, *, limit: int, queues: Sequence[str] | None = None) -> Sequence[CalibrationRow]:
        """See `Calibrations.list`."""
        wanted = Wanted()
        only(queues, wanted, _QUEUE)
        with naming("calibrations cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW}{wanted.where()} ORDER BY c.closed_at IS NOT NULL, c.calibration_id DESC"
                f" LIMIT {wanted.value(limit)}",
                *wanted.values,
            )
        return tuple(_row(row) for row in rows)

    async def open(
        self,
        *,
        title: str,
        call_id: str,
        agent: str | None,
        form_id: int,
        scorers: Sequence[str],
        due_at: datetime,
        by: str,
    ) -> CalibrationDetail:
        """See `Calibrations.open`."""
        now = self._ground.now()
        if len(set(scorers)) < 2:
            raise QualityRefused("too_few", "at least two people are needed", status=400, remedy="name another scorer")
        with naming("the calibration cannot be opened"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                call = await talk(connection, call_id, agent)
                if (await read_form_row(connection, form_id)).archived:
                    raise QualityRefused("form_archived", "this form was put aside", remedy="choose another")
                version = await use(connection, form_id)
                number = await connection.fetchval(
                    "INSERT INTO quality.calibrations (title, call_id, agent, form_id, form_version, scorers, author,"
                    " opened_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING calibration_id",
                    title, call_id, call["agent"], form_id, version, sorted(set(scorers)), by, now, due_at,
                )  # fmt: skip
                await connection.executemany(
                    "INSERT INTO quality.samples (calibration_id, call_id, agent, queue, tier, form_id, why, scorer,"
                    " drawn_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    [
                        (
                            number, call_id, call["agent"], call["queue"] or "", call["tier"] or "", form_id,
                            dumps({"kind": "calibration", "by": by}), scorer, now, due_at,
                        )
                        for scorer in sorted(set(scorers))
                    ],
                )  # fmt: skip
                return await self._detail(connection, number)

    async def one(self, calibration_id: int, who: Reader) -> CalibrationDetail:
        """See `Calibrations.one`."""
        with naming("the calibration cannot be read"):
            async with self._ground.pool.acquire() as connection:
                if who.queues is not None:
                    queue = await connection.fetchval(
                        f"SELECT {_QUEUE} FROM quality.calibrations c WHERE c.calibration_id = $1",  # noqa: S608 - own words
                        calibration_id,
                    )
                    if queue not in who.queues:
                        raise unknown("calibration", calibration_id)
                return await self._detail(connection, calibration_id)

    async def close(self, calibration_id: int) -> CalibrationDetail:
        """See `Calibrations.close`."""
        with naming("the calibration cannot be closed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                closed = await connection.execute(
                    "UPDATE quality.calibrations SET closed_at = $2 WHERE calibration_id = $1 AND closed_at IS NULL",
                    calibration_id, self._ground.now(),
                )  # fmt: skip
                # What nobody began will not be any more; drafts end with the round, too.
                await connection.execute(
                    "UPDATE quality.samples SET state = 'dropped' WHERE calibration_id = $1 AND state IN ('open', 'begun')",
                    calibration_id,
                )
                await connection.execute(
                    "DELETE FROM quality.scores WHERE calibration_id = $1 AND state = 'draft'", calibration_id
                )
                found = await self._detail(connection, calibration_id)
                if closed == "UPDATE 0":
                    raise QualityRefused("closed", "this calibration is closed already", remedy="see its comparison")
                return found

    async def _detail(self, connection: asyncpg.Connection, calibration_id: int) -> CalibrationDetail:
        row = await connection.fetchrow(f"{_ROW} WHERE c.calibration_id = $1", calibration_id)
        if row is None:
            raise unknown("calibration", calibration_id)
        version = await connection.fetchval(
            "SELECT form_version FROM quality.calibrations WHERE calibration_id = $1", calibration_id
        )
        form = await read_form_row(connection, row["form_id"], version)
        comparison = None
        if row["closed_at"] is not None:
            comparison = await self._compared(connection, calibration_id, row["form_id"], version)
        return CalibrationDetail(calibration=_row(row), form=form.body, comparison=comparison)

    async def _compared(
        self, connection: asyncpg.Connection, calibration_id: int, form_id: int, version: int
    ) -> Comparison:
        form = await form_in(connection, form_id, version)
        rows = await connection.fetch(
            "SELECT scorer, answers, total FROM quality.scores WHERE calibration_id = $1 AND state <> 'draft'",
            calibration_id,
        )
        said: dict[str, Any] = {row["scorer"]: loads(row["answers"]) for row in rows}
        return compare(
            [item.name for item in form.items],
            said,
            {
                scorer: {one.name: one.share for one in marks(form, answers).items}
                for scorer, answers in said.items()
            },
            {row["scorer"]: row["total"] for row in rows},
        )  # fmt: skip


def _row(row: asyncpg.Record) -> CalibrationRow:
    return CalibrationRow(
        **{
            **row,
            "form_titles": loads(row["form_titles"]),
            "scorers": tuple(row["scorers"]),
            "submitted": tuple(row["submitted"]),
        }
    )
