"""The stage of a walk: a centre on real parts with a line to every flow, customers as the dialogues want them, a shop's service.

Every call has a number of its own, so what customers it finds and what the service answers is settled by the number.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web

from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.flow import Flow
from cti.model.facts import Match
from tests.acceptance.walk_plan import Plan, read_flows
from tests.support.centre import PROMPTS, REPOSITORY, TestCentre, free_offset
from tests.support.demo_centre import demo_tree, text_of

OWN = Path(__file__).parent / "walk_flows"
"""Flows of the walk's own, for what no shipped one has."""
SHIPPED = REPOSITORY / "ivr_flows"
FIRST_DID, FIRST_FOREIGN_DID = 7000, 7100
ENTRY = """flow: {name}
languages: [en, zh]
start: language
failure: bye
steps:
  language: {{set_language: {language}, go: on}}
  on: {{queue: {queue}}}
  bye: {{hang_up: silently}}
"""
"""How a call gets into a flow in another language: by a closed queue, which leads there in the caller's own."""


@dataclass(slots=True)
class Stage:
    """A running centre, and what stands around it."""

    centre: TestCentre
    flows: Mapping[FlowName, Flow]
    dids: Mapping[tuple[FlowName, str], str]
    """The line that leads to a flow, in the language it begins in (empty: the flow's first)."""
    service: Shop
    prompts: Path = PROMPTS
    numbers: Iterator[str] = field(default_factory=lambda: (f"+155501{n:05d}" for n in itertools.count(20001)))

    async def admit(self, plans: list[Plan]) -> None:
        """Write the customers of these calls into the file, and tell the service its answers."""
        connection = await asyncpg.connect(self.centre.told["database"]["url"])
        try:
            for plan in plans:
                customer = plan.world.customer
                people = {Match.FOUND: 1, Match.SEVERAL: 2}.get(customer.match, 0) if plan.number else 0
                for one in range(people):
                    customer_id = await connection.fetchval(
                        "INSERT INTO crm.customers (reference, name, tier, language) VALUES ($1, $2, $3, $4)"
                        " RETURNING customer_id",
                        f"walk-{plan.number}-{one}",
                        customer.name or f"Walker {plan.number}",
                        customer.tier or "regular",
                        customer.language or "en",
                    )
                    await connection.execute(
                        "INSERT INTO crm.phones (customer_id, number, raw) VALUES ($1, $2, $2)",
                        customer_id,
                        plan.number,
                    )
                self.service.answers[plan.number] = plan.world.services
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def customer_file_closed(self) -> AsyncIterator[asyncpg.Connection]:
        """Nobody is found meanwhile: the tables of the customer file are locked."""
        connection = await asyncpg.connect(self.centre.told["database"]["url"])
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE crm.customers IN ACCESS EXCLUSIVE MODE")
                yield connection
        finally:
            await connection.close()

    def key(self, plan: Plan) -> tuple[str, str]:
        """What tells a plan's call from others: where it comes from, and the line it dials."""
        return plan.number, self.dids[plan.flow.name, plan.language]

    async def facts(self, since: datetime, *kinds: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Facts of these kinds of the calls that came in `since`, in order, by `key`."""
        rows = await self.centre.query(
            "SELECT s.body->>'caller_number' AS number, s.body->>'did' AS did, f.kind, f.body FROM cti.facts f"
            " JOIN cti.facts s ON s.call_id = f.call_id AND s.kind = 'CallStarted'"
            " WHERE f.kind = ANY($2) AND s.at >= $1 AND s.body->>'direction' = 'inbound' ORDER BY f.at, f.position",
            since, list(kinds),
        )  # fmt: skip
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in rows:
            fact = {**json.loads(row["body"]), "kind": row["kind"]}
            found.setdefault((row["number"] or "", row["did"]), []).append(fact)
        return found


class Shop:
    """An HTTP service for flows, that answers each caller as that caller's dialogue says."""

    def __init__(self) -> None:
        self.answers: dict[str, Mapping[str, e.ServiceAnswered]] = {}
        self.asked: dict[str, asyncio.Event] = {}
        """Set when a caller's flow asks."""
        self.held: dict[str, asyncio.Event] = {}
        """The answer to such a caller waits for this."""
        self.port = 0

    async def _answer(self, request: web.Request) -> web.Response:
        values = dict(request.query) if request.method == "GET" else await request.json()
        caller = str(values.get("caller", ""))
        if (asked := self.asked.get(caller)) is not None:
            asked.set()
        if (held := self.held.get(caller)) is not None:
            await held.wait()
        answer = self.answers.get(caller, {}).get(request.path.removeprefix("/"), e.ServiceAnswered(status="failed"))
        if answer.status == "ok":
            return web.json_response(answer.body)
        return web.Response(status=404 if answer.status == "not_found" else 500)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve at `port`."""
        app = web.Application()
        app.router.add_route("*", "/{service}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start it."""
    flows_folder = folder / "flows"
    shutil.copytree(SHIPPED, flows_folder)
    if OWN.is_dir():
        shutil.copytree(OWN, flows_folder, dirs_exist_ok=True)
        for script in (flows_folder / "scripts").glob("*.py"):
            script.write_text(script.read_text(encoding="utf-8").replace("PROMPTS", str(PROMPTS)), encoding="utf-8")
    flows = read_flows(flows_folder)
    tree = demo_tree()
    shop = Shop()
    shop.port = 8099 + free_offset()
    for name, service in tree.get("services", {}).items():
        service["url"] = f"http://127.0.0.1:{shop.port}/{name}"
    tree.setdefault("calendars", {})["never"] = {"hours": {"mon": "00:00-00:01"}}
    dids: dict[tuple[FlowName, str], str] = {}
    for number, flow in enumerate(sorted(flows)):
        dids[flow, ""] = str(FIRST_DID + number)
        tree["numbers"][dids[flow, ""]] = {"flow": str(flow), "survival_queue": "support"}
        for language in flows[flow].languages[1:]:
            entry = f"walk_{flow}_{language}"
            dids[flow, language] = str(FIRST_FOREIGN_DID + number)
            tree["numbers"][dids[flow, language]] = {"flow": entry, "survival_queue": "support"}
            tree["queues"][entry] = {
                "titles": {"en": entry, "zh": entry}, "calendar": "never", "when_closed": {"flow": str(flow)},
            }  # fmt: skip
            (flows_folder / f"{entry}.yaml").write_text(ENTRY.format(name=entry, language=language, queue=entry))
    data = folder / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    centre = TestCentre(data, env={"CTI_FLOWS": str(flows_folder)})
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:25060"
    centre.env["CTI_DATABASE__CUSTOMER_SECONDS"] = (
        "3"  # which way a dialogue goes is judged, not how busy the machine is
    )
    centre.start()
    try:
        yield Stage(centre=centre, flows=flows, dids=dids, service=shop)
    finally:
        centre.stop()
