"""Third parties of the live calls: their legs, who they are, and which calls are to be looked at for them. Filled by facts and
by what the telephones say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cti.ids import CallId, ChannelName
from cti.model import facts as f
from cti.model.call import Call
from cti.model.talk import Consult, party_leg


@dataclass(slots=True)
class Parties:
    """See the module."""

    legs: dict[ChannelName, tuple[CallId, str]] = field(default_factory=dict)
    """Third parties' channels: their call, and the channel's unique id."""
    names: dict[str, str] = field(default_factory=dict)
    """Unique id of a third party's leg -> the party's name."""
    leaving: set[str] = field(default_factory=set)
    """Unique ids of legs that were asked for nothing: whose channel is there still is about to go."""
    let_go: dict[str, datetime] = field(default_factory=dict)
    """Unique ids of legs that are asked to go, and when; until they have gone."""
    consulting: dict[CallId, None] = field(default_factory=dict)
    """Calls in which somebody may be asked."""
    failed: dict[CallId, tuple[Consult, f.ConsultEnd]] = field(default_factory=dict)
    """The last consultation of a call, where it came to nothing: for the page."""
    addressed: dict[CallId, None] = field(default_factory=dict)
    """Calls that may be kept for one agent."""

    def staying(self, call_id: CallId) -> list[str]:
        """Unique ids of a call's third parties' legs, but for those that are about to go."""
        return [leg_id for owner, leg_id in self.legs.values() if owner == call_id and leg_id not in self.leaving]

    def fact(self, fact: f.CallFact, call: Call) -> None:
        """A fact about a call was taken in; `call` is the call after it."""
        if call.addressed:
            self.addressed[call.call_id] = None
        if call.consult is not None:
            self.consulting[call.call_id] = None
        if isinstance(fact, f.ConsultStarted):
            self.names[fact.leg_id] = fact.party
            self.failed.pop(call.call_id, None)
        if not call.live:
            self.failed.pop(call.call_id, None)
            for n in range(1, call.consults + 1):
                self.names.pop(party_leg(call.call_id, n), None)
                self.leaving.discard(party_leg(call.call_id, n))
                self.let_go.pop(party_leg(call.call_id, n), None)
