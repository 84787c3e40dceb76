"""What agents ask about the call they are in, each one turn of the owner: the part of `Floor` that is `TalkDesk`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from cti.ids import AgentId, CallId
from cti.services import consults, destinations, holds, pick_ups, transfers
from cti.services.switchboard import Switchboard
from cti.services.talk_view import Destinations, SendTo

T = TypeVar("T")


class TalkRequests(ABC):
    """See `TalkDesk` for what each request means."""

    board: Switchboard

    @abstractmethod
    async def _ask(self, action: Callable[[datetime], T], *, in_file: bool = False) -> T:
        """See `DeskRequests._ask`."""

    async def hold(self, agent_id: AgentId, call_id: CallId, *, on: bool) -> None:
        """See `TalkDesk.hold`."""
        await self._ask(lambda now: holds.hold(self.board, agent_id, call_id, now, on=on), in_file=True)

    async def transfer(self, agent_id: AgentId, call_id: CallId, to: SendTo, *, note: str = "") -> None:
        """See `TalkDesk.transfer`."""
        await self._ask(lambda now: transfers.transfer(self.board, agent_id, call_id, to, now, note=note))

    async def consult(self, agent_id: AgentId, call_id: CallId, to: SendTo) -> None:
        """See `TalkDesk.consult`."""
        await self._ask(lambda now: consults.begin(self.board, agent_id, call_id, to, now))

    async def complete_consult(self, agent_id: AgentId, call_id: CallId, *, note: str = "") -> None:
        """See `TalkDesk.complete_consult`."""
        await self._ask(lambda now: consults.complete(self.board, agent_id, call_id, now, note=note))

    async def cancel_consult(self, agent_id: AgentId, call_id: CallId) -> None:
        """See `TalkDesk.cancel_consult`."""
        await self._ask(lambda now: consults.cancel(self.board, agent_id, call_id, now))

    async def swap(self, agent_id: AgentId, call_id: CallId) -> None:
        """See `TalkDesk.swap`."""
        await self._ask(lambda now: consults.swap(self.board, agent_id, call_id, now))

    async def join(self, agent_id: AgentId, call_id: CallId) -> None:
        """See `TalkDesk.join`."""
        await self._ask(lambda now: consults.join(self.board, agent_id, call_id, now))

    async def drop(self, agent_id: AgentId, call_id: CallId, party: str) -> None:
        """See `TalkDesk.drop`."""
        await self._ask(lambda now: consults.drop(self.board, agent_id, call_id, party, now))

    async def send_keys(self, agent_id: AgentId, call_id: CallId, keys: str) -> None:
        """See `TalkDesk.send_keys`."""
        await self._ask(lambda _now: holds.send_keys(self.board, agent_id, call_id, keys))

    async def pick_up(self, agent_id: AgentId, call_id: CallId) -> None:
        """See `TalkDesk.pick_up`."""
        await self._ask(lambda now: pick_ups.pick_up(self.board, agent_id, call_id, now))

    async def destinations(self, agent_id: AgentId) -> Destinations:
        """See `TalkDesk.destinations`."""
        return await self._ask(lambda now: destinations.destinations(self.board, agent_id, now))
