"""The caller's way through the real dialplan, with a bridge, without one, and with one that fails in between."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

import pytest

from cti.asterisk.render import LEDGER_COLUMNS
from tests.integration.asterisk_rig import AgiSession, Rig, names, running_asterisk, until
from tests.support.sipp import Sipp, SippResult, run_sipp

pytestmark = [pytest.mark.real, pytest.mark.beside]

ALLOWED_ERRORS = (
    ("Could not create dialog to invalid URI", "the native queue tries an agent's device that is not registered"),
    ("Failed to create outgoing session to endpoint", "the line after it"),
)
"""(part of an ERROR line, reason why it may be there). Only in survival; booting and the bridge's calls allow none."""

CALLER = {"number": "+15551234567", "display": "Caller"}


def errors(rig: Rig, *, survival: bool = False) -> list[str]:
    """ERROR lines that no rule allows."""
    allowed = [part for part, _ in ALLOWED_ERRORS] if survival else []
    return [line for line in rig.log_lines("ERROR") if not any(part in line for part in allowed)]


def stays(rig: Rig, **options: object) -> Sipp:
    """A caller who stays until hung up on."""
    return Sipp("caller_stays", local=rig.carrier, remote=rig.sip, keys=CALLER, **options)  # type: ignore[arg-type]


async def leaves(rig: Rig, pause_ms: int, **options: object) -> SippResult:
    """A caller who hangs up after `pause_ms`."""
    return await run_sipp("caller_leaves", local=rig.carrier, remote=rig.sip, keys=CALLER, pause_ms=pause_ms, **options)


async def test_boots_clean(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig:
        assert "fully booted" in await rig.process.cli("core waitfullybooted")
        endpoints = await rig.process.cli("pjsip show endpoints")
        for name in ("1001", "1001-web", "1002", "1002-web", "trunk", "webcall-01", "webcall-20"):
            assert f" {name}/" in endpoints
        modules = await rig.process.cli("module show")
        for dangerous in ("app_system", "func_shell", "func_curl", "func_env", "func_realtime", "res_pjsip_diversion"):
            assert dangerous not in modules
        assert "Not Running" not in modules
    assert errors(rig) == []
    assert rig.log_lines("WARNING") == []
    for file in rig.paths.etc.rglob("*.conf"):
        assert file.stat().st_mode & 0o077 == 0, file


async def test_flow_wait_deliver_answer(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001") as phone:
        await phone.register()
        async with stays(rig) as caller:
            inbound = await rig.ami.event("CtiInbound")
            assert inbound["Number"] == CALLER["number"]
            assert inbound["Did"] == "5000"
            assert inbound["Call"] == inbound["Uniqueid"]
            assert inbound["Call"].startswith("a1-")
            await rig.bridge.visited("call")
            assert rig.bridge.visits[0] == ("call", [inbound["Call"], CALLER["number"], "5000", ""])
            wait = await rig.ami.event("CtiWait", Call=inbound["Call"])
            assert wait["ChanVariable(CTI_CALL)"] == inbound["Call"] if "ChanVariable(CTI_CALL)" in wait else True
            rig.deliver(wait["Channel"], 7)
            call = await asyncio.wait_for(phone.arrived.get(), 60)
            assert call.invite["x-cti-call"] == inbound["Call"]
            assert call.invite["x-cti-offer"] == "0000000007"
            assert CALLER["number"] in call.invite["from"]
            await asyncio.wait_for(call.answered.wait(), 60)
            bridged = await rig.ami.event("BridgeEnter", Channel=wait["Channel"])
            assert bridged["Exten"] == "000000000711001"
            begun = await rig.ami.event("DialBegin")
            assert begun["DestExten"] != "" or begun["Exten"] == "000000000711001"
            phone.hang_up(call)
            result = await caller.finished()
        assert (result.status, result.successful) == (0, 1), result.output
        await rig.ami.event("Hangup", Channel=wait["Channel"])
        assert set(names(rig.ami.events)) <= {
            "FullyBooted", "CtiInbound", "CtiWait", "DialBegin", "DialState", "DialEnd", "BridgeEnter", "ContactStatus", "BridgeLeave",
            "HangupRequest", "Hangup", "DeviceStateChange",
        }  # fmt: skip
        assert b"Privilege: security" not in rig.ami.raw
    assert errors(rig) == []


@pytest.mark.parametrize(
    ("behaviour", "status", "cause"),
    [
        ("ring", "NOANSWER", "19"),
        ("486 Busy Here", "BUSY", "17"),
        ("603 Decline", "CHANUNAVAIL", "21"),
        ("480 Temporarily Unavailable", "NOANSWER", "19"),
        ("unregistered", "CHANUNAVAIL", "20"),
        ("dead", "CHANUNAVAIL", "20"),
    ],
)
async def test_not_answered_returns_and_keeps_waiting(tmp_path: Path, behaviour: str, status: str, cause: str) -> None:
    async def short_ring(session: AgiSession) -> None:
        await session.set(CTI_QUEUE="support", CTI_RING="1", CTI_NEXT="wait")

    async with running_asterisk(tmp_path) as rig, rig.phone("1001", behaviour=behaviour) as phone:
        rig.bridge.handlers["call"] = short_ring
        if behaviour != "unregistered":
            await phone.register()
        async with stays(rig) as caller:
            first = await rig.ami.event("CtiWait")
            if behaviour == "dead":
                phone.alive = False
                await rig.ami.event("DeviceStateChange", Device="PJSIP/1001", State="UNAVAILABLE")
            mark = len(rig.ami.events)
            rig.deliver(first["Channel"], 12)
            back = await rig.ami.event("CtiReturned", since=mark)
            assert (back["Call"], back["Offer"]) == (first["Call"], "0000000012")
            assert back["DialStatus"] == status
            assert back["Cause"] == cause
            await rig.ami.event("CtiWait", since=mark, Call=first["Call"])
            # A next offer has its own cause, not that of the one before.
            if behaviour == "603 Decline":
                phone.behaviour = "ring"
                mark = len(rig.ami.events)
                rig.deliver(first["Channel"], 14)
                again = await rig.ami.event("CtiReturned", since=mark)
                assert (again["DialStatus"], again["Cause"]) == ("NOANSWER", "19")
                await rig.ami.event("CtiWait", since=mark)
            # And the phone may answer the next.
            if behaviour not in ("unregistered", "dead"):
                phone.behaviour = "answer"
                mark = len(rig.ami.events)
                rig.deliver(first["Channel"], 13)
                await rig.ami.event("BridgeEnter", since=mark, Channel=first["Channel"])
                phone.hang_up(phone.calls[-1])
                assert (await caller.finished()).successful == 1
    assert errors(rig) == []


async def test_redirect_back_while_ringing(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001", behaviour="ring") as phone:
        await phone.register()
        async with stays(rig):
            wait = await rig.ami.event("CtiWait")
            rig.deliver(wait["Channel"], 1)
            call = await asyncio.wait_for(phone.arrived.get(), 60)
            mark = len(rig.ami.events)
            await rig.ami.action(
                Action="Redirect", Channel=wait["Channel"], Context="cti-wait", Exten="s", Priority="1"
            )
            await rig.ami.event("CtiWait", since=mark)
            await asyncio.wait_for(call.ended.wait(), 60)
            assert call.end == "cancelled"
            assert "CtiReturned" not in names(rig.ami.events), "it did not ring to its end"


async def test_caller_hangs_up_while_ringing(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001", behaviour="ring") as phone:
        await phone.register()
        leaving = asyncio.create_task(leaves(rig, 1500))
        wait = await rig.ami.event("CtiWait")
        rig.deliver(wait["Channel"], 1)
        call = await asyncio.wait_for(phone.arrived.get(), 60)
        await asyncio.wait_for(call.ended.wait(), 60)
        assert call.end == "cancelled"
        assert (await leaving).successful == 1
        gone = await rig.ami.event("Hangup", Channel=wait["Channel"])
        assert gone["Uniqueid"] == wait["Call"]
        assert "CtiReturned" not in names(rig.ami.events)


async def test_waiting_visits_and_misses(tmp_path: Path) -> None:
    """Visits come as set; a bridge that goes and comes back within the misses is not noticed by the caller."""
    survival = {"wait_visit_seconds": 2, "wait_misses": 3}
    async with running_asterisk(tmp_path, survival=survival) as rig, stays(rig):
        wait = await rig.ami.event("CtiWait")
        await rig.bridge.visited("wait", count=2)
        assert rig.bridge.visits[-1] == ("wait", [wait["Call"], CALLER["number"], "5000", ""])
        await rig.bridge.stop()
        async with asyncio.timeout(60):
            while True:
                misses = await rig.ami.action(Action="Getvar", Channel=wait["Channel"], Variable="CTI_MISSES")
                if misses["Value"] == "1":
                    break
        await rig.bridge.start()
        await rig.bridge.visited("wait", count=4)
        misses = await rig.ami.action(Action="Getvar", Channel=wait["Channel"], Variable="CTI_MISSES")
        assert misses["Value"] in ("0", "1")
        assert "CtiSurvival" not in names(rig.ami.events)


async def test_hung_bridge_is_a_missed_visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge that accepts and says nothing: the visit ends at its limit and counts as missed."""
    monkeypatch.setattr("cti.asterisk.render.VISIT_LIMIT_SECONDS", 2)
    hung = asyncio.Event()

    async def silence(session: AgiSession) -> None:
        hung.set()
        await session.reader.read()

    survival = {"wait_visit_seconds": 2, "wait_misses": 2, "queue_seconds": 5}
    async with running_asterisk(tmp_path, survival=survival) as rig, stays(rig):
        rig.bridge.handlers["wait"] = silence
        await asyncio.wait_for(hung.wait(), 60)
        await rig.ami.event("CtiSurvival", Queue="support")


async def test_flow_cut_off_resumes(tmp_path: Path) -> None:
    """The bridge dies in the middle of a flow: the caller hears music, and the next bridge is asked again."""
    asked = 0

    async def dies_once(session: AgiSession) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            session.writer.transport.abort()
        else:
            await session.set(CTI_QUEUE="support", CTI_NEXT="wait")

    async with running_asterisk(tmp_path) as rig, stays(rig):
        rig.bridge.handlers["call"] = dies_once
        await rig.ami.event("CtiWait")
        assert asked == 2
        assert "CtiSurvival" not in names(rig.ami.events)


async def test_flow_says_hang_up(tmp_path: Path) -> None:
    async def bye(session: AgiSession) -> None:
        await session.set(CTI_NEXT="hangup")

    async with running_asterisk(tmp_path) as rig:
        rig.bridge.handlers["call"] = bye
        async with stays(rig) as caller:
            assert (await caller.finished()).successful == 1


async def test_no_bridge_native_queue_reaches_an_agent(tmp_path: Path) -> None:
    survival = {"retry_seconds": 1, "queue_seconds": 30}
    async with running_asterisk(tmp_path, bridge=False, survival=survival) as rig, rig.phone("1002") as phone:
        await phone.register()
        async with stays(rig, service="+15550100") as caller:
            inbound = await rig.ami.event("CtiInbound", Did="+15550100")
            survival_event = await rig.ami.event("CtiSurvival", Call=inbound["Call"])
            assert survival_event["Queue"] == "sales"
            call = await asyncio.wait_for(phone.arrived.get(), 60)
            await asyncio.wait_for(call.answered.wait(), 60)
            await rig.ami.event("BridgeEnter", Channel=inbound["Channel"])
            async with stays(rig):
                # The bridge is back and does not know yet that Asterisk's own queue has taken this agent.
                second = await rig.ami.event("CtiInbound", Did="5000")
                rig.deliver(second["Channel"], 8, agent="1002")
                await rig.ami.event("CtiReturned", Offer="0000000008")
                assert phone.arrived.empty()
            phone.hang_up(call)
            assert (await caller.finished()).successful == 1
        await until(lambda: sum('"HANGUP"' in line for line in rig.ledger()) >= 2, "hang-ups in the ledger")
        rows = [dict(zip(LEDGER_COLUMNS, row, strict=True)) for row in csv.reader(rig.ledger())]
        own = [row for row in rows if row["linked_id"] == inbound["Call"]]
        marks = {row["event"]: json.loads(row["extra"])["extra"] for row in own if row["event"].startswith("CTI_")}
        assert marks["CTI_INBOUND"] == f"{inbound['Call']}|{CALLER['number']}|+15550100"
        assert marks["CTI_SURVIVAL"] == f"{inbound['Call']}|sales"
        answered = [row for row in own if row["event"] == "BRIDGE_ENTER" and row["channel"].startswith("PJSIP/1002-")]
        assert answered
        assert answered[0]["linked_id"] == inbound["Call"]
        assert float(answered[0]["at"]) > 1_000_000_000
    assert errors(rig, survival=True) == []


async def test_no_bridge_no_agent_voicemail(tmp_path: Path) -> None:
    """Nobody registered: at once past the queue, prompt, beep, and the message is on the disk, told when they hang up."""
    survival = {"retry_seconds": 1, "queue_seconds": 5}
    async with running_asterisk(tmp_path, bridge=False, survival=survival) as rig:
        result = await leaves(rig, 16000)
        assert result.successful == 1, result.output
        left = await rig.ami.event("CtiVoicemail")
        message = rig.paths.voicemail / left["Path"]
        await until(message.is_file, "the message's file")
        assert message.name == f"{left['Call']}.wav"
        await until(lambda: any("CTI_VOICEMAIL" in line for line in rig.ledger()), "voicemail in the ledger")
    assert errors(rig, survival=True) == []


async def test_waiting_caller_survives_in_own_queue(tmp_path: Path) -> None:
    """A caller who was waiting goes on to the native queue of the queue the bridge had chosen."""

    async def to_sales(session: AgiSession) -> None:
        await session.set(CTI_QUEUE="sales", CTI_NEXT="wait")

    survival = {"wait_visit_seconds": 2, "wait_misses": 1}
    async with running_asterisk(tmp_path, survival=survival) as rig, rig.phone("1001") as phone:
        rig.bridge.handlers["call"] = to_sales
        await phone.register()
        async with stays(rig) as caller:
            await rig.ami.event("CtiWait")
            await rig.bridge.stop()
            event = await rig.ami.event("CtiSurvival")
            assert event["Queue"] == "sales"
            call = await asyncio.wait_for(phone.arrived.get(), 60)
            await asyncio.wait_for(call.answered.wait(), 60)
            phone.hang_up(call)
            assert (await caller.finished()).successful == 1


async def test_recording_starts_once(tmp_path: Path) -> None:
    async def record(session: AgiSession) -> None:
        await session.set(CTI_QUEUE="support", CTI_RING="1", CTI_RECORD="1", CTI_NEXT="wait")

    async with running_asterisk(tmp_path) as rig, rig.phone("1001", behaviour="486 Busy Here") as phone:
        rig.bridge.handlers["call"] = record
        await phone.register()
        async with stays(rig) as caller:
            wait = await rig.ami.event("CtiWait")
            rig.deliver(wait["Channel"], 1)
            await rig.ami.event("CtiReturned")
            phone.behaviour = "answer"
            mark = len(rig.ami.events)
            await rig.ami.event("CtiWait", since=1)
            rig.deliver(wait["Channel"], 2)
            await rig.ami.event("BridgeEnter", since=mark)
            phone.hang_up(phone.calls[-1])
            await caller.finished()
        assert names(rig.ami.events).count("MixMonitorStart") == 1
        told = await rig.ami.event("MixMonitorStart")
        assert told["Uniqueid"] == wait["Call"]
        await until((rig.paths.recordings / "live" / f"{wait['Call']}.caller.sln").is_file, "the recording")
