"""No bridge at all: callers are still answered by agents, or leave a message; the records appear when the bridge is back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import caller
from tests.support.centre import REPOSITORY, ApiPerson, TestCentre
from tests.support.recorded import kept, share, sound_of
from tests.support.sound import assert_tone, longest_silence

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


class AsteriskAlone:
    """`cti asterisk start`: Asterisk with the centre's configuration, nothing else of ours."""

    def __init__(self, centre: TestCentre) -> None:
        self._centre = centre
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> None:
        command = [sys.executable, "-m", "cti", "asterisk", "start", "--data", str(self._centre.data)]
        self._process = await asyncio.to_thread(
            subprocess.Popen, command, env=self._centre.env, cwd=REPOSITORY,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    async def __aexit__(self, *_exc: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._process.wait, 20)


async def test_an_agent_answers_without_a_bridge_a_message_is_left_and_both_are_recorded_later(tmp_path: Path) -> None:
    # Short times, or the test would wait a minute for the native queue to give up.
    env = {"CTI_SURVIVAL__RETRY_SECONDS": "3", "CTI_SURVIVAL__QUEUE_SECONDS": "12"}
    centre = TestCentre(tmp_path / "data", env=env)
    await asyncio.to_thread(centre.start)
    told = centre.told
    await asyncio.to_thread(centre.stop)
    async with AsteriskAlone(centre), PhoneRoom() as room:
        account = next(a for a in told["agents"] if a["agent_id"] == "1008")["sip"]
        agent = await _registered(room, account)
        phone = await caller(centre, room, "+15550100002")
        called = time.time()
        call = await phone.dial("5000")
        async with asyncio.timeout(60):
            await call.confirmed.wait()
        await call.record(tmp_path / "waited.wav")
        async with asyncio.timeout(60):
            ringing = await agent.incoming.get()
        await ringing.answer()
        await ringing.confirmed.wait()
        answered = time.time()
        await call.stop_recording()
        await call.play_tone(440)
        await ringing.play_tone(620)
        await ringing.record(tmp_path / "agent-heard.wav")
        await asyncio.sleep(2.5)
        await ringing.stop_recording()
        await ringing.hang_up()
        ended = time.time()
        async with asyncio.timeout(60):
            await call.ended.wait()
        await agent.unregister()
        # Nobody is registered now: the second caller waits in the native queue, then leaves a message.
        second = await (await caller(centre, room, "+15550100003")).dial("5001")
        async with asyncio.timeout(60):
            await second.confirmed.wait()
        await second.play_tone(500)
        async with asyncio.timeout(60):
            while not any((centre.data / "voicemail").glob("*.wav")):  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.2)
        await asyncio.sleep(3)
        await second.hang_up()
    assert longest_silence(tmp_path / "waited.wav") < 3.0
    assert_tone(tmp_path / "agent-heard.wav", 440)
    await asyncio.to_thread(centre.start)
    try:
        answered_row = await centre.record(where="outcome = 'answered'")
        message_row = await centre.record(where="outcome = 'voicemail'")
        count = await centre.query("SELECT count(*) FROM report.calls")
        async with ApiPerson(centre, "supervisor") as supervisor:
            recording = await kept(supervisor, answered_row["call_id"], within=60)
            samples, rate = await sound_of(centre, supervisor, answered_row["call_id"])
            (message,) = (await supervisor.get("/recordings?kind=voicemail"))["recordings"]
            talks = (await supervisor.get("/recordings?kind=talk"))["recordings"]
        began = await centre.query("SELECT call_id, body FROM cti.facts WHERE kind = 'RecordingStarted'")
        inferred = await centre.query(
            "SELECT bool_and((body->>'inferred')::bool) AS all FROM cti.facts WHERE kind IN ('CallStarted', 'CallEnded')"
        )
    finally:
        await asyncio.to_thread(centre.stop)
    assert count[0]["count"] == 2
    assert inferred[0]["all"] is True
    assert (answered_row["agent"], answered_row["hangup_by"], answered_row["queue"]) == ("1008", "agent", "support")
    assert (answered_row["caller_number"], answered_row["did"]) == ("+15550100002", "5000")
    assert answered_row["started_at"].timestamp() == pytest.approx(called, abs=0.15)
    assert answered_row["answered_at"].timestamp() == pytest.approx(answered, abs=0.15)
    assert answered_row["ended_at"].timestamp() == pytest.approx(ended, abs=0.15)
    assert answered_row["talk_seconds"] == pytest.approx(ended - answered, abs=0.15)
    assert (message_row["caller_number"], message_row["agent"]) == ("+15550100003", None)
    # Recorded by Asterisk alone, known from its ledger, looked at by the next bridge; of the second call there is no talk to record.
    assert [one["call_id"] for one in talks] == [answered_row["call_id"]]
    assert answered_row["call_id"] in {row["call_id"] for row in began}
    assert all('"inferred": true' in row["body"] for row in began)
    assert (recording["agents"], message["call_id"]) == (["1008"], message_row["call_id"])
    assert 2 < recording["seconds"] < ended - answered + 0.5
    later = samples[-2 * rate : -rate // 4]
    assert share(later[:, 0], 440, rate) > 0.9
    assert share(later[:, 1], 620, rate) > 0.9
    assert not list((centre.data / "recordings" / "live").iterdir())
    assert list((centre.data / "voicemail").glob("*.wav"))


async def _registered(room: PhoneRoom, account: dict[str, str]):  # type: ignore[no-untyped-def]
    """The agent's phone, as soon as Asterisk lets it register."""
    for _ in range(20):
        try:
            return await room.phone(user=account["username"], password=account["password"], server=account["server"])
        except TimeoutError:
            await room.phones.pop().quit()  # or it registers later, and rings in the other's place
    raise AssertionError("the phone could not register")
