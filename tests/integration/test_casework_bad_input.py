"""Whatever is sent to casework over HTTP, with a real database behind it: never a 5xx, and nothing of it runs or is lost."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cti.clock import SystemClock
from cti.crm.casework import CaseOffice
from cti.crm.casework_demo import load as load_cases
from cti.crm.demo import load
from cti.store.pool import open_pool
from cti.web.app import build_app
from cti.web.casework.routes import OPERATIONS
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

NAUGHTY: tuple[str, ...] = (
    '""', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', "\"'; DROP TABLE crm.tasks; --\"", '"<script>alert(1)</script>"',
    '"%_\\\\"', '"' + "x" * 5000 + '"', '"۱۲۳"', '"🏳\u200d🌈 ﷽ Zoë"', '"1001"', '"support"', '"2026-03-02T10:00:00Z"',
    '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', '"2026-13-45"', "null", "true", "0", "-1", "1",
    "9223372036854775808", "1e400", "1e308", "0.5", "[]", "[[]]", '[{"tier": null}]', "{}", '{"a": {"b": "\\u0000"}}',
)  # fmt: skip
IN_A_QUERY = (
    "",
    "%00",
    "'",
    "%25_",
    "-1",
    "9223372036854775808",
    "x" * 300,
    "true",
    "due,,x",
    "%ED%A0%80",
    "%F0%9F%8F%B3",
)
FIELDS: dict[str, dict[str, Any]] = {
    "case_rules_set": {"rules": {"method": "abc", "tiers": [{"tier": "gold", "share": 0.5}]}, "version": 0, "note": ""},
    "tiers_compute": {"rules": {"method": "abc", "otherwise": "standard", "tiers": [{"tier": "gold", "share": 0.5}]}},
    "transactions": {"transactions": [{"at": "2026-03-02T10:00:00Z", "amount": 10, "customer_id": 1}]},
    "follow_up_plan_add": {"plan": {"name": "x", "trigger": "purchase", "after_days": 1}, "active": True},
    "follow_up_result": {"outcome": "reached", "answers": {"satisfied": 5, "complete": True}, "note": ""},
    "complaint_register": {"subject": "Late", "text": "", "key": "k", "customer_id": 1, "number": "", "call_id": "", "cause": ""},
    "complaint_change": {"revision": 1, "move": "assign", "owner": "1001", "note": "", "due_at": "2026-03-02T10:00:00Z"},
    "task_make": {"title": "x", "due_at": "2026-03-02T10:00:00Z", "detail": "", "customer_id": 1, "number": "", "key": "k"},
    "task_pass_on": {"owner": "1001", "note": ""},
    "task_snooze": {"until": "2099-03-02T10:00:00Z"},
    "task_done": {"note": "", "dropped": False},
    "customer_tier_override": {"tier": "gold", "reason": "asked", "expires_at": "2099-01-01T00:00:00Z"},
    "churn_act": {"action": "called", "note": ""},
    "web_callback": {"key": "12345678", "number": "5550100001", "consent": True, "name": "", "about": "", "language": "en"},
    "web_complaint": {"key": "12345678", "subject": "Late", "text": "", "name": "", "cause": "", "consent": True},
}  # fmt: skip
PLACES = {
    "work_id": "task-1",
    "complaint_id": "1",
    "follow_up_id": "1",
    "plan_id": "1",
    "customer_id": "1",
    "kind": "tiers",
}


@pytest.fixture
async def client(migrated: str, tmp_path: Path) -> AsyncIterator[TestClient]:
    pool = await open_pool(migrated)
    await load(pool)
    await load_cases(pool)
    office = CaseOffice(pool, clock=SystemClock(), centre=demo_centre)
    await office.churn.compute()
    deps = make_deps(FakeFloor(demo_centre(), clock=SystemClock()), tmp_path, casework=office.casework())
    found = TestClient(TestServer(build_app(deps)))
    await found.start_server()
    yield found
    await found.close()
    await pool.close()


async def test_whatever_is_sent_is_answered(client: TestClient) -> None:
    async with client.post("/api/v1/login", json={"username": "supervisor", "password": "demo"}) as answer:
        token = (await answer.json())["token"]
    client.session.cookie_jar.clear()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked, statuses = 0, set()

    async def ask(method: str, path: str, body: bytes | None = None) -> None:
        nonlocal asked
        async with client.request(method, path, data=body, headers=headers) as answer:
            said = await answer.read()
            asked += 1
            statuses.add(answer.status)
            assert answer.status < 500, (method, path, body, said)

    for operation in OPERATIONS:
        if operation.name == "follow_up_generate":
            continue
        path = re.sub(r"\{(\w+)[^}]*\}", lambda part: PLACES[part[1]], operation.path)
        if operation.params is not None:
            for bad in ("0", "9223372036854775808", "task-9223372036854775807", "complaint-999999", "%00", "x"):
                await ask(
                    operation.method, re.sub(r"\{[^}]*\}", bad, operation.path), b"{}" if operation.body else None
                )
        for name in operation.query.model_fields if operation.query is not None else ():
            for value in IN_A_QUERY:
                await ask(operation.method, f"{path}?{name}={value}")
        if operation.body is None:
            await ask(operation.method, path)
            continue
        good = FIELDS.get(operation.name, FIELDS["follow_up_plan_add"])
        for name in good:
            for value in NAUGHTY:
                text = json.dumps({key: other for key, other in good.items() if key != name})[:-1]
                comma = ", " if len(good) > 1 else ""
                await ask(operation.method, path, f'{text}{comma}"{name}": {value}}}'.encode("utf-8", "surrogatepass"))
    for rules in NAUGHTY:
        for key in (
            "tiers",
            "otherwise",
            "window_days",
            "money",
            "causes",
            "deadlines",
            "flows",
            "weights",
            "questions",
            "script",
        ):
            for kind in ("tiers", "complaints", "churn"):
                body = f'{{"rules": {{"{key}": {rules}}}, "version": 0}}'
                await ask("POST", f"/api/v1/casework/rules/{kind}", body.encode("utf-8", "surrogatepass"))
            plan = f'{{"plan": {{"name": "y", "trigger": "purchase", "after_days": 1, "{key}": {rules}}}}}'
            await ask("POST", "/api/v1/follow-ups/plans", plan.encode("utf-8", "surrogatepass"))
    assert asked > 2000
    assert {200, 400, 404, 409} <= statuses
