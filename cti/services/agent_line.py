"""What an agent's page and telephone ask beside the floor's requests: dial, say that they are there, tell how it sounds.

The seam between `dialling`, `heartbeats` and everything with a face. Requests raise `Refused`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cti.ids import AgentId, CallId, CustomerId, QueueName
from cti.services.floor import Refused


class Microphone(StrEnum):
    """What a page knows of its microphone."""

    OK = "ok"
    DENIED = "denied"
    """The browser was told not to give it."""
    SILENT = "silent"
    """It is there and gives nothing at all: muted by a switch, or dead."""
    NONE = "none"
    """There is none."""


class Problem(StrEnum):
    """What keeps an agent from being offered calls, though ready."""

    PAGE = "page"
    """The agent's page is closed, or was not heard of for too long."""
    PHONE = "phone"
    """The telephone is not registered."""
    MICROPHONE = "microphone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a page says of itself every few seconds."""

    microphone: Microphone = Microphone.OK
    registered: bool = True
    """Whether the page's telephone is signed on."""
    visible: bool = True
    """Whether the page is to be seen; a hidden one works all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """What an agent asks to be connected with: an outside number, or a colleague."""

    number: str = ""
    """As the agent wrote it."""
    colleague: AgentId | None = None
    customer_id: CustomerId | None = None
    """The customer whom the number was taken from."""
    caller_id: str = ""
    """The number to show; empty: the queue's, else the centre's."""
    queue: QueueName | None = None
    """The queue it is done for; None: the agent's first."""
    follow_up_id: str = ""
    """The follow-up call it is, where it is one."""
    override: str = ""
    """Why a customer is called who asked not to be."""
    key: str = ""
    """Names this one request: repeated, it gives the same call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """How a call sounded at the agent's page: since the last report, or (`final`) all in all."""

    rtt_ms: float | None = None
    """There and back."""
    jitter_ms: float | None = None
    loss: float | None = None
    """Share of packets that did not come, 0-1."""
    mos: float | None = None
    """Estimated mean opinion score, 1-5."""
    final: bool = False


class AgentLine(Protocol):
    """The dispatcher, as an agent's page sees it here."""

    async def dial(self, agent_id: AgentId, asked: Dialled) -> CallId:
        """Ring the agent's own device, then connect it. Gives the call's id."""
        ...

    def pulse(self, agent_id: AgentId, pulse: Pulse) -> None:
        """The agent's page is there, and so it is."""
        ...

    async def sounded(self, agent_id: AgentId, call_id: CallId, sound: Sound) -> bool:
        """How a call of the agent sounds. Gives whether the report was kept: they are sampled."""
        ...


class NoLine:
    """Where nothing can be dialled: tests of other parts."""

    async def dial(self, agent_id: AgentId, asked: Dialled) -> CallId:
        """Never."""
        raise Refused("dialling_off", "nothing can be dialled here", remedy="dial from a telephone")

    def pulse(self, agent_id: AgentId, pulse: Pulse) -> None:
        """Nothing."""

    async def sounded(self, agent_id: AgentId, call_id: CallId, sound: Sound) -> bool:
        """Not kept."""
        return False
