"""What the centre itself tells an agent on the page, as a supervisor's message would: until it was seen, or its time is over.

Pages have words for it by language, so the text of such a message is an id, and nobody stands as the sender.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from cti.ids import AgentId, QueueName
from cti.model.supervision_facts import MessageSent

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

LASTS = timedelta(minutes=30)


class CentreNotice(StrEnum):
    """What there is to tell. Words: `notices` of the pages' `acts`."""

    CALL_ENDED_BY_CAP = "call_ended_by_cap"
    """A call to an outside number was ended, for a cap on what such calls may take was reached."""


def tell(board: Switchboard, agent_id: AgentId, what: CentreNotice, now: datetime) -> None:
    """Put it on the agent's page. An agent who is not of this centre any more is told nothing."""
    if agent_id not in board.agents:
        return
    put(board, now, by="", text=what.value, agents=(agent_id,), until=now + LASTS)


def put(
    board: Switchboard,
    now: datetime,
    *,
    by: str,
    text: str,
    agents: tuple[AgentId, ...],
    until: datetime,
    queue: QueueName | None = None,
) -> MessageSent:
    """Put a message on the pages of these agents of the centre, a supervisor's or the centre's own."""
    number = sum(message.at == now for message in board.supervision.messages.values()) + 1
    fact = MessageSent(
        at=now,
        message_id=f"{board.node}-{int(now.timestamp() * 1000)}-{number}",
        by=by,
        text=text,
        agents=agents,
        queue=queue,
        until=until,
    )
    board.record(fact)
    board.dirty_agents.update(agents)
    return fact
