"""A customer file on a throwaway PostgreSQL.

from tests.support.customers import customer_work  # noqa: F401 - a fixture
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from cti.customer_rooms import CustomerWork
from cti.settings import Retention
from cti.store.pool import open_pool


class Customers(CustomerWork):
    """The customer file, its pool, and the numbers it said had changed."""

    pool: asyncpg.Pool
    told: list[str]


class Listening:
    """Stands where the directory stands."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def forget(self, number: str | None = None) -> None:
        self.told.append(number or "")


@pytest.fixture
async def customer_work(migrated: str, tmp_path: Path) -> AsyncIterator[Customers]:
    pool = await open_pool(migrated)
    listening = Listening()
    work = Customers(
        pool,
        region=lambda: "US",
        retention=Retention(),
        recordings=tmp_path / "recordings",
        directory=listening,  # type: ignore[arg-type]
    )
    work.pool, work.told = pool, listening.told
    yield work
    await pool.close()
