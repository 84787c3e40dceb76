"""Tasks: who may see and take which, and whether an agent may have the next one now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cti.ids import QueueName
from cti.model.kinds import AgentState

Kind = Literal["voicemail", "callback", "web_callback", "escalation", "to_do", "complaint", "follow_up"]
KINDS: tuple[Kind, ...] = ("voicemail", "callback", "web_callback", "complaint", "follow_up", "escalation", "to_do")
MADE: tuple[Kind, ...] = ("callback", "to_do")
"""What a person may make a task of."""

_FREE = frozenset({AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE})
"""States in which an agent has no call in hand, and none is on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """Why an agent does not get a task now."""

    reason: Literal["busy", "callers_wait", "nothing_due", "outside_hours"]
    queue: QueueName | None = None
    """Of callers_wait: the queue where most wait."""
    waiting: int = 0


def hindrance(state: AgentState, waiting: Mapping[QueueName, int]) -> Hindrance | None:
    """Why an agent in this state, with so many waiting in each of the agent's queues, gets no task; None: one may be had.

    Callers come first: as long as one waits whom the agent may serve, nobody is called who does not.
    """
    if state not in _FREE:
        return Hindrance(reason="busy")
    queue = max(waiting, key=lambda name: (waiting[name], name), default=None)
    if queue is not None and waiting[queue] > 0:
        return Hindrance(reason="callers_wait", queue=queue, waiting=waiting[queue])
    return None


def work_number(work_id: str) -> tuple[Literal["task", "complaint", "follow-up"], int] | None:
    """The kind and number in a work id ("follow-up-12"); None where it is none."""
    kind, _, number = work_id.rpartition("-")
    if (
        kind not in ("task", "complaint", "follow-up")
        or not number.isascii()
        or not number.isdigit()
        or len(number) > 18
    ):
        return None
    return kind, int(number)  # type: ignore[return-value]
