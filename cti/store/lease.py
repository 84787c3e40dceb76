"""The lease on a node's floor, in Postgres. Every question is one statement: Postgres's row lock makes it atomic.

Times are the database's own, so the clocks of the machines do not matter; `hold` is a length of time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from cti.store.pool import connect, naming

ANSWER_WITHIN = 1.0
"""Seconds a question may take, with the time between two less than the shortest lease. A frozen database is one that does not answer."""

_T = TypeVar("_T")

_TAKE = """
INSERT INTO cti.bridge_lease AS held (node, token, holder, host, pid, taken_at, held_until)
VALUES ($1, $6 + 1, $2, $3, $4, clock_timestamp(), clock_timestamp() + make_interval(secs => $5))
ON CONFLICT (node) DO UPDATE
SET token = greatest(held.token, $6) + 1, holder = $2, host = $3, pid = $4,
    taken_at = clock_timestamp(), held_until = clock_timestamp() + make_interval(secs => $5)
WHERE held.held_until < clock_timestamp() OR held.holder = $7
RETURNING token
"""
_RENEW = """
UPDATE cti.bridge_lease SET held_until = clock_timestamp() + make_interval(secs => $4)
WHERE node = $1 AND holder = $2 AND token = $3 RETURNING token
"""
_RELEASE = "UPDATE cti.bridge_lease SET held_until = clock_timestamp() WHERE node = $1 AND holder = $2 AND token = $3"
_LOOK = """
SELECT token, holder, host, pid, extract(epoch FROM held_until - clock_timestamp())::float8 AS remaining
FROM cti.bridge_lease WHERE node = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has the lease. `remaining` in seconds; negative: so long ago it ended."""

    token: int
    holder: str
    host: str
    pid: int
    remaining: float


class LeaseTable:
    """The lease of one node, asked by one process over one connection of its own.

    All questions raise `RemoteError` when the database is away or does not answer within `ANSWER_WITHIN` seconds.
    """

    def __init__(self, dsn: str, *, node: str, holder: str, host: str, pid: int) -> None:
        self._dsn = dsn
        self._node, self._holder, self._host, self._pid = node, holder, host, pid
        self._connection: asyncpg.Connection | None = None

    async def take(self, *, hold: float, known: int = 0, instead_of: str = "") -> int | None:
        """Take the lease for `hold` seconds if it is free, or held by `instead_of` (a process known to be gone).

        Gives the new token, higher than `known` and every one before; None: somebody holds it.
        """
        return await self._ask(_TAKE, self._node, self._holder, self._host, self._pid, hold, known, instead_of)

    async def renew(self, token: int, *, hold: float) -> bool:
        """Hold it for `hold` more seconds. False: it is not ours any more."""
        return await self._ask(_RENEW, self._node, self._holder, token, hold) is not None

    async def release(self, token: int) -> None:
        """Give it back at once."""
        await self._ask(_RELEASE, self._node, self._holder, token)

    async def look(self) -> Holder | None:
        """Who has or had it; None: nobody ever."""
        with naming("the lease on the floor cannot be read"):
            row = await self._within(lambda connection: connection.fetchrow(_LOOK, self._node))
        return Holder(**dict(row)) if row is not None else None

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
            await asyncio.sleep(0)  # its socket is closed by the loop's next turn

    async def _ask(self, statement: str, *values: object) -> int | None:
        with naming("the lease on the floor cannot be asked for"):
            token: int | None = await self._within(lambda connection: connection.fetchval(statement, *values))
        return token

    async def _open(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, timeout=ANSWER_WITHIN, command_timeout=ANSWER_WITHIN)
        return self._connection

    async def _within(self, question: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        """The answer, a connection made for it included. One that did not answer once is not asked again."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await question(await self._open())
        except BaseException:
            await self.close()
            raise
