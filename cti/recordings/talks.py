"""How long a recording ought to be, from the facts of its call; and where in it things happened. Pure.

Sound is written while the customer is in a bridge with somebody and the recording is on: not while the call rings, waits or is
held by the server. Times on the wall become seconds of the talk by that; and seconds of the sound by the pauses that were found in
it (`gaps`), for what neither side sends is not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from cti.model import facts as f
from cti.model import recording_facts as r
from cti.model.fact import Fact
from cti.recordings.gaps import Pause, placed
from cti.services.recordings import RecordingMark


@dataclass(slots=True)
class TalkClock:
    """One call's recording while it is made. Feed it the call's facts in order."""

    begun_at: datetime | None = None
    """When the first recording began."""
    on: bool = False
    paused_at: datetime | None = None
    paused_by: str = ""
    seconds: float = 0.0
    """Of sound that there is, up to `_since`."""
    silence: float = 0.0
    ended_at: datetime | None = None
    agents: list[str] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    """Those that are over."""
    _talkers: set[str] = field(default_factory=set)
    _held: bool = False
    _pause: tuple[float, float | None] = (0.0, None)
    """Of the pause that goes on: seconds of the talk at its begin, and of the file."""
    _since: datetime | None = None
    """Since when sound has been written; None: it is not."""

    @property
    def running(self) -> bool:
        """Whether sound is being written."""
        return self._since is not None

    @property
    def talked(self) -> bool:
        """Whether anybody has talked while it was on."""
        return self.seconds > 0 or self.running

    def at(self, moment: datetime) -> float:
        """Seconds of sound there are at a moment on the wall that is not past yet."""
        return self.seconds + self._passed(moment)

    def take(self, fact: Fact) -> None:
        """Go on by one fact."""
        self._settle(fact.at)
        match fact:
            case f.RecordingStarted():
                self.on = True
                self.begun_at = self.begun_at or fact.at
            case r.RecordingHalted():
                self._end_pause(None)
                self.on = False
            case r.RecordingPaused():
                if self.paused_at is None:
                    self._pause = (self.seconds, fact.written)
                self.paused_at, self.paused_by = self.paused_at or fact.at, fact.by
            case r.RecordingResumed():
                self._end_pause(fact.written)
            case f.CallAnswered():
                self._talkers.add(fact.agent_id)
                self._held = False
                if fact.agent_id not in self.agents:
                    self.agents.append(fact.agent_id)
            case f.TalkEnded():
                self._talkers.discard(fact.agent_id)
            case f.CallHeld(server=True):
                self._held = True
            case f.CallRetrieved():
                self._held = False
            case f.CallEnded():
                self._end_pause(None)
                self._talkers.clear()
                self.ended_at = fact.at
            case _:
                pass
        on = self.on and bool(self._talkers) and not self._held
        self._since = fact.at if on else None

    def _end_pause(self, written: float | None) -> None:
        if self.paused_at is None:
            return
        begin, before = self._pause
        self.pauses.append(Pause(at=begin, seconds=self.seconds - begin, before=before, after=written))
        self.paused_at = None

    def _settle(self, moment: datetime) -> None:
        if self._since is None:
            return
        passed = self._passed(moment)
        self.seconds += passed
        if self.paused_at is not None:
            self.silence += passed

    def _passed(self, moment: datetime) -> float:
        return 0.0 if self._since is None else max(0.0, (moment - self._since).total_seconds())


_MARKS: dict[type[Fact], str] = {
    f.CallAnswered: "answered",
    f.CallHeld: "held",
    f.CallRetrieved: "retrieved",
    f.CallTransferred: "transferred",
    f.PartyJoined: "joined",
    f.PartyLeft: "left",
    r.RecordingPaused: "paused",
    r.RecordingResumed: "resumed",
    r.RecordingHalted: "ended",
}


def story_of(
    facts: Iterable[Fact], names: dict[str, str] | None = None
) -> tuple[tuple[RecordingMark, ...], tuple[tuple[float, float], ...]]:
    """Marks and pauses of a call's recording, in seconds of its sound. `names` are agents'. Before the recording was looked at, and
    of one that is not whole, in seconds of the talk."""
    facts = sorted(facts, key=lambda one: one.at)
    clock, marks = TalkClock(), []
    for fact in facts:
        here = clock.at(fact.at)
        clock.take(fact)
        kind = _MARKS.get(type(fact))
        if kind is None or (clock.begun_at is None and not isinstance(fact, f.CallAnswered)):
            continue
        who = str(getattr(fact, "agent_id", "") or "")
        text = (names or {}).get(who, who) if kind == "answered" else ""
        marks.append(RecordingMark(seconds=here, kind=kind, text=text))
    pauses = [(one.at, one.at + one.seconds) for one in clock.pauses]
    kept = next((fact for fact in facts if isinstance(fact, r.RecordingKept) and fact.kind == "talk"), None)
    anchors = [(0.0, 0.0)]
    if kept is not None and len(kept.gaps) == len(pauses):
        for talk, sound in zip(pauses, kept.gaps, strict=True):
            anchors += [(talk[0], sound[0]), (talk[1], sound[1])]
    if kept is not None and clock.ended_at is not None:
        anchors.append((max(clock.seconds, anchors[-1][0]), max(kept.seconds, anchors[-1][1])))
    return (
        tuple(replace(mark, seconds=round(placed(mark.seconds, anchors), 1)) for mark in marks),
        tuple((round(placed(begin, anchors), 1), round(placed(end, anchors), 1)) for begin, end in pauses),
    )


def agents_of(facts: Sequence[Fact]) -> tuple[str, ...]:
    """Everybody who talked in the call."""
    return tuple(dict.fromkeys(str(fact.agent_id) for fact in facts if isinstance(fact, f.CallAnswered)))
