"""Prompts on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from cti.web.operations import Answer, Params

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class PromptParams(Params):
    """Names a prompt in a language."""

    language: Language
    name: Name


class RecordingParams(PromptParams):
    """Names a recording of a prompt."""

    number: Annotated[int, Field(ge=1, le=9999)]


class SoundRow(Answer):
    """A prompt in one language, and what is heard of it. `said`: its text when it was recorded."""

    language: str
    text: str
    state: Literal["recorded", "synthetic", "outdated", "missing"]
    recorded: bool
    seconds: float | None
    by: str
    at: datetime | None
    how: Literal["upload", "phone", "file"] | None
    said: str
    recordings: int


class PromptRow(Answer):
    """A prompt in all its languages."""

    name: str
    sounds: list[SoundRow]


class PromptList(Answer):
    """Every prompt, in the order of the manifest. `dial`: the number that records by telephone, from a phone of the centre."""

    languages: list[str]
    prompts: list[PromptRow]
    dial: str


class RecordingRow(Answer):
    """A recording that is kept."""

    number: int
    at: datetime
    by: str
    how: Literal["upload", "phone", "file"]
    said: str
    seconds: float
    current: bool


class PromptDetail(Answer):
    """A prompt in one language, and every recording that was made of it, the newest first."""

    name: str
    sound: SoundRow
    recordings: list[RecordingRow]


class RecordingCode(Answer):
    """A code to key in at the telephone: for this prompt, once, until then."""

    code: str
    dial: str
    until: datetime
