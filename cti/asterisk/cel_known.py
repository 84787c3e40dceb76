"""What the journal already says about the calls of the ledger: enough to see which of the ledger's facts are news. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model.call import CALL_TRANSITIONS, CallState
from cti.model.facts import Fact

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTalk:
    """A talk the journal has."""

    agent_id: AgentId
    answered_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCall:
    """What the journal says about one call: enough to see which of the ledger's facts are news."""

    call_id: CallId
    closed: bool = False
    state: CallState = CallState.MENU
    channel: str = ""
    callback: bool = False
    leg_id: str = ""
    """Of a callback: the unique id of the customer's channel, from the command to dial it on."""
    talks: tuple[KnownTalk, ...] = ()
    survivals: tuple[datetime, ...] = ()
    voicemails: tuple[str, ...] = ()
    last_at: datetime = EPOCH

    @property
    def callers_leg(self) -> str:
        """The unique id of the caller's channel; empty for a callback that is not being dialled."""
        return self.leg_id if self.callback else self.call_id

    @property
    def talking(self) -> KnownTalk | None:
        """The talk that has not ended."""
        return self.talks[-1] if self.talks and self.talks[-1].ended_at is None else None

    def after(self, fact: f.CallFact) -> KnownCall:
        """This call when `fact` is in the journal too. A move the table does not have leaves the state as it was."""
        known = replace(
            self,
            state=CALL_TRANSITIONS.get((self.state, type(fact)), self.state),
            last_at=max(self.last_at, fact.at),
        )
        match fact:
            case f.CallStarted():
                return replace(known, channel=fact.channel, callback=fact.parent is not None)
            case f.CallbackDialled():
                return replace(known, leg_id=fact.channel, channel="")
            case f.CallbackReached():
                return replace(known, channel=fact.channel)
            case f.CallbackFailed():
                return replace(known, leg_id="", channel="")
            case f.CallAnswered():
                talk = KnownTalk(agent_id=fact.agent_id, answered_at=fact.at)
                return replace(known, talks=(*known.talks, talk))
            case f.TalkEnded():
                if known.talking is None:
                    return known
                ended = replace(known.talking, ended_at=fact.at)
                return replace(known, talks=(*known.talks[:-1], ended))
            case f.SurvivalEntered():
                return replace(known, survivals=(*known.survivals, fact.at))
            case f.VoicemailLeft():
                return replace(known, voicemails=(*known.voicemails, fact.path))
            case f.CallEnded():
                return replace(known, closed=True)
            case _:
                return known


def known_calls(facts: Iterable[Fact], closed: Iterable[CallId] = ()) -> dict[CallId, KnownCall]:
    """What `facts` (the journal, or the histories of the live calls) say; `closed` are calls known to be over besides."""
    known = {call_id: KnownCall(call_id=call_id, closed=True) for call_id in closed}
    for fact in facts:
        if isinstance(fact, f.CallFact):
            known[fact.call_id] = known.get(fact.call_id, KnownCall(call_id=fact.call_id)).after(fact)
    return known
