"""Work that is spread over the turns of the event loop, so that much of it at once holds up nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """So many pieces of work begin in one turn of the event loop; the others wait, in order."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._left = at_once
        self._waiting: deque[Callable[[], None]] = deque()
        self._due = False

    def take(self) -> bool:
        """Whether one more may begin now."""
        if self._left <= 0 or self._waiting:
            return False
        self._left -= 1
        self._come_again()
        return True

    def later(self, work: Callable[[], None]) -> None:
        """Do it in one of the next turns."""
        self._waiting.append(work)
        self._come_again()

    async def mine(self) -> None:
        """Wait for a turn."""
        if self.take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def come() -> None:
            if not turn.done():
                turn.set_result(None)

        self.later(come)
        await turn

    def _come_again(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._due = False
        self._left = self._at_once
        try:
            while self._waiting and self._left > 0:
                self._left -= 1
                self._waiting.popleft()()
        finally:  # a piece of work that fails holds up none of the others
            if self._waiting or self._left < self._at_once:
                self._come_again()
