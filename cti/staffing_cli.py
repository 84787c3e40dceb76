"""`cti staffing`: agents needed, from figures given or out of the calls of past weeks."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cti.errors import CtiError
from cti.settings import Settings, load_settings
from cti.staffing.demand import SLOT_SECONDS
from cti.staffing.need import Need, Target, needed

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def staffing_command(
    day: Annotated[
        str, typer.Argument(help="A weekday, as in monday; without one, --calls and --handling are needed.")
    ] = "",
    queue: Annotated[str, typer.Option("--queue", help="Of this queue; default: all together.")] = "",
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=52, help="Weeks of history.")] = 8,
    calls: Annotated[float, typer.Option("--calls", min=0, help="Calls in one half hour, instead of history.")] = -1,
    handling: Annotated[
        float, typer.Option("--handling", min=1, help="Seconds of talk, hold and wrap-up a call.")
    ] = 180,
    level: Annotated[float, typer.Option("--level", min=0.01, max=0.99, help="Share to be answered in time.")] = 0.8,
    within: Annotated[float, typer.Option("--within", min=0, help="Seconds that count as in time.")] = 20,
    occupancy: Annotated[float, typer.Option("--occupancy", min=0.1, max=1, help="Highest occupancy.")] = 0.85,
    shrinkage: Annotated[float, typer.Option("--shrinkage", min=0, max=0.9, help="Paid time not at the phone.")] = 0.3,
    patience: Annotated[
        float,
        typer.Option("--patience", min=0, help="Seconds after which callers give up; 0: out of history, or never."),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="Data folder (default .data): one centre each.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="CTI_CONFIG", help="Settings file (TOML); docs/settings.md lists the keys."),
    ] = None,
) -> None:
    """Agents needed for a service level: for one half hour (--calls), or for each of a weekday out of history."""
    try:
        target = Target(
            service_level=level, within=within, max_occupancy=occupancy, shrinkage=shrinkage, patience=patience or None
        )
        if calls >= 0:
            need = needed(calls * handling / SLOT_SECONDS, handling, target)
            typer.echo(json.dumps(_told(need), indent=2) if as_json else _line(need))
            return
        if day.lower() not in DAYS:
            raise CtiError("no weekday is named", remedy="name one, as in: cti staffing monday; or give --calls")
        settings = load_settings(config, overrides={"data": str(data)} if data is not None else None)
        plan = asyncio.run(_planned(settings, DAYS.index(day.lower()) + 1, queue, weeks, target, learn=not patience))
    except (CtiError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    _show(plan, as_json=as_json)


async def _planned(settings: Settings, weekday: int, queue: str, weeks: int, target: Target, *, learn: bool) -> Any:
    import structlog

    from cti.centre_file import load_centre
    from cti.clock import SystemClock
    from cti.places import Places
    from cti.report_office.planning import staffing
    from cti.services.report_desk import StaffingQuestion
    from cti.store.embedded import EmbeddedPostgres
    from cti.store.pool import open_pool
    from cti.store.reports import StoredReports

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what we print is for scripts
    centre = load_centre(Places(settings).centre)
    if queue and queue not in centre.queues:
        raise CtiError(f"there is no queue {queue}", remedy=f"one of: {', '.join(centre.queues)}")
    server = None
    if not settings.database.url:
        server = EmbeddedPostgres(settings.folder("postgres"))
        await asyncio.to_thread(server.start)  # uses the one that runs, if one does
    pool = await open_pool(settings.database.url or (server.dsn if server else ""), command_timeout=120.0)
    try:
        question = StaffingQuestion(
            queue=queue, weekday=weekday, weeks=weeks, growth=1.0, target=target, learn_patience=learn
        )
        return await staffing(StoredReports(pool, lambda: centre), question, centre, SystemClock().now())
    finally:
        await pool.close()
        if server is not None:
            await asyncio.to_thread(server.stop)  # leaves it running where somebody else started it


def _show(found: Any, *, as_json: bool) -> None:
    plan = found.plan
    slots = [
        {
            "half_hour": f"{one.expected.slot // 2:02}:{one.expected.slot % 2 * 30:02}",
            "calls": round(one.expected.calls, 1),
            "handling": round(one.expected.handling, 1),
            **_told(one.need),
            "low": one.low,
            "high": one.high,
            "present": round(present, 1),
        }
        for one, present in zip(plan.slots, found.present, strict=True)
        if one.expected.calls > 0 or present > 0
    ]
    if as_json:
        days = [day.isoformat() for day in plan.forecast.days]
        typer.echo(json.dumps({"zone": found.zone, "days": days, "patience": found.patience, "slots": slots}, indent=2))
        return
    typer.echo(f"learnt from {len(plan.forecast.days)} days; {found.zone}")
    for slot in slots:
        typer.echo(
            f"{slot['half_hour']}  {slot['calls']:7} calls  {slot['agents']:4} agents ({slot['low']}-{slot['high']})"
            f"  roster {slot['rostered']:4}  present {slot['present']:5}"
        )


def _told(need: Need) -> dict[str, float]:
    out = need.outlook
    return {
        "agents": need.agents,
        "rostered": need.rostered,
        "service_level": round(out.service_level, 4),
        "mean_wait": round(out.mean_wait, 1),
        "abandoned": round(out.abandoned, 4),
        "occupancy": round(out.occupancy, 4),
    }


def _line(need: Need) -> str:
    out = need.outlook
    return (
        f"{need.agents} agents at the phone, {need.rostered} on the roster: {out.service_level:.1%} in time,"
        f" mean wait {out.mean_wait:.0f} s, {out.abandoned:.1%} give up, occupancy {out.occupancy:.0%}"
    )
