"""Odd texts through every text field of the API that stores something, with a real database: they come back equal, or are
refused with 400. Nothing is cut, changed, or answered with a 5xx."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.integration.test_api_schema import Api, api  # noqa: F401 - a fixture
from tests.support.customers import customer_work  # noqa: F401 - a fixture
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
            for field in ("subject", "detail"):
                body = {"subject": "Late", "customer_id": customer, field: text}
                await program.same(text, "POST", "/api/v1/complaints", body, field)
            for field in ("title", "detail"):
                body = {"title": "Call", "due_at": "2026-03-02T10:00:00Z", field: text}
                await program.same(text, "POST", "/api/v1/tasks", body, field)
        assert program.kept > 2 * program.refused, (program.kept, program.refused)


async def test_forms_for_everybody_take_odd_texts_or_refuse_them(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        for number, text in enumerate(NAUGHTY):
            for path, body in (
                ("/api/v1/web-complaint", {"subject": text, "detail": text}),
                ("/api/v1/web-callback", {"number": "(555) 010-0001", "consent": True, "name": text, "about": text}),
            ):
                async with session.post(api.url + path, json={"key": f"naughty-{number:04}", **body}) as answer:
                    assert answer.status in (200, 400, 413, 429), (path, text[:40], await answer.text())


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
