"""The path of a call on real parts: Asterisk, SIP and RTP, Postgres. Times are compared with the phones' own clocks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre
from tests.support.sipp import Sipp
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


async def test_a_call_is_answered_by_a_sip_phone_heard_both_ways_and_recorded_right(
    centre: TestCentre, tmp_path: Path
) -> None:
    async with PhoneRoom() as room, sip_agent(centre, room, "1002") as bo:
        phone = await caller(centre, room, "+15550100002")
        began = time.time()
        call = await call_in(phone, "5000", keys="1")
        ringing = await bo.rings()
        rang = time.time()
        mine = await bo.api.get("/agent")
        assert mine["agent"]["state"] in ("reserved", "ringing")
        pop = mine["pop"]
        assert (pop["number"], pop["match"], pop["tier"], pop["choice"]) == (
            "+15550100002",
            "found",
            "regular",
            "Support",
        )
        assert pop["customers"][0]["name"] == "Daniel Brooks"
        assert ringing.header("X-CTI-Offer") == str(pop["offer_id"])
        await asyncio.sleep(1.0)
        await ringing.answer()
        await ringing.confirmed.wait()
        answered = time.time()
        await call.play_tone(440)
        await ringing.play_tone(620)
        await ringing.record(tmp_path / "agent-heard.wav")
        await call.record(tmp_path / "caller-heard.wav")
        await asyncio.sleep(2.5)
        await ringing.stop_recording()
        await call.stop_recording()
        await ringing.hang_up()
        ended = time.time()
        async with asyncio.timeout(60):
            await call.ended.wait()
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "wrap_up")
        await asyncio.sleep(0.7)
        wrapped = await bo.wrap_up()
        assert_tone(tmp_path / "agent-heard.wav", 440)
        assert_tone(tmp_path / "caller-heard.wav", 620)
        row = await centre.record(where="agent = '1002'", wrapped=True)
    assert (row["outcome"], row["hangup_by"], row["queue"], row["did"]) == ("answered", "agent", "support", "5000")
    assert (row["caller_number"], row["direction"], row["node"]) == ("+15550100002", "inbound", "a1")
    assert row["customer_id"] is not None
    assert (row["language"], row["tier"]) == ("en", "regular")
    assert row["started_at"].timestamp() == pytest.approx(began, abs=0.15)
    assert row["answered_at"].timestamp() == pytest.approx(answered, abs=0.1)
    assert row["ended_at"].timestamp() == pytest.approx(ended, abs=0.1)
    assert row["ring_seconds"] == pytest.approx(answered - rang, abs=0.1)
    assert row["talk_seconds"] == pytest.approx(ended - answered, abs=0.1)
    assert row["wrap_seconds"] == pytest.approx(wrapped - ended, abs=0.1)
    assert row["hold_seconds"] == 0
    assert row["wait_seconds"] == pytest.approx((row["answered_at"] - row["queued_at"]).total_seconds(), abs=0.001)
    recording = await centre.recording(row)
    assert recording.stat().st_size > 16_000 * 2


@pytest.mark.needs("sipp")
async def test_a_sipp_caller_presses_1_waits_and_talks_with_a_sip_phone(centre: TestCentre, tmp_path: Path) -> None:
    host, port = centre.told["sip"]["server"].rsplit(":", 1)
    async with PhoneRoom() as room, sip_agent(centre, room, "1008", ready=False) as hugo:
        async with Sipp(
            "caller_presses_1",
            local=centre.carrier,
            remote=(host, int(port)),
            service="5000",
            keys={"number": "+15550100060", "display": "SIPp"},
            echo=True,
        ) as sipp:
            async with ApiPerson(centre, "supervisor") as supervisor:
                state = await supervisor.until(
                    "/state", lambda s: any(c["state"] == "waiting" for c in s["calls"].values()), within=60
                )
            (waiting,) = state["calls"].values()
            assert (waiting["choice"], waiting["queue"], waiting["place"]) == ("Support", "support", 1)
            await hugo.ready()
            ringing = await hugo.rings()
            await ringing.answer()
            await ringing.confirmed.wait()
            # What the agent says comes back from the caller's own RTP port: sound passes both ways.
            await ringing.play_tone(620)
            await ringing.record(tmp_path / "agent-heard.wav")
            await asyncio.sleep(2.5)
            await ringing.stop_recording()
            await ringing.hang_up()
            result = await sipp.finished()
        assert_tone(tmp_path / "agent-heard.wav", 620)
        assert (result.successful, result.failed) == (1, 0), result.output
        row = await centre.record(where="agent = '1008'")
    assert (row["outcome"], row["queue"], row["hangup_by"]) == ("answered", "support", "agent")


async def test_the_caller_hangs_up_and_hold_is_measured(centre: TestCentre) -> None:
    async with PhoneRoom() as room, sip_agent(centre, room, "1004") as dora:
        phone = await caller(centre, room, "+15550100003")
        call = await call_in(phone, "5000", keys="1")
        ringing = await dora.rings()
        await ringing.answer()
        await ringing.confirmed.wait()
        answered = time.time()
        await asyncio.sleep(0.8)
        await ringing.hold(True)
        held = time.time()
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "held")
        await asyncio.sleep(1.2)
        await ringing.hold(False)
        back = time.time()
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await asyncio.sleep(0.5)
        await call.hang_up()
        ended = time.time()
        await dora.wrap_up()
        row = await centre.record(where="agent = '1004'")
    assert (row["outcome"], row["hangup_by"]) == ("answered", "caller")
    assert row["hold_seconds"] == pytest.approx(back - held, abs=0.1)
    assert row["talk_seconds"] == pytest.approx(ended - answered - (back - held), abs=0.1)


async def test_the_vip_who_came_second_is_answered_first(centre: TestCentre) -> None:
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1008", ready=False) as hugo,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        first_phone = await caller(centre, room, "+15550100002")
        vip_phone = await caller(centre, room, "+15550100001")
        first = await call_in(first_phone, "5001", keys="")
        await supervisor.until("/state", lambda s: sum(c["state"] == "waiting" for c in s["calls"].values()) == 1)
        second = await call_in(vip_phone, "5001", keys="")
        state = await supervisor.until(
            "/state", lambda s: sum(c["state"] == "waiting" for c in s["calls"].values()) == 2
        )
        places = {c["caller_number"]: c["place"] for c in state["calls"].values()}
        assert places == {"+15550100001": 1, "+15550100002": 2}
        await hugo.ready()
        for number, call in (("+15550100001", second), ("+15550100002", first)):
            ringing = await hugo.rings()
            mine = await hugo.api.get("/agent")
            assert mine["pop"]["number"] == number
            await ringing.answer()
            await hugo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            await ringing.hang_up()
            async with asyncio.timeout(60):
                await call.ended.wait()
            await hugo.wrap_up()


async def test_a_caller_who_gives_up_frees_the_agent_and_is_counted(centre: TestCentre) -> None:
    async with PhoneRoom() as room, sip_agent(centre, room, "1004") as dora:
        phone = await caller(centre, room, "+15550100077")
        call = await call_in(phone, "5001", keys="")
        ringing = await dora.rings()
        await call.hang_up()
        async with asyncio.timeout(60):
            await ringing.ended.wait()
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        row = await centre.record(where="caller_number = '+15550100077'")
    assert (row["outcome"], row["hangup_by"], row["agent"]) == ("short_abandon", "caller", None)
    assert row["customer_id"] is None


async def test_refused_busy_and_unanswered_offers_keep_the_place_and_are_told_apart(centre: TestCentre) -> None:
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1004") as dora,
        sip_agent(centre, room, "1008", ready=False) as hugo,
    ):
        phone = await caller(centre, room, "+15550100078")
        call = await call_in(phone, "5001", keys="")
        ringing = await dora.rings()
        await ringing.answer(603)
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        await hugo.ready()
        ringing = await hugo.rings()
        await ringing.answer(486)
        ringing = await dora.rings(within=60)
        await ringing.answer()
        await ringing.confirmed.wait()
        await dora.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await call.hang_up()
        await dora.wrap_up()
        row = await centre.record(where="caller_number = '+15550100078'")
        facts = await centre.query(
            "SELECT body->>'end' AS end, body->>'agent_id' AS agent FROM cti.facts"
            " WHERE call_id = $1 AND kind = 'OfferEnded' ORDER BY position",
            row["call_id"],
        )
    assert [(x["agent"], x["end"]) for x in facts] == [("1004", "rejected"), ("1008", "busy"), ("1004", "answered")]
    assert row["agent"] == "1004"
    assert row["wait_seconds"] == pytest.approx((row["answered_at"] - row["queued_at"]).total_seconds(), abs=0.001)


async def test_a_phone_that_goes_away_is_not_offered_calls(centre: TestCentre) -> None:
    async with PhoneRoom() as room, sip_agent(centre, room, "1004") as dora:
        await dora.phone.unregister()
        await dora.api.until("/agent", lambda a: not a["agent"]["reachable"]["sip"])
        phone = await caller(centre, room, "+15550100079")
        call = await call_in(phone, "5001", keys="")
        async with ApiPerson(centre, "supervisor") as supervisor:
            state = await supervisor.until(
                "/state", lambda s: any(c["state"] == "waiting" for c in s["calls"].values())
            )
            assert {c["agent_id"] for c in state["calls"].values()} == {None}
            await call.hang_up()
            await supervisor.until("/state", lambda s: not s["calls"])
