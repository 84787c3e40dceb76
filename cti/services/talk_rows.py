"""What each agent in a call sees of it (`TalkView`), computed from the switchboard."""

from __future__ import annotations

from typing import Literal

from cti.ids import AgentId, CallId
from cti.model.call import Call, CallState
from cti.model.facts import ConsultEnd, DestinationKind
from cti.model.supervision_legs import PARTY, is_supervisor
from cti.model.talk import Consult
from cti.services.switchboard import Switchboard
from cti.services.talk_view import CALLER, ConsultView, PartyState, PartyView, TalkState, TalkView

_TALK = frozenset({CallState.TALKING, CallState.HELD})


def talk_of(board: Switchboard, agent_id: AgentId) -> TalkView | None:
    """The call this agent is in, or is asked about; None: in none."""
    agent = board.agents.get(agent_id)
    if agent is None:
        return None
    call = board.calls.get(agent.call_id or agent.asked_call or CallId(""))
    if call is None or call.state not in _TALK:
        return None
    parties = tuple(_parties(board, call, agent_id))
    heard = sum(party.state == "talking" for party in parties)
    conference = heard > 1
    sent = call.transfer
    return TalkView(
        call_id=call.call_id,
        direction=call.direction,
        number=call.caller_number,
        customer_name=_customer(board, call),
        state=_state(call, agent_id, conference=conference),
        parties=parties,
        consult=_consult(board, call),
        conference=conference,
        transferred_from=sent.by if sent is not None and sent.by != agent_id else None,
        note=sent.note if sent is not None and sent.by != agent_id else "",
    )


def people_in(call: Call) -> tuple[AgentId, ...]:
    """Every agent whose own the call is: in talk, or asked about it."""
    asked = call.consult.consulted if call.consult is not None else None
    return tuple(dict.fromkeys((*call.talkers, *((asked,) if asked is not None else ()))))


def _customer(board: Switchboard, call: Call) -> str:
    known = board.cards.get(call.call_id)
    return known.cards[0].name if known is not None and len(known.cards) == 1 else ""


def _state(call: Call, agent_id: AgentId, *, conference: bool) -> TalkState:
    if call.consult is not None and call.state is CallState.HELD:
        return "consulting"
    if call.state is CallState.HELD:
        return "held"
    return "conference" if conference else "talking"


def _parties(board: Switchboard, call: Call, agent_id: AgentId) -> list[PartyView]:
    held = call.state is CallState.HELD
    found = [
        PartyView(
            party=CALLER,
            kind="caller",
            agent_id=None,
            name=_customer(board, call),
            number=call.caller_number,
            state="held" if held else "talking",
            since=call.since,
        )
    ]
    for other in call.talkers:
        if other != agent_id:
            found.append(_agent(board, call, other, "talking"))
    consult = call.consult
    for outsider in call.outsiders:
        found.append(_number(board, call, outsider, "talking"))
    if consult is not None and consult.consulted != agent_id:
        state = _third(call, consult)
        if consult.consulted is not None:
            found.append(_agent(board, call, consult.consulted, state))
        else:
            found.append(_number(board, call, consult.party, state))
    return found


def _third(call: Call, consult: Consult) -> PartyState:
    if consult.answered_at is None:
        return "ringing"
    return "held" if call.state is CallState.TALKING else "talking"


def _agent(board: Switchboard, call: Call, agent_id: AgentId, state: PartyState) -> PartyView:
    config = board.centre.agents.get(agent_id)
    return PartyView(
        party=agent_id,
        kind="agent",
        agent_id=agent_id,
        name=config.name if config is not None else agent_id,
        number=None,
        state=state,
        since=board.agents[agent_id].since if agent_id in board.agents else call.since,
    )


def _number(board: Switchboard, call: Call, number: str, state: PartyState) -> PartyView:
    return PartyView(
        party=number,
        kind="number",
        agent_id=None,
        name=number.removeprefix(PARTY) if is_supervisor(number) else _in_book(board, number),
        number=None if is_supervisor(number) else number,
        state=state,
        since=call.since,
    )


def _in_book(board: Switchboard, number: str) -> str:
    return next((name for name, known in board.centre.phone_book.items() if known == number), "")


def _consult(board: Switchboard, call: Call) -> ConsultView | None:
    consult, end = call.consult, None
    if consult is None:
        consult, end = board.parties.failed.get(call.call_id, (None, None))
    if consult is None or end is ConsultEnd.GONE:
        return None
    config = board.centre.agents.get(consult.consulted) if consult.consulted is not None else None
    kind: Literal["agent", "number"] = "agent" if consult.kind is DestinationKind.AGENT else "number"
    return ConsultView(
        party=consult.party,
        kind=kind,
        agent_id=consult.consulted,
        name=config.name if config is not None else _in_book(board, consult.party),
        number=None if consult.consulted is not None else consult.party,
        state="failed" if end is not None else _third(call, consult),
        since=consult.since,
        by=consult.by,
        reason=end.value if end is not None else "",
    )
