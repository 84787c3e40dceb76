"""What goes in and out when an agent moves a call."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from cti.ids import CallId, QueueName
from cti.model.talk_facts import DestinationKind
from cti.services.talk_view import SendTo
from cti.web.operations import Answer, Body, Params

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9+_.-]{1,64}$")]


class To(Body):
    """Somebody, or somewhere. `name` is the agent's id, the queue, the flow, or the number (E.164); of voicemail just that."""

    kind: DestinationKind = Field(strict=False)
    name: Name

    def send_to(self) -> SendTo:
        """The same for the floor."""
        return SendTo(kind=self.kind, name=self.name)


class HoldBody(Body):
    """On hold, or back."""

    on: bool


class TransferBody(Body):
    """Where the caller goes, and what whoever gets the caller should know."""

    to: To
    note: Annotated[str, Field(max_length=1000)] = ""


class ConsultBody(Body):
    """Who is asked: an agent or a number."""

    to: To


class CompleteBody(Body):
    """What the third party should keep in mind."""

    note: Annotated[str, Field(max_length=1000)] = ""


class KeysBody(Body):
    """Keys to press, one after another."""

    keys: Annotated[str, Field(pattern=r"^[0-9*#]{1,32}$")]


class PickUpBody(Body):
    """Whom to take."""

    call_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class PartyParams(Params):
    """Names a party of a call."""

    call_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    party: Annotated[str, Field(pattern=r"^[A-Za-z0-9+._-]{1,64}$")]


class Waiting(Answer):
    """A caller of the agent's queues who can be picked up."""

    call_id: CallId
    queue: QueueName
    number: str | None
    customer_name: str
    tier: str
    choice: str
    queued_at: datetime | None
    place: int | None
    ringing: bool
    """Rings at a colleague's this moment."""


class Waitings(Answer):
    """In the order of the queues' lines."""

    calls: tuple[Waiting, ...]
