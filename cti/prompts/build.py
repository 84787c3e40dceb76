"""Building the sound files: recorded where somebody recorded them, spoken by a voice where not.

`<out>/<language>/<name>.ulaw` (8 kHz) and `.sln16` (16 kHz) are what Asterisk plays. `<out>/recorded/<language>/<name>`
with `.wav`, `.sln16` or `.ulaw` wins over the voice. A build is incremental: what has not changed is kept. All sounds
are brought to one loudness and have the same short silence before and after, so that prompts played in a row sound
like one sentence.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cti.ivr.flow import Flow
from cti.ivr.parser import parse_flow
from cti.ivr.prompt_book import PromptBook, parse_prompts, with_texts
from cti.prompts.errors import PromptError
from cti.prompts.sound import Audio, level_speech, mu_law, pcm16, resample
from cti.prompts.voices import Voice
from cti.prompts.voices import open_voice as open_real_voice
from cti.prompts.wave_file import read_recorded

FORMAT = 2
"""Part of every prompt's key; raise it when the sound made from the same text changes."""

Progress = Callable[[str, int, int], None]
"""Told what was done, how many are done and how many there are in all: `("prompt en/welcome spoken", 3, 64)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBuild:
    """What a build did, in numbers of prompts."""

    spoken: int
    recorded: int
    kept: int
    removed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One prompt in one language. `key` stands for everything its sound is made from."""

    language: str
    name: str
    text: str
    voice: str
    key: str
    recorded: Path | None

    @property
    def id(self) -> str:
        """`language/name`."""
        return f"{self.language}/{self.name}"


def read_manifest(manifest: Path) -> PromptBook:
    """Read the manifest of prompts. Raises `PromptError` with every problem in it."""
    try:
        text = manifest.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(
            f"{manifest}: {getattr(error, 'strerror', None) or error}",
            remedy="check that the file is there, readable and UTF-8; the shipped one is in `ivr_flows/` of the repository",
        ) from None
    book = parse_prompts(text, str(manifest))
    if isinstance(book, list):
        raise PromptError("\n".join(map(str, book)), remedy="mend the manifest and build again")
    return book


def read_book(manifest: Path, kept: Path | None = None) -> PromptBook:
    """The manifest, and the texts that stand in the flows beside it. Raises `PromptError`."""
    return with_texts(read_manifest(manifest), [*_flows_beside(manifest), *_flows_kept(kept)])


def _flows_beside(manifest: Path) -> list[Flow]:
    """The flows in the manifest's folder that can be read, for the texts that stand in them."""
    found = []
    for file in sorted(manifest.parent.glob("*.yaml")):
        if file != manifest:
            flow = parse_flow(file.read_text(encoding="utf-8", errors="replace"), str(file))
            if isinstance(flow, Flow):
                found.append(flow)
    return found


def _flows_kept(folder: Path | None) -> list[Flow]:
    """Versions of flows, `<flow>/<version>.yaml`: calls may still be on them, and a roll-back needs their sounds at once."""
    files = sorted(folder.glob("*/*.yaml")) if folder is not None else []
    read = (
        parse_flow(file.read_text(encoding="utf-8", errors="replace"), f"{file.parent.name}.yaml") for file in files
    )
    return [flow for flow in read if isinstance(flow, Flow)]


def build_prompts(
    manifest: Path,
    out: Path,
    progress: Progress | None = None,
    *,
    force: bool = False,
    only: Collection[str] | None = None,
    kept: Path | None = None,
    open_voice: Callable[[str], Voice] | None = None,
) -> PromptBuild:
    """Make every sound of `manifest` that is not there yet, or all with `force`. Blocks for seconds, and while another
    build of the same folder runs. With `only` nothing but these (`language/name`) is looked at. `kept`: the folder of
    flows' versions, whose texts are spoken, too.

    Raises `PromptError` for the first prompt that could not be made; what was made is kept for the next build.
    Progress is told on the calling thread; what it raises ends the build as well. Files are replaced whole, so a call in
    progress never hears half a file.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(manifest, out, progress, force=force, only=only, kept=kept, open_voice=open_voice)


def _build(
    manifest: Path,
    out: Path,
    progress: Progress | None,
    *,
    force: bool,
    only: Collection[str] | None,
    kept: Path | None,
    open_voice: Callable[[str], Voice] | None,
) -> PromptBuild:
    began = time.monotonic()
    jobs = [job for job in jobs_of(read_book(manifest, kept), out) if only is None or job.id in only]
    ledger = read_ledger(out)
    counts = {"spoken": 0, "recorded": 0, "kept": 0}
    done = 0

    def tell(job: Job, how: str) -> None:
        nonlocal done
        done += 1
        counts[how] += 1
        if progress is not None:
            progress(f"prompt {job.id} {how}", done, len(jobs))

    due: list[Job] = []
    for job in jobs:
        if not force and ledger.get(job.id) == job.key and all(path.is_file() for path in sound_files(out, job.id)):
            tell(job, "kept")
        else:
            due.append(job)
    removed = _remove_stale(out, ledger, {job.id for job in jobs}) if only is None else 0
    try:
        with ExitStack() as stack:
            # One thread a voice: voices are not shared between threads, and two languages are built side by side.
            threads: dict[str, tuple[ThreadPoolExecutor, _Speaker]] = {}
            futures: dict[Future[str], Job] = {}
            for job in due:
                if job.voice not in threads:
                    speaker = _Speaker(job.voice, open_voice or open_real_voice)
                    stack.callback(speaker.close)
                    pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="prompts"))
                    stack.callback(pool.shutdown, cancel_futures=True)
                    threads[job.voice] = (pool, speaker)
                pool, speaker = threads[job.voice]
                futures[pool.submit(_make, job, out, speaker)] = job
            for future in as_completed(futures):
                how = future.result()
                ledger[futures[future].id] = futures[future].key
                tell(futures[future], how)
    finally:
        _write_ledger(out, ledger)
    return PromptBuild(removed=removed, seconds=time.monotonic() - began, **counts)


def put_sound(out: Path, job: Job, narrow: bytes, wide: bytes) -> None:
    """Take a sound that was made for this very job before, instead of making it again."""
    with (out / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = sound_files(out, job.id)
        replace_file(files[1], wide)
        replace_file(files[0], narrow)
        _write_ledger(out, {**read_ledger(out), job.id: job.key})


def missing_sounds(book: PromptBook, out: Path) -> list[str]:
    """The `language/name` of every prompt of the manifest that has no sound yet, for a check of an installation."""
    ids = [f"{language}/{name}" for name, texts in book.prompts.items() for language in texts]
    return [id_ for id_ in ids if not all(path.is_file() for path in sound_files(out, id_))]


class _Speaker:
    """A voice that is opened when it is first needed: loading one takes a second or two."""

    def __init__(self, name: str, open_voice: Callable[[str], Voice]) -> None:
        self._name = name
        self._open = open_voice
        self._voice: Voice | None = None

    def speak(self, text: str) -> Audio:
        if self._voice is None:
            self._voice = self._open(self._name)
        return self._voice.speak(text)

    def close(self) -> None:
        if self._voice is not None:
            self._voice.close()


def jobs_of(book: PromptBook, out: Path, *, only: tuple[str, str] | None = None) -> list[Job]:
    """What there is to make, built or not; `only` that of one (language, name)."""
    jobs = []
    for name, texts in book.prompts.items():
        for language, said in texts.items():
            if only is not None and only != (language, name):
                continue
            voice = book.voices[language]
            recorded = recorded_file(out, language, name)
            source = recorded.suffix.encode() + recorded.read_bytes() if recorded else f"{voice}\0{said.text}".encode()
            key = hashlib.sha256(b"%d\0%d\0" % (FORMAT, recorded is not None) + source).hexdigest()[:24]
            jobs.append(Job(language=language, name=name, text=said.text, voice=voice, key=key, recorded=recorded))
    return jobs


def recorded_file(out: Path, language: str, name: str) -> Path | None:
    """The recording that is used instead of the voice; None: there is none."""
    files = (out / "recorded" / language / (name + suffix) for suffix in (".wav", ".sln16", ".ulaw"))
    return next((file for file in files if file.is_file()), None)


def _make(job: Job, out: Path, speaker: _Speaker) -> str:
    try:
        audio = read_recorded(job.recorded) if job.recorded else speaker.speak(job.text)
        level = level_speech(audio)
    except PromptError as error:
        raise PromptError(f"prompt {job.id}: {error.message}", remedy=error.remedy, prompt=job.id) from error
    narrow, wide = sound_files(out, job.id)
    replace_file(wide, pcm16(resample(level, 16000)))
    replace_file(narrow, mu_law(resample(level, 8000)))
    return "recorded" if job.recorded else "spoken"


def sound_files(out: Path, id_: str) -> tuple[Path, Path]:
    """Where the sound of `language/name` lies: at 8 kHz, at 16 kHz."""
    return out / f"{id_}.ulaw", out / f"{id_}.sln16"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole: whoever reads meanwhile has the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _ledger_path(out: Path) -> Path:
    return out / ".built.json"


def read_ledger(out: Path) -> dict[str, str]:
    """What was built from which key. A ledger that cannot be read means building anew."""
    try:
        found = json.loads(_ledger_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(id_): str(key) for id_, key in found.items()} if isinstance(found, dict) else {}


def _write_ledger(out: Path, ledger: dict[str, str]) -> None:
    replace_file(_ledger_path(out), json.dumps(ledger, indent=0, sort_keys=True).encode())


def _remove_stale(out: Path, ledger: dict[str, str], wanted: set[str]) -> int:
    """Delete sounds this builder made for prompts that are no more. Other people's files are not in the ledger."""
    stale = [id_ for id_ in ledger if id_ not in wanted and ".." not in id_ and not id_.startswith("/")]
    for id_ in stale:
        for path in sound_files(out, id_):
            path.unlink(missing_ok=True)
        del ledger[id_]
    return len(stale)
