"""Agents' parts in calls: what figures of agents are sums over. And what calls took of agents' time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cti.ids import AgentId, OfferId
from cti.model import facts as f
from cti.model.facts import AgentState, ConsultEnd
from cti.reports.call_record import CallRecord, Span, length_of, talk_spans, within, wrap_of
from cti.reports.counted import milliseconds
from cti.reports.visits import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One agent's part: all stretches of talk with the other side together, and the work after."""

    agent: AgentId
    queue: str | None
    """The queue out of which this agent got the call; the call's last one before, where it came another way."""
    answered_at: datetime
    ended_at: datetime
    talk_ms: int
    hold_ms: int
    wrap_ms: int
    transfers_out: int
    conferences: int
    consults: int

    def amounts(self) -> dict[str, int]:
        """What it adds to the figures of the agent."""
        return {
            "handled": 1,
            "talk_ms": self.talk_ms,
            "hold_ms": self.hold_ms,
            "wrap_ms": self.wrap_ms,
            "handle_ms": self.talk_ms + self.hold_ms + self.wrap_ms,
            "transfers_out": self.transfers_out,
            "conferences": self.conferences,
            "consults": self.consults,
        }


def talks_of(told: Sequence[f.CallFact], record: CallRecord, visits: Sequence[Visit]) -> tuple[Talk, ...]:
    """Everybody of ours who talked, in the order they came. `told` as `call_record.in_order` gives it."""
    answers = [fact for fact in told if isinstance(fact, f.CallAnswered)]
    wraps = _wraps(told)
    found = []
    for agent in dict.fromkeys(fact.agent_id for fact in answers):
        own = _of_agent(told, agent)
        began = next(fact.at for fact in answers if fact.agent_id == agent)
        talks, holds = talk_spans(own, record.ended_at)
        whole, held = milliseconds(length_of(talks)), milliseconds(length_of(within(holds, talks)))
        wrap = wrap_of(told, wraps, agent, record.ended_at)
        found.append(
            Talk(
                agent=agent,
                queue=_queue(visits, agent, began) or record.queue,
                answered_at=began,
                ended_at=max((until for _, until in talks), default=began),
                talk_ms=max(0, whole - held),
                hold_ms=min(held, whole),
                wrap_ms=0 if wrap is None else milliseconds(wrap[1] - wrap[0]),
                transfers_out=_count(own, f.CallTransferred),  # told of those after a consultation, too
                conferences=_joined(told, agent),
                consults=_count(own, f.ConsultStarted),
            )
        )
    return tuple(found)


def _of_agent(told: Sequence[f.CallFact], agent: AgentId) -> list[f.CallFact]:
    return [fact for fact in told if getattr(fact, "agent_id", None) == agent]


def _wraps(told: Sequence[f.CallFact]) -> list[f.WrapUpEnded]:
    return sorted((fact for fact in told if isinstance(fact, f.WrapUpEnded)), key=lambda fact: fact.inferred)


def _queue(visits: Sequence[Visit], agent: AgentId, at: datetime) -> str | None:
    own = [visit.queue for visit in visits if visit.agent == agent]
    before = [visit.queue for visit in visits if visit.entered_at <= at and visit.end != "turned_away"]
    return own[0] if own else before[-1] if before else None


def _count(own: Sequence[f.CallFact], kind: type[f.CallFact]) -> int:
    return sum(isinstance(fact, kind) for fact in own)


def _asked_by(told: Sequence[f.CallFact], end: f.ConsultEnded) -> AgentId | None:
    asked = [
        fact for fact in told if isinstance(fact, f.ConsultStarted) and fact.party == end.party and fact.at <= end.at
    ]
    return asked[-1].agent_id if asked else None


def _joined(told: Sequence[f.CallFact], agent: AgentId) -> int:
    return sum(
        isinstance(fact, f.ConsultEnded) and fact.end is ConsultEnd.JOINED and _asked_by(told, fact) == agent
        for fact in told
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a call took of an agent's time."""

    agent: AgentId
    state: AgentState
    began_at: datetime
    ended_at: datetime


def activities_of(told: Sequence[f.CallFact], record: CallRecord) -> tuple[Activity, ...]:
    """Offers, dialling, talk, hold, being asked by a colleague, and the work after: of everybody, in no special order.

    They overlap; which one counts is said by `agent_times`. What nothing ended, the call's end did.
    """
    return tuple(activity for activity in _activities(told, record) if activity.began_at < activity.ended_at)


def _activities(told: Sequence[f.CallFact], record: CallRecord) -> Iterator[Activity]:
    end = record.ended_at
    yield from _offers(told, end)
    yield from _dials(told, end)
    yield from _asked(told, end)
    wraps = _wraps(told)
    for agent in dict.fromkeys(fact.agent_id for fact in told if isinstance(fact, f.CallAnswered)):
        talks, holds = talk_spans(_of_agent(told, agent), end)
        yield from (_activity(agent, AgentState.TALKING, span) for span in talks)
        yield from (_activity(agent, AgentState.HELD, span) for span in within(holds, talks))
        if (span := wrap_of(told, wraps, agent, end)) is not None:
            yield _activity(agent, AgentState.WRAP_UP, span)


def _activity(agent: AgentId, state: AgentState, span: Span) -> Activity:
    return Activity(agent=agent, state=state, began_at=span[0], ended_at=span[1])


def _offers(told: Sequence[f.CallFact], end: datetime | None) -> Iterator[Activity]:
    made: dict[tuple[OfferId, AgentId], datetime] = {}
    rang: dict[tuple[OfferId, AgentId], datetime] = {}

    def over(key: tuple[OfferId, AgentId], at: datetime) -> Iterator[Activity]:
        began, rings = made.pop(key, None), rang.pop(key, None)
        if began is not None:
            yield _activity(key[1], AgentState.RESERVED, (began, rings or at))
            if rings is not None:
                yield _activity(key[1], AgentState.RINGING, (rings, at))

    for fact in told:
        match fact:
            case f.OfferMade():
                for agent in (fact.agent_id, *fact.others):
                    made[fact.offer_id, agent] = fact.at
            case f.OfferRang() if (fact.offer_id, fact.agent_id) in made:
                rang.setdefault((fact.offer_id, fact.agent_id), fact.at)
            case f.OfferDeclined():
                yield from over((fact.offer_id, fact.agent_id), fact.at)
            case f.OfferEnded():
                for key in [key for key in made if key[0] == fact.offer_id]:
                    yield from over(key, fact.at)
    if end is not None:
        for key in list(made):
            yield from over(key, end)


def _dials(told: Sequence[f.CallFact], end: datetime | None) -> Iterator[Activity]:
    for fact in told:
        if isinstance(fact, f.DialAsked):
            ends = [
                other.at
                for other in told
                if isinstance(other, f.CallAnswered | f.DialFailed) and other.agent_id == fact.agent_id
            ]
            until = ends[0] if ends else end
            if until is not None:
                yield _activity(fact.agent_id, AgentState.DIALLING, (fact.at, until))


def _asked(told: Sequence[f.CallFact], end: datetime | None) -> Iterator[Activity]:
    for fact in told:
        if not isinstance(fact, f.ConsultStarted) or fact.consulted is None:
            continue
        later = [other for other in told if getattr(other, "party", None) == fact.party and other.at >= fact.at]
        rang = next((other.at for other in later if isinstance(other, f.ConsultRang)), None)
        answered = next((other.at for other in later if isinstance(other, f.ConsultAnswered)), None)
        over = next((other.at for other in later if isinstance(other, f.ConsultEnded)), end)
        if over is None:
            continue
        yield _activity(fact.consulted, AgentState.RESERVED, (fact.at, min(rang or over, answered or over, over)))
        if rang is not None:
            yield _activity(fact.consulted, AgentState.RINGING, (rang, min(answered or over, over)))
        if answered is not None:
            yield _activity(fact.consulted, AgentState.TALKING, (answered, over))
