"""Recordings that are kept: every one somebody made of a prompt, numbered, and which of them is heard.

`<out>/versions/<language>/<name>/0001.wav` and so on, 16 bit and one channel, with `index.json` beside them. The one that is
heard is copied to `<out>/recorded/<language>/<name>.wav`, where the build finds it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from cti.prompts.build import Job, recorded_file, replace_file, sound_files
from cti.prompts.errors import PromptError
from cti.prompts.sound import Audio, level_speech, resample, speech_frames
from cti.prompts.wave_file import read_wave, write_wave
from cti.services.prompt_sounds import How, Recording, RecordingRefused

SHORTEST, LONGEST = 0.3, 120.0
"""Seconds of a recording."""
MOST_BYTES = 24 * 1024 * 1024
"""Two minutes at 48 kHz, 16 bit, two channels."""
FASTEST = 48000
"""Samples a second that are kept; more is nothing a telephone can carry."""
CUT_OFF = 0.01
"""Share of samples that are flat at the top, above which a recording is too loud."""
QUIETEST = 0.003
"""Loudness of speech (1 is full scale) below which raising it would raise the noise."""


def judge(content: bytes) -> Audio:
    """The sound of an uploaded file, fit to be a prompt. Raises `RecordingRefused` with what is wrong with it."""
    import numpy as np

    if len(content) > MOST_BYTES:
        raise RecordingRefused(f"the file is larger than {MOST_BYTES // 1024 // 1024} MB", remedy="save it as mono")
    try:
        audio = read_wave(content)
    except PromptError as error:
        raise RecordingRefused(error.message, remedy=error.remedy) from None
    seconds = len(audio.samples) / audio.rate
    if not SHORTEST <= seconds <= LONGEST:
        remedy = f"record {SHORTEST:g} to {LONGEST:g} seconds"
        raise RecordingRefused(
            f"the recording is too {'short' if seconds < SHORTEST else 'long'}: {seconds:.1f} s", remedy=remedy
        )
    size = np.abs(audio.samples)
    # What was cut off lies flat: two neighbours at the top that are the same.
    flat = float(np.mean((size[1:] > 0.95) & (size[:-1] > 0.95) & (np.abs(np.diff(audio.samples)) < 1e-4)))
    if flat > CUT_OFF:
        raise RecordingRefused(
            "the recording is too loud: its peaks are cut off", remedy="record it again with less gain"
        )
    levels, active = speech_frames(audio)
    loudness = float(np.sqrt((levels[active] ** 2).mean())) if active.any() else 0.0
    if loudness < QUIETEST:
        raise RecordingRefused("there is nothing to be heard in it", remedy="check the microphone and record it again")
    try:
        level_speech(audio)
    except PromptError as error:
        raise RecordingRefused(error.message, remedy=error.remedy) from None
    return resample(audio, FASTEST) if audio.rate > FASTEST else audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The index of one prompt in one language. `current` None: the voice is heard, or a file put there by hand."""

    current: int | None = None
    recordings: tuple[Recording, ...] = ()

    def get(self, number: int) -> Recording | None:
        """The recording of that number."""
        return next((one for one in self.recordings if one.number == number), None)


class RecordingShelf:
    """The recordings of one folder of sounds. Blocking; one caller at a time."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def read(self, language: str, name: str) -> Kept:
        """What is kept of a prompt. An index that cannot be read is as none."""
        try:
            found: Any = json.loads((self._folder(language, name) / "index.json").read_text(encoding="utf-8"))
            current = found["current"]
            rows = tuple(_row(row, current) for row in found["recordings"])
        except (OSError, ValueError, KeyError, TypeError):
            return Kept()
        return Kept(current=current, recordings=rows)

    def file(self, language: str, name: str, number: int) -> Path:
        """Where a recording lies."""
        return self._folder(language, name) / f"{number:04d}.wav"

    def heard(self, language: str, name: str) -> Path:
        """Where the one lies that the build takes."""
        return self._out / "recorded" / language / f"{name}.wav"

    def put(self, language: str, name: str, audio: Audio, *, by: str, how: How, at: datetime, said: str) -> Recording:
        """Keep another one, and let it be heard."""
        kept = self._with_a_file_put_there(language, name)
        number = max((one.number for one in kept.recordings), default=0) + 1
        # Numbers are never used again, not even where an index was lost.
        while self.file(language, name, number).exists():
            number += 1
        replace_file(self.file(language, name, number), write_wave(audio))
        seconds = round(len(audio.samples) / audio.rate, 2)
        made = Recording(number=number, at=at, by=by, how=how, said=said, seconds=seconds, current=True)
        self._choose(language, name, Kept(current=number, recordings=(*kept.recordings, made)))
        return made

    def keep_voice(self, job: Job) -> None:
        """Keep what the voice said, for the way back: loading a voice takes seconds."""
        narrow, wide = sound_files(self._out, job.id)
        folder = self._folder(job.language, job.name)
        replace_file(folder / "voice.ulaw", narrow.read_bytes())
        replace_file(folder / "voice.sln16", wide.read_bytes())
        replace_file(folder / "voice.key", job.key.encode())

    def voice(self, job: Job) -> tuple[bytes, bytes] | None:
        """What the voice said for this very job, at 8 kHz and at 16 kHz; None where it is not kept."""
        folder = self._folder(job.language, job.name)
        try:
            if (folder / "voice.key").read_bytes() != job.key.encode():
                return None
            return (folder / "voice.ulaw").read_bytes(), (folder / "voice.sln16").read_bytes()
        except OSError:
            return None

    def use(self, language: str, name: str, number: int) -> Recording | None:
        """Let an earlier one be heard again; None: there is none of that number."""
        kept = self._with_a_file_put_there(language, name)
        found = kept.get(number)
        if found is None or not self.file(language, name, number).is_file():
            return None
        self._choose(language, name, Kept(current=number, recordings=kept.recordings))
        return self.read(language, name).get(number)

    def put_aside(self, language: str, name: str) -> Kept:
        """Let none be heard; gives what was before, for `bring_back`."""
        before = self._with_a_file_put_there(language, name)
        while (file := recorded_file(self._out, language, name)) is not None:
            file.unlink()
        self._write(language, name, Kept(current=None, recordings=before.recordings))
        return before

    def bring_back(self, language: str, name: str, before: Kept) -> None:
        """As it was."""
        if before.current is None:
            self.put_aside(language, name)
        else:
            self._choose(language, name, before)

    def _with_a_file_put_there(self, language: str, name: str) -> Kept:
        """The index; a recording that was put into the folder by hand is kept as one of them first."""
        kept = self.read(language, name)
        file = recorded_file(self._out, language, name)
        if file is None:
            return kept
        if kept.current is not None:
            mine = self.file(language, name, kept.current)
            if file == self.heard(language, name) and mine.is_file() and mine.read_bytes() == file.read_bytes():
                return kept
        try:
            audio = judge(file.read_bytes()) if file.suffix == ".wav" else None
        except RecordingRefused:
            audio = None
        if audio is None:
            return kept
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        number = max((one.number for one in kept.recordings), default=0) + 1
        replace_file(self.file(language, name, number), write_wave(audio))
        seconds = round(len(audio.samples) / audio.rate, 2)
        made = Recording(number=number, at=at, by="", how="file", said="", seconds=seconds, current=True)
        kept = Kept(current=number, recordings=(*kept.recordings, made))
        self._choose(language, name, kept)
        return kept

    def _choose(self, language: str, name: str, kept: Kept) -> None:
        if kept.current is None:
            raise AssertionError("one of them is chosen")
        content = self.file(language, name, kept.current).read_bytes()
        heard = self.heard(language, name)
        replace_file(heard, content)
        for suffix in (".sln16", ".ulaw"):
            heard.with_suffix(suffix).unlink(missing_ok=True)
        self._write(language, name, kept)

    def _write(self, language: str, name: str, kept: Kept) -> None:
        rows = [
            {
                "number": one.number,
                "at": one.at.isoformat(),
                "by": one.by,
                "how": one.how,
                "said": one.said,
                "seconds": one.seconds,
            }
            for one in kept.recordings
        ]
        text = json.dumps({"current": kept.current, "recordings": rows}, ensure_ascii=False, indent=1)
        replace_file(self._folder(language, name) / "index.json", text.encode())

    def _folder(self, language: str, name: str) -> Path:
        return self._out / "versions" / language / name


def _row(row: dict[str, Any], current: int | None) -> Recording:
    how = str(row["how"])
    if how not in ("upload", "phone", "file"):
        raise ValueError(how)
    return Recording(
        number=int(row["number"]),
        at=datetime.fromisoformat(row["at"]),
        by=str(row["by"]),
        how=cast(How, how),
        said=str(row["said"]),
        seconds=float(row["seconds"]),
        current=int(row["number"]) == current,
    )
