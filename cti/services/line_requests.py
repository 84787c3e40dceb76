"""What agents' pages ask about their line, each one turn of the owner: the part of the dispatcher that is `AgentLine`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from cti.clock import Clock
from cti.ids import AgentId, CallId, CustomerId
from cti.services import dialling, heartbeats, quality, resumption
from cti.services.agent_line import Dialled, Pulse, Sound
from cti.services.ports import Directory
from cti.services.rows import Rows
from cti.services.switchboard import Switchboard

T = TypeVar("T")


class LineRequests(ABC):
    """See `AgentLine` for what each request means."""

    board: Switchboard
    _rows: Rows
    _clock: Clock
    _directory: Directory

    @abstractmethod
    async def _ask(self, action: Callable[[datetime], T], *, in_file: bool = False) -> T:
        """See `DeskRequests._ask`."""

    @abstractmethod
    def _put(self, action: Callable[[], Awaitable[None] | None]) -> None:
        """An input for the owner."""

    async def dial(self, agent_id: AgentId, asked: Dialled) -> CallId:
        """See `AgentLine.dial`. Somebody who asked not to be called is called with a reason only."""
        number = dialling.normalised(self.board, asked.number)
        objects = await self._objects(number, asked.customer_id)
        return await self._ask(
            lambda now: dialling.dial(self.board, agent_id, asked, now, number=number, objects=objects)
        )

    async def _objects(self, number: str, customer_id: CustomerId | None) -> bool:
        """Whether who is behind this number (the customer with this id, if one of them) asked not to be called. Where the
        customer file does not answer in time, nobody is known to have asked."""
        if not number:
            return False
        cards = (await self._directory.look_up(number)).cards
        meant = [card for card in cards if card.customer_id == customer_id] or cards
        return any(card.do_not_call for card in meant)

    async def keypad(self, call_id: CallId, channel: str, agent_id: AgentId, dialled: str) -> tuple[str, str]:
        """An agent's own telephone dials an outside number. Gives (number, number to show). Raises `Refused`."""
        number = dialling.normalised(self.board, dialled)
        objects = await self._objects(number, None)
        return await self._ask(
            lambda now: dialling.keypad(self.board, call_id, channel, agent_id, dialled, now, objects=objects)
        )

    async def keypad_gone(self, call_id: CallId) -> None:
        """The telephone that dialled was gone before it could be told: it dials nothing."""
        await self._ask(lambda now: dialling.given_up(self.board, call_id, now))

    def pulse(self, agent_id: AgentId, pulse: Pulse) -> None:
        """See `AgentLine.pulse`."""

        def heard() -> None:
            now = self._clock.now()
            heartbeats.pulse(self.board, agent_id, pulse, now)
            resumption.page_changed(self.board, agent_id, now)

        self._put(heard)

    async def sounded(self, agent_id: AgentId, call_id: CallId, sound: Sound) -> bool:
        """See `AgentLine.sounded`."""
        return await self._ask(lambda now: quality.sounded(self.board, agent_id, call_id, sound, now), in_file=True)

    def page(self, agent_id: AgentId, *, connected: bool) -> None:
        """See `Floor.page`."""

        def changed() -> None:
            now = self._clock.now()
            self._rows.page(agent_id, connected=connected)
            heartbeats.page(self.board, agent_id, now, connected=connected)
            resumption.page_changed(self.board, agent_id, now)

        self._put(changed)
