"""The configuration of a running centre is changed under its calls: nobody is dropped, everybody keeps their place."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import aiohttp
import pytest

from cti.centre_versions import base_of
from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, running_centre

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

NEW_NUMBER = """numbers:
  "5009": {title: Billing, flow: support_direct, survival_queue: billing}
"""
NEW_QUEUE = """queues:
  billing:
    titles: {en: Billing}
"""
NEW_AGENT = """agents:
  "1009": {name: Ines Roth, queues: [support, billing], skills: {en: 5, zh: 5}}
"""


async def test_calls_survive_and_a_new_agent_takes_who_waits(tmp_path: Path) -> None:
    with running_centre(tmp_path / "data") as centre:
        mine = tmp_path / "mine.yaml"
        exported = centre.cti("config", "export").stdout
        assert base_of(exported)[0] == (centre.data / "centre.yaml").read_text()
        async with (
            PhoneRoom() as room,
            ApiPerson(centre, "supervisor") as boss,
            sip_agent(centre, room, "1002") as bo,
        ):
            talking = await call_in(await caller(centre, room, "+15550100002"))
            ringing = await bo.rings()
            await ringing.answer()
            await ringing.confirmed.wait()
            waiting = [await call_in(await caller(centre, room, f"+1555010001{n}")) for n in (1, 2)]
            await boss.until("/state", lambda s: s["queues"]["support"]["waiting"] == 2)
            before = _line(await boss.get("/state"))

            # A queue that a flow needs cannot go; somebody else's change is not overwritten.
            mine.write_text(
                exported.replace("queues: [sales]", "queues: [sales]")
                .replace("  vip:\n    titles", "  royal:\n    titles")
                .replace(", vip]", ", royal]")
                .replace("survival_queue: vip", "survival_queue: royal")
            )
            refused = await asyncio.to_thread(centre.cti, "config", "apply", str(mine))
            assert refused.returncode == 1
            assert "vip_desk.yaml" in refused.stderr, refused.stderr
            assert 'there is no queue "vip"' in refused.stderr

            text = exported
            for old, new in (("numbers:\n", NEW_NUMBER), ("queues:\n", NEW_QUEUE), ("agents:\n", NEW_AGENT)):
                text = text.replace(f"\n{old}", f"\n{new}", 1)
            text = text.replace('  "1008": {name: Hugo Martin, queues: [support], skills: {en: 4}}\n', "")
            mine.write_text(text)
            diff = await asyncio.to_thread(centre.cti, "config", "diff", str(mine))
            assert (diff.returncode, diff.stdout.splitlines()) == (
                1,
                [
                    "number 5009 is new: flow support_direct",
                    "queue billing is new",
                    "agent 1009 is new: Ines Roth, support, billing",
                    "agent 1008 goes",
                ],
            )
            done = await asyncio.to_thread(centre.cti, "config", "apply", str(mine), "--by", "sue")
            assert done.returncode == 0, done.stderr + done.stdout
            assert "log-in 1009: " in done.stdout
            assert "note" not in done.stdout

            # Nobody noticed.
            assert _line(await boss.get("/state")) == before
            assert not talking.ended.is_set()
            assert not any(call.ended.is_set() for call in waiting)

            # The removed agent's log-in is over, the new one's begins, with a phone that registers at once.
            url = f"{centre.told['urls']['api']}/login"
            async with aiohttp.ClientSession() as http, http.post(url, json=centre.login("1008")) as answer:
                assert answer.status == 401
            centre.refresh()
            assert stat.S_IMODE((centre.data / "secrets" / "secrets.json").stat().st_mode) == 0o600
            assert "1008" not in {agent["agent_id"] for agent in centre.told["agents"]}
            async with sip_agent(centre, room, "1009") as ines:
                first = await ines.rings()
                await first.answer()
                await first.confirmed.wait()
                row = await boss.until("/state", lambda s: s["agents"]["1009"]["state"] == "talking")
                assert row["agents"]["1009"]["call_id"] == before[0]
                assert _line(row) == before[1:]

                # The new number is taken at once.
                on_new = await call_in(await caller(centre, room, "+15550100020"), "5009", keys="")
                assert len(_line(await boss.until("/state", lambda s: len(_line(s)) == 2))) == 2
                await on_new.hang_up()

                # Into the talk that was there before the change, sound still flows; it ends as calls do.
                assert not talking.ended.is_set()
                await ringing.hang_up()
                async with asyncio.timeout(60):
                    await talking.ended.wait()
                await bo.wrap_up()
                await waiting[1].hang_up()
                await first.hang_up()
        row = await centre.record(where="agent = '1002'", wrapped=True)
        assert (row["outcome"], row["queue"]) == ("answered", "support")
        late = await asyncio.to_thread(centre.cti, "config", "apply", str(mine))
        assert late.returncode == 1
        assert "by sue (as admin)" in late.stderr
        assert len(list((centre.data / "centre-versions").glob("*.yaml"))) == 1


def _line(view: dict) -> list[str]:
    """Calls waiting for support, in their order."""
    rows = [c for c in view["calls"].values() if c["queue"] == "support" and c["place"]]
    return [c["call_id"] for c in sorted(rows, key=lambda c: c["place"])]
