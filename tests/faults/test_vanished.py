"""Who vanishes without a goodbye, in the queue or in a talk, is found out and recorded as gone; who is there stays, muted or not.

By sound that stopped, as it is by default (with 20 s in place of 600), it runs with the other tests. That the carrier is asked and
does not answer takes 109 s (half of `network.alive_seconds`, then two questions, 32 s each):
CTI_FAULTS=long pytest -s tests/faults/test_vanished.py
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import sip_agent
from tests.support.centre import TestCentre, running_centre
from tests.support.sip_caller import Caller, carrier_line

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

LONG = os.environ.get("CTI_FAULTS") == "long"
SILENCE = 20
"""Who is there is heard every second at least, so that a machine that stands still for several seconds ends none of them."""
ALIVE = 90
LATE = 60
"""Seconds more that a busy machine may need."""


async def gone(centre: TestCentre, caller: Caller, since: float, *, within: float) -> tuple[float, str, str]:
    """Seconds until its record tells of the end, the outcome, and who ended it."""
    left = since + within - time.time()
    row = await centre.record(where=f"caller_number = '{caller.number}' AND ended_at IS NOT NULL", within=left)
    return row["ended_at"].timestamp() - since, row["outcome"], row["hangup_by"]


async def played(
    tmp_path: Path, env: dict[str, str], *, muted: Literal["noise", "nothing"], earliest: float, after: float
) -> str:
    """A caller who waits vanishes, and one who talks; another waits and sends nothing but `muted`.

    Gone they are `after` so many seconds; nothing can have told of it before `earliest`.
    """
    with running_centre(tmp_path / "data", env=env) as centre:
        host, _, port = centre.told["sip"]["server"].partition(":")
        async with (
            carrier_line(centre.carrier, (host, int(port))) as line,
            PhoneRoom() as room,
            sip_agent(centre, room, "1002") as bo,
        ):
            talks = await line.dial("5001", "+15550100021")
            leg = await bo.rings()
            await leg.answer()
            async with asyncio.timeout(60):
                await leg.confirmed.wait()
            waits, lost, saves = [await line.dial("5001", f"+1555010002{n}") for n in (2, 3, 4)]
            saves.sends = muted
            await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            # Sound is counted from the last packet, questions from the answer: both are earlier than this, by little.
            since = time.time()
            talks.vanished = lost.vanished = True
            told = []
            for caller, outcomes in ((lost, ("abandoned", "short_abandon")), (talks, ("answered",))):
                took, was, by = await gone(centre, caller, since, within=after + LATE)
                assert was in outcomes
                assert by == "caller"
                assert took >= earliest
                told.append(f"{took:.1f}")
            async with asyncio.timeout(60):
                await leg.ended.wait()
            await bo.wrap_up()
            # The others were silent, or heard music, for longer than any count may last.
            ends = [asyncio.ensure_future(one.ended.wait()) for one in (waits, saves)]
            ended, open_ = await asyncio.wait(
                ends, timeout=max(0.0, since + after + 5 - time.time()), return_when=asyncio.FIRST_COMPLETED
            )
            for one in open_:
                one.cancel()
            assert not ended
            return f"gone from the queue after {told[0]} s, from a talk after {told[1]} s"


async def sound_that_stopped(tmp_path: Path) -> str:
    env = {"CTI_NETWORK__SILENCE_SECONDS": str(SILENCE)}
    return await played(tmp_path, env, muted="noise", earliest=SILENCE / 2, after=SILENCE)


async def nobody_answers_any_more(tmp_path: Path) -> str:
    env = {"CTI_NETWORK__ALIVE_SECONDS": str(ALIVE), "CTI_NETWORK__SILENCE_SECONDS": "0"}
    return await played(tmp_path, env, muted="nothing", earliest=64, after=ALIVE / 2 + 64)


@pytest.mark.parametrize("sign", [sound_that_stopped, nobody_answers_any_more] if LONG else [sound_that_stopped])
async def test_who_vanishes_is_found_out(tmp_path: Path, sign: Callable[[Path], Awaitable[str]]) -> None:
    print(await sign(tmp_path))
