"""The books must add up: a continuous audit of who is where, and the repair of what does not agree.

Theory of operation. Three books tell of the same people: the calls, the agents, and the engine's tickets and leases. Each
of them is right by construction as long as whoever changes one changes the others; this watches that it stays so. After
each turn the calls and agents of the turn's facts are looked at, and every few seconds all. What is found twice, `LASTS`
apart, is a breach: it is repaired, logged with its calls and agents, and recorded as `BreachRepaired`. Once is not enough:
within a turn much is half done, and a signal of the other half may be in the inbox.

The kinds, and how each is repaired:

caller_without_ticket         waits, and the engine does not know: the ticket again, with its place; back to the wait context
ticket_without_caller         a ticket of a call that is over, or is elsewhere: taken back, with its lease
offer_without_lease           the call is offered, the engine has no such lease: the offer ends; back to the wait context
lease_without_offer           the engine has a lease, the call no such offer: settled; back to the wait context
lease_without_agent           call and engine agree on an offer that its agent is not in: the offer ends; back to wait
lease_overdue                 its deadline has passed and it stands: the offer ends as expired; back to the wait context
agent_reserved_without_offer  the agent is reserved for an offer that is over: freed
agent_offered_while_talking   the agent talks with one caller and is offered another: the offer ends; back to wait
agent_in_no_call              the agent is in a call that is over, or is somebody else's: freed
talk_without_agent            the caller talks with an agent who is in no call by the books: put into this one
agent_in_two_calls            the agent talks with somebody else by then: this talk is over
agent_asked_by_nobody         the agent is consulted about a call that knows nothing of it: freed
wrap_up_without_timer         nothing would end the work after the call: a timer
timer_without_wrap_up         a timer of work that is done: taken away
agent_out_of_step             the engine takes the agent to be free, or not, against what the floor knows: told again
caller_overlooked             a free agent may have the caller, and nobody decided so: decided again
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from cti.acd.inputs import CallerNotReady, CallerReady, OfferSettled
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model.agent import AgentStatus
from cti.model.call import Call, CallState
from cti.model.commands import ReturnToWait
from cti.model.facts import OfferEnd
from cti.services import agent_time, offers, talks
from cti.services.switchboard import Switchboard

log = structlog.get_logger(__name__)

EVERYTHING_EVERY = timedelta(seconds=5)
PORTION = 200
"""Calls and agents looked at in one turn, at least, while everybody is looked at: on a big floor not all at once."""
LASTS = timedelta(seconds=0.5)
"""How long a breach stands before it is one."""
LONGEST_PAUSE = timedelta(seconds=60)
"""Between tries to repair the same thing again."""

_WAITS = frozenset({CallState.WAITING, CallState.OFFERED})
_TALKS = frozenset({CallState.TALKING, CallState.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """Something that does not agree: which kind, about whom."""

    kind: str
    call_id: CallId | None = None
    agent_id: AgentId | None = None


@dataclass(slots=True)
class _Suspicion:
    since: datetime
    due: datetime
    tries: int = 0


class Audit:
    """Watches one switchboard. `turn` is called by its owner before a turn's facts and commands are taken out."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._suspicions: dict[Breach, _Suspicion] = {}
        self._round_calls: list[CallId] = []
        self._round_agents: list[AgentId] = []
        """Who is still to be looked at in this round."""
        self._round_began: datetime | None = None
        self._looked_at: datetime | None = None

    def turn(self, now: datetime) -> None:
        """Look at whom the turn touched, and at everybody when it is time; repair what has lasted."""
        calls: dict[CallId, None] = {}
        agents: dict[AgentId, None] = {}
        for fact in self._board.out.facts:
            if isinstance(fact, f.CallFact):
                calls[fact.call_id] = None
            agent_id = getattr(fact, "agent_id", None)
            if agent_id is not None:
                agents[agent_id] = None
            if isinstance(fact, f.OfferMade | f.OfferEnded):
                agents.update(dict.fromkeys(fact.others))
        for breach, suspicion in self._suspicions.items():
            if suspicion.due <= now:
                if breach.call_id is not None:
                    calls[breach.call_id] = None
                if breach.agent_id is not None:
                    agents[breach.agent_id] = None
        self._portion(calls, agents, now)
        if calls or agents:
            self._judge(findings(self._board, now, calls=calls, agents=agents), {*calls, *agents}, now)

    def _portion(self, calls: dict[CallId, None], agents: dict[AgentId, None], now: datetime) -> None:
        """Add the next of the round, so many that everybody has their turn in time."""
        began, board = self._round_began, self._board
        if began is None or not timedelta() <= now - began < EVERYTHING_EVERY:  # or the clock was set
            # Whoever is left of the last round goes first.
            known = dict.fromkeys((*self._round_calls, *(ticket.call_id for ticket in board.engine.tickets())))
            self._round_calls = [*reversed({**known, **dict.fromkeys(board.calls)})]
            self._round_agents = [*reversed(dict.fromkeys((*self._round_agents, *board.agents)))]
            self._round_began = self._looked_at = now
        elif not self._round_calls and not self._round_agents:
            return
        passed = (now - self._looked_at) / EVERYTHING_EVERY if self._looked_at is not None else 0.0
        self._looked_at = now
        left = max(PORTION, round(passed * 2 * (len(self._round_calls) + len(self._round_agents))))
        while left > 0 and self._round_calls:
            calls[self._round_calls.pop()] = None
            left -= 1
        while left > 0 and self._round_agents:
            agents[self._round_agents.pop()] = None
            left -= 1

    def _judge(self, found: Iterable[Breach], looked: set[str], now: datetime) -> None:
        standing = dict.fromkeys(found)
        if not standing and not self._suspicions:
            return
        for breach in [known for known in self._suspicions if known not in standing]:
            subject = breach.call_id if breach.call_id is not None else breach.agent_id
            if subject in looked:
                del self._suspicions[breach]
        for breach in standing:
            suspicion = self._suspicions.get(breach)
            if suspicion is None:
                self._suspicions[breach] = _Suspicion(since=now, due=now + LASTS)
            elif suspicion.due <= now:
                suspicion.tries += 1
                suspicion.due = now + min(LASTS * 2 ** min(suspicion.tries, 10), LONGEST_PAUSE)
                if _stands(self._board, breach, now):  # and was not repaired with another just now
                    repair(self._board, breach, now)


# -- looking ----------------------------------------------------------------------------------------------------------


def findings(
    board: Switchboard,
    now: datetime,
    *,
    calls: Iterable[CallId] | None = None,
    agents: Iterable[AgentId] | None = None,
) -> list[Breach]:
    """What does not agree at `now`: about these calls and agents, or about all."""
    found: list[Breach] = []
    if calls is None:
        calls = {**dict.fromkeys(board.calls), **{ticket.call_id: None for ticket in board.engine.tickets()}}
    for call_id in calls:
        _look_at_call(board, call_id, now, found)
    for agent_id in board.agents if agents is None else agents:
        if agent_id in board.agents:
            _look_at_agent(board, agent_id, now, found)
    return found


def _look_at_call(board: Switchboard, call_id: CallId, now: datetime, found: list[Breach]) -> None:
    call, ticket = board.calls.get(call_id), board.engine.ticket(call_id)
    if call is None or call.state not in _WAITS:
        if ticket is not None:
            found.append(Breach(kind="ticket_without_caller", call_id=call_id))
        if call is not None and call.offer_id is not None:
            found.append(Breach(kind="offer_without_lease", call_id=call_id))
        if call is not None and call.state in _TALKS:
            for agent in (board.agents[agent_id] for agent_id in call.talkers if agent_id in board.agents):
                if agent.call_id != call_id:
                    kind = "agent_in_two_calls" if _talks(board, agent) else "talk_without_agent"
                    found.append(Breach(kind=kind, call_id=call_id, agent_id=agent.agent_id))
        return
    if ticket is None:
        found.append(Breach(kind="caller_without_ticket", call_id=call_id))
        return
    lease = board.engine.lease_of_call(call_id)
    if call.state is CallState.WAITING:
        if lease is not None:
            found.append(Breach(kind="lease_without_offer", call_id=call_id))
        elif (agent_id := board.engine.overlooked(call_id)) is not None:
            found.append(Breach(kind="caller_overlooked", call_id=call_id, agent_id=agent_id))
    elif lease is None or lease.offer_id != call.offer_id:
        found.append(Breach(kind="offer_without_lease", call_id=call_id))
    else:
        known = [board.agents[agent_id] for agent_id in lease.agent_ids if agent_id in board.agents]
        if not any(agent.offer_id == lease.offer_id for agent in known):
            found.append(Breach(kind="lease_without_agent", call_id=call_id))
        elif lease.deadline < now:
            found.append(Breach(kind="lease_overdue", call_id=call_id))


def _talks(board: Switchboard, agent: AgentStatus) -> bool:
    """Whether the call the agent is in agrees."""
    call = board.calls.get(agent.call_id) if agent.call_id is not None else None
    if call is not None and call.state is CallState.DIALLING:
        return call.dialled_by == agent.agent_id
    return call is not None and call.state in _TALKS and agent.agent_id in call.talkers


def _asked(board: Switchboard, agent: AgentStatus) -> bool:
    """Whether the call the agent is asked about agrees: asked, or just handed over and not in one bridge yet."""
    call = board.calls.get(agent.asked_call) if agent.asked_call is not None else None
    if call is None or not (call.state in _TALKS or call.state is CallState.AFTER):
        return False
    if call.consult is not None and call.consult.consulted == agent.agent_id:
        return True
    return call.consult is None and (call.call_id, agent.agent_id) in board.legs.values()


def _look_at_agent(board: Switchboard, agent_id: AgentId, now: datetime, found: list[Breach]) -> None:
    agent, lease = board.agents[agent_id], board.engine.lease_of_agent(agent_id)
    if agent.offer_id is not None:
        if lease is None or lease.offer_id != agent.offer_id:
            found.append(Breach(kind="agent_reserved_without_offer", agent_id=agent_id))
        elif agent.call_id is not None:
            found.append(Breach(kind="agent_offered_while_talking", call_id=lease.call_id, agent_id=agent_id))
    if agent.call_id is not None and not _talks(board, agent):
        found.append(Breach(kind="agent_in_no_call", agent_id=agent_id))
    if agent.asked_call is not None and not _asked(board, agent):
        found.append(Breach(kind="agent_asked_by_nobody", agent_id=agent_id))
    if (agent.wrap_call is not None) != (agent_id in board.wrap_until):
        kind = "wrap_up_without_timer" if agent.wrap_call is not None else "timer_without_wrap_up"
        found.append(Breach(kind=kind, agent_id=agent_id))
    if lease is None:
        free = isinstance(board.standing_of(agent_id, now), datetime)
        if free != board.engine.is_free(agent_id):
            found.append(Breach(kind="agent_out_of_step", agent_id=agent_id))


def _stands(board: Switchboard, breach: Breach, now: datetime) -> bool:
    calls = (breach.call_id,) if breach.call_id is not None else ()
    agents = (breach.agent_id,) if breach.agent_id is not None else ()
    return breach in findings(board, now, calls=calls, agents=agents)


# -- repairing --------------------------------------------------------------------------------------------------------


def repair(board: Switchboard, breach: Breach, now: datetime) -> None:
    """Make the books agree again about this, and say so."""
    act, done = REPAIRS[breach.kind]
    calls = (breach.call_id,) if breach.call_id is not None else ()
    agents = (breach.agent_id,) if breach.agent_id is not None else ()
    log.error("books_disagree", kind=breach.kind, calls=calls, agents=agents, repair=done)
    try:
        board.record(f.BreachRepaired(at=now, kind=breach.kind, calls=calls, agents=agents, repair=done))
        act(board, breach, now)
    except IllegalTransition as error:
        log.error("repair_failed", kind=breach.kind, calls=calls, agents=agents, error=error.message)


def _call(board: Switchboard, breach: Breach) -> Call:
    call = board.calls.get(breach.call_id) if breach.call_id is not None else None
    if call is None:
        raise IllegalTransition("the call is over", call_id=breach.call_id)
    return call


def _to_wait(board: Switchboard, call: Call) -> None:
    """Nobody knows for sure where the caller is: to the wait context, which says so when the caller is there."""
    if call.channel:
        board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))


def _end_offer(board: Switchboard, call: Call, end: OfferEnd, now: datetime) -> None:
    """End the call's offer in every book that has it."""
    agents, waits = call.offered_agents, call.state in _WAITS
    offers.call_off(board, call)
    try:
        board.end_offer(call, end, now, at=now, deliverable=False)
    except IllegalTransition:
        pass  # the engine never heard of the offer, and all that comes before asking it is done
    lease = board.engine.lease_of_call(call.call_id)
    if lease is not None:
        board.route(OfferSettled(offer_id=lease.offer_id, end=end), now)
    for agent_id in agents:
        if agent_id in board.agents:
            board.tell_again(agent_id, now)
    if waits:
        _to_wait(board, call)


def _ticket_again(board: Switchboard, breach: Breach, now: datetime) -> None:
    call = _call(board, breach)
    if call.offer_id is not None:
        _end_offer(board, call, OfferEnd.SUPERSEDED, now)
    board.join_queue(board.calls[call.call_id], now, deliverable=False)
    _to_wait(board, call)


def _take_ticket(board: Switchboard, breach: Breach, now: datetime) -> None:
    if breach.call_id is None:
        return
    lease = board.engine.lease_of_call(breach.call_id)
    board.leave_queue(breach.call_id, now)
    for agent_id in lease.agent_ids if lease is not None else ():
        if agent_id in board.agents:
            board.tell_again(agent_id, now)


def _offer_over(board: Switchboard, breach: Breach, now: datetime) -> None:
    call = _call(board, breach)
    _end_offer(board, call, OfferEnd.ANSWERED if call.state in _TALKS else OfferEnd.SUPERSEDED, now)


def _offer_expired(board: Switchboard, breach: Breach, now: datetime) -> None:
    _end_offer(board, _call(board, breach), OfferEnd.EXPIRED, now)


def _settle(board: Switchboard, breach: Breach, now: datetime) -> None:
    call = _call(board, breach)
    lease = board.engine.lease_of_call(call.call_id)
    if lease is not None:
        board.route(CallerNotReady(call_id=call.call_id), now)
        board.route(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.SUPERSEDED), now)
        for agent_id in lease.agent_ids:
            if agent_id in board.agents:
                board.tell_again(agent_id, now)
        _to_wait(board, call)


def _tell_again(board: Switchboard, breach: Breach, now: datetime) -> None:
    if breach.agent_id is not None:
        board.tell_again(breach.agent_id, now)


def _end_talk(board: Switchboard, breach: Breach, now: datetime) -> None:
    talks.end_talk(board, _call(board, breach), now, at=now, agent_id=breach.agent_id)


def _set_timer(board: Switchboard, breach: Breach, now: datetime) -> None:
    if breach.agent_id is not None:
        name = board.wrap_queue.get(breach.agent_id)
        queue = board.centre.queues.get(name) if name is not None else None
        lasts = agent_time.wrap_up_of(board.centre.agents.get(breach.agent_id), queue)
        board.wrap_until[breach.agent_id] = max(now, board.agents[breach.agent_id].since + lasts)


def _take_timer(board: Switchboard, breach: Breach, now: datetime) -> None:
    if breach.agent_id is not None:
        board.wrap_until.pop(breach.agent_id, None)
        board.wrap_queue.pop(breach.agent_id, None)


def _decide_again(board: Switchboard, breach: Breach, now: datetime) -> None:
    if breach.call_id is not None:
        board.route(CallerNotReady(call_id=breach.call_id), now)
        board.route(CallerReady(call_id=breach.call_id), now)


Repair = Callable[[Switchboard, Breach, datetime], None]
REPAIRS: dict[str, tuple[Repair, str]] = {
    "caller_without_ticket": (_ticket_again, "ticket given again, place kept"),
    "ticket_without_caller": (_take_ticket, "ticket taken back"),
    "offer_without_lease": (_offer_over, "offer ended"),
    "lease_without_offer": (_settle, "lease settled"),
    "lease_without_agent": (_offer_over, "offer ended"),
    "lease_overdue": (_offer_expired, "offer expired"),
    "agent_reserved_without_offer": (_tell_again, "agent freed"),
    "agent_offered_while_talking": (_offer_over, "offer ended"),
    "agent_in_no_call": (_tell_again, "agent freed"),
    "talk_without_agent": (_tell_again, "agent put into the call"),
    "agent_in_two_calls": (_end_talk, "talk ended"),
    "agent_asked_by_nobody": (_tell_again, "agent freed"),
    "wrap_up_without_timer": (_set_timer, "timer set"),
    "timer_without_wrap_up": (_take_timer, "timer taken away"),
    "agent_out_of_step": (_tell_again, "engine told again"),
    "caller_overlooked": (_decide_again, "decided again"),
}
"""Kind -> what is done about it, and the words for it."""
