"""What goes in and out on an agent's desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from cti.model.desk import QueueDesk
from cti.model.facts import AgentState, Device
from cti.services.floor import AgentRow, CallRow, Pop
from cti.services.talk_view import TalkView
from cti.web.operations import Answer, Body, Params


class Desk(Answer):
    """Everything on an agent's desk. `reasons` are those for not ready; `dispositions` (the names that can be chosen) and
    `desks` (their tree, script and knowledge) are by queue."""

    agent: AgentRow
    call: CallRow | None
    pop: Pop | None
    talk: TalkView | None
    reasons: tuple[str, ...]
    dispositions: Mapping[str, tuple[str, ...]]
    desks: Mapping[str, QueueDesk]


class StateBody(Body):
    """The state asked for. While talking it takes effect after the call. `device` says where calls are taken."""

    state: Literal["ready", "not_ready", "offline"]
    reason: Annotated[str, Field(max_length=64)] = ""
    device: Device | None = None


class WrapUpBody(Body):
    """The work after a call is done."""

    disposition: Annotated[str, Field(max_length=64)] = ""
    note: Annotated[str, Field(max_length=4000)] = ""


class CustomerBody(Body):
    """Who the caller is."""

    customer_id: Annotated[int, Field(ge=1, lt=2**63)]


class OfferParams(Params):
    """Names an offer."""

    offer_id: Annotated[int, BeforeValidator(int), Field(ge=0, le=9_999_999_999)]


class CallParams(Params):
    """Names a call."""

    call_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class AgentAnswer(Answer):
    """The agent after what was asked."""

    agent: AgentRow


class SipAccount(Answer):
    """For a SIP softphone. `tls_registrar` is where SIP over TLS is spoken; empty: nowhere."""

    registrar: str
    tls_registrar: str
    username: str
    password: str


class PhoneAccount(Answer):
    """For the phone inside the browser (JsSIP), and the account of the same agent for a SIP softphone."""

    ws_url: str
    uri: str
    username: str
    password: str
    display_name: str
    sip: SipAccount


STATES: Mapping[str, AgentState] = {
    "ready": AgentState.READY,
    "not_ready": AgentState.NOT_READY,
    "offline": AgentState.OFFLINE,
}
