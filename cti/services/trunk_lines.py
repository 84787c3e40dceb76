"""What may leave over the trunk now: which numbers, how many of its lines are left (`outbound.most_at_once`), and whether the
caps of `outbound.caps` leave room for what it would cost. Whatever dials asks here first; that it is counted, `tolls` sees to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from cti.acd.decisions import Offer
from cti.acd.inputs import AgentFree, CallerNotReady, CallerReady, OfferSettled
from cti.ids import AgentId, CallId, QueueName
from cti.model.call import Call, CallState
from cti.model.facts import Device, OfferEnd
from cti.model.supervision_legs import is_supervisor
from cti.model.tolls import CENTRE, Limit, Scope, Wanted, Who
from cti.services.floor import Refused

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


log = structlog.get_logger(__name__)

TELL_EVERY = timedelta(minutes=1)
"""Between two lines of the log about one cap, as long as it goes on refusing."""
E164 = re.compile(r"\+[1-9][0-9]{5,14}")


def why_not(board: Switchboard, number: str | None) -> str:
    """Why this number can never be dialled as things are set; empty: it can.

    "no_trunk" (the trunk has no address), "no_number" (withheld), "not_allowed" (not on the centre's list), "no_price" (not on
    the price list, and `outbound.unknown` says that such numbers are not dialled).
    """
    if not board.can_dial_out:
        return "no_trunk"
    if not number:
        return "no_number"
    if E164.fullmatch(number) is None or not board.centre.outbound.may_dial(number):
        return "not_allowed"
    if board.centre.outbound.tolls.price_of(number) is None:
        return "no_price"
    return ""


SAID = {
    Limit.DIALS: "as many calls as may be within an hour have been dialled",
    Limit.MINUTES: "the minutes of 24 hours are used up",
    Limit.COST_HOUR: "it would cost more than may be spent within an hour",
    Limit.COST_DAY: "it would cost more than may be spent within 24 hours",
}


def whose(queue: QueueName | None, agent_id: AgentId | None = None, supervisor: str = "") -> tuple[Who, ...]:
    """For whom a call to an outside number counts."""
    scopes: list[Who] = [CENTRE]
    if queue is not None:
        scopes.append((Scope.QUEUE, queue))
    if agent_id is not None:
        scopes.append((Scope.AGENT, agent_id))
    if supervisor:
        scopes.append((Scope.SUPERVISOR, supervisor))
    return tuple(scopes)


def beyond(board: Switchboard, legs: Sequence[tuple[str, tuple[Who, ...]]], now: datetime) -> tuple[Who, Limit] | None:
    """The cap that these calls, each a number and for whom it counts, would go beyond together; None: there is room.

    What it says no to is remembered as a cap that is reached (`tolls.reached`).
    """
    rules = board.centre.outbound.tolls
    if not rules.any():
        return None
    wanted = [
        Wanted(price=priced[1], scopes=scopes)
        for number, scopes in legs
        if (priced := rules.price_of(number)) is not None
    ]
    found = board.tolls.book.why_not(rules, wanted, now)
    if found is not None:
        before = board.tolls.refused.get(found)
        if before is None or not timedelta() <= now - before < TELL_EVERY:
            (scope, name), limit = found
            log.warning(
                "outbound_cap_reached",
                scope=scope.value,
                name=name,
                limit=limit.value,
                remedy="see outbound.caps of centre.yaml",
            )
        board.tolls.refused[found] = now
    return found


def may_cost(
    board: Switchboard,
    number: str,
    now: datetime,
    *,
    queue: QueueName | None,
    agent_id: AgentId | None = None,
    supervisor: str = "",
    own: str = "",
) -> None:
    """Raise `Refused` where a call to this number would go beyond a cap. `own`: an agent's own number, dialled besides."""
    scopes = whose(queue, agent_id, supervisor)
    found = beyond(board, [(one, scopes) for one in (own, number) if one], now)
    if found is not None:
        (scope, name), limit = found
        raise Refused(
            f"cap_{limit.value}",
            f"{SAID[limit]} ({scope.value}{f' {name}' if name else ''})",
            remedy="try again later, or have outbound.caps of centre.yaml changed",
        )


def at_outside_number(board: Switchboard, agent_id: AgentId) -> bool:
    """Whether this agent is called over the trunk, at a number of their own."""
    agent = board.agents.get(agent_id)
    return agent is not None and agent.device is Device.EXTERNAL


def in_use(board: Switchboard) -> int:
    """Calls over the trunk now that we began: callers sent out, callbacks, agents at outside numbers.

    A callback that is offered to an agent has its line already: the customer is dialled from the agent's telephone.
    """
    callers = sum(_takes_one(call) + _third_parties(call) for call in board.calls.values())
    agents = sum(
        agent.device is Device.EXTERNAL and (agent.offer_id is not None or agent.call_id is not None)
        for agent in board.agents.values()
    )
    return callers + agents


def _third_parties(call: Call) -> int:
    """Numbers that agents have called into the talk, or are calling."""
    asked = call.consult is not None and call.consult.consulted is None
    return sum(not is_supervisor(party) for party in call.outsiders) + asked


def _takes_one(call: Call) -> bool:
    if call.dialled_by is not None:
        return call.colleague is None
    return call.state is CallState.OUT or bool(call.leg_id) or (call.absent and call.offer_id is not None)


def room(board: Switchboard) -> int:
    """How many more calls may leave over the trunk now."""
    return max(0, board.centre.outbound.most_at_once - in_use(board))


def caller_id(board: Switchboard) -> str:
    """The number that is shown to whom we call: the configured one, else the first of the centre's that is E.164."""
    outbound = board.centre.outbound
    if outbound.caller_id:
        return outbound.caller_id
    return next((did for did in board.centre.numbers if E164.fullmatch(did)), "")


def held_back(board: Switchboard, offer: Offer, now: datetime) -> bool:
    """Take an offer back, unseen, that needs a line when there is none; both sides wait until there is. Whether it was."""
    call = board.calls[offer.call_id]
    outside = at_outside_number(board, offer.agent_id)
    if not (call.absent or outside):
        return False
    # What may be dialled may have changed since the callback was let go; an attempt may be under way still.
    never = call.absent and (call.dialling or bool(why_not(board, call.caller_number)))
    lines = room(board) >= call.absent + outside
    full = None if never or not lines else beyond(board, _legs_of(board, offer), now)
    if not never and lines and full is None:
        return False
    if outside and full is not None and full[0][0] is not Scope.QUEUE:
        board.tolls.full.add(offer.agent_id)
        board.sync_agent(offer.agent_id, now)
    if call.absent:
        board.route(CallerNotReady(call_id=offer.call_id), now)
    elif full is None:
        take(board, now, taken=True)
    elif full[0][0] is Scope.QUEUE:
        # The agent may still be called for other queues, and others for this one: only this pair is not to be.
        board.tolls.held.add(offer.call_id)
        board.route(CallerNotReady(call_id=offer.call_id), now)
    board.route(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.SUPERSEDED), now)
    return True


def _legs_of(board: Switchboard, offer: Offer) -> list[tuple[str, tuple[Who, ...]]]:
    """What is dialled for an offer: the customer of a callback, the agent at an outside number, or both."""
    call, legs = board.calls[offer.call_id], []
    if call.absent:
        legs.append((call.caller_number or "", whose(offer.queue)))
    if at_outside_number(board, offer.agent_id):
        legs.append((board.centre.agents[offer.agent_id].number, whose(offer.queue, offer.agent_id)))
    return legs


def tell_free(board: Switchboard, event: AgentFree, now: datetime) -> None:
    """Tell the engine that an agent is free; callers who may have nobody at an outside number stand in line for others."""
    if board.tolls.held and not at_outside_number(board, event.agent_id):
        try_held(board, now, event)
    else:
        board.route(event, now)


def try_held(board: Switchboard, now: datetime, event: AgentFree | None = None) -> None:
    """Let callers be offered whose queue's cap kept them from an agent at an outside number: to anybody who may be called for
    that queue. Whom nobody can have waits on, unless that cap leaves room again. `event`: what the engine is told then."""
    held = board.tolls.held
    if not held:
        if event is not None:
            board.route(event, now)
        return
    held.intersection_update(call_id for call_id in list(held) if _waits(board, call_id))
    queues = {queue for call_id in held if (queue := board.calls[call_id].queue) is not None}
    without, capped = set[AgentId](), set[QueueName]()
    for agent_id, agent in board.agents.items():
        config = board.centre.agents.get(agent_id)
        if agent.device is Device.EXTERNAL and config is not None and agent_id not in board.tolls.full:
            mine = [queue for queue in config.queues if queue in queues]
            beyond_cap = {
                queue for queue in mine if beyond(board, [(config.number, whose(queue, agent_id))], now) is not None
            }
            capped |= beyond_cap
            if beyond_cap:
                without.add(agent_id)
    _pass_by(board, without, now, by=True)
    for call_id in sorted(held):
        board.route(CallerReady(call_id=call_id), now)
    if event is not None:
        board.route(event, now)
    for call_id in sorted(held):
        if not _waits(board, call_id) or board.calls[call_id].queue not in capped:
            held.discard(call_id)
        else:
            board.route(CallerNotReady(call_id=call_id), now)
    _pass_by(board, without, now, by=False)


def _waits(board: Switchboard, call_id: CallId) -> bool:
    call = board.calls.get(call_id)
    return call is not None and call.state is CallState.WAITING and not call.destination


def _pass_by(board: Switchboard, agents: set[AgentId], now: datetime, *, by: bool) -> None:
    """Let the engine offer these agents nothing, or what it will again."""
    (board.tolls.full.update if by else board.tolls.full.difference_update)(agents)
    for agent_id in sorted(agents):
        board.sync_agent(agent_id, now)


def take(board: Switchboard, now: datetime, *, taken: bool) -> None:
    """The last line is taken, or one is free again: agents at outside numbers follow."""
    if board.lines_taken is taken:
        return
    board.lines_taken = taken
    for agent_id, agent in board.agents.items():
        if agent.device is Device.EXTERNAL:
            board.sync_agent(agent_id, now)
