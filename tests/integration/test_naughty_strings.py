"""Odd texts through every text field of the API that stores something, with a real database: they come back equal, or are
refused with 400. Nothing is cut, changed, or answered with a 5xx."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.journal.writer import JournalWriter
from cti.model.dial_facts import DialAsked
from cti.model.facts import CallEnded, CallStarted, CallTransferred, Fact, HangupBy, WrapUpEnded
from cti.model.talk_facts import DestinationKind
from cti.store.drain import Drain
from cti.store.queries import StoredCalls
from tests.integration.test_api_schema import Api, api  # noqa: F401 - a fixture
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

NAUGHTY = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", '" onmouseover="alert(1)',
    "'; DROP TABLE crm.customers; --", "{{7*7}} ${7*7} {number} %s %n %00", "=cmd|' /C calc'!A0", "@SUM(1+1)", "-1+1",
    "NUL\x00in it", "bell\x07 and \x1b[31mred", "\u202etxet lamron", "\u2066\u200b\ufeffunseen", "a\u0085b\u2028c",
    "👩‍👩‍👧‍👦 🏳️‍🌈 𝒳", "田中さんにあげて下さい", "Z̮̞̠͙͔ͅA͡L̴G̢O", "undefined", "null", "NaN", "1e309", "\\x00\\u0000\\", "a\tb", "two\nlines",
    "x" * 9000, "𝒳" * 5000, "\ud800",
)  # fmt: skip


class Program:
    """Asks as a supervisor."""

    def __init__(self, session: aiohttp.ClientSession, api: Api) -> None:
        self._session, self._api = session, api
        self.kept = self.refused = 0

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._api.tokens['supervisor']}"}
        async with self._session.request(method, self._api.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def same(self, text: str, method: str, path: str, body: Any, field: str) -> Any:
        """The text is kept as it is, or refused; what was kept."""
        status, said = await self.ask(method, path, body)
        if status == 400:
            assert said["error"]["id"], (path, field)
            self.refused += 1
            return None
        assert status == 200, (status, path, field, text[:40], said)
        assert found(said, text), (path, field, text[:40], said)
        self.kept += 1
        return said


def found(said: Any, text: str) -> bool:
    """Whether the text stands somewhere in an answer, but for white space around it."""
    if isinstance(said, dict):
        return any(found(one, text) for one in said.values())
    if isinstance(said, list):
        return any(found(one, text) for one in said)
    return isinstance(said, str) and said.strip() == text.strip()


async def test_texts_come_back_equal_or_are_refused(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        program = Program(session, api)
        for number, text in enumerate(NAUGHTY):
            await program.same(text, "POST", "/api/v1/customers", {"name": text}, "name")
            made = await program.ask("POST", "/api/v1/customers", {"name": f"Customer {number}"})
            customer, version = made[1]["customer_id"], made[1]["version"]
            one = f"/api/v1/customers/{customer}"
            for field, value in (
                ("notes", text), ("company", text), ("reference", text), ("email", text), ("tags", [text]),
                ("addresses", [{"street": text}]), ("phones", [{"raw": "5550100", "label": text}]),
            ):  # fmt: skip
                said = await program.same(text, "PATCH", one, {field: value, "version": version}, field)
                version = said["version"] if said is not None else version
            assert (await program.ask("GET", one))[0] == 200
            if await program.same(text, "POST", f"{one}/notes", {"text": text}, "note") is not None:
                assert found((await program.ask("GET", f"{one}/notes"))[1], text)
            body = {"key": f"odd {number}", "name": text, "company": text}
            await program.same(text, "POST", "/api/v1/customers", body, "name, with a key")
        assert program.kept > 2 * program.refused, (program.kept, program.refused)


async def test_what_is_written_of_complaints_tasks_calls_and_rules_comes_back_equal(api: Api) -> None:
    """Each text is kept and found again where people read it, or refused; nothing is cut."""
    async with aiohttp.ClientSession() as session:
        program = Program(session, api)
        _, lists = await program.ask("GET", "/api/v1/follow-ups")
        follow_up = f"/api/v1/follow-ups/{lists['follow_ups'][0]['follow_up_id']}"
        await program.ask("POST", "/api/v1/churn/compute")
        _, warned = await program.ask("GET", "/api/v1/churn")
        churn = f"/api/v1/churn/{warned['customers'][0]['customer_id']}/actions"
        for number, text in enumerate(NAUGHTY):
            for field in ("subject", "text", "contact_name"):
                said = await program.same(text, "POST", "/api/v1/complaints", {"subject": "Late", field: text}, field)
                if said is not None:
                    one = f"/api/v1/complaints/{said['complaint']['complaint_id']}"
                    assert found((await program.ask("GET", one))[1], text), (field, text[:40])
            _, made = await program.ask("POST", "/api/v1/complaints", {"subject": "Late"})
            one = f"/api/v1/complaints/{made['complaint']['complaint_id']}"
            await program.same(text, "POST", one, {"revision": 1, "note": text}, "action")
            _, made = await program.ask("POST", one, {"move": "start"})
            await program.same(text, "POST", one, {"move": "resolve", "resolution": text}, "resolution")
            _, made = await program.ask("POST", one, {"move": "resolve", "resolution": "done"})
            await program.same(text, "POST", one, {"move": "refuse", "note": text}, "verdict")
            for field in ("title", "detail"):
                body = {"title": "Call", "due_at": "2026-03-02T10:00:00Z", field: text}
                said = await program.same(text, "POST", "/api/v1/tasks", body, field)
                if said is not None:
                    _, mine = await program.ask("GET", "/api/v1/tasks?whose=all&later=true&limit=500")
                    assert found(mine, text), (field, text[:40])
            body = {"outcome": "call_later", "again_at": "2026-03-03T10:00:00Z", "note": text}
            if await program.same(text, "POST", f"{follow_up}/result", body, "note of a call") is not None:
                assert found((await program.ask("GET", follow_up))[1], text)
            if await program.same(text, "POST", churn, {"action": "other", "note": text}, "what was done") is not None:
                assert found((await program.ask("GET", "/api/v1/churn"))[1], text)
            plan = {"name": f"Plan {number}", "trigger": "purchase", "after_days": 1, "script": {"en": text or "x"}}
            await program.same(text, "POST", "/api/v1/follow-ups/plans", {"plan": plan}, "script")
            _, rules = await program.ask("GET", "/api/v1/casework/rules/churn")
            body = {"rules": {}, "version": rules["version"], "note": text}
            await program.same(text, "POST", "/api/v1/casework/rules/churn", body, "why")
        assert program.kept > 2 * program.refused, (program.kept, program.refused)


async def test_what_customers_write_on_the_web_is_what_people_read(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        program = Program(session, api)
        kept = refused = 0
        for number, text in enumerate(NAUGHTY):
            if number % 5 == 4:
                api.clock.move(timedelta(minutes=11))  # no more than ten in ten minutes are taken
            key = f"naughty-{number:04}"
            complaint = {"key": key, "subject": "Late", "text": text, "name": text[:200]}
            async with session.post(f"{api.url}/api/v1/web-complaint", json=complaint) as answer:
                said = await answer.json()
                assert answer.status in (200, 400), (text[:40], said)
            if answer.status == 200:
                kept += 1
                _, one = await program.ask("GET", f"/api/v1/complaints/{said['complaint']}")
                assert (one["text"], one["complaint"]["customer_name"]) == (text, text[:200])
            else:
                refused += 1
            wish = {"key": key, "number": f"(555) 010-{number:04}", "consent": True, "name": text[:200], "about": text}
            async with session.post(f"{api.url}/api/v1/web-callback", json=wish) as answer:
                assert answer.status in (200, 400), (text[:40], await answer.text())
            if answer.status == 200:
                _, told = await program.ask("GET", "/api/v1/tasks?whose=all&kinds=web_callback&later=true&limit=500")
                rows = [row for row in told["tasks"] if row["number"] == f"+1555010{number:04}"]
                assert [(row["title"], row["detail"]) for row in rows] == [(text[:200].strip(), text.strip())]
        assert kept > 2 * refused > 0, (kept, refused)


async def test_what_agents_write_reaches_the_floor_as_it_is_or_is_refused(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.tokens['1001']}"}
    to = {"kind": "queue", "name": "sales"}
    line: Any = api.deps.line
    async with aiohttp.ClientSession(headers=headers) as session:
        for text in NAUGHTY:
            for path, body, most in (
                ("calls/a1-1.1/wrapup", {"disposition": "resolved", "note": text}, 4000),
                ("calls/a1-1.1/transfer", {"to": to, "note": text}, 1000),
                ("calls/a1-1.1/consult/complete", {"note": text}, 1000),
                ("dial", {"number": "+15550100002", "override_reason": text}, 200),
            ):
                api.floor.asked.clear()
                line.asked.clear()
                async with session.post(f"{api.url}/api/v1/agent/{path}", json=body) as answer:
                    said = await answer.json()
                if "\0" in text or "\ud800" in text or len(text) > most:
                    assert (answer.status, bool(said["error"]["message"])) == (400, True), (path, text[:40])
                    assert not api.floor.asked
                    assert not line.asked
                elif path == "dial":
                    assert line.asked[0][2].override == text.strip(), (path, text[:40])
                else:
                    assert answer.status == 200, (path, text[:40], said)
                    assert api.floor.asked[-1][-1] == text, (path, text[:40])


async def test_notes_of_calls_are_the_same_after_journal_and_database(
    customer_work: Customers, migrated: str, tmp_path: Path
) -> None:
    at, agent = datetime(2026, 3, 1, 9, 0, tzinfo=UTC), AgentId("1001")
    texts = [text for text in NAUGHTY if "\0" not in text and "\ud800" not in text]
    async with JournalWriter(tmp_path / "journal") as journal:
        journal.recover()
        for number, text in enumerate(texts):
            call_id = CallId(f"a1-1700000000.{number}")
            facts: list[Fact] = [
                CallStarted(at=at, call_id=call_id, node=NodeName("a1"), caller_number="+15550100001", did="200"),
                DialAsked(at=at, call_id=call_id, agent_id=agent, number="+15550100001", override=text),
                CallTransferred(
                    at=at, call_id=call_id, agent_id=agent, kind=DestinationKind.QUEUE, to=QueueName("x"), note=text
                ),
                CallEnded(at=at, call_id=call_id, hangup_by=HangupBy.CALLER),
                WrapUpEnded(at=at, call_id=call_id, agent_id=agent, disposition="resolved", note=text),
            ]
            await journal.append(facts)
        drain = Drain(journal, migrated)
        while await drain.drain_once():
            pass
        await drain.close()
    calls = StoredCalls(customer_work.pool)
    for number, text in enumerate(texts):
        one = await calls.one(CallId(f"a1-1700000000.{number}"))
        assert one is not None
        told = [value for fact in one.facts for name, value in fact.items() if name in ("note", "override") and value]
        assert (one.note, told) == (text, [text] * 3), base64.b64encode(text.encode())


async def test_two_people_edit_one_customer_and_nothing_is_lost(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        program = Program(session, api)
        _, made = await program.ask("POST", "/api/v1/customers", {"name": "Both"})
        one, version = f"/api/v1/customers/{made['customer_id']}", made["version"]
        answers = await asyncio.gather(
            program.ask("PATCH", one, {"version": version, "notes": "<b>mine</b>"}),
            program.ask("PATCH", one, {"version": version, "notes": "<i>theirs</i>"}),
        )
        assert sorted(status for status, _ in answers) == [200, 409]
        (lost,) = [said for status, said in answers if status == 409]
        kept = (await program.ask("GET", one))[1]["notes"]
        assert kept in ("<b>mine</b>", "<i>theirs</i>")
        assert found(lost, kept), "who comes second is shown what the other wrote"
