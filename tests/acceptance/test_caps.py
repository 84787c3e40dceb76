"""Caps on dialling out, on a real line: what the cap leaves room for is dialled, a call that goes on beyond it is ended and recorded,
and the next one is refused before the carrier hears of it, with the words for the agent and in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.acceptance.test_callbacks import CARRIERS_PORT, carrier_of
from tests.acceptance.test_dialling import connected, refused
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

NUMBER = "+15550100091"
SECONDS = 6
"""A second costs 1, and so much may be spent within an hour."""


@pytest.fixture
def own_centre(tmp_path: Path) -> Iterator[TestCentre]:
    tree = demo_tree()
    tree["outbound"] = {
        "allow": ["+1555"],
        "currency": "EUR",
        "prices": {"+1555": {"per_minute": 60, "unit": "1/1"}},
        "caps": {"agents": {"1002": {"cost_an_hour": SECONDS}}},
        "when_reached": "end",
    }
    data = tmp_path / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start(within=240)
    try:
        yield centre
    finally:
        centre.stop()


async def test_what_goes_beyond_a_cap_is_ended_and_the_next_is_refused(own_centre: TestCentre) -> None:
    centre = own_centre
    async with PhoneRoom() as room, sip_agent(centre, room, "1002") as bo, ApiPerson(centre, "supervisor") as boss:
        carrier = await carrier_of(centre, room)
        begun = await bo.api.post("/agent/dial", {"number": NUMBER})
        await (await bo.rings()).answer()
        theirs = await connected(carrier)
        # Nobody hangs up: the cap does.
        async with asyncio.timeout(60):
            await theirs.ended.wait()
        await bo.wrap_up()
        row = await centre.record(where=f"call_id = '{begun['call_id']}'", wrapped=True)
        assert (row["outcome"], row["agent"], row["hangup_by"]) == ("answered", "1002", "system")
        told = (await bo.api.get("/agent"))["agent"]["notices"]
        assert [(one["by"], one["text"]) for one in told] == [("", "call_ended_by_cap")]
        assert SECONDS - 2 <= row["talk_seconds"] <= SECONDS + 10
        # Neither dialled nor sent on to an outside number any more; the carrier hears nothing of it.
        assert await refused(bo, number=NUMBER) == "cap_cost_an_hour"
        spent = await boss.get("/outbound/spent")
        mine = next(one for one in spent["rows"] if (one["scope"], one["name"]) == ("agent", "1002"))
        assert mine["caps"][0]["share"] >= 1.0
        assert mine["dials_today"] == 1
        await bo.ready()
        call = await call_in(await caller(centre, room, "+15550100092"), "5001", keys="")
        leg = await bo.rings()
        await leg.answer()
        desk = await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        with pytest.raises(AssertionError, match="cap_cost_an_hour"):
            await bo.api.post(
                f"/agent/calls/{desk['call']['call_id']}/transfer", {"to": {"kind": "number", "name": NUMBER}}
            )
        assert not call.ended.is_set()
        await call.hang_up()
        await bo.wrap_up()
        assert carrier.incoming.empty()
    log = (centre.data / "log" / "bridge.log").read_text()
    assert '"event": "outbound_cap_reached"' in log
    assert '"event": "call_ended_by_outbound_cap"' in log
