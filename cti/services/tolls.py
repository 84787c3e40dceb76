"""What dialling out costs, kept along with the calls: every leg over the trunk begins and ends in the book (`model.tolls`).

Theory of operation. That something is dialled is a fact already (`DialAsked`, `CallSentOut`, `CallbackDialled`, `ConsultStarted`, an
offer to an agent at an outside number), durable before the command is given. `follow` adds the leg's own fact to each, in the
same write: nothing can be dialled that is not counted. That it may be dialled at all is asked before, in `trunk_lines`.
When somebody answers, Asterisk says (`TrunkAnswered`); a talk that was seen to have begun without that costs from its dialling
on. A leg ends with its channel, or with the fact that nobody answered. Of a time in which nobody watched the upper bound counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.callback import agents_leg, agents_leg_of
from cti.model.commands import HangUp
from cti.model.facts import ConsultEnd, DestinationKind, Device, HangupBy, OfferEnd, SentBy
from cti.model.toll_facts import LegKind, TollAnswered, TollBegan, TollEnded
from cti.model.tolls import HOUR, Beyond, Leg, Limit, Price, Scope, Tolls, Who, moment_of, ms
from cti.services import centre_notices, trunk_lines
from cti.services.centre_notices import CentreNotice

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=1)
KEEP_LEAST, KEEP_AFTER = 400, HOUR
"""After so many facts at least, or milliseconds, everything is written down anew (`Tolls.written_due`): a restart need not read
a whole day, and the journal need not keep it."""
PART = 2_000
"""So many legs that are over are written down at a time: 8 ms of work, and a fiftieth of what the journal takes in one record."""
FELT = timedelta(minutes=1)
"""So long a cap that refused a call counts as reached."""
STAYS = frozenset({ConsultEnd.COMPLETED, ConsultEnd.JOINED})
_BY_CONTEXT = {
    "cti-dial": LegKind.DIAL,
    "cti-out": LegKind.OUT,
    "cti-outside": LegKind.OWN,
    "cti-callback-agent": LegKind.CUSTOMER,
}
"""What is dialled from a context of the dialplan."""


@dataclass(slots=True)
class TollDesk:
    """The book, and what has been done about caps. Only the book comes from facts."""

    book: Tolls = field(default_factory=Tolls)
    full: set[AgentId] = field(default_factory=set)
    """Agents at outside numbers whom no call can be brought to now."""
    held: set[CallId] = field(default_factory=set)
    """Waiting callers whose queue may spend no more on agents at outside numbers: offered to others only (`trunk_lines`)."""
    refused: dict[tuple[Who, Limit], datetime] = field(default_factory=dict)
    """When a cap last kept a call from being dialled."""
    warned: set[int] = field(default_factory=set)
    """Legs that were found beyond a cap, and dealt with."""
    looked: datetime | None = None


# ---- the facts of calls, as legs


def follow(board: Switchboard, fact: f.Fact) -> None:
    """A fact happened: what it means for legs over the trunk happened, too."""
    match fact:
        case f.DialAsked():
            _dialled(board, fact)
        case f.CallSentOut():
            agent_id = AgentId(fact.by) if fact.by_whom is SentBy.AGENT else None
            supervisor = fact.by if fact.by_whom is SentBy.SUPERVISOR else ""
            _begin(board, fact, LegKind.OUT, fact.number, agent_id=agent_id, by=supervisor)
        case f.CallbackDialled():
            if fact.agent_id is None or not _open(board, fact.call_id, LegKind.CUSTOMER):
                leg_id = fact.channel if fact.agent_id is None else ""
                _begin(board, fact, LegKind.CUSTOMER, board.calls[fact.call_id].caller_number or "", leg_id=leg_id)
        case f.ConsultStarted():
            _consulted(board, fact)
        case f.OfferMade():
            _offered(board, fact)
        case _ if board.tolls.book.legs and isinstance(fact, f.CallFact):
            _ended(board, fact)
        case _:
            pass


def _dialled(board: Switchboard, fact: f.DialAsked) -> None:
    if trunk_lines.at_outside_number(board, fact.agent_id) and not fact.keypad:
        _begin(board, fact, LegKind.OWN, _number_of(board, fact.agent_id), agent_id=fact.agent_id, leg_id=fact.call_id)
    if fact.number:
        _begin(board, fact, LegKind.DIAL, fact.number, agent_id=fact.agent_id)


def _consulted(board: Switchboard, fact: f.ConsultStarted) -> None:
    if fact.kind is DestinationKind.NUMBER:
        _begin(board, fact, LegKind.PARTY, fact.party, agent_id=fact.agent_id, leg_id=fact.leg_id)
    elif fact.consulted is not None and trunk_lines.at_outside_number(board, fact.consulted):
        number = _number_of(board, fact.consulted)
        _begin(board, fact, LegKind.OWN, number, agent_id=fact.consulted, leg_id=fact.leg_id)


def _offered(board: Switchboard, fact: f.OfferMade) -> None:
    call = board.calls[fact.call_id]
    if fact.device is Device.EXTERNAL:
        leg_id = agents_leg(call.call_id, fact.offer_id, fact.agent_id) if call.absent else ""
        number = _number_of(board, fact.agent_id)
        _begin(board, fact, LegKind.OWN, number, agent_id=fact.agent_id, leg_id=leg_id)
    if call.absent:
        # The dialplan dials the customer as soon as the agent is there, without asking: it is counted now.
        _begin(board, fact, LegKind.CUSTOMER, call.caller_number or "")


def _begin(
    board: Switchboard,
    fact: f.CallFact,
    kind: LegKind,
    number: str,
    *,
    agent_id: AgentId | None = None,
    by: str = "",
    leg_id: str = "",
) -> None:
    prefix, price = board.centre.outbound.tolls.price_of(number) or ("", Price())
    board.record(
        TollBegan(
            at=fact.at,
            inferred=fact.inferred,
            leg=board.tolls.book.next_leg,
            call_id=fact.call_id,
            kind=kind,
            agent_id=agent_id,
            queue=board.calls[fact.call_id].queue,
            by=by,
            prefix=prefix,
            per_minute=price.per_minute,
            connection=price.connection,
            first=price.first,
            then=price.then,
            leg_id=leg_id,
        )
    )


def _ended(board: Switchboard, fact: f.CallFact) -> None:
    """What this fact ends, or shows to have been answered."""
    legs = _open(board, fact.call_id)
    if not legs:
        return
    match fact:
        case f.CallEnded():
            _end(board, legs, fact)
        case f.DialFailed():
            _end(board, _of(legs, LegKind.DIAL, LegKind.OWN), fact)
        case f.TransferFailed() | f.CallCameBack():
            _end(board, [leg for leg in _of(legs, LegKind.OUT) if leg.answered is None], fact)
        case f.CallbackFailed():
            _end(board, _of(legs, LegKind.CUSTOMER), fact)
        case f.OfferEnded() if fact.end is not OfferEnd.ANSWERED:
            own = [leg for leg in _of(legs, LegKind.OWN) if leg.agent_id in (fact.agent_id, *fact.others)]
            _end(board, own, fact)
            waiting = [leg for leg in _of(legs, LegKind.CUSTOMER) if leg.answered is None]
            call = board.calls.get(fact.call_id)
            _end(board, waiting, fact, dialled=call is not None and call.dialling)
        case f.ConsultEnded() if fact.end not in STAYS:
            if fact.consulted is not None:
                _end(board, [leg for leg in _of(legs, LegKind.OWN) if leg.agent_id == fact.consulted], fact)
            else:
                _end(board, _of(legs, LegKind.PARTY)[-1:], fact)
        case f.TalkEnded():
            _end(board, [leg for leg in _of(legs, LegKind.OWN) if leg.agent_id == fact.agent_id], fact)
        case f.CallAnswered():
            _prove(board, [leg for leg in _of(legs, LegKind.OWN) if leg.agent_id == fact.agent_id], fact)
            _prove(board, _of(legs, LegKind.DIAL), fact)
        case f.CallbackReached():
            _prove(board, _of(legs, LegKind.CUSTOMER), fact)
        case f.ConsultAnswered():
            if fact.consulted is not None:
                _prove(board, [leg for leg in _of(legs, LegKind.OWN) if leg.agent_id == fact.consulted], fact)
            else:
                _prove(board, _of(legs, LegKind.PARTY)[-1:], fact)
        case _:
            pass


def _number_of(board: Switchboard, agent_id: AgentId) -> str:
    config = board.centre.agents.get(agent_id)
    return config.number if config is not None else ""


def _open(board: Switchboard, call_id: CallId, *kinds: LegKind) -> list[Leg]:
    legs = [leg for leg in board.tolls.book.legs.values() if leg.call_id == call_id]
    return _of(legs, *kinds) if kinds else legs


def _of(legs: Iterable[Leg], *kinds: LegKind) -> list[Leg]:
    return [leg for leg in legs if leg.kind in kinds]


def _end(board: Switchboard, legs: Iterable[Leg], fact: f.CallFact, *, dialled: bool = True) -> None:
    for leg in legs:
        if leg.answered is None and fact.inferred and isinstance(fact, f.CallEnded):
            # Nobody watched: it may have been a talk from beginning to end.
            board.record(TollAnswered(at=fact.at, inferred=True, leg=leg.leg, call_id=leg.call_id))
        board.record(TollEnded(at=fact.at, inferred=fact.inferred, leg=leg.leg, call_id=leg.call_id, dialled=dialled))


def _prove(board: Switchboard, legs: Iterable[Leg], fact: f.CallFact) -> None:
    for leg in legs:
        if leg.answered is None:
            board.record(TollAnswered(at=fact.at, inferred=True, leg=leg.leg, call_id=leg.call_id))


# ---- what the telephone system says


def answered(board: Switchboard, signal: s.TrunkAnswered, now: datetime) -> None:
    """A leg is answered."""
    waiting = [leg for leg in _open(board, signal.call_id) if leg.answered is None]
    kind = next((kind for begin, kind in _BY_CONTEXT.items() if _is_in(signal.context, begin)), None)
    own = agents_leg_of(signal.call_id, signal.unique_id)
    known = [leg for leg in waiting if leg.leg_id == signal.unique_id]
    if not known and own is not None:
        known = [leg for leg in waiting if leg.kind is LegKind.OWN and leg.agent_id == own[1]]
    if not known and kind is not None:
        known = [leg for leg in waiting if leg.kind is kind and not leg.leg_id]
    for leg in known[:1] or (waiting if len(waiting) == 1 else []):
        board.record(TollAnswered(at=signal.at, leg=leg.leg, call_id=leg.call_id, leg_id=signal.unique_id))


def _is_in(context: str, begin: str) -> bool:
    return context == begin or context == f"{begin}-run"


def leg_gone(board: Switchboard, signal: s.ChannelGone) -> None:
    """A channel is gone; if it is a leg's, that is over."""
    if not signal.unique_id:
        return
    for leg in [leg for leg in board.tolls.book.legs.values() if leg.leg_id == signal.unique_id]:
        board.record(TollEnded(at=signal.at, leg=leg.leg, call_id=leg.call_id))


def adopt(board: Switchboard, snapshot: s.Snapshot, now: datetime) -> None:
    """After a gap: legs whose channel is gone are over, by now at the latest; a caller who was sent out and is connected, costs."""
    there = {channel.unique_id: channel for channel in snapshot.channels}
    for leg in list(board.tolls.book.legs.values()):
        if leg.answered is not None and leg.leg_id and leg.leg_id not in there:
            board.record(TollEnded(at=now, inferred=True, leg=leg.leg, call_id=leg.call_id))
        call = board.calls.get(leg.call_id)
        if leg.kind is LegKind.OUT and leg.answered is None and call is not None and call.state is CallState.OUT:
            talks = any(
                one.call_id == leg.call_id and one.channel != call.channel and one.bridge_id for one in there.values()
            )
            if talks:
                board.record(TollAnswered(at=now, inferred=True, leg=leg.leg, call_id=leg.call_id))


# ---- time


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When `tick` has something to do: each second while calls are under way, else when all is to be written down."""
    desk = board.tolls
    look = now if desk.looked is None or desk.looked > now else desk.looked + LOOK_EVERY
    if desk.book.legs or desk.full or desk.held or desk.book.writing:
        return look
    due = desk.book.written_due(KEEP_LEAST, KEEP_AFTER)
    return None if due is None else max(look, moment_of(due))


def tick(board: Switchboard, now: datetime) -> None:
    """Once a second: legs of calls that are no more, calls that go beyond a cap, agents who can be called again."""
    desk = board.tolls
    if desk.looked is not None and desk.looked <= now < desk.looked + LOOK_EVERY:
        return
    desk.looked = now
    for leg in list(desk.book.legs.values()):
        if leg.call_id not in board.calls:
            board.record(TollEnded(at=now, inferred=True, leg=leg.leg, call_id=leg.call_id))
    _beyond(board, now)
    for agent_id in list(desk.full):
        desk.full.discard(agent_id)
        if agent_id in board.agents:
            board.sync_agent(agent_id, now)
    trunk_lines.try_held(board, now)
    due = desk.book.written_due(KEEP_LEAST, KEEP_AFTER)
    if due is not None and due <= ms(now):
        board.record(desk.book.kept(now, PART))


def reached(board: Switchboard, who: Who, now: datetime) -> list[tuple[Limit, int, float]]:
    """The caps of a scope, each with the share of it that is used: 1.0 and above is all of it, or a call was refused."""
    caps = board.centre.outbound.tolls.of(who)
    if not caps:
        return []
    used = board.tolls.book.used(who, now)
    rows = []
    for limit, cap in caps.items():
        share = used.share(limit, cap)
        refused = board.tolls.refused.get((who, limit))
        if refused is not None and timedelta() <= now - refused < FELT:
            share = max(share, 1.0)
        rows.append((limit, cap, share))
    return rows


def share(board: Switchboard, queue: QueueName | None, now: datetime) -> float | None:
    """The greatest share that is used of any cap of this queue; None for the queue: of any other cap. None: there is none."""
    rules = board.centre.outbound.tolls
    if not rules.any():
        return None
    if queue is not None:
        scopes: Iterable[Who] = ((Scope.QUEUE, queue),)
    else:
        scopes = [who for who in watched(board) if who[0] is not Scope.QUEUE]
    return max((share for who in scopes for _, _, share in reached(board, who, now)), default=None)


def watched(board: Switchboard) -> list[Who]:
    """Everybody for whom there may be a cap: who has one by name, and who has dialled."""
    known = dict.fromkeys((*board.centre.outbound.tolls.caps, *board.tolls.book.scopes()))
    return [who for who in known if board.centre.outbound.tolls.of(who)]


def _beyond(board: Switchboard, now: datetime) -> None:
    """Calls that go on beyond a cap of what they cost, or of minutes: ended, where that is set."""
    desk, rules = board.tolls, board.centre.outbound.tolls
    desk.warned &= desk.book.legs.keys()
    if rules.beyond is not Beyond.END or not rules.any():
        return
    for who in watched(board):
        caps = rules.of(who)
        used = desk.book.used(who, now) if caps else None
        for limit, cap in caps.items():
            over = used is not None and limit is not Limit.DIALS and used.share(limit, cap) > 1.0
            for leg in desk.book.running(who) if over else ():
                if leg.leg not in desk.warned:
                    desk.warned.add(leg.leg)
                    _hang_up(board, leg, who, limit, now)


def _hang_up(board: Switchboard, leg: Leg, who: Who, limit: Limit, now: datetime) -> None:
    call = board.calls.get(leg.call_id)
    # A channel is known by its unique id, too.
    name = leg.leg_id or (call.channel if call is not None else "")
    log.warning(
        "call_ended_by_outbound_cap",
        call_id=leg.call_id,
        agent=leg.agent_id,
        scope=who[0].value,
        name=who[1],
        limit=limit.value,
        remedy="outbound.when_reached of centre.yaml says so; warn lets calls go on",
    )
    if name:
        if call is not None and leg.kind is not LegKind.PARTY:  # a third party goes, and the talk goes on
            board.left_first.setdefault(call.call_id, HangupBy.SYSTEM)
        board.out.commands.append(HangUp(channel=ChannelName(name)))
    if leg.agent_id is not None:
        centre_notices.tell(board, leg.agent_id, CentreNotice.CALL_ENDED_BY_CAP, now)
