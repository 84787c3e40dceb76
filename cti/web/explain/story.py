"""A call's facts as its story: decisions with what came of them, and the moments between. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cti.ids import CallId, OfferId
from cti.model import facts as f
from cti.web.explain.schemas import CallDecisions, CandidateRow, DecisionRow, ExcludedRow, LackRow, MomentRow


def merged(stored: Sequence[f.CallFact], remembered: Sequence[f.CallFact]) -> list[f.CallFact]:
    """Both together in the order of time, each fact once."""
    return sorted(dict.fromkeys((*stored, *remembered)), key=lambda fact: fact.at)


def told(call_id: CallId, facts: Sequence[f.CallFact], *, live: bool, complete: bool) -> CallDecisions:
    """The story of one call from its facts, in order."""
    ends: dict[OfferId, f.OfferEnded] = {}
    for fact in facts:
        if isinstance(fact, f.OfferEnded):
            ends.setdefault(fact.offer_id, fact)
    return CallDecisions(
        call_id=call_id,
        live=live,
        complete=complete,
        decisions=[decision(fact, ends) for fact in facts if isinstance(fact, f.Decided)],
        moments=list(_moments(facts)),
    )


def decision(fact: f.Decided, ends: dict[OfferId, f.OfferEnded] | None = None) -> DecisionRow:
    """One decision."""
    end = (ends or {}).get(fact.offer_id) if fact.offer_id is not None else None
    return DecisionRow(
        at=fact.at,
        queue=fact.queue,
        offer_id=fact.offer_id,
        agents=list(fact.agents),
        why=fact.why,
        score=fact.score,
        strict=fact.strict,
        relaxed=fact.relaxed,
        raised=fact.raised,
        strategy=fact.strategy,
        candidates=[CandidateRow(agent_id=agent_id, score=score) for agent_id, score in fact.candidates],
        more_candidates=fact.more_candidates,
        excluded=[_excluded(agent_id, reason) for agent_id, reason in fact.excluded],
        more_agents=fact.more_agents,
        passed_over=list(fact.passed_over),
        end=end.end.value if end is not None else None,
        ended_at=end.at if end is not None else None,
    )


def _excluded(agent_id: str, reason: str) -> ExcludedRow:
    """`lacks_skill:zh 3,en 4` taken apart."""
    reason, _, lacking = reason.partition(":")
    lacks = []
    for pair in filter(None, lacking.split(",")):
        skill, _, level = pair.rpartition(" ")
        lacks.append(LackRow(skill=skill, level=int(level) if level.isdigit() else 1))
    return ExcludedRow(agent_id=agent_id, reason=reason, lacks=lacks)


def _moments(facts: Iterable[f.CallFact]) -> Iterable[MomentRow]:
    joined = False
    for fact in facts:
        at = fact.at
        match fact:
            case f.CallStarted():
                yield MomentRow(at=at, kind="arrived", text=fact.did)
            case f.CallQueued():
                yield MomentRow(at=at, kind="moved" if joined else "queued", queue=fact.queue, by=fact.by)
                joined = True
            case f.CallDequeued() if fact.reason != "flow":
                yield MomentRow(at=at, kind="left_queue", text=fact.reason)
            case f.PriorityChanged():
                yield MomentRow(at=at, kind="priority", by=fact.by, text=fact.reason)
            case f.WaitPromised():
                yield MomentRow(
                    at=at,
                    kind="promised",
                    queue=fact.queue,
                    place=fact.place,
                    low=fact.low,
                    high=fact.high,
                    told=fact.told,
                )
            case f.OfferRang():
                yield MomentRow(at=at, kind="rang", agent_id=fact.agent_id)
            case f.OfferDeclined():
                yield MomentRow(at=at, kind="offer_ended", agent_id=fact.agent_id, text=fact.end.value)
            case f.OfferEnded() if fact.end is not f.OfferEnd.ANSWERED:
                yield MomentRow(at=at, kind="offer_ended", agent_id=fact.agent_id, text=fact.end.value)
            case f.CallAnswered():
                yield MomentRow(at=at, kind="answered", agent_id=fact.agent_id)
            case f.CallSentOut():
                yield MomentRow(at=at, kind="sent_out")
            case f.CallbackAsked():
                yield MomentRow(at=at, kind="callback_asked")
            case f.SurvivalEntered():
                yield MomentRow(at=at, kind="survival")
            case f.VoicemailLeft():
                yield MomentRow(at=at, kind="voicemail")
            case f.MessageRecorded():
                yield MomentRow(at=at, kind="voicemail")
            case f.SurveyAnswered():
                yield MomentRow(at=at, kind="rated", text=f"{fact.question} {fact.score}")
            case f.TransferFailed():
                yield MomentRow(at=at, kind="came_back")
            case f.CallHeld():
                yield MomentRow(at=at, kind="held", agent_id=fact.agent_id)
            case f.CallRetrieved():
                yield MomentRow(at=at, kind="retrieved", agent_id=fact.agent_id)
            case f.CallTransferred():
                to = fact.to if fact.kind is not f.DestinationKind.NUMBER else ""
                yield MomentRow(at=at, kind="transferred", agent_id=fact.agent_id, by=fact.kind.value, text=to)
            case f.CallCameBack():
                yield MomentRow(at=at, kind="returned", agent_id=fact.to or "", text=fact.reason)
            case f.CallPickedUp():
                yield MomentRow(at=at, kind="picked_up", agent_id=fact.agent_id)
            case f.ConsultStarted():
                yield MomentRow(at=at, kind="asked", agent_id=fact.agent_id, text=fact.consulted or "")
            case f.ConsultEnded():
                yield MomentRow(at=at, kind="asked_end", text=fact.end.value)
            case f.PartyJoined():
                yield MomentRow(at=at, kind="party_joined")
            case f.TalkEnded():
                yield MomentRow(at=at, kind="talk_ended", agent_id=fact.agent_id)
            case f.CallEnded():
                yield MomentRow(at=at, kind="ended", by=fact.hangup_by.value)
