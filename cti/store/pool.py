"""Connections to Postgres, with errors a person can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg

from cti.errors import RemoteError

UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a command met a connection the server was just ending
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What asyncpg raises when the server is away, going, or coming."""

_NAME = {"application_name": "cti"}
WORK_MEM = "32MB"
"""What a question may hold in memory before it sorts on the disk: a month by queue and half-hour needs more than the usual
4 MB."""


@contextlib.contextmanager
def naming(what: str, *, remedy: str = "") -> Iterator[None]:
    """Turn the driver's errors into `RemoteError`; `outcome_unknown` when the link broke in the middle."""
    try:
        yield
    except UNREACHABLE as error:
        raise RemoteError(
            f"{what}: the database went away ({_text(error)})",
            outcome_unknown=True,
            remedy="see that PostgreSQL runs; it is tried again",
        ) from error
    except asyncpg.PostgresError as error:
        raise RemoteError(
            f"{what}: {_text(error)}", remedy=remedy or "see PostgreSQL's log", sqlstate=error.sqlstate
        ) from error


async def connect(dsn: str, *, timeout: float = 10.0, command_timeout: float | None = 60.0) -> asyncpg.Connection:
    """One connection. `timeout` in seconds. Raises `RemoteError`."""
    try:
        return await asyncpg.connect(
            dsn, timeout=timeout, command_timeout=command_timeout, server_settings=_NAME
        )  # fmt: skip
    except (*UNREACHABLE, asyncpg.PostgresError, ValueError) as error:
        raise RemoteError(
            f"the database cannot be reached: {_text(error)}",
            remedy="check database.url, and that PostgreSQL runs there and lets this user in",
        ) from error


async def open_pool(dsn: str, *, size: int = 8, command_timeout: float = 10.0) -> asyncpg.Pool:
    """A pool that opens its connections when they are first needed: it may be made while Postgres is away."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=5.0,
        command_timeout=command_timeout,
        max_inactive_connection_lifetime=300.0,
        server_settings=_NAME | {"work_mem": WORK_MEM},
    )


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
