"""Who may do what, walked through: every operation by every role, and with the ids of what belongs to others."""

from __future__ import annotations

import random
import re

import pytest

from cti.ids import AgentId
from cti.web.app import OPERATIONS
from cti.web.auth.accounts import Account
from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.auth.scopes import SCOPES, Scope
from cti.web.pages.routes import PAGES
from tests.integration.web_api.test_web_routes import GOOD_BODY, GOOD_HEADERS, concrete
from tests.support.fake_floor import QUICK_HASHER

SEED = 11
PEOPLE = {"1001": Role.AGENT, "supervisor": Role.SUPERVISOR, "admin": Role.ADMIN, "screen": Role.WALL}
OF_OTHERS = {
    "call_id": ("a1-1.1", "a1-999.1", "b1-1.1", "../a1-1.1", "%00"),
    "agent_id": ("1002", "1008", "9999", "admin"),
    "queue": ("support", "vip", "nowhere"),
    "customer_id": ("1", "2", "999999", "-1"),
    "offer_id": ("1000001", "1", "9999999999"),
    "session_id": ("x", "token:0123456789ab"),
    "token_id": ("0123456789ab", "000000000000"),
    "username": ("admin", "supervisor", "1002"),
}


@pytest.fixture
async def peopled(attacked):
    screen = Account(username="screen", role=Role.WALL, hash=QUICK_HASHER.hash("demo"))
    await attacked.deps.accounts.put(screen)
    attacked.calls.rows.append(
        {"call_id": "a1-1.1", "started_at": attacked.clock.now(), "node": "a1", "queue": "support"}
    )
    return attacked


def paths(operation, rng):
    """The operation's address with ids of others: one choice for each way, all of them at most four."""
    yield concrete(operation)
    names = re.findall(r"\{(\w+)[^}]*\}", operation.path)
    for _ in range(3 if names else 0):
        path = operation.path
        for name in names:
            path = re.sub(rf"\{{{name}[^}}]*\}}", rng.choice(OF_OTHERS.get(name, ("1", "2", "999999"))), path, count=1)
        yield path


async def test_no_role_does_what_the_table_does_not_let_it(peopled):
    """Every operation x every role and nobody x own and others' ids. Prints N; 0 crossings."""
    rng = random.Random(SEED)
    asked, crossings = 0, []
    for operation in OPERATIONS:
        roles = PERMISSIONS[operation.name]
        if roles is None:
            continue
        for who, role in (*PEOPLE.items(), (None, None)):
            if role in roles:
                continue
            for path in paths(operation, rng):
                more = {"json": GOOD_BODY[operation.name]} if operation.name in GOOD_BODY else {}
                headers = dict(GOOD_HEADERS.get(operation.name, {}))
                answer, said = await peopled.ask(operation.method, path, who, headers=headers, **more)
                asked += 1
                # An id that is none of the kind leads nowhere: there is no such address.
                fine = (401,) if who is None else (403, 404, 405)
                wanted = "not_logged_in" if who is None else "forbidden"
                no_address = answer.status in (404, 405) and said["error"]["id"] in ("not_found", "method_not_allowed")
                if not no_address and (answer.status not in fine or said["error"]["id"] != wanted):
                    crossings.append((operation.name, who, path, answer.status))
    print(f"N={asked} crossings={len(crossings)}")
    assert crossings == []
    assert asked > 1000
    assert peopled.floor.asked == []


async def test_an_agent_asks_as_nobody_else_whatever_ids_it_names(peopled):
    """N = 400 seeded requests of one agent with ids of others: whatever the floor is asked, it is asked as that agent."""
    rng = random.Random(SEED)
    mine = [one for one in OPERATIONS if PERMISSIONS[one.name] == {Role.AGENT} and one.method != "GET"]
    for _ in range(400):
        operation = rng.choice(mine)
        path = rng.choice(list(paths(operation, rng)))
        body = dict(GOOD_BODY.get(operation.name, {}))
        if rng.random() < 0.5:
            body["agent_id"] = "1002"
        answer, _ = await peopled.ask(operation.method, path, "1001", json=body)
        assert answer.status != 500, (operation.name, path)
        if "agent_id" in body and operation.body is not None and "agent_id" not in operation.body.model_fields:
            assert answer.status in (400, 404), operation.name
    assert peopled.floor.asked
    assert {value for asked in peopled.floor.asked for value in asked if value in ("1001", "1002")} <= {AgentId("1001")}


async def test_a_supervisor_of_other_queues_learns_nothing_of_a_call_by_its_id(peopled):
    """N = operations about one call x ids: the refusal is the same whether or not there is such a call."""
    account = peopled.deps.accounts.get("supervisor")
    await peopled.deps.accounts.put(account.model_copy(update={"queues": ("sales",)}))
    asked = 0
    for operation in OPERATIONS:
        if SCOPES.get(operation.name) is not Scope.CALL:
            continue
        said = set()
        for call_id in ("a1-1.1", "a1-2.2", "zz-999.9"):
            path = operation.path.replace("{call_id}", call_id)
            answer, refused = await peopled.ask(
                operation.method, path, "supervisor", json=GOOD_BODY.get(operation.name, {})
            )
            assert answer.status == 403
            said.add((refused["error"]["id"], refused["error"]["message"]))
            asked += 1
        assert said == {("not_your_queue", "this account does not act on that queue")}
    assert asked >= 24
    assert peopled.floor.asked == []


@pytest.mark.parametrize(
    "path", [*PAGES, "/api/v1/me", "/api/v1/centre", "/healthz", "/nothing", "/assets/x.js", "/api/v1/login/provider"]
)
async def test_every_page_and_every_refusal_has_the_headers(attacked, path):
    answer, _ = await attacked.ask("GET", path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "microphone=(self)" in answer.headers["Permissions-Policy"]
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers
