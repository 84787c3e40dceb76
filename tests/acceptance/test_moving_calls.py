"""Calls that are moved, on real Asterisk: transfers, hold by the server, consultations, conferences, pick-up. What people
hear is compared by tones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.acceptance.test_bridge_killed import kill_bridge
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.recorded import kept, sound_of, voices
from tests.support.sound import assert_tone, assert_tones, loudness

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

CALLER, ADA, BO, OUTSIDE = 440, 620, 850, 1130
RINGBACK = (440, 480)
"""What each of them says."""
NUMBER = "+15550100002"
EXPERT = "+15550170001"
CARRIERS_PORT = 5095


def centre_text() -> str:
    """The demo centre with short rings, an expert in the phone book, and a flow that is open to transfers."""
    tree = demo_tree()
    for queue in tree["queues"].values():
        queue |= {"ring_timeout": 5, "wrap_up": 60}
    tree["agents"]["1005"]["queues"] = ["sales"]
    tree["phone_book"] = {"The expert": EXPERT}
    tree["transfer_flows"] = {"survey": "Survey"}
    return text_of(tree)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("moving") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def expert(centre: TestCentre, room: PhoneRoom) -> Softphone:
    """Whoever is called over the trunk picks up here."""
    return await room.phone(
        user="carrier", server=centre.told["sip"]["server"], address=centre.carrier, port=CARRIERS_PORT, register=False
    )


async def rings(phone: Softphone, within: float = 60) -> PhoneCall:
    async with asyncio.timeout(within):
        return await phone.incoming.get()


async def talk(
    centre: TestCentre, room: PhoneRoom, agent: SipAgent, *, number: str = NUMBER
) -> tuple[PhoneCall, PhoneCall, str]:
    """A caller and this agent talk, each with their tone. Gives the caller's leg, the agent's, and the call's id."""
    phone = await caller(centre, room, number)
    call = await call_in(phone, "5001", keys="")
    ringing = await agent.rings()
    await ringing.answer()
    await ringing.confirmed.wait()
    mine = await agent.api.until("/agent", lambda a: a["talk"] is not None and a["talk"]["state"] == "talking")
    await call.play_tone(CALLER)
    await ringing.play_tone(ADA)
    return call, ringing, mine["talk"]["call_id"]


async def take(agent: SipAgent, tone: int, *, within: float = 60) -> PhoneCall:
    """The agent's phone rings and is answered; the agent speaks."""
    ringing = await agent.rings(within)
    await ringing.answer()
    await ringing.confirmed.wait()
    await ringing.play_tone(tone)
    return ringing


async def hears(leg: PhoneCall, path: Path, *tones: int, seconds: float = 1.5) -> None:
    """What comes in on this leg is these tones and nothing else."""
    await asyncio.sleep(0.4)
    await leg.record(path)
    await asyncio.sleep(seconds)
    await leg.stop_recording()
    if len(tones) == 1:
        assert_tone(path, tones[0])
    else:
        assert_tones(path, *tones)


async def ended(*legs: PhoneCall, within: float = 60) -> None:
    async with asyncio.timeout(within):
        for leg in legs:
            await leg.ended.wait()


async def in_state(agent: SipAgent, now: str, /, **more: Any) -> dict[str, Any]:
    """The agent's page says so."""
    return await agent.api.until(
        "/agent",
        lambda a: a["agent"]["state"] == now and all((a["talk"] or {}).get(key) == want for key, want in more.items()),
    )


async def asked_is(agent: SipAgent, state: str) -> dict[str, Any]:
    """Whoever this agent asks is in that state."""
    return await agent.api.until("/agent", lambda a: ((a["talk"] or {}).get("consult") or {}).get("state") == state)


async def test_sent_to_a_colleague_with_everything_known_and_back_when_nobody_answers(
    moving: TestCentre, tmp_path: Path
) -> None:
    centre = moving
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        sip_agent(centre, room, "1005", ready=False) as emil,
    ):
        call, leg, call_id = await talk(centre, room, ada)
        # Emil is of another queue and gets the caller all the same.
        await emil.ready()
        to = {"to": {"kind": "agent", "name": "1005"}, "note": "wants the blue one"}
        await ada.api.post(f"/agent/calls/{call_id}/transfer", to)
        await ended(leg)
        await in_state(ada, "wrap_up")
        emils = await emil.rings()
        pop = (await emil.api.until("/agent", lambda a: a["pop"] is not None))["pop"]
        assert (pop["call_id"], pop["number"], pop["match"], pop["customers"][0]["name"]) == (
            call_id,
            NUMBER,
            "found",
            "Daniel Brooks",
        )
        assert (pop["transferred_from"], pop["transferred_by"], pop["note"]) == (
            "1001",
            "Ada Park",
            "wants the blue one",
        )
        # Emil does not answer: after the ring time the caller is with Ada again, who had not finished her notes.
        back = await take(ada, ADA, within=60)
        await ended(emils)
        pop = (await ada.api.get("/agent"))["pop"]
        assert (pop["returned"], pop["call_id"]) == ("no_answer", call_id)
        await hears(call, tmp_path / "caller.wav", ADA)
        await hears(back, tmp_path / "ada.wav", CALLER)
        # Once more, and now he does.
        await emil.ready()
        await ada.api.post(f"/agent/calls/{call_id}/transfer", to)
        emils = await take(emil, BO)
        await hears(call, tmp_path / "caller2.wav", BO)
        await hears(emils, tmp_path / "emil.wav", CALLER)
        await emils.hang_up()
        await ended(call)
        await emil.wrap_up("other")
        await ada.wrap_up()
        row = await centre.record(where=f"call_id = '{call_id}'")
    assert (row["agent"], row["outcome"], row["queue"]) == ("1001", "answered", "support")
    recording = await centre.recording(row)
    assert recording.stat().st_size > 16_000 * row["talk_seconds"] * 0.7  # it went on through all of it
    facts = await centre.query(
        "SELECT kind, body->>'agent_id' AS agent FROM cti.facts WHERE call_id = $1"
        " AND kind IN ('CallAnswered', 'TalkEnded', 'CallTransferred', 'CallCameBack') ORDER BY position",
        call_id,
    )
    assert [(fact["kind"], fact["agent"]) for fact in facts] == [
        ("CallAnswered", "1001"),
        ("CallTransferred", "1001"),
        ("TalkEnded", "1001"),
        ("CallCameBack", None),
        ("CallAnswered", "1001"),
        ("CallTransferred", "1001"),
        ("TalkEnded", "1001"),
        ("CallAnswered", "1005"),
        ("TalkEnded", "1005"),
    ]


async def test_sent_to_a_queue_a_number_and_a_flow(moving: TestCentre, tmp_path: Path) -> None:
    centre = moving
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        sip_agent(centre, room, "1005") as emil,
    ):
        outside = await expert(centre, room)
        found = await ada.api.get("/agent/destinations")
        assert [agent["agent_id"] for agent in found["agents"] if not agent["why_not"]] == ["1005"]
        assert found["numbers"] == [{"name": "The expert", "number": EXPERT}]
        assert found["flows"] == [{"flow": "survey", "title": "Survey"}]

        call, leg, call_id = await talk(centre, room, ada)
        await ada.api.post(f"/agent/calls/{call_id}/transfer", {"to": {"kind": "queue", "name": "sales"}})
        emils = await take(emil, BO)
        assert (await emil.api.get("/agent"))["pop"]["queue"] == "sales"
        await ended(leg)
        await hears(call, tmp_path / "caller.wav", BO)

        # Out to a number where nobody answers: the caller is Emil's again.
        await emil.api.post(f"/agent/calls/{call_id}/transfer", {"to": {"kind": "number", "name": EXPERT}})
        refused = await rings(outside)
        await refused.answer(486)
        emils = await take(emil, BO)
        await hears(call, tmp_path / "caller2.wav", BO)
        # And where somebody does.
        await emil.api.post(f"/agent/calls/{call_id}/transfer", {"to": {"kind": "number", "name": EXPERT}})
        answered = await rings(outside)
        await answered.answer()
        await answered.confirmed.wait()
        await answered.play_tone(OUTSIDE)
        await ended(emils)
        await hears(call, tmp_path / "caller3.wav", OUTSIDE)
        await hears(answered, tmp_path / "expert.wav", CALLER)
        await answered.hang_up()
        await ended(call)
        await ada.wrap_up()
        await emil.wrap_up("other")

        call, leg, call_id = await talk(centre, room, ada)
        await ada.api.post(f"/agent/calls/{call_id}/transfer", {"to": {"kind": "flow", "name": "survey"}})
        await ended(leg)
        async with ApiPerson(centre, "supervisor") as supervisor:
            await supervisor.until("/state", lambda s: [c["state"] for c in s["calls"].values()] == ["menu"])
        await call.hang_up()
        await ended(call)
        await ada.wrap_up()
        row = await centre.record(where=f"call_id = '{call_id}'")
        assert (row["agent"], row["outcome"], row["hangup_by"]) == ("1001", "answered", "caller")


async def test_held_by_the_server_and_keys(moving: TestCentre, tmp_path: Path) -> None:
    centre = moving
    async with PhoneRoom() as room, sip_agent(centre, room, "1001") as ada:
        call, leg, call_id = await talk(centre, room, ada)
        began = time.monotonic()
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": True})
        await in_state(ada, "held", state="held")
        await hears(leg, tmp_path / "quiet.wav")
        await call.record(tmp_path / "music.wav")
        await asyncio.sleep(1.5)
        await call.stop_recording()
        assert loudness(tmp_path / "music.wav") > 60
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": True})  # said twice
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": False})
        await in_state(ada, "talking", state="talking")
        most = time.monotonic() - began
        await hears(call, tmp_path / "caller.wav", ADA)
        await hears(leg, tmp_path / "ada.wav", CALLER)
        await ada.api.post(f"/agent/calls/{call_id}/keys", {"keys": "12#"})
        # Held, and the caller hangs up: the agent is free of them.
        began = time.monotonic()
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": True})
        await in_state(ada, "held")
        await call.hang_up()
        await ended(leg)
        most += time.monotonic() - began
        await ada.wrap_up()
        row = await centre.record(where=f"call_id = '{call_id}'")
        assert (row["outcome"], row["hangup_by"]) == ("answered", "caller")
        assert 3.0 < row["hold_seconds"] < most
        # Held, and the agent hangs up: the caller waits for the next.
        call, leg, call_id = await talk(centre, room, ada)
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": True})
        await in_state(ada, "held")
        await leg.hang_up()
        await ada.wrap_up()
        leg = await take(ada, BO)
        assert (await ada.api.get("/agent"))["pop"]["call_id"] == call_id
        await hears(call, tmp_path / "again.wav", BO)
        await leg.hang_up()
        await ended(call)
        await ada.wrap_up()


async def test_a_colleague_is_asked_swapped_joined_and_gets_the_caller(moving: TestCentre, tmp_path: Path) -> None:
    centre = moving
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        sip_agent(centre, room, "1005") as emil,
    ):
        call, leg, call_id = await talk(centre, room, ada)
        base = f"/agent/calls/{call_id}"
        asked = {"to": {"kind": "agent", "name": "1005"}}
        # Refused by the colleague: the caller is still there.
        await ada.api.post(f"{base}/consult", asked)
        ringing = await emil.rings()
        pop = (await emil.api.until("/agent", lambda a: a["pop"] is not None))["pop"]
        assert (pop["kind"], pop["call_id"], pop["transferred_from"], pop["number"]) == (
            "consult",
            call_id,
            "1001",
            NUMBER,
        )
        await in_state(emil, "ringing")
        # Who asks hears that it rings, on whatever telephone.
        await leg.record(tmp_path / "ringing.wav")
        await asyncio.sleep(1.6)  # as long as the recording is to be
        await leg.stop_recording()
        assert_tones(tmp_path / "ringing.wav", *RINGBACK)
        await ringing.answer(603)
        mine = await asked_is(ada, "failed")
        assert (mine["talk"]["state"], mine["talk"]["consult"]["party"]) == ("held", "1005")
        await in_state(emil, "ready")
        # Asked again.
        await ada.api.post(f"{base}/consult", asked)
        theirs = await take(emil, BO)
        await in_state(ada, "held", state="consulting")
        await in_state(emil, "talking", call_id=call_id)
        await hears(leg, tmp_path / "ada1.wav", BO)
        await hears(theirs, tmp_path / "emil1.wav", ADA)
        # Ada and the caller; Emil hears music.
        await ada.api.post(f"{base}/consult/swap")
        await in_state(ada, "talking", state="talking")
        await hears(leg, tmp_path / "ada2.wav", CALLER)
        await hears(call, tmp_path / "caller2.wav", ADA)
        await ada.api.post(f"{base}/consult/swap")
        await in_state(ada, "held", state="consulting")
        await hears(leg, tmp_path / "ada3.wav", BO)
        await hears(theirs, tmp_path / "emil3.wav", ADA)
        # All three.
        together = -time.monotonic()
        await ada.api.post(f"{base}/consult/join")
        await in_state(ada, "talking", state="conference", conference=True)
        await in_state(emil, "talking", state="conference")
        await hears(leg, tmp_path / "ada4.wav", CALLER, BO)
        await hears(call, tmp_path / "caller4.wav", ADA, BO)
        await hears(theirs, tmp_path / "emil4.wav", CALLER, ADA)
        # Emil is dropped, and asked once more; then the caller is his.
        await ada.api.post(f"{base}/parties/1005/drop")
        await ended(theirs)
        together += time.monotonic()
        await in_state(ada, "talking", state="talking", conference=False)
        await emil.wrap_up("other")
        await ada.api.post(f"{base}/consult", asked)
        theirs = await take(emil, BO)
        await in_state(ada, "held", state="consulting")
        together -= time.monotonic()
        await ada.api.post(f"{base}/consult/complete", {"note": "knows you now"})
        await ended(leg)
        await in_state(ada, "wrap_up")
        mine = await in_state(emil, "talking", state="talking", transferred_from="1001", note="knows you now")
        await hears(call, tmp_path / "caller5.wav", BO)
        await hears(theirs, tmp_path / "emil5.wav", CALLER)
        await theirs.hang_up()
        await ended(call)
        together += time.monotonic()
        await ada.wrap_up()
        await emil.wrap_up("other")
        row = await centre.record(where=f"call_id = '{call_id}'")
    assert (row["agent"], row["outcome"], row["hangup_by"]) == ("1001", "answered", "agent")
    assert row["hold_seconds"] > 3
    # One file through consultations, a conference and the hand-over: the caller alone on the left; on the right whom the caller
    # hears. What the two agents said to each other is not in it.
    async with ApiPerson(centre, "supervisor") as supervisor:
        await kept(supervisor, call_id)
        samples, rate = await sound_of(centre, supervisor, call_id)
        marks = (await supervisor.get(f"/recordings/{call_id}"))["marks"]
    assert set().union(*voices(samples[:, 0], rate, CALLER, ADA, BO)) == {CALLER}
    others = voices(samples[:, 1], rate, CALLER, ADA, BO)
    said = [one for one in others if one]
    assert (said[0], said[-1]) == ({ADA}, {BO})
    assert {ADA, BO} in said
    assert CALLER not in set().union(*said)
    # What is on hold is not in the file: Ada alone, for as long as she was heard between the two questions, and only then Emil.
    assert next(n for n, one in enumerate(others) if BO in one) >= 3, others
    # Emil is in it for as long as he and the caller could hear each other: each question that only Ada could hear would be 3.8 s more. A
    # telephone that gets no processor makes it less and never more. His two beginnings and ends may be in the middle of a half second.
    assert sum(BO in one for one in others) / 2 <= together + 1.5, (together, others)
    assert {"held", "retrieved"} <= {mark["kind"] for mark in marks}


async def test_an_outside_expert_is_asked_and_the_caller_hangs_up_in_each_state(
    moving: TestCentre, tmp_path: Path
) -> None:
    centre = moving
    async with PhoneRoom() as room, sip_agent(centre, room, "1001") as ada:
        outside = await expert(centre, room)
        asked = {"to": {"kind": "number", "name": EXPERT}}
        # While the expert's telephone rings.
        call, leg, call_id = await talk(centre, room, ada)
        await ada.api.post(f"/agent/calls/{call_id}/consult", asked)
        ringing = await rings(outside)
        await call.hang_up()
        await ended(ringing, leg)
        await ada.wrap_up()
        # While Ada talks with the expert.
        call, leg, call_id = await talk(centre, room, ada)
        await ada.api.post(f"/agent/calls/{call_id}/consult", asked)
        answered = await rings(outside)
        await answered.answer()
        await answered.confirmed.wait()
        await in_state(ada, "held", state="consulting")
        await asked_is(ada, "talking")
        await call.hang_up()
        await ended(answered, leg)
        await ada.wrap_up()
        # The expert hangs up: back to the caller by itself. Then asked again, joined, and Ada leaves the two.
        call, leg, call_id = await talk(centre, room, ada)
        await ada.api.post(f"/agent/calls/{call_id}/consult", asked)
        answered = await rings(outside)
        await answered.answer()
        await answered.confirmed.wait()
        await asked_is(ada, "talking")
        await answered.hang_up()
        await in_state(ada, "talking", state="talking")
        await hears(call, tmp_path / "caller1.wav", ADA)
        await ada.api.post(f"/agent/calls/{call_id}/consult", asked)
        answered = await rings(outside)
        await answered.answer()
        await answered.confirmed.wait()
        await answered.play_tone(OUTSIDE)
        await asked_is(ada, "talking")
        await ada.api.post(f"/agent/calls/{call_id}/consult/join")
        await in_state(ada, "talking", conference=True)
        await hears(call, tmp_path / "caller2.wav", ADA, OUTSIDE)
        await leg.hang_up()
        await in_state(ada, "wrap_up")
        await hears(call, tmp_path / "caller3.wav", OUTSIDE)
        await hears(answered, tmp_path / "expert3.wav", CALLER)
        await call.hang_up()
        await ended(answered)
        await ada.wrap_up()
        row = await centre.record(where=f"call_id = '{call_id}'")
    assert (row["outcome"], row["hangup_by"]) == ("answered", "caller")


async def test_a_waiting_caller_is_picked_up_out_of_turn(moving: TestCentre, tmp_path: Path) -> None:
    centre = moving
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001", ready=False) as ada,
        sip_agent(centre, room, "1002") as bo,
    ):
        phone = await caller(centre, room, NUMBER)
        call = await call_in(phone, "5001", keys="")
        # Rings at Bo's; Ada takes it.
        elsewhere = await bo.rings()
        await ada.ready()
        (waiting,) = (await ada.api.get("/agent/waiting"))["calls"]
        assert (waiting["number"], waiting["ringing"]) == (NUMBER, True)
        await ada.api.post("/agent/pick-up", {"call_id": waiting["call_id"]})
        leg = await take(ada, ADA)
        await ended(elsewhere)
        await hears(call, tmp_path / "caller.wav", ADA)
        await call.hang_up()
        await ended(leg)
        await ada.wrap_up()


async def test_the_bridge_is_killed_in_consultation_and_conference(moving: TestCentre, tmp_path: Path) -> None:
    centre = moving
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        sip_agent(centre, room, "1005") as emil,
    ):
        call, leg, call_id = await talk(centre, room, ada)
        asked = {"to": {"kind": "agent", "name": "1005"}}
        await ada.api.post(f"/agent/calls/{call_id}/consult", asked)
        theirs = await take(emil, BO)
        await in_state(ada, "held", state="consulting")
        await in_state(emil, "talking")
        await kill_bridge(centre)
        await in_state(ada, "held", state="consulting")
        await in_state(emil, "talking", call_id=call_id)
        await hears(leg, tmp_path / "ada1.wav", BO)
        await ada.api.post(f"/agent/calls/{call_id}/consult/join")
        await in_state(ada, "talking", state="conference")
        await kill_bridge(centre)
        await in_state(ada, "talking", state="conference")
        await in_state(emil, "talking", state="conference")
        await hears(call, tmp_path / "caller1.wav", ADA, BO)
        await leg.hang_up()
        await in_state(ada, "wrap_up")
        await hears(call, tmp_path / "caller2.wav", BO)
        await theirs.hang_up()
        await ended(call)
        await ada.wrap_up()
        await emil.wrap_up("other")
        row = await centre.record(where=f"call_id = '{call_id}'")
    assert (row["outcome"], row["agent"]) == ("answered", "1001")
