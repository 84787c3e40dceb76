"""Queues with limits, on real Asterisk: full, closed, too long a wait, nobody there any more, and a key for voicemail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.sound import assert_tone
from tests.support.speech import heard, prompt, spoken

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

OVERFLOW_SECONDS = 7


def centre_text() -> str:
    """The demo centre: support has room for one caller, who goes to sales after a while; the VIP desk is closed."""
    tree = demo_tree()
    today = datetime.now(UTC).date()
    tree["calendars"]["holiday"] = {
        "hours": {"mon-sun": "00:00-24:00"},
        "closed": [(today + timedelta(days=days)).isoformat() for days in (-1, 0, 1)],
    }
    tree["queues"]["support"] |= {
        "max_length": 1,
        "overflow": [{"after": OVERFLOW_SECONDS, "to": {"queue": "sales"}}],
        "options": {"2": "voicemail"},
        "record": False,
    }
    tree["queues"]["sales"] |= {"wrap_up": 0, "leave_empty": ["offline"], "record": True}
    tree["queues"]["vip"] |= {"calendar": "holiday", "when_closed": {"flow": "after_hours"}}
    return text_of(tree)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("limits") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def facts_of(centre: TestCentre, number: str, kind: str) -> list[dict[str, Any]]:
    rows = await centre.query(
        "SELECT body FROM cti.facts WHERE kind = $2 AND call_id IN"
        " (SELECT call_id FROM cti.calls WHERE caller_number = $1) ORDER BY at, position",
        number, kind,
    )  # fmt: skip
    return [json.loads(row["body"]) for row in rows]


async def leave_a_message(centre: TestCentre, call: PhoneCall, hertz: int) -> Path:
    """Speak after the beep, and hang up; gives the message."""
    known = set((centre.data / "voicemail").glob("*.wav"))
    await call.play_tone(hertz)
    async with asyncio.timeout(60):
        while not (new := set((centre.data / "voicemail").glob("*.wav")) - known):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.1)
    await asyncio.sleep(2.5)
    await call.hang_up()
    (message,) = new
    return message


async def hear_to_the_end(centre: TestCentre, room: PhoneRoom, number: str, did: str, path: Path) -> None:
    """Call and listen until the other side hangs up."""
    call = await call_in(await caller(centre, room, number), did, keys="")
    await call.record(path)
    async with asyncio.timeout(60):
        await call.ended.wait()


async def test_full_is_voicemail_closed_is_a_flow_and_who_waits_long_is_answered_in_the_other_queue(
    strict: TestCentre, tmp_path: Path
) -> None:
    async with PhoneRoom() as room, sip_agent(strict, room, "1005") as emil:
        closed = asyncio.create_task(hear_to_the_end(strict, room, "+15550100025", "5003", tmp_path / "closed.wav"))
        waiting = await call_in(await caller(strict, room, "+15550100021"), "5001", keys="")
        supervisor = ApiPerson(strict, "supervisor")
        async with supervisor:
            state = await supervisor.until("/state", lambda s: s["queues"]["support"]["waiting"] == 1)
            assert (state["queues"]["support"]["open"], state["queues"]["vip"]["open"]) == (True, False)
        second = await call_in(await caller(strict, room, "+15550100022"), "5001", keys="")
        message = asyncio.create_task(leave_a_message(strict, second, 500))
        ringing = await emil.rings(within=OVERFLOW_SECONDS + 8)
        await ringing.answer()
        await ringing.confirmed.wait()
        await asyncio.sleep(0.5)
        await ringing.hang_up()
        async with asyncio.timeout(60):
            await waiting.ended.wait()
        spoke = await message
        await closed
    moved = await strict.record(where="caller_number = '+15550100021'")
    assert (moved["outcome"], moved["queue"], moved["agent"]) == ("answered", "sales", "1005")
    assert moved["wait_seconds"] == pytest.approx(OVERFLOW_SECONDS, abs=2.5)
    # Sales records, support does not: the channel learned of its new queue before its next visit.
    assert moved["recording"] is not None
    tickets = await facts_of(strict, "+15550100021", "CallQueued")
    assert [(ticket["queue"], ticket["by"]) for ticket in tickets] == [("support", ""), ("sales", "overflow")]
    assert tickets[1]["since"] == tickets[0]["at"]
    full = await strict.record(where="caller_number = '+15550100022'")
    assert (full["outcome"], full["queue"], full["queued_at"]) == ("voicemail", "support", None)
    assert_tone(spoke, 500)
    (way,) = await facts_of(strict, "+15550100022", "CallDequeued")
    assert (way["reason"], way["to"], way["queue"]) == ("full", "voicemail", "support")
    away = await strict.record(where="caller_number = '+15550100025'")
    assert (away["outcome"], away["queue"], away["queued_at"]) == ("overflow", "vip", None)
    flows = [entered["flow"] for entered in await facts_of(strict, "+15550100025", "FlowEntered")]
    assert flows == ["vip_desk", "after_hours"]
    _, likeness = spoken(heard(tmp_path / "closed.wav"), prompt("en", "after_hours"))
    assert likeness > 0.7


async def test_a_key_is_voicemail_and_so_is_a_queue_whose_last_agent_leaves(strict: TestCentre) -> None:
    async with PhoneRoom() as room, sip_agent(strict, room, "1005", ready=False) as emil:
        await emil.api.post("/agent/state", {"state": "not_ready", "reason": "break", "device": "sip"})
        abandoned = await call_in(await caller(strict, room, "+15550100023"), "5000", keys="2")
        async with ApiPerson(strict, "supervisor") as supervisor:
            await supervisor.until("/state", lambda s: s["queues"]["sales"]["waiting"] == 1)
            pressing = await call_in(await caller(strict, room, "+15550100024"), "5001", keys="")
            await supervisor.until("/state", lambda s: s["queues"]["support"]["waiting"] == 1)
            await pressing.press("7")  # no option: nothing happens
            await asyncio.sleep(0.5)
            assert (await supervisor.get("/state"))["queues"]["support"]["waiting"] == 1
            await pressing.press("2")
            await supervisor.until("/state", lambda s: s["queues"]["support"]["waiting"] == 0)
            await leave_a_message(strict, pressing, 600)
            assert (await supervisor.get("/state"))["queues"]["sales"]["waiting"] == 1
            await emil.api.post("/agent/state", {"state": "offline"})
            await supervisor.until("/state", lambda s: s["queues"]["sales"]["waiting"] == 0)
            message = await leave_a_message(strict, abandoned, 700)
    for number, queue, reason in (("+15550100024", "support", "option"), ("+15550100023", "sales", "empty")):
        row = await strict.record(where=f"caller_number = '{number}'")
        assert (row["outcome"], row["queue"]) == ("voicemail", queue)
        (way,) = await facts_of(strict, number, "CallDequeued")
        assert (way["reason"], way["to"]) == (reason, "voicemail")
    assert_tone(message, 700)
    log = "".join(file.read_text(errors="replace") for file in (strict.data / "log").glob("bridge.log*"))
    assert "option" not in log or '"7"' not in log
