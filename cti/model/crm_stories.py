"""What another customer system is told of calls: a fold over facts, one event out of some of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cti.ids import AgentId, CallId, CustomerId, QueueName
from cti.model import facts as f
from cti.model.outside_crm import CrmEventKind

VERSION = 1
"""Of the message. Fields may be added under the same number; none changes its meaning or goes."""
MOST_CALLS = 20_000
"""Calls whose story is held at once; the oldest goes first."""
TAKEN = frozenset({f.OfferEnd.ANSWERED, f.OfferEnd.SUPERSEDED})
"""Ends of an offer by which nobody missed a call."""


@dataclass(slots=True, kw_only=True)
class _Story:
    """What is known of one call so far."""

    number: str = ""
    did: str = ""
    direction: str = "inbound"
    queue: QueueName | None = None
    customer_id: CustomerId | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    agent_id: AgentId | None = None
    in_wrap_up: set[AgentId] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrmEvent:
    """One thing to tell. `agents` are whom it is about; `more` what belongs to this kind."""

    kind: CrmEventKind
    at: datetime
    call_id: CallId
    number: str
    did: str
    direction: str
    queue: QueueName | None
    agents: tuple[AgentId, ...]
    customer_id: CustomerId | None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lane(self) -> str:
        """Events of one call are told in their order."""
        return self.call_id


def message(event: CrmEvent, *, event_id: str, reference: str) -> dict[str, Any]:
    """The event as it is sent. `event_id` is the same each time the event is sent; `reference` is empty where unknown."""
    return {
        "version": VERSION,
        "event_id": event_id,
        "event": event.kind.value,
        "at": event.at.isoformat(),
        "call_id": event.call_id,
        "direction": event.direction,
        "number": event.number or None,
        "did": event.did,
        "queue": event.queue,
        "agent": event.agents[0] if event.agents else None,
        "agents": list(event.agents),
        "customer": None if event.customer_id is None else {"id": event.customer_id, "reference": reference or None},
        **event.more,
    }


class Stories:
    """The calls under way, as far as facts have told; `take` gives what is to be told of one more."""

    def __init__(self) -> None:
        self._calls: OrderedDict[CallId, _Story] = OrderedDict()

    def take(self, fact: f.Fact) -> CrmEvent | None:
        """The event this fact makes, None for most."""
        if not isinstance(fact, f.CallFact):
            return None
        story = self._calls.get(fact.call_id)
        if story is None:
            story = self._calls[fact.call_id] = _Story()
            while len(self._calls) > MOST_CALLS:
                self._calls.popitem(last=False)
        match fact:
            case f.CallStarted():
                story.number, story.did = fact.caller_number or "", fact.did
                story.direction, story.started_at = fact.direction.value, fact.at
            case f.CustomerMatched():
                story.customer_id = fact.customer_id
            case f.CallQueued():
                story.queue = fact.queue
            case f.OfferMade():
                story.queue = fact.queue
                return _event(CrmEventKind.OFFERED, fact, story, (fact.agent_id, *fact.others))
            case f.OfferDeclined():
                return _event(CrmEventKind.MISSED, fact, story, (fact.agent_id,), reason=fact.end.value)
            case f.OfferEnded() if fact.end not in TAKEN:
                return _event(CrmEventKind.MISSED, fact, story, (fact.agent_id, *fact.others), reason=fact.end.value)
            case f.CallAnswered():
                story.answered_at, story.agent_id = story.answered_at or fact.at, fact.agent_id
                story.in_wrap_up.add(fact.agent_id)
                return _event(CrmEventKind.ANSWERED, fact, story, (fact.agent_id,))
            case f.CallEnded():
                agents = () if story.agent_id is None else (story.agent_id,)
                event = _event(
                    CrmEventKind.ENDED, fact, story, agents,
                    answered=story.answered_at is not None, hung_up_by=fact.hangup_by.value,
                    seconds=_seconds(story.started_at, fact.at), talk_seconds=_seconds(story.answered_at, fact.at),
                )  # fmt: skip
                if not story.in_wrap_up:
                    del self._calls[fact.call_id]
                return event
            case f.WrapUpEnded():
                event = _event(
                    CrmEventKind.WRAPPED_UP, fact, story, (fact.agent_id,),
                    disposition=fact.disposition, note=fact.note, by=fact.by,
                )  # fmt: skip
                story.in_wrap_up.discard(fact.agent_id)
                if not story.in_wrap_up:
                    del self._calls[fact.call_id]
                return event
        return None


def _event(kind: CrmEventKind, fact: f.CallFact, story: _Story, agents: tuple[AgentId, ...], **more: Any) -> CrmEvent:
    return CrmEvent(
        kind=kind,
        at=fact.at,
        call_id=fact.call_id,
        number=story.number,
        did=story.did,
        direction=story.direction,
        queue=story.queue,
        agents=agents,
        customer_id=story.customer_id,
        more=more,
    )


def _seconds(since: datetime | None, until: datetime) -> float | None:
    return None if since is None else round((until - since).total_seconds(), 3)
