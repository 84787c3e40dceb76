"""The examples of docs/api.md do what the text says."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from cti.model.facts import AgentState, Device

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


async def run(site, *command):
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "CTI": str(site.client.make_url("")).rstrip("/"), "CTI_PASSWORD": "demo"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_shell_examples_run_from_log_in_to_log_out(site):
    out = await run(site, "bash", "-euo", "pipefail", "-c", "\n".join(blocks("sh")))
    assert '"error"' not in out
    assert [request[0] for request in site.floor.asked] == [
        "set_agent",
        "set_agent",
        "reject",
        "hang_up",
        "finish_wrap_up",
        "extend_wrap_up",
        "destinations",
        "transfer",
        "pick_up",
    ]
    assert site.floor.asked[0][2:] == (AgentState.READY, "", Device.SIP)
    assert site.floor.asked[4][3:] == ("resolved", "Sent the invoice again.")
    assert '"ok":true' in out
    assert '"name":"Harbour Services"' in out


async def test_the_feed_example_runs(site):
    (program,) = blocks("python")
    assert "queues: {'support': 0" in await run(site, sys.executable, "-c", program)
