"""What flows ask of the dispatcher, each one turn of the owner: the half of it that satisfies `CallDesk`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from cti.ids import CallId, QueueName
from cti.model import facts as f
from cti.model.callback_window import CallbackWindow
from cti.model.centre import Target
from cti.model.requirement import ANYBODY, Requirement
from cti.services import call_control, callback_windows, departures, desk, flow_transfers
from cti.services.floor import Refused
from cti.services.ports import AgentAsked, FlowCall, LookUp
from cti.services.switchboard import Switchboard

T = TypeVar("T")


class DeskRequests(ABC):
    """See `CallDesk` for what each request means."""

    board: Switchboard

    @abstractmethod
    async def _ask(self, action: Callable[[datetime], T], *, in_file: bool = False) -> T:
        """Run `action` on the owner's task; the answer comes when what it recorded is durable.

        `in_file`: or when it is in the journal's file. Enough for what is of no use without the call: whatever could take it
        from there, a power cut, takes the call, too.
        """

    @abstractmethod
    async def look_up_customer(self, call_id: CallId) -> LookUp:
        """See `CallDesk.look_up_customer`."""

    async def caller_arrived(
        self, call_id: CallId, *, channel: str, number: str | None, did: str, returned: str = ""
    ) -> FlowCall:
        """See `CallDesk.caller_arrived`."""
        return await self._ask(
            lambda now: desk.caller_arrived(
                self.board, call_id, now, channel=channel, number=number, did=did, returned=returned
            ),
            in_file=True,
        )

    async def choose_language(self, call_id: CallId, language: str) -> None:
        """See `CallDesk.choose_language`."""
        await self._ask(lambda now: desk.choose_language(self.board, call_id, language, now), in_file=True)

    async def step_done(self, fact: f.FlowStepDone) -> None:
        """See `CallDesk.step_done`."""
        await self._ask(lambda _now: desk.step_done(self.board, fact), in_file=True)

    async def keep(self, fact: f.MessageRecorded | f.SurveyAnswered | f.DataAttached) -> None:
        """See `CallDesk.keep`."""
        await self._ask(lambda _now: desk.keep(self.board, fact))

    async def enqueue(
        self,
        call_id: CallId,
        queue: QueueName,
        *,
        skills: Sequence[tuple[str, int]],
        head_start: timedelta,
        requires: Requirement = ANYBODY,
    ) -> Target | None:
        """See `CallDesk.enqueue`. Waits for the directory's answer (it has a deadline), for the tier sets the place."""
        if queue not in self.board.centre.queues:
            raise Refused("unknown_queue", f"there is no queue {queue}", remedy="cti flow check finds such names")
        await self.look_up_customer(call_id)
        return await self._ask(
            lambda now: desk.enqueue(
                self.board, call_id, queue, now, skills=skills, head_start_of_flow=head_start, requires=requires
            ),
            in_file=True,
        )

    async def send_to(self, call_id: CallId, target: Target, *, step: str = "") -> bool:
        """See `CallDesk.send_to`."""
        return await self._ask(lambda now: desk.send_to(self.board, call_id, target, now, step=step))

    async def send_to_agent(self, call_id: CallId, name: str, *, step: str) -> AgentAsked:
        """See `CallDesk.send_to_agent`. Waits for the directory's answer, as `enqueue`."""
        await self.look_up_customer(call_id)
        return await self._ask(lambda now: flow_transfers.send_to_agent(self.board, call_id, name, now, step=step))

    async def ask_callback(self, call_id: CallId, queue: QueueName, number: str | None) -> bool:
        """See `CallDesk.ask_callback`. Waits for the directory's answer, as `enqueue`."""
        await self.look_up_customer(call_id)
        return await self._ask(lambda now: desk.ask_callback(self.board, call_id, queue, number, now))

    async def ask_callback_in(
        self, call_id: CallId, queue: QueueName, number: str | None, window: CallbackWindow
    ) -> datetime | None:
        """See `CallDesk.ask_callback_in`."""
        await self.look_up_customer(call_id)
        return await self._ask(
            lambda now: callback_windows.ask_callback_in(self.board, call_id, queue, number, window, now)
        )

    async def press(self, call_id: CallId, key: str) -> None:
        """A waiting caller pressed a key: see `departures.press`."""
        await self._ask(lambda now: departures.press(self.board, call_id, key, now))

    async def looks_in(self, call_id: CallId) -> None:
        """A waiting caller visits: see `call_control.looks_in`."""
        await self._ask(lambda now: call_control.looks_in(self.board, call_id, now), in_file=True)

    async def flow_finished(self, call_id: CallId) -> None:
        """See `CallDesk.flow_finished`."""
        await self._ask(lambda now: desk.flow_finished(self.board, call_id, now), in_file=True)
