"""Recordings in the database, and their sound: `services.recordings.Recordings`. The tables follow the facts (migration 0011)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import orjson

from cti.errors import CtiError, RemoteError
from cti.ids import CallId
from cti.journal.codec import Opaque, decode
from cti.model import facts as f
from cti.model.fact import Fact
from cti.recordings.shelf import Shelf
from cti.recordings.sound import HEADER, peaks_of, rate_of
from cti.recordings.talks import agents_of, story_of
from cti.services.recordings import Peaks, RecordingRow, RecordingStory, Sound, Wanted

AWAY = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.PostgresError)
_COLUMNS = (
    "v.recording_id, v.call_id, v.kind, v.begun_at, v.state, v.trouble, v.seconds, v.silence, v.channels, v.bytes, v.sha256,"
    " v.place, v.sealed, v.queue, v.agent, v.direction, v.deleted_at, v.deleted_why, r.path,"
    " ARRAY(SELECT DISTINCT x.body ->> 'agent_id' FROM cti.facts x WHERE x.call_id = v.call_id AND x.kind = 'CallAnswered') AS agents"
)
_FROM = " FROM report.recordings v JOIN cti.recordings r USING (recording_id)"
_OF_A_TALK = (
    "NOT (v.state = 'running' AND v.kind = 'talk' AND EXISTS"
    " (SELECT FROM cti.calls c WHERE c.call_id = v.call_id AND c.answered_at IS NULL))"
)
"""Asterisk was told to record before somebody was rung, and nobody talked: there is no recording, and never was."""
_READ = 1 << 20


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn the driver's errors into `RemoteError`."""
    try:
        yield
    except AWAY as error:
        raise RemoteError(f"{what}: {error}", outcome_unknown=True, remedy="see that PostgreSQL runs") from error


class StoredRecordings:
    """See `Recordings`. `live` gives the facts of a call that is not over yet; `names` agents' names."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        shelf: Shelf,
        *,
        live: Callable[[CallId], Sequence[Fact]] = lambda _call: (),
        names: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._pool = pool
        self._shelf = shelf
        self._live = live
        self._names = names
        self._working: dict[str, asyncio.Task[Peaks]] = {}

    async def find(self, wanted: Wanted) -> Sequence[RecordingRow]:
        """See `Recordings.find`."""
        where: list[str] = []
        values: list[Any] = []

        def ask(text: str, value: Any) -> None:
            if value is not None and value != ():
                values.append(list(value) if isinstance(value, tuple) else value)
                where.append(text.replace("$", f"${len(values)}"))

        ask("v.call_id = $", wanted.call_id)
        ask("v.queue = $", wanted.queue)
        ask("v.queue = ANY ($::text[])", wanted.queues)
        ask("v.kind = $", wanted.kind)
        ask("v.state = $", wanted.state)
        ask("v.begun_at >= $", wanted.since)
        ask("v.begun_at < $", wanted.until)
        ask(
            "(v.begun_at, v.recording_id) < (SELECT b.begun_at, b.recording_id FROM cti.recordings b WHERE b.recording_id = $)",
            wanted.before,
        )
        ask(
            "(v.agent = $ OR EXISTS (SELECT FROM cti.facts x WHERE x.call_id = v.call_id AND x.kind = 'CallAnswered'"
            " AND x.body ->> 'agent_id' = $))",
            wanted.agent_id,
        )
        values.append(wanted.limit)
        query = f"SELECT {_COLUMNS}{_FROM} WHERE {' AND '.join([_OF_A_TALK, *where])} ORDER BY v.begun_at DESC, v.recording_id DESC LIMIT ${len(values)}"
        with asking("recordings cannot be listed"):
            rows = await self._pool.fetch(query, *values)
        return [_row(one) for one in rows]

    async def one(self, recording_id: str) -> RecordingStory | None:
        """See `Recordings.one`."""
        with asking("the recording cannot be looked up"):
            found = await self._pool.fetchrow(f"SELECT {_COLUMNS}{_FROM} WHERE v.recording_id = $1", recording_id)
            if found is None:
                return None
            row = _row(found)
            if row.kind != "talk":
                return RecordingStory(row=row)
            stored = await self._pool.fetch(
                "SELECT body::text FROM cti.facts WHERE call_id = $1 AND kind <> 'Decided'", row.call_id
            )
        told = (decode(one[0]) for one in stored)
        facts: list[Fact] = [one for one in told if not isinstance(one, Opaque)]
        if not any(isinstance(one, f.CallEnded) for one in facts):
            facts = [*facts, *(one for one in self._live(row.call_id) if one not in facts)]
        marks, pauses = story_of(facts, dict(self._names()))
        return RecordingStory(row=row if row.agents else _with(row, agents_of(facts)), marks=marks, pauses=pauses)

    async def sound(self, row: RecordingRow) -> Sound:
        """See `Recordings.sound`."""
        return await self._shelf.open(row.kind, row.path)

    async def peaks(self, row: RecordingRow) -> Peaks:
        """See `Recordings.peaks`. Asked for twice at once, it is worked out once."""
        task = self._working.get(row.recording_id)
        if task is None:
            task = asyncio.create_task(self._peaks(row))
            self._working[row.recording_id] = task
            task.add_done_callback(lambda _: self._working.pop(row.recording_id, None))
        return await asyncio.shield(task)

    async def _peaks(self, row: RecordingRow) -> Peaks:
        kept = await self._shelf.beside(row.kind, row.path)
        if kept is not None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                told = orjson.loads(kept)
                return Peaks(seconds=told["seconds"], channels=tuple(tuple(one) for one in told["channels"]))
        sound = await self._shelf.open(row.kind, row.path)
        content = bytearray()
        for start in range(HEADER, sound.size, _READ):
            content += await sound.read(start, min(start + _READ, sound.size))
        rate = rate_of(await sound.read(0, HEADER))
        peaks = await asyncio.to_thread(peaks_of, bytes(content), row.channels, rate)
        with contextlib.suppress(CtiError, OSError):
            text = orjson.dumps({"seconds": peaks.seconds, "channels": peaks.channels})
            await self._shelf.keep_beside(row.kind, row.path, text)
        return peaks


def _row(found: asyncpg.Record) -> RecordingRow:
    values = dict(found)
    values["agents"] = tuple(values["agents"] or ())
    values["call_id"] = CallId(values["call_id"])
    return RecordingRow(**values)


def _with(row: RecordingRow, agents: tuple[str, ...]) -> RecordingRow:
    return replace(row, agents=agents)
