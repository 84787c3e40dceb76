"""Recordings as the rest of the house sees them: what is known of one, who may hear it, where its sound lies, and what is done
with one that is being made. Adapters satisfy these ports; nobody else reads a file of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from cti.errors import CtiError
from cti.ids import AgentId, CallId, QueueName

Kind = Literal["talk", "message", "voicemail"]
Act = Literal["start", "stop", "pause", "resume"]
Why = Literal["person", "api", "page"]


class NoRecording(CtiError):
    """There is no sound (any more): never recorded, lost, deleted, or not readable by anybody here."""

    error_id = "no_recording"


class RecordingAway(CtiError):
    """The place where it lies does not answer; safe to try again."""

    error_id = "recording_away"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """One recording, as `report.recordings` has it."""

    recording_id: str
    call_id: CallId
    kind: str
    begun_at: datetime
    state: str
    """running (or not looked at yet), kept, flagged, deleted."""
    trouble: str = ""
    seconds: float | None = None
    silence: float = 0.0
    channels: int = 1
    bytes: int | None = None
    sha256: str = ""
    place: str = "local"
    sealed: bool = False
    queue: str | None = None
    agent: str | None = None
    """The last who talked; all of them are in `agents`."""
    agents: tuple[str, ...] = ()
    direction: str | None = None
    deleted_at: datetime | None = None
    deleted_why: str = ""
    path: str = field(default="", repr=False)
    """The file's name; never told to anybody outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMark:
    """A moment of the call, `seconds` from the beginning of the sound."""

    seconds: float
    kind: str
    """answered, held, retrieved, transferred, joined, left, paused, resumed, ended."""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStory:
    """A recording with what happened while it was made."""

    row: RecordingRow
    marks: tuple[RecordingMark, ...] = ()
    pauses: tuple[tuple[float, float], ...] = ()
    """What was not recorded: from, to, in seconds of the sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The loudest sample of each stretch of the sound, 0 to 255, a list a channel."""

    seconds: float
    channels: tuple[tuple[int, ...], ...]


class Sound(Protocol):
    """A WAV file that can be read from anywhere."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        ...

    async def read(self, start: int, stop: int) -> bytes:
        """Those bytes, `stop` not among them. Raises `RecordingAway` or `NoRecording`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which recordings are asked for."""

    call_id: CallId | None = None
    queue: str | None = None
    queues: tuple[str, ...] = ()
    """Only of these; none: of all."""
    agent_id: str | None = None
    """Whom the agent talked in."""
    kind: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None
    """A recording's id: those that began before it."""
    limit: int = 50


class Recordings(Protocol):
    """Recordings that were made. All raise `RemoteError` when the database is away."""

    async def find(self, wanted: Wanted) -> Sequence[RecordingRow]:
        """Those that fit, the latest first."""
        ...

    async def one(self, recording_id: str) -> RecordingStory | None:
        """One with its marks; None when nobody knows it."""
        ...

    async def sound(self, row: RecordingRow) -> Sound:
        """Its sound. Raises `NoRecording` or `RecordingAway`."""
        ...

    async def peaks(self, row: RecordingRow) -> Peaks:
        """Its waveform, worked out once and kept with it. Raises as `sound`."""
        ...


class SoundStore(Protocol):
    """A place for files of recordings: a folder, or a bucket. Names have no "..", at most one "/"."""

    @property
    def place(self) -> str:
        """local, s3."""
        ...

    async def put(self, name: str, file: Path) -> None:
        """Keep a copy of the file under this name, whole or not at all. Raises `RecordingAway`."""
        ...

    async def size(self, name: str) -> int | None:
        """Bytes; None when there is no such file. Raises `RecordingAway`."""
        ...

    async def read(self, name: str, start: int, stop: int) -> bytes:
        """A stretch of it. Raises `NoRecording` or `RecordingAway`."""
        ...

    async def delete(self, name: str) -> bool:
        """Whether it was there. Raises `RecordingAway`."""
        ...


class RecordingEraser(Protocol):
    """Deletes what was said in calls, wherever it lies."""

    async def erase_calls(
        self, call_ids: Sequence[str], *, why: Literal["privacy", "retention"], by: str
    ) -> tuple[str, ...]:
        """Delete every recording of these calls, and write that down. Gives the ids of what is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingNow:
    """What is being done with a live call's recording."""

    call_id: CallId
    recording: bool
    paused: bool = False
    paused_until: datetime | None = None
    """When it goes on by itself; None: not by itself."""
    on_demand: bool = False
    """Whether it may be begun by hand."""
    agents: tuple[AgentId, ...] = ()
    """Who talks in the call."""
    queue: QueueName | None = None


class LiveFiles(Protocol):
    """The files Asterisk writes a live call's sound to."""

    @property
    def files(self) -> tuple[Path, Path]:
        """What the caller says, what the caller hears."""
        ...

    def seconds(self) -> float:
        """How much there is of both; it may be two seconds behind."""
        ...


class RecordingControl(Protocol):
    """Live calls' recordings. Both raise `Refused` (unknown_call, not_recording, caller_refused, not_on_demand) and
    `RemoteError` (Asterisk did not do it, so nothing is claimed)."""

    def now(self, call_id: CallId) -> RecordingNow:
        """How it stands."""
        ...

    async def act(self, call_id: CallId, act: Act, *, by: str, why: Why = "person") -> RecordingNow:
        """Begin, end, pause, go on. What is so already changes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRooms:
    """What the web is given."""

    recordings: Recordings
    control: RecordingControl
    own: bool = False
    """Whether agents may hear their own calls."""
    heard: dict[tuple[str, str], float] = field(default_factory=dict)
    """(user, recording) -> when a listening was written down last, on a clock that only rises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who wants to hear something."""

    role: str
    agent_id: str | None = None
    queues: tuple[str, ...] = ()
    """A supervisor's queues; none: all."""


def may(listener: Listener, row: RecordingRow, *, own: bool) -> bool:
    """Whether somebody may hear a recording. `own`: the centre lets agents hear their own calls."""
    if listener.role == "agent":
        return own and listener.agent_id is not None and listener.agent_id in (*row.agents, row.agent)
    if listener.role == "supervisor" and listener.queues:
        return row.queue in listener.queues
    return True
