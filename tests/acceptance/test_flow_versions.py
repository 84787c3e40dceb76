"""A flow is changed under its callers: who is in it stays on what they began with, even over a killed bridge; a draft is heard
on the test number only; what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import call_in, caller
from tests.support.centre import REPOSITORY, ApiPerson, TestCentre, running_centre

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

LINE = """flow: line
languages: [en]
start: ask
failure: end
steps:
  ask:
    menu: [welcome]
    choices: {{1: {{label: {label}, go: more}}}}
    tries: 9
    first_digit: 20s
    no_input: end
    invalid: end
  more: {{sub_flow: part, returns: {{done: end}}, go: end}}
  end: {{queue: support}}
"""
PART = """flow: part
languages: [en]
start: ask
failure: end
steps:
  ask:
    menu: [welcome]
    choices: {{1: {{label: {label}, go: back}}}}
    no_input: back
    invalid: back
  back: {{return: done}}
  end: {{queue: support}}
"""
NUMBERS = """numbers:
  "5098": {title: Line, flow: line, survival_queue: support}
  "5099": {title: Test, flow: line, survival_queue: support, draft: true}
"""


async def test_who_is_in_a_flow_stays_on_it(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    shutil.copytree(REPOSITORY / "ivr_flows", flows)
    line, part = flows / "line.yaml", flows / "part.yaml"
    line.write_text(LINE.format(label="Old"))
    part.write_text(PART.format(label="Old part"))
    with running_centre(
        tmp_path / "data", env={"CTI_FLOWS": str(flows), "CTI_SURVIVAL__RETRY_SECONDS": "60"}
    ) as centre:

        async def cti(*words: str, code: int = 0) -> str:
            done = await asyncio.to_thread(centre.cti, *words)
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout + done.stderr

        mine = tmp_path / "mine.yaml"
        mine.write_text((await cti("config", "export")).replace("\nnumbers:\n", f"\n{NUMBERS}", 1))
        await cti("config", "apply", str(mine))
        async with PhoneRoom() as room, ApiPerson(centre, "supervisor") as boss, ApiPerson(centre, "admin") as admin:

            async def begin(number: str, did: str) -> PhoneCall:
                call = await call_in(await caller(centre, room, number), did, keys="")
                await boss.until("/state", lambda s: _state(s, number) == "menu")
                return call

            old = await begin("+15550100071", "5098")
            line.write_text(LINE.format(label="New"))
            part.write_text(PART.format(label="New part"))
            said = await cti("flow", "apply", "line", "part", "--note", "New words", "--by", "sue")
            assert "line: step ask: choices.1.label: Old -> New" in said

            line.write_text(LINE.format(label="Bad").replace("go: more", "go: nowhere"))
            refused = await cti("flow", "apply", "line", code=1)
            assert f"{line}:8:" in refused
            assert 'there is no step "nowhere"' in refused

            line.write_text(LINE.format(label="Draft"))
            assert "dial 5099" in await cti("flow", "draft", "line")
            new, test = await begin("+15550100072", "5098"), await begin("+15550100073", "5099")

            await kill(centre)
            for number, call in (("+15550100071", old), ("+15550100072", new), ("+15550100073", test)):
                await through(boss, number, call)
            told = await admin.get("/flows/line/versions")
            assert [(row["action"], row["by"], row["note"]) for row in told["changes"]] == [
                ("drafted", told["changes"][0]["by"], ""),
                ("applied", "sue (as admin)", "New words"),
                ("applied", "", ""),
            ]
            await cti("flow", "rollback", "line")
            back = await begin("+15550100074", "5098")
            await through(boss, "+15550100074", back)
            for call in (old, new, test, back):
                assert not call.ended.is_set()
                await call.hang_up()
            await boss.until("/state", lambda s: not s["calls"])

        assert await choices(centre, "+15550100071") == ["Old", "Old part"]
        assert await choices(centre, "+15550100072") == ["New", "New part"]
        assert await choices(centre, "+15550100073") == ["Draft", "New part"]
        assert await choices(centre, "+15550100074") == ["Old", "New part"]
        tests = await centre.query(
            "SELECT DISTINCT call_id FROM cti.facts WHERE kind = 'FlowEntered' AND body->>'draft' = 'true'"
        )
        assert len(tests) == 1


def _state(view: dict, number: str) -> str:
    return next((c["state"] for c in view["calls"].values() if c["caller_number"] == number), "")


async def through(boss: ApiPerson, number: str, call: PhoneCall) -> None:
    """Press 1 as often as it takes, as a person does who is asked again; the caller waits in the end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        view = await boss.get("/state")
        if _state(view, number) == "waiting":
            return
        if _state(view, number) == "menu":
            await call.press("1")
        await asyncio.sleep(1.5)
    raise AssertionError(f"{number} is not through; {await boss.get('/state')}")


async def kill(centre: TestCentre) -> None:
    """SIGKILL the bridge, and wait for the next one."""
    old = centre.pid("bridge")
    os.kill(old, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = await asyncio.to_thread(centre.refresh)
        if told["pids"].get("bridge") not in (old, None) and told["ready"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the bridge did not come back")


async def choices(centre: TestCentre, number: str) -> list[str]:
    """What this caller chose, by the labels of the flow they were in, as soon as the database has it."""
    row = await centre.record(where=f"caller_number = '{number}'")
    facts = await centre.query(
        "SELECT body->>'choice' AS choice FROM cti.facts WHERE call_id = $1 AND kind = 'FlowStepDone' ORDER BY at, position",
        row["call_id"],
    )
    return [fact["choice"] for fact in facts if fact["choice"]]
