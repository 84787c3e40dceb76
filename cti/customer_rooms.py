"""The customer file put together: what the web is given of it, and what goes on in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cti.clock import Clock, SystemClock
from cti.crm.customer_store import CustomerStore, Office
from cti.crm.directory import CustomerDirectory
from cti.crm.exports import Exports
from cti.crm.imports import Imports
from cti.crm.merging import Merging
from cti.crm.outside_customers import OutsideCustomers
from cti.crm.privacy import Keep, Privacy
from cti.services.recordings import RecordingEraser
from cti.settings import Retention
from cti.web.customers.queries import CustomerRooms


def keep(retention: Retention) -> Keep:
    """How long data are kept, out of the settings (0 days: for ever)."""

    def days(count: int) -> timedelta | None:
        return timedelta(days=count) if count else None

    return Keep(
        customers=days(retention.customer_days),
        notes=days(retention.note_days),
        history=days(retention.history_days),
        imports=days(retention.import_days),
    )


class CustomerWork:
    """The customer file of a running bridge: `rooms` for the web, `run` in the background.

    Numbers of customers who change are forgotten by the `directory`, so that the next call sees the change.
    """

    def __init__(
        self,
        pool: Any,  # asyncpg's
        *,
        region: Callable[[], str],
        retention: Retention,
        recordings: Path | None = None,
        directory: CustomerDirectory | None = None,
        clock: Clock | None = None,
    ) -> None:
        def changed(numbers: Iterable[str]) -> None:
            if directory is not None:
                for number in numbers:
                    directory.forget(number)

        self.pool = pool
        office = Office(pool=pool, region=region, clock=clock or SystemClock(), changed=changed)
        self.outside = OutsideCustomers(office)
        self.imports = Imports(office)
        self.exports = Exports(office)
        self.eraser: RecordingEraser | None = None
        """Deletes recordings wherever they lie; set once there is one."""
        self.privacy = Privacy(office, recordings=recordings, eraser=lambda: self.eraser)
        self.rooms = CustomerRooms(
            file=CustomerStore(office),
            merging=Merging(office),
            imports=self.imports,
            exports=self.exports,
            privacy=self.privacy,
        )
        self._keep = keep(retention)

    async def run(self) -> None:
        """Take rows of imports, and delete what is old; for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.imports.work(), name="imports of customers")
            tasks.create_task(self.privacy.daily(lambda: self._keep), name="retention of customers")
