"""What is made of reports, over HTTP and a real database: files, kept views, staffing, targets, actions; and who did it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openpyxl import load_workbook

from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.report_house import ReportHouse, report_house

pytestmark = [pytest.mark.real, pytest.mark.beside]

SEARCH = "view=queues&period=last_week&by=queue&metrics=offered,service_level,asa"
MAIL = {"rhythm": "daily", "at": "07:30", "format": "pdf", "language": "en", "to": ["ops@example.com"], "active": True}


class Person:
    """Somebody logged in."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session, self.url, self.token = session, url, token

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers) as answer:
            told = await answer.json() if "json" in answer.content_type else await answer.read()
            assert answer.status == status, (method, path, answer.status, told)
            return told


@pytest.fixture
async def house(migrated: str, tmp_path: Path) -> AsyncIterator[ReportHouse]:  # noqa: F811
    async with report_house(tmp_path, migrated, days=21, full=False) as found:
        yield found


@pytest.fixture
async def people(house: ReportHouse) -> AsyncIterator[dict[str, Person]]:
    async with aiohttp.ClientSession() as session:
        found = {}
        for name in ("supervisor", "admin", "1001"):
            async with session.post(f"{house.url}/api/v1/login", json={"username": name, "password": "demo"}) as answer:
                found[name] = Person(session, house.url, (await answer.json())["token"])
        yield found


async def test_files_hold_what_the_page_shows(house: ReportHouse, people: dict[str, Person]) -> None:
    ann = people["supervisor"]
    shown = await ann.ask(
        "GET",
        "/reports/query?from=2026-02-23T05:00:00Z&to=2026-03-02T05:00:00Z&by=queue&metrics=offered,service_level,asa",
    )
    book = load_workbook(io.BytesIO(await ann.ask("GET", f"/reports/export?format=xlsx&{SEARCH}")))
    rows = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]
    assert rows[1][1] == shown["totals"]["offered"]["value"]
    assert {row[0]: row[1] for row in rows[2:]} == {
        {"support": "Support", "sales": "Sales", "vip": "VIP line"}[row["keys"]["queue"]]: row["figures"]["offered"][
            "value"
        ]
        for row in shown["rows"]
    }
    assert (await ann.ask("GET", f"/reports/export?format=pdf&language=zh&{SEARCH}")).startswith(b"%PDF-")
    assert "技术支持" in (await ann.ask("GET", f"/reports/export?format=csv&language=zh&{SEARCH}")).decode()
    assert [line["act"] for line in house.acts.lines] == ["report_export"] * 3
    for wrong in (
        "format=doc&metrics=offered",
        "format=csv&metrics=nothing",
        "format=csv&metrics=offered&colour=red",
        "format=csv",
    ):
        await ann.ask("GET", f"/reports/export?{wrong}", status=400)
    await people["1001"].ask("GET", f"/reports/export?format=csv&{SEARCH}", status=403)
    house.reports.away = True
    await ann.ask("GET", f"/reports/export?format=csv&{SEARCH}", status=503)


async def test_kept_views_are_ones_own_or_shared(house: ReportHouse, people: dict[str, Person]) -> None:
    ann, root = people["supervisor"], people["admin"]
    own = await ann.ask("POST", "/reports/saved", {"name": "Mine", "search": SEARCH})
    shared = await ann.ask("POST", "/reports/saved", {"name": "Ours", "search": SEARCH, "shared": True})
    again = await ann.ask("POST", "/reports/saved", {"name": "Ours", "search": SEARCH + "&tier=gold", "shared": True})
    assert again["report_id"] == shared["report_id"]
    assert [(one["name"], one["mine"]) for one in (await ann.ask("GET", "/reports/saved"))["reports"]] == [
        ("Mine", True),
        ("Ours", True),
    ]
    assert [(one["name"], one["mine"]) for one in (await root.ask("GET", "/reports/saved"))["reports"]] == [
        ("Ours", False)
    ]
    await root.ask("DELETE", f"/reports/saved/{own['report_id']}", status=404)
    await root.ask("DELETE", f"/reports/saved/{shared['report_id']}")
    await ann.ask("DELETE", f"/reports/saved/{shared['report_id']}", status=404)
    await ann.ask("POST", "/reports/saved", {"name": "Bad", "search": "metrics=nothing"}, status=400)
    await people["1001"].ask("GET", "/reports/saved", status=403)


async def test_schedules_are_changed_and_written_down(house: ReportHouse, people: dict[str, Person]) -> None:
    ann = people["supervisor"]
    kept = await ann.ask("POST", "/reports/saved", {"name": "Mine", "search": SEARCH})
    made = await ann.ask("POST", "/reports/schedules", {**MAIL, "report_id": kept["report_id"]})
    assert made["next_at"] == "2026-03-05T12:30:00Z"
    one = f"/reports/schedules/{made['schedule_id']}"
    paused = await ann.ask("PUT", one, {**MAIL, "report_id": kept["report_id"], "active": False})
    assert paused["next_at"] is None
    listed = await ann.ask("GET", "/reports/schedules")
    assert (listed["mail"], listed["zone"], len(listed["schedules"])) == (False, "America/New_York", 1)
    await ann.ask("POST", one + "/send", status=409)
    for wrong in (
        {"at": "25:00"},
        {"to": []},
        {"to": ["x"]},
        {"rhythm": "weekly", "day": 9},
        {"rhythm": "hourly"},
        {"report_id": 999},
    ):
        status = 404 if "report_id" in wrong else 400
        await ann.ask("POST", "/reports/schedules", {**MAIL, "report_id": kept["report_id"], **wrong}, status=status)
    await ann.ask("DELETE", one)
    await ann.ask("DELETE", one, status=404)
    acts = [(line["act"], line["subject"]) for line in house.acts.lines]
    assert acts == [
        ("report_save", "Mine"), ("report_schedule_add", "Mine"), ("report_schedule_change", "Mine"), ("report_schedule_remove", "Mine"),
    ]  # fmt: skip
    assert house.acts.lines[2]["before"]["active"] == "true"


async def test_staffing_is_learnt_from_the_past(people: dict[str, Person]) -> None:
    ann = people["supervisor"]
    plan = await ann.ask("GET", "/staffing?weekday=1&weeks=3")
    assert plan["days"] == ["2026-02-16", "2026-02-23", "2026-03-02"]
    assert len(plan["slots"]) == 48
    ten = plan["slots"][20]
    assert ten["needed_low"] <= ten["needed"] <= ten["needed_high"]
    assert ten["service_level"] >= 0.8
    assert ten["calls_low"] < ten["calls"] < ten["calls_high"]
    assert ten["present"] > 0
    assert plan["patience"] > 20
    more = await ann.ask("GET", "/staffing?weekday=1&weeks=3&growth=2&service_level=0.95")
    assert more["agent_hours"] > plan["agent_hours"]
    vip = await ann.ask("GET", "/staffing?weekday=1&weeks=3&queue=vip&patience=never")
    assert vip["slots"][20]["calls"] < ten["calls"]
    sunday = await ann.ask("GET", "/staffing?weekday=7")
    assert sunday["days"] == []
    for wrong in (
        "weekday=0",
        "weekday=1&service_level=1",
        "weekday=1&patience=soon",
        "weekday=1&queue=nowhere",
        "weekday=1&growth=nan",
    ):
        await ann.ask("GET", f"/staffing?{wrong}", status=400)


async def test_targets_and_what_is_done_about_them(house: ReportHouse, people: dict[str, Person]) -> None:
    ann = people["supervisor"]
    goal = {"metric": "service_level", "queue": "", "target": 0.8, "tolerance": 0.05}
    await ann.ask("PUT", "/audit/targets", goal)
    new = await ann.ask("PUT", "/audit/targets", {**goal, "target": 0.85})
    assert [one["target"] for one in (await ann.ask("GET", "/audit/targets"))["targets"]] == [0.85]
    assert house.acts.lines[-1]["before"] == {"target": "0.8", "tolerance": "0.05"}
    audit = await ann.ask("GET", "/audit?step=week&periods=3")
    assert audit["periods"] == ["2026-W08", "2026-W09", "2026-W10"]
    assert {cell["verdict"] for cell in audit["rows"][0]["cells"]} <= {"met", "near", "missed"}
    figure = await ann.ask(
        "GET", "/reports/query?from=2026-02-23T05:00:00Z&to=2026-03-02T05:00:00Z&metrics=service_level"
    )
    assert audit["rows"][0]["cells"][1]["value"] == pytest.approx(figure["totals"]["service_level"]["value"])
    wish = {
        "metric": "service_level",
        "period": "2026-W09",
        "what": "An on-call list",
        "owner": "1003",
        "due": "2026-03-01",
    }
    made = await ann.ask("POST", "/audit/actions", wish)
    assert made["overdue"]
    one = f"/audit/actions/{made['action_id']}"
    await ann.ask("PUT", one, {"state": "done", "result": " ", "owner": "1003", "due": "2026-03-01"}, status=400)
    done = await ann.ask("PUT", one, {"state": "done", "result": "Back at 84%", "owner": "1003", "due": "2026-03-01"})
    assert (done["state"], done["overdue"], done["closed_at"] is not None) == ("done", False, True)
    assert [line["act"] for line in house.acts.lines] == [
        "audit_target_set",
        "audit_target_set",
        "audit_action_take",
        "audit_action_settle",
    ]
    await ann.ask("DELETE", f"/audit/targets/{new['target_id']}")
    assert (await ann.ask("GET", "/audit"))["rows"] == []
    await ann.ask("PUT", "/audit/targets", {**goal, "metric": "nothing"}, status=400)
    await ann.ask(
        "PUT",
        one.replace(str(made["action_id"]), "999"),
        {"state": "open", "owner": "x", "due": "2026-03-01"},
        status=404,
    )
    await people["1001"].ask("GET", "/audit", status=403)
