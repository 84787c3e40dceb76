"""A throwaway PostgreSQL for tests: one server a test process, one fresh database a test, the schema copied and not made anew.

    from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

`postgres_server` (session) is the server, `database` (function) the address of an empty database,
`migrated` (function) of one with the schema.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from cti.store.embedded import EmbeddedPostgres
from tests.support.clusters import place_cluster

_numbers = itertools.count(1)


class ThrowawayPostgres:
    """An embedded server in a temporary folder; `make_database` gives addresses of empty databases."""

    def __init__(self) -> None:
        # Not below pytest's own folder: that one is closed to other users, and for root the server runs as another.
        self.folder = Path(tempfile.mkdtemp(prefix="cti-test-pg-"))
        place_cluster(self.folder / "postgres")
        self.server = EmbeddedPostgres(self.folder / "postgres")
        self.server.start()

    async def make_database(self, *, migrated: bool = False) -> str:
        name = f"t{os.getpid()}_{next(_numbers)}"
        # Nobody may be connected to the database that is copied.
        connection = await asyncpg.connect(self.server.dsn.replace("@/cti?", "@/postgres?"))
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {"cti" if migrated else "template1"}')
        finally:
            await connection.close()
        return self.server.dsn.replace("@/cti?", f"@/{name}?")

    def close(self) -> None:
        self.server.stop()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[ThrowawayPostgres]:
    server = ThrowawayPostgres()
    yield server
    server.close()


@pytest.fixture
async def database(postgres_server: ThrowawayPostgres) -> str:
    return await postgres_server.make_database()


@pytest.fixture
async def migrated(postgres_server: ThrowawayPostgres) -> str:
    return await postgres_server.make_database(migrated=True)
