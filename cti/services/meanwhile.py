"""What a caller hears while somebody outside is asked: nothing for a moment, then music until the answer is there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from cti.services.ports import CallerLeg

MOMENT = 0.7
"""Seconds a caller takes for a pause and not for a broken line."""

T = TypeVar("T")


async def with_music(leg: CallerLeg, work: Coroutine[Any, Any, T], *, moment: float = MOMENT) -> T:
    """What `work` gives; where that takes longer than `moment` seconds, the caller hears music meanwhile.

    Whatever `work` raises is raised, after the music has ended. `work` is never left running.
    """
    asked = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({asked}, timeout=moment)
        if not done and await leg.music(True):
            await asyncio.wait({asked})
            await leg.music(False)
        return await asked
    finally:
        asked.cancel()
