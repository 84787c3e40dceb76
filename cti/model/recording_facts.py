"""Recordings of calls: what was kept of them, when they paused, and what was wrong with one.

They are written beside the floor's own facts and change nothing of a call: a recording may be judged long after the call's
end. `RecordingStarted` is in `facts`, for the dialplan begins recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

from cti.ids import CallId
from cti.model.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFact(Fact):
    """About a recording of this call. No `CallFact`: it may come long after the call's end, and moves no call."""

    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPaused(RecordingFact):
    """From here on the recording is silence, in both directions, until `RecordingResumed` or the call's end."""

    by: str
    """The user's name, or "page" for a page of another system."""
    why: str = "person"
    """person, api, page."""
    written: float | None = None
    """Seconds of sound that the files had by then; they may be two behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResumed(RecordingFact):
    """The recording goes on."""

    by: str
    """The user's name; empty: by itself."""
    why: str = "person"
    """person, api, page; limit: the pause had lasted as long as it may."""
    written: float | None = None
    """As in `RecordingPaused`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHalted(RecordingFact):
    """Recording ended before the talk did; it may begin again (`RecordingStarted`), in the same file."""

    by: str
    """The user's name; empty: the rule of the queue or the agent the call went to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingKept(RecordingFact):
    """A recording was looked at after the call and is whole."""

    path: str
    """The file's name, relative to its folder."""
    kind: str = "talk"
    """talk, message (a step of a flow), voicemail."""
    bytes: int
    seconds: float
    sha256: str
    """Of the sound as it is played, before any sealing."""
    channels: int = 1
    silence: float = 0.0
    """Seconds of `seconds` that were paused."""
    gaps: tuple[tuple[float, float], ...] = ()
    """The pauses: from, to, in seconds of the sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFlagged(RecordingFact):
    """Something is wrong with a recording that should be there."""

    path: str
    kind: str = "talk"
    trouble: str
    """missing, empty, short, unreadable, disk_full, not_growing, not_started, changed."""
    expected: float | None = None
    """Seconds of sound there should be."""
    seconds: float | None = None
    """Seconds there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMoved(RecordingFact):
    """The file lies elsewhere now; it was compared there before the old one went."""

    path: str
    kind: str = "talk"
    place: str
    """local, s3."""
    key_id: str = ""
    """The key it is sealed with; empty: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeleted(RecordingFact):
    """The sound is gone for good."""

    path: str
    kind: str = "talk"
    why: str
    """retention, privacy."""
    by: str = ""


FACTS: tuple[type[Fact], ...] = (
    RecordingPaused, RecordingResumed, RecordingHalted, RecordingKept, RecordingFlagged, RecordingMoved, RecordingDeleted,
)  # fmt: skip
"""The floor's state takes no notice of them."""
