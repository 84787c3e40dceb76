"""Music while somebody outside is asked: not for a moment, then until the answer, and never afterwards."""

from __future__ import annotations

import asyncio

import pytest

from cti.services.meanwhile import with_music
from tests.support.flow_fakes import ScriptedLeg, TickingClock


async def test_a_quick_answer_needs_no_music() -> None:
    leg = ScriptedLeg("", TickingClock())

    async def quick() -> int:
        return 7

    assert await with_music(leg, quick()) == 7
    assert leg.played == []


async def test_music_begins_after_a_moment_and_ends_with_the_answer() -> None:
    leg, answer = ScriptedLeg("", TickingClock()), asyncio.Event()

    async def slow() -> str:
        await answer.wait()
        assert leg.played == ["music on"]
        return "there"

    waiting = asyncio.ensure_future(with_music(leg, slow(), moment=0.01))
    async with asyncio.timeout(5):
        while not leg.played:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0)
    answer.set()
    assert await waiting == "there"
    assert leg.played == ["music on", "music off"]


async def test_what_goes_wrong_ends_the_music_and_is_told() -> None:
    leg = ScriptedLeg("", TickingClock())

    async def fails() -> None:
        await asyncio.sleep(0.02)
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await with_music(leg, fails(), moment=0.001)
    assert leg.played == ["music on", "music off"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_who_has_gone_hears_nothing_and_nothing_is_left_running() -> None:
    leg = ScriptedLeg("", TickingClock())
    leg.gone = True

    async def slow() -> int:
        await asyncio.sleep(0.02)
        return 1

    assert await with_music(leg, slow(), moment=0.001) == 1
    assert leg.played == ["music on"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
