"""Flows that record, ask, promise a callback and connect to a number outside, on a real line."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import call_in, caller, key_in
from tests.acceptance.test_callbacks import CARRIERS_PORT, carrier_of, rings
from tests.support.centre import REPOSITORY, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

OUTSIDE = "+15550107778"
OUT = f"""flow: out
languages: [en, zh]
start: code
failure: sorry
steps:
  code: {{collect: welcome, length: 2, as: code, go: far, no_input: sorry, invalid: sorry}}
  far: {{transfer: {{number: "{OUTSIDE}"}}, busy: again, failure: sorry}}
  again: {{say: [{{digits_of: code}}], go: sorry}}
  sorry: {{voicemail: silently}}
"""
SCRIPTED = """flow: scripted
languages: [en, zh]
start: inside
failure: sorry
steps:
  inside: {sub_flow: ask, go: rate}
  rate: {python: doubled, send: {known: customer.known}, keep: {twice: number twice}, go: hangs, failure: sorry}
  hangs: {run_script: hangs, deadline: 2s, go: sorry, failed: sorry, overdue: said}
  said: {say: [{number: '1 + 1'}], go: bye}
  bye: {hang_up: silently}
  sorry: {voicemail: silently}
"""
ASK = """flow: ask
languages: [en, zh]
start: key
failure: out
steps:
  key: {run_script: key, go: back, failed: out}
  back: {return: done}
  out: {queue: support}
"""
KEY_SCRIPT = """from asterisk.agi import AGI

agi = AGI()
agi.answer()
if agi.wait_for_digit(20000) != "8":
    raise SystemExit(1)
"""
FUNCTIONS = """from cti.outside.functions import for_flows

@for_flows
def doubled(sent):
    return {"twice": 2}
"""


@pytest.fixture(scope="module")
def own_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """The demo centre with a carrier that takes calls, and flows of its own, on 5011 and 5012."""
    data = tmp_path_factory.mktemp("steps") / "data"
    data.mkdir()
    tree = demo_tree()
    tree["numbers"]["5011"] = {"flow": "out", "survival_queue": "support"}
    tree["numbers"]["5012"] = {"flow": "scripted", "survival_queue": "support"}
    tree["functions"] = {"doubled": "steps_test_functions:doubled"}
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    flows = data.parent / "flows"
    shutil.copytree(REPOSITORY / "ivr_flows", flows)
    for name, flow in (("out", OUT), ("scripted", SCRIPTED), ("ask", ASK)):
        (flows / f"{name}.yaml").write_text(flow)
    (flows / "scripts").mkdir()
    (flows / "scripts" / "key.py").write_text(KEY_SCRIPT)
    (flows / "scripts" / "hangs.py").write_text("import time\ntime.sleep(6)\n")
    (flows / "steps_test_functions.py").write_text(FUNCTIONS)
    centre = TestCentre(data, env={"CTI_FLOWS": str(flows), "PYTHONPATH": str(flows)})
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def facts_of(centre: TestCentre, number: str, *kinds: str) -> list[dict[str, Any]]:
    rows = await centre.query(
        "SELECT body FROM cti.facts WHERE kind = ANY($2) AND call_id IN"
        " (SELECT call_id FROM cti.facts WHERE kind = 'CallStarted' AND body->>'caller_number' = $1"
        " AND body->>'direction' = 'inbound') ORDER BY at, position",
        number, list(kinds),
    )  # fmt: skip
    return [json.loads(row["body"]) for row in rows]


async def way(centre: TestCentre, number: str) -> list[str]:
    return [f"{step['step']}.{step['result']}" for step in await facts_of(centre, number, "FlowStepDone")]


async def walked(centre: TestCentre, number: str, step: str) -> None:
    """The caller has come so far."""
    async with asyncio.timeout(60):
        while step not in await way(centre, number):  # noqa: ASYNC110 - a database has no event
            await asyncio.sleep(0.2)


async def recording_of(centre: TestCentre, known: set[Path], within: float = 60) -> Path:
    """The recording that begins now, once there is some sound in it."""
    folder = centre.data / "recordings"
    async with asyncio.timeout(within):
        while not (new := set(folder.glob("*.wav")) - known):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)
    (file,) = new
    return file


def seconds_in(file: Path) -> float:
    with wave.open(str(file)) as sound:
        return sound.getnframes() / sound.getframerate()


async def ended(call: PhoneCall, within: float = 60) -> None:
    async with asyncio.timeout(within):
        await call.ended.wait()


async def test_a_complaint_is_on_the_disk_and_the_customer_will_be_called_back(own_centre: TestCentre) -> None:
    centre, number = own_centre, "+15550100061"
    async with PhoneRoom() as room:
        call = await call_in(await caller(centre, room, number), "5006", keys="1")  # a delivery
        await call.play_tone(500)  # before the recording begins: who says nothing for four seconds has said nothing
        await asyncio.sleep(1.2)
        began = time.monotonic()
        await call.press("5")  # skips the prompt
        file = await recording_of(centre, set())
        await asyncio.sleep(3)
        await call.press("#")
        most = time.monotonic() - began
        await asyncio.sleep(1.5)
        await call.press("1")  # while the number is being read out
        await ended(call)
        row = await centre.record(where=f"caller_number = '{number}' AND direction = 'inbound'")
        (message,) = await facts_of(centre, number, "MessageRecorded")
        (asked,) = await facts_of(centre, number, "CallbackAsked")
        steps = await way(centre, number)
    assert (row["outcome"], row["hangup_by"]) == ("callback", "system")
    assert (message["kind"], message["path"], message["step"]) == ("message", file.name, "complaint")
    assert message["seconds"] == pytest.approx(seconds_in(file), abs=0.15)
    assert 2.5 < message["seconds"] < most + 1
    assert_tone(file, 500)
    assert (asked["number"], asked["confirmed"]) == (number, True)
    assert steps == [
        "who.unknown", "matter.choice", "complaint.recorded", "call_back.done", "promised.done", "bye.done",
    ]  # fmt: skip


async def test_a_survey_in_chinese_is_kept_though_the_caller_hangs_up_in_the_comment(own_centre: TestCentre) -> None:
    centre, number = own_centre, "+15550100062"
    known = set((centre.data / "recordings").glob("*.wav"))
    async with PhoneRoom() as room:
        call = await call_in(await caller(centre, room, number), "5005", keys="9154")
        await call.play_tone(700)  # as above
        await key_in(call, "0")
        file = await recording_of(centre, known)
        await asyncio.sleep(2.5)
        await call.hang_up()
        row = await centre.record(where=f"caller_number = '{number}'")
        scores = await facts_of(centre, number, "SurveyAnswered")
        (comment,) = await facts_of(centre, number, "MessageRecorded")
    assert [(score["question"], score["score"]) for score in scores] == [("solved", 5), ("friendly", 4)]
    assert (comment["kind"], comment["path"]) == ("comment", file.name)
    assert comment["seconds"] == pytest.approx(seconds_in(file), abs=0.15)
    assert_tone(file, 700)
    assert (row["language"], row["outcome"], row["hangup_by"]) == ("zh", "abandoned", "caller")


async def test_silence_after_the_tone_is_nobodys_complaint(own_centre: TestCentre) -> None:
    centre, number = own_centre, "+15550100063"
    known = set((centre.data / "recordings").glob("*.wav"))
    async with PhoneRoom() as room:
        call = await call_in(await caller(centre, room, number), "5006", keys="25")
        await recording_of(centre, known)
        await walked(centre, number, "complaint.empty")
        await call.hang_up()
    assert set((centre.data / "recordings").glob("*.wav")) == known
    assert await facts_of(centre, number, "MessageRecorded") == []


async def test_a_number_that_is_busy_leads_back_into_the_flow_and_one_that_answers_ends_it(
    own_centre: TestCentre,
) -> None:
    centre, number, other = own_centre, "+15550100064", "+15550100065"
    async with PhoneRoom() as room:
        carrier = await carrier_of(centre, room)
        call = await call_in(await caller(centre, room, number), "5011", keys="47")
        refused = await rings(carrier)
        assert refused.invite.startswith(f"INVITE sip:{OUTSIDE}@")
        assert number not in refused.invite
        await refused.answer(486)
        await walked(centre, number, "sorry.sent")
        assert await way(centre, number) == ["code.collected", "far.sent", "far.busy", "again.done", "sorry.sent"]
        await call.hang_up()
        (failed,) = await facts_of(centre, number, "TransferFailed")
        assert failed["status"] == "busy"

        answered = await call_in(await caller(centre, room, other), "5011", keys="11")
        outside = await rings(carrier)
        await outside.answer()
        await outside.confirmed.wait()
        await asyncio.sleep(0.5)
        await outside.hang_up()
        await ended(answered)
        row = await centre.record(where=f"caller_number = '{other}'")
    assert row["outcome"] == "overflow"
    assert await way(centre, other) == ["code.collected", "far.sent"]


async def test_scripts_run_as_they_stand_and_one_that_hangs_loses_nobody(own_centre: TestCentre) -> None:
    centre, number = own_centre, "+15550100066"
    async with PhoneRoom() as room:
        call = await call_in(await caller(centre, room, number), "5012", keys="8")
        # The script's time is up, its connection is closed, and the caller comes back in another and goes on behind it.
        await ended(call)
        row = await centre.record(where=f"caller_number = '{number}'")
        steps = await facts_of(centre, number, "FlowStepDone")
    way_ = [f"{step['flow']}.{step['step']}.{step['result']}" for step in steps]
    assert way_ == [
        "ask.key.done", "ask.back.done", "scripted.inside.returned", "scripted.rate.done", "scripted.hangs.overdue",
        "scripted.said.gone", "scripted.said.done", "scripted.bye.done",
    ]  # fmt: skip
    assert (row["outcome"], row["hangup_by"]) == ("self_served", "system")
