"""Praise and coaching that reach agents, and what is new for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import asyncpg

from cti.model.centre import Centre
from cti.quality.rows import FeedbackCounts, Note, QualityRefused, Reader
from cti.store.pool import naming
from cti.store.quality.ground import QualityGround, Wanted, unknown

NOTE = (
    "SELECT note_id, agent, kind, text, call_id, second, author, written_at, read_at, acknowledged_at, answer"
    " FROM quality.notes"
)
NO_CALL_OR = "call_id IS NULL OR (SELECT k.queue FROM cti.calls k WHERE k.call_id = notes.call_id)"
"""With the queues behind it: the note is about no call, or about one of theirs."""


def agents_of(centre: Centre, queues: Sequence[str]) -> list[str]:
    """Agents of certain queues."""
    return sorted(agent_id for agent_id, one in centre.agents.items() if not set(queues).isdisjoint(one.queues))


class StoredFeedback:
    """Satisfies `cti.services.inspections.Feedback`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    async def counts(self, who: Reader) -> FeedbackCounts:
        """See `Feedback.counts`."""
        with naming("feedback cannot be counted"):
            row = await self._ground.pool.fetchrow(
                "SELECT (SELECT count(*) FROM quality.notes WHERE agent = $1 AND read_at IS NULL AND withdrawn_at IS"
                " NULL) AS notes, (SELECT count(*) FROM quality.scores WHERE agent = $1 AND state = 'released' AND"
                " calibration_id IS NULL AND read_at IS NULL) AS scores, (SELECT count(*) FROM quality.notes WHERE agent"
                " = $1 AND kind = 'coaching' AND acknowledged_at IS NULL AND withdrawn_at IS NULL) AS to_acknowledge,"
                " (SELECT count(*) FROM quality.scores WHERE $1::text IS NULL AND review = 'asked' AND scorer = $2) AS"
                " reviews, (SELECT count(*) FROM quality.samples WHERE $1::text IS NULL AND state IN ('open', 'begun')"
                " AND (scorer = $2 OR scorer IS NULL) AND ($3::text[] IS NULL OR queue = ANY($3))) AS to_score",
                who.agent, who.username, None if who.queues is None else list(who.queues),
            )  # fmt: skip
        return FeedbackCounts(**row)

    async def list(self, who: Reader, *, agent: str | None, before: int | None, limit: int) -> Sequence[Note]:
        """See `Feedback.list`."""
        wanted = Wanted()
        wanted.add("withdrawn_at IS NULL")
        mine = who.agent if who.agent is not None else agent
        if mine is not None:
            wanted.add("agent = {}", mine)
        if before is not None:
            wanted.add("note_id < {}", before)
        if who.queues is not None:
            wanted.add("agent = ANY({}::text[])", agents_of(self._ground.centre(), who.queues))
            wanted.add(f"({NO_CALL_OR} = ANY({{}}::text[]))", list(who.queues))
        with naming("feedback cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{NOTE}{wanted.where()} ORDER BY note_id DESC LIMIT {wanted.value(limit)}", *wanted.values
            )
        return tuple(Note(**row) for row in rows)

    async def write(
        self,
        *,
        agent: str,
        kind: Literal["praise", "coaching"],
        text: str,
        call_id: str | None,
        second: float | None,
        by: str,
    ) -> Note:
        """See `Feedback.write`."""
        if agent not in self._ground.centre().agents:
            raise QualityRefused("unknown_agent", f"there is no agent {agent}", status=404, remedy="choose another")
        with naming("the note cannot be kept"):
            row = await self._ground.pool.fetchrow(
                "INSERT INTO quality.notes (agent, kind, text, call_id, second, author, written_at) VALUES ($1, $2, $3,"
                " $4, $5, $6, $7) RETURNING note_id, agent, kind, text, call_id, second, author, written_at, read_at,"
                " acknowledged_at, answer",
                agent, kind, text, call_id, second, by, self._ground.now(),
            )  # fmt: skip
        return Note(**row)

    async def seen(self, note_id: int, who: Reader) -> Note:
        """See `Feedback.seen`."""
        return await self._set(note_id, who, "read_at = coalesce(read_at, $3)")

    async def acknowledge(self, note_id: int, who: Reader, *, answer: str) -> Note:
        """See `Feedback.acknowledge`."""
        return await self._set(
            note_id, who, "read_at = coalesce(read_at, $3), acknowledged_at = coalesce(acknowledged_at, $3), answer = $4",
            answer,
        )  # fmt: skip

    async def _set(self, note_id: int, who: Reader, what: str, *values: str) -> Note:
        with naming("the note cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                done = await connection.execute(
                    f"UPDATE quality.notes SET {what} WHERE note_id = $1 AND agent = $2 AND withdrawn_at IS NULL",  # noqa: S608 - own words only
                    note_id, who.agent, self._ground.now(), *values,
                )  # fmt: skip
                if done == "UPDATE 0":
                    raise unknown("note", note_id)
                return await _one(connection, note_id)

    async def withdraw(self, note_id: int, *, by: str) -> Note:
        """See `Feedback.withdraw`."""
        with naming("the note cannot be taken back"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(
                    "SELECT author FROM quality.notes WHERE note_id = $1 AND withdrawn_at IS NULL FOR UPDATE", note_id
                )
                if row is None:
                    raise unknown("note", note_id)
                if row["author"] != by:
                    raise QualityRefused("not_yours", f"this is {row['author']}'s", status=403, remedy="ask them")
                await connection.execute(
                    "UPDATE quality.notes SET withdrawn_at = $2 WHERE note_id = $1", note_id, self._ground.now()
                )
                return await _one(connection, note_id)


async def _one(connection: asyncpg.Connection, note_id: int) -> Note:
    return Note(**await connection.fetchrow(f"{NOTE} WHERE note_id = $1", note_id))
