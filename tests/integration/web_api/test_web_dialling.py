"""Dialling, heartbeats and the quality of calls, over HTTP and over the feed."""

from __future__ import annotations

import pytest

from cti.ids import CustomerId
from cti.services.agent_line import Dialled, Microphone, Pulse, Sound
from cti.services.floor import Refused
from tests.integration.web_api.conftest import until
from tests.support.fake_line import FakeLine


@pytest.fixture
async def line(make_site):
    line = FakeLine()
    return line, await make_site(line=line)


async def test_a_number_or_a_colleague_is_dialled(line):
    told, site = line
    answer, body = await site.ask(
        "POST", "/api/v1/agent/dial", "1001", json={"number": "+1 555 010 0003", "customer_id": 7, "queue": "support"}
    )
    assert answer.status == 200
    assert body["call_id"] == "a1-1700000000.9"
    assert body["agent"]["agent_id"] == "1001"
    await site.ask("POST", "/api/v1/agent/dial", "1001", json={"agent_id": "1002", "idempotency_key": "k"})
    assert [one[2] for one in told.asked] == [
        Dialled(number="+1 555 010 0003", customer_id=CustomerId(7), queue="support"),
        Dialled(colleague="1002", key="k"),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"number": "+15550100003", "agent_id": "1002"}, {"agent_id": "ten"}, {"number": "+1", "more": 1}]
)
async def test_what_is_neither_or_both_is_refused(line, body):
    told, site = line
    answer, _ = await site.ask("POST", "/api/v1/agent/dial", "1001", json=body)
    assert answer.status == 400
    assert told.asked == []


async def test_a_refusal_says_why_and_supervisors_do_not_dial(line):
    told, site = line
    told.refuse = Refused("not_allowed", "no", remedy="ask")
    answer, body = await site.ask("POST", "/api/v1/agent/dial", "1001", json={"number": "+15550100003"})
    assert (answer.status, body["error"]["id"]) == (409, "not_allowed")
    answer, _ = await site.ask("POST", "/api/v1/agent/dial", "supervisor", json={"number": "+15550100003"})
    assert answer.status == 403


async def test_a_page_says_that_it_is_there_both_ways(line):
    told, site = line
    answer, body = await site.ask("POST", "/api/v1/agent/heartbeat", "1001", json={"microphone": "denied"})
    assert (answer.status, body["agent"]["problems"]) == (200, [])
    feed = await site.feed("1001")
    await feed.receive()
    await feed.send_json({"type": "heartbeat", "microphone": "silent", "registered": False, "visible": False})
    await until(lambda: len(told.asked) == 2)
    assert [one[2] for one in told.asked] == [
        Pulse(microphone=Microphone.DENIED),
        Pulse(microphone=Microphone.SILENT, registered=False, visible=False),
    ]
    await feed.close()


async def test_how_a_call_sounds_is_told(line):
    told, site = line
    sound = {"rtt_ms": 20.5, "loss": 0.01, "mos": 4.2, "final": True}
    answer, body = await site.ask("POST", "/api/v1/agent/calls/a1-1.1/quality", "1001", json=sound)
    assert (answer.status, body) == (200, {"kept": True})
    assert told.asked[0][2] == ("a1-1.1", Sound(rtt_ms=20.5, loss=0.01, mos=4.2, final=True))
    answer, _ = await site.ask("POST", "/api/v1/agent/calls/a1-1.1/quality", "1001", json={"mos": 7})
    assert answer.status == 400
