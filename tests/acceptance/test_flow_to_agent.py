"""A flow that sends its caller to one agent, on a real line: taken, refused, and nobody there."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import caller, key_in, sip_agent
from tests.acceptance.test_more_steps import ended, walked, way
from tests.support.centre import REPOSITORY, TestCentre
from tests.support.demo_centre import demo_tree, text_of

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

DIRECT = """flow: direct
languages: [en, zh]
start: which
failure: bye
steps:
  which: {collect: welcome, length: 4, as: ext, go: to, no_input: bye, invalid: bye}
  to: {transfer: {extension: ext, allow: ["1004", "1008"]}, busy: busy, no_answer: away, unknown: nobody, failure: bye}
  busy: {say: [{digits_of: ext}], go: bye}
  away: {say: nothing_heard, go: bye}
  nobody: {say: not_a_choice, go: bye}
  bye: {hang_up: silently}
"""


@pytest.fixture(scope="module")
def own_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """The demo centre with a flow of its own on 5013."""
    data = tmp_path_factory.mktemp("direct") / "data"
    data.mkdir()
    tree = demo_tree()
    tree["numbers"]["5013"] = {"flow": "direct", "survival_queue": "support"}
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    flows = data.parent / "flows"
    shutil.copytree(REPOSITORY / "ivr_flows", flows)
    (flows / "direct.yaml").write_text(DIRECT)
    centre = TestCentre(data, env={"CTI_FLOWS": str(flows)})
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def test_one_agent_is_asked_and_the_caller_goes_on_where_that_one_does_not_take_the_call(
    own_centre: TestCentre,
) -> None:
    centre = own_centre
    async with PhoneRoom() as room, sip_agent(centre, room, "1004") as dora, sip_agent(centre, room, "1001") as ada:
        # Taken: talk with that agent, and nobody else was asked.
        call = await (await caller(centre, room, "+15550100090")).dial("5013")
        async with asyncio.timeout(60):
            await call.confirmed.wait()
        await key_in(call, "1004")
        ringing = await dora.rings()
        mine = await dora.api.get("/agent")
        assert mine["pop"]["number"] == "+15550100090"
        await ringing.answer()
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await call.hang_up()
        await dora.wrap_up()
        row = await centre.record(where="caller_number = '+15550100090'")
        assert (row["outcome"], row["agent"]) == ("answered", "1004")

        # Refused: the flow goes on, and still knows what was keyed in.
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        call = await (await caller(centre, room, "+15550100091")).dial("5013")
        async with asyncio.timeout(60):
            await call.confirmed.wait()
        await key_in(call, "1004")
        await (await dora.rings()).answer(486)
        await walked(centre, "+15550100091", "busy.done")
        await ended(call)
        assert await way(centre, "+15550100091") == ["which.collected", "to.sent", "to.busy", "busy.done", "bye.done"]

        # Not logged in, and not on the list: told at once. What a caller keys in is never dialled.
        for keys, number, exits in (
            ("1008", "+15550100092", ["to.no_answer", "away.done"]),
            ("1001", "+15550100093", ["to.unknown", "nobody.done"]),
        ):
            call = await (await caller(centre, room, number)).dial("5013")
            async with asyncio.timeout(60):
                await call.confirmed.wait()
            await key_in(call, keys)
            await ended(call)
            await walked(centre, number, "bye.done")
            assert await way(centre, number) == ["which.collected", *exits, "bye.done"]
        assert ada.phone.incoming.empty()
