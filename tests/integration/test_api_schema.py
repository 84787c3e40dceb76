"""The served OpenAPI document against the application with a real database: whatever fits the schema, or nearly does, gets an
answer of the schema, and never a 5xx. Schemathesis makes the requests."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from cti.crm.casework import CaseOffice
from cti.crm.casework_demo import load as load_cases
from cti.crm.demo import load
from cti.live_flows import LiveFlows, open_flows
from cti.prompts import build_prompts
from cti.prompts.library import PromptLibrary
from cti.quality_rooms import QualityWork
from cti.store.explain import StoredExplanations
from cti.store.flow_traffic import StoredFlowTraffic
from cti.store.queries import StoredCalls
from cti.web.app import build_app
from cti.web.auth.sessions import Sessions
from cti.web.deps import WebDeps
from tests.integration.web_api.test_web_flow_versions import text as flow_text
from tests.integration.web_api.test_web_prompts import Codes
from tests.support.api_schema import TIMES, attack, operations_of, schemathesis, tell_sent
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.fake_floor import FakeFloor, StandingClock, demo_centre, make_deps
from tests.support.flow_fakes import TickingClock
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.unit.prompts.prompt_library_test import MANIFEST, Toner

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(480 * TIMES)]

MOST_SECONDS = 400.0 * TIMES
"""Of making requests; what is not reached by then is told."""
HERE = (
    "login", "logout", "me", "agent", "state", "feed", "calls", "queues", "callbacks", "config", "customers", "flows", "prompts", "tasks",
    "complaints", "follow-ups", "tiers", "churn", "casework", "contact", "web-callback", "web-complaint", "centre", "webcall",
    "openapi.json",
)  # fmt: skip
"""First parts of the addresses whose rooms this application has: those of supervisors, reports, recordings and quality are in
test_api_schema_floor.py."""
NOT_HERE = re.compile(r"/messages|/calls/[^/]+/recording$|/watch|/calls/.*/(hangup|send)$|/queues/.*/(open|announce)")


class Api:
    """A running application over a database, a token of each role, and what stands behind it."""

    def __init__(
        self, server: TestServer, sessions: Sessions, deps: WebDeps, floor: FakeFloor, clock: StandingClock
    ) -> None:
        self.url = str(server.make_url("")).rstrip("/")
        self.deps, self.floor, self.clock = deps, floor, clock
        self._sessions = sessions
        self.tokens = {name: self.log_in(name) for name in ("1001", "supervisor", "admin")}

    def log_in(self, name: str) -> str:
        """A new session's token."""
        account = self.deps.accounts.get(name)
        assert account is not None
        return self._sessions.create(account)[0]


@pytest.fixture
async def api(customer_work: Customers, tmp_path: Path) -> AsyncIterator[Api]:
    await load(customer_work.pool)
    centre, clock = demo_centre(), StandingClock()
    floor = FakeFloor(centre, clock=clock)
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "prompts.yaml").write_text(MANIFEST, encoding="utf-8")
    (folder / "hello.yaml").write_text(flow_text("hello").replace("[one]", "[hello]"), encoding="utf-8")
    prompts = PromptLibrary(folder / "prompts.yaml", tmp_path / "prompts", open_voice=Toner().open)
    build_prompts(folder / "prompts.yaml", tmp_path / "prompts", open_voice=Toner().open)
    of_flows = demo_centre()
    object.__setattr__(of_flows, "numbers", {})
    object.__setattr__(of_flows, "queues", {})
    places: Any = SimpleNamespace(data=tmp_path / "data", flows=folder)
    library, versions = open_flows(places, of_flows, TickingClock())
    office = CaseOffice(customer_work.pool, clock=clock, centre=lambda: centre)
    await load_cases(customer_work.pool)
    quality = QualityWork(customer_work.pool, clock=clock, centre=lambda: centre)
    await quality.begin()
    deps = make_deps(
        floor,
        tmp_path,
        customers=customer_work.rooms,
        casework=office.casework(),
        inspections=quality.rooms,
        calls=StoredCalls(customer_work.pool),
        explanations=StoredExplanations(customer_work.pool),
        prompts=prompts,
        recording_codes=Codes(),
        flow_traffic=StoredFlowTraffic(customer_work.pool),
        flows=library,
        flow_changes=LiveFlows(library, versions, tmp_path / "prompts", TickingClock()),
    )
    sessions = Sessions(deps.accounts, key=deps.session_key, revoked_file=deps.revoked_file, clock=deps.clock)
    server = TestServer(build_app(deps))
    await server.start_server()
    yield Api(server, sessions, deps, floor, clock)
    await server.close()


@pytest.mark.skipif(schemathesis is None, reason="schemathesis is not installed")
async def test_the_document_is_kept_by_every_operation_for_every_role(api: Api) -> None:
    operations = await asyncio.to_thread(operations_of, api.url)
    operations = [one for one in operations if not one.path.startswith("/api/v1/") or one.path.split("/")[3] in HERE]
    operations = [one for one in operations if NOT_HERE.search(one.path) is None]
    assert len(operations) > 80
    until = time.monotonic() + MOST_SECONDS
    wrong: list[str] = []
    reached = 0
    for one in operations:
        if time.monotonic() > until:
            break
        wrong += await asyncio.to_thread(attack, one, api, until, 6)
        reached += 1
    tell_sent(reached)
    assert not wrong, f"{len(wrong)}:\n" + "\n\n".join(wrong)
    assert reached == len(operations), f"only {reached} of {len(operations)} operations in {MOST_SECONDS} s"
