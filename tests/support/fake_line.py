"""An agent's line that remembers what it was asked."""

from __future__ import annotations

from cti.ids import AgentId, CallId
from cti.services.agent_line import Dialled, Pulse, Sound


class FakeLine:
    """Satisfies `AgentLine`. Everything that is asked of it is in `asked`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, AgentId, object]] = []
        self.refuse: Exception | None = None

    async def dial(self, agent_id: AgentId, asked: Dialled) -> CallId:
        """Always the same call."""
        if self.refuse is not None:
            raise self.refuse
        self.asked.append(("dial", agent_id, asked))
        return CallId("a1-1700000000.9")

    def pulse(self, agent_id: AgentId, pulse: Pulse) -> None:
        """Remembered."""
        self.asked.append(("pulse", agent_id, pulse))

    async def sounded(self, agent_id: AgentId, call_id: CallId, sound: Sound) -> bool:
        """Kept."""
        self.asked.append(("sounded", agent_id, (call_id, sound)))
        return True
