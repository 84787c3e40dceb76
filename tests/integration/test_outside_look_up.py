"""Who calls, asked of another system: a real customer file, a real HTTP service that is good, slow, wrong or gone, a floor."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cti.crm.directory import CustomerDirectory
from cti.model.centre import HttpService
from cti.model.facts import Match
from cti.model.outside_crm import OutsideCrm
from cti.outside.services import HttpServices
from cti.services.outside_directory import OutsideDirectory
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.unit.services.test_dispatcher import ADA, Rig

pytestmark = [pytest.mark.real, pytest.mark.beside]

ZOE = {
    "reference": "C-17", "name": "Zoë Chen", "tier": "vip", "language": "en", "company": "Chen Ltd", "notes": "Boat",
    "phones": ["(555) 010-0002"], "url": "https://crm.example/c/17",
}  # fmt: skip
NUMBER = "+15550100001"


class OtherSystem:
    """Answers as each test says."""

    def __init__(self) -> None:
        self.customers: list[dict[str, Any]] = [ZOE]
        self.text: str | None = None
        self.status = 200
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[str] = []
        app = web.Application()
        app.router.add_get("/customers", self.handle)
        self.server = TestServer(app)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["number"])
        await self.gate.wait()
        text = self.text if self.text is not None else json.dumps({"customers": self.customers})
        return web.Response(status=self.status, text=text, content_type="application/json")


class Desk:
    """The directory out of two, and what stands behind it."""

    def __init__(self, work: Customers, other: OtherSystem) -> None:
        self.own = CustomerDirectory(work.pool, deadline=timedelta(seconds=10))
        service = HttpService(
            name="crm", url=str(other.server.make_url("/customers")), deadline=timedelta(seconds=20), retries=0
        )
        self.http = HttpServices(lambda _name: service)
        self.crm = OutsideCrm(look_up="crm", open_url="https://crm.example/find?n={number}&c={reference}")
        self.counted: list[str] = []
        self.work, self.other = work, other
        self.directory = self.within(10)

    def within(self, seconds: float) -> OutsideDirectory:
        return OutsideDirectory(
            self.own,
            self.http,
            self.work.outside,
            lambda: self.crm,
            deadline=timedelta(seconds=seconds),
            forget=self.own.forget,
            count=self.counted.append,
        )

    async def close(self) -> None:
        self.other.gate.set()
        await self.directory.close()
        await self.own.close()
        await self.http.close()


@pytest.fixture
async def desk(customer_work: Customers) -> AsyncIterator[Desk]:
    other = OtherSystem()
    await other.server.start_server()
    desk = Desk(customer_work, other)
    yield desk
    await desk.close()
    await other.server.close()


async def test_whom_only_the_other_system_knows(desk: Desk) -> None:
    answer = await desk.directory.look_up(NUMBER)
    assert answer.match is Match.FOUND
    (card,) = answer.cards
    assert (card.name, card.tier, card.company, card.notes, card.reference) == (
        "Zoë Chen",
        "vip",
        "Chen Ltd",
        "Boat",
        "C-17",
    )
    assert card.url == ZOE["url"]
    assert card.phones == (NUMBER, "+15550100002")
    assert desk.other.asked == [NUMBER]
    kept = await desk.work.rooms.file.get(card.customer_id)
    assert kept is not None and kept.reference == "C-17" and kept.tier_source == "import"  # noqa: PT018
    # A note has a home; and the next call is our own file's to answer.
    await desk.work.rooms.file.add_note(card.customer_id, "called about the boat", by="1001")
    again = await desk.directory.look_up(NUMBER)
    assert again.cards[0].customer_id == card.customer_id
    assert desk.other.asked == [NUMBER]
    assert desk.counted == ["found"]


async def test_what_people_wrote_stays_and_the_rest_is_brought_up_to_date(desk: Desk) -> None:
    desk.crm = replace(desk.crm, look_up_first=True, look_up_keep=timedelta())
    (card,) = (await desk.directory.look_up(NUMBER)).cards
    file = desk.work.rooms.file
    await file.change(card.customer_id, {"tier": "regular", "notes": "our own"}, version=1, by="sup")
    desk.other.customers = [{**ZOE, "company": "Chen & Sons", "notes": "theirs", "phones": []}]
    (card,) = (await desk.directory.look_up(NUMBER)).cards
    assert (card.company, card.tier, card.notes, len(card.phones)) == ("Chen & Sons", "regular", "our own", 2)
    version = (await file.get(card.customer_id)).version  # type: ignore[union-attr]
    await desk.directory.look_up(NUMBER)
    assert (await file.get(card.customer_id)).version == version, "nothing new, nothing written"  # type: ignore[union-attr]


async def test_several_nobody_and_an_answer_kept(desk: Desk) -> None:
    desk.other.customers = [ZOE, {**ZOE, "reference": "C-18", "name": "Max Chen", "url": ""}]
    several = await desk.directory.look_up(NUMBER)
    assert several.match is Match.SEVERAL
    assert {card.name: card.url for card in several.cards} == {"Zoë Chen": ZOE["url"], "Max Chen": ""}
    desk.other.customers = []
    for _ in range(3):
        assert (await desk.directory.look_up("+15550100077")).match is Match.UNKNOWN
    desk.other.status = 404
    assert (await desk.directory.look_up("+15550100078")).match is Match.UNKNOWN
    assert desk.other.asked == [NUMBER, "+15550100077", "+15550100078"]
    assert (await desk.directory.look_up(None)).match is Match.WITHHELD


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("not json", 200), ("[]", 200), ('{"customers": [{"reference": "1"}]}', 200), ("{}", 500), ("x" * 100_000, 200),
        ('{"customers": [{"reference": "1", "name": "x", "language": "no such language"}]}', 200),
    ],
)  # fmt: skip
async def test_wrong_answers_are_nobodys(desk: Desk, text: str, status: int) -> None:
    desk.other.text, desk.other.status = text, status
    assert (await desk.directory.look_up(NUMBER)).match is Match.UNAVAILABLE
    assert await desk.work.pool.fetchval("SELECT count(*) FROM crm.customers") == 0
    await desk.work.rooms.file.create({"name": "Ours", "phones": [{"raw": NUMBER}]}, by="1001")
    desk.own.forget()
    desk.crm = replace(desk.crm, look_up_first=True)
    answer = await desk.directory.look_up(NUMBER)
    assert [card.name for card in answer.cards] == ["Ours"]


async def offered(desk: Desk, *, gone: bool = False) -> tuple[Any, Rig]:
    """A call through the floor with this directory; the pop once the look-up is over."""
    if gone:
        await desk.other.server.close()
    rig = Rig()
    rig.dispatcher._directory = desk.directory
    rig.board.centre = replace(rig.board.centre, crm=desk.crm)
    owner = asyncio.create_task(rig.dispatcher.run())
    try:
        await rig.ready()
        await rig.waiting()
        async with asyncio.timeout(60):
            while ADA not in rig.board.pops or rig.board.pops[ADA].match == "looking_up":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert rig.telephony.commands, "the call is on its way to the agent"
        return rig.board.pops[ADA], rig
    finally:
        owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)


async def test_the_call_arrives_while_the_other_system_is_slow(desk: Desk) -> None:
    desk.other.gate.clear()
    desk.directory = desk.within(0.3)
    pop, _ = await offered(desk)
    assert (pop.match, pop.customers) == ("unavailable", ())
    assert pop.open_url == "https://crm.example/find?n=%2B15550100001&c="
    desk.other.gate.set()  # late, and not in vain
    async with asyncio.timeout(60):
        while "found" not in desk.counted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    desk.directory = desk.within(10)
    pop, _ = await offered(desk)
    assert pop.match == "found"
    assert pop.open_url == "https://crm.example/find?n=%2B15550100001&c=C-17"
    assert not pop.open_automatically


async def test_the_call_arrives_while_the_other_system_is_gone(desk: Desk) -> None:
    await desk.work.rooms.file.create({"name": "Ours", "phones": [{"raw": NUMBER}]}, by="1001")
    desk.crm = replace(desk.crm, look_up_first=True)
    pop, _ = await offered(desk, gone=True)
    assert [card.name for card in pop.customers] == ["Ours"]
