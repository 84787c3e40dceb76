"""What goes in and out of the operations of recordings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from cti.web.operations import Answer, Body, Moment, Params

RecordingId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
CallIdText = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class RecordingParams(Params):
    """Names a recording: a call's id for its talk."""

    recording_id: RecordingId


class RecordingsQuery(Params):
    """Which recordings."""

    call_id: CallIdText | None = None
    queue: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] | None = None
    agent_id: Annotated[str, Field(pattern=r"^[0-9]{2,6}$")] | None = None
    kind: Literal["talk", "message", "voicemail"] | None = None
    state: Literal["running", "kept", "flagged", "deleted"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: RecordingId | None = None
    """The last of the page before."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class RecordingAnswer(Answer):
    """One recording."""

    recording_id: str
    call_id: str
    kind: str
    begun_at: datetime
    state: str
    """running, checking (the call is over, the file is looked at), kept, flagged, deleted."""
    trouble: str
    seconds: float | None
    silence: float
    channels: int
    bytes: int | None
    sha256: str
    place: str
    sealed: bool
    queue: str | None
    agents: list[str]
    direction: str | None
    deleted_at: datetime | None
    deleted_why: str


class RecordingList(Answer):
    """A page of recordings, the latest first."""

    recordings: list[RecordingAnswer]
    next_before: str | None


class MarkAnswer(Answer):
    """A place to jump to, in seconds of the sound."""

    seconds: float
    kind: str
    text: str


class RecordingDetail(RecordingAnswer):
    """One recording with what happened while it was made."""

    marks: list[MarkAnswer]
    pauses: list[tuple[float, float]]
    """What was not recorded: from, to."""


class PeaksAnswer(Answer):
    """The loudest sample of each stretch, 0 to 255, a list a channel (the caller first)."""

    seconds: float
    channels: list[list[int]]


class RecordingNowAnswer(Answer):
    """A call's recording, now."""

    call_id: str
    live: bool
    """False: there is no such call on the line (any more), or the agent who asks is not in it; nothing is told of it."""
    recording: bool
    paused: bool
    paused_until: datetime | None
    on_demand: bool
    page_token: str
    """Empty without a live call. For a page of another system: pauses and resumes this call's recording at
    /api/v1/recording-events, for eight hours."""


class ActBody(Body):
    """What is to be done. `by` says who asks: a person, a program, or a page whose user is filling in payment data."""

    action: Literal["start", "stop", "pause", "resume"]
    by: Literal["person", "api", "page"] = "person"


class PageEventBody(Body):
    """What a page of another system tells: payment data are about to be spoken or keyed, or are over."""

    token: Annotated[str, Field(min_length=10, max_length=500)]
    action: Literal["pause", "resume"]


class PageEventAnswer(Answer):
    """How the recording stands now."""

    recording: bool
    paused: bool
    paused_until: datetime | None
