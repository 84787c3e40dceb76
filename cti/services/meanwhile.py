"""The caller while somebody outside is asked: hears nothing for a moment, then music; and keys pressed count as typed ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from cti.services.ports import CallerLeg, LegGone, Pressed

AT_ONCE = 0.05
"""Seconds within which most answers are there: no command is sent for those."""
MOMENT = 0.7
"""Seconds a caller takes for a pause and not for a broken line."""
LISTEN = timedelta(milliseconds=100)
"""How long one look for a key takes; an answer that comes meanwhile waits so long at most."""

T = TypeVar("T")


async def meanwhile(leg: CallerLeg, work: Coroutine[Any, Any, T], *, moment: float = MOMENT) -> tuple[T, str]:
    """What `work` gives, and the keys pressed until then: Asterisk throws keys away that come between two AGI commands.

    Where it takes longer than `moment` seconds, the caller hears music. Whatever `work` raises is raised, after the music
    has ended. `work` is never left running; a caller who has gone does not end it.
    """
    asked = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    began, keys, music = loop.time(), "", False
    try:
        await asyncio.wait({asked}, timeout=min(AT_ONCE, moment))
        while not asked.done():
            if not music and loop.time() - began >= moment:
                music = await leg.music(True)
                if not music:
                    break
            heard = await leg.digit(LISTEN)
            if isinstance(heard, LegGone):
                break
            if isinstance(heard, Pressed):
                keys += heard.digit
            await asyncio.sleep(0)
        await asyncio.wait({asked})
        if music:
            await leg.music(False)
        return await asked, keys
    finally:
        asked.cancel()
