"""The served OpenAPI document against the rooms of supervisors, reports, recordings and quality over a real database: whatever
fits the schema, or nearly does, gets an answer of the schema and never a 5xx; and where a room or the database is not there,
the answer is one that the document tells of."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from cti.web.app import build_app
from tests.integration.test_api_schema import HERE, NOT_HERE
from tests.support.api_schema import TIMES, attack, operations_of, schemathesis, tell_sent
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps
from tests.support.floor_stage import KNOWN, TALKS, WAITS, FloorStage, add_people, floor_stage
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(480 * TIMES)]

MOST_SECONDS = 400.0 * TIMES
"""Of making requests to a house that has everything."""
MOST_SECONDS_AWAY = 200.0 * TIMES
"""The same to one that has not."""
FIRST = re.compile(r"/(reports|recordings|quality|audit|staffing)\b")
"""What takes most from outside is asked first."""


def ours(operations: list[Any]) -> list[Any]:
    """Operations that test_api_schema.py does not ask."""
    elsewhere = [
        one
        for one in operations
        if not one.path.startswith("/api/v1/") or (one.path.split("/")[3] in HERE and NOT_HERE.search(one.path) is None)
    ]
    return sorted((one for one in operations if one not in elsewhere), key=lambda one: FIRST.search(one.path) is None)


async def asked(stage: FloorStage, seconds: float, examples: int, *, away: bool = False) -> None:
    """Every operation of ours, by everybody."""
    operations = ours(await asyncio.to_thread(operations_of, stage.url))
    assert len(operations) > 75
    until = time.monotonic() + seconds
    wrong: list[str] = []
    left: list[str] = []
    for one in operations:
        if time.monotonic() > until:
            left.append(one.label)
            continue
        wrong += await asyncio.to_thread(attack, one, stage, until, examples, known=KNOWN, away=away)
    tell_sent(len(operations))
    assert not wrong, f"{len(wrong)}:\n" + "\n\n".join(wrong)
    assert not left, f"not reached in {seconds} s: {', '.join(left)}"


@pytest.mark.skipif(schemathesis is None, reason="schemathesis is not installed")
async def test_the_document_is_kept_by_the_rooms_of_supervisors(migrated: str, tmp_path: Path) -> None:
    async with floor_stage(migrated, tmp_path) as stage:
        await asked(stage, MOST_SECONDS, 12)


@pytest.mark.skipif(schemathesis is None, reason="schemathesis is not installed")
async def test_without_a_database_the_answers_are_of_the_document(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        dsn = f"postgresql://cti@127.0.0.1:{nobody.getsockname()[1]}/cti"
        async with floor_stage(dsn, tmp_path, full=False) as stage:
            await asked(stage, MOST_SECONDS_AWAY, 2, away=True)


@pytest.mark.skipif(schemathesis is None, reason="schemathesis is not installed")
async def test_without_the_rooms_the_answers_are_of_the_document(tmp_path: Path) -> None:
    deps = make_deps(FakeFloor(demo_centre()), tmp_path)
    add_people(deps)
    server = TestServer(build_app(deps))
    await server.start_server()
    try:
        stage = FloorStage(str(server.make_url("")).rstrip("/"), deps)
        await asked(stage, MOST_SECONDS_AWAY, 2, away=True)
    finally:
        await server.close()


WEEK = "from=2026-03-01T00:00:00Z&to=2026-03-08T00:00:00Z"
LONG_AGO = "from=0001-01-01T00:00:00%2B14:00&to=0001-01-08T00:00:00Z"
LAST = "from=9999-12-30T00:00:00Z&to=9999-12-31T23:59:59-12:00"
ODD: tuple[tuple[int, str, str, Any], ...] = (
    *(
        (400, "GET", f"reports/{what}{when}", None)
        for what in (
            "query?metrics=offered&", "query?metrics=asa&by=half_hour&compare=previous&", "query?metrics=asa&compare=week_before&",
            "calls?metric=offered&", "distribution?of=talk&", "funnel?",
        )
        for when in (LONG_AGO, LAST)
    ),
    (200, "GET", f"reports/query?metrics=offered&by=week&{WEEK}&tier=%F0%9F%93%9E,-", None),
    (400, "GET", f"reports/query?metrics=offered&{WEEK}&queue=%00", None),
    (400, "GET", f"reports/query?metrics=offered&by=nothing&{WEEK}", None),
    (400, "GET", f"reports/query?metrics=,&{WEEK}", None),
    (400, "GET", "reports/query?metrics=offered&from=2026-03-08T00:00:00Z&to=2026-03-01T00:00:00Z", None),
    (400, "GET", f"reports/calls?metric=offered&{WEEK}&after=2026-13-41T99:00:00%2B00:00%7Cx%7C1", None),
    (400, "GET", f"reports/calls?metric=offered&{WEEK}&after=0001-01-01T00:00:00%2B23:59%7Cx%7C1", None),
    (200, "GET", f"reports/calls?metric=offered&{WEEK}&after=2026-03-02T09:00:00%2B00:00%7Cx%7C1", None),
    (400, "GET", "reports/export?format=xlsx&metrics=offered&queue=%01", None),
    (400, "GET", "reports/export?format=csv&metrics=offered&tier=%00", None),
    (400, "GET", "reports/export?format=pdf&metrics=offered&view=%0D%0AX:1", None),
    (200, "GET", "reports/export?format=pdf&metrics=offered&view=%3Cb%3E%26&tier=%3Cpara%3E", None),
    (400, "GET", "reports/export?format=csv&metrics=offered&from=0001-01-01&to=0001-01-02", None),
    (400, "POST", "reports/saved", {"name": "a\x01b", "search": "metrics=offered"}),
    (400, "POST", "reports/saved", {"name": "a", "search": "metrics=offered&queue=%00"}),
    (400, "POST", "reports/saved", {"name": "a", "search": "&".join("a=1" for _ in range(99))}),
    (404, "DELETE", f"reports/saved/{2**62}", None),
    (400, "DELETE", f"reports/saved/{2**70}", None),
    *((400, "GET", f"staffing?weekday=1&{name}=nan", None) for name in ("within", "growth", "shrinkage", "max_occupancy", "service_level")),
    (400, "GET", "staffing?weekday=1&queue=nowhere", None),
    (400, "GET", "acts?since=0001-01-01T00:00:00%2B14:00", None),
    (400, "GET", "acts?until=9999-12-31T23:59:59-12:00", None),
    (400, "GET", "acts?by=%00", None),
    (400, "GET", "acts.csv?subject=call:%00", None),
    (200, "GET", "acts?before=nothing", None),
    (400, "GET", "recordings?since=0001-01-01T00:00:00%2B14:00", None),
    (200, "GET", "recordings?before=nothing", None),
    (404, "GET", "recordings/nothing", None),
    (400, "GET", "recordings/%00", None),
    (400, "GET", "recordings/..%2F..%2Fetc%2Fpasswd", None),
    (404, "GET", "recordings/../sound", None),
    (404, "GET", "recordings/a1-9.9/peaks", None),
    (403, "POST", "recording-events", {"token": "WzFd.aaaaaaaaaa", "action": "pause"}),
    (400, "POST", "queues/support/open", {"open": True, "until": "9999-12-31T23:59:59-12:00"}),
    (409, "POST", "queues/support/open", {"open": True, "until": "2001-01-01T00:00:00Z"}),
    (400, "POST", "queues/support/announcement", {"prompt": "", "text": {"en": " "}}),
    (400, "POST", "announcement", {"text": {"en": "x"}, "until": "0001-01-01T00:00:00+14:00"}),
    (400, "POST", "agents/1001/membership", {"skills": {"en": 10**30}}),
    (404, "POST", "agents/1003/membership", {"queues": ["sales"]}),
    (409, "POST", "alerts/sales.waiting/acknowledge", None),
    (404, "POST", "quality/samples", {"call_id": "x", "form_id": 2**62}),
    (400, "POST", "quality/samples", {"call_id": "\0", "form_id": 1}),
    (400, "POST", "quality/plans", {"plan": {"title": 10**30, "kind": [], "form_id": 10**30}}),
    (400, "POST", "quality/plans", {"plan": {"title": "x", "kind": "random", "form_id": 1, "per_agent": 1e300}}),
    (400, "POST", "quality/forms", {"form": {"titles": {"en": "x"}, "sections": [[]], "passing": 1e308}}),
    (400, "POST", "quality/forms", {"form": {"titles": {"en": "x"}, "sections": {"a": {}}}}),
    (400, "GET", "quality/figures?since=0001-01-01&until=0001-01-02", None),
    (400, "GET", "quality/surveys?until=9999-12-31", None),
    (400, "GET", "quality/summary?day=9999-12-31", None),
    (400, "GET", "quality/surveys?question=%00", None),
    (404, "GET", "quality/notes/1/nothing", None),
)  # fmt: skip
"""Status, method, address and body of requests that are of the right form, and mean nothing or hardly anything."""
NUMBERS_THAT_ARE_NONE = (
    '{"text": "x", "agents": ["1001"], "minutes": NaN}',
    '{"text": "x", "agents": ["1001"], "minutes": Infinity}',
)


async def test_odd_values_are_refused_with_words(migrated: str, tmp_path: Path) -> None:
    wrong = []
    async with floor_stage(migrated, tmp_path) as stage:
        for status, method, path, body in ODD:
            for who in ("supervisor", "lead") if status == 400 and "agents/" not in path else ("supervisor",):
                got, said = await stage.ask(method, path, body, by=who)
                refused = got >= 400
                if refused and not (isinstance(said, dict) and said["error"]["id"] and said["error"]["remedy"]):
                    wrong.append(f"{method} {path}: {said}")
                elif got != status and not (who == "lead" and got == 403):
                    wrong.append(f"{method} {path} as {who}: {got} {str(said)[:300]}")
        for text in NUMBERS_THAT_ARE_NONE:
            got, said = await stage.ask("POST", "messages", text=text)
            if got != 400:
                wrong.append(f"{text}: {got} {said}")
        for bytes_, status in (
            ("bytes=0-9", 206),
            ("bytes=-5", 206),
            ("bytes=99999999-", 416),
            ("bytes=9-1", 416),
            ("chairs", 416),
        ):
            got, _ = await stage.ask("GET", "recordings/a1-1.1/sound", headers={"Range": bytes_})
            if got != status:
                wrong.append(f"{bytes_}: {got}")
    assert not wrong, "\n".join(wrong)


async def test_the_stage_lets_requests_come_past_the_door(migrated: str, tmp_path: Path) -> None:
    async with floor_stage(migrated, tmp_path) as stage:
        for method, path, body in (
            ("GET", f"calls/{TALKS}/recording", None),
            ("POST", f"calls/{TALKS}/recording", {"action": "pause"}),
            ("POST", f"calls/{TALKS}/watch", {"mode": "listen"}),
            ("POST", "alerts/support.waiting/acknowledge", None),
            ("POST", f"calls/{WAITS}/send", {"to": {"kind": "queue", "name": "support"}}),
            ("POST", "agents/1002/membership", {"queues": ["support", "sales"]}),
            ("GET", "recordings/a1-1.1/peaks", None),
            ("GET", "quality/scores/1", None),
            ("GET", "audit", None),
            ("GET", "acts", None),
        ):
            await stage.done(method, path, body)
