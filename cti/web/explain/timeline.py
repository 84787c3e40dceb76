"""Everything that happened to one call, as one ordered list of typed entries: stretches of time and moments. Pure.

A stretch (`until` set, or open) is something that lasted: a menu, a wait, ringing, a talk, a hold, the work after it. A moment
has none. `lane` says where it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from cti.ids import CallId, OfferId
from cti.model import facts as f
from cti.model import recording_facts as r
from cti.model import supervision_facts as sf
from cti.model.fact import Fact
from cti.web.explain.schemas import DecisionRow
from cti.web.explain.story import decision
from cti.web.operations import Answer

Lane = Literal["caller", "queue", "agent", "party", "supervisor", "recording", "system"]


class Entry(Answer):
    """One thing that happened. `kind` is stable; `docs/explain.md` lists them. `who` is an agent, a party or a user."""

    at: datetime
    until: datetime | None = None
    lasting: bool = False
    """A stretch of time; while `until` is null it goes on, or its end is not known."""
    lane: Lane
    kind: str
    who: str = ""
    text: str = ""
    details: Mapping[str, str] = Field(default_factory=dict)
    decision: DecisionRow | None = None


class CallTimeline(Answer):
    """A call from its first moment on. `complete` is false while the database cannot be asked."""

    call_id: str
    live: bool
    complete: bool
    began_at: datetime
    ended_at: datetime | None
    lanes: tuple[tuple[Lane, str], ...]
    """(lane, who) in the order to draw them: the caller, the queue, each agent, parties, supervisors, the recording."""
    entries: tuple[Entry, ...]


_ORDER: tuple[Lane, ...] = ("caller", "queue", "agent", "party", "supervisor", "recording")


class _Telling:
    """One pass over the facts: stretches are opened and closed as they come."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._entries: list[dict[str, Any]] = []
        self._open: dict[tuple[str, str], dict[str, Any]] = {}
        self._ends = {fact.offer_id: fact for fact in reversed(facts) if isinstance(fact, f.OfferEnded)}
        self._modes: dict[str, str] = {}
        self._by: dict[str, str] = {}
        self._rang: set[OfferId] = set()

    def moment(self, at: datetime, lane: Lane, kind: str, who: str = "", text: str = "", **details: object) -> None:
        told = {key: str(value) for key, value in details.items() if value not in (None, "", ())}
        self._entries.append({"at": at, "lane": lane, "kind": kind, "who": who, "text": text, "details": told})

    def begin(self, at: datetime, lane: Lane, kind: str, who: str = "", text: str = "", **details: object) -> None:
        self.end(at, kind, who)
        self.moment(at, lane, kind, who, text, **details)
        entry = self._entries[-1]
        entry["lasting"] = True
        self._open[kind, who] = entry

    def end(self, at: datetime, kind: str, who: str | None = None, **details: object) -> None:
        """Close what is open of this kind (`who` None: of everybody)."""
        for key in [key for key in self._open if key[0] == kind and who in (None, key[1])]:
            entry = self._open.pop(key)
            entry["until"] = at
            entry["details"] |= {name: str(value) for name, value in details.items() if value not in (None, "")}

    def entries(self) -> list[Entry]:
        return [Entry.model_validate(entry) for entry in self._entries]

    # -- one fact --------------------------------------------------------------------------------------------------

    def take(self, fact: Fact) -> None:
        if isinstance(fact, f.Decided):
            row = decision(fact, self._ends)
            self.moment(fact.at, "queue", "decision", ",".join(fact.agents), fact.why)
            self._entries[-1]["decision"] = row
        elif isinstance(fact, sf.WatchFact):
            self._watch(fact)
        elif isinstance(fact, r.RecordingFact):
            self._recording(fact)
        elif not (self._way(fact) or self._talk(fact)):
            self._rest(fact)

    def _way(self, fact: Fact) -> bool:
        """The caller's way: menus, queues, offers, elsewhere."""
        at = fact.at
        match fact:
            case f.CallStarted():
                self.moment(at, "caller", "arrived", text=fact.did, number=fact.caller_number, way=fact.direction.value)
            case f.FlowEntered():
                self.begin(at, "caller", "menu", text=fact.flow, version=fact.version)
            case f.FlowStepDone():
                self.moment(
                    at, "caller", "step", text=fact.step, verb=fact.verb, result=fact.result, choice=fact.choice,
                    flow=fact.flow, seconds=round(fact.seconds, 1),
                )  # fmt: skip
            case f.FlowFinished():
                self.end(at, "menu")
            case f.CallQueued():
                self.end(at, "menu")
                self.end(at, "wait")
                self.begin(at, "queue", "wait", text=fact.queue, by=fact.by, reason=fact.reason)
            case f.CallDequeued():
                self.end(at, "wait")
                if fact.reason != "flow":
                    self.moment(at, "queue", "left_queue", text=fact.reason, to=fact.to)
            case f.PriorityChanged():
                self.moment(
                    at, "queue", "priority", fact.by, fact.reason, head_start=fact.head_start, strict=fact.strict
                )
            case f.WaitPromised():
                self.moment(
                    at, "queue", "promised", text=fact.queue, place=fact.place, low=round(fact.low),
                    high=round(fact.high), told="yes" if fact.told else "",
                )  # fmt: skip
            case f.OfferMade():
                for agent_id in (fact.agent_id, *fact.others):
                    self.begin(at, "agent", "ring", agent_id, offer=fact.offer_id, device=fact.device.value)
            case f.OfferDeclined():
                self.end(at, "ring", fact.agent_id, end=fact.end.value)
            case f.OfferEnded():
                for agent_id in (fact.agent_id, *fact.others):
                    self.end(at, "ring", agent_id, end=fact.end.value if agent_id == fact.agent_id else "superseded")
            case f.CallSentOut():
                self.end(at, "wait")
                self.end(at, "menu")
                self.begin(at, "caller", "outside", text=fact.number)
            case f.TransferFailed():
                self.end(at, "outside", end=fact.status)
            case f.SurvivalEntered():
                self.end(at, "wait")
                self.begin(at, "caller", "survival", text=fact.queue or "")
            case f.CallbackAsked() | f.CallbackDialled() | f.CallbackReached() | f.CallbackFailed():
                name = {
                    "CallbackAsked": "callback_asked", "CallbackDialled": "callback_dialled",
                    "CallbackReached": "callback_reached", "CallbackFailed": "callback_failed",
                }[type(fact).__name__]  # fmt: skip
                self.moment(at, "caller", name, text=getattr(fact, "status", ""), attempt=getattr(fact, "attempt", ""))
            case f.CallEnded():
                for kind in (
                    "menu",
                    "wait",
                    "outside",
                    "survival",
                    "ring",
                    "held",
                    "talk",
                    "recording",
                    "paused",
                    "party",
                ):
                    self.end(at, kind)
                self.moment(at, "caller", "ended", text=fact.hangup_by.value, outcome=fact.outcome, cause=fact.cause)
            case _:
                return False
        return True

    def _talk(self, fact: Fact) -> bool:
        """Talks, holds, transfers, consultations, the work after."""
        at = fact.at
        match fact:
            case f.CallAnswered():
                for kind in ("wait", "survival"):
                    self.end(at, kind)
                self.end(at, "wrap_up", fact.agent_id)
                self.begin(at, "agent", "talk", fact.agent_id)
            case f.TalkEnded():
                self.end(at, "held", fact.agent_id)
                self.end(at, "talk", fact.agent_id)
                self.begin(at, "agent", "wrap_up", fact.agent_id)
            case f.CallHeld():
                self.begin(
                    at, "agent", "held", fact.agent_id, by="server" if fact.server else "phone", reason=fact.reason
                )
            case f.CallRetrieved():
                self.end(at, "held", fact.agent_id)
            case f.WrapUpEnded():
                self.end(at, "wrap_up", fact.agent_id, disposition=fact.disposition, by=fact.by)
                if fact.note or fact.disposition:
                    self.moment(at, "agent", "note", fact.agent_id, fact.note, disposition=fact.disposition)
            case f.WrapUpExtended():
                self.moment(at, "agent", "wrap_up_extended", fact.agent_id)
            case f.CallTransferred():
                self.moment(at, "agent", "transferred", fact.agent_id, fact.note, to=fact.to, to_kind=fact.kind.value)
            case f.CallCameBack():
                self.moment(at, "caller", "came_back", fact.to or "", fact.reason)
            case f.CallPickedUp():
                self.moment(at, "agent", "picked_up", fact.agent_id)
            case f.ConsultStarted():
                self.begin(at, "party", "consult", fact.party, by=fact.agent_id)
            case f.ConsultAnswered():
                self.moment(at, "party", "consult_answered", fact.party)
            case f.ConsultEnded():
                self.end(at, "consult", fact.party, end=fact.end.value)
            case f.PartyJoined():
                self.begin(at, "supervisor" if fact.party.startswith("@") else "party", "party", fact.party.lstrip("@"))
            case f.PartyLeft():
                self.end(at, "party", fact.party.lstrip("@"))
            case _:
                return False
        return True

    def _watch(self, fact: sf.WatchFact) -> None:
        mode = self._modes.get(fact.leg_id, "")
        match fact:
            case sf.WatchBegan():
                self._modes[fact.leg_id] = fact.mode.value
                self.moment(fact.at, "supervisor", "watch_asked", fact.by, fact.mode.value, agent=fact.watched)
            case sf.WatchAnswered():
                self.begin(fact.at, "supervisor", "watch", fact.by, mode)
            case sf.WatchChanged():
                self._modes[fact.leg_id] = fact.mode.value
                self.end(fact.at, "watch", fact.by)
                self.begin(fact.at, "supervisor", "watch", fact.by, fact.mode.value)
            case sf.WatchEnded():
                self.end(fact.at, "watch", fact.by, end=fact.end.value)

    def _recording(self, fact: r.RecordingFact) -> None:
        at = fact.at
        match fact:
            case r.RecordingPaused():
                self.begin(at, "recording", "paused", by=fact.by, why=fact.why)
            case r.RecordingResumed():
                self.end(at, "paused", resumed_by=fact.by)
            case r.RecordingHalted():
                self.end(at, "recording", halted_by=fact.by)
            case r.RecordingKept():
                self.moment(
                    at,
                    "recording",
                    "recording_kept",
                    text=fact.path,
                    seconds=round(fact.seconds, 1),
                    silence=fact.silence,
                )
            case r.RecordingFlagged():
                self.moment(at, "recording", "recording_flagged", text=fact.trouble, path=fact.path)
            case r.RecordingMoved():
                self.moment(at, "recording", "recording_moved", text=fact.place)
            case r.RecordingDeleted():
                self.moment(at, "recording", "recording_deleted", fact.by, fact.why)

    def _rest(self, fact: Fact) -> None:
        at = fact.at
        match fact:
            case f.LanguageChosen():
                self.moment(at, "caller", "language", text=fact.language)
            case f.CustomerMatched():
                self.moment(
                    at, "caller", "customer", fact.by, fact.match.value, customer=fact.customer_id, tier=fact.tier
                )
            case f.DataAttached():
                self.moment(at, "caller", "data", text=", ".join(f"{label}: {value}" for label, value in fact.data))
            case f.MessageRecorded():
                self.moment(at, "caller", "message", text=fact.kind, seconds=round(fact.seconds, 1))
            case f.VoicemailLeft():
                self.moment(at, "caller", "voicemail", text=fact.path, seconds=round(fact.seconds, 1))
            case f.SurveyAnswered():
                self.moment(at, "caller", "survey", text=fact.question, score=fact.score)
            case f.RecordingStarted():
                self.begin(at, "recording", "recording", text=fact.path)
            case sf.RoomOpened():
                self.moment(at, "system", "room_opened")
            case f.CallQuality():
                self.moment(
                    at, "agent", "quality", fact.agent_id, mos=fact.mos, rtt_ms=fact.rtt_ms, jitter_ms=fact.jitter_ms,
                    loss=fact.loss, final="yes" if fact.final else "",
                )  # fmt: skip
            case f.CallFact():
                kind = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(fact).__name__).lstrip("_")
                self.moment(at, "system", kind, str(getattr(fact, "agent_id", "") or ""))


def told(
    call_id: CallId, facts: Sequence[Fact], acts: Iterable[Mapping[str, Any]], *, live: bool, complete: bool
) -> CallTimeline:
    """The time line of a call from its facts in order (at least one), and the acts on it (rows of `report.acts`)."""
    telling = _Telling(facts)
    for fact in facts:
        telling.take(fact)
    for act in acts:
        changed = {f"before_{key}": value for key, value in act["before"].items()}
        changed |= dict(act["after"])
        telling.moment(act["at"], "supervisor", "act", act["by"], act["act"], reason=act["reason"], **changed)
    entries = sorted(telling.entries(), key=lambda entry: entry.at)
    seen = dict.fromkeys((entry.lane, _lane_of(entry)) for entry in entries if entry.lane != "system")
    lanes = sorted(seen, key=lambda lane: _ORDER.index(lane[0]))
    return CallTimeline(
        call_id=call_id,
        live=live,
        complete=complete,
        began_at=entries[0].at,
        ended_at=next((entry.at for entry in entries if entry.kind == "ended"), None),
        lanes=tuple(lanes),
        entries=tuple(entries),
    )


def _lane_of(entry: Entry) -> str:
    return entry.who if entry.lane in ("agent", "party", "supervisor") else ""
