"""How long a recording ought to be, from the facts of its call; and where in it things happened. Pure.

Sound is written while the customer is in a bridge with somebody and the recording is on: not while the call rings, waits or is
held by the server. Times on the wall become seconds of the sound by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cti.model import facts as f
from cti.model import recording_facts as r
from cti.model.fact import Fact
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
    pause_share: float = 1.0
    """How much of a pause is in the sound: where neither side sends anything, while keys are pressed for instance, Asterisk
    writes nothing."""
    _talkers: set[str] = field(default_factory=set)
    _held: bool = False
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
                self.on, self.paused_at = False, None
            case r.RecordingPaused():
                self.paused_at, self.paused_by = self.paused_at or fact.at, fact.by
            case r.RecordingResumed():
                self.paused_at = None
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
                self._talkers.clear()
                self.ended_at = fact.at
            case _:
                pass
        on = self.on and bool(self._talkers) and not self._held
        self._since = fact.at if on else None

    def _settle(self, moment: datetime) -> None:
        if self._since is None:
            return
        passed = self._passed(moment)
        self.seconds += passed
        if self.paused_at is not None:
            self.silence += passed

    def _passed(self, moment: datetime) -> float:
        if self._since is None:
            return 0.0
        share = self.pause_share if self.paused_at is not None else 1.0
        return max(0.0, (moment - self._since).total_seconds()) * share


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
    facts: Iterable[Fact], names: dict[str, str] | None = None, *, seconds: float | None = None
) -> tuple[tuple[RecordingMark, ...], tuple[tuple[float, float], ...]]:
    """Marks and pauses of a call's recording, in seconds of its sound. `names` are agents'. With `seconds`, how long the sound
    is, what it lacks is taken off the pauses."""
    facts = sorted(facts, key=lambda one: one.at)
    share = 1.0
    if seconds is not None:
        whole = TalkClock()
        for fact in facts:
            whole.take(fact)
        share = share_of_pauses(whole, seconds)
    clock, marks, pauses = TalkClock(pause_share=share), [], []
    open_pause: float | None = None
    for fact in facts:
        here = round(clock.at(fact.at), 1)
        clock.take(fact)
        if isinstance(fact, r.RecordingPaused) and open_pause is None:
            open_pause = here
        elif isinstance(fact, r.RecordingResumed | r.RecordingHalted | f.CallEnded) and open_pause is not None:
            pauses.append((open_pause, here))
            open_pause = None
        kind = _MARKS.get(type(fact))
        if kind is None or (clock.begun_at is None and not isinstance(fact, f.CallAnswered)):
            continue
        who = str(getattr(fact, "agent_id", "") or "")
        text = (names or {}).get(who, who) if kind == "answered" else ""
        marks.append(RecordingMark(seconds=here, kind=kind, text=text))
    return tuple(marks), tuple(pauses)


def share_of_pauses(whole: TalkClock, seconds: float) -> float:
    """How much of its pauses a sound of this length can hold."""
    lacking = max(0.0, whole.seconds - seconds)
    return max(0.0, (whole.silence - lacking) / whole.silence) if whole.silence else 1.0


def agents_of(facts: Sequence[Fact]) -> tuple[str, ...]:
    """Everybody who talked in the call."""
    return tuple(dict.fromkeys(str(fact.agent_id) for fact in facts if isinstance(fact, f.CallAnswered)))
