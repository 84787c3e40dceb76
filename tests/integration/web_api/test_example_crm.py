"""docs/examples/crm_pop.py pops a caller in another system and writes back what came of the call."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from cti.ids import AgentId
from cti.model.facts import AgentState
from cti.services.floor import Change

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "crm_pop.py"
ADA = AgentId("1001")


async def until(enough: Any) -> None:
    async with asyncio.timeout(60):
        while not enough():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_example_pops_and_writes_back(site: Any) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 50
    popped: list[Any] = []

    async def pop(request: web.Request) -> web.Response:
        popped.append(await request.json())
        return web.json_response({})

    async def outcome(request: web.Request) -> web.Response:
        assert request.query["call"] == "a1-1.1"
        return web.json_response({"disposition": "resolved", "note": "Sent again."})

    other = web.Application()
    other.router.add_post("/pop", pop)
    other.router.add_get("/outcome", outcome)
    crm = TestServer(other)
    await crm.start_server()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        env={
            **os.environ,
            "CTI": str(site.client.make_url("")).rstrip("/"),
            "CTI_USER": "1001",
            "CTI_PASSWORD": "demo",
            "CRM": str(crm.make_url("")).rstrip("/"),
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        call = site.floor.make_call("a1-1.1", state="offered", agent_id=ADA)
        shown = site.floor.make_pop(ADA, call, 1000001)
        await until(lambda: site.metric("cti_feed_clients") == 1)
        site.floor.apply(Change(calls={call.call_id: call}, pops={ADA: shown}))
        await until(lambda: bool(popped))
        assert (popped[0]["call"], popped[0]["number"]) == ("a1-1.1", shown.number)
        await until(lambda: site.metric("cti_pop_latency_seconds_count") == 1)
        row = replace(site.floor.view().agents[ADA], state=AgentState.WRAP_UP)
        site.floor.apply(Change(agents={ADA: row}))
        await until(lambda: bool(site.floor.asked))
        assert site.floor.asked[0][0] == "finish_wrap_up"
        assert site.floor.asked[0][3:] == ("resolved", "Sent again.")
    finally:
        if process.returncode is None:
            process.kill()
        _, err = await process.communicate()
        await crm.close()
    assert b"Traceback" not in err, err.decode()
