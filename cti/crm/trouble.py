"""What the database says when it cannot: in words of the customer file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg
import structlog

from cti.errors import RemoteError

_log = structlog.get_logger(__name__)

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a command met a connection the server was just ending
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.UndefinedTableError,  # the schema is not there yet
)


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Turn the driver's errors into `RemoteError`.

    An edit may be sent again after one of these: it names the version it was made from, so that it is done once at most.
    """
    try:
        yield
    except AWAY as error:
        _log.warning("customer_file_unavailable", error=type(error).__name__)
        raise RemoteError(
            f"{what}: the database is away",
            remedy="nothing is lost: keep what you wrote and try again in a moment; see that PostgreSQL runs",
        ) from error
    except asyncpg.PostgresError as error:
        _log.error("customer_file_failed", sqlstate=error.sqlstate, error=str(error))
        raise RemoteError(
            f"{what}: the database refuses", remedy="see PostgreSQL's log", sqlstate=error.sqlstate
        ) from error
