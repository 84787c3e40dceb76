"""One leg over the trunk: whose it is, what has fallen due for it, and how it is written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cti.ids import AgentId, CallId, QueueName
from cti.model.toll_facts import KeptLeg, LegKind
from cti.model.toll_rules import CENTRE, Price, Scope, Who

HOUR, DAY = 3_600_000, 86_400_000
"""Milliseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // _MS


def moment_of(milliseconds: int) -> datetime:
    """The other way round."""
    return _EPOCH + milliseconds * _MS


# ---- legs


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg over the trunk. Moments are milliseconds since 1970."""

    leg: int
    call_id: CallId
    kind: LegKind
    agent_id: AgentId | None
    queue: QueueName | None
    by: str
    prefix: str
    price: Price
    began: int
    answered: int | None = None
    ended: int | None = None
    leg_id: str = ""

    def scopes(self) -> Iterator[Who]:
        """For whom it counts."""
        yield CENTRE
        if self.queue is not None:
            yield Scope.QUEUE, self.queue
        if self.agent_id is not None:
            yield Scope.AGENT, self.agent_id
        if self.by:
            yield Scope.SUPERVISOR, self.by

    def cost(self, until: int) -> int:
        """What has fallen due up to and including this moment."""
        if self.answered is None or until < self.answered:
            return 0
        last = until + 1 if self.ended is None else min(until + 1, self.ended)
        return self.price.of(last - self.answered)

    def talk(self, until: int) -> int:
        """Milliseconds for which it was connected up to this moment."""
        if self.answered is None:
            return 0
        return max(0, (until if self.ended is None else min(until, self.ended)) - self.answered)

    @property
    def put_by(self) -> int:
        """What is to be kept for it, because it may be answered any moment."""
        return self.price.least if self.answered is None and self.ended is None else 0


def kept_leg(leg: Leg) -> KeptLeg:
    """As it is written down."""
    price = (leg.price.per_minute, leg.price.connection, leg.price.first, leg.price.then)
    answered, ended = (-1 if moment is None else moment for moment in (leg.answered, leg.ended))
    agent, queue = leg.agent_id or "", leg.queue or ""
    call, prefix, own = ("", "", "") if leg.ended is not None else (leg.call_id, leg.prefix, leg.leg_id)
    return (leg.leg, call, leg.kind.value, agent, queue, leg.by, prefix, price, leg.began, answered, ended, own)


def leg_of(kept: KeptLeg) -> Leg:
    """The other way round."""
    leg, call, kind, agent, queue, by, prefix, (per_minute, connection, first, then), began, answered, ended, own = kept
    return Leg(
        leg=leg,
        call_id=CallId(call),
        kind=LegKind(kind),
        agent_id=AgentId(agent) if agent else None,
        queue=QueueName(queue) if queue else None,
        by=by,
        prefix=prefix,
        price=Price(per_minute=per_minute, connection=connection, first=first, then=then),
        began=began,
        answered=None if answered < 0 else answered,
        ended=None if ended < 0 else ended,
        leg_id=own,
    )
