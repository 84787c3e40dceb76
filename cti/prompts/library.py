"""The prompts of a running centre: listed, heard, recorded, taken back. Satisfies `services.prompt_sounds.PromptSounds`.

Everything that reads or makes sounds runs in a thread, one change at a time. Asterisk opens a sound file at each play and files
are replaced whole, so a change is heard with the next play and disturbs nobody who is listening.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from cti.clock import Clock, SystemClock
from cti.prompts.build import Job, build_prompts, jobs_of, put_sound, read_book, read_ledger, sound_files
from cti.prompts.errors import PromptError
from cti.prompts.recordings import RecordingShelf, judge
from cti.prompts.voices import Voice
from cti.prompts.wave_file import read_recorded, write_wave
from cti.services.prompt_sounds import How, PromptSound, Recording, RecordingRefused, SoundState, UnknownPrompt

_WIDE_BYTES_A_SECOND = 32_000


class PromptLibrary:
    """The prompts of one manifest and one folder of sounds. `on_change(language, name, what, by)` is told of every change."""

    def __init__(
        self,
        manifest: Path,
        out: Path,
        *,
        clock: Clock | None = None,
        open_voice: Callable[[str], Voice] | None = None,
        on_change: Callable[[str, str, str, str], None] | None = None,
    ) -> None:
        self._manifest = manifest
        self._out = out.absolute()
        self._clock = clock or SystemClock()
        self._open_voice = open_voice
        self._on_change = on_change
        self._shelf = RecordingShelf(self._out)
        self._changing = threading.Lock()

    async def all(self) -> Sequence[PromptSound]:
        """Every prompt in every language it has a text in. Raises `PromptError` when the manifest cannot be read."""
        return await asyncio.to_thread(self._all)

    async def find(self, language: str, name: str) -> PromptSound:
        """One of them. Raises `UnknownPrompt`."""
        return await asyncio.to_thread(lambda: self._row(self._job(language, name), read_ledger(self._out)))

    async def recordings(self, language: str, name: str) -> Sequence[Recording]:
        """What was recorded for it, the newest first. Raises `UnknownPrompt`."""

        def read() -> Sequence[Recording]:
            self._job(language, name)
            return tuple(reversed(self._shelf.read(language, name).recordings))

        return await asyncio.to_thread(read)

    async def listen(self, language: str, name: str, number: int | None = None) -> bytes:
        """The sound heard now, or a recording that is kept, as a WAV file. Raises `UnknownPrompt`."""
        return await asyncio.to_thread(self._listen, language, name, number)

    async def keep(self, language: str, name: str, content: bytes, *, by: str, how: How) -> Recording:
        """Take a WAV file for the prompt's sound from now on. Raises `UnknownPrompt`, `RecordingRefused`."""
        made = await asyncio.to_thread(self._keep, language, name, content, by, how)
        self._tell(language, name, "recorded", by)
        return made

    async def use(self, language: str, name: str, number: int, *, by: str) -> Recording:
        """Take an earlier recording again. Raises `UnknownPrompt`, `RecordingRefused`."""
        found = await asyncio.to_thread(self._use, language, name, number)
        self._tell(language, name, "restored", by)
        return found

    async def give_up(self, language: str, name: str, *, by: str) -> PromptSound:
        """Back to the voice; the recordings are kept. Raises `UnknownPrompt`, and `PromptError` where the voice cannot speak:
        then the recording stays."""
        row = await asyncio.to_thread(self._give_up, language, name)
        self._tell(language, name, "given_up", by)
        return row

    def path(self, language: str, name: str) -> str:
        """Where Asterisk finds the sound: a path without extension."""
        return str(self._out / language / name)

    # -- in a thread -----------------------------------------------------------------------------------------------

    def _all(self) -> Sequence[PromptSound]:
        ledger = read_ledger(self._out)
        return [self._row(job, ledger) for job in jobs_of(read_book(self._manifest), self._out)]

    def _job(self, language: str, name: str) -> Job:
        book = read_book(self._manifest)
        if language not in book.prompts.get(name, {}):
            raise UnknownPrompt(
                f'there is no prompt "{name}" in "{language}"', remedy="prompts.yaml and the flows have the texts"
            )
        return jobs_of(book, self._out, only=(language, name))[0]

    def _row(self, job: Job, ledger: dict[str, str]) -> PromptSound:
        narrow, wide = sound_files(self._out, job.id)
        kept = self._shelf.read(job.language, job.name)
        current = kept.get(kept.current) if kept.current is not None and job.recorded is not None else None
        there = narrow.is_file() and wide.is_file()
        said = current.said if current is not None else ""
        if not there:
            state = SoundState.MISSING
        elif ledger.get(job.id) != job.key or (said and said != job.text):
            state = SoundState.OUTDATED
        else:
            state = SoundState.RECORDED if job.recorded is not None else SoundState.SYNTHETIC
        return PromptSound(
            name=job.name,
            language=job.language,
            text=job.text,
            state=state,
            recorded=job.recorded is not None,
            seconds=round(wide.stat().st_size / _WIDE_BYTES_A_SECOND, 2) if there else None,
            by=current.by if current is not None else "",
            at=current.at if current is not None else None,
            how=current.how if current is not None else ("file" if job.recorded is not None else None),
            said=said,
            versions=len(kept.recordings),
        )

    def _listen(self, language: str, name: str, number: int | None) -> bytes:
        job = self._job(language, name)
        file = sound_files(self._out, job.id)[1] if number is None else self._shelf.file(language, name, number)
        if not file.is_file():
            what = "sound yet" if number is None else f"recording {number}"
            raise UnknownPrompt(f"{job.id} has no {what}", remedy="run `cti prompts build`, or record it")
        return write_wave(read_recorded(file))

    def _keep(self, language: str, name: str, content: bytes, by: str, how: How) -> Recording:
        job = self._job(language, name)
        audio = judge(content)
        with self._changing:
            before = self._shelf.read(language, name)
            was_there = job.recorded
            if job.recorded is None and self._is_built(job):
                self._shelf.keep_voice(job)
            made = self._shelf.put(language, name, audio, by=by, how=how, at=self._clock.now(), said=job.text)
            try:
                self._build(job.id)
            except PromptError as error:
                if was_there is None or before.current is not None:
                    self._shelf.bring_back(language, name, before)
                raise RecordingRefused(error.message, remedy=error.remedy) from error
        return made

    def _use(self, language: str, name: str, number: int) -> Recording:
        job = self._job(language, name)
        with self._changing:
            found = self._shelf.use(language, name, number)
            if found is None:
                raise UnknownPrompt(f"{job.id} has no recording {number}", remedy="its recordings are listed with it")
            self._build(job.id)
        return found

    def _give_up(self, language: str, name: str) -> PromptSound:
        job = self._job(language, name)
        with self._changing:
            before = self._shelf.put_aside(language, name)
            try:
                spoken = self._job(language, name)
                kept = self._shelf.voice(spoken)
                if kept is not None:
                    put_sound(self._out, spoken, *kept)
                else:
                    self._build(job.id)
            except PromptError:
                if before.current is not None:
                    self._shelf.bring_back(language, name, before)
                raise
        return self._row(self._job(language, name), read_ledger(self._out))

    def _is_built(self, job: Job) -> bool:
        files = sound_files(self._out, job.id)
        return read_ledger(self._out).get(job.id) == job.key and all(file.is_file() for file in files)

    def _build(self, id_: str) -> None:
        build_prompts(self._manifest, self._out, only={id_}, open_voice=self._open_voice)

    def _tell(self, language: str, name: str, what: str, by: str) -> None:
        if self._on_change is not None:
            self._on_change(language, name, what, by)
