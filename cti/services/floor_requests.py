"""What people ask of the dispatcher, each one turn of the owner: the part of `Floor` that changes something."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from cti.clock import Clock
from cti.ids import AgentId, CallId, CustomerId, OfferId, QueueName
from cti.model.centre import Centre
from cti.model.facts import AgentState, Device
from cti.services import agents, alarms, callbacks, identify, priority, web_callbacks
from cti.services.floor import Refused, Standing
from cti.services.ports import Directory
from cti.services.spending import Spent
from cti.services.spending_rows import spent
from cti.services.switchboard import Switchboard

T = TypeVar("T")
SPENT_KEPT = timedelta(seconds=5)
"""What was spent is counted once in so long for all who ask."""


class FloorRequests(ABC):
    """See `Floor` for what each request means."""

    board: Switchboard
    _directory: Directory
    _clock: Clock
    _spent: tuple[datetime, Centre, Spent] | None = None
    """What was spent, when that was counted, and by which rules."""

    @abstractmethod
    async def _ask(self, action: Callable[[datetime], T], *, in_file: bool = False) -> T:
        """See `DeskRequests._ask`."""

    def spent(self) -> Spent:
        """See `spending.Spending`."""
        now, centre = self._clock.now(), self.board.centre
        if self._spent is None or self._spent[1] is not centre or not timedelta() <= now - self._spent[0] < SPENT_KEPT:
            self._spent = (now, centre, spent(self.board, now))
        return self._spent[2]

    async def set_agent(
        self, agent_id: AgentId, state: AgentState, *, reason: str = "", device: Device | None = None
    ) -> None:
        """See `Floor.set_agent`."""
        await self._ask(lambda now: agents.set_agent(self.board, agent_id, state, now, reason=reason, device=device))

    async def acknowledge(self, alert: str, *, by: str) -> None:
        """See `Floor.acknowledge`."""
        await self._ask(lambda now: alarms.acknowledge(self.board, alert, now, by=by))

    async def complained(self, moments: Sequence[datetime]) -> None:
        """When complaints were registered today, all of them; counted with the calls."""
        await self._ask(lambda _now: self.board.tally.complained(moments))

    async def reject(self, agent_id: AgentId, offer_id: OfferId) -> None:
        """See `Floor.reject`."""
        await self._ask(lambda now: agents.reject(self.board, agent_id, offer_id, now))

    async def hang_up(self, agent_id: AgentId, call_id: CallId) -> None:
        """See `Floor.hang_up`."""
        await self._ask(lambda now: agents.hang_up(self.board, agent_id, call_id))

    async def finish_wrap_up(
        self, agent_id: AgentId, call_id: CallId, *, disposition: str = "", note: str = ""
    ) -> None:
        """See `Floor.finish_wrap_up`."""
        await self._ask(
            lambda now: agents.finish_wrap_up(self.board, agent_id, call_id, now, disposition=disposition, note=note)
        )

    async def extend_wrap_up(self, agent_id: AgentId, call_id: CallId) -> None:
        """See `Floor.extend_wrap_up`."""
        await self._ask(lambda now: agents.extend_wrap_up(self.board, agent_id, call_id, now))

    async def choose_customer(self, agent_id: AgentId, call_id: CallId, customer_id: CustomerId) -> None:
        """See `Floor.choose_customer`."""
        card = await self._directory.card(customer_id)
        if card is None:
            raise Refused(
                "unknown_customer", f"there is no customer {customer_id}", remedy="search again: merged or deleted"
            )
        await self._ask(lambda now: identify.choose_customer(self.board, agent_id, call_id, card, now))

    async def change_priority(
        self,
        call_id: CallId,
        *,
        by: str,
        reason: str,
        head_start: timedelta | None = None,
        strict: int | None = None,
        front: bool = False,
    ) -> Standing:
        """See `Floor.change_priority`."""
        return await self._ask(
            lambda now: priority.change_priority(
                self.board, call_id, now, by=by, reason=reason, head_start=head_start, strict=strict, front=front
            )
        )

    async def change_queue(self, call_id: CallId, queue: QueueName, *, by: str, reason: str) -> Standing:
        """See `Floor.change_queue`."""
        return await self._ask(lambda now: priority.change_queue(self.board, call_id, queue, now, by=by, reason=reason))

    async def cancel_callback(self, call_id: CallId, *, by: str) -> None:
        """See `Floor.cancel_callback`."""
        await self._ask(lambda now: callbacks.cancel(self.board, call_id, now, by=by))

    async def ask_web_callback(self, *, number: str, queue: QueueName, language: str, key: str) -> CallId:
        """See `casework.CallbackDesk.ask_web_callback`. Waits for the directory, for the tier sets the place."""
        known = await self._directory.look_up(number)
        return await self._ask(
            lambda now: web_callbacks.ask(self.board, number, queue, now, key=key, language=language, known=known)
        )
