"""Words that callers must hear now, spoken by the centre's voices into sounds of their own. Blocking: run it in a thread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from cti.prompts.build import FORMAT, read_book, replace_file, sound_files
from cti.prompts.errors import PromptError
from cti.prompts.sound import level_speech, mu_law, pcm16, resample
from cti.prompts.voices import Voice
from cti.prompts.voices import open_voice as open_real_voice

PREFIX = "emergency_"
"""Begins the names of these sounds; no prompt of the library begins so."""


def speak(
    manifest: Path, out: Path, texts: Mapping[str, str], *, open_voice: Callable[[str], Voice] = open_real_voice
) -> str:
    """Make the sounds of these words (language -> words), and give the name under which they lie. The same words again are
    there already. Raises `PromptError`."""
    voices = read_book(manifest).voices
    said = "\0".join(f"{language}\0{voices.get(language, '')}\0{text}" for language, text in sorted(texts.items()))
    name = PREFIX + hashlib.sha256(f"{FORMAT}\0{said}".encode()).hexdigest()[:16]
    for language, text in texts.items():
        narrow, wide = sound_files(out, f"{language}/{name}")
        if narrow.is_file() and wide.is_file():
            continue
        if language not in voices:
            raise PromptError(f"there is no voice for {language}", remedy="name one under voices in prompts.yaml")
        voice = open_voice(voices[language])
        try:
            level = level_speech(voice.speak(text))
        finally:
            voice.close()
        replace_file(wide, pcm16(resample(level, 16000)))
        replace_file(narrow, mu_law(resample(level, 8000)))
    return name
