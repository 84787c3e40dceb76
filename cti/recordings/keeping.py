"""How long recordings are kept, and how they go: by age, by queue, and when a customer is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import asyncpg
import structlog

from cti.clock import Clock
from cti.errors import CtiError
from cti.ids import CallId, QueueName
from cti.model.recording_facts import RecordingDeleted
from cti.recordings.finding import asking
from cti.recordings.shelf import Shelf
from cti.services.acts import Acts
from cti.services.ports import Journal
from cti.services.recordings import RecordingAway

log = structlog.get_logger(__name__)

DAILY = timedelta(days=1).total_seconds()
AGAIN = 600.0
AT_A_TIME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSounds:
    """How long; None: for ever. A queue's own word counts before the others, for its talks."""

    talks: timedelta | None = None
    messages: timedelta | None = None
    queues: Mapping[str, timedelta | None] = field(default_factory=dict)


class RecordingKeeping:
    """Deletes recordings. `RecordingEraser`. Each that goes is a fact and a line of the audit log."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        shelf: Shelf,
        journal: Journal,
        acts: Acts,
        clock: Clock,
        *,
        keep: Callable[[], KeepSounds],
    ) -> None:
        self._pool = pool
        self._shelf = shelf
        self._journal = journal
        self._acts = acts
        self._clock = clock
        self._keep = keep

    async def erase_calls(
        self, call_ids: Sequence[str], *, why: Literal["privacy", "retention"], by: str
    ) -> tuple[str, ...]:
        """See `RecordingEraser.erase_calls`."""
        with asking("the recordings cannot be found"):
            rows = await self._pool.fetch(
                "SELECT recording_id, call_id, kind, path, queue FROM cti.recordings LEFT JOIN cti.calls USING (call_id)"
                " WHERE call_id = ANY ($1::text[]) AND state <> 'deleted'",
                list(call_ids),
            )
        gone = tuple([row["recording_id"] for row in rows if await self._erase(row, why=why, by=by)])
        if len(gone) < len(rows):
            raise RecordingAway(
                "some recordings could not be deleted", remedy="see that their place answers, and try again"
            )
        return gone

    async def erase_old(self) -> int:
        """Delete what is older than it is kept; how many."""
        keep, now, count = self._keep(), self._clock.now(), 0
        kinds: list[tuple[str, str | None, timedelta]] = [
            ("talk", queue, days) for queue, days in keep.queues.items() if days is not None
        ]
        if keep.talks is not None:
            kinds.append(("talk", None, keep.talks))
        if keep.messages is not None:
            kinds += [("message", None, keep.messages), ("voicemail", None, keep.messages)]
        for kind, queue, age in kinds:
            own = list(keep.queues) if kind == "talk" else []
            while True:
                with asking("old recordings cannot be looked for"):
                    rows = await self._pool.fetch(
                        "SELECT recording_id, call_id, kind, path, queue FROM cti.recordings LEFT JOIN cti.calls USING (call_id)"
                        " WHERE kind = $1 AND begun_at < $2 AND state IN ('kept', 'flagged')"
                        " AND CASE WHEN $3::text IS NULL THEN NOT coalesce(queue = ANY ($4::text[]), false) ELSE queue = $3 END"
                        " ORDER BY begun_at LIMIT $5",
                        kind, now - age, queue, own, AT_A_TIME,
                    )  # fmt: skip
                gone = [row for row in rows if await self._erase(row, why="retention", by="retention")]
                count += len(gone)
                if len(rows) < AT_A_TIME or not gone:
                    break
                await asyncio.sleep(1.0)  # the facts must be stored before the same are found again
        if count:
            log.info("old_recordings_deleted", count=count)
        return count

    async def _erase(self, row: asyncpg.Record, *, why: Literal["privacy", "retention"], by: str) -> bool:
        try:
            if row["path"]:
                await self._shelf.delete(row["kind"], row["path"])
        except CtiError as error:
            log.warning("recording_not_deleted", recording=row["recording_id"], error=error.message)
            return False
        fact = RecordingDeleted(
            at=self._clock.now(), call_id=CallId(row["call_id"]), path=row["path"], kind=row["kind"], why=why, by=by
        )
        await self._journal.append([fact])
        await self._acts.acted(
            by=by,
            role="system" if why == "retention" else "",
            act="recording_delete",
            subject=f"recording:{row['recording_id']}",
            queue=QueueName(row["queue"]) if row["queue"] else None,
            reason=why,
        )
        return True

    async def daily(self) -> None:
        """`erase_old` at the start and once a day, for ever."""
        while True:
            wait = DAILY
            try:
                await self.erase_old()
            except CtiError as error:
                log.warning("old_recordings_stay", error=error.message)
                wait = AGAIN
            await asyncio.sleep(wait)
