"""Every route: who may use it, what it answers, what it does with bad input."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from cti.errors import RemoteError
from cti.ids import AgentId, CallId, NodeName
from cti.metrics.registry import Metrics
from cti.model.facts import AgentState, CallStarted, Device
from cti.services.floor import Change, Refused
from cti.web.app import OPERATIONS
from cti.web.auth.permissions import PERMISSIONS
from cti.web.operations import Operation
from tests.integration.web_api import access_expected, casework_expected, more_expected, supervisor_expected

BY_NAME = {operation.name: operation for operation in OPERATIONS}
A1, A2 = AgentId("1001"), AgentId("1002")

# Who may do what, written down a second time on purpose: a change of the table has to be made twice.
EVERYONE = {None, "1001", "supervisor", "admin"}
LOGGED_IN = {"1001", "supervisor", "admin"}
FLOOR = {"supervisor", "admin"}
AGENTS = {"1001"}
ADMIN = {"admin"}
EXPECTED: dict[str, set[str | None]] = {
    "login": EVERYONE,
    "logout": LOGGED_IN,
    "me": LOGGED_IN,
    "agent": AGENTS,
    "agent_state": AGENTS,
    "agent_phone": AGENTS,
    "offer_reject": AGENTS,
    "call_hang_up": AGENTS,
    "call_wrap_up": AGENTS,
    "call_wrap_up_extend": AGENTS,
    "call_hold": AGENTS,
    "call_transfer": AGENTS,
    "call_consult": AGENTS,
    "call_consult_complete": AGENTS,
    "call_consult_cancel": AGENTS,
    "call_consult_swap": AGENTS,
    "call_consult_join": AGENTS,
    "call_party_drop": AGENTS,
    "call_keys": AGENTS,
    "call_pick_up": AGENTS,
    "agent_waiting": AGENTS,
    "agent_destinations": AGENTS,
    "state": LOGGED_IN,
    "feed": LOGGED_IN,
    "calls": FLOOR,
    "call": FLOOR,
    "call_decisions": FLOOR,
    "call_why": FLOOR,
    "queue_accuracy": FLOOR,
    "call_priority": FLOOR,
    "call_queue": FLOOR,
    "callbacks": FLOOR,
    "callback_cancel": FLOOR,
    "config": ADMIN,
    "config_check": ADMIN,
    "config_diff": ADMIN,
    "config_apply": ADMIN,
    "flows": FLOOR,
    "flow": FLOOR,
    "flow_picture": FLOOR,
    "centre": EVERYONE,
    "webcall": EVERYONE,
    "openapi": EVERYONE,
    "healthz": EVERYONE,
    "readyz": EVERYONE,
    "metrics": EVERYONE,
    **casework_expected.EXPECTED,
    **more_expected.EXPECTED,
    **supervisor_expected.EXPECTED,
    **access_expected.ELSEWHERE,
}
GOOD_BODY: dict[str, Any] = {
    "login": {"username": "1001", "password": "demo"},
    "agent_state": {"state": "ready"},
    "call_wrap_up": {"disposition": "resolved", "note": "all well"},
    "call_hold": {"on": True},
    "call_transfer": {"to": {"kind": "queue", "name": "sales"}, "note": "wants a quote"},
    "call_consult": {"to": {"kind": "agent", "name": "1002"}},
    "call_consult_complete": {"note": "knows the case"},
    "call_keys": {"keys": "12#"},
    "call_pick_up": {"call_id": "a1-1.1"},
    "call_priority": {"head_start": 60.0, "reason": "waits for long"},
    "call_queue": {"queue": "sales", "reason": "asked for it"},
    "config_check": {"text": "name: New"},
    "config_diff": {"text": "name: New"},
    "config_apply": {"text": "name: New", "by": "sue"},
    **casework_expected.GOOD_BODY,
    **more_expected.GOOD_BODY,
}
ELSEWHERE = {*access_expected.ELSEWHERE, *more_expected.ELSEWHERE, *supervisor_expected.ELSEWHERE}
GOOD_HEADERS = {"config_apply": {"If-Match": '"v1"'}}


def plain_path(operation: Operation) -> str:
    """The path without the patterns of its parts."""
    return re.sub(r"\{(\w+)[^}]*\}", r"{\1}", operation.path)


def concrete(operation: Operation) -> str:
    path = plain_path(operation)
    for part, value in {
        **access_expected.PARTS,
        **casework_expected.PARTS,
        **more_expected.PARTS,
        **supervisor_expected.PARTS,
    }.items():
        path = path.replace(part, value)
    return (
        path.replace("{offer_id}", "1000001")
        .replace("{call_id}", "a1-1.1")
        .replace("{party}", "caller")
        .replace("{flow}", "main")
        .replace("{queue}", "support")
        .replace("{customer_id}", "1")
    )


def test_every_operation_has_a_permission_and_an_expectation():
    assert set(BY_NAME) == set(PERMISSIONS) == set(EXPECTED)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_each_role_gets_in_or_not(site, operation):
    site.calls.rows.append({"call_id": "a1-1.1", "started_at": site.clock.now(), "node": "a1"})
    started = CallStarted(at=site.clock.now(), call_id=CallId("a1-1.1"), node=NodeName("a1"))
    site.explained.remembered["a1-1.1"] = [started]
    for user in (None, "1001", "supervisor", "admin"):
        more = {"json": GOOD_BODY[operation.name]} if operation.name in GOOD_BODY else {}
        more["headers"] = dict(GOOD_HEADERS.get(operation.name, {}))
        answer, said = await site.ask(operation.method, concrete(operation), user, **more)
        if user in EXPECTED[operation.name] and operation.name in ELSEWHERE:
            assert answer.status not in (401, 403), said
        elif user in EXPECTED[operation.name]:
            assert answer.status == (426 if operation.upgrade else 200), said
            if answer.status == 200 and operation.answer is not None and operation.answer is not str:
                TypeAdapter(operation.answer).validate_json(json.dumps(said))
        else:
            assert answer.status == (401 if user is None else 403)
            assert said["error"]["id"] == ("not_logged_in" if user is None else "forbidden")
            assert said["error"]["message"]
            assert said["error"]["remedy"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "error_id"),
    [
        (b"", "application/json", 400, "bad_json"),
        (b"{", "application/json", 400, "bad_json"),
        (b"\xff\xfe", "application/json", 400, "bad_json"),
        (b"[" * 30000, "application/json", 400, "bad_json"),
        (b"[]", "application/json", 400, "invalid_input"),
        (b"null", "application/json", 400, "invalid_input"),
        (b'"state"', "application/json", 400, "invalid_input"),
        (b'{"surprise":1}', "application/json", 400, "invalid_input"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"note":"' + b"x" * 65536 + b'"}', "application/json", 413, "too_large"),
    ],
)
async def test_bad_bodies_are_refused_cleanly(site, body, kind, status, error_id):
    for operation in (operation for operation in OPERATIONS if operation.body):
        user = next((user for user in ("1001", "supervisor", "admin") if user in EXPECTED[operation.name]), None)
        data = io.BytesIO(b'{"note":"' + b"x" * operation.body_limit + b'"}') if status == 413 else body
        answer, said = await site.ask(
            operation.method, concrete(operation), user, data=data, headers={"Content-Type": kind}
        )
        assert (answer.status, said["error"]["id"]) == (status, error_id), operation.name
        assert "Traceback" not in json.dumps(said)
        assert site.floor.asked == [], operation.name


@pytest.mark.parametrize(
    "body",
    [
        {"state": "talking"},
        {"state": 1},
        {"state": None},
        {"state": "ready", "device": "fax"},
        {"state": "ready", "reason": "lunch"},
        {"state": "not_ready"},
        {"state": "not_ready", "reason": "golf"},
        {"state": "not_ready", "reason": ["lunch"]},
        {"state": "ready", "reason": "x" * 5000},
    ],
)
async def test_a_state_that_does_not_exist_is_refused(site, body):
    answer, said = await site.ask("POST", "/api/v1/agent/state", "1001", json=body)
    assert answer.status == 400
    assert said["error"]["id"] in ("invalid_input", "unknown_reason")
    assert site.floor.asked == []


async def test_an_invalid_field_is_named(site):
    _, said = await site.ask("POST", "/api/v1/agent/state", "1001", json={"state": "ready", "device": "fax"})
    assert said["error"]["details"][0]["field"] == "device"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/agent/offers/x/reject",
        "/api/v1/agent/offers/-1/reject",
        "/api/v1/agent/offers/99999999999/reject",
        "/api/v1/agent/offers/1e3/reject",
        "/api/v1/agent/offers/1%00/reject",
        "/api/v1/agent/calls/a%20b/hangup",
        "/api/v1/agent/calls/" + "a" * 65 + "/hangup",
        "/api/v1/agent/calls/a'b/hangup",
    ],
)
async def test_ids_that_cannot_be_are_refused(site, path):
    answer, said = await site.ask("POST", path, "1001")
    assert (answer.status, said["error"]["id"]) == (400, "invalid_input")
    assert site.floor.asked == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=many",
        "before=a1%201",
        "before=" + "a" * 65,
        "outcome=lost",
        "queue=DROP%20TABLE",
        "surprise=1",
        "limit=1&limit=2",
    ],
)
async def test_call_queries_that_cannot_be_are_refused(site, query):
    answer, said = await site.ask("GET", f"/api/v1/calls?{query}", "supervisor")
    assert (answer.status, said["error"]["id"]) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("method", "path", "status", "error_id"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/%00", 404, "not_found"),
        ("DELETE", "/api/v1/me", 405, "method_not_allowed"),
        ("DELETE", "/api/v1/login", 405, "method_not_allowed"),
        ("TRACE", "/", 405, "method_not_allowed"),
    ],
)
async def test_unknown_addresses_and_methods(site, method, path, status, error_id):
    answer, said = await site.ask(method, path)
    assert (answer.status, said["error"]["id"]) == (status, error_id)
    assert answer.headers.get("Allow") if status == 405 else True


async def test_who_only_asks_whether_an_answer_is_there_gets_no_body(site):
    answer, said = await site.ask("HEAD", "/readyz")
    assert (answer.status, said) == (200, b"")
    answer, _ = await site.ask("HEAD", "/api/v1/state")
    assert answer.status == 401


async def test_the_desk_shows_own_call_and_pop(site):
    call = site.floor.make_call("a1-1.1", state="offered", agent_id=A1)
    other = site.floor.make_call("a1-1.2", state="talking", agent_id=A2)
    pop = site.floor.make_pop(A1, call, 1000001)
    site.floor.apply(Change(calls={call.call_id: call, other.call_id: other}, pops={A1: pop}))
    _, said = await site.ask("GET", "/api/v1/agent", "1001")
    assert said["agent"]["agent_id"] == "1001"
    assert said["call"]["call_id"] == "a1-1.1"
    assert said["pop"]["offer_id"] == 1000001
    assert said["pop"]["offered_at"] == "2026-03-02T09:30:00Z"
    assert "lunch" in said["reasons"]
    assert said["dispositions"]["support"][0] == "resolved"


async def test_asking_for_a_state_reaches_the_floor(site):
    answer, said = await site.ask(
        "POST", "/api/v1/agent/state", "1001", json={"state": "not_ready", "reason": "lunch", "device": "sip"}
    )
    assert answer.status == 200
    assert said["agent"]["state"] == "not_ready"
    assert site.floor.asked == [("set_agent", A1, AgentState.NOT_READY, "lunch", Device.SIP)]


async def test_offers_calls_and_wrap_up_reach_the_floor(site):
    await site.ask("POST", "/api/v1/agent/offers/0000000007/reject", "1001")
    await site.ask("POST", "/api/v1/agent/calls/a1-1.1/hangup", "1001")
    await site.ask("POST", "/api/v1/agent/calls/a1-1.1/wrapup", "1001", json={"disposition": "resolved", "note": "ok"})
    assert site.floor.asked == [
        ("reject", A1, 7),
        ("hang_up", A1, CallId("a1-1.1")),
        ("finish_wrap_up", A1, CallId("a1-1.1"), "resolved", "ok"),
    ]


@pytest.mark.parametrize(
    ("error", "status", "error_id"),
    [
        (Refused("offer_gone", "this offer is over", remedy="wait for the next"), 409, "offer_gone"),
        (Refused("unknown_call", "no such call"), 404, "unknown_call"),
        (Refused("unknown_disposition", "no queue has it"), 400, "unknown_disposition"),
        (RemoteError("Asterisk does not answer"), 503, "remote_failed"),
        (RemoteError("no answer in time", outcome_unknown=True), 502, "remote_failed"),
        (ZeroDivisionError("secret detail"), 500, "internal"),
    ],
)
async def test_what_the_floor_raises_becomes_a_clean_answer(site, error, status, error_id):
    site.floor.refuse["hang_up"] = error
    answer, said = await site.ask("POST", "/api/v1/agent/calls/a1-1.1/hangup", "1001")
    assert (answer.status, said["error"]["id"]) == (status, error_id)
    assert "secret" not in json.dumps(said)


async def test_the_phone_account_is_the_agents_own(site):
    _, said = await site.ask("GET", "/api/v1/agent/phone", "1002")
    assert said == {
        "ws_url": "ws://127.0.0.1:8088/ws",
        "uri": "sip:1002-web@127.0.0.1",
        "username": "1002-web",
        "password": "sip-1002-web",
        "display_name": "陈晓雨",
        "sip": {"registrar": "127.0.0.1:5060", "tls_registrar": "", "username": "1002", "password": "sip-1002"},
    }


async def test_an_agent_sees_only_what_is_own(site):
    mine = site.floor.make_call("a1-1.1", state="talking", agent_id=A1)
    other = site.floor.make_call("a1-1.2", state="talking", agent_id=A2)
    waiting = site.floor.make_call("a1-1.3")
    site.floor.apply(
        Change(
            calls={row.call_id: row for row in (mine, other, waiting)},
            pops={A1: site.floor.make_pop(A1, mine, 1), A2: site.floor.make_pop(A2, other, 2)},
        )
    )
    _, own = await site.ask("GET", "/api/v1/state", "1001")
    _, whole = await site.ask("GET", "/api/v1/state", "supervisor")
    assert (set(own["agents"]), set(own["calls"]), set(own["pops"])) == ({"1001"}, {"a1-1.1"}, {"1001"})
    assert set(own["queues"]) == set(whole["queues"]) == {"support", "sales", "vip"}
    assert (len(whole["agents"]), len(whole["calls"]), len(whole["pops"])) == (8, 3, 2)


async def test_calls_page_backwards(site):
    start = site.clock.now()
    for i in range(5):
        site.calls.rows.append(
            {
                "call_id": f"a1-1.{i}",
                "node": "a1",
                "started_at": start + timedelta(minutes=i),
                "queue": "support",
                "outcome": "answered" if i % 2 else "abandoned",
                "talk_seconds": 12.5,
                "surprise": "a column added later",
            }
        )
    _, first = await site.ask("GET", "/api/v1/calls?limit=2", "supervisor")
    assert [call["call_id"] for call in first["calls"]] == ["a1-1.4", "a1-1.3"]
    assert first["calls"][0]["talk_seconds"] == 12.5
    assert "surprise" not in first["calls"][0]
    _, second = await site.ask("GET", f"/api/v1/calls?limit=2&before={first['next_before']}", "supervisor")
    assert [call["call_id"] for call in second["calls"]] == ["a1-1.2", "a1-1.1"]
    _, third = await site.ask("GET", f"/api/v1/calls?limit=2&before={second['next_before']}", "supervisor")
    assert ([call["call_id"] for call in third["calls"]], third["next_before"]) == (["a1-1.0"], None)
    _, some = await site.ask("GET", "/api/v1/calls?outcome=answered&queue=support", "supervisor")
    assert [call["call_id"] for call in some["calls"]] == ["a1-1.3", "a1-1.1"]


async def test_one_call_comes_with_its_facts_and_what_was_recorded(site):
    now = site.clock.now()
    site.calls.rows += [
        {"call_id": "a1-1.1", "started_at": now, "ended_at": now, "customer_id": 7},
        {"call_id": "a1-1.2", "started_at": now},
    ]
    _, said = await site.ask("GET", "/api/v1/calls/a1-1.1", "supervisor")
    assert (said["call"]["call_id"], said["call"]["customer_id"]) == ("a1-1.1", 7)
    assert (said["disposition"], said["note"], said["facts"][0]["type"]) == ("resolved", "all well", "CallStarted")
    _, said = await site.ask("GET", "/api/v1/calls/a1-1.2", "supervisor")
    assert (said["call"], len(said["facts"])) == (None, 1)
    answer, said = await site.ask("GET", "/api/v1/calls/a1-9.9", "supervisor")
    assert (answer.status, said["error"]["id"]) == (404, "unknown_call")


async def test_calls_without_a_database_are_a_clean_503(site):
    site.calls.error = RemoteError("the database is away", remedy="calls go on; ask again later")
    answer, said = await site.ask("GET", "/api/v1/calls", "supervisor")
    assert (answer.status, said["error"]["remedy"]) == (503, "calls go on; ask again later")


async def test_anyone_may_know_the_centre(site):
    _, said = await site.ask("GET", "/api/v1/centre")
    assert said == {
        "name": "Harbour Services",
        "languages": ["en", "zh"],
        "numbers": [{"did": "5000", "title": "Main line"}, {"did": "5001", "title": "VIP line"}],
    }


async def test_web_calls_are_limited_by_address(site):
    for _ in range(20):
        answer, said = await site.ask("POST", "/api/v1/webcall")
        assert answer.status == 200
    assert said["uri"] == "sip:webcall@127.0.0.1"
    assert [number["did"] for number in said["dial"]] == ["5000", "5001"]
    answer, said = await site.ask("POST", "/api/v1/webcall")
    assert (answer.status, said["error"]["id"], answer.headers["Retry-After"]) == (429, "too_many_attempts", "60")
    site.clock.move(timedelta(seconds=61))
    answer, _ = await site.ask("POST", "/api/v1/webcall")
    assert answer.status == 200


async def test_the_openapi_document_names_every_operation(site):
    _, said = await site.ask("GET", "/api/v1/openapi.json")
    assert said["openapi"] == "3.1.0"
    found = {
        entry["operationId"]: (method, path)
        for path, entries in said["paths"].items()
        for method, entry in entries.items()
    }
    assert found == {op.name: (op.method.lower(), plain_path(op)) for op in OPERATIONS}
    text = json.dumps(said)
    for schema in said["components"]["schemas"].values():
        assert schema.get("type") or schema.get("enum") or schema.get("anyOf"), schema
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in said["components"]["schemas"]


async def test_health_and_figures(make_site):
    from cti.web.deps import ReadyPart

    parts = [
        ReadyPart(name="asterisk", ok=True, needed=True),
        ReadyPart(name="journal", ok=True, needed=True),
        ReadyPart(name="database", ok=True, needed=False, detail="lag 0.2 s"),
    ]
    site = await make_site(readiness=lambda: tuple(parts), metrics=Metrics())
    answer, said = await site.ask("GET", "/readyz")
    assert (answer.status, said["status"]) == (200, "ready")
    parts[2] = ReadyPart(name="database", ok=False, needed=False, detail="away since 09:12")
    answer, said = await site.ask("GET", "/readyz")
    assert (answer.status, said["status"], said["parts"]["database"]["ok"]) == (200, "degraded", False)
    parts[0] = ReadyPart(name="asterisk", ok=False, needed=True)
    answer, said = await site.ask("GET", "/readyz")
    assert (answer.status, said["status"]) == (503, "not_ready")
    answer, said = await site.ask("GET", "/healthz")
    assert (answer.status, said) == (200, {"status": "ok"})
    answer, said = await site.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = said.decode()
    assert 'cti_queue_waiting{queue="support"} 0.0' in text
    assert 'cti_agents{state="offline"} 8.0' in text
    assert 'cti_http_requests_total{operation="readyz",status="503"} 1.0' in text


async def test_a_supervisor_changes_priority_and_queue_of_a_waiting_call_in_their_own_name(site):
    path = "/api/v1/calls/a1-1.1"
    answer, said = await site.ask("POST", f"{path}/priority", "supervisor", json={"front": True, "reason": "a VIP"})
    assert answer.status == 200
    assert set(said) == {"call_id", "queue", "head_start", "strict", "place"}
    assert site.floor.asked[-1] == ("change_priority", "a1-1.1", "supervisor", "a VIP", None, None, True)
    answer, said = await site.ask("POST", f"{path}/queue", "admin", json={"queue": "sales", "reason": "asked for it"})
    assert (answer.status, said["queue"]) == (200, "sales")
    assert site.floor.asked[-1] == ("change_queue", "a1-1.1", "sales", "admin", "asked for it")
    for body in (
        {"reason": "nothing named"},
        {"front": True},
        {"strict": 100, "reason": "x"},
        {"head_start": 1e9, "reason": "x"},
    ):
        answer, said = await site.ask("POST", f"{path}/priority", "admin", json=body)
        assert (answer.status, said["error"]["id"]) == (400, "invalid_input")
    for error_id, status in (("under_offer", 409), ("not_waiting", 409), ("unknown_call", 404), ("unknown_queue", 404)):
        site.floor.refuse["change_queue"] = Refused(error_id, "no", remedy="wait")
        answer, said = await site.ask("POST", f"{path}/queue", "admin", json={"queue": "sales", "reason": "asked"})
        assert (answer.status, said["error"]) == (status, {"id": error_id, "message": "no", "remedy": "wait"})


async def test_callbacks_are_listed_and_taken_off_the_list(site):
    rows = (
        site.floor.make_call("a1-1.9-cb", callback="waiting"),
        site.floor.make_call("a1-1.8-cb", callback="dialling"),
    )
    site.floor.apply(Change(calls={row.call_id: row for row in rows}))
    for who, status in (("1001", 403), ("supervisor", 200)):
        answer, said = await site.ask("GET", "/api/v1/callbacks", who)
        assert answer.status == status
    assert [row["call_id"] for row in said["callbacks"]] == ["a1-1.8-cb", "a1-1.9-cb"]
    answer, said = await site.ask("DELETE", "/api/v1/callbacks/a1-1.9-cb", "supervisor")
    assert (answer.status, [row["call_id"] for row in said["callbacks"]]) == (200, ["a1-1.8-cb"])
    assert site.floor.asked[-1] == ("cancel_callback", "a1-1.9-cb", "supervisor")
    site.floor.refuse["cancel_callback"] = Refused("no_callback", "no such callback waits", remedy="reload")
    answer, said = await site.ask("DELETE", "/api/v1/callbacks/a1-1.9-cb", "supervisor")
    assert (answer.status, said["error"]["id"]) == (404, "no_callback")


# ---- the centre's configuration


async def test_a_configuration_is_read_changed_and_not_overwritten(site):
    answer, said = await site.ask("GET", "/api/v1/config", "admin")
    assert (answer.headers["ETag"], said["version"], said["text"]) == ('"v1"', "v1", "name: Harbour Services\n")
    new = {"text": "name: New"}
    _, said = await site.ask("POST", "/api/v1/config/diff", "admin", json=new)
    assert said == {"version": "v1", "changes": ["centre: another text"]}
    answer, said = await site.ask("PUT", "/api/v1/config", "admin", json=new, headers={"If-Match": '"v1"'})
    assert (answer.status, answer.headers["ETag"]) == (200, '"v2"')
    assert said["logins"] == [{"username": "1009", "password": "secret"}]
    assert site.deps.configuration.applied == [("name: New", "admin")]
    answer, said = await site.ask("PUT", "/api/v1/config", "admin", json=new, headers={"If-Match": '"v1"'})
    assert (answer.status, said["error"]["id"]) == (412, "config_conflict")
    assert said["error"]["remedy"]
    for missing in ({}, {"If-Match": "*"}):
        answer, said = await site.ask("PUT", "/api/v1/config", "admin", json=new, headers=missing)
        assert (answer.status, said["error"]["id"]) == (428, "if_match_missing")
    assert len(site.deps.configuration.applied) == 1
    who = {**new, "by": "sue"}
    await site.ask("PUT", "/api/v1/config", "admin", json=who, headers={"If-Match": "v2"})
    assert site.deps.configuration.applied[-1][1] == "sue (as admin)"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/v1/config"), ("POST", "/api/v1/config/diff")])
async def test_a_wrong_configuration_is_refused_with_its_places(site, method, path):
    answer, said = await site.ask(method, path, "admin", json={"text": "wrong"}, headers={"If-Match": "v1"})
    assert (answer.status, said["error"]["id"]) == (400, "config_invalid")
    assert said["error"]["details"] == [{"field": "centre.yaml:1", "message": "wrong"}]
    _, said = await site.ask("POST", "/api/v1/config/check", "admin", json={"text": "wrong"})
    assert said == {"problems": [{"place": "centre.yaml:1", "message": "wrong"}]}


async def test_a_large_configuration_is_taken(site):
    text = "x" * 300_000
    _, said = await site.ask("POST", "/api/v1/config/check", "admin", json={"text": text})
    assert said == {"problems": []}


async def test_a_removed_agents_page_is_closed_and_the_rows_disappear(site):
    everything, own = await site.feed("supervisor"), await site.feed("1002")
    for feed in (everything, own):
        assert (await feed.receive_json())["type"] == "snapshot"
    site.floor.apply(Change(agents_gone=(A2,), queues_gone=("vip",)))
    while not (change := (await everything.receive_json())["change"])["agents_gone"]:
        pass  # the page that came
    assert (change["agents_gone"], change["queues_gone"]) == (["1002"], ["vip"])
    async for _ in own:
        pass
    assert own.close_code == 4401
    late = await site.feed("supervisor")
    view = (await late.receive_json())["view"]
    assert "1002" not in view["agents"]
    assert "vip" not in view["queues"]
