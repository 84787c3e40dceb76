"""Casework put together, and the clock that does what nobody asks for: intake, deadlines, lists, the night's computations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from cti.casework.rows import Escalation
from cti.casework.schedule import due_for
from cti.casework.tiers import TierRules, read_rules
from cti.clock import Clock
from cti.crm.case_base import CaseGround, StoredRules, dumps, rules_in_force
from cti.crm.case_intake import CaseIntake
from cti.crm.churn import StoredChurn
from cti.crm.complaints import StoredComplaints
from cti.crm.follow_ups import StoredFollowUps
from cti.crm.tasks import StoredTasks
from cti.crm.tiers import StoredTiers
from cti.crm.trouble import naming
from cti.crm.web_callbacks import StoredWebCallbacks
from cti.errors import CtiError
from cti.model.centre import Centre
from cti.services.casework import CallbackDesk, Casework

log = structlog.get_logger(__name__)

INTAKE_EVERY = 5.0
DEADLINES_EVERY = 30.0
LISTS_EVERY = 300.0
NIGHT_EVERY = 60.0
"""Seconds."""
_RETRY = 15.0


class CaseOffice:
    """All of casework over one pool. `run` is a task of the application's; it ends only when cancelled."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        clock: Clock,
        centre: Callable[[], Centre],
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.tell: Callable[[Escalation], None] = lambda _: None
        """Told of every complaint that is escalated, once it is."""
        self.ground = CaseGround(pool=pool, clock=clock, centre=centre, forget=forget, tell=self._tell)
        self.tiers = StoredTiers(self.ground)
        self.complaints = StoredComplaints(self.ground)
        self.follow_ups = StoredFollowUps(self.ground)
        self.churn = StoredChurn(self.ground)
        self.intake = CaseIntake(self.ground, self.complaints, self.follow_ups)

    def _tell(self, escalation: Escalation) -> None:
        self.tell(escalation)

    def casework(self, desk: CallbackDesk | None = None, sounds: Mapping[str, Path] | None = None) -> Casework:
        """What the web asks. `desk`: the floor that calls back whom the web page asks for."""
        return Casework(
            rules=StoredRules(self.ground),
            tiers=self.tiers,
            complaints=self.complaints,
            follow_ups=self.follow_ups,
            tasks=StoredTasks(self.ground),
            churn=self.churn,
            web=StoredWebCallbacks(self.ground),
            desk=desk,
            sounds=sounds or {},
        )

    async def run(self) -> None:
        """Do by the clock what has to be done."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(INTAKE_EVERY, "intake", self.intake.take_in))
            group.create_task(self._every(DEADLINES_EVERY, "deadlines", self.deadlines))
            group.create_task(self._every(LISTS_EVERY, "lists", self.follow_ups.generate))
            group.create_task(self._every(NIGHT_EVERY, "night", self.night))

    async def _every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        troubled = False
        while True:
            try:
                await work()
            except CtiError as error:
                if not troubled:
                    log.warning("casework_waits", work=name, error=error.message)
                troubled = True
                await asyncio.sleep(max(seconds, _RETRY))
                continue
            except Exception:  # a fault of ours must not end the rest
                log.exception("casework_failed", work=name)
                await asyncio.sleep(max(seconds, _RETRY))
                continue
            troubled = False
            await asyncio.sleep(seconds)

    async def deadlines(self) -> int:
        """Escalate what is due, and end overrides whose time is up."""
        return await self.complaints.escalate() + await self.tiers.end_expired()

    async def night(self) -> None:
        """The night's computations, once a day of the centre, by one bridge."""
        for job, work in (("night tiers", self._tiers), ("night churn", self.churn.compute)):
            if await self._claim(job):
                result = await work()
                await self._done(job, result)

    async def _tiers(self) -> int:
        _, body = await rules_in_force(self.ground.pool, "tiers")
        rules = read_rules(body, tuple(self.ground.centre().tiers)) if body is not None else TierRules()
        return (await self.tiers.compute(by="")).changed if rules.enabled else 0

    async def _claim(self, job: str) -> bool:
        """Whether the job is due and nobody else does it."""
        now = self.ground.now()
        zone = ZoneInfo(self.ground.centre().time_zone)
        with naming("the night's work cannot begin"):
            async with self.ground.pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"cti {job}")
                row = await connection.fetchrow("SELECT for_day, ran_at FROM crm.case_jobs WHERE job = $1", job)
                day = due_for(row["for_day"] if row is not None else None, now, zone)
                # One that was begun and never ended is begun again after a while.
                if day is None or (row is not None and now - row["ran_at"] < timedelta(minutes=10)):
                    return False
                await connection.execute(
                    "INSERT INTO crm.case_jobs (job, ran_at) VALUES ($1, $2)"
                    " ON CONFLICT (job) DO UPDATE SET ran_at = excluded.ran_at",
                    job, now,
                )  # fmt: skip
        return True

    async def _done(self, job: str, result: int) -> None:
        now = self.ground.now()
        day = due_for(None, now, ZoneInfo(self.ground.centre().time_zone))
        with naming("the night's work cannot be noted"):
            await self.ground.pool.execute(
                "UPDATE crm.case_jobs SET for_day = $2, result = $3 WHERE job = $1", job, day, dumps({"count": result})
            )
        log.info("casework_night_done", job=job, count=result)
