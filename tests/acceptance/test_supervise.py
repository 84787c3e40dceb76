"""Supervisors in real calls: who hears whom, in every mode, told by tones; from a SIP telephone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from tests.acceptance.people import caller, sip_agent
from tests.acceptance.test_bridge_killed import kill_bridge
from tests.acceptance.test_moving_calls import ADA, BO, CALLER, ended, hears, in_state, rings, take, talk
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.recorded import kept, share, sound_of
from tests.support.sound import loudness

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

BOSS, SECRET = 1450, 2100
"""What the supervisor says; what the caller says while the recording is paused."""


def centre_text(*, told: bool = True) -> str:
    """The demo centre with short rings, and a supervisor who acts on one queue. `told`: agents see that somebody listens."""
    tree = demo_tree()
    for queue in tree["queues"].values():
        queue |= {"ring_timeout": 5, "wrap_up": 60}
    tree["agents"]["1005"]["queues"] = ["sales"]
    tree["supervisors"] = {"lena": ["sales"]}
    tree["supervision"] = {"told": told}
    return text_of(tree)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("watched") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


@contextlib.asynccontextmanager
async def supervisor(
    centre: TestCentre, room: PhoneRoom, name: str = "supervisor"
) -> AsyncIterator[tuple[ApiPerson, Softphone]]:
    """Somebody who supervises, with a SIP telephone that is signed on."""
    async with ApiPerson(centre, name) as api:
        account = (await api.get("/supervision/phone"))["sip"]
        phone = await room.phone(user=account["username"], password=account["password"], server=account["registrar"])
        try:
            yield api, phone
        finally:
            with contextlib.suppress(AssertionError):
                await api.post("/supervision/stop")
            await phone.unregister()


async def begin(api: ApiPerson, phone: Softphone, call_id: str, mode: str) -> PhoneCall:
    """Have a part in the call; gives the supervisor's leg, speaking."""
    await api.post(f"/calls/{call_id}/watch", {"mode": mode, "device": "sip"})
    leg = await rings(phone)
    await leg.answer()
    await leg.confirmed.wait()
    await leg.play_tone(BOSS)
    await is_(api, mode)
    return leg


async def is_(api: ApiPerson, mode: str) -> dict[str, Any]:
    """The supervisor's part is this one now."""
    told = await api.until(
        "/supervision", lambda s: [(w["mode"], w["state"]) for w in s["watches"]] == [(mode, "there")]
    )
    return dict(told["watches"][0])


async def kinds(centre: TestCentre, call_id: str, *wanted: str) -> list[str]:
    found = await centre.query(
        "SELECT kind FROM cti.facts WHERE call_id = $1 AND kind = ANY($2) ORDER BY position", call_id, list(wanted)
    )
    return [row["kind"] for row in found]


async def test_listening_whispering_barging_and_taking_over(watched: TestCentre, tmp_path: Path) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        supervisor(centre, room) as (api, phone),
    ):
        call, leg, call_id = await talk(centre, room, ada)
        boss = await begin(api, phone, call_id, "listen")
        await hears(boss, tmp_path / "listen-boss.wav", CALLER, ADA)
        await hears(call, tmp_path / "listen-caller.wav", ADA)
        await hears(leg, tmp_path / "listen-agent.wav", CALLER)
        # The call knows of no other talker; the agent's page is told, for this centre wants it so.
        row = (await api.get("/state"))["calls"][call_id]
        assert (row["state"], row["talkers"]) == ("talking", ["1001"])
        assert (await ada.api.get("/agent"))["agent"]["watched"] is True

        await api.post("/supervision/mode", {"mode": "whisper"})
        await is_(api, "whisper")
        await hears(leg, tmp_path / "whisper-agent.wav", CALLER, BOSS)
        await hears(call, tmp_path / "whisper-caller.wav", ADA)
        await hears(boss, tmp_path / "whisper-boss.wav", CALLER, ADA)

        await api.post("/supervision/mode", {"mode": "barge"})
        await api.until("/state", lambda s: True)
        await in_state(ada, "talking", state="conference")
        await hears(call, tmp_path / "barge-caller.wav", ADA, BOSS)
        await hears(leg, tmp_path / "barge-agent.wav", CALLER, BOSS)
        await hears(boss, tmp_path / "barge-boss.wav", CALLER, ADA)

        await api.post("/supervision/mode", {"mode": "listen"})
        await in_state(ada, "talking", state="talking")
        await hears(call, tmp_path / "back-caller.wav", ADA)
        await hears(leg, tmp_path / "back-agent.wav", CALLER)
        await hears(boss, tmp_path / "back-boss.wav", CALLER, ADA)

        await api.post("/supervision/mode", {"mode": "take_over"})
        await ended(leg)
        await in_state(ada, "wrap_up")
        await hears(call, tmp_path / "taken-caller.wav", BOSS)
        await hears(boss, tmp_path / "taken-boss.wav", CALLER)
        await boss.hang_up()
        await ended(call)
        await ada.wrap_up()
        assert (await api.until("/supervision", lambda s: not s["watches"]))["watches"] == []
        row = await centre.record(where=f"call_id = '{call_id}'")
        assert (row["agent"], row["outcome"]) == ("1001", "answered")
        files = [file for file in (centre.data / "recordings").rglob(f"{call_id}*") if file.suffix != ".json"]
        assert sum(file.stat().st_size for file in files) > 100_000
        assert await kinds(centre, call_id, "CallAnswered", "TalkEnded", "PartyJoined", "PartyLeft") == [
            "CallAnswered",
            "PartyJoined",
            "PartyLeft",
            "PartyJoined",
            "TalkEnded",
            "PartyLeft",
        ]
        legs = await centre.query("SELECT * FROM report.legs WHERE call_id = $1 AND leg = 'supervisor'", call_id)
        assert [(leg["who"], leg["mode"], leg["direction"]) for leg in legs] == [("supervisor", "listen", "out")]
        assert legs[0]["began_at"] <= legs[0]["answered_at"] <= legs[0]["ended_at"]
        acts = (await api.until("/acts?subject=call:" + call_id, lambda a: len(a["acts"]) >= 5))["acts"]
        assert [(act["act"], act["after"].get("mode"), act["queue"]) for act in reversed(acts)] == [
            ("call_watch", "listen", "support"),
            ("watch_change", "whisper", "support"),
            ("watch_change", "barge", "support"),
            ("watch_change", "listen", "support"),
            ("watch_change", "take_over", "support"),
        ]


async def test_listening_goes_on_through_hold_consultation_and_transfer_and_over_a_killed_bridge(
    watched: TestCentre, tmp_path: Path
) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        sip_agent(centre, room, "1005") as emil,
        supervisor(centre, room) as (api, phone),
    ):
        call, leg, call_id = await talk(centre, room, ada)
        boss = await begin(api, phone, call_id, "listen")
        base = f"/agent/calls/{call_id}"
        await ada.api.post(f"{base}/hold", {"on": True})
        await in_state(ada, "held")
        await hears(boss, tmp_path / "held.wav", ADA)
        await ada.api.post(f"{base}/hold", {"on": False})
        await in_state(ada, "talking", state="talking")
        await hears(boss, tmp_path / "again.wav", CALLER, ADA)
        await ada.api.post(f"{base}/consult", {"to": {"kind": "agent", "name": "1005"}})
        theirs = await take(emil, BO)
        await in_state(ada, "held", state="consulting")
        await hears(boss, tmp_path / "asking.wav", ADA, BO)
        # The bridge dies meanwhile, and nobody notices.
        await kill_bridge(centre)
        await is_(api, "listen")
        await in_state(ada, "held", state="consulting")
        await hears(boss, tmp_path / "killed.wav", ADA, BO)
        await ada.api.post(f"{base}/consult/complete")
        await ended(leg)
        await in_state(emil, "talking", state="talking")
        # The caller is Emil's by now, and so is the supervisor.
        await api.until("/supervision", lambda s: [w["agent_id"] for w in s["watches"]] == ["1005"])
        await hears(boss, tmp_path / "handed.wav", CALLER, BO)
        await call.hang_up()
        await ended(theirs, boss)
        await api.until("/supervision", lambda s: not s["watches"])
        await ada.wrap_up()
        await emil.wrap_up("other")
        row = await centre.record(where=f"call_id = '{call_id}'")
        assert (row["outcome"], row["hangup_by"]) == ("answered", "caller")


async def test_a_bridge_that_dies_while_the_call_ends_leaves_no_leg_behind(watched: TestCentre, tmp_path: Path) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        supervisor(centre, room) as (api, phone),
    ):
        call, leg, call_id = await talk(centre, room, ada)
        boss = await begin(api, phone, call_id, "whisper")
        killed = asyncio.create_task(kill_bridge(centre))
        await call.hang_up()
        await ended(leg, boss, within=60)
        await killed
        await api.until("/supervision", lambda s: not s["watches"])
        await ada.wrap_up()
        row = await centre.record(where=f"call_id = '{call_id}'")
        assert (row["outcome"], row["hangup_by"], row["agent"]) == ("answered", "caller", "1001")


async def test_nothing_of_a_whispering_supervisor_or_of_a_pause_is_on_the_recording(
    watched: TestCentre, tmp_path: Path
) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        supervisor(centre, room) as (api, phone),
    ):
        call, leg, call_id = await talk(centre, room, ada)
        own = f"/calls/{call_id}/recording"
        await ada.api.until(own, lambda a: a["recording"])
        boss = await begin(api, phone, call_id, "whisper")
        await hears(leg, tmp_path / "whispered.wav", CALLER, BOSS)
        # Payment data: nobody listens, nobody whispers, and nothing of it is kept.
        await ada.api.post(own, {"action": "pause"})
        await api.until("/supervision", lambda s: [w["silent"] for w in s["watches"]] == [True])
        await call.play_tone(SECRET)
        await hears(boss, tmp_path / "paused-boss.wav")
        await hears(leg, tmp_path / "paused-agent.wav", SECRET)
        await call.play_tone(CALLER)
        await asyncio.sleep(0.5)
        await ada.api.post(own, {"action": "resume"})
        await hears(boss, tmp_path / "resumed-boss.wav", CALLER, ADA)
        await call.hang_up()
        await ended(leg, boss, within=60)
        await ada.wrap_up()
        await kept(api, call_id, "kept", "flagged", within=60)
        samples, rate = await sound_of(centre, api, call_id)
        for channel in samples.T:
            assert share(channel, BOSS, rate) < 0.01
            assert share(channel, SECRET, rate) < 0.01
        assert max(share(channel, CALLER, rate) for channel in samples.T) > 0.3


async def test_a_supervisor_of_another_queue_is_refused_and_acts_on_calls_leave_a_trace(
    watched: TestCentre, tmp_path: Path
) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        supervisor(centre, room) as (api, _),
        ApiPerson(centre, "lena") as lena,
    ):
        call, leg, call_id = await talk(centre, room, ada)
        for path, body in (
            (f"/calls/{call_id}/watch", {"mode": "listen"}),
            (f"/calls/{call_id}/hangup", {}),
            (f"/calls/{call_id}/send", {"to": {"kind": "queue", "name": "sales"}}),
            ("/agents/1008/state", {"state": "not_ready", "reason": "break"}),
            ("/queues/support/open", {"open": False}),
            ("/announcement", {"text": {"en": "Fire."}}),
            ("/calls/nobody-1.1/watch", {"mode": "listen"}),
        ):
            with pytest.raises(AssertionError, match="403"):
                await lena.post(path, body)
        # Whoever may, sends the caller on, closes the queue, tells the callers, and ends the call.
        await api.post("/messages", {"agents": ["1001"], "text": "Well done"})
        notice = (await ada.api.until("/agent", lambda a: a["agent"]["notices"]))["agent"]["notices"][0]
        assert notice["text"] == "Well done"
        await ada.api.post(f"/agent/messages/{notice['message_id']}/seen")
        await ada.api.until("/agent", lambda a: not a["agent"]["notices"])
        await api.post("/queues/sales/open", {"open": False, "reason": "storm"})
        assert (await api.until("/state", lambda s: not s["queues"]["sales"]["open"]))["queues"]["sales"]["forced"]
        await kill_bridge(centre)
        assert not (await api.until("/state", lambda s: s["queues"]))["queues"]["sales"]["open"]
        await api.post("/queues/sales/open", {"open": None})
        assert (await api.until("/state", lambda s: s["queues"]["sales"]["open"]))["queues"]["sales"]["forced"] == ""
        await api.post(f"/calls/{call_id}/hangup", {"reason": "abuse"})
        await ended(call, leg)
        await ada.wrap_up()
        acts = (await api.until("/acts", lambda a: any(x["act"] == "call_end" for x in a["acts"])))["acts"]
        mine = {act["act"]: act for act in acts}
        assert mine["call_end"]["reason"] == "abuse"
        forced = [(act["before"]["queue"], act["after"]["queue"]) for act in acts if act["act"] == "queue_force"]
        assert forced == [("closed", "calendar"), ("calendar", "closed")]
        assert not any(act["by"] == "lena" for act in acts)


async def test_an_emergency_is_heard_by_those_who_wait_and_who_come(watched: TestCentre, tmp_path: Path) -> None:
    centre = watched
    async with PhoneRoom() as room, supervisor(centre, room) as (api, _):
        line = await caller(centre, room, "+15550100002")
        call = await line.dial("5001")
        await call.confirmed.wait()
        await api.until("/state", lambda s: [c["state"] for c in s["calls"].values()] == ["waiting"])
        await api.post("/queues/support/announcement", {"text": {"en": "Our lines in the north are down."}})
        assert (await api.until("/state", lambda s: s["queues"]["support"]["emergency"]))["queues"]["support"]
        await asyncio.sleep(0)
        log = centre.data / "log"
        deadline = asyncio.get_running_loop().time() + 30
        found = False
        while not found and asyncio.get_running_loop().time() < deadline:
            found = any(b"emergency_announced" in file.read_bytes() for file in log.glob("*bridge*"))
            await asyncio.sleep(0.2)
        assert found
        await call.record(tmp_path / "told.wav")
        await asyncio.sleep(1.5)
        await call.stop_recording()
        assert loudness(tmp_path / "told.wav") > 60
        await api.post("/queues/support/announcement", {})
        await call.hang_up()
        await ended(call)
        # A queue that is closed by hand takes nobody who comes then.
        await api.post("/queues/support/open", {"open": False, "reason": "storm"})
        late = await line.dial("5001")
        await late.confirmed.wait()
        closed = await centre.told_by(
            "SELECT body ->> 'queue' AS queue FROM cti.facts WHERE kind = 'CallDequeued' AND body ->> 'reason' = 'closed'"
        )
        assert [row["queue"] for row in closed] == ["support"]
        await late.hang_up()
        await ended(late)
        await api.post("/queues/support/open", {"open": None})
