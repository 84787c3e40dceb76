"""Building the sound files: recorded where somebody recorded them, spoken by a voice where not.

`<out>/<language>/<name>.ulaw` (8 kHz) and `.sln16` (16 kHz) are what Asterisk plays. `<out>/recorded/<language>/<name>`
with `.wav`, `.sln16` or `.ulaw` wins over the voice. A build is incremental: what has not changed is kept. All sounds
are brought to one loudness and have the same short silence before and after, so that prompts played in a row sound
like one sentence.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cti.ivr.flow import Flow
from cti.ivr.parser import parse_flow
from cti.ivr.prompt_book import PromptBook, parse_prompts, with_texts
from cti.prompts.errors import PromptError
from cti.prompts.sound import Audio, level_speech, mu_law, pcm16, read_recorded, resample
from cti.prompts.voices import Voice
from cti.prompts.voices import open_voice as open_real_voice

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
class _Job:
    language: str
    name: str
    text: str
    voice: str
    key: str
    recorded: Path | None

    @property
    def id(self) -> str:
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


def _flows_beside(manifest: Path) -> list[Flow]:
    """The flows in the manifest's folder that can be read, for the texts that stand in them."""
    found = []
    for file in sorted(manifest.parent.glob("*.yaml")):
        if file != manifest:
            flow = parse_flow(file.read_text(encoding="utf-8", errors="replace"), str(file))
            if isinstance(flow, Flow):
                found.append(flow)
    return found


def build_prompts(
    manifest: Path,
    out: Path,
    progress: Progress | None = None,
    *,
    force: bool = False,
    open_voice: Callable[[str], Voice] | None = None,
) -> PromptBuild:
    """Make every sound of `manifest` that is not there yet, or all with `force`. Blocks for seconds.

    Raises `PromptError` for the first prompt that could not be made; what was made is kept for the next build.
    Progress is told on the calling thread. Files are replaced whole, so a call in progress never hears half a file.
    """
    began = time.monotonic()
    book = with_texts(read_manifest(manifest), _flows_beside(manifest))
    jobs = _jobs(book, out)
    ledger = _read_ledger(out)
    counts = {"spoken": 0, "recorded": 0, "kept": 0}
    done = 0

    def tell(job: _Job, how: str) -> None:
        nonlocal done
        done += 1
        counts[how] += 1
        if progress is not None:
            progress(f"prompt {job.id} {how}", done, len(jobs))

    due: list[_Job] = []
    for job in jobs:
        if not force and ledger.get(job.id) == job.key and all(path.is_file() for path in _files(out, job.id)):
            tell(job, "kept")
        else:
            due.append(job)
    removed = _remove_stale(out, ledger, {job.id for job in jobs})
    try:
        with ExitStack() as stack:
            # One thread a voice: voices are not shared between threads, and two languages are built side by side.
            threads: dict[str, tuple[ThreadPoolExecutor, _Speaker]] = {}
            futures: dict[Future[str], _Job] = {}
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


def missing_sounds(book: PromptBook, out: Path) -> list[str]:
    """The `language/name` of every prompt of the manifest that has no sound yet, for a check of an installation."""
    ids = [f"{language}/{name}" for name, texts in book.prompts.items() for language in texts]
    return [id_ for id_ in ids if not all(path.is_file() for path in _files(out, id_))]


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


def _jobs(book: PromptBook, out: Path) -> list[_Job]:
    jobs = []
    for name, texts in book.prompts.items():
        for language, said in texts.items():
            voice = book.voices[language]
            recorded = next(
                (
                    path
                    for suffix in (".wav", ".sln16", ".ulaw")
                    if (path := out / "recorded" / language / (name + suffix)).is_file()
                ),
                None,
            )
            source = recorded.suffix.encode() + recorded.read_bytes() if recorded else f"{voice}\0{said.text}".encode()
            key = hashlib.sha256(b"%d\0%d\0" % (FORMAT, recorded is not None) + source).hexdigest()[:24]
            jobs.append(_Job(language=language, name=name, text=said.text, voice=voice, key=key, recorded=recorded))
    return jobs


def _make(job: _Job, out: Path, speaker: _Speaker) -> str:
    try:
        audio = read_recorded(job.recorded) if job.recorded else speaker.speak(job.text)
        level = level_speech(audio)
    except PromptError as error:
        raise PromptError(f"prompt {job.id}: {error.message}", remedy=error.remedy, prompt=job.id) from error
    narrow, wide = _files(out, job.id)
    _replace(wide, pcm16(resample(level, 16000)))
    _replace(narrow, mu_law(resample(level, 8000)))
    return "recorded" if job.recorded else "spoken"


def _files(out: Path, id_: str) -> tuple[Path, Path]:
    return out / f"{id_}.ulaw", out / f"{id_}.sln16"


def _replace(path: Path, content: bytes) -> None:
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


def _read_ledger(out: Path) -> dict[str, str]:
    """What was built from which key. A ledger that cannot be read means building anew."""
    try:
        found = json.loads(_ledger_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(id_): str(key) for id_, key in found.items()} if isinstance(found, dict) else {}


def _write_ledger(out: Path, ledger: dict[str, str]) -> None:
    _replace(_ledger_path(out), json.dumps(ledger, indent=0, sort_keys=True).encode())


def _remove_stale(out: Path, ledger: dict[str, str], wanted: set[str]) -> int:
    """Delete sounds this builder made for prompts that are no more. Other people's files are not in the ledger."""
    stale = [id_ for id_ in ledger if id_ not in wanted and ".." not in id_ and not id_.startswith("/")]
    for id_ in stale:
        for path in _files(out, id_):
            path.unlink(missing_ok=True)
        del ledger[id_]
    return len(stale)
