"""A hundred bad REGISTER and INVITE a second: calls do not notice, no account shows, who is loud is shut out, and it is told.

The flood comes first from so many addresses that no ban can be what helps; how much longer a call takes to set up is
measured by benchmarks/sip_flood.py, on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre, running_centre
from tests.support.sip_flood import KINDS, SILENT, Knocker, knocker

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

ADDRESSES = 400
EACH = 0.25
"""Requests a second of each: 100 in all, and 15 a minute of one, where up to 20 count as no part of a flood."""
GANG = 10
"""Addresses of which each asks 240 times a minute, where 300 are a ban."""
CALLS = 6
NOT_OF_A_FLOOD = ("did not pass ACL test", "func_export.c: Channel ")
"""Lines of Asterisk's log that may be there: of a ban, and of a caller who hangs up in the moment in which the agent's leg tells how
it ended (the dialplan looks first whether there is still somebody to tell, which is as near as it can come)."""


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[TestCentre]:
    with running_centre(tmp_path / "data") as running:
        yield running


def plain(answer: str, user: str) -> str:
    """An answer without what is new each time, and without the name that was asked for."""
    answer = re.sub(r"(nonce|opaque)=\"[^\"]*\"", r'\1=""', answer)
    answer = re.sub(r"(branch=|tag=|Call-ID: )\S+", r"\1", answer)
    answer = re.sub(r"(rport=|127\.[\d.]+:)\d+", r"\1", answer)
    return answer.replace(f"sip:{user}@", "sip:@")


async def assert_no_account_shows(one: Knocker) -> None:
    """The same bytes for an account that there is and for one that there is not, and no difference in the time."""
    seconds: dict[str, list[float]] = {"1001": [], "1001-web": [], "7654": [], "trunk": []}
    for method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE"):
        for password in (None, "wrong"):
            told: dict[str, list[str]] = {}
            for user in seconds:
                began = time.monotonic()
                told[user] = [plain(answer, user) for answer in await one.ask(method, user, password=password)]
                seconds[user].append(time.monotonic() - began)
            assert told["1001"][0].startswith("SIP/2.0 401 "), told["1001"]
            for user, answers in told.items():
                assert answers == told["1001"], (method, password, user)


async def wait_for(condition: object, what: str, *, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.05)


def talks(mine: dict[str, Any]) -> bool:
    """An agent's own row: whoever hangs up before that has not been talked with."""
    return bool(mine["agent"]["state"] == "talking")


async def test_calls_go_on_and_no_account_shows(centre: TestCentre) -> None:
    host, _, port = str(centre.told["sip"]["server"]).rpartition(":")
    server = (host, int(port))
    net = random.Random(centre.offset).randrange(10, 250)
    async with contextlib.AsyncExitStack() as stack:
        asker = await stack.enter_async_context(knocker(f"127.{net}.1.1", server, "1001"))
        await assert_no_account_shows(asker)
        crowd = [
            await stack.enter_async_context(knocker(f"127.{net}.{20 + n // 200}.{n % 200 + 1}", server, "1001", seed=n))
            for n in range(ADDRESSES)
        ]
        floods = [asyncio.create_task(one.flood(EACH)) for one in crowd]
        try:
            room = await stack.enter_async_context(PhoneRoom())
            ada = await stack.enter_async_context(sip_agent(centre, room, "1001"))
            line = await caller(centre, room, "+15550100001")
            for _ in range(CALLS):
                call = await call_in(line, "5001", keys="")
                ringing = await ada.rings()
                await ringing.answer()
                await ada.api.until("/agent", talks)
                await call.hang_up()
                await ada.wrap_up()
            await wait_for(lambda: sum(one.sent for one in crowd) > 1000, "a thousand requests")
            supervisor = await stack.enter_async_context(ApiPerson(centre, "supervisor"))
            await supervisor.until("/alerts", lambda a: "-.sip_refused" in [x["alert"] for x in a["alerts"]], within=60)
            # One that is loud is shut out, also while the others go on ...
            loud = await stack.enter_async_context(knocker(f"127.{net}.3.1", server, "1001"))
            floods.append(asyncio.create_task(loud.flood(100, kinds=("register_guess", "invite_known"))))
            await wait_for(lambda: ("invite_known", "403") in loud.answered, "a ban", within=60)
            # ... and so are some who together are as loud as one, ...
            gang = [
                await stack.enter_async_context(knocker(f"127.{net}.5.{n + 1}", server, "1001", seed=n))
                for n in range(GANG)
            ]
            floods += [asyncio.create_task(one.flood(40 / GANG, kinds=("register_unknown",))) for one in gang]
            await wait_for(
                lambda: all(one.answered["register_unknown", "403"] for one in gang), "bans of a gang", within=120
            )
            # ... but not a phone whose password is old, at an address where another one is let in.
            beside = await stack.enter_async_context(knocker("127.0.0.1", server, "1002"))
            floods.append(asyncio.create_task(beside.flood(150, kinds=("register_known",))))
            await wait_for(lambda: beside.answered["register_known", "401"] > 450, "450 refusals", within=60)
            call = await call_in(line, "5001", keys="")
            ringing = await ada.rings()
            await ringing.answer()
            await ada.api.until("/agent", talks)
            await call.hang_up()
            await ada.wrap_up()
            assert beside.answered["register_known", "403"] == 0
            assert not any(status == "403" for one in crowd for _kind, status in one.answered)
        finally:
            for flood in floods:
                flood.cancel()
        everybody = [*crowd, loud, *gang, beside]
        assert [answer for one in everybody for answer in one.let_in] == []
        heard = {kind for one in crowd for kind, _status in one.answered}
        assert set(KINDS) - set(SILENT) <= heard
        statuses = {status for one in crowd for _kind, status in one.answered}
        assert statuses <= {"100", "400", "401", "505"}, statuses
    async with aiohttp.ClientSession() as http, http.get(centre.told["urls"]["metrics"]) as answer:
        metrics = await answer.text()
    listed = (centre.data / "asterisk" / "cti" / "banned.conf").read_text()
    banned = set(re.findall(r"deny = (\S+)/32 ", listed))
    loud_ones = {one.local[0] for one in (loud, *gang)}
    # Who looked for accounts asked sixty times, in the same minute or not.
    assert loud_ones <= banned <= loud_ones | {asker.local[0]}
    assert f"cti_sip_banned {len(banned):.1f}" in metrics
    knocks = dict(re.findall(r'cti_sip_knocks_total\{result="(\w+)"\} (\S+)', metrics))
    assert float(knocks["challenged"]) > 500
    assert min(float(knocks[kind]) for kind in ("wrong", "accepted", "malformed")) > 0
    log = (centre.data / "asterisk" / "log" / "asterisk.log").read_text()
    assert [line for line in log.splitlines() if not any(one in line for one in NOT_OF_A_FLOOD)][1:] == []
    answered = await centre.query("SELECT count(*) FROM report.calls WHERE answered_at IS NOT NULL")
    assert answered[0][0] >= CALLS
