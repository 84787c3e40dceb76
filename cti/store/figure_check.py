"""Are the figures true? Sums against the rows they are sums of, rows against the facts they were folded from. And again, anew."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from cti.ids import QueueName
from cti.journal.codec import Opaque, decode
from cti.model.facts import Fact
from cti.reports.call_record import CallRecord
from cti.reports.counted import AMOUNTS, QueueRules
from cti.reports.counting import CountedCall, count
from cti.reports.metric import Grain
from cti.reports.metrics import DEFINITION_VERSION
from cti.store.agent_hours import recount, windows
from cti.store.figures import LINKED, STORED, SUMMED, Counting, columns, counting, record_of, store_figures
from cti.store.pool import naming

_log = structlog.get_logger(__name__)

LOCK = 0x6374695F6472616E
"""Advisory lock of whoever counts ("cti_dran"): batches, rebuilds and checks take turns."""
CHUNK, GENTLE_CHUNK = 1000, 200
COLUMNS = tuple(field.name for field in fields(CallRecord))
_UPSERT = (
    f"INSERT INTO cti.calls ({', '.join(COLUMNS)}) "  # noqa: S608 - names of our own fields
    f"VALUES ({', '.join(f'${number}' for number in range(1, len(COLUMNS) + 1))}) "
    f"ON CONFLICT (call_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that does not agree."""

    where: str
    key: str
    stored: str
    counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was looked at, and what does not agree (the first of each kind)."""

    calls: int
    half_hours: int
    agents: int
    differences: tuple[Difference, ...]


async def counted_from_facts(
    connection: asyncpg.Connection, call_ids: Sequence[str], how: Counting, unfolded: Callable[[str], None]
) -> list[CountedCall]:
    """Those of these calls that have ended, counted from everything stored about them."""
    stored = await connection.fetch(
        "SELECT call_id, body::text FROM cti.facts WHERE kind <> 'Decided' AND call_id IN"
        " (SELECT call_id FROM cti.facts WHERE kind = 'CallEnded' AND call_id = ANY($1))",
        call_ids,
    )
    return await asyncio.to_thread(_counted, stored, how, unfolded) if stored else []


def _counted(stored: Sequence[asyncpg.Record], how: Counting, unfolded: Callable[[str], None]) -> list[CountedCall]:
    """The calls out of their facts. In a thread: a batch after an outage takes a while."""
    facts: dict[str, list[Fact]] = {}
    for call_id, body in stored:
        fact = decode(body)
        if not isinstance(fact, Opaque):
            facts.setdefault(call_id, []).append(fact)
    counted = []
    for call_id in sorted(facts):
        try:
            counted.append(count(facts[call_id], how.rules))
        except Exception:
            _log.exception("drain_call_not_folded", call_id=call_id)
            unfolded(call_id)
    return counted


async def store_counted(
    connection: asyncpg.Connection, counted: Sequence[CountedCall], how: Counting, *, agents: bool = True
) -> None:
    """The calls' rows and everything they add to figures; `agents` as for `store_figures`."""
    if counted:
        rows = [tuple(getattr(call.record, name) for name in COLUMNS) for call in counted]
        await connection.executemany(_UPSERT, rows)
        await store_figures(connection, counted, how, agents=agents)


@contextlib.asynccontextmanager
async def _turn(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Nobody else counts meanwhile."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        yield


async def _chunks(
    connection: asyncpg.Connection, last: str = "", *, gently: bool = False
) -> AsyncGenerator[list[str], None]:
    """Ids of calls that have ended, those after `last`, a chunk a turn; `gently`: between turns as long a pause as the turn
    was."""
    size = GENTLE_CHUNK if gently else CHUNK
    while True:
        begun = time.monotonic()
        async with _turn(connection):
            rows = await connection.fetch(
                "SELECT DISTINCT call_id FROM cti.facts WHERE kind = 'CallEnded' AND call_id > $1"
                " ORDER BY call_id LIMIT $2",
                last,
                size,
            )
            if not rows:
                return
            yield [row[0] for row in rows]
        last = rows[-1][0]
        if gently:
            await asyncio.sleep(time.monotonic() - begun)


async def rebuild(
    connection: asyncpg.Connection,
    rules: Mapping[QueueName, QueueRules],
    zone: str,
    *,
    allowed: Mapping[str, timedelta] | None = None,
    by_todays_rules: bool = False,
    unfolded: Callable[[str], None] = lambda _: None,
    gently: bool = False,
    go_on: bool = False,
) -> int:
    """Count every ended call again from its facts, and all agents' time; how many calls. Chunk by chunk: figures can be read,
    and calls drained, meanwhile. Calls whose facts are not stored any more keep their rows.

    `by_todays_rules`: stays are judged by the queues' rules as they are now, not as they were then. `gently`: beside a bridge
    that serves callers, so no more than half of the time. `go_on`: where one that did not come to its end stopped, if it
    counted by these definitions and this clock. How far it is stands in `cti.report_state`.
    """
    with naming("figures cannot be counted again"):
        begun = await _begun(connection, zone) if go_on and not by_todays_rules else None
        async with _turn(connection):
            if by_todays_rules:
                await connection.execute("DELETE FROM cti.queue_rules")
                await connection.execute("DELETE FROM cti.reason_rules")
            await counting(connection, rules, zone, allowed=allowed, anew=True)
            if begun is None:
                begun = _Begun()
                await connection.execute(
                    "UPDATE cti.report_state SET recount_done = 0, recount_version = $1, recount_call = '',"
                    " recount_agent = '', recount_of ="
                    " (SELECT count(DISTINCT call_id) FROM cti.facts WHERE kind = 'CallEnded')",
                    DEFINITION_VERSION,
                )
        done = begun.done
        async with contextlib.aclosing(_chunks(connection, begun.call, gently=gently)) as chunks:
            async for ids in chunks:
                how = await _as_written(connection, zone)
                counted = await counted_from_facts(connection, ids, how, unfolded)
                await store_counted(connection, counted, how, agents=False)
                done += len(counted)
                await connection.execute(
                    "UPDATE cti.report_state SET recount_done = $1, recount_call = $2", done, ids[-1]
                )
        await _agents_anew(connection, zone, begun.agent, gently=gently)
        async with _turn(connection):
            gone = await connection.fetch(
                "DELETE FROM cti.agent_marks m WHERE NOT EXISTS (SELECT FROM cti.agent_activities a WHERE a.agent = m.agent)"
                " AND NOT EXISTS (SELECT FROM cti.facts f WHERE f.kind = 'AgentChanged' AND f.body->>'agent_id' = m.agent)"
                " RETURNING agent"
            )
            await connection.execute("DELETE FROM cti.agent_times WHERE agent = ANY($1)", [row[0] for row in gone])
            await connection.execute(
                "UPDATE cti.report_state SET definition_version = $1, rebuilt_at = now(), recount_done = NULL,"
                " recount_of = NULL, recount_version = NULL, recount_call = NULL, recount_agent = NULL",
                DEFINITION_VERSION,
            )
        return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """How far counting anew is."""

    done: int = 0
    call: str = ""
    agent: str = ""
    """The last that was counted."""


async def _begun(connection: asyncpg.Connection, zone: str) -> _Begun | None:
    """How far the one that did not come to its end is; None: there is none that can be gone on with."""
    row = await connection.fetchrow(
        "SELECT recount_done, recount_call, recount_agent FROM cti.report_state WHERE definition_version = 0"
        " AND recount_version = $1 AND zone = $2 AND recount_of IS NOT NULL",
        DEFINITION_VERSION,
        zone,
    )
    return row and _Begun(done=row["recount_done"], call=row["recount_call"], agent=row["recount_agent"])


async def _as_written(connection: asyncpg.Connection, zone: str) -> Counting:
    """How to count, by the rules as they are written down now: they may have changed since counting anew began."""
    return replace(await counting(connection, {}, zone), zone=ZoneInfo(zone))


async def _agents_anew(connection: asyncpg.Connection, zone: str, last: str, *, gently: bool) -> None:
    """Count the time of all agents after `last` anew, a stretch of one agent's a turn: an agent's whole past is too much for
    one beside a bridge that serves callers. Until then what was counted before is there to be read."""
    known = await connection.fetch(
        "SELECT agent, min(first) AS first, max(last) AS last FROM (SELECT agent, began_at AS first, ended_at AS last"
        " FROM cti.agent_activities UNION ALL SELECT body->>'agent_id', at, at FROM cti.facts WHERE kind = 'AgentChanged')"
        " AS t WHERE agent > $1 GROUP BY agent ORDER BY agent",
        last,
    )
    for agent, first, end in known:
        begins = windows(first, end, ZoneInfo(zone))
        for number, since in enumerate(begins):
            until = begins[number + 1] if number + 1 < len(begins) else None
            begun = time.monotonic()
            async with _turn(connection):
                if number == 0:
                    await connection.execute("DELETE FROM cti.agent_times WHERE agent = $1 AND slot < $2", agent, since)
                if until is None:
                    await connection.execute("DELETE FROM cti.agent_marks WHERE agent = $1", agent)
                how = await _as_written(connection, zone)
                await recount(connection, {agent: since}, how.zone, how.allowed, until=until)
                if until is None:
                    await connection.execute("UPDATE cti.report_state SET recount_agent = $1", agent)
            if gently:
                await asyncio.sleep(time.monotonic() - begun)


async def stale(connection: asyncpg.Connection, zone: str) -> str:
    """Why everything must be counted anew: "version", "zone"; empty: it need not. There is nothing to say of an empty database."""
    state = await connection.fetchrow("SELECT definition_version, zone FROM cti.report_state")
    if state is None:
        return "version" if await connection.fetchval("SELECT EXISTS (SELECT FROM cti.calls)") else ""
    if state["definition_version"] != DEFINITION_VERSION:
        return "version"
    return "zone" if state["zone"] != zone else ""


async def _since(connection: asyncpg.Connection) -> dict[str, datetime]:
    rows = await connection.fetch(
        "SELECT agent, min(at) FROM (SELECT agent, began_at AS at FROM cti.agent_activities UNION ALL"
        " SELECT body->>'agent_id', at FROM cti.facts WHERE kind = 'AgentChanged') AS t GROUP BY agent"
    )
    return dict(rows)


async def check(connection: asyncpg.Connection, *, every: int = 1, most: int = 20) -> Checked:
    """Look whether everything agrees. `every`: of the calls, each so-manieth is counted again from its facts."""
    found: list[Difference] = []
    with naming("figures cannot be checked"):
        async with _turn(connection):
            how = await counting(connection, {}, "UTC")
            half_hours = 0
            for grain in SUMMED:
                half_hours += await connection.fetchval(f"SELECT count(*) FROM cti.half_hour_{grain.value}")  # noqa: S608 - our names
                rows = await connection.fetch(_compared(grain), most)
                found += [
                    Difference(
                        where=f"half_hour_{grain.value}",
                        key=str(row["key"]),
                        stored=str(row["stored"]),
                        counted=str(row["counted"]),
                    )
                    for row in rows
                ]
            found += await _agents_differ(connection, how, most)
            agents = await connection.fetchval("SELECT count(*) FROM cti.agent_marks")
        calls = 0
        number = 0
        async with contextlib.aclosing(_chunks(connection)) as chunks:
            async for ids in chunks:
                chosen = [call_id for index, call_id in enumerate(ids, number) if index % every == 0]
                number += len(ids)
                counted = await counted_from_facts(connection, chosen, how, lambda _: None)
                calls += len(counted)
                if len(found) < 5 * most:
                    found += await _rows_differ(connection, counted, how)
    return Checked(calls=calls, half_hours=half_hours, agents=agents, differences=tuple(found))


def _compared(grain: Grain) -> str:
    names, amounts = SUMMED[grain], AMOUNTS[grain]
    keys = ", ".join(("slot", *names))
    empty = "''"
    return (
        f"SELECT ({keys})::text AS key, s.sums::text AS stored, r.sums::text AS counted FROM"  # noqa: S608 - our names
        f" (SELECT {keys}, ARRAY[{', '.join(amounts)}] AS sums FROM cti.half_hour_{grain.value}"
        f"   WHERE greatest({', '.join(f'abs({amount})' for amount in amounts)}) > 0) AS s FULL JOIN"
        f" (SELECT slot, {', '.join(f'coalesce({name}, {empty}) AS {name}' for name in names)},"
        f"   ARRAY[{', '.join(f'sum({amount})::bigint' for amount in amounts)}] AS sums FROM cti.counted_{grain.value}"
        f"   GROUP BY slot, {', '.join(f'coalesce({name}, {empty})' for name in names)}"
        f"   HAVING greatest({', '.join(f'abs(sum({amount}))' for amount in amounts)}) > 0) AS r"
        f" USING ({keys}) WHERE s.sums IS DISTINCT FROM r.sums LIMIT $1"
    )


async def _agents_differ(connection: asyncpg.Connection, how: Counting, most: int) -> list[Difference]:
    """Count agents' time again, compare, and leave it as it was."""
    found: list[Difference] = []
    with contextlib.suppress(_Undo):
        async with connection.transaction():
            await connection.execute("CREATE TEMP TABLE before_check ON COMMIT DROP AS TABLE cti.agent_times")
            since = await _since(connection)
            await connection.execute("DELETE FROM cti.agent_times")
            await connection.execute("DELETE FROM cti.agent_marks")
            await recount(connection, since, how.zone, how.allowed)
            rows = await connection.fetch(
                "SELECT (slot, agent, state, reason)::text AS key, (b.ms, b.over_ms)::text AS stored, (a.ms, a.over_ms)::text AS"
                " counted FROM"
                " pg_temp.before_check AS b FULL JOIN cti.agent_times AS a USING (slot, agent, state, reason)"
                " WHERE (a.ms, a.over_ms) IS DISTINCT FROM (b.ms, b.over_ms) LIMIT $1",
                most,
            )
            found = [
                Difference(where="agent_times", key=row["key"], stored=str(row["stored"]), counted=str(row["counted"]))
                for row in rows
            ]
            raise _Undo
    return found


class _Undo(Exception):
    """Takes back what was tried."""


async def _rows_differ(
    connection: asyncpg.Connection, counted: Sequence[CountedCall], how: Counting
) -> list[Difference]:
    found: list[Difference] = []
    ids = [call.record.call_id for call in counted]
    for grain in STORED:
        names = [name for name in columns(grain) if grain is not Grain.CALLS or name not in LINKED]
        place = names.index("person") if grain is Grain.CALLS else 0
        known = {names.index(name) for name in ("resolvable", "repeatable") if name in names}
        stored: dict[tuple[str, int], tuple[object, ...]] = {
            (row["call_id"], row["number"]): tuple(row)
            for row in await connection.fetch(
                f"SELECT {', '.join(names)} FROM cti.counted_{grain.value} WHERE call_id = ANY($1)",  # noqa: S608 - ours
                ids,
            )
        }
        told: dict[tuple[str, int], tuple[object, ...]] = {
            (row.call_id, row.number): tuple(
                value
                for name, value in zip(columns(grain), record_of(row, call.person, how.zone), strict=True)
                if name in names
            )
            for call in counted
            for row in call.rows
            if row.grain is grain
        }
        for key in sorted(stored.keys() | told.keys()):
            if grain is Grain.CALLS and key in stored and key in told and stored[key][place] is None:
                # Made anonymous: that it was known who called is still counted.
                stored[key], told[key] = _without(stored[key], known), _without(told[key], known)
            if stored.get(key) != told.get(key):
                found.append(
                    Difference(
                        where=f"counted_{grain.value}",
                        key=f"{key[0]} {key[1]}",
                        stored=str(stored.get(key)),
                        counted=str(told.get(key)),
                    )
                )
    return found


def _without(row: tuple[object, ...], places: set[int]) -> tuple[object, ...]:
    return tuple(value for place, value in enumerate(row) if place not in places)
