"""What supervising needs of several rooms: the voice that says what callers must hear now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from cti.prompts import emergency


def emergency_voice(manifest: Path, prompts: Path) -> Callable[[Mapping[str, str]], Awaitable[str]]:
    """Speaks words by language and gives the name of the sounds (`cti.prompts.emergency.speak`), off the loop."""

    async def speak(texts: Mapping[str, str]) -> str:
        return await asyncio.to_thread(partial(emergency.speak, manifest, prompts, dict(texts)))

    return speak
