"""How long reports take over many calls: python -m benchmarks.report_queries [--calls N] [--rounds N] [--folder DIR]

Invents N calls over a year (ten queues, two hundred agents, a working day's profile), day after day as they would have come,
as the rows that the drain stores of them (`cti.counted_*`), and sums these by half hour as the drain does. Then asks
`cti.store.reports.StoredReports` for a month by half hour and for other reports of a month, a different month each time;
beside each the same figures out of the rows themselves, in the same run and compared to the last digit (--raw N: for so many
of the rounds). Times are from the call to its answer.

An embedded PostgreSQL is started in a folder that is removed at the end (10,000,000 calls need about 9 GB). With --folder it
is kept, and the next run with that folder asks at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from benchmarks.processor import server_seconds
from cti.model.centre import Centre
from cti.reports.counted import AMOUNTS
from cti.reports.metric import Dimension, Grain
from cti.services.reporting import Report, ReportQuery
from cti.store.embedded import EmbeddedPostgres
from cti.store.figures import SUMMED
from cti.store.migrate import migrate
from cti.store.pool import open_pool
from cti.store.reports import StoredReports

CENTRE = Centre(name="Benchmark", time_zone="UTC", queues={}, agents={}, tiers={}, numbers={})
REPORTS: tuple[tuple[str, tuple[str, ...], tuple[Dimension, ...], Grain], ...] = (
    ("queues by half hour", ("offered", "answered", "abandoned", "service_level", "asa"), (Dimension.HALF_HOUR,), Grain.VISITS),
    (
        "by queue and half hour",
        ("offered", "answered", "abandoned", "service_level", "asa"),
        (Dimension.QUEUE, Dimension.HALF_HOUR),
        Grain.VISITS,
    ),
    ("by queue and day", ("offered", "service_level", "abandonment_rate"), (Dimension.QUEUE, Dimension.DAY), Grain.VISITS),
    ("calls by half hour", ("calls", "effective_answer_rate", "self_service_share"), (Dimension.HALF_HOUR,), Grain.CALLS),
    ("first contact by day", ("first_contact_resolution", "repeat_rate"), (Dimension.DAY,), Grain.CALLS),
    ("by agent", ("handled", "aht", "talk", "hold", "wrap_up"), (Dimension.AGENT,), Grain.TALKS),
    ("by agent and day", ("handled", "aht"), (Dimension.AGENT, Dimension.DAY), Grain.TALKS),
    ("heat map", ("offered", "service_level"), (Dimension.WEEKDAY_HOUR,), Grain.VISITS),
)  # fmt: skip
_CALLS = """
CREATE UNLOGGED TABLE invented AS
SELECT 'b1-' || i AS call_id, d.at, date_bin('30 minutes', d.at, '2025-01-01Z') AS slot, 'q' || (i * 7 % 10) AS queue,
       'a' || lpad((i * 13 % 200)::text, 3, '0') AS agent, (ARRAY['vip', 'gold', 'silver', NULL])[1 + i % 4] AS tier,
       '50' || i % 3 AS did, (i * 31 % 100) AS kind, (i * 17 % 40000) AS wait, 30000 + (i * 101 % 400000) AS talk,
       (i * 7919) % 3000000 AS person
  FROM (SELECT i::bigint, '2025-01-01Z'::timestamptz
               + make_interval(days => (i * 365 / $3)::integer, secs => 7 * 3600 + ((i * 48271) % 46800)::double precision) AS at
          FROM generate_series($1::bigint, $2::bigint) AS i) AS d"""
_VISITS = """
INSERT INTO cti.counted_visits (call_id, number, at, slot, until, queue, agent, tier, did, direction, outcome, offered,
       answered, abandoned, short_abandoned, sent_elsewhere, in_time, level_base, decided, answer_wait_ms, abandon_wait_ms)
SELECT call_id, 0, at, slot, at + make_interval(secs => wait / 1000.0), queue, CASE WHEN kind < 85 THEN agent END, tier, did,
       'inbound', CASE WHEN kind < 85 THEN 'answered' WHEN kind < 92 THEN 'abandoned' WHEN kind < 96 THEN 'short_abandon'
       ELSE 'voicemail' END, 1, (kind < 85)::integer, (kind BETWEEN 85 AND 91)::integer, (kind BETWEEN 92 AND 95)::integer,
       (kind > 95)::integer, (kind < 85 AND wait <= 20000)::integer, (kind < 92)::integer, (kind < 92)::integer,
       CASE WHEN kind < 85 THEN wait ELSE 0 END, CASE WHEN kind BETWEEN 85 AND 91 THEN wait ELSE 0 END FROM invented"""
_ROWS = """
INSERT INTO cti.counted_calls (call_id, number, at, slot, until, queue, agent, tier, did, direction, outcome, calls, inbound,
       answered_calls, wanted, reached, resolvable, resolved, repeatable, repeats)
SELECT call_id, 0, at, slot, at + interval '5 minutes', queue, CASE WHEN kind < 85 THEN agent END, tier, did, 'inbound',
       CASE WHEN kind < 85 THEN 'answered' WHEN kind < 92 THEN 'abandoned' WHEN kind < 96 THEN 'short_abandon'
       ELSE 'voicemail' END, 1, 1, (kind < 85)::integer, 1, (kind < 85)::integer, (kind < 85)::integer,
       (kind < 70)::integer, 1, (kind > 80)::integer FROM invented"""
_TALKS = """
INSERT INTO cti.counted_talks (call_id, number, at, slot, until, queue, agent, tier, did, direction, outcome, handled, talk_ms,
       hold_ms, wrap_ms, handle_ms)
SELECT call_id, 0, at, slot, at + make_interval(secs => talk / 1000.0), queue, agent, tier, did, 'inbound', 'answered', 1,
       talk, talk / 10, 15000, talk + talk / 10 + 15000 FROM invented WHERE kind < 85"""
CHUNK = 1_000_000


async def invent(connection: asyncpg.Connection, calls: int) -> None:
    """Make the calls, and sum them."""
    tables = [f"counted_{grain.value}" for grain in SUMMED]
    indexes = await connection.fetch(
        "SELECT indexdef, indexname FROM pg_indexes WHERE schemaname = 'cti' AND tablename = ANY($1)"
        " AND indexname NOT LIKE '%_pkey'",
        tables,
    )
    for index in indexes:
        await connection.execute(f"DROP INDEX cti.{index['indexname']}")
    for table in tables:
        await connection.execute(f"ALTER TABLE cti.{table} DROP CONSTRAINT {table}_pkey")
    for setting in ("synchronous_commit = off", "maintenance_work_mem = '512MB'", "work_mem = '512MB'"):
        await connection.execute(f"SET {setting}")
    for first in range(0, calls, CHUNK):
        await connection.execute("DROP TABLE IF EXISTS invented")
        chunk = {"$1": first, "$2": min(first + CHUNK, calls) - 1, "$3": calls}
        statement = _CALLS
        for name, value in chunk.items():
            statement = statement.replace(name, str(value))
        await connection.execute(statement, timeout=3600)
        for statement in (_VISITS, _ROWS, _TALKS):
            await connection.execute(statement, timeout=3600)
        print(f"  {chunk['$2'] + 1:,} calls", flush=True)
    await connection.execute("DROP TABLE invented")
    for table in tables:
        await connection.execute(f"ALTER TABLE cti.{table} ADD PRIMARY KEY (call_id, number)", timeout=3600)
    for index in indexes:
        await connection.execute(index["indexdef"], timeout=3600)
    print("  indexes", flush=True)
    await sum_up(connection)


async def sum_up(connection: asyncpg.Connection) -> None:
    """Sum the rows as the drain does, in the order of time, as sums come to be."""
    for grain, names in SUMMED.items():
        amounts = AMOUNTS[grain]
        await connection.execute(f"TRUNCATE cti.half_hour_{grain.value}")
        await connection.execute(
            f"INSERT INTO cti.half_hour_{grain.value} (slot, {', '.join((*names, *amounts))})"
            f" SELECT slot, {', '.join(f'coalesce({name}, {chr(39) * 2})' for name in names)},"
            f" {', '.join(f'sum({amount})' for amount in amounts)}"
            f" FROM cti.counted_{grain.value} GROUP BY slot, {', '.join(names)} ORDER BY slot",
            timeout=3600,
        )
    await connection.execute("VACUUM ANALYZE", timeout=3600)


def month(number: int) -> tuple[datetime, datetime]:
    """A month of the year."""
    first = number % 11 + 1
    return datetime(2025, first, 1, tzinfo=UTC), datetime(2025, first + 1, 1, tzinfo=UTC)


def plain(report: Report) -> list[object]:
    """What a report says, to be compared."""
    return [
        (tuple(row.keys.values()), {name: (one.value, one.n) for name, one in row.figures.items()})
        for row in report.rows
        if any(one.n for one in row.figures.values())
    ]


async def measure(pool: asyncpg.Pool, server: int, rounds: int, raws: int) -> None:
    """Ask, print."""
    reports = StoredReports(pool, lambda: CENTRE)
    print(
        f"{'report of a month':24} {'median':>8} {'p95':>8} {'most':>8} {'processor: ours + database':>28} {'raw':>8}  rows"
    )
    for name, metrics, by, grain in REPORTS:

        async def ask(number: int, metrics: Sequence[str] = metrics, by: Sequence[Dimension] = by) -> Report:
            since, until = month(number)
            return await reports.query(ReportQuery(metrics=tuple(metrics), since=since, until=until, by=tuple(by)))

        await ask(rounds)  # once unmeasured: the statement is prepared
        times: list[float] = []
        ours, theirs = time.process_time(), server_seconds(server)
        for number in range(rounds):
            began = time.perf_counter()
            found = await ask(number)
            times.append(time.perf_counter() - began)
        ours, theirs = (time.process_time() - ours) / rounds, (server_seconds(server) - theirs) / rounds
        rows = len(found.rows)
        raw: list[float] = []
        kept = SUMMED[grain]
        for number in range(raws):
            summed = await ask(number)
            SUMMED.pop(grain)  # then the rows themselves are read
            try:
                began = time.perf_counter()
                slow = await ask(number)
                raw.append(time.perf_counter() - began)
            finally:
                SUMMED[grain] = kept
            assert plain(slow) == plain(summed), f"{name}: sums and rows differ"
        p95 = statistics.quantiles(times, n=20)[-1]
        print(
            f"{name:24} {statistics.median(times) * 1000:6.0f}ms {p95 * 1000:6.0f}ms {max(times) * 1000:6.0f}ms"
            f" {ours * 1000:15.0f} + {theirs * 1000:3.0f} ms     {max(raw, default=0.0) * 1000:6.0f}ms  {rows}",
            flush=True,
        )


async def run(url: str, server: int, given: argparse.Namespace) -> None:
    """All of it."""
    await migrate(url)
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    there = await connection.fetchval("SELECT count(*) FROM cti.counted_calls", timeout=3600)
    if there not in (0, given.calls):
        raise SystemExit(f"the database holds {there:,} calls; remove the folder, or say --calls {there}")
    if not there:
        await invent(connection, given.calls)
        print(f"invented and summed in {time.perf_counter() - began:.0f} s")
    size = await connection.fetchval("SELECT pg_size_pretty(pg_database_size(current_database()))")
    sums = [await connection.fetchval(f"SELECT count(*) FROM cti.half_hour_{grain.value}") for grain in SUMMED]
    print(f"{given.calls:,} calls; {size}; rows of sums: {sums}; load {os.getloadavg()[0]:.1f}", flush=True)
    await connection.close()
    pool = await open_pool(url, command_timeout=600)
    try:
        await measure(pool, server, given.rounds, given.raw)
    finally:
        await pool.close()
    print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--raw", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="cti-bench-pg-"))
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        asyncio.run(run(server.dsn, server.pid, given))
    finally:
        server.stop()
        if given.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
