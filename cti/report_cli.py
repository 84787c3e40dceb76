"""`cti report`: figures of the past by command, their check against facts, and their making anew."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from cti.errors import CtiError
from cti.settings import Settings, load_settings

report_app = typer.Typer(no_args_is_help=True, help="Figures of the past: ask, check, count anew.")

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default .data): one centre each.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="CTI_CONFIG", help="Settings file (TOML); docs/settings.md lists the keys."),
]
Metrics = Annotated[str, typer.Argument(help="Names of figures, divided by commas; docs/reports.md lists them.")]
Since = Annotated[str, typer.Option("--from", help="From this day or time on (the centre's clock); default: today.")]
Until = Annotated[str, typer.Option("--to", help="To this day or time, not included; default: a day after --from.")]
By = Annotated[str, typer.Option("--by", help="Divide by: one or two of queue, agent, tier, day, half_hour, ...")]

Result = TypeVar("Result")


class _Room:
    """The database, and the centre as its file has it."""

    def __init__(self, pool: Any, centre: Any) -> None:
        self.pool, self.centre = pool, centre


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Room]:
    from cti.centre_file import load_centre
    from cti.places import Places
    from cti.store.embedded import EmbeddedPostgres
    from cti.store.migrate import migrate
    from cti.store.pool import open_pool

    url, server = settings.database.url, None
    if not url:
        server = EmbeddedPostgres(settings.folder("postgres"))
        await asyncio.to_thread(server.start)  # uses the one that runs, if one does
        url = server.dsn
    try:
        await migrate(url)
        pool = await open_pool(url, command_timeout=3600.0)
        try:
            yield _Room(pool, load_centre(Places(settings).centre))
        finally:
            await pool.close()
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)  # leaves it running where somebody else started it


def _do(data: Path | None, config: Path | None, work: Callable[[_Room], Awaitable[Result]]) -> Result:
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what we print is for scripts
    settings = load_settings(config, overrides={"data": str(data)} if data is not None else None)

    async def run() -> Result:
        async with _opened(settings) as room:
            return await work(room)

    return asyncio.run(run())


def _moment(text: str, zone: Any) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CtiError(f"{text} is no day or time", remedy="write 2026-11-22 or 2026-11-22T09:30") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


async def _asked(room: _Room, metrics: str, since: str, until: str, by: str) -> Any:
    from zoneinfo import ZoneInfo

    from cti.reports.metric import Dimension
    from cti.reports.metrics import METRICS
    from cti.services.reporting import ReportQuery
    from cti.store.reports import StoredReports

    names = tuple(name.strip() for name in metrics.split(",") if name.strip())
    for name in names:
        if name not in METRICS:
            raise CtiError(f"there is no figure {name}", remedy=f"one of: {', '.join(METRICS)}")
    try:
        dimensions = tuple(Dimension(name.strip()) for name in by.split(",") if name.strip())
    except ValueError:
        raise CtiError(
            f"nothing is divided by {by}", remedy=f"one or two of: {', '.join(d.value for d in Dimension)}"
        ) from None
    zone = ZoneInfo(room.centre.time_zone)
    today = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    first = _moment(since, zone) if since else today.replace(tzinfo=zone)
    last = _moment(until, zone) if until else (first.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    if not first < last or len(dimensions) > 2:
        raise CtiError("--from must be before --to, and --by has two names at most", remedy="see cti report --help")
    reports = StoredReports(room.pool, lambda: room.centre)
    return await reports.query(ReportQuery(metrics=names, since=first, until=last, by=dimensions))


def _refused(error: CtiError) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(1)


@report_app.command("query")
def query_command(
    metrics: Metrics = "offered,answered,abandoned,service_level,asa",
    since: Since = "",
    until: Until = "",
    by: By = "queue",
    data: Data = None,
    config: Config = None,
) -> None:
    """Figures of some time, as JSON."""

    async def work(room: _Room) -> None:
        found = await _asked(room, metrics, since, until, by)
        rows = [
            {**row.keys, **{name: figure.value for name, figure in row.figures.items()}, "n": _counts(row.figures)}
            for row in found.rows
        ]
        totals = {**{name: figure.value for name, figure in found.totals.items()}, "n": _counts(found.totals)}
        typer.echo(
            json.dumps(
                {
                    "from": found.since.isoformat(),
                    "to": found.until.isoformat(),
                    "zone": found.zone,
                    "definition_version": found.definition_version,
                    "unfinished": found.unfinished,
                    "rows": rows,
                    "totals": totals,
                },
                ensure_ascii=False,
                indent=2,
            )
        )

    try:
        _do(data, config, work)
    except CtiError as error:
        raise _refused(error) from None


def _counts(figures: Any) -> dict[str, int]:
    return {name: figure.n for name, figure in figures.items()}


@report_app.command("export")
def export_command(
    metrics: Metrics = "offered,answered,abandoned,service_level,asa",
    since: Since = "",
    until: Until = "",
    by: By = "queue,half_hour",
    to: Annotated[Path | None, typer.Option("--out", help="The file; default: standard output.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Figures of some time, as CSV (UTF-8): keys, figures, and of how many each is."""

    async def work(room: _Room) -> None:
        found = await _asked(room, metrics, since, until, by)
        names = list(found.totals)
        keys = list(found.rows[0].keys) if found.rows else [name for name in by.split(",") if name]
        file = to.open("w", newline="", encoding="utf-8") if to is not None else sys.stdout
        try:
            lines = csv.writer(file)
            lines.writerow([*keys, *names, *(f"{name} of" for name in names)])
            for row in found.rows:
                figures = [row.figures[name] for name in names]
                lines.writerow([*row.keys.values(), *(one.value for one in figures), *(one.n for one in figures)])
        finally:
            if to is not None:
                file.close()

    try:
        _do(data, config, work)
    except CtiError as error:
        raise _refused(error) from None


@report_app.command("check")
def check_command(
    every: Annotated[int, typer.Option("--every", min=1, help="Count only each so-manieth call from its facts.")] = 1,
    data: Data = None,
    config: Config = None,
) -> None:
    """Whether sums agree with the rows they are sums of, and these with the facts; 1: something does not."""
    from cti.store.figure_check import check

    async def work(room: _Room) -> Any:
        async with room.pool.acquire() as connection:
            return await check(connection, every=every)

    try:
        found = _do(data, config, work)
    except CtiError as error:
        raise _refused(error) from None
    for one in found.differences:
        typer.echo(f"{one.where} {one.key}: stored {one.stored}, counted {one.counted}")
    typer.echo(
        f"{found.calls} calls counted from facts, {found.half_hours} sums, {found.agents} agents:"
        f" {len(found.differences) or 'no'} differences"
    )
    if found.differences:
        raise typer.Exit(1)


@report_app.command("rebuild")
def rebuild_command(
    todays: Annotated[
        bool, typer.Option("--by-todays-rules", help="Judge the past by the queues' limits as they are now.")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Count everything again from the facts; calls go on meanwhile."""
    from cti.reports.rules import rules_of
    from cti.store.figure_check import rebuild

    async def work(room: _Room) -> int:
        async with room.pool.acquire() as connection:
            centre = room.centre
            return await rebuild(
                connection, rules_of(centre), centre.time_zone, allowed=centre.not_ready_allowed, by_todays_rules=todays
            )

    try:
        count = _do(data, config, work)
    except CtiError as error:
        raise _refused(error) from None
    typer.echo(f"{count} calls counted anew")
