"""The pages of reports over invented figures and a real database for what is kept: for browser tests and pictures.

`python -m tests.support.report_house --port 8097 --static cti/web/static` serves it; log in as supervisor / demo.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cti
from cti.ids import QueueName
from cti.model.centre import Agent, Centre
from cti.report_office.office import ReportOffice
from cti.services.report_desk import ActionState, ActionWish, FileFormat, Rhythm, ScheduleWish
from cti.settings import Mail
from cti.store.pool import open_pool
from cti.store.report_shelf import ReportShelf
from cti.web.app import build_app, serving
from tests.support.fake_floor import FakeFloor, StandingClock, demo_centre, make_deps
from tests.support.fake_reports import FakeReports

BUILT = Path(os.environ.get("CTI_TEST_PAGES") or Path(cti.__file__).parent / "web" / "static")
NOW = datetime(2026, 3, 4, 20, 10, tzinfo=UTC)
"""A Wednesday, ten past three in the afternoon in New York."""
MORE = ("Hana Sato", "Ivan Petrov", "周敏", "Jonas Weber")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHouse:
    """What is served."""

    port: int
    reports: FakeReports
    office: ReportOffice
    floor: FakeFloor
    acts: ListedActs

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class ListedActs:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    async def acted(self, **line: Any) -> None:
        self.lines.append(line)


def report_centre() -> Centre:
    """Harbour Services in New York, with a few more agents."""
    centre = demo_centre()
    more = {
        str(1009 + n): Agent(agent_id=str(1009 + n), name=name, queues=(QueueName(("support", "sales")[n % 2]),))  # type: ignore[arg-type]
        for n, name in enumerate(MORE)
    }
    return dataclasses.replace(centre, time_zone="America/New_York", agents={**centre.agents, **more})  # type: ignore[dict-item]


@contextlib.asynccontextmanager
async def report_house(
    folder: Path,
    dsn: str,
    *,
    port: int = 0,
    static: Path = BUILT,
    mail: Mail | None = None,
    days: int = 60,
    busy: float = 22.0,
    full: bool = True,
) -> AsyncIterator[ReportHouse]:
    """Serve the pages; `full`: with targets, actions, kept reports and a schedule."""
    centre = report_centre()
    floor = FakeFloor(centre, clock=StandingClock(NOW))
    reports = FakeReports(centre, NOW, days=days, busy=busy)
    pool = await open_pool(dsn)
    office = ReportOffice(reports, ReportShelf(pool), centre=lambda: centre, mail=mail or Mail(), clock=floor.clock)
    acts = ListedActs()
    try:
        if full:
            await furnish(office)
        port = port or free_port()
        deps = make_deps(floor, folder, port=port, static=static, reports=reports, report_desk=office, acts=acts)
        async with serving(build_app(deps), "127.0.0.1", port) as given:
            yield ReportHouse(port=given, reports=reports, office=office, floor=floor, acts=acts)
    finally:
        await pool.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def furnish(office: ReportOffice) -> None:
    """What a supervisor of some months has set up."""
    for metric, queue, target, tolerance in (
        ("service_level", "", 0.8, 0.05), ("service_level", "vip", 0.9, 0.05), ("abandonment_rate", "", 0.05, 0.02), ("asa", "", 20, 5),
        ("effective_answer_rate", "", 0.93, 0.02), ("satisfaction_rate", "", 0.85, 0.05), ("complaint_rate", "", 0.01, 0.005),
        ("first_contact_resolution", "", 0.75, 0.05), ("aht", "", 240, 20), ("occupancy", "", 0.7, 0.08),
    ):  # fmt: skip
        await office.set_goal("supervisor", metric, queue, target, tolerance)
    due = NOW.date() + timedelta(days=9)
    await office.act("supervisor", ActionWish(metric="service_level", queue="", period="2026-W09", cause="Two agents were missing on Tuesday",
        what="An on-call list for the morning peak, with two names a day", owner="1003", due=due))  # fmt: skip
    late = await office.act("supervisor", ActionWish(metric="asa", queue="", period="2026-W08", cause="Lunch of everybody at noon",
        what="Lunch breaks in two halves", owner="1001", due=NOW.date() - timedelta(days=2)))  # fmt: skip
    done = await office.act("supervisor", ActionWish(metric="complaint_rate", queue="", period="2026-W07", cause="A price list that was out of date",
        what="The price list is checked every Monday", owner="supervisor", due=NOW.date()))  # fmt: skip
    await office.settle(
        done.action_id,
        state=ActionState.DONE,
        result="Checked twice; no complaint about prices since",
        owner="supervisor",
        due=done.wish.due,
    )
    assert late.overdue
    kept = await office.save(
        "supervisor",
        "Monday meeting",
        "view=queues&period=last_week&by=queue&metrics=offered,answered,abandonment_rate,service_level,asa&compare=week_before",
        shared=True,
    )
    await office.save(
        "supervisor",
        "VIP half hours",
        "view=half_hours&period=yesterday&by=half_hour&metrics=offered,service_level,asa&queue=vip",
        shared=False,
    )
    wish = ScheduleWish(
        report_id=kept.report_id, rhythm=Rhythm.WEEKLY, day=1, at="07:30", format=FileFormat.PDF, language="en",
        to=("operations@example.com", "lin@example.com"), active=True,
    )  # fmt: skip
    await office.schedule("supervisor", wish)


async def _main(port: int, static: Path) -> None:
    from cti.store.migrate import migrate
    from tests.support.postgres import ThrowawayPostgres

    server = await asyncio.to_thread(ThrowawayPostgres)
    try:
        dsn = await server.make_database()
        await migrate(dsn)
        with tempfile.TemporaryDirectory() as folder:
            async with report_house(Path(folder), dsn, port=port, static=static) as house:
                print(house.url, flush=True)
                await asyncio.Event().wait()
    finally:
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8097)
    parser.add_argument("--static", type=Path, default=BUILT)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(given.port, given.static))
