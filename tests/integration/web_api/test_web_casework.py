"""Casework over HTTP: what the public page may do and how often, how refusals are told, files of purchases, blending."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cti.casework.reading import RuleProblem, RulesInvalid
from cti.casework.rows import CaseRefused
from cti.errors import RemoteError
from cti.ids import AgentId, CallId
from cti.model.facts import AgentState
from cti.services.floor import Change, Refused
from tests.support.fake_casework import FakeCasework

GOOD = {"key": "key-00001", "number": "+1 555 010 0001", "name": "Zoë", "about": "<b>", "consent": True}


class Desk:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refuse: Exception | None = None

    async def ask_web_callback(self, **asked: Any) -> CallId:
        self.asked.append(asked)
        if self.refuse is not None:
            raise self.refuse
        return CallId("a1-web.x-cb")


@pytest.fixture
async def fake() -> FakeCasework:
    return FakeCasework()


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def site(make_site: Any, fake: FakeCasework, desk: Desk) -> Any:
    return await make_site(casework=fake.casework(desk=desk))


async def test_the_page_learns_what_it_may_offer(site: Any) -> None:
    _, said = await site.ask("GET", "/api/v1/contact")
    assert said["queues"] == {"support": {"en": "Support", "zh": "技术支持"}}
    assert [cause["cause"] for cause in said["causes"]][:2] == ["delivery", "billing"]
    assert set(said["consent"]) == {"en", "zh"}


async def test_a_callback_goes_into_the_line_and_is_kept(site: Any, fake: FakeCasework, desk: Desk) -> None:
    answer, said = await site.ask("POST", "/api/v1/web-callback", json=GOOD)
    assert (answer.status, said) == (200, {"in_line": True})
    assert desk.asked == [{"number": GOOD["number"], "queue": "support", "language": "en", "key": "key-00001"}]
    kept = next(asked for asked in fake.asked if asked[0] == "web.keep")
    assert kept[1].consent.startswith("You may call me back")
    assert kept[2:] == ("a1-web.x-cb", "")


async def test_what_the_line_cannot_take_becomes_a_task(site: Any, fake: FakeCasework, desk: Desk) -> None:
    desk.refuse = Refused("no_trunk", "no trunk")
    _, said = await site.ask("POST", "/api/v1/web-callback", json=GOOD)
    assert said == {"in_line": False}
    assert next(asked for asked in fake.asked if asked[0] == "web.keep")[2:] == (None, "no_trunk")


async def test_sent_again_it_is_not_asked_again(site: Any, fake: FakeCasework, desk: Desk) -> None:
    fake.answers["web.known"] = True
    _, said = await site.ask("POST", "/api/v1/web-callback", json=GOOD)
    assert said == {"in_line": True}
    assert desk.asked == []


@pytest.mark.parametrize(
    ("change", "error_id"),
    [
        ({"consent": False}, "no_consent"),
        ({"number": "12"}, "invalid_input"),
        ({"number": "12345"}, "no_number"),
        ({"number": "<script>"}, "invalid_input"),
        ({"queue": "vip"}, "unknown_queue"),
        ({"key": "x"}, "invalid_input"),
        ({"about": "a\0b"}, "invalid_input"),
        ({"about": "x" * 4001}, "invalid_input"),
    ],
)
async def test_bad_callbacks_are_refused(site: Any, desk: Desk, change: dict[str, Any], error_id: str) -> None:
    answer, said = await site.ask("POST", "/api/v1/web-callback", json={**GOOD, **change})
    assert (answer.status, said["error"]["id"]) == (400, error_id)
    assert desk.asked == []


async def test_nobody_asks_too_often_for_one_number_or_from_one_address(site: Any) -> None:
    async def status(number: int, path: str = "web-callback") -> int:
        body = {**GOOD, "number": f"+1555010{number:04d}"}
        if path == "web-complaint":
            body = {"key": "key-00001", "subject": "Late", "number": body["number"], "consent": True}
        answer, _ = await site.ask("POST", f"/api/v1/{path}", json=body)
        assert answer.status == 200 or int(answer.headers["Retry-After"]) > 0
        return answer.status

    assert [await status(1) for _ in range(6)] == [200] * 5 + [429]
    assert [await status(n, "web-complaint") for n in range(2, 7)] == [200] * 5
    assert await status(9) == 429  # ten from here
    site.clock.move(timedelta(minutes=11))
    assert await status(9) == 200
    assert await status(1) == 429
    site.clock.move(timedelta(hours=1))
    assert await status(1) == 200


async def test_a_complaint_with_a_number_needs_consent(site: Any, fake: FakeCasework) -> None:
    body = {"key": "key-00002", "subject": "Late again", "text": "<script>alert(1)</script>", "cause": "delivery/late"}
    answer, said = await site.ask("POST", "/api/v1/web-complaint", json={**body, "number": "+15550100001"})
    assert (answer.status, said["error"]["id"]) == (400, "no_consent")
    _, said = await site.ask("POST", "/api/v1/web-complaint", json=body)
    assert said == {"complaint": 1}
    (new,) = [asked[1] for asked in fake.asked if asked[0] == "complaints.register"]
    assert (new.source, new.key, new.text, new.severity) == ("web", "web:key-00002", body["text"], "")


async def test_refusals_are_told_with_their_status(site: Any, fake: FakeCasework) -> None:
    fake.refuse = CaseRefused("edit_conflict", "somebody changed it", remedy="read it again")
    answer, said = await site.ask("POST", "/api/v1/complaints/1", "1001", json={"note": "x"})
    assert (answer.status, said["error"]["id"], said["error"]["remedy"]) == (409, "edit_conflict", "read it again")
    fake.refuse = RulesInvalid([RuleProblem(field="tiers[0].share", message="must be from 0.0001 to 1")])
    body = {"rules": {}, "version": 0}
    answer, said = await site.ask("POST", "/api/v1/casework/rules/tiers", "supervisor", json=body)
    assert (answer.status, said["error"]["details"][0]["field"]) == (400, "tiers[0].share")
    fake.refuse = RemoteError("away")
    answer, _ = await site.ask("GET", "/api/v1/tasks/counts", "1001")
    assert answer.status == 503


@pytest.mark.parametrize(
    "path",
    [
        "tasks?kinds=nothing",
        "complaints?state=open",
        "follow-ups?state=x",
        "complaints?cause=A",
        "complaints/causes?level=4",
    ],
)
async def test_words_that_do_not_exist_are_refused(site: Any, path: str) -> None:
    answer, said = await site.ask("GET", f"/api/v1/{path}", "1001")
    assert (answer.status, said["error"]["id"]) == (400, "invalid_input")


async def test_no_follow_up_while_a_caller_waits(site: Any, fake: FakeCasework) -> None:
    agent = AgentId("1001")
    view = site.floor.view()
    row, queue = view.agents[agent], view.queues["support"]
    from dataclasses import replace

    site.floor.apply(
        Change(agents={agent: replace(row, state=AgentState.READY)}, queues={queue.queue: replace(queue, waiting=2)})
    )
    _, said = await site.ask("POST", "/api/v1/follow-ups/next", "1001")
    assert said == {"preview": None, "hindrance": {"reason": "callers_wait", "queue": "support", "waiting": 2}}
    assert not fake.asked
    site.floor.apply(Change(queues={queue.queue: replace(queue, waiting=0)}))
    _, said = await site.ask("POST", "/api/v1/follow-ups/next", "1001")
    assert said["preview"]["follow_up"]["follow_up_id"] == 1
    assert fake.asked[-1][1].queues == ("support", "vip")


CSV = "at,amount,customer_reference,reference,what\n2026-03-01,12.50,demo-001,o-1,灯\n2026-03-01T10:00:00+08:00,7,demo-002,,\n"


async def test_purchases_come_as_csv(site: Any, fake: FakeCasework) -> None:
    headers = {"Content-Type": "text/csv"}
    path = "/api/v1/tiers/transactions"
    answer, said = await site.ask("POST", path, "supervisor", data=CSV.encode("utf-8-sig"), headers=headers)
    assert (answer.status, said["added"]) == (200, 1)
    (rows,) = [asked[1] for asked in fake.asked if asked[0] == "tiers.bring_in"]
    assert [(row.amount, row.customer_reference, row.at.isoformat()) for row in rows] == [
        (12.5, "demo-001", "2026-03-01T00:00:00+00:00"),
        (7.0, "demo-002", "2026-03-01T10:00:00+08:00"),
    ]
    for bad in (b"\xff\xfe\x00", b"at,amount\n2026-03-01,many\n", b"at,amount\n2026-03-01,1\n", b'at,amount\n"x'):
        answer, said = await site.ask("POST", path, "supervisor", data=bad, headers=headers)
        assert answer.status == 400, said
