"""The sounds of prompts as people manage them: what each sounds like now, what was recorded before, and a new recording.

A seam: `cti.prompts.library` satisfies `PromptSounds`; the web and the recording by telephone ask it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from cti.errors import CtiError

How = Literal["upload", "phone", "file"]
"""How a recording came: by the pages or the API, by telephone, or put into the folder by hand."""


class UnknownPrompt(CtiError):
    """No prompt has this name and language, or it has no such recording."""

    error_id = "unknown_prompt"


class RecordingRefused(CtiError):
    """A recording that cannot be used; nothing changed. The message says why, the remedy what to do."""

    error_id = "recording_refused"


class SoundState(StrEnum):
    """What a caller hears where the prompt is played."""

    RECORDED = "recorded"
    SYNTHETIC = "synthetic"
    OUTDATED = "outdated"
    """There is a sound, but it says another text than the manifest has by now."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSound:
    """One prompt in one language."""

    name: str
    language: str
    text: str
    state: SoundState
    recorded: bool
    """Whether a recording is heard; otherwise the voice, or nothing."""
    seconds: float | None
    """Length of the sound; None: there is none."""
    by: str = ""
    """Who recorded it; empty for the voice."""
    at: datetime | None = None
    how: How | None = None
    said: str = ""
    """The text at the time of the recording; empty where nobody noted it."""
    versions: int = 0
    """Recordings that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording that is kept. Numbers count from 1 and are never used again."""

    number: int
    at: datetime
    by: str
    how: How
    said: str
    """The prompt's text at that time."""
    seconds: float
    current: bool


class PromptSounds(Protocol):
    """Every prompt with its sounds. Whatever changes is heard with the next play. Nothing here blocks the loop."""

    async def all(self) -> Sequence[PromptSound]:
        """Every prompt in every language it has a text in. Raises `CtiError` when the manifest cannot be read."""
        ...

    async def find(self, language: str, name: str) -> PromptSound:
        """One of them. Raises `UnknownPrompt`."""
        ...

    async def recordings(self, language: str, name: str) -> Sequence[Recording]:
        """What was recorded for it, the newest first. Raises `UnknownPrompt`."""
        ...

    async def listen(self, language: str, name: str, number: int | None = None) -> bytes:
        """The sound heard now, or a recording that is kept, as a WAV file. Raises `UnknownPrompt`."""
        ...

    async def keep(self, language: str, name: str, content: bytes, *, by: str, how: How) -> Recording:
        """Take a WAV file for the prompt's sound from now on. Raises `UnknownPrompt`, `RecordingRefused`."""
        ...

    async def use(self, language: str, name: str, number: int, *, by: str) -> Recording:
        """Take an earlier recording again. Raises `UnknownPrompt`, `RecordingRefused`."""
        ...

    async def give_up(self, language: str, name: str, *, by: str) -> PromptSound:
        """Back to the voice; the recordings are kept. Raises `UnknownPrompt`, and `CtiError` where the voice cannot speak."""
        ...

    def path(self, language: str, name: str) -> str:
        """Where Asterisk finds the sound: a path without extension."""
        ...
