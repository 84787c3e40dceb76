"""Quality over HTTP with a real database: whatever fits the schema gets an answer of the schema; odd texts come back equal or
are refused; agents reach nothing but their own; acts are in the audit log."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.quality.routes import OPERATIONS
from tests.integration import test_api_schema
from tests.integration.test_api_schema import Api, api  # noqa: F401 - a fixture
from tests.integration.test_naughty_strings import NAUGHTY, found
from tests.support.api_schema import TIMES, attack, operations_of, schemathesis, tell_sent
from tests.support.customers import customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.quality_stage import QualitySite, quality_site
from tests.unit.quality.test_quality_rules import GOOD

pytestmark = [pytest.mark.real, pytest.mark.beside]


@pytest.fixture
async def site(migrated: str, tmp_path: Path) -> AsyncIterator[QualitySite]:
    async with quality_site(migrated, tmp_path) as site:
        yield site


class Program:
    """Asks as somebody."""

    def __init__(self, session: aiohttp.ClientSession, site: QualitySite, name: str) -> None:
        self._session, self._site, self.name = session, site, name

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._site.tokens[self.name]}"}
        url = f"{self._site.url}/api/v1/quality/{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> Any:
        status, said = await self.ask("GET", path)
        assert status == 200, said
        return said

    async def post(self, path: str, body: Any = None) -> Any:
        status, said = await self.ask("POST", path, body or {})
        assert status == 200, said
        return said

    async def scored(self, call_id: str, *, release: bool = True) -> Any:
        """A released score of a call."""
        form = (await self.get("forms"))["forms"][0]["form_id"]
        sample = await self.post("samples", {"call_id": call_id, "form_id": form})
        begun = await self.post(f"samples/{sample['sample_id']}/score")
        body = {"revision": begun["score"]["revision"], "answers": GOOD, "release": release}
        return await self.post(f"scores/{begun['score']['score_id']}/submit", body)


@pytest.mark.skipif(schemathesis is None, reason="schemathesis is not installed")
@pytest.mark.timeout(480 * TIMES)
async def test_the_document_is_kept_by_every_operation_of_quality(api: Api) -> None:
    operations = await asyncio.to_thread(operations_of, api.url)
    ours = [one for one in operations if one.path.startswith("/api/v1/quality/")]
    assert len(ours) == len(OPERATIONS)
    wrong: list[str] = []
    until = time.monotonic() + test_api_schema.MOST_SECONDS
    for one in ours:
        wrong += await asyncio.to_thread(attack, one, api, until, 8)
    tell_sent(len(ours))
    assert not wrong, f"{len(wrong)}:\n" + "\n\n".join(wrong)


async def test_odd_texts_come_back_equal_or_are_refused(site: QualitySite) -> None:
    await site.call("pbx1-1.1")
    async with aiohttp.ClientSession() as session:
        boss, ada = Program(session, site, "supervisor"), Program(session, site, "1001")
        made = await boss.scored("pbx1-1.1")
        number = made["score"]["score_id"]
        kept = refused = 0
        for text in NAUGHTY:
            revision = (await boss.get(f"scores/{number}"))["score"]["revision"]
            whole = {"revision": revision, "answers": GOOD, "reason": "again"}
            item = {"name": "one", "titles": {"en": text}, "kind": "yes_no"}
            for who, path, body in (
                (boss, "notes", {"agent": "1001", "kind": "praise", "text": text}),
                (boss, f"scores/{number}/revise", {**whole, "comment": text}),
                (boss, f"scores/{number}/revise", {**whole, "revision": revision + 1, "remarks": [{"text": text}]}),
                (ada, f"scores/{number}/replies", {"kind": "comment", "text": text}),
                (boss, "forms", {"form": {"titles": {"en": text}, "sections": [{"name": "s", "titles": {"en": "S"}, "items": [item]}]}}),
                (boss, "plans", {"active": False, "plan": {"title": text, "kind": "random", "form_id": 1}}),
            ):  # fmt: skip
                status, said = await who.ask("POST", path, body)
                if status == 200:
                    assert found(said, text), (path, text[:40])
                    kept += 1
                else:
                    assert status in (400, 409), (path, text[:40], said)
                    assert said["error"]["id"]
                    refused += 1
    assert kept > 60
    assert refused > 10


async def test_an_agent_reaches_nothing_but_the_own_and_acts_are_written_down(site: QualitySite) -> None:
    await site.call("pbx1-1.1", agent="1002")
    await site.call("pbx1-1.2", agent="1001")
    async with aiohttp.ClientSession() as session:
        boss, ada = Program(session, site, "supervisor"), Program(session, site, "1001")
        theirs = (await boss.scored("pbx1-1.1"))["score"]["score_id"]
        mine = (await boss.scored("pbx1-1.2", release=False))["score"]
        note = (await boss.post("notes", {"agent": "1002", "kind": "coaching", "text": "x"}))["note_id"]
        assert await ada.get("scores") == {"scores": []}
        assert await ada.get("notes?agent=1002") == {"notes": []}
        for method, path in (
            ("GET", f"scores/{theirs}"), ("GET", f"scores/{mine['score_id']}"), ("POST", f"scores/{theirs}/seen"),
            ("POST", f"notes/{note}/seen"),
        ):  # fmt: skip
            assert (await ada.ask(method, path, {}))[0] == 404, path
        assert (await ada.ask("POST", f"scores/{theirs}/replies", {"kind": "comment", "text": "x"}))[0] == 404
        for operation in OPERATIONS:
            if Role.AGENT not in (PERMISSIONS[operation.name] or ()):
                path = operation.path.removeprefix("/api/v1/quality/")
                for name in ("form_id", "plan_id", "sample_id", "calibration_id", "score_id", "note_id"):
                    path = path.replace(f"{{{name}:[0-9]+}}", "1")
                assert (await ada.ask(operation.method, path, {}))[0] == 403, operation.name
        released = await boss.post(f"scores/{mine['score_id']}/release", {"revision": mine["revision"]})
        assert [one["score_id"] for one in (await ada.get("scores"))["scores"]] == [mine["score_id"]]
        status, said = await boss.ask("POST", f"scores/{mine['score_id']}/delete", {"revision": 1, "reason": "x"})
        assert (status, said["error"]["id"]) == (409, "edit_conflict")
        revision = released["score"]["revision"]
        await boss.post(f"scores/{mine['score_id']}/delete", {"revision": revision, "reason": "Wrong call"})
    acts = [
        (one["act"], one["subject"], one["reason"]) for one in site.acts.acts if one["act"].startswith("quality_score")
    ]
    assert acts == [
        ("quality_score_submit", f"score:{theirs}", ""),
        ("quality_score_submit", f"score:{mine['score_id']}", ""),
        ("quality_score_release", f"score:{mine['score_id']}", ""),
        ("quality_score_delete", f"score:{mine['score_id']}", "Wrong call"),
    ]


async def test_wrong_days_states_and_scorers_are_refused_in_words(site: QualitySite) -> None:
    await site.call("pbx1-1.1")
    async with aiohttp.ClientSession() as session:
        boss = Program(session, site, "supervisor")
        for method, path, body in (
            ("GET", "surveys?since=2026-03-02&until=2026-03-01", None),
            ("GET", "surveys?since=0001-01-01", None),
            ("GET", "summary?day=9999-12-31", None),
            ("GET", "scores?state=lost", None),
            ("GET", "samples?state=lost", None),
            ("POST", "samples", {"call_id": "pbx1-1.1", "form_id": 1, "scorer": "1002"}),
            ("POST", "calibrations", {"title": "x", "call_id": "pbx1-1.1", "form_id": 1, "scorers": ["admin", "nobody"]}),
            ("POST", "calibrations", {"title": "x", "call_id": "pbx1-1.1", "form_id": 1, "scorers": ["admin", "admin"]}),
            ("POST", "plans", {"plan": {"title": "x", "kind": "random", "form_id": 1, "scorers": ["nobody"]}}),
        ):  # fmt: skip
            status, said = await boss.ask(method, path, body)
            assert status == 400, (path, said)
            assert said["error"]["message"], path
            assert said["error"]["remedy"], path
