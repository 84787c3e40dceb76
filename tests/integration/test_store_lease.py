"""The lease on a real Postgres: taken once, ended by time, given back, never held by two."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from cti.errors import RemoteError
from cti.store.lease import LeaseTable
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]


def table(dsn: str, who: str, node: str = "a1") -> LeaseTable:
    return LeaseTable(dsn, node=node, holder=who, host="here", pid=1)


async def test_one_holds_it_until_it_is_given_back_or_not_renewed(migrated: str) -> None:
    ada, bo = table(migrated, "ada"), table(migrated, "bo")
    assert await bo.look() is None
    assert await ada.take(hold=30) == 1
    assert await bo.take(hold=30) is None
    assert not await bo.renew(1, hold=30)
    assert await ada.renew(1, hold=30)
    holder = await bo.look()
    assert holder is not None
    assert (holder.holder, holder.token, holder.host, holder.pid) == ("ada", 1, "here", 1)
    assert 20 < holder.remaining <= 30
    await ada.release(1)
    assert await bo.take(hold=30) == 2
    assert not await ada.renew(1, hold=30)
    await bo.renew(2, hold=-1)  # its time is over
    assert await ada.take(hold=30, known=40) == 41  # never below a token known elsewhere
    assert await bo.take(hold=30, instead_of="ada") == 42  # ada is known to be gone
    cleo = table(migrated, "cleo", node="b1")
    assert await cleo.take(hold=30) == 1  # another node's is another lease
    await cleo.close()
    await ada.close()
    await bo.close()


async def test_of_many_that_try_at_once_one_has_it(migrated: str) -> None:
    people = [table(migrated, f"p{number}") for number in range(6)]
    tokens: list[int] = []
    for _ in range(25):
        took = await asyncio.gather(*(person.take(hold=30) for person in people))
        (token,) = [one for one in took if one is not None]
        tokens.append(token)
        winner = next(person for person, one in zip(people, took, strict=True) if one is not None)
        kept = await asyncio.gather(*(person.renew(token, hold=30) for person in people))
        assert sum(kept) == 1
        await winner.release(token)
    assert tokens == list(range(1, 26))
    await asyncio.gather(*(person.close() for person in people))


async def test_a_database_that_does_not_answer_is_an_error_within_its_time(migrated: str) -> None:
    ada = table(migrated, "ada")
    assert await ada.take(hold=30) == 1
    holder = await asyncpg.connect(migrated)
    async with holder.transaction():
        await holder.execute("LOCK TABLE cti.bridge_lease IN ACCESS EXCLUSIVE MODE")
        with pytest.raises((RemoteError, TimeoutError)):
            await asyncio.wait_for(ada.renew(1, hold=30), 10)
    await holder.close()
    assert await ada.renew(1, hold=30)  # over a new connection
    await ada.close()
