"""While somebody outside is asked: music, not for a moment, then until the answer; keys that count; nothing left running."""

from __future__ import annotations

import asyncio

import pytest

from cti.services.meanwhile import meanwhile
from tests.support.flow_fakes import ScriptedLeg, TickingClock

SILENT = "." * 100_000


async def test_a_quick_answer_needs_no_music_and_no_look_for_keys() -> None:
    leg = ScriptedLeg("5", TickingClock())

    async def quick() -> int:
        return 7

    assert await meanwhile(leg, quick()) == (7, "")
    assert leg.played == []


async def test_music_begins_after_a_moment_and_ends_with_the_answer() -> None:
    leg, answer = ScriptedLeg(SILENT, TickingClock()), asyncio.Event()

    async def slow() -> str:
        await answer.wait()
        assert leg.played == ["music on"]
        return "there"

    waiting = asyncio.ensure_future(meanwhile(leg, slow(), moment=0.01))
    async with asyncio.timeout(60):
        while not leg.played:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0)
    answer.set()
    assert await waiting == ("there", "")
    assert leg.played == ["music on", "music off"]


async def test_keys_pressed_meanwhile_are_kept_in_order() -> None:
    leg, answer = ScriptedLeg("4..7#" + SILENT, TickingClock()), asyncio.Event()

    async def slow() -> str:
        await answer.wait()
        return "there"

    waiting = asyncio.ensure_future(meanwhile(leg, slow(), moment=0.01))
    async with asyncio.timeout(60):
        while not leg.played:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
    answer.set()
    assert await waiting == ("there", "47#")


async def test_what_goes_wrong_ends_the_music_and_is_told() -> None:
    leg = ScriptedLeg(SILENT, TickingClock())

    async def fails() -> None:
        await asyncio.sleep(0.02)
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await meanwhile(leg, fails(), moment=0.001)
    assert leg.played == ["music on", "music off"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_who_has_gone_hears_nothing_and_nothing_is_left_running() -> None:
    leg = ScriptedLeg("", TickingClock())
    leg.gone = True

    async def slow() -> int:
        await asyncio.sleep(0.02)
        return 1

    assert await meanwhile(leg, slow(), moment=0.001) == (1, "")
    assert leg.played == ["music on"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
