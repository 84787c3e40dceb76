"""The order-status line, a caller on a real line and a shop that answers, does not, or answers nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from cti.demo.softphone import PhoneCall, PhoneRoom
from cti.ivr.flow import Flow, Text
from cti.ivr.parser import parse_flow
from tests.acceptance.people import caller, key_in
from tests.acceptance.test_more_steps import facts_of, walked, way
from tests.support.centre import REPOSITORY, TestCentre
from tests.support.demo_centre import demo_centre
from tests.support.played import PlayedLog
from tests.support.sound import longest_silence

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

FALL_BACK = "en/connecting_support"


def words(start: str) -> str:
    """The sound of the words of the flow that begin so."""
    file = REPOSITORY / "ivr_flows" / "order_status.yaml"
    flow = parse_flow(file.read_text(encoding="utf-8"), str(file))
    assert isinstance(flow, Flow)
    texts = [part for step in flow.steps.values() for part in step.spoken() if isinstance(part, Text)]
    return "en/" + next(part.name for part in texts if part.texts["en"].startswith(start))


class Shop:
    """The shop's service; `manner` is how it answers next."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.manner = "well"
        self.asked: list[dict[str, str]] = []
        self._runner: web.AppRunner | None = None

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        match self.manner:
            case "slow" | "late":
                await asyncio.sleep(30 if self.manner == "slow" else 3.0)
            case "error":
                return web.Response(status=500, text="<h1>oops</h1>")
            case "no json":
                return web.Response(text="shipped, we think")
            case "other shape":
                return web.json_response({"order": [{"state": ["shipped"]}]})
            case "huge":
                return web.json_response({"state": "shipped", "total": "1", "due": "2026-03-05", "more": "x" * 300_000})
        if request.query.get("order") == "9999":
            return web.json_response({}, status=404)
        return web.json_response({"state": "shipped", "total": 19.9, "due": "2026-03-05"})

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/orders", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @contextlib.asynccontextmanager
    async def answering(self, manner: str) -> AsyncIterator[None]:
        self.manner = manner
        if manner != "gone":
            await self.open()
        try:
            yield
        finally:
            await self.close()


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="module")
def shop_centre(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """The demo centre with the test's shop, which has four seconds to answer."""
    data = tmp_path_factory.mktemp("shop") / "data"
    data.mkdir()
    ours = {"url": f"http://127.0.0.1:{shop.port}/orders", "retries": 0, "deadline": 4}
    text = demo_centre({}, lambda tree: tree["services"].update(order_status=ours))
    (data / "centre.yaml").write_text(text, encoding="utf-8")
    centre = TestCentre(data)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def ask_for(centre: TestCentre, room: PhoneRoom, number: str, order: str, heard: Path) -> PhoneCall:
    call = await (await caller(centre, room, number)).dial("5004")
    async with asyncio.timeout(60):
        await call.confirmed.wait()
        await walked(centre, number, "who.unknown")
    await key_in(call, f"{order}#")
    await call.record(heard)  # not before: who types hears nothing, for as long as they type
    return call


async def test_a_caller_hears_what_the_shop_says_and_may_ask_again(
    shop_centre: TestCentre, shop: Shop, tmp_path: Path
) -> None:
    centre, number = shop_centre, "+15550100070"
    played = PlayedLog(centre)
    await played.begin()
    async with PhoneRoom() as room, shop.answering("well"):
        shop.asked.clear()
        call = await ask_for(centre, room, number, "4711", tmp_path / "heard.wav")
        again = words("For another order")
        sounds = await played.until(words("One moment"), words("Your order is on its way"), "en/month_3", again)
        assert shop.asked == [{"order": "4711", "caller": number}]
        await call.press("1")
        await walked(centre, number, "again.choice")
        await key_in(call, "9999#")
        await played.until(words("We do not know this order number"), again)
        await call.press("0")
        await played.until(again, FALL_BACK)
        await call.hang_up()
    assert FALL_BACK not in sounds
    assert "ask.not_found" in await way(centre, number)
    # The digits of the order are in no fact.
    said = str(await facts_of(centre, number, "FlowStepDone", "CallStarted", "LanguageChosen", "CallQueued"))
    assert "4711" not in said
    assert "9999" not in said


@pytest.mark.parametrize(
    ("manner", "number"),
    [("slow", "71"), ("error", "72"), ("no json", "73"), ("other shape", "74"), ("huge", "75"), ("gone", "76")],
)
async def test_a_shop_that_fails_leaves_nobody_in_silence(
    shop_centre: TestCentre, shop: Shop, tmp_path: Path, manner: str, number: str
) -> None:
    centre, number, heard = shop_centre, f"+155501000{number}", tmp_path / "heard.wav"
    played = PlayedLog(centre)
    await played.begin()
    async with PhoneRoom() as room, shop.answering(manner):
        call = await ask_for(centre, room, number, "4711", heard)
        await played.until(words("One moment"), FALL_BACK)
        await walked(centre, number, "person.queued")
        await call.stop_recording()
        await call.hang_up()
        steps = await facts_of(centre, number, "FlowStepDone")
    assert [f"{step['step']}.{step['result']}" for step in steps][-2:] == ["ask.failure", "person.queued"]
    assert longest_silence(heard) < 2.0, "the caller heard nothing for too long"
    if manner == "slow":
        (asked,) = [step for step in steps if step["step"] == "ask"]
        assert asked["seconds"] > 4, "it waits for the deadline, and the caller hears music meanwhile"


async def test_music_ends_when_a_late_answer_comes(shop_centre: TestCentre, shop: Shop, tmp_path: Path) -> None:
    centre, number, heard = shop_centre, "+15550100077", tmp_path / "heard.wav"
    played = PlayedLog(centre)
    await played.begin()
    async with PhoneRoom() as room, shop.answering("late"):
        call = await ask_for(centre, room, number, "4711", heard)
        await played.until(words("One moment"), words("Your order is on its way"))
        await call.stop_recording()
        await call.hang_up()
    assert longest_silence(heard) < 2.0, longest_silence(heard)


async def test_the_demo_centre_tells_of_an_order_out_of_the_box(centre: TestCentre, tmp_path: Path) -> None:
    number = "+15550100078"
    played = PlayedLog(centre)
    await played.begin()
    async with PhoneRoom() as room:
        call = await ask_for(centre, room, number, "4711", tmp_path / "heard.wav")
        await played.until(words("Your order is on its way"), words("For another order"))
        await call.hang_up()
    assert "ask.done" in await way(centre, number)
