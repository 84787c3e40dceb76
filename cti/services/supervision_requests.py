"""What supervisors ask, each one turn of the owner: the part of the dispatcher that is `SupervisionDesk`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Agent
from cti.model.facts import AgentState
from cti.model.supervision_facts import EmergencySet, MessageSent, QueueForced, WatchMode
from cti.services import supervision_agents, supervision_floor, supervision_watch
from cti.services.supervision import Changed, MessageState, WatchRow
from cti.services.supervision_state import Watch
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo

T = TypeVar("T")


class SupervisionRequests(ABC):
    """See `SupervisionDesk` for what each request means."""

    board: Switchboard

    @abstractmethod
    async def _ask(self, action: Callable[[datetime], T], *, in_file: bool = False) -> T:
        """See `DeskRequests._ask`."""

    async def watch(self, call_id: CallId, *, by: str, account: str, mode: WatchMode, again: bool = False) -> WatchRow:
        """See `SupervisionDesk.watch`."""
        return self._row(
            await self._ask(
                lambda now: supervision_watch.begin(
                    self.board, call_id, now, by=by, account=account, mode=mode, again=again
                )
            )
        )

    async def change_watch(self, *, by: str, mode: WatchMode) -> WatchRow:
        """See `SupervisionDesk.change_watch`."""
        return self._row(await self._ask(lambda now: supervision_watch.change(self.board, now, by=by, mode=mode)))

    async def stop_watch(self, *, by: str) -> CallId:
        """See `SupervisionDesk.stop_watch`."""
        return await self._ask(lambda now: supervision_watch.stop(self.board, now, by=by))

    def watches(self) -> Sequence[WatchRow]:
        """See `SupervisionDesk.watches`."""
        return [self._row(watch) for watch in self.board.supervision.parts()]

    def _row(self, watch: Watch) -> WatchRow:
        paused = watch.call_id in self.board.supervision.paused
        return WatchRow(
            call_id=watch.call_id,
            by=watch.by,
            mode=watch.mode,
            state="there" if watch.answered else "calling",
            since=watch.since,
            agent_id=watch.watched,
            silent=watch.answered and not watch.in_room and (paused or watch.target is None),
        )

    async def end_call(self, call_id: CallId, *, by: str) -> Changed:
        """See `SupervisionDesk.end_call`."""
        return await self._ask(lambda now: supervision_floor.end_call(self.board, call_id, now))

    async def send_call(self, call_id: CallId, to: SendTo, *, by: str, note: str = "") -> Changed:
        """See `SupervisionDesk.send_call`."""
        return await self._ask(lambda now: supervision_floor.send_call(self.board, call_id, to, now, by=by, note=note))

    async def set_agent_of(self, agent_id: AgentId, state: AgentState, *, by: str, reason: str = "") -> Changed:
        """See `SupervisionDesk.set_agent_of`."""
        return await self._ask(
            lambda now: supervision_floor.set_agent(self.board, agent_id, state, now, by=by, reason=reason)
        )

    async def reassign_agent(
        self,
        agent_id: AgentId,
        *,
        by: str,
        queues: Sequence[QueueName] | None,
        skills: Mapping[str, int] | None,
        until: datetime | None,
        shift: bool,
        reason: str,
    ) -> Changed:
        """See `SupervisionDesk.reassign_agent`."""
        return await self._ask(
            lambda now: supervision_agents.reassign(
                self.board,
                agent_id,
                now,
                by=by,
                queues=queues,
                skills=skills,
                until=until,
                shift=shift,
                reason=reason,
            )
        )

    def usual_agent(self, agent_id: AgentId) -> Agent | None:
        """See `SupervisionDesk.usual_agent`."""
        return self.board.configured.agents.get(agent_id)

    async def force_queue(
        self, queue: QueueName, open_: bool | None, *, by: str, until: datetime | None, reason: str
    ) -> Changed:
        """See `SupervisionDesk.force_queue`."""
        return await self._ask(
            lambda now: supervision_floor.force_queue(self.board, queue, open_, now, by=by, until=until, reason=reason)
        )

    async def set_emergency(
        self,
        queue: QueueName | None,
        prompt: str,
        *,
        by: str,
        until: datetime | None,
        text: str,
        reason: str,
        languages: Sequence[str] = (),
    ) -> Changed:
        """See `SupervisionDesk.set_emergency`."""
        return await self._ask(
            lambda now: supervision_floor.set_emergency(
                self.board, queue, prompt, now, by=by, until=until, text=text, reason=reason, languages=languages
            )
        )

    def emergencies(self) -> Sequence[EmergencySet]:
        """See `SupervisionDesk.emergencies`."""
        return list(self.board.supervision.emergencies.values())

    def forced_queues(self) -> Sequence[QueueForced]:
        """See `SupervisionDesk.forced_queues`."""
        return list(self.board.supervision.forced.values())

    async def send_message(
        self, agents: Sequence[AgentId], queue: QueueName | None, text: str, *, by: str, lasts: timedelta
    ) -> MessageSent:
        """See `SupervisionDesk.send_message`."""
        return await self._ask(
            lambda now: supervision_floor.send_message(self.board, agents, queue, text, now, by=by, lasts=lasts)
        )

    async def message_seen(self, agent_id: AgentId, message_id: str) -> None:
        """See `SupervisionDesk.message_seen`."""
        await self._ask(lambda now: supervision_floor.message_seen(self.board, agent_id, message_id, now))

    def messages(self) -> Sequence[MessageState]:
        """See `SupervisionDesk.messages`."""
        state = self.board.supervision
        return [
            MessageState(message=message, seen=tuple(sorted(state.seen[message_id])))
            for message_id, message in reversed(state.messages.items())
        ]

    def notices_of(self, agent_id: AgentId) -> Sequence[MessageSent]:
        """See `SupervisionDesk.notices_of`."""
        return self.board.supervision.notices(agent_id)
