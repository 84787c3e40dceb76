"""What Asterisk says it played to a caller: its own log of sound files, switched on over its command line."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from cti.asterisk.install import ensure_asterisk
from cti.settings import load_settings
from tests.support.centre import TestCentre

_PLAYING = re.compile(r"<(?P<channel>[^>]+)> Playing '(?P<file>[^']+)'")


class PlayedLog:
    """The sounds played in one centre since `begin`, as `language/name`, by channel in the order of their beginning."""

    def __init__(self, centre: TestCentre) -> None:
        self._centre = centre
        self._name = "played.log"
        self.file = centre.data / "asterisk" / "log" / self._name
        self._from = 0

    async def begin(self) -> None:
        """Switch it on; what was played before is left out."""
        settings = load_settings(environ=self._centre.env, overrides={"data": str(self._centre.data)})
        binary = await asyncio.to_thread(ensure_asterisk, settings, lambda _step, _done, _total: None)
        if not self.file.exists():
            await self._cli(binary.argv, f"logger add channel {self._name} verbose(4)")
        self.mark()

    def mark(self) -> None:
        """Leave out what was played until now."""
        self._from = self.file.stat().st_size if self.file.exists() else 0

    def sounds(self) -> list[str]:
        """What was played since the mark, one caller at a time on the line."""
        text = self.file.read_text(errors="replace")[self._from :] if self.file.exists() else ""
        paths = [Path(match["file"]) for match in _PLAYING.finditer(text)]
        return [f"{path.parent.name}/{path.name.split('.')[0]}" for path in paths]

    async def until(self, *wanted: str, within: float = 60) -> list[str]:
        """Wait until these have been played in this order, others between them or not; gives all that was."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            sounds = self.sounds()
            rest = iter(sounds)
            if all(one in rest for one in wanted):
                return sounds
            await asyncio.sleep(0.05)
        raise AssertionError(f"not played within {within} s: {wanted}; played: {self.sounds()}")

    async def _cli(self, argv: list[str] | tuple[str, ...], command: str) -> str:
        conf = str(self._centre.data / "asterisk" / "asterisk.conf")
        process = await asyncio.create_subprocess_exec(
            *argv, "-C", conf, "-rx", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        return output.decode(errors="replace")
