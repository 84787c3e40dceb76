"""Tokens for programs: their scopes, queues, ends, and whose they are."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from cti.web.app import OPERATIONS
from cti.web.auth.groups import EVERYBODY, GROUPS, OF_PEOPLE, SCOPES, group_of
from cti.web.auth.permissions import PERMISSIONS, Role
from tests.integration.web_api.test_web_routes import concrete
from tests.integration.web_security.conftest import close_code


async def make(site, who, **fields):
    body = {"password": "demo", "name": "a program", "scopes": ["floor:read"], **fields}
    answer, said = await site.ask("POST", "/api/v1/tokens", who, json=body)
    return answer.status, said


async def ask(site, token, method, path, **more):
    return await site.ask(method, path, headers={"Authorization": f"Bearer {token}", **more.pop("headers", {})}, **more)


def test_every_operation_has_a_group_or_is_for_people_only():
    for operation in OPERATIONS:
        if PERMISSIONS[operation.name] is None:
            continue
        part = operation.path.split("/")[3]
        assert (group_of(operation.path) is not None) != (part in EVERYBODY | OF_PEOPLE), operation.path
    used = {operation.path.split("/")[3] for operation in OPERATIONS if operation.path.startswith("/api/")}
    assert {part for parts in GROUPS.values() for part in parts} <= used


async def test_a_token_does_what_its_scopes_name_and_nothing_else(attacked):
    """Every operation with a token of every single scope, of an administrator: N = operations x scopes."""
    crossings, asked = [], 0
    for scope in SCOPES:
        status, said = await make(attacked, "admin", scopes=[scope])
        assert status == 200
        token = said["token"]
        for operation in OPERATIONS:
            roles = PERMISSIONS[operation.name]
            if roles is None or "admin" not in roles:
                continue
            group = group_of(operation.path)
            wanted = f"{group}:{'read' if operation.method == 'GET' else 'write'}"
            answer, said = await ask(attacked, token, operation.method, concrete(operation))
            refused = answer.status == 403 and said["error"]["id"] == "outside_scopes"
            asked += 1
            if refused == (wanted == scope or operation.name == "me"):
                crossings.append((scope, operation.name, answer.status))
    assert crossings == []
    assert asked > 2000


async def test_a_token_is_shown_once_and_kept_as_a_hash(attacked, make_attacked):
    _, said = await make(attacked, "1001", scopes=["agent:read"])
    token = said["token"]
    _, _, secret = token.split("_", 2)  # the secret's own signs include "_"
    assert len(secret) == 43  # 256 bits
    file = attacked.deps.revoked_file.with_name("access.json")
    assert token not in file.read_text()
    assert secret not in file.read_text()
    _, listed = await attacked.ask("GET", "/api/v1/tokens", "1001")
    assert secret not in str(listed)
    assert listed["tokens"][0]["last_used_at"] is None
    assert (await ask(attacked, token, "GET", "/api/v1/agent"))[0].status == 200
    _, listed = await attacked.ask("GET", "/api/v1/tokens", "1001")
    assert listed["tokens"][0]["last_used_at"]
    restarted = await make_attacked(clock=attacked.clock)
    assert (await ask(restarted, token, "GET", "/api/v1/agent"))[0].status == 200


async def test_forged_tokens_open_nothing(attacked):
    """N = 1000 seeded changes of a token that works."""
    _, said = await make(attacked, "admin")
    token, rng = said["token"], random.Random(5)
    for _ in range(1000):
        place = rng.randrange(len(token))
        sign = rng.choice("abcdefABCDEF0123456789_-")
        forged = rng.choice((token[:place] + sign + token[place + 1 :], token[:place], token + sign, token.swapcase()))
        if forged == token:
            continue
        answer, _ = await ask(attacked, forged, "GET", "/api/v1/state")
        assert answer.status == 401, forged
    # A token is no cookie, and no log-in's token either.
    answer, _ = await attacked.ask("GET", "/api/v1/state", headers={"Cookie": f"cti_session={token}"})
    assert answer.status == 401


async def test_revoked_expired_and_demoted_tokens_open_nothing_at_once(attacked):
    _, said = await make(attacked, "supervisor", scopes=["floor:read"], days=2)
    token, token_id = said["token"], said["row"]["token_id"]
    feed = await attacked.client.ws_connect("/api/v1/feed", headers={"Authorization": f"Bearer {token}"})
    await feed.receive_json()
    assert (await attacked.ask("DELETE", f"/api/v1/tokens/{token_id}", "supervisor"))[0].status == 200
    assert await close_code(feed) == 4401
    assert (await ask(attacked, token, "GET", "/api/v1/state"))[0].status == 401

    _, said = await make(attacked, "supervisor", days=2)
    attacked.clock.move(timedelta(days=2) - timedelta(seconds=1))
    assert (await ask(attacked, said["token"], "GET", "/api/v1/state"))[0].status == 200
    attacked.clock.move(timedelta(seconds=1))
    assert (await ask(attacked, said["token"], "GET", "/api/v1/state"))[0].status == 401

    attacked._tokens.clear()
    _, said = await make(attacked, "supervisor")
    account = attacked.deps.accounts.get("supervisor")
    await attacked.deps.accounts.put(account.model_copy(update={"role": Role.ADMIN}))
    assert (await ask(attacked, said["token"], "GET", "/api/v1/state"))[0].status == 401


async def test_whose_a_token_may_be(attacked):
    assert (await make(attacked, "1001", username="1002"))[0] == 403
    assert (await make(attacked, "supervisor", username="admin"))[0] == 403
    status, said = await make(attacked, "admin", username="1002", scopes=["agent:read"])
    assert (status, said["row"]["role"], said["row"]["made_by"]) == (200, "agent", "admin")
    token_id = said["row"]["token_id"]
    # An agent's token is an agent's: no scope makes it more.
    _, more = await make(attacked, "1001", scopes=list(SCOPES))
    for path in ("/api/v1/calls", "/api/v1/config", "/api/v1/acts"):
        answer, refused = await ask(attacked, more["token"], "GET", path)
        assert (answer.status, refused["error"]["id"]) == (403, "forbidden")
    for who, status in (("1001", 404), ("supervisor", 404), ("1002", 200)):
        assert (await attacked.ask("DELETE", f"/api/v1/tokens/{token_id}", who))[0].status == status


@pytest.mark.parametrize(
    ("fields", "status", "error_id"),
    [
        ({"password": "wrong"}, 403, "wrong_password"),
        ({"scopes": ["everything"]}, 400, "unknown_scope"),
        ({"scopes": []}, 400, "invalid_input"),
        ({"queues": ["nowhere"]}, 404, "unknown_queue"),
        ({"days": 366}, 400, "too_long"),
        ({"username": "nobody"}, 404, "unknown_account"),
    ],
)
async def test_tokens_that_are_not_made(attacked, fields, status, error_id):
    answered, said = await make(attacked, "admin", **fields)
    assert (answered, said["error"]["id"]) == (status, error_id)


async def test_a_token_makes_no_token_and_changes_no_log_in(attacked):
    _, said = await make(attacked, "admin", scopes=list(SCOPES))
    for method, path in (
        ("POST", "/api/v1/tokens"), ("GET", "/api/v1/tokens"), ("POST", "/api/v1/account/password"), ("GET", "/api/v1/account"),
        ("POST", "/api/v1/account/second-factor"), ("POST", "/api/v1/logout"), ("GET", "/api/v1/accounts"),
    ):  # fmt: skip
        answer, refused = await ask(attacked, said["token"], method, path)
        assert (answer.status, refused["error"]["id"]) == (403, "outside_scopes")


async def test_a_token_of_one_queue_acts_on_that_queue_only(attacked):
    _, said = await make(attacked, "admin", scopes=["floor:read", "floor:write", "calls:write"], queues=["sales"])
    token = said["token"]
    answer, refused = await ask(attacked, token, "GET", "/api/v1/queues/support/expected-wait-accuracy")
    assert (answer.status, refused["error"]["id"]) == (403, "not_your_queue")
    answer, _ = await ask(attacked, token, "GET", "/api/v1/queues/sales/expected-wait-accuracy")
    assert answer.status == 200
    answer, view = await ask(attacked, token, "GET", "/api/v1/state")
    assert answer.status == 200
    assert set(view["queues"]) == {"sales"}
    answer, refused = await ask(attacked, token, "POST", "/api/v1/announcement", json={"prompt": "x"})
    assert answer.status == 403


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/1"), ("POST", "/1/send")])
async def test_a_token_for_certain_queues_mails_nothing(attacked, method, path):
    """A mail is over all queues of whoever has it sent, which such a token must not get by it."""
    _, some = await make(attacked, "supervisor", scopes=["reports:write"], queues=["support"])
    answer, said = await ask(attacked, some["token"], method, f"/api/v1/reports/schedules{path}")
    assert (answer.status, said["error"]["id"]) == (403, "outside_scopes")
    assert "queues" in said["error"]["message"]
    _, whole = await make(attacked, "supervisor", scopes=["reports:write"])
    answer, said = await ask(attacked, whole["token"], method, f"/api/v1/reports/schedules{path}")
    assert said["error"]["id"] != "outside_scopes"


async def test_a_program_that_looks_on_is_no_page_of_the_agent(attacked):
    _, said = await make(attacked, "1001", scopes=["floor:read"])
    pulses = []
    object.__setattr__(attacked.deps.line, "pulse", lambda *told: pulses.append(told))
    feed = await attacked.client.ws_connect("/api/v1/feed", headers={"Authorization": f"Bearer {said['token']}"})
    assert (await feed.receive_json())["type"] == "snapshot"
    await feed.send_json({"type": "heartbeat", "microphone": "silent", "registered": False})
    await feed.send_json({"type": "ping"})
    assert (await feed.receive_json())["type"] == "pong"
    assert (attacked.deps.floor.pages, pulses) == ({}, [])
    await feed.close()
    page = await attacked.client.ws_connect(
        "/api/v1/feed", headers={"Authorization": f"Bearer {await attacked.token('1001')}"}
    )
    await page.receive_json()
    await page.send_json({"type": "heartbeat"})
    await page.send_json({"type": "ping"})
    while (await page.receive_json())["type"] != "pong":
        pass
    assert (set(attacked.deps.floor.pages.values()), len(pulses)) == ({1}, 1)
    await page.close()
