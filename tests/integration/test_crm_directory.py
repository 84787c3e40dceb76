"""The customer directory on a real database: matches, history, cache, deadline."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from cti.crm.demo import load
from cti.crm.directory import CustomerDirectory
from cti.journal.writer import JournalWriter
from cti.model.facts import Match
from cti.store.drain import Drain
from cti.store.pool import open_pool
from tests.integration.test_drain_exactly_once import a_call
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await open_pool(migrated)
    yield opened
    await opened.close()


@pytest.fixture
async def directory(pool: asyncpg.Pool) -> AsyncIterator[CustomerDirectory]:
    await load(pool)
    asked = CustomerDirectory(pool, deadline=timedelta(seconds=5))
    yield asked
    await asked.close()


async def test_loading_twice_adds_nothing_and_keeps_what_people_changed(pool: asyncpg.Pool) -> None:
    added = await load(pool)
    assert added == 60
    await pool.execute("UPDATE crm.customers SET notes = 'mine' WHERE reference = 'demo-001'")
    assert await load(pool) == 0
    assert await pool.fetchval("SELECT notes FROM crm.customers WHERE reference = 'demo-001'") == "mine"
    assert await pool.fetchval("SELECT count(*) FROM crm.phones") > 60
    assert (
        await pool.fetchval("SELECT count(*) FROM crm.phones WHERE raw LIKE '(555)%' AND number LIKE '+1555010%'") > 3
    )


@pytest.mark.parametrize("number", ["+15550100001", "15550100001", "0015550100001", "(555) 010-0001"])
async def test_found_however_it_is_written(directory: CustomerDirectory, number: str) -> None:
    answer = await directory.look_up(number)
    assert answer.match is Match.FOUND
    (card,) = answer.cards
    assert (card.name, card.tier, card.language, card.phones) == ("Zoë Chen", "vip", "en", ("+15550100001",))
    assert card.notes
    assert card.contacts == ()


async def test_several_unknown_withheld(directory: CustomerDirectory) -> None:
    several = await directory.look_up("+15550100004")
    assert several.match is Match.SEVERAL
    assert {card.name for card in several.cards} == {"Margaret Hill", "Robert Hill"}
    assert (await directory.look_up("+15550199999")).match is Match.UNKNOWN
    assert (await directory.look_up("1001")).match is Match.UNKNOWN
    assert (await directory.look_up(None)).match is Match.WITHHELD
    assert (await directory.look_up("")).match is Match.WITHHELD


async def test_the_last_five_contacts_newest_first(directory: CustomerDirectory, migrated: str, tmp_path: Path) -> None:
    (card,) = (await directory.look_up("+15550100001")).cards
    async with JournalWriter(tmp_path) as journal:
        for number in range(7):
            await journal.append(a_call(number))  # all of customer 1
        drain = Drain(journal, migrated)
        while await drain.drain_once():
            pass
        await drain.close()
    assert card.customer_id == 1
    assert (await directory.look_up("+15550100001")).cards[0].contacts == ()  # kept for a while
    directory.forget("(555) 010-0001")
    (card,) = (await directory.look_up("+15550100001")).cards
    assert [contact.at for contact in card.contacts] == [f"2026-03-01T09:0{n}:00Z" for n in (6, 5, 4, 3, 2)]
    talk = (await directory.look_up("+15550100001")).last_talk
    assert talk is not None
    assert talk.agent_id == "1001"
    assert talk.at.isoformat() > "2026-03-01T09:06"
    last = card.contacts[0]
    assert (last.queue, last.outcome, last.agent, last.note) == ("support", "answered", "1001", "好的")


async def test_the_own_agent_of_a_customer_is_on_the_card_and_strangers_have_talked_too(
    directory: CustomerDirectory, pool: asyncpg.Pool
) -> None:
    (card,) = (await directory.look_up("+15550100013")).cards
    assert (card.name, card.own_agent) == ("Fatima El-Sayed", "1001")
    assert (await directory.look_up("+15550100001")).cards[0].own_agent == ""
    await pool.execute(
        "INSERT INTO cti.calls (call_id, node, direction, started_at, ended_at, caller_number, did, agent, outcome, hangup_by)"
        " SELECT 'c' || n, 'a1', 'inbound', now() - n * interval '1 hour', now() - n * interval '1 hour', '+15550199998',"
        " '5000', CASE n WHEN 1 THEN NULL ELSE '100' || n END, 'answered', 'caller' FROM generate_series(1, 3) n"
    )
    stranger = await directory.look_up("+15550199998")
    assert stranger.match is Match.UNKNOWN
    assert stranger.last_talk is not None
    assert stranger.last_talk.agent_id == "1002"  # the newest call that somebody answered
    assert (await directory.look_up("+15550199997")).last_talk is None


async def test_the_same_caller_is_asked_for_once(directory: CustomerDirectory, pool: asyncpg.Pool) -> None:
    answers = await asyncio.gather(*(directory.look_up("+15550100003") for _ in range(200)))
    assert {answer.match for answer in answers} == {Match.FOUND}
    assert all(answer is answers[0] for answer in answers)
    await pool.execute("DELETE FROM crm.customers WHERE name = '李伟'")
    assert (await directory.look_up("+15550100003")).match is Match.FOUND
    directory.forget()
    assert (await directory.look_up("+15550100003")).match is Match.UNKNOWN


async def test_a_slow_database_costs_the_deadline_and_no_more(pool: asyncpg.Pool, migrated: str) -> None:
    await load(pool)
    directory = CustomerDirectory(pool, deadline=timedelta(seconds=2), most_under_way=2)
    blocker = await asyncpg.connect(migrated)
    block = blocker.transaction()
    await block.start()
    await blocker.execute("LOCK TABLE crm.customers IN ACCESS EXCLUSIVE MODE")
    begin = time.monotonic()
    assert (await directory.look_up("+15550100001")).match is Match.UNAVAILABLE
    took = time.monotonic() - begin
    assert 1.99 < took < 10  # the lock is held for much longer
    await directory.look_up("+15550100002")
    begin = time.monotonic()
    assert (await directory.look_up("+15550100003")).match is Match.UNAVAILABLE  # too many under way: at once
    assert time.monotonic() - begin < 1.8
    await block.rollback()
    await blocker.close()
    async with asyncio.timeout(60):
        while (await directory.look_up("+15550100001")).match is not Match.FOUND:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await directory.close()


async def test_no_database_at_all_is_unavailable_never_an_error(tmp_path: Path) -> None:
    pool = await open_pool(f"postgresql://postgres@/cti?host={tmp_path}")
    directory = CustomerDirectory(pool)
    assert (await directory.look_up("+15550100001")).match is Match.UNAVAILABLE
    assert (await directory.look_up(None)).match is Match.WITHHELD
    await directory.close()
    await pool.close()


async def test_the_card_tells_what_came_with_the_customer_file(
    directory: CustomerDirectory, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "UPDATE crm.customers SET tags = '{a,b}', kind = 'company', tier_reason = 'asked' WHERE customer_id = 1"
    )
    await pool.execute(
        "INSERT INTO crm.consents (customer_id, channel, status, at) VALUES (1, 'call', 'refused', now())"
    )
    (card,) = (await directory.look_up("+15550100001")).cards
    assert (card.tags, card.kind, card.tier_reason, card.do_not_call) == (("a", "b"), "company", "asked", True)
    (other,) = (await directory.look_up("+15550100002")).cards
    assert (other.tags, other.kind, other.do_not_call) == ((), "person", False)


async def test_an_answer_from_before_a_change_is_not_kept(directory: CustomerDirectory, pool: asyncpg.Pool) -> None:
    await directory.look_up("+15550100002")  # a connection is open
    asked = asyncio.create_task(directory.look_up("+15550100001"))
    await asyncio.sleep(0)  # it is under way
    directory.forget("+15550100001")
    await asked
    await pool.execute("UPDATE crm.customers SET name = 'Other' WHERE customer_id = 1")
    assert (await directory.look_up("+15550100001")).cards[0].name == "Other"
