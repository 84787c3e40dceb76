"""The customer file over HTTP: the real rooms on a real database behind the real application."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cti.crm.demo import load
from cti.services.customer_file import CustomField
from cti.web.customers.routes import OPERATIONS
from tests.integration.web_api.conftest import Site
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]
AGENT = "1001"


@pytest.fixture
async def site(make_site: Any, customer_work: Customers) -> AsyncIterator[Site]:
    await load(customer_work.pool)
    return await make_site(customers=customer_work.rooms)


async def test_search_edit_conflict(site: Site) -> None:
    answer, body = await site.ask("GET", "/api/v1/customers?q=zo", AGENT)
    assert answer.status == 200
    (row,) = body["customers"]
    path = f"/api/v1/customers/{row['customer_id']}"
    _, one = await site.ask("GET", path, AGENT)
    answer, two = await site.ask("PATCH", path, AGENT, json={"version": one["version"], "email": "zoe@example.com"})
    assert (answer.status, two["version"]) == (200, 2)
    answer, body = await site.ask(
        "PATCH", path, "supervisor", json={"version": 1, "email": "z@example.com", "company": "New"}
    )
    assert answer.status == 409
    assert body["error"]["id"] == "edit_conflict"
    assert (body["customer"]["email"], body["wanted"]["email"], body["conflicting"]) == (
        "zoe@example.com",
        "z@example.com",
        ["email"],
    )
    _, body = await site.ask("GET", path + "/history", AGENT)
    assert body["changes"][0]["by"] == AGENT
    answer, body = await site.ask(
        "PATCH", path, AGENT, json={"version": 2, "email": "nonsense", "phones": [{"raw": "x"}]}
    )
    assert (answer.status, body["error"]["id"]) == (400, "invalid_customer")
    assert {one["field"] for one in body["error"]["details"]} == {"email", "phones"}


async def test_who_may_what(site: Site, customer_work: Customers) -> None:
    await customer_work.pool.execute(
        "INSERT INTO cti.calls (call_id, node, direction, started_at, ended_at, did, customer_id, outcome, hangup_by, recording, queue, agent)"
        " VALUES ('c1', 'a1', 'inbound', now(), now(), '1', 1, 'answered', 'caller', 'r.wav', 'support', '1001'),"
        " ('c0', 'a1', 'inbound', now() - interval '1 h', now(), '1', 1, 'answered', 'caller', 'r.wav', 'of_old', '9999')"
    )
    _, body = await site.ask("GET", "/api/v1/customers/1/contacts", AGENT)
    assert [one["recording"] for one in body["contacts"]] == ["", ""], "an agent is not told of recordings"
    _, body = await site.ask("GET", "/api/v1/customers/1/contacts", "supervisor")
    assert [one["recording"] for one in body["contacts"]] == ["r.wav", "r.wav"]
    assert body["queue_titles"].keys() == {"support"}
    assert body["queue_titles"]["support"]["en"] == "Support"
    assert body["agent_names"].keys() == {"1001"}
    for method, path in (
        ("POST", "/api/v1/customers/merge"), ("POST", "/api/v1/customers/imports?file_name=x"), ("GET", "/api/v1/customers/export"),
        ("GET", "/api/v1/customers/1/everything"), ("POST", "/api/v1/customers/1/forget"), ("PUT", "/api/v1/customers/fields"),
    ):  # fmt: skip
        answer, _ = await site.ask(method, path, AGENT)
        assert answer.status == 403, path
    answer, _ = await site.ask("PATCH", "/api/v1/customers/1", AGENT, json={"version": 1, "tier": "silver"})
    assert answer.status == 403
    answer, _ = await site.ask("PATCH", "/api/v1/customers/1", AGENT, json={"version": 1, "tier": "vip", "name": "Zoe"})
    assert answer.status == 200, "the tier it has is no change"
    answer, _ = await site.ask("GET", "/api/v1/customers/99999", AGENT)
    assert answer.status == 404


async def test_notes_merge_undo_export_forget(site: Site) -> None:
    _, note = await site.ask("POST", "/api/v1/customers/2/notes", AGENT, json={"text": "<b>hello</b>"})
    answer, body = await site.ask(
        "PATCH", f"/api/v1/customers/2/notes/{note['note_id']}", "1002", json={"text": "x", "version": 1}
    )
    assert (answer.status, body["error"]["id"]) == (403, "not_the_author")
    merge = {"kept_id": 1, "kept_version": 1, "gone_id": 2, "gone_version": 1, "take": ["name"]}
    answer, body = await site.ask("POST", "/api/v1/customers/merge", "supervisor", json=merge)
    assert (answer.status, body["name"], body["merged_from"]) == (200, "Daniel Brooks", [2])
    _, body = await site.ask("GET", "/api/v1/customers/1/merges", AGENT)
    answer, body = await site.ask(
        "POST", f"/api/v1/customers/merges/{body['merges'][0]['merge_id']}/undo", "supervisor", json={}
    )
    assert (answer.status, body["kept"]["name"], body["gone"]["name"]) == (200, "Zoë Chen", "Daniel Brooks")
    answer, raw = await site.ask("GET", "/api/v1/customers/export?format=csv", "supervisor")
    assert answer.status == 200
    assert raw.count(b"\n") >= 61
    answer, told = await site.ask("GET", "/api/v1/customers/2/everything", "supervisor")
    assert told["notes"][0]["text"] == "<b>hello</b>"
    answer, body = await site.ask("POST", "/api/v1/customers/2/forget", "supervisor", json={"name": "Somebody"})
    assert (answer.status, body["error"]["id"]) == (409, "other_name")
    answer, body = await site.ask("POST", "/api/v1/customers/2/forget", "supervisor", json={"name": "Daniel Brooks"})
    assert (answer.status, body["customers"], body["notes"]) == (200, 1, 1)
    answer, _ = await site.ask("GET", "/api/v1/customers/2", AGENT)
    assert answer.status == 404


async def test_a_file_over_http(site: Site, customer_work: Customers) -> None:
    text = "reference,name,phone\nX1,New One,+15550109999\nX2,,1\n"
    answer, body = await site.ask("POST", "/api/v1/customers/imports?file_name=a.csv", "supervisor", data=text.encode())
    assert answer.status == 200, body
    item = body["item"]
    path = f"/api/v1/customers/imports/{item['import_id']}"
    answer, body = await site.ask("POST", path + "/preview", "supervisor", json={"mapping": item["mapping"]})
    assert [row["change"] for row in body["rows"]] == ["add", "add"]
    assert "phone" in body["choices"]
    answer, body = await site.ask("POST", path + "/run", "supervisor", json={"mapping": item["mapping"]})
    assert body["item"]["state"] == "running"
    await customer_work.imports.take_all(item["import_id"])
    _, body = await site.ask("GET", path, "supervisor")
    assert (body["item"]["state"], body["item"]["added"], body["finished"]) == ("done", 1, 2)
    _, body = await site.ask("GET", path + "/problems", "supervisor")
    assert body["problems"][0]["line"] == 3
    answer, body = await site.ask("POST", "/api/v1/customers/imports?file_name=a.csv", "supervisor", data=b"%PDF")
    assert (answer.status, body["error"]["id"]) == (400, "unreadable_file")


async def test_a_database_that_is_away_is_told_with_what_to_do(site: Site, customer_work: Customers) -> None:
    await customer_work.pool.close()
    for method, path, more in (
        ("GET", "/api/v1/customers?q=zo", {}),
        ("PATCH", "/api/v1/customers/1", {"json": {"version": 1, "name": "X"}}),
        ("GET", "/api/v1/customers/export", {}),
    ):
        answer, body = await site.ask(method, path, "supervisor", **more)
        assert answer.status == 503, path
        assert "nothing is lost" in body["error"]["remedy"]


ANYTHING: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1e308, "", "x", "\\u0000", "a\x00b", "'", "<b>", "李" * 300, [], {}, [None], [[]], {"": None}, [{"raw": 1}],
    [{"raw": "+1 555"}], [{"channel": "call", "status": "refused", "at": "9999-12-31T23:59:59-23:59"}], {"limit": "1e999999999"},
    {"limit": 10**400}, "2026-13-45", "\ud800",
)  # fmt: skip


async def test_whatever_is_sent_is_answered_and_nothing_breaks(site: Site, customer_work: Customers) -> None:
    """Every operation, with bodies, queries and paths of all kinds: never a fault of ours (5xx), always a whole error."""
    await customer_work.rooms.file.define_fields([CustomField(name="limit", title="Limit", kind="number")])
    chance = random.Random(7)
    names = (
        "name", "version", "phones", "tags", "fields", "consents", "addresses", "email", "kind", "text", "mapping", "kept_id",
        "gone_id", "kept_version", "gone_version", "take", "company_id", "time_zone", "notes", "reference", "nonsense",
    )  # fmt: skip
    places = ("1", "2", "0", "99999", "9" * 30)
    seen: set[int] = set()
    for operation in OPERATIONS:
        for _ in range(14):
            path = re.sub(r"\{\w+[^}]*\}", lambda _: chance.choice(places), operation.path)
            body: dict[str, Any] = {"version": 1, "name": "N", "text": "t"} if chance.random() < 0.5 else {}
            body.update((chance.choice(names), chance.choice(ANYTHING)) for _ in range(chance.randrange(4)))
            query = {
                chance.choice(("q", "limit", "tag", "kind", "before", "after", "format", "file_name")): chance.choice(
                    ("", "5", "-1", "x" * 300, "%", "a\x00", "2026-01-01T00:00:00Z", "csv", "\U0001f600", "9" * 25)
                )
            } if chance.random() < 0.5 else {}  # fmt: skip
            more: dict[str, Any] = {"params": query}
            if operation.method not in ("GET",):
                more |= {"data": json.dumps(body), "headers": {"Content-Type": "application/json"}}
            answer, told = await site.ask(operation.method, path, "admin", **more)
            assert answer.status < 500, (operation.name, path, body, query, told)
            if answer.status >= 400:
                assert told["error"]["id"], operation.name
                assert told["error"]["message"], operation.name
            seen.add(answer.status)
    assert seen >= {200, 400, 404}
