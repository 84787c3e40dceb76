"""What the web asks of prompts: `services.prompt_sounds.PromptSounds`, and codes for recording by telephone."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class RecordingCodes(Protocol):
    """Gives out codes for recording by telephone."""

    @property
    def dial(self) -> str:
        """The number to dial from a phone of the centre."""
        ...

    def give(self, language: str, name: str, *, by: str) -> tuple[str, datetime]:
        """A code for this prompt and until when it counts. Raises `cti.errors.CtiError` when too many are out."""
        ...
