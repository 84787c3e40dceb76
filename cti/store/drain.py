"""From the journal to Postgres: every fact exactly once, and each ended call's row kept true to its facts.

One transaction a batch does all of it: the facts are copied into a temporary table and inserted where they are not there
yet, the calls they are about are folded again from *all* their stored facts, and the cursor moves. Whatever dies, and
whenever: either all of that is there, or none of it and the same batch comes again. Facts have their place in the
journal as key, so a second coming changes nothing.

Calls never wait for this. When Postgres is away, the journal grows and `run` tries again for ever, more and more slowly
(up to `RETRY_MOST`); `state()` tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
import structlog

from cti.errors import RemoteError
from cti.ids import QueueName
from cti.journal.codec import Opaque, Position, Record, decode
from cti.journal.writer import JournalWriter
from cti.model.fact_types import FACT_TYPES
from cti.model.facts import CallFact
from cti.reports.counted import QueueRules
from cti.store.agent_hours import recount
from cti.store.figure_check import LOCK, counted_from_facts, rebuild, store_counted
from cti.store.figures import Counting, counting
from cti.store.pool import UNREACHABLE, connect

_log = structlog.get_logger(__name__)

GATHER = 0.2
"""Seconds facts gather before they are drained together. A transaction costs the same for one fact as for a hundred, and one
right at each fact would compete for processor and disk with the call that the fact is about."""
STALLED = 5.0
"""Seconds without getting anything in after which the database counts as away, though its connection is open (a frozen server,
a network that swallows)."""
RETRY_FIRST = 0.1
RETRY_MOST = 5.0

ShortAbandon = Callable[[], Mapping[QueueName, timedelta]]
"""Gives each queue's limit for a short abandon, as it is configured now."""
Rules = Callable[[], Mapping[QueueName, QueueRules]]
"""Gives the rules by which each queue's figures are counted, as they are configured now."""

_FACTS = ("position", "kind", "call_id", "at", "body")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainState:
    """How the drain is doing."""

    connected: bool
    cursor: Position
    """First position that is not yet in Postgres, as far as known."""
    behind: int
    """Records that are durable here and not yet in Postgres, as far as known: before the first contact all that are
    retained; across a torn tail's gap the positions are counted."""
    behind_since: float | None
    """`time.monotonic()` since when it has been behind; None when it is not."""
    error: str
    """Why it is not connected, or what Postgres refused last; "" when all is well."""
    drained: int
    """Facts drained since the start."""
    unfolded: int
    """Calls whose row could not be made (a fault of ours; their facts are stored)."""


class Drain:
    """Drains one journal into one database. `run` is a task of the application's; it ends only when cancelled."""

    def __init__(
        self,
        journal: JournalWriter,
        dsn: str,
        short_abandon: ShortAbandon = dict,
        *,
        rules: Rules | None = None,
        zone: Callable[[], str] = lambda: "UTC",
        allowed: Callable[[], Mapping[str, timedelta]] | None = None,
        ruled_since: Callable[[], Mapping[QueueName, datetime]] = dict,
        batch: int = 2000,
        command_timeout: float = 60.0,
    ) -> None:
        self._journal = journal
        self._dsn = dsn
        self._rules = rules or (
            lambda: {queue: QueueRules(short_abandon=limit) for queue, limit in short_abandon().items()}
        )
        self._zone = zone
        self._allowed_now = allowed
        self._ruled_since = ruled_since
        self._batch = batch
        self._command_timeout = command_timeout
        self._connection: asyncpg.Connection | None = None
        self._cursor = Position(0)
        self._known = False
        self._behind_since: float | None = None
        self._error = ""
        self._drained = 0
        self._unfolded = 0
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        self._hurry = asyncio.Event()

    # --- for the application -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Drain for ever. Never raises except when cancelled."""
        pause = RETRY_FIRST
        try:
            while True:
                try:
                    while await self.drain_once() >= self._batch:
                        pause = RETRY_FIRST
                    pause = RETRY_FIRST
                except (RemoteError, asyncpg.PostgresError, *UNREACHABLE) as error:
                    await self._lost(error)
                except Exception as error:  # a fault of ours must not end the drain: it is told, and tried again
                    _log.exception("drain_failed")
                    await self._lost(error)
                else:
                    await self._journal.wait_beyond(self._cursor)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._hurry.wait(), GATHER)
                    continue
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST)
        finally:
            await self.close()

    async def drain_once(self) -> int:
        """Drain one batch; how many records it held, 0 at the end of the journal. Raises what asyncpg raises."""
        async with self._turn:
            connection = await self._connected()
            if not self._known:
                row = await connection.fetchval(
                    "SELECT next FROM cti.cursors WHERE journal_id = $1", self._journal.journal_id
                )
                end = self._journal.end
                if (row or 0) > end:
                    raise RemoteError(
                        f"the journal in {self._journal.folder} ends at {end}, but Postgres already has it up to {row}",
                        remedy="an old copy of the journal was put back: move the folder away, a new one will be made",
                    )
                self._cursor, self._known = Position(row or 0), True
            end = self._journal.end
            records = await asyncio.to_thread(self._journal.records_from, self._cursor, limit=self._batch)
            if not records:
                self._cursor = max(self._cursor, end)  # over the gap a torn tail left
                self._behind_since = None
                self._settled()
                return 0
            if self._behind_since is None:
                self._behind_since = time.monotonic()
            self._cursor = await self._store(connection, records)
            self._drained += len(records)
            if len(records) < self._batch:
                self._behind_since = None  # all there was; what came meanwhile is gathering
            self._settled()
            await asyncio.to_thread(self._journal.forget, self._cursor)
            return len(records)

    async def flush(self, timeout: float) -> bool:
        """Wait until everything that is durable now is in Postgres; False when `timeout` seconds were not enough.

        `run` must be running.
        """
        goal = self._journal.end
        self._hurry.set()
        try:
            async with asyncio.timeout(timeout):
                while not self._known or self._cursor < goal:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        finally:
            self._hurry.clear()
        return True

    async def rebuild(self, *, by_todays_rules: bool = False) -> int:
        """Count every ended call again from the stored facts, see `figure_check.rebuild`; how many."""
        async with self._turn:
            return await rebuild(
                await self._connected(),
                self._rules(),
                self._zone(),
                allowed=self._allowed(),
                by_todays_rules=by_todays_rules,
                unfolded=self._not_folded,
            )

    def _allowed(self) -> Mapping[str, timedelta] | None:
        return None if self._allowed_now is None else self._allowed_now()

    def lag(self) -> float:
        """Seconds since when Postgres has been behind; 0.0 when it has everything."""
        return 0.0 if self._behind_since is None else time.monotonic() - self._behind_since

    def state(self) -> DrainState:
        """How it is doing; for /readyz, /metrics and the supervisor's page."""
        behind = max(0, self._journal.end - max(self._cursor, self._journal.first))
        return DrainState(
            connected=self._connection is not None and not self._connection.is_closed(),
            cursor=self._cursor,
            behind=behind,
            behind_since=self._behind_since,
            error=self._error,
            drained=self._drained,
            unfolded=self._unfolded,
        )

    def trouble(self) -> str:
        """Why records do not get into the database, "" when they do; for /readyz."""
        state = self.state()
        if not state.connected:
            return state.error or "no connection"
        late = self.lag()
        return f"it has taken nothing for {late:.0f} s, {state.behind} facts wait" if late > STALLED else ""

    async def close(self) -> None:
        """Give the connection back. What was not committed comes again at the next start."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=2.0)
            except (asyncpg.PostgresError, *UNREACHABLE):
                connection.terminate()
            except asyncio.CancelledError:
                connection.terminate()
                raise

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, command_timeout=self._command_timeout)
            self._known = False  # a commit whose answer was lost may have moved it
        return self._connection

    async def _lost(self, error: Exception) -> None:
        text = str(error).partition("\n")[0] or type(error).__name__
        if text != self._error:
            _log.error("drain_waits_for_postgres", error=text, behind=self.state().behind)
        self._error = text
        if self._behind_since is None and (not self._known or self._journal.end > self._cursor):
            self._behind_since = time.monotonic()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _settled(self) -> None:
        if self._error:
            _log.info("drain_goes_on", cursor=int(self._cursor))
            self._error = ""
        self._moved.set()

    async def _store(self, connection: asyncpg.Connection, records: Sequence[Record]) -> Position:
        """One batch, one transaction. The new cursor."""
        rows, calls = _rows(records)
        try:
            return await self._transaction(connection, records, rows, calls)
        except asyncpg.DataError:
            # Postgres will not take some value, and would refuse the batch for ever: find the record, store it unread.
            if len(records) > 1:
                half = len(records) // 2
                await self._store(connection, records[:half])
                return await self._store(connection, records[half:])
            _log.exception("drain_record_refused", position=int(records[0].position))
            unread = orjson.dumps({"refused": records[0].payload.hex()}).decode()
            return await self._transaction(connection, records, [(records[0].position, "", None, None, unread)], [])

    async def _transaction(
        self,
        connection: asyncpg.Connection,
        records: Sequence[Record],
        rows: Sequence[tuple[Any, ...]],
        calls: list[str],
    ) -> Position:
        following = Position(records[-1].position + 1)
        journal_id = self._journal.journal_id
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(
                "CREATE TEMP TABLE IF NOT EXISTS incoming (position bigint, kind text, call_id text, at timestamptz,"
                " body jsonb) ON COMMIT DELETE ROWS"
            )
            await connection.copy_records_to_table("incoming", records=rows, columns=_FACTS, schema_name="pg_temp")
            await connection.execute(
                "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body)"
                " SELECT $1, position, kind, call_id, at, body FROM pg_temp.incoming ON CONFLICT DO NOTHING",
                journal_id,
            )
            await self._fold(connection, calls)
            await self._agents(connection)
            await connection.execute(
                "INSERT INTO cti.cursors AS c (journal_id, next) VALUES ($1, $2)"
                " ON CONFLICT (journal_id) DO UPDATE SET next = greatest(c.next, excluded.next), moved_at = now()",
                journal_id,
                following,
            )
        return following

    async def _fold(self, connection: asyncpg.Connection, calls: list[str]) -> None:
        """Make the rows of those calls that have ended, from everything stored about them."""
        if not calls:
            return
        how = await self._how(connection)
        await store_counted(connection, await counted_from_facts(connection, calls, how, self._not_folded), how)

    def _not_folded(self, _call_id: str) -> None:
        self._unfolded += 1

    async def _how(self, connection: asyncpg.Connection) -> Counting:
        return await counting(
            connection, self._rules(), self._zone(), allowed=self._allowed(), ruled_since=self._ruled_since()
        )

    async def _agents(self, connection: asyncpg.Connection) -> None:
        """Count the time of agents who changed their state in this batch."""
        changed = await connection.fetch(
            "SELECT body->>'agent_id', min(at) FROM pg_temp.incoming WHERE kind = 'AgentChanged' GROUP BY 1"
        )
        if changed:
            how = await self._how(connection)
            await recount(connection, dict(changed), how.zone, how.allowed)


def _rows(records: Iterable[Record]) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Rows for the temporary table, and the calls they are about, in order and each once."""
    rows: list[tuple[Any, ...]] = []
    calls: dict[str, None] = {}
    for record in records:
        if (told := _plain(record.payload)) is not None:
            kind, known_call, at = told
            if known_call is not None:
                calls[known_call] = None
            rows.append((record.position, kind, known_call, at, record.payload.decode()))
            continue
        fact = decode(record.payload)
        if isinstance(fact, Opaque):
            rows.append((record.position, *_opaque(fact)))
            continue
        call_id = fact.call_id if isinstance(fact, CallFact) else None
        if call_id is not None:
            calls[call_id] = None
        rows.append((record.position, type(fact).__name__, call_id, fact.at, record.payload.decode()))
    return rows, list(calls)


def _plain(payload: bytes) -> tuple[str, str | None, datetime] | None:
    """Kind, call and time of a record as this version writes them, without making the fact; None: it needs a closer look.

    What is stored of a call is read in full when the call has ended.
    """
    try:
        body = orjson.loads(payload)
        kind, at = body["fact"], datetime.fromisoformat(body["at"])
        call_id = body["call_id"] if issubclass(FACT_TYPES[kind], CallFact) else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    if at.tzinfo is None or not (call_id is None or isinstance(call_id, str)):
        return None
    return kind, call_id, at


def _opaque(fact: Opaque) -> tuple[str, str | None, datetime | None, str]:
    """What can be said of a record this version cannot read: it is stored whole, for a version that can."""
    try:
        body = orjson.loads(fact.payload)
        text = orjson.dumps(body).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return "", None, None, orjson.dumps({"unreadable": fact.payload.hex()}).decode()
    call_id = body.get("call_id") if isinstance(body, dict) else None
    try:
        at = datetime.fromisoformat(body["at"]) if isinstance(body, dict) else None
    except (KeyError, TypeError, ValueError):
        at = None
    if at is not None and at.tzinfo is None:
        at = None
    return fact.name, call_id if isinstance(call_id, str) else None, at, text
