"""What calls to outside numbers cost, as facts: each leg over the trunk from before it is dialled to its end.

No fact here names a number: the beginning by which it is priced is enough, and there is nothing to make anonymous later.
Money is whole millionths of the centre's currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cti.ids import AgentId, CallId, QueueName
from cti.model.fact import Fact


class LegKind(StrEnum):
    """What a leg over the trunk is in its call."""

    DIAL = "dial"
    """The number that an agent has dialled."""
    OWN = "own"
    """An agent at an outside number."""
    OUT = "out"
    """The number that a caller was sent to."""
    CUSTOMER = "customer"
    """The customer of a callback."""
    PARTY = "party"
    """A number that an agent asks about the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TollFact(Fact):
    """A fact about one leg. `leg` counts the centre's legs, and is never used again."""

    leg: int
    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class TollBegan(TollFact):
    """A number is about to be dialled over the trunk: durable before the command is given."""

    kind: LegKind
    agent_id: AgentId | None = None
    """Who dials, or who is dialled at an outside number; None: neither."""
    queue: QueueName | None = None
    """Whose call it is made for."""
    by: str = ""
    """The supervisor who sent the caller there."""
    prefix: str = ""
    """The beginning of the number that the price list has; empty: none of it fits."""
    per_minute: int = 0
    connection: int = 0
    first: int = 60
    """Seconds that are charged at least."""
    then: int = 60
    """Seconds that are charged at a time after that."""
    leg_id: str = ""
    """The unique id of its channel, where that is known before; empty: not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TollAnswered(TollFact):
    """Somebody, or something, has answered: from now on it costs. `inferred`: nobody saw when, and it counts as from when
    it was dialled."""

    leg_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TollEnded(TollFact):
    """The leg is over. Not answered, it has cost nothing."""

    dialled: bool = True
    """False: it was let go before anything was dialled, and does not count."""


KeptLeg = tuple[int, str, str, str, str, str, str, tuple[int, int, int, int], int, int, int, str]
"""leg, call, kind, agent, queue, by, prefix, (per_minute, connection, first, then), began, answered, ended, leg_id.

Moments are milliseconds since 1970, -1 where there was none. Of a leg that is over, what nothing asks for any more (call, prefix,
leg_id) is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TollsKept(Fact):
    """Everything that still counts, or a part of it: a restart reads on from the first part.

    The first part has all legs that are under way; the others have only legs that were over by then, of which nothing changes
    any more. So other facts may come between the parts.
    """

    next_leg: int
    latest: int
    """The newest moment of any of these facts, in milliseconds."""
    legs: tuple[KeptLeg, ...]
    part: int = 1
    of: int = 1
    """How many parts there are."""


FACTS = (TollBegan, TollAnswered, TollEnded, TollsKept)
